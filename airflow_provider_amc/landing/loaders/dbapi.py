"""Any other database with a DB-API hook: batched inserts with bound parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.reader import record_batches
from airflow_provider_amc.landing.table import Load

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

#: Rows handed to the driver at a time.
_BATCH = 1000

#: Names of dialects that sqlglot and SQLAlchemy spell differently.
_SQLGLOT_NAMES = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql", "awsathena": "athena"}


class DbApiLoader(TableLoader):
    """Load through the connection's own driver.

    The hook's ``insert_rows`` is not used: it commits chunk by chunk and logs the values of a chunk that fails.
    Databases that commit on CREATE TABLE keep the empty table when the load fails afterwards.
    """

    def __init__(self, hook: Any) -> None:
        super().__init__(hook)
        self.dialect = _known_dialect(str(getattr(hook, "dialect_name", "") or ""))

    def existing_columns(self, connection: Any, load: Load) -> Mapping[str, str | None] | None:
        with closing(connection.cursor()) as cursor:
            try:
                cursor.execute(f"SELECT * FROM {load.table.sql(self.dialect)} WHERE 1 = 0")  # noqa: S608
            except Exception:
                # DB-API has no error class for a missing table; if it is another problem, CREATE TABLE tells.
                connection.rollback()
                return None
            columns = {column[0]: None for column in cursor.description}
        connection.rollback()
        return columns

    def write(self, cursor: Any, load: Load, results: ExecutionResults, *, create: bool) -> int:
        self.prepare(cursor, load, create=create)
        marks = ", ".join([self.placeholder] * len(load.full_schema))
        insert = f"INSERT INTO {load.table.sql(self.dialect)} ({self.column_list(load)}) VALUES ({marks})"  # noqa: S608
        audit = self.bound(load.audit.values())
        rows = 0
        with closing(record_batches(results, load.schema)) as batches:
            for chunk in _chunks(batches):
                columns = [self.bound(column.to_pylist()) for column in chunk.columns]
                values = [(*row, *audit) for row in zip(*columns, strict=True)]
                cursor.executemany(insert, values)
                rows += len(values)
        return rows


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH):
            yield batch.slice(start, _BATCH)


def _known_dialect(name: str) -> str:
    from sqlglot.dialects.dialect import Dialect

    name = _SQLGLOT_NAMES.get(name, name)
    return name if name and Dialect.get(name) else ""
