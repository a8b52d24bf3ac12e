"""SQLite: the batched inserts of :mod:`.dbapi`, with the values and types that it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from airflow_provider_amc.landing.loaders.dbapi import DbApiLoader
from airflow_provider_amc.landing.table import create_table


class SqliteLoader(DbApiLoader):
    """Load into a SQLite file.

    SQLite has no exact decimals, dates or timestamps: they are stored as text, dates and timestamps in ISO 8601.
    """

    @contextmanager
    def transaction(self, connection: Any) -> Iterator[Any]:
        with super().transaction(connection) as cursor:
            # Python's driver would begin with the first row only, and CREATE TABLE would stay.
            cursor.execute("BEGIN IMMEDIATE")
            yield cursor

    def create_statement(self, table: str, schema: pa.Schema) -> str:
        text = pa.schema([pa.field(field.name, _stored_as(field.type)) for field in schema])
        return create_table(table, text, self.dialect)

    def bound(self, values: Sequence[Any]) -> list[Any]:
        return [_plain(value) for value in values]


def _stored_as(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_decimal(kind) or pa.types.is_temporal(kind) else kind


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else value
