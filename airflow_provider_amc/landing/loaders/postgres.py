"""PostgreSQL: rows go through COPY into a table of the load's own, which becomes the target or is read into it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from uuid import uuid4

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.ahead import ChunkReader, ahead
from airflow_provider_amc.landing.change import TableChange
from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.loaders.binary import binary_rows, has_binary_form
from airflow_provider_amc.landing.loaders.copy import ErrorKeeper, QuotedEndMarks
from airflow_provider_amc.landing.loaders.session import Session, plain_row
from airflow_provider_amc.landing.reader import open_checked
from airflow_provider_amc.landing.sql_types import quote, sql_type
from airflow_provider_amc.landing.statements import Staged, Statement, stand_in
from airflow_provider_amc.landing.table import Audit, Load, TableName

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)

_STAGING = "_amc_staging"

_AT_COMMIT = " ON COMMIT DROP"

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
    """Load with ``COPY ... FROM STDIN``, straight from the download, in one transaction.

    Rows for a table that exists go into a temporary one first, so that readers and other loads do not wait for the
    download. Rows for a new table are its first: they are copied once, and the table gets its name at the end.

    With ``pgpq`` (in the ``postgres`` extra), rows go in PostgreSQL's binary form, and as CSV without. Works with psycopg 2
    and 3, whichever the Postgres provider uses.
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
    def stage(self, session: Session, load: Load, results: ExecutionResults, planned: TableChange) -> Iterator[Staged]:
        if not (has_binary_form(load.schema) and _speaks_utf8(session)):
            session.cursor.execute(_checked_table(load.schema))
            yield Staged(_STAGING, rows=_copy_csv(session.cursor, load.schema, results))
        elif planned.create or planned.rebuild:
            new = _Successor(load.table.sibling(stand_in("new", uuid4())))
            self._create_with_origin(session, load, new.name)
            new.rows = _copy_binary(session.cursor, new.relation, load.schema, results)
            without = _each_column(f"{name} DROP DEFAULT" for name in Audit.SCHEMA.names)
            session.cursor.execute(f"ALTER TABLE {new.relation} {without}")
            yield new
            if not new.placed:
                session.run(self.statements.drop(new.relation))
        else:
            session.run(
                self.statements.create(_STAGING, load.schema, prefix="CREATE TEMPORARY TABLE", suffix=_AT_COMMIT)
            )
            yield Staged(_STAGING, rows=_copy_binary(session.cursor, _STAGING, load.schema, results))

    def _create_with_origin(self, session: Session, load: Load, table: TableName) -> None:
        """Create a table with all columns of the target, in which a row says by itself where it comes from."""
        session.run(self.statements.create(table.sql(self.dialect), load.full_schema))
        # A default cannot be bound. The server quotes best for itself.
        origin = zip(Audit.SCHEMA.names, load.audit.values(), strict=True)
        texts = {name: None if value is None else str(value) for name, value in origin}
        quoted = ", ".join(f"quote_nullable(%s::text) AS {name}" for name in texts)
        literals = session.ask(Statement(f"SELECT {quoted}", tuple(texts.values())))
        defaults = (f"{name} SET DEFAULT {literal}" for name, literal in zip(texts, literals, strict=True))
        session.cursor.execute(f"ALTER TABLE {table.sql(self.dialect)} {_each_column(defaults)}")

    def apply(self, session: Session, load: Load, change: TableChange, staged: Staged) -> None:
        if not isinstance(staged, _Successor) or not (change.create or change.rebuild):
            # Another load may have made the table meanwhile.
            super().apply(session, load, change, staged)
            return
        if change.rebuild:
            session.run(self.statements.drop(load.table.sql(self.dialect)))
        session.run(self.statements.rename(staged.name, load.table))
        staged.placed = True
        log.info("Created table %s with %s columns", load.table, len(load.full_schema))

    def lock(
        self, session: Session, load: Load, existing: Mapping[str, str | None] | None
    ) -> Mapping[str, str | None] | None:
        # By the last part of the name, because the same table can be meant with and without its schema.
        key = f"airflow_provider_amc:{load.table.parts[-1]}"
        session.run(Statement("SELECT pg_advisory_xact_lock(hashtext(%s))", (key,)))
        return self.existing_columns(session, load)


class _Successor(Staged):
    """Rows in a table that can take the place of the target.

    :param name: its name.
    """

    def __init__(self, name: TableName) -> None:
        super().__init__(name.sql("postgres"), audit=True)
        self.name = name
        self.placed = False


def _speaks_utf8(session: Session) -> bool:
    """Does the server take text for UTF-8? Binary rows are read by the connection's encoding."""
    (encoding,) = session.ask(Statement("SHOW client_encoding"))
    return str(encoding).upper() in ("UTF8", "UNICODE")


def _checked_table(schema: pa.Schema) -> str:
    columns = []
    for field in schema:
        name, kind = quote(field.name, "postgres"), sql_type(field.type, "postgres")
        # DECIMAL(p, s) would round what has more digits than announced; a value is taken as it is or refused.
        decimal = pa.types.is_decimal(field.type)
        columns.append(
            f"{name} NUMERIC CHECK (min_scale({name}) <= {field.type.scale})" if decimal else f"{name} {kind}"
        )
    return f"CREATE TEMPORARY TABLE {_STAGING} ({', '.join(columns)}){_AT_COMMIT}"


def _copy_csv(cursor: Any, schema: pa.Schema, results: ExecutionResults) -> int:
    copy = f"COPY {_STAGING} ({_names(schema)}) FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')"
    rows = 0
    with closing(open_checked(results, schema)) as files:
        for file in files:
            _copy(cursor, copy, QuotedEndMarks(file.body) if len(schema) == 1 else file.body)
            rows += int(cursor.rowcount)
    return rows


def _copy_binary(cursor: Any, relation: str, schema: pa.Schema, results: ExecutionResults) -> int:
    copy = f"COPY {relation} ({_names(schema)}) FROM STDIN WITH (FORMAT binary)"
    with closing(ahead(binary_rows(results, schema))) as chunks:
        _copy(cursor, copy, cast("BinaryIO", ChunkReader(chunks)))
    return int(cursor.rowcount)


def _each_column(changes: Iterable[str]) -> str:
    return ", ".join(f"ALTER COLUMN {change}" for change in changes)


def _names(schema: pa.Schema) -> str:
    return ", ".join(quote(name, "postgres") for name in schema.names)


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
