"""The tables that the engine offers to queries: synthetic ones, loaded ones, and AMC's others without rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.data.tabledata import USER_KEY_TYPE, TableData
from airflow_provider_amc.emulator.data.tables import TABLES
from airflow_provider_amc.sql import catalogue
from airflow_provider_amc.sql.coerce import quote_name
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.lineage import Lineage, level_of
from airflow_provider_amc.sql.scopes import Field
from airflow_provider_amc.sql.sources import USER_KEY, TableFinder, TableSource
from airflow_provider_amc.sql.types import from_duckdb, parse_type, to_duckdb

if TYPE_CHECKING:
    import duckdb

    from airflow_provider_amc.emulator.shelf import AdvertiserTable

#: AMC's words (AMC API documentation, "Rule-based audiences").
_NOT_FOR_AUDIENCES = "Invalid tables in the SQL query: Use audience-specific tables in the query."
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: The column that makes a table of AMC one about users.
_USER_ID = "user_id"


def _fields(table: catalogue.Table) -> Mapping[str, Field]:
    return MappingProxyType(
        {
            name: Field(
                name,
                parse_type(column.data_type),
                column.column_type == catalogue.METRIC,
                name,
                Lineage(level=level_of(column.threshold)),
            )
            for name, column in table.columns.items()
        }
    )


@dataclass(frozen=True)
class SyntheticTable:
    """A table made of the facts."""

    name: str
    fields: Mapping[str, Field]
    data: TableData
    for_audiences: bool = False

    @property
    def user_column(self) -> str | None:
        """See :class:`~airflow_provider_amc.sql.sources.TableSource`."""
        return _USER_ID if _USER_ID in self.fields else None

    def read(self, columns: Sequence[str], start: str, end: str) -> str:
        """See :class:`~airflow_provider_amc.sql.sources.TableSource`."""
        typed = [(name, USER_KEY_TYPE if name == USER_KEY else to_duckdb(self.fields[name].type)) for name in columns]
        return self.data.read(typed, start, end, for_audiences=self.for_audiences)


@dataclass(frozen=True)
class LoadedTable:
    """A table with rows that a user gave, or without any.

    :param stored: name of the DuckDB table, ``None`` for no rows.
    :param time_column: the column that the window limits; ``None`` reads all rows.
    :param user: the column with the user behind a row, if the table has it.
    :param expiry_column: a column beside the others with the moment from which a row counts no more.
    """

    name: str
    fields: Mapping[str, Field]
    stored: str | None
    time_column: str | None
    user: str = _USER_ID
    expiry_column: str | None = None

    @property
    def user_column(self) -> str | None:
        """See :class:`~airflow_provider_amc.sql.sources.TableSource`."""
        return self.user if self.user in self.fields else None

    def read(self, columns: Sequence[str], start: str, end: str) -> str:
        """See :class:`~airflow_provider_amc.sql.sources.TableSource`."""
        if self.stored is None:
            items = [f"CAST(NULL AS {self._kind(name)}) AS {quote_name(name)}" for name in columns]
            return f"SELECT {', '.join(items) or 'TRUE AS row'} WHERE FALSE"
        items = [
            f"CAST({quote_name(self.user)} AS VARCHAR) AS {quote_name(name)}" if name == USER_KEY else quote_name(name)
            for name in columns
        ]
        conditions = []
        if self.time_column is not None:
            # Rows without a time belong to every window, so that a user's test rows need none
            column = quote_name(self.time_column)
            conditions.append(f"({column} IS NULL OR ({column} >= {start} AND {column} < {end}))")
        if self.expiry_column is not None:
            conditions.append(f"{quote_name(self.expiry_column)} > $now")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(items) or 'TRUE AS row'} FROM {quote_name(self.stored)}{where}"

    def _kind(self, name: str) -> str:
        return "VARCHAR" if name == USER_KEY else to_duckdb(self.fields[name].type)


class TableRegistry:
    """Knows the tables of an instance."""

    def __init__(self) -> None:
        self._loaded: dict[str, LoadedTable] = {}
        self._advertisers: dict[tuple[str, str], tuple[AdvertiserTable, LoadedTable]] = {}

    def finder(
        self,
        input_schema: str | None,
        *,
        sandbox: bool = False,
        instance_id: str = "",
        for_audience: bool = False,
    ) -> TableFinder:
        """A function that finds tables for one query, as they are now.

        :param input_schema: schema of names without one.
        :param sandbox: only the tables of a sandbox instance exist, with or without its schema.
        :param instance_id: the instance, whose advertisers' tables win over Amazon's of the same name.
        :param for_audience: of AMC's tables only the twins for audiences may be read; else they do not exist.
        """
        uploaded = {name: table for (owner, name), (_, table) in self._advertisers.items() if owner == instance_id}
        loaded = {**self._loaded, **uploaded}

        def find(schema: str | None, name: str) -> TableSource | None:
            wanted = (schema or input_schema or "").lower()
            if wanted not in ("", catalogue.SANDBOX_SCHEMA):
                return None
            in_sandbox = sandbox or wanted == catalogue.SANDBOX_SCHEMA
            return self._find(loaded, name.lower(), in_sandbox, for_audience)

        return find

    @staticmethod
    def _find(loaded: Mapping[str, LoadedTable], name: str, sandbox: bool, for_audience: bool) -> TableSource | None:
        try:
            table = catalogue.get_table(name)
        except KeyError:
            return loaded.get(name)
        if for_audience and table.base_table is None:
            raise AmcSqlError(_NOT_FOR_AUDIENCES)
        if not for_audience and table.base_table is not None:
            return None
        if name in loaded:
            return loaded[name]
        base = table.base_table or table.name
        if table.retired or (sandbox and not catalogue.get_table(base).in_sandbox):
            return None
        fields = _fields(table)
        if base in loaded:
            stored = loaded[base]
            return LoadedTable(name, fields, stored.stored, stored.time_column)
        if base in TABLES:
            return SyntheticTable(name, fields, TABLES[base], for_audiences=table.base_table is not None)
        return LoadedTable(name, fields, None, table.time_column)

    def synthetic(self, names: Iterable[str]) -> bool:
        """Does a query over these tables read synthetic rows?"""
        return any(self._reads_synthetic(name.lower().rpartition(".")[2]) for name in names)

    def _reads_synthetic(self, name: str) -> bool:
        if name in self._loaded:
            return False
        try:
            table = catalogue.get_table(name)
        except KeyError:
            return False
        base = table.base_table or table.name
        return base not in self._loaded and base in TABLES

    def data_sources(self, *, sandbox: bool = False, instance_id: str = "") -> list[dict[str, Any]]:
        """All tables as ``DataSource`` objects of the API.

        :param sandbox: only those of a sandbox instance, with its schema.
        :param instance_id: the instance, for its advertisers' tables.
        """
        uploaded = {
            name: table.data_source() for (owner, name), (table, _) in self._advertisers.items() if owner == instance_id
        }
        known = [*catalogue.tables().values(), *catalogue.audience_tables().values()]
        if sandbox:
            known = [table for table in known if table.base_table is None and table.in_sandbox]
        prefix = f"{catalogue.SANDBOX_SCHEMA}." if sandbox else ""
        sources = [
            _data_source(
                prefix + table.name,
                table.description,
                [(c.name, c.column_type, c.data_type, c.threshold) for c in table.columns.values()],
            )
            for table in known
            if not table.retired and table.name not in uploaded
        ]
        names = {table.name for table in (*catalogue.tables().values(), *catalogue.audience_tables().values())}
        for name, loaded in sorted(self._loaded.items()):
            if name not in names and name not in uploaded:
                columns = [
                    (f.name, catalogue.METRIC if f.metric else catalogue.DIMENSION, str(f.type), None)
                    for f in loaded.fields.values()
                ]
                sources.append(_data_source(name, "Rows of the advertiser.", columns, owner="CUSTOMER"))
        return sorted([*sources, *uploaded.values()], key=lambda source: str(source["dataSourceId"]))

    def keep(self, connection: duckdb.DuckDBPyConnection, table: AdvertiserTable, rows: Any) -> None:
        """Take an advertiser's table in place of the one of that name before.

        :param connection: the database.
        :param table: what it is.
        :param rows: its rows, a pyarrow table with at least its columns.
        """
        types = {column.name: parse_type(column.data_type) for column in table.columns}
        fields = {
            column.name.lower(): Field(
                column.name,
                types[column.name],
                column.column_type == catalogue.METRIC,
                column.name,
                Lineage(level=level_of(column.threshold)),
            )
            for column in table.columns
        }
        items = [
            f"CAST({quote_name(name)} AS {to_duckdb(kind)}) AS {quote_name(name.lower())}"
            for name, kind in types.items()
        ]
        if table.expiry_column is not None:
            items.append(quote_name(table.expiry_column))
        stored = f"advertiser_{table.instance_id}_{table.name}"
        connection.register("given_rows", rows)
        try:
            self._store(connection, stored, f"SELECT {', '.join(items)} FROM given_rows")
        finally:
            connection.unregister("given_rows")
        user = (table.user_column or "").lower()
        read = LoadedTable(table.name, MappingProxyType(fields), stored, table.time_column, user, table.expiry_column)
        self._advertisers[table.instance_id, table.name.lower()] = table, read

    def drop(self, connection: duckdb.DuckDBPyConnection, instance_id: str, name: str) -> None:
        """Forget an advertiser's table."""
        found = self._advertisers.pop((instance_id, name.lower()), None)
        if found is not None:
            connection.execute(f"DROP TABLE IF EXISTS {quote_name(str(found[1].stored))}")

    def load(self, connection: duckdb.DuckDBPyConnection, name: str, data: Any) -> None:
        """Replace the rows of a table; see :meth:`airflow_provider_amc.emulator.engine.Engine.load_table`."""
        key = name.lower().removeprefix(f"{catalogue.SANDBOX_SCHEMA}.")
        if not _NAME.fullmatch(key):
            raise ValueError(f"{name!r} is no table name: use letters, digits and underscores")
        rows = as_arrow(data)
        try:
            table: catalogue.Table | None = catalogue.get_table(key)
        except KeyError:
            table = None
        if table is not None and table.base_table is not None:
            raise ValueError(f"Load {table.base_table}: {key} shows the same rows")
        stored = f"own_{key}"
        if not rows.num_columns:
            if table is None:
                raise ValueError(f"There are no rows, so the columns of {name} are unknown")
            self._loaded[key] = LoadedTable(key, _fields(table), None, table.time_column)
            return
        connection.register("given_rows", rows)
        try:
            if table is None:
                self._store(connection, stored, "SELECT * FROM given_rows")
                described = connection.execute(f"DESCRIBE {quote_name(stored)}").fetchall()
                fields = {
                    str(column).lower(): Field(
                        str(column), from_duckdb(str(kind)), from_duckdb(str(kind)).is_number, str(column)
                    )
                    for column, kind, *_ in described
                }
                self._loaded[key] = LoadedTable(key, MappingProxyType(fields), stored, None)
                return
            fields_known = _fields(table)
            given = {column.lower(): column for column in rows.column_names}
            unknown = sorted(set(given) - set(fields_known))
            if unknown:
                raise ValueError(f"Table {key} has no column {', '.join(unknown)}")
            items = [
                f"CAST({quote_name(given[column]) if column in given else 'NULL'} AS {to_duckdb(known.type)})"
                f" AS {quote_name(column)}"
                for column, known in fields_known.items()
            ]
            self._store(connection, stored, f"SELECT {', '.join(items)} FROM given_rows")
            self._loaded[key] = LoadedTable(key, fields_known, stored, table.time_column)
        finally:
            connection.unregister("given_rows")

    def clear(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Forget all loaded rows."""
        for table in self._loaded.values():
            if table.stored is not None:
                connection.execute(f"DROP TABLE IF EXISTS {quote_name(table.stored)}")
        self._loaded.clear()

    @staticmethod
    def _store(connection: duckdb.DuckDBPyConnection, stored: str, query: str) -> None:
        import duckdb

        try:
            connection.execute(f"CREATE OR REPLACE TABLE {quote_name(stored)} AS {query}")
        except duckdb.Error as error:
            raise ValueError(f"The rows do not fit: {str(error).splitlines()[0]}") from error


def _data_source(
    name: str, description: str, columns: Sequence[tuple[str, str, str, str | None]], *, owner: str = "AMAZON"
) -> dict[str, Any]:
    return {
        "dataSourceId": name,
        "description": description,
        "owner": owner,
        "provider": "AMAZON" if owner == "AMAZON" else "ADVERTISER_DATA_UPLOAD",
        "tags": [],
        "columns": [
            {
                "name": column,
                "columnType": column_type,
                "dataType": data_type,
                "description": column.replace("_", " ").capitalize()
                + (f". Aggregation threshold: {threshold}." if threshold else "."),
            }
            for column, column_type, data_type, threshold in columns
        ],
    }


def _as_array(values: list[Any]) -> Any:
    """The values of a column; a mix of kinds, such as dates and date texts, becomes text that the table reads."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


def as_arrow(data: Any) -> Any:
    """Rows of any accepted kind as a pyarrow table."""
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        if not all(isinstance(row, Mapping) for row in data):
            raise ValueError("Rows must be mappings from column names to values")
        names: dict[str, None] = {}
        for row in data:
            names.update(dict.fromkeys(row))
        return pa.table({name: _as_array([row.get(name) for row in data]) for name in names})
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return pa.Table.from_pandas(data, preserve_index=False)
    if hasattr(data, "__arrow_c_stream__"):  # data frames of other libraries, such as Polars
        return pa.table(data)
    raise ValueError(f"Rows of type {type(data).__name__} cannot be loaded: use a data frame or a list of mappings")
