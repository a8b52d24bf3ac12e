"""Where data come from and go to, in the names that OpenLineage and Airflow's assets share.

The names keep to OpenLineage's naming conventions: ``s3://bucket`` and a path, ``postgres://host:port`` and
``database.schema.table``. AMC is not among them; here it is ``amc://<region>/<instance>`` and the name of a data source, of
a saved workflow (``workflow/<id>``) or of a query (``query/<hash of its SQL>``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_amc.landing.manifest import sql_hash
from airflow_provider_amc.landing.origin import is_ad_hoc

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import Execution

#: Connection types of databases in a file.
_IN_A_FILE = ("duckdb", "sqlite")

_ON_DISK = ("file", "local")
_WITH_BUCKETS = ("s3", "s3a", "gs", "gcs")


@dataclass(frozen=True)
class LineageDataset:
    """Something that data are read from or written to.

    :param namespace: the store, as an address.
    :param name: its name there.
    :param path: its name as the path of an address, where that differs.
    :param columns: types by column, if they are known.
    :param sources: by column, the columns of other datasets that it is computed from: dataset, column.
    :param rows: rows written, if they were counted.
    :param size: bytes written.
    """

    namespace: str
    name: str
    path: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    rows: int | None = None
    size: int | None = None

    @property
    def uri(self) -> str:
        """Its address as an asset of Airflow."""
        return f"{self.namespace}/{self.path or self.name}"


def amc_namespace(region: str, instance_id: str | None) -> str:
    """The namespace of an instance.

    :param region: ``NA``, ``EU`` or ``FE``.
    :param instance_id: AMC instance.
    """
    return f"amc://{region}/{instance_id or 'unknown'}"


def data_sources(namespace: str, sql: str | None) -> list[LineageDataset]:
    """The tables of AMC that a query reads.

    :param namespace: of the instance.
    :param sql: the query, ``None`` when it is not known.
    """
    from airflow_provider_amc.sql.outputs import tables

    return [LineageDataset(namespace, name) for name in tables(sql)] if sql else []


def result_of(namespace: str, execution: Execution, sql: str | None) -> LineageDataset:
    """What an execution gives: one dataset for all executions of a workflow or query, whatever their windows are.

    :param namespace: of the instance.
    :param execution: the execution.
    :param sql: its query; by default, that which AMC gave with it.
    """
    from airflow_provider_amc.sql.outputs import column_sources

    sql = sql or execution.sql_query
    sources = column_sources(sql) if sql else None
    names = [column.name for column in execution.output_columns]
    return LineageDataset(
        namespace,
        f"query/{(sql_hash(sql) or 'unknown')[:16]}" if is_ad_hoc(execution) else f"workflow/{execution.workflow_id}",
        columns=column_types(execution),
        # AMC may have appended columns, which come from nowhere.
        sources={name: found for name, found in zip(names, sources or (), strict=False) if found},
    )


def column_types(execution: Execution) -> dict[str, str]:
    """AMC's types of the output columns, by name."""
    return {column.name: column.data_type or "" for column in execution.output_columns}


def folder_of(manifest: str, **facts: Any) -> LineageDataset:
    """The folder of a workflow in a store: one dataset, of which every window is a partition.

    :param manifest: address of a manifest in it.
    :param facts: further fields of the dataset.
    """
    parts = urlsplit(manifest.partition("/window_start=")[0])
    if parts.scheme in _ON_DISK:
        return LineageDataset("file", parts.path, path=parts.path, **facts)
    # Airflow's addresses may name a connection before the bucket. Azure's have the container there.
    host = parts.netloc.rpartition("@")[2] if parts.scheme in _WITH_BUCKETS else parts.netloc
    scheme = {"gcs": "gs", "s3a": "s3"}.get(parts.scheme, parts.scheme)
    return LineageDataset(f"{scheme}://{host}", parts.path.strip("/"), **facts)


def table_of(hook: Any, connection: Any, parts: Sequence[str], **facts: Any) -> LineageDataset:
    """A table of a database.

    :param hook: the DB-API hook, which may know how OpenLineage names its database.
    :param connection: its connection.
    :param parts: (database,) (schema,) table.
    :param facts: further fields of the dataset.
    """
    namespace, database, schema = _database_of(hook, connection)
    known = [part for part in (database, schema) if part]
    missing = max(0, len(known) + 1 - len(parts))
    full = [*known[:missing], *parts]
    return LineageDataset(namespace, ".".join(full), path="/".join(full), **facts)


def _database_of(hook: Any, connection: Any) -> tuple[str, str | None, str | None]:
    """Namespace, database and default schema of a connection."""
    kind = str(connection.conn_type or "database")
    if kind in _IN_A_FILE:
        return f"{kind}://{connection.host or ''}", None, None
    try:
        info = hook.get_openlineage_database_info(connection)
    except (ImportError, NotImplementedError):
        # The provider of OpenLineage is not there: the hooks of databases ask it for the class of this value.
        info = None
    if info is None:
        default = {"postgres": 5432}.get(kind)
        port = connection.port or default
        authority = f"{connection.host or 'localhost'}{f':{port}' if port else ''}"
        return f"{kind}://{authority}", connection.schema or None, _default_schema(hook)
    namespace = f"{info.scheme}://{info.authority}" if info.authority else info.scheme
    return namespace, info.database, _default_schema(hook)


def _default_schema(hook: Any) -> str | None:
    try:
        schema: str | None = hook.get_openlineage_default_schema()
    except Exception:
        # It may ask the database, and whatever goes wrong there, the rows have been loaded.
        return None
    return schema
