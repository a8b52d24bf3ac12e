"""AMC's data types, their DuckDB counterparts, and the type two values have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

INTEGERS = ("BYTE", "SHORT", "INTEGER", "LONG")
FRACTIONS = ("DECIMAL", "FLOAT", "DOUBLE")
NUMBERS = (*INTEGERS, *FRACTIONS)
MOMENTS = ("DATE", "TIMESTAMP")


@dataclass(frozen=True)
class SqlType:
    """A type of AMC SQL.

    :param kind: ``STRING``, ``LONG``, ... as in the API's ``dataType``; also ``NULL``, ``INTERVAL`` and ``ANY`` (not
        known) inside expressions.
    :param precision: of a DECIMAL; ``None`` when only the database knows it.
    :param scale: of a DECIMAL.
    :param element: of an ARRAY.
    :param fields: names and types of a STRUCT, or key and value of a MAP.
    """

    kind: str
    precision: int | None = None
    scale: int | None = None
    element: SqlType | None = None
    fields: tuple[tuple[str, SqlType], ...] = ()

    @property
    def is_number(self) -> bool:
        return self.kind in NUMBERS

    @property
    def is_integer(self) -> bool:
        return self.kind in INTEGERS

    @property
    def is_moment(self) -> bool:
        return self.kind in MOMENTS

    @property
    def is_open(self) -> bool:
        """Can any other type take its place?"""
        return self.kind in ("NULL", "ANY")

    def __str__(self) -> str:
        if self.kind == "ARRAY" and self.element is not None:
            return f"ARRAY<{self.element}>"
        if self.kind == "DECIMAL" and self.precision is not None:
            return f"DECIMAL({self.precision},{self.scale or 0})"
        return self.kind


STRING = SqlType("STRING")
BOOLEAN = SqlType("BOOLEAN")
INTEGER = SqlType("INTEGER")
LONG = SqlType("LONG")
DOUBLE = SqlType("DOUBLE")
DECIMAL = SqlType("DECIMAL")
DATE = SqlType("DATE")
TIMESTAMP = SqlType("TIMESTAMP")
INTERVAL = SqlType("INTERVAL")
BINARY = SqlType("BINARY")
NULL = SqlType("NULL")
ANY = SqlType("ANY")


def array_of(element: SqlType) -> SqlType:
    """The array type with these elements."""
    return SqlType("ARRAY", element=element)


_TO_DUCKDB = {
    "STRING": "VARCHAR",
    "BOOLEAN": "BOOLEAN",
    "BYTE": "TINYINT",
    "SHORT": "SMALLINT",
    "INTEGER": "INTEGER",
    "LONG": "BIGINT",
    "FLOAT": "DOUBLE",
    "DOUBLE": "DOUBLE",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "BINARY": "BLOB",
    "INTERVAL": "INTERVAL",
    "NULL": "VARCHAR",
    "ANY": "VARCHAR",
}
_FROM_DUCKDB = {
    "VARCHAR": "STRING",
    "UUID": "STRING",
    "JSON": "STRING",
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "BYTE",
    "SMALLINT": "SHORT",
    "UTINYINT": "SHORT",
    "INTEGER": "INTEGER",
    "USMALLINT": "INTEGER",
    "BIGINT": "LONG",
    "UINTEGER": "LONG",
    "UBIGINT": "LONG",
    "HUGEINT": "LONG",
    "UHUGEINT": "LONG",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "DATE": "DATE",
    "BLOB": "BINARY",
    "INTERVAL": "INTERVAL",
    '"NULL"': "STRING",
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def parse_type(text: str) -> SqlType:
    """Read a type as the catalogue and the API write it.

    :param text: such as ``LONG``, ``DECIMAL(38,4)``, ``ARRAY<STRING>``.
    :returns: the type; a bare ``DECIMAL`` gets precision 38 and scale 4, as in the documented tables.
    :raises ValueError: there is no such type.
    """
    name = text.strip().upper()
    if name.startswith("ARRAY<") and name.endswith(">"):
        return array_of(parse_type(name[6:-1]))
    if match := _DECIMAL.fullmatch(name):
        return SqlType("DECIMAL", int(match[1]), int(match[2]))
    if name == "DECIMAL":
        return SqlType("DECIMAL", 38, 4)
    if name not in _TO_DUCKDB or name in ("NULL", "ANY"):
        raise ValueError(f"Unknown AMC data type {text!r}")
    return SqlType(name)


def to_duckdb(sql_type: SqlType) -> str:
    """Name of the DuckDB type that holds values of a type."""
    if sql_type.kind == "ARRAY":
        return f"{to_duckdb(sql_type.element or STRING)}[]"
    if sql_type.kind == "DECIMAL":
        return f"DECIMAL({sql_type.precision or 38},{sql_type.scale if sql_type.scale is not None else 10})"
    if sql_type.kind == "STRUCT":
        inner = ", ".join('"{}" {}'.format(name.replace('"', '""'), to_duckdb(part)) for name, part in sql_type.fields)
        return f"STRUCT({inner})"
    if sql_type.kind == "MAP":
        key, value = (part for _, part in sql_type.fields)
        return f"MAP({to_duckdb(key)}, {to_duckdb(value)})"
    return _TO_DUCKDB[sql_type.kind]


def from_duckdb(text: str) -> SqlType:
    """The AMC type of a DuckDB type.

    :param text: as ``DESCRIBE`` writes it, such as ``BIGINT`` or ``DECIMAL(38,4)[]``.
    :returns: the type; whatever AMC has no word for becomes STRING.
    """
    if text.endswith("[]"):
        return array_of(from_duckdb(text[:-2]))
    if match := _DECIMAL.fullmatch(text):
        return SqlType("DECIMAL", int(match[1]), int(match[2]))
    if text.startswith("TIMESTAMP"):
        return TIMESTAMP
    if text.startswith("STRUCT("):
        return SqlType("STRUCT")
    if text.startswith("MAP("):
        return SqlType("MAP")
    return SqlType(_FROM_DUCKDB.get(text, "STRING"))


def _common_pair(left: SqlType, right: SqlType) -> SqlType | None:
    if left == right or right.is_open:
        return left
    if left.is_open:
        return right
    kinds = {left.kind, right.kind}
    if left.is_number and right.is_number:
        if kinds & {"DOUBLE", "FLOAT"}:
            return DOUBLE
        if "DECIMAL" in kinds:
            return DECIMAL
        return SqlType(max(kinds, key=INTEGERS.index))
    if kinds == {"DATE", "TIMESTAMP"}:
        return TIMESTAMP
    if "STRING" in kinds and not kinds & {"ARRAY", "STRUCT", "MAP", "INTERVAL"}:
        return STRING
    if kinds == {"ARRAY"}:
        element = _common_pair(left.element or ANY, right.element or ANY)
        return array_of(element) if element else None
    if kinds == {"STRUCT"}:
        return left
    return None


def common_type(types: Iterable[SqlType]) -> SqlType | None:
    """The type that CASE branches, COALESCE arguments or UNION columns have together.

    Numbers widen, a date with a timestamp is a timestamp, and a string with a number, date or boolean is a string,
    as in Calcite's implicit type coercion.

    :param types: the types, at least one.
    :returns: the common type, ``None`` when there is none.
    """
    result: SqlType | None = NULL
    for one in types:
        if result is None:
            return None
        result = _common_pair(result, one)
    return result
