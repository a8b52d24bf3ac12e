"""Results as AMC writes them: CSV text (AMC API documentation, "Get your results").

Dates are ``yyyy-MM-dd`` and timestamps ``yyyy-MM-dd'T'HH:mm:ss.SSS``. NULL is an empty field without quotes, so that it
differs from an empty string, which is ``""``. Arrays are ``[a, b]``; a row inside an array is written the same way.

DuckDB makes the lines of a whole batch at once. Doing it row by row in Python would keep the interpreter from answering
other requests for as long as a large result takes.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Fields of a workflow's ``outputFormat``.
SEPARATOR, QUOTE, ESCAPE = "separatorCharacter", "quoteCharacter", "escapeCharacter"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class CsvFormat:
    """How a result is written (``outputFormat`` of a workflow).

    :param separator: stands between fields.
    :param quote: stands around fields that need it.
    :param escape: stands before a quote inside a quoted field, and before itself; the quote itself by default.
    """

    separator: str = ","
    quote: str = '"'
    escape: str = '"'

    @classmethod
    def of(cls, output_format: Mapping[str, Any] | None) -> CsvFormat:
        """The format that a workflow asks for.

        :param output_format: ``outputFormat`` of the workflow; what it leaves out is as usual.
        :raises ValueError: naming the character that is none, or that is used twice.
        """
        given = {name: value for name, value in (output_format or {}).items() if value is not None}
        for name in (SEPARATOR, QUOTE, ESCAPE):
            value = given.get(name, ",")
            if not isinstance(value, str) or len(value) != 1 or value in "\r\n\0":
                raise ValueError(f"Invalid value '{value}' for {name} of outputFormat: expected one character.")
        quote = given.get(QUOTE, '"')
        chosen = cls(given.get(SEPARATOR, ","), quote, given.get(ESCAPE, quote))
        for name, value in ((QUOTE, chosen.quote), (ESCAPE, chosen.escape)):
            if value == chosen.separator:
                raise ValueError(f"Invalid value '{value}' for {name} of outputFormat: it is the separatorCharacter.")
        return chosen


def _timestamp(value: dt.datetime) -> str:
    return f"{value.isoformat()[:19]}.{value.microsecond // 1000:03d}"


def _number(value: float) -> str:
    """The shortest text that reads back as the same double; whole numbers keep their ``.0``, as in Java."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _text(value: Any) -> str:
    """A value inside an array or row, or the array."""
    if isinstance(value, dict | list | tuple):
        parts = value.values() if isinstance(value, dict) else value
        return f"[{', '.join(map(_text, parts))}]"
    for kind, write in _TEXTS:
        if isinstance(value, kind):
            return write(value)
    return "null" if value is None else str(value)


#: How the kinds of values are written; the more special kind first.
_TEXTS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (dt.datetime, _timestamp),
    (dt.date, dt.date.isoformat),
    (float, _number),
    (Decimal, lambda value: format(value, "f")),
    (bytes, bytes.hex),
)


def field_writer(style: CsvFormat | None = None) -> Callable[[Any], str]:
    """A function that writes one field.

    :param style: separator, quote and escape character.
    """
    style = style or CsvFormat()
    escaped = style.escape + style.quote
    special = {style.separator, style.quote, style.escape, "\n", "\r"}

    def write(value: Any) -> str:
        if value is None:
            return ""
        text = _text(value)
        if text and not any(mark in text for mark in special):
            return text
        if style.escape != style.quote:
            text = text.replace(style.escape, style.escape + style.escape)
        return f"{style.quote}{text.replace(style.quote, escaped)}{style.quote}"

    return write


