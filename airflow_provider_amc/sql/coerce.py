"""Values of bound expressions, and the casts that AMC SQL makes by itself.

Calcite, on which AMC's SQL stands, compares a string with a number as numbers and a string with a date as dates, and
lets string functions take anything. DuckDB does not, so the casts are written out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_provider_amc.sql.lineage import Lineage
from airflow_provider_amc.sql.types import (
    ANY,
    BOOLEAN,
    DATE,
    DOUBLE,
    LONG,
    STRING,
    TIMESTAMP,
    SqlType,
    common_type,
    to_duckdb,
)

_EXACT = SqlType("DECIMAL", 38, 10)

#: Name of the DuckDB parameter that holds the present moment, UTC.
NOW = "$now"


@dataclass(frozen=True)
class Value:
    """A bound expression.

    :param sql: its DuckDB SQL.
    :param type: its AMC type.
    :param metric: does its number come from a metric, so that adding it up makes sense?
    :param text: for a string or number literal its content, else ``None``.
    :param lineage: where its content comes from; ``None`` until its binder has said so.
    """

    sql: str
    type: SqlType
    metric: bool = False
    text: str | None = None
    lineage: Lineage | None = None

    def of(self, sql: str, new_type: SqlType) -> Value:
        """The same value after a change of type."""
        return replace(self, sql=sql, type=new_type, text=None)


def quote_text(text: str) -> str:
    """A string as a DuckDB literal.

    :raises ValueError: it holds a NUL character, which no AMC string has.
    """
    if "\x00" in text:
        raise ValueError("A string must not hold a NUL character")
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """A name as a DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def to_string(value: Value) -> Value:
    """As a string; numbers, dates and booleans are written out."""
    if value.type.kind == "STRING":
        return value
    return value.of(f"CAST({value.sql} AS VARCHAR)", STRING)


_WHOLE = re.compile(r"\s*[+-]?\d{1,18}\s*")


def to_number(value: Value, wanted: SqlType = DOUBLE) -> Value:
    """As a number; a string that is none becomes NULL.

    :param value: the value.
    :param wanted: the type a string is read as. A string literal that is a whole number stays whole, so that 18-digit
        ids compare exactly.
    """
    if value.type.is_number:
        return value
    if value.type.kind == "STRING":
        if value.text is not None and _WHOLE.fullmatch(value.text):
            return value.of(f"CAST({quote_text(value.text.strip())} AS BIGINT)", LONG)
        if value.text is not None:
            wanted = DOUBLE
        return value.of(f"TRY_CAST({value.sql} AS {to_duckdb(wanted)})", wanted)
    if value.type.kind == "BOOLEAN":
        return value.of(f"CAST({value.sql} AS INTEGER)", SqlType("INTEGER"))
    return value


def to_moment(value: Value, wanted: SqlType = TIMESTAMP) -> Value:
    """As a date or timestamp; a string that is none becomes NULL, ``'today'`` and ``'now'`` are understood."""
    if value.type.kind == "STRING":
        word = (value.text or "").strip().lower()
        if word in ("now", "today", "yesterday", "tomorrow"):
            day = {"yesterday": " - INTERVAL 1 DAY", "tomorrow": " + INTERVAL 1 DAY"}.get(word, "")
            moment = f"CAST({NOW} AS TIMESTAMP)"
            if word != "now":
                moment = f"(date_trunc('day', {moment}){day})"
            return value.of(f"CAST({moment} AS {to_duckdb(wanted)})", wanted)
        return value.of(f"TRY_CAST({value.sql} AS {to_duckdb(wanted)})", wanted)
    return value


def to_timestamp(value: Value) -> Value:
    """As a timestamp, midnight for a date."""
    value = to_moment(value)
    if value.type.kind == "DATE":
        return value.of(f"CAST({value.sql} AS TIMESTAMP)", TIMESTAMP)
    return value


