"""Results as AMC writes them: CSV text (AMC API documentation, "Get your results").

Dates are ``yyyy-MM-dd`` and timestamps ``yyyy-MM-dd'T'HH:mm:ss.SSS``. NULL is an empty field without quotes, so that it
differs from an empty string, which is ``""``. Arrays are ``[a, b]``; a row inside an array is written the same way.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def _timestamp(value: dt.datetime) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}"


def _number(value: float) -> str:
    """The shortest text that reads back as the same double; whole numbers keep their ``.0``, as in Java."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _inner(value: Any) -> str:
    """A value inside an array or row."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "[" + ", ".join(_inner(part) for part in value.values()) + "]"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inner(part) for part in value) + "]"
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return _timestamp(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict | list | tuple):
        return _inner(value)
    return str(value)


def field_writer(separator: str = ",", quote: str = '"', escape: str | None = None) -> Callable[[Any], str]:
    """A function that writes one field.

    :param separator: stands between fields.
    :param quote: stands around fields that need it.
    :param escape: stands before a quote inside a quoted field; by default a quote.
    """
    escape = quote if escape is None else escape
    escaped = escape + quote
    special = {separator, quote, escape, "\n", "\r"}

    def write(value: Any) -> str:
        if value is None:
            return ""
        text = _text(value)
        if text and not any(mark in text for mark in special):
            return text
        if escape != quote:
            text = text.replace(escape, escape + escape)
        return f"{quote}{text.replace(quote, escaped)}{quote}"

    return write


def header_line(columns: Sequence[_Named], *, separator: str = ",", quote: str = '"') -> str:
    """The header row, with its line break."""
    write = field_writer(separator, quote)
    return separator.join(write(column.name) for column in columns) + "\n"


def batch_lines(batch: pa.RecordBatch, *, separator: str = ",", quote: str = '"', escape: str | None = None) -> str:
    """The rows of a batch as CSV text.

    :param batch: the rows; columns are taken by position.
    :param separator: see :func:`field_writer`.
    :param quote: see :func:`field_writer`.
    :param escape: see :func:`field_writer`.
    """
    write = field_writer(separator, quote, escape)
    columns = [[write(value) for value in column.to_pylist()] for column in batch.columns]
    return "".join(separator.join(row) + "\n" for row in zip(*columns, strict=True))


def write_result_csv(
    batches: Iterable[pa.RecordBatch],
    columns: Sequence[_Named],
    path: Path | str,
    *,
    separator: str = ",",
    quote: str = '"',
    escape: str | None = None,
) -> int:
    """Write a result file: a header, then the rows. A result without rows is the header alone.

    :param batches: the rows, column by column in the order of ``columns``.
    :param columns: the output columns; their names make the header.
    :param path: the file, which is replaced.
    :param separator: between fields (``outputFormat.separatorCharacter``).
    :param quote: around fields (``outputFormat.quoteCharacter``).
    :param escape: before quotes (``outputFormat.escapeCharacter``).
    :returns: the number of rows.
    """
    rows = 0
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(header_line(columns, separator=separator, quote=quote))
        for batch in batches:
            file.write(batch_lines(batch, separator=separator, quote=quote, escape=escape))
            rows += batch.num_rows
    return rows
