"""Types of a result: from AMC's ``outputColumns`` to Arrow, and from Arrow to SQL column types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcResultError

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import OutputColumn

#: Precision and scale AMC reports for computed decimals; used where a column states none
#: (recorded executions in Amazon's Postman collection).
DEFAULT_DECIMAL = (38, 17)

_ARROW = {
    "BOOLEAN": pa.bool_(),
    "BYTE": pa.int8(),
    "SHORT": pa.int16(),
    "INTEGER": pa.int32(),
    "LONG": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "STRING": pa.string(),
}


class ColumnTypes(Protocol):
    """How one kind of database spells the types of a result."""

    def __call__(self, kind: pa.DataType) -> str:
        """Return the column type in SQL."""
        ...


def arrow_type(column: OutputColumn) -> pa.DataType:
    """Arrow type of an output column. Types without a plain text form (arrays, binary) stay text."""
    kind = (column.data_type or "STRING").upper()
    if kind == "DECIMAL":
        precision = column.precision or DEFAULT_DECIMAL[0]
        scale = column.scale if column.scale is not None else (0 if column.precision else DEFAULT_DECIMAL[1])
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return _ARROW.get(kind, pa.string())


def arrow_schema(columns: Iterable[OutputColumn]) -> pa.Schema:
    """Arrow schema of a result.

    :param columns: the execution's ``outputColumns``.
    :raises AmcResultError: the execution reports no columns, as before it has finished.
    """
    fields = [pa.field(column.name, arrow_type(column)) for column in columns]
    if not fields:
        raise AmcResultError(
            "The execution reports no outputColumns, so the types of its result are unknown. AMC adds them when the "
            "execution has succeeded; a dry run has none."
        )
    return pa.schema(fields)


def check_header(header: Sequence[str], schema: pa.Schema, file_index: int) -> None:
    """Compare the header of a result file with ``outputColumns``.

    :raises AmcResultError: the names differ. Nothing of the file has been used. The message names what was announced
        and not what was found: a file without a header begins with the values of its first row.
    """
    expected = schema.names
    if list(header) == expected:
        return
    if sorted(header) == sorted(expected):
        found = f"has the columns in another order: {', '.join(header)}"
    elif len(header) != len(expected):
        found = f"has {len(header)} columns instead of {len(expected)}"
    else:
        differing = [name for name, other in zip(expected, header, strict=True) if name != other]
        found = f"has another name, or no header at all, where {', '.join(differing)} should be"
    raise AmcResultError(
        f"The header of result file {file_index} {found}. The execution announced {', '.join(expected)} "
        "(outputColumns). Nothing was loaded from this file."
    )