def to_boolean(value: Value) -> Value:
    """As a boolean; strings such as ``'true'`` are read."""
    if value.type.kind in ("STRING",) or value.type.is_number:
        return value.of(f"TRY_CAST({value.sql} AS BOOLEAN)", BOOLEAN)
    return value


def comparable(values: Sequence[Value]) -> list[Value]:
    """Values brought to types that DuckDB can compare.

    :param values: two or more values.
    :returns: the same values, strings read as numbers, dates or booleans where another value is one.
    """
    kinds = {value.type.kind for value in values if not value.type.is_open}
    if "STRING" not in kinds or len(kinds) == 1:
        return list(values)
    if any(value.type.is_number for value in values):
        whole = all(value.type.is_integer for value in values if value.type.is_number)
        # Decimals are exact for 18-digit ids, and tell '10.5' from 10
        return [to_number(value, _EXACT if whole else DOUBLE) for value in values]
    if "TIMESTAMP" in kinds:
        return [to_moment(value, TIMESTAMP) for value in values]
    if "DATE" in kinds:
        # '2026-01-05 10:00:00' against a date is a moment within that day, not the day
        timed = any(value.text is not None and len(value.text.strip()) > 10 for value in values)
        return [to_moment(value, TIMESTAMP if timed else DATE) for value in values]
    if "BOOLEAN" in kinds:
        return [to_boolean(value) for value in values]
    return list(values)


def alike(values: Sequence[Value]) -> tuple[list[Value], SqlType] | None:
    """Values brought to their common type, for CASE, COALESCE and UNION.

    :param values: one or more values.
    :returns: the values and the type, ``None`` when they have no common type.
    """
    together = common_type(value.type for value in values)
    if together is None:
        return None
    if together.kind == "STRING":
        return [value if value.type.kind == "NULL" else to_string(value) for value in values], together
    return list(values), together


def can_cast(found: SqlType, wanted: SqlType) -> bool:
    """May a CAST turn one type into another? As in Calcite's table of conversions."""
    if found.is_open or found.kind == wanted.kind:
        return found.kind not in ("ARRAY", "STRUCT", "MAP") or can_cast(found.element or ANY, wanted.element or ANY)
    if wanted.kind == "STRING":
        return found.kind != "INTERVAL"
    if found.kind == "STRING":
        return wanted.kind not in ("ARRAY", "STRUCT", "MAP", "INTERVAL")
    if found.is_number:
        return wanted.is_number or (wanted.kind == "TIMESTAMP" and found.is_integer)
    if found.is_moment:
        return wanted.is_moment
    return found.kind == "BOOLEAN" and wanted.is_integer


def cast(value: Value, wanted: SqlType) -> Value:
    """An explicit CAST.

    A string that cannot be read as the wanted type becomes NULL. Fractions are cut off, not rounded, when they become
    integers (as in Java, on which AMC runs).
    """
    target = to_duckdb(wanted)
    kind = value.type.kind
    if wanted.is_moment and kind == "STRING":
        moment = to_moment(value, wanted)
        return replace(moment, metric=False)
    if wanted.kind == "TIMESTAMP" and value.type.is_integer:
        return value.of(f"make_timestamp(CAST({value.sql} AS BIGINT) * 1000000)", wanted)
    if wanted.is_integer and kind in ("DECIMAL", "FLOAT", "DOUBLE"):
        return value.of(f"CAST(trunc({value.sql}) AS {target})", wanted)
    if wanted.is_integer and kind == "STRING":
        return value.of(f"TRY_CAST(trunc(TRY_CAST({value.sql} AS DECIMAL(38,10))) AS {target})", wanted)
    if kind == "STRING" and wanted.kind == "BINARY":
        return value.of(f"encode({value.sql})", wanted)
    if kind == "BINARY" and wanted.kind == "STRING":
        return value.of(f"decode({value.sql})", wanted)
    how = "TRY_CAST" if kind in ("STRING", "ANY") and wanted.kind != "STRING" else "CAST"
    return value.of(f"{how}({value.sql} AS {target})", wanted)