class CsvWriter:
    """Writes the files of one result. For use in one thread.

    :param columns: the output columns; their names make the header.
    :param style: separator, quote and escape character.
    :param few: rows of a batch up to which Python is quicker than a query of DuckDB.
    """

    def __init__(self, columns: Sequence[_Named], style: CsvFormat | None = None, *, few: int = 300) -> None:
        self._style = style or CsvFormat()
        self._few = few
        self._field = field_writer(self._style)
        self._header = self._line(column.name for column in columns)
        self._schema: pa.Schema | None = None
        self._sql = ""
        self._cursor: duckdb.DuckDBPyConnection | None = None

    def write(self, batches: Iterable[pa.RecordBatch], path: Path | str) -> int:
        """Write a file: a header, then the rows. A result without rows is the header alone.

        :param batches: the rows, column by column in the order of the output columns.
        :param path: the file, which is replaced.
        :returns: the number of rows.
        """
        rows = 0
        with open(path, "wb") as file:
            file.write(self._header)
            for batch in batches:
                if batch.num_rows > self._few:
                    for piece in self._lines(batch):
                        file.write(piece)
                else:
                    file.writelines(map(self._line, zip(*(_values(column) for column in batch.columns), strict=True)))
                rows += batch.num_rows
        return rows

    def close(self) -> None:
        """Release the memory of the last batch."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def _line(self, values: Iterable[Any]) -> bytes:
        return f"{self._style.separator.join(map(self._field, values))}\n".encode()

    def _lines(self, batch: pa.RecordBatch) -> Iterable[memoryview]:
        import pyarrow as pa

        if self._cursor is None:
            self._cursor = _new_cursor()
        plain = pa.table(
            [_plain(column) for column in batch.columns], names=[f"c{n}" for n in range(batch.num_columns)]
        )
        if plain.schema != self._schema:
            self._schema = plain.schema
            fields = [_field_sql(f"c{n}", kind, self._style) for n, kind in enumerate(plain.schema.types)]
            self._sql = (
                f"SELECT concat({f', {_literal(self._style.separator)}, '.join(fields)}, chr(10)) FROM the_batch"
            )
        self._cursor.register("the_batch", plain)
        try:
            for chunk in self._cursor.sql(self._sql).to_arrow_table().column(0).chunks:
                yield _content(chunk)
        finally:
            self._cursor.unregister("the_batch")


def _decoded(column: pa.Array) -> pa.Array:
    """A column without a dictionary, and without fractions of a second that no result shows."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _values(column: pa.Array) -> list[Any]:
    return list(_decoded(column).to_pylist())


def _plain(column: pa.Array) -> pa.Array:
    """A column as DuckDB writes it; arrays, rows and what else it would write in another way become texts."""
    import pyarrow as pa

    types = pa.types
    column = _decoded(column)
    kind = column.type
    if types.is_timestamp(kind) and kind.tz is None:
        return column
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal128(kind) or types.is_boolean(kind):
        return column
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_date32(kind):
        return column
    texts = [None if value is None else _text(value) for value in column.to_pylist()]
    return pa.array(texts, pa.string())


def _field_sql(name: str, kind: pa.DataType, style: CsvFormat) -> str:
    """The expression that writes a column as :func:`field_writer` does."""
    import pyarrow as pa

    types = pa.types
    text = f"CAST({name} AS VARCHAR)"
    if types.is_timestamp(kind):
        text = f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%g')"
    elif types.is_floating(kind):
        # Via DOUBLE, because a FLOAT would be written with fewer digits
        wide = f"CAST({name} AS DOUBLE)"
        text = (
            f"CASE WHEN isnan({wide}) THEN 'NaN' WHEN {wide} = 'Infinity' THEN 'Infinity'"
            f" WHEN {wide} = '-Infinity' THEN '-Infinity' ELSE CAST({wide} AS VARCHAR) END"
        )
    elif types.is_decimal(kind) and kind.precision == kind.scale:
        text = f"regexp_replace({text}, '^(-?)[.]', '\\10.')"
    marks = dict.fromkeys((style.separator, style.quote, style.escape, "\n", "\r"))
    special = " OR ".join(f"contains({text}, {_literal(mark)})" for mark in marks)
    quote, escape = _literal(style.quote), _literal(style.escape)
    inner = text if style.escape == style.quote else f"replace({text}, {escape}, {escape} || {escape})"
    quoted = f"{quote} || replace({inner}, {quote}, {escape} || {quote}) || {quote}"
    # concat() leaves out what is NULL, and NULL is an empty field
    return f"CASE WHEN {text} = '' OR {special} THEN {quoted} ELSE {text} END"


def _literal(text: str) -> str:
    return f"chr({ord(text)})"


def _content(texts: pa.Array) -> memoryview:
    """The texts of an array one behind the other, as they lie in memory."""
    import pyarrow as pa

    large = pa.types.is_large_string(texts.type)
    if not large and not pa.types.is_string(texts.type):
        texts = texts.cast(pa.large_string())
        large = True
    _, offsets, data = texts.buffers()
    positions = memoryview(offsets).cast("q" if large else "i")
    return memoryview(data)[positions[texts.offset] : positions[texts.offset + len(texts)]]


_lock = threading.Lock()
_shared: duckdb.DuckDBPyConnection | None = None


def _new_cursor() -> duckdb.DuckDBPyConnection:
    """Work of one writer in the database without tables that all of them share."""
    global _shared
    import duckdb

    with _lock:
        if _shared is None:
            config: dict[str, Any] = {
                "threads": 1,
                "autoload_known_extensions": False,
                "autoinstall_known_extensions": False,
            }
            _shared = duckdb.connect(":memory:", config=config)
        return _shared.cursor()
