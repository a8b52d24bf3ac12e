"""SQL column types: how a result's types are spelled, what fits into a column that exists, and which type holds both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa
from sqlglot import exp

_SQL_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "SMALLINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us"): "TIMESTAMP",
    pa.string(): "TEXT",
}

#: By the first word of a type's name, or all of it.
_FAMILIES = (
    ("boolean", r"bool|boolean|bit"),
    ("integer", r"u?(tiny|small|medium|big|huge)?int(eger)?|int[248]|(small|big)?serial"),
    ("decimal", r"decimal|dec|numeric|number"),
    ("float", r"float[48]?|double|real"),
    ("timestamp", r"timestamp\w*|datetime\w*"),
    ("date", r"date"),
    ("text", r"n?(var)?char2?|character|bpchar|(tiny|medium|long|ci)?text|string|n?clob|jsonb?|variant"),
)

#: Integers by the first word of a type's name: decimal digits that every value of so many digits fits into. Whatever is
#: not here has four bytes.
_INTEGER_DIGITS = (
    (r"u?tinyint", 2),
    (r"u?smallint|int2|smallserial", 4),
    (r"mediumint", 6),
    (r"u?bigint|int8|bigserial", 18),
    (r"u?hugeint", 38),
)

#: Types of four bytes, which round a DOUBLE.
_SINGLE = re.compile(r"real|float4?(\(.*)?")

_SIZE = re.compile(r"\(\s*(\d+)\s*(?:,\s*(-?\d+)\s*)?\)")

#: Digits of a whole number that a FLOAT and a DOUBLE keep exactly.
_FLOAT_DIGITS = {pa.float32(): 7, pa.float64(): 15}

#: The longest decimal that Arrow has.
_ARROW_PRECISION = 76


class Fit(Enum):
    """How the values of a result fit into a column."""

    #: Each of them.
    WHOLE = "whole"
    #: The database refuses some, for their size. None is changed.
    NARROW = "narrow"
    #: Some would be changed, such as rounded, or are of another kind.
    NOT = "not"


@dataclass(frozen=True)
class Digits:
    """Digits of an exact number before and after the point; ``None`` without a limit.

    :param whole: before the point.
    :param scale: after it.
    """

    whole: int | None
    scale: int | None

    def hold(self, other: Digits) -> bool:
        """Whether numbers of ``other`` digits keep all of them here."""
        return self.hold_fraction(other) and (
            self.whole is None or (other.whole is not None and other.whole <= self.whole)
        )

    def hold_fraction(self, other: Digits) -> bool:
        """Whether they keep those after the point."""
        return self.scale is None or (other.scale is not None and other.scale <= self.scale)


def quote(name: str, dialect: str) -> str:
    """Quote an identifier in a SQL dialect, whatever characters it has."""
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect or None)


def sql_type(kind: pa.DataType, dialect: str) -> str:
    """Spell an Arrow type as a column type of a SQL dialect."""
    return data_type(kind).sql(dialect=dialect or None)


def data_type(kind: pa.DataType) -> exp.DataType:
    """The SQL type of an Arrow type, as a tree."""
    decimal = pa.types.is_decimal(kind)
    return exp.DataType.build(f"DECIMAL({kind.precision}, {kind.scale})" if decimal else _SQL_TYPES.get(kind, "TEXT"))


def family(sql_type_name: str) -> str | None:
    """Family of a SQL type by its name, ``None`` for types not known here."""
    text = sql_type_name.strip().lower()
    word = re.match(r"\w*", text)
    if word is None or text.endswith("]"):
        return None
    return next((name for name, pattern in _FAMILIES if re.fullmatch(pattern, word[0])), None)


def fit(kind: pa.DataType, existing: str | None) -> Fit:
    """Say how values of a type fit into a column.

    :param kind: the result's type.
    :param existing: SQL type of the column, ``None`` when it is not known. Types not known here are left to the database.
    """
    target = None if existing is None else family(existing)
    if existing is None or target is None or target == "text":
        return Fit.WHOLE
    have, need = column_digits(existing), _digits(kind)
    if have is not None and need is not None:
        if have.hold(need) or _same_integer(kind, existing):
            return Fit.WHOLE
        return Fit.NARROW if have.hold_fraction(need) else Fit.NOT
    source = family(sql_type(kind, ""))
    if target == "float":
        exact = 7 if _SINGLE.fullmatch(existing.lower()) else 15
        fits = not (kind == pa.float64() and exact == 7) if source == "float" else _whole_digits(kind) <= exact
        return Fit.WHOLE if fits else Fit.NOT
    same = source == target or (source, target) == ("date", "timestamp")
    return Fit.WHOLE if same else Fit.NOT


def wider(kind: pa.DataType, existing: str) -> pa.DataType | None:
    """Return the type that keeps both the values of a column and those of a result.

    :param kind: the result's type.
    :param existing: SQL type of the column.
    :returns: the type, ``None`` where there is none without loss.
    """
    have, need = column_digits(existing), _digits(kind)
    if have is not None and need is not None:
        if pa.types.is_integer(kind) and family(existing) == "integer":
            return kind
        if None in (have.whole, have.scale, need.whole, need.scale):
            return None
        # An integer column holds a little more than its sure digits.
        whole = max((have.whole or 0) + (family(existing) == "integer"), need.whole or 0)
        scale = max(have.scale or 0, need.scale or 0)
        return _decimal(whole + scale, scale)
    target = family(existing)
    if pa.types.is_floating(kind) and target == "float":
        return pa.float64()
    if pa.types.is_floating(kind) and have is not None and target == "integer":
        return kind if (have.whole or 0) < _FLOAT_DIGITS[kind] else None
    return kind if target == "date" and pa.types.is_timestamp(kind) else None


def text_limit(existing: str | None) -> int | None:
    """Characters or bytes that a text column takes at most, ``None`` when nothing limits it."""
    size = _SIZE.search(existing or "")
    return int(size[1]) if existing and size and family(existing) == "text" else None


def column_digits(existing: str) -> Digits | None:
    """Digits that a column of an exact number keeps for sure, ``None`` for other types."""
    text = existing.strip().lower()
    kind = family(text)
    if kind == "integer":
        word = re.match(r"\w*", text)
        named = word[0] if word else ""
        return Digits(next((digits for pattern, digits in _INTEGER_DIGITS if re.fullmatch(pattern, named)), 9), 0)
    if kind != "decimal":
        return None
    size = _SIZE.search(text)
    if size is None:
        return Digits(None, None)
    scale = int(size[2] or 0)
    return Digits(int(size[1]) - scale, scale)


def _digits(kind: pa.DataType) -> Digits | None:
    if pa.types.is_decimal(kind):
        return Digits(kind.precision - kind.scale, kind.scale)
    return Digits(_whole_digits(kind), 0) if pa.types.is_integer(kind) else None


def _whole_digits(kind: pa.DataType) -> int:
    """Digits of the largest whole number of a type; more than any number keeps for types that are none."""
    return len(str(2 ** (kind.bit_width - 1))) if pa.types.is_integer(kind) else 1000


def _same_integer(kind: pa.DataType, existing: str) -> bool:
    """Whether an integer column is as wide as the result's: it holds more than its sure digits."""
    own = column_digits(sql_type(kind, "")) if pa.types.is_integer(kind) else None
    have = column_digits(existing)
    return own is not None and have is not None and family(existing) == "integer" and have.hold(own)


def _decimal(precision: int, scale: int) -> pa.DataType | None:
    if precision > _ARROW_PRECISION:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
