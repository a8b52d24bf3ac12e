"""PostgreSQL: result files go through COPY into a temporary table, from there into the target."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.reader import open_checked
from airflow_provider_amc.landing.table import Load, create_table, quote

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

_STAGING = "_amc_staging"

#: Bytes handed to the driver at a time.
_CHUNK = 1024 * 1024

_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod)
    FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""


class PostgresLoader(TableLoader):
    """Load with ``COPY ... FROM STDIN``, straight from the download.

    Works with psycopg 2 and 3, whichever the Postgres provider uses.
    """

    dialect = "postgres"
    placeholder = "%s"

    def existing_columns(self, connection: Any, load: Load) -> Mapping[str, str | None] | None:
        with connection.cursor() as cursor:
            cursor.execute(_COLUMNS, (load.table.sql(self.dialect),))
            columns = dict(cursor.fetchall())
        connection.rollback()
        return columns or None

    def write(self, cursor: Any, load: Load, results: ExecutionResults, *, create: bool) -> int:
        names = ", ".join(quote(name, self.dialect) for name in load.schema.names)
        cursor.execute(
            create_table(_STAGING, load.schema, self.dialect, prefix="CREATE TEMPORARY TABLE") + " ON COMMIT DROP"
        )
        copy = f"COPY {_STAGING} ({names}) FROM STDIN WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')"
        for _, stream in open_checked(results, load.schema):
            _copy(cursor, copy, stream)
        # Only now: a lock held while the files are downloaded would make loads of other windows wait for them.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"airflow_provider_amc:{load.table}",))
        self.prepare(cursor, load, create=create)
        values = ", ".join(["%s"] * len(load.audit.values()))
        cursor.execute(
            f"INSERT INTO {load.table.sql(self.dialect)} ({self.column_list(load)}) "  # noqa: S608
            f"SELECT {names}, {values} FROM {_STAGING}",
            load.audit.values(),
        )
        return int(cursor.rowcount)


def _copy(cursor: Any, statement: str, stream: io.RawIOBase) -> None:
    if hasattr(cursor, "copy_expert"):
        cursor.copy_expert(statement, stream, _CHUNK)
        return
    with cursor.copy(statement) as copy:
        while chunk := stream.read(_CHUNK):
            copy.write(chunk)
