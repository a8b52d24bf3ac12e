"""Types and names of columns in the Glue catalogue, as Athena reads them from Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.sql_types import sql_type

_ARROW = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "string": pa.string(),
}

_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")

_DECIMAL_DIGITS = 38

#: Types as which Athena reads columns of partitions that have another one (Athena documentation, "Types of updates").
_READ_AS = {
    "tinyint": ("smallint", "int", "bigint"),
    "smallint": ("int", "bigint"),
    "int": ("bigint",),
    "float": ("double",),
}

#: What Glue takes for a name (Glue API, "Column"), without what Hive separates names with.
_NAME = re.compile("[\t\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_SEPARATORS = ",:."
_NAME_BYTES = 255


def hive_type(kind: pa.DataType) -> str:
    """Spell an Arrow type as the catalogue does."""
    return sql_type(kind, "hive").lower().replace(" ", "")


def arrow_type_of(column: str, kind: str) -> pa.DataType:
    """The Arrow type by which values are written for a column.

    :param column: its name.
    :param kind: its type in the catalogue.
    :raises AmcLoadError: no result has values of this type, or it would cut them.
    """
    text = kind.strip().lower().replace(" ", "")
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    found = _ARROW.get(text)
    if found is None:
        raise AmcLoadError(
            f"The column {column} of the table is {kind}, into which no column of a result is loaded; text goes into "
            "columns of the type string. Change the type of the column, or give the one of the result another alias. "
            "Nothing was changed."
        )
    return found


def check_columns(schema: pa.Schema) -> None:
    """Check that Athena can have columns of these names and types.

    :raises AmcLoadError: it cannot.
    """
    wrong = [name for name in schema.names if not _is_name(name)]
    if wrong:
        raise AmcLoadError(
            f"Athena has no columns named {', '.join(map(repr, wrong))}: a name has up to {_NAME_BYTES} bytes, no line "
            f"breaks and none of {' '.join(_SEPARATORS)}. Give them other aliases in the query. Nothing was changed."
        )
    long = [field for field in schema if pa.types.is_decimal(field.type) and field.type.precision > _DECIMAL_DIGITS]
    if long:
        raise AmcLoadError(
            f"A decimal in Athena has up to {_DECIMAL_DIGITS} digits, and "
            f"{', '.join(f'{field.name} has {field.type.precision}' for field in long)}. Cast in the query. "
            "Nothing was changed."
        )


def check_widened(table: object, existing: Mapping[str, str | None], widened: Mapping[str, pa.DataType]) -> None:
    """Check that Athena reads the files that are there also as the wider types.

    :param table: name of the table, for the message.
    :param existing: types of the columns.
    :param widened: wider types, by column.
    :raises AmcLoadError: it does not.
    """
    changes = {name: (str(existing[name]), hive_type(kind)) for name, kind in widened.items()}
    wrong = [f"{name} from {old} to {new}" for name, (old, new) in changes.items() if new not in _READ_AS.get(old, ())]
    if wrong:
        raise AmcLoadError(
            f"The result does not fit into the existing table {table}: Athena would not read the files that are there "
            f"after a change of {'; '.join(wrong)}. Cast in the query, or make the table anew with mode='replace_table'. "
            "Nothing was changed."
        )


def differing(partition: Mapping[str, str], table: Mapping[str, str]) -> Iterable[str]:
    """Columns that have another type in the table than in a partition."""
    return [name for name, kind in partition.items() if table.get(name, kind) != kind]


def _is_name(name: str) -> bool:
    fits = _NAME.fullmatch(name) and len(name.lower().encode()) <= _NAME_BYTES
    return bool(fits) and not any(mark in name for mark in _SEPARATORS)
