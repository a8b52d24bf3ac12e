"""The output columns that a workflow promises: read at create, compared with its query when it is compiled.

AMC compiles a workflow with ``outputColumns`` only if its query gives exactly these (AMC API documentation,
``outputColumns`` of a workflow).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import Any

#: Simple data types of parameters and columns (AMC API documentation, ``dataType``).
DATA_TYPES = frozenset(
    {
        *("BINARY", "BOOLEAN", "BYTE", "CALENDAR_INTERVAL", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INTEGER", "LONG"),
        *("SHORT", "STRING", "TIMESTAMP"),
    }
)
_MOST_DIGITS = 38
_PARTS = (
    ("name", "name"),
    ("dataType", "data type"),
    ("columnType", "column type"),
    ("dataTypePrecision", "precision"),
    ("dataTypeScale", "scale"),
)


def simple_type(data_type: object) -> object:
    """The name of a data type, which may be an object such as ``{"type": "ARRAY", "elementDataType": "STRING"}``."""
    return data_type.get("type") if isinstance(data_type, Mapping) else data_type


def check_digits(column: Mapping[str, Any]) -> None:
    """Check the precision and scale of a promised column.

    :raises ValueError: naming the field that is wrong.
    """
    precision, scale = column.get("dataTypePrecision"), column.get("dataTypeScale")
    most = precision if isinstance(precision, int) else _MOST_DIGITS
    for field, value, least, limit in (
        ("dataTypePrecision", precision, 1, _MOST_DIGITS),
        ("dataTypeScale", scale, 0, most),
    ):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= limit:
            raise ValueError(
                f"Invalid value '{value}' for {field} of {column.get('name')} in outputColumns: "
                f"expected a whole number from {least} to {limit}."
            )


def differences(
    promised: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], optional: Collection[str] = ()
) -> list[str]:
    """Everything in which a query differs from the columns its workflow promises.

    :param promised: ``outputColumns`` of the workflow; what an entry leaves out is not compared.
    :param found: the columns of the query, as the API shows them.
    :param optional: names of columns at the end, which AMC adds and a promise may leave out.
    :returns: a sentence for each difference, without full stop.
    """
    told = []
    if len(found) > len(promised) and all(column["name"] in optional for column in found[len(promised) :]):
        found = found[: len(promised)]
    if len(promised) != len(found):
        told.append(f"the workflow specifies {len(promised)} output columns but its query produces {len(found)}")
    for number, (want, have) in enumerate(zip_longest(promised, found), start=1):
        if have is None:
            told.append(f"column {number}: the query produces no {want.get('name')}")
        elif want is None:
            told.append(f"column {number}: {have['name']} is not specified")
        else:
            for field, title in _PARTS:
                wanted, real = simple_type(want.get(field)), have.get(field)
                if wanted is not None and wanted != real:
                    actual = f"is {real}" if real is not None else f"has no {title}"
                    told.append(f"column {number} ({have['name']}): {title} {wanted} is specified but it {actual}")
    return told
