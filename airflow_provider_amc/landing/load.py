"""Chooses the loader of a connection."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import AmcConfigurationError
from airflow_provider_amc.landing.staging import Staging

if TYPE_CHECKING:
    from airflow_provider_amc.landing.loaders.base import TableLoader

#: Loader by connection type. Everything else goes through :class:`~.loaders.dbapi.DbApiLoader`.
_LOADERS = {
    "duckdb": ("airflow_provider_amc.landing.loaders.duckdb", "DuckDBLoader"),
    "postgres": ("airflow_provider_amc.landing.loaders.postgres", "PostgresLoader"),
    "sqlite": ("airflow_provider_amc.landing.loaders.sqlite", "SqliteLoader"),
}

#: The same, of warehouses that load files from S3 or from a stage.
_STAGED_LOADERS = {
    "redshift": ("airflow_provider_amc.landing.loaders.redshift", "RedshiftLoader"),
    "snowflake": ("airflow_provider_amc.landing.loaders.snowflake", "SnowflakeLoader"),
}

_DEFAULT = ("airflow_provider_amc.landing.loaders.dbapi", "DbApiLoader")


def loader_for(hook: object, staging: Staging | None = None) -> TableLoader:
    """Return the loader that fits a connection's hook.

    :param hook: the hook of the target connection.
    :param staging: where files go that the warehouse loads by itself.
    :raises AmcConfigurationError: the connection is not one of a SQL database, or the warehouse needs something that
        neither ``staging`` nor a connection names.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    if not isinstance(hook, DbApiHook):
        raise AmcConfigurationError(
            f"{type(hook).__name__} is not a SQL database hook, so no table can be loaded through it. Use a connection "
            "of a database provider, such as postgres or duckdb."
        )
    kind = str(hook.conn_type)
    if kind == "athena":
        # Its tables are files: DELETE and UPDATE, by which a load replaces its own rows, fail on them.
        raise AmcConfigurationError(
            "Athena has no tables that AmcToSqlOperator could load without doubling rows. Land the result with "
            "AmcToS3Operator and file_format='parquet': its folders are partitions that Athena reads, and the same "
            "workflow and window replace an earlier landing. Nothing was read."
        )
    if kind in _STAGED_LOADERS:
        module, name = _STAGED_LOADERS[kind]
        staged_loader: TableLoader = getattr(import_module(module), name)(hook, staging or Staging())
        return staged_loader
    module, name = _LOADERS.get(kind, _DEFAULT)
    loader: type[TableLoader] = getattr(import_module(module), name)
    return loader(hook)
