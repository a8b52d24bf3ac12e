"""SQLite: the batched inserts of :mod:`.dbapi`, with the values and types that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.loaders.dbapi import DbApiLoader
from airflow_provider_amc.landing.loaders.session import Session
from airflow_provider_amc.landing.sql_types import sql_type
from airflow_provider_amc.landing.table import Load


class SqliteLoader(DbApiLoader):
    """Load into a SQLite file.

    SQLite has no exact decimals, dates or timestamps: they are stored as text, dates and timestamps in ISO 8601.
    """

    create_staging = "CREATE TEMPORARY TABLE"

    def __init__(self, hook: Any) -> None:
        super().__init__(hook)
        self.transactional_ddl = True

    def staging_table(self, load: Load, name: str) -> str:
        return f'temp."{name}"'

    def existing_columns(self, session: Session, load: Load) -> Mapping[str, str | None] | None:
        *schema, table = load.table.parts
        listed = session.cursor.execute(
            "SELECT name, type FROM pragma_table_info(?, ?)", (table, schema[-1] if schema else "main")
        )
        return {name: _affinity(kind) for name, kind in listed.fetchall()} or None

    def lock(
        self, session: Session, load: Load, existing: Mapping[str, str | None] | None
    ) -> Mapping[str, str | None] | None:
        # Python's driver would begin with the first row only, and a CREATE TABLE would stay.
        session.cursor.execute("BEGIN IMMEDIATE")
        return self.existing_columns(session, load)

    def widen(self, session: Session, load: Load, name: str, kind: pa.DataType) -> None:
        raise AmcLoadError(
            f"Column {name} of {load.table} has to become {sql_type(kind, '')}, and SQLite cannot change the type of a "
            "column. Load with mode='replace_table', or into a new table. Nothing was changed."
        )

    def stored_schema(self, schema: pa.Schema) -> pa.Schema:
        return pa.schema([pa.field(field.name, _stored_as(field.type)) for field in schema])

    def bound(self, values: Sequence[Any]) -> list[Any]:
        return [_plain(value) for value in values]


def _stored_as(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_decimal(kind) or pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(kind) else kind


def _affinity(declared: str) -> str | None:
    """The type that SQLite makes of a declared one (SQLite documentation, "Determination Of Column Affinity")."""
    name = declared.upper()
    for words, kind in ((("INT",), "BIGINT"), (("CHAR", "CLOB", "TEXT"), "TEXT"), (("REAL", "FLOA", "DOUB"), "DOUBLE")):
        if any(word in name for word in words):
            return kind
    # Digits written as text would become a number of eight bytes. Dates and times stay the text that they are.
    return "NUMERIC" if name.startswith(("NUMERIC", "DEC")) else None


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else value
