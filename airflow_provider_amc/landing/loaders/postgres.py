"""PostgreSQL: result files go through COPY into a temporary table, from there into the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.loaders.copy import ErrorKeeper, QuotedEndMarks
from airflow_provider_amc.landing.loaders.session import Session, plain_row
from airflow_provider_amc.landing.reader import open_checked
from airflow_provider_amc.landing.sql_types import quote, sql_type
from airflow_provider_amc.landing.statements import Staged, Statement
from airflow_provider_amc.landing.table import Load

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

_STAGING = "_amc_staging"

#: Bytes handed to the driver at a time.
_CHUNK = 1024 * 1024

#: Bytes after which PostgreSQL cuts off a name, without an error.
_NAME_LIMIT = 63

_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod)
    FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""

#: Whatever the server's or the user's defaults are: a load that waited for another one has to see its rows, and the
#: loader's times are UTC and carry no zone.
_SETTINGS = ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET LOCAL TIME ZONE 'UTC'")


class PostgresLoader(TableLoader):
    """Load with ``COPY ... FROM STDIN``, straight from the download.

    Works with psycopg 2 and 3, whichever the Postgres provider uses.
    """

    dialect = "postgres"
    placeholder = "%s"
    case_sensitive = True
    # PostgreSQL has 1,000; what it gets comes through Arrow.
    max_precision = 76

    def check_names(self, load: Load) -> None:
        too_long = [name for name in load.schema.names if len(name.encode()) > _NAME_LIMIT]
        if too_long:
            raise AmcLoadError(
                f"PostgreSQL cuts names off after {_NAME_LIMIT} bytes, and these are longer: {', '.join(too_long)}. "
                "Give the columns shorter aliases in the query. Nothing was changed."
            )

    @contextmanager
    def transaction(self, connection: Any) -> Iterator[Session]:
        with super().transaction(connection) as session:
            for setting in _SETTINGS:
                session.cursor.execute(setting)
            yield session

    def existing_columns(self, session: Session, load: Load) -> Mapping[str, str | None] | None:
        session.cursor.execute(_COLUMNS, (load.table.sql(self.dialect),))
        rows = map(plain_row, session.cursor.fetchall())
        return {str(name): str(kind) for name, kind in rows} or None

    @contextmanager
    def stage(self, session: Session, load: Load, results: ExecutionResults) -> Iterator[Staged]:
        session.cursor.execute(_staging_table(load.schema))
        names = [quote(name, self.dialect) for name in load.schema.names]
        copy = f"COPY {_STAGING} ({', '.join(names)}) FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')"
        rows = 0
        with closing(open_checked(results, load.schema)) as files:
            for file in files:
                _copy(session.cursor, copy, QuotedEndMarks(file.body) if len(names) == 1 else file.body)
                rows += session.cursor.rowcount
        yield Staged(_STAGING, rows=rows)

    def lock(
        self, session: Session, load: Load, existing: Mapping[str, str | None] | None
    ) -> Mapping[str, str | None] | None:
        # By the last part of the name, because the same table can be meant with and without its schema.
        key = f"airflow_provider_amc:{load.table.parts[-1]}"
        session.run(Statement("SELECT pg_advisory_xact_lock(hashtext(%s))", (key,)))
        return self.existing_columns(session, load)


def _staging_table(schema: pa.Schema) -> str:
    columns = []
    for field in schema:
        name, kind = quote(field.name, "postgres"), sql_type(field.type, "postgres")
        # DECIMAL(p, s) would round what has more digits than announced; a value is taken as it is or refused.
        decimal = pa.types.is_decimal(field.type)
        columns.append(
            f"{name} NUMERIC CHECK (min_scale({name}) <= {field.type.scale})" if decimal else f"{name} {kind}"
        )
    return f"CREATE TEMPORARY TABLE {_STAGING} ({', '.join(columns)}) ON COMMIT DROP"


def _copy(cursor: Any, statement: str, stream: BinaryIO | QuotedEndMarks) -> None:
    if not hasattr(cursor, "copy_expert"):
        with cursor.copy(statement) as copy:
            while chunk := stream.read(_CHUNK):
                copy.write(chunk)
        return
    # psycopg 2 turns whatever the stream raises into an error of its own.
    keeper = ErrorKeeper(stream)
    try:
        cursor.copy_expert(statement, keeper, _CHUNK)
    except Exception:
        if keeper.error is not None:
            raise keeper.error from None
        raise
