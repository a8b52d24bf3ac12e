"""Files of rows in the formats that AMC takes, read as text: CSV, JSON and Parquet, compressed or not.

Everything becomes text first, so that one set of rules decides what a value of a column may look like, whatever the file
is. Facts: AMC API documentation, "Prepare data".
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator import snappy

if TYPE_CHECKING:
    import pyarrow

_PARQUET_MAGIC = b"PAR1"
_NEW_LINE = "\n"
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "NONE": bytes,
    "GZIP": gzip.decompress,
    "BZIP": bz2.decompress,
    "SNAPPY": snappy.decompress,
}
#: Formats of compression that AMC takes; the documentation still names ZIP, which it retired in 2025.
COMPRESSIONS = tuple(_DECOMPRESS)
#: Options of ``csvDataFormat`` and what they are when they are not given.
CSV_DEFAULTS = {
    "fieldDelimiter": ",",
    "quoteCharacter": '"',
    "quoteEscapeCharacter": "\\",
    "recordDelimiter": _NEW_LINE,
    "commentCharacter": "",
}


def read(data: bytes, file_format: Mapping[str, Any], compression: str) -> pyarrow.Table:
    """The rows of a file, every column as text.

    :param data: the file.
    :param file_format: ``fileFormat`` of the upload.
    :param compression: ``compressionFormat`` of the upload. Parquet compresses inside of the file.
    :raises ValueError: the file is not of that format; the text has no value of a row in it.
    """
    if not ("parquetDataFormat" in file_format and data.startswith(_PARQUET_MAGIC)):
        try:
            data = _DECOMPRESS[compression](data)
        except (OSError, EOFError, ValueError, zlib.error):
            raise ValueError(f"the file is not compressed with {compression}") from None
    if "csvDataFormat" in file_format:
        return _csv(data, {**CSV_DEFAULTS, **file_format["csvDataFormat"]})
    if "jsonDataFormat" in file_format:
        return _json(data, file_format["jsonDataFormat"])
    return _parquet(data)


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not encoded in UTF-8") from None


def _csv(data: bytes, options: Mapping[str, str]) -> pyarrow.Table:
    import pyarrow as pa
    from pyarrow import csv

    text = _utf8(data)
    if options["recordDelimiter"] not in (_NEW_LINE, "\r\n"):
        text = text.replace(options["recordDelimiter"], _NEW_LINE)
    if options["commentCharacter"]:
        lines = text.split(_NEW_LINE)
        text = _NEW_LINE.join(line for line in lines if not line.startswith(options["commentCharacter"]))
    quote, escape = options["quoteCharacter"], options["quoteEscapeCharacter"]
    # A quote that escapes quotes is written twice; some write both of them down as the escape character
    doubled = escape in (quote, quote * 2)
    parse = csv.ParseOptions(
        delimiter=options["fieldDelimiter"],
        quote_char=quote or False,
        double_quote=doubled or escape == CSV_DEFAULTS["quoteEscapeCharacter"],
        escape_char=False if doubled or not escape else escape,
        newlines_in_values=True,
    )
    try:
        names = csv.read_csv(io.BytesIO(text.encode()), parse_options=parse).column_names
        return csv.read_csv(
            io.BytesIO(text.encode()),
            parse_options=parse,
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        # What the reader says about a row holds the row
        reason = str(error).split(" Row:")[0].split(": ", 1)
        place = reason[1].partition(": ")[0] if len(reason) > 1 and "Row #" in str(error) else ""
        raise ValueError(f"the file is no CSV with these settings{': ' + place if place else ''}") from None


def _json(data: bytes, layout: str) -> pyarrow.Table:
    text = _utf8(data)
    if layout == "DOCUMENT":
        document = _parsed(text, "the file is not one JSON document")
        rows = document if isinstance(document, list) else [document]
    else:
        lines = [(number, line) for number, line in enumerate(text.split(_NEW_LINE), 1) if line.strip()]
        rows = [_parsed(line, f"line {number} is not a JSON object") for number, line in lines]
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"row {number} is not a JSON object")
        names.update(dict.fromkeys(row))
    return texts(({name: _scalar(value, name) for name, value in row.items()} for row in rows), tuple(names))


def texts(rows: Iterable[Mapping[str, str | None]], names: Sequence[str]) -> pyarrow.Table:
    """Rows of texts as a table.

    :param rows: each with some of the columns.
    :param names: the columns.
    """
    import pyarrow as pa
    from pyarrow import json as arrow_json

    schema = pa.schema([(name, pa.string()) for name in names])
    lines = "".join(f"{json.dumps(dict(row))}{_NEW_LINE}" for row in rows).encode()
    if not lines or not names:
        return schema.empty_table()
    # Not pyarrow.array(), which imports pandas and takes seconds for it
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    # A row must fit into a block
    size = arrow_json.ReadOptions(block_size=max(1 << 20, len(lines)))
    return arrow_json.read_json(io.BytesIO(lines), read_options=size, parse_options=options)


def _parsed(text: str, problem: str) -> Any:
    try:
        # Numbers stay as they are written
        return json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        raise ValueError(problem) from None


def _scalar(value: Any, name: str) -> str | None:
    if isinstance(value, list | dict):
        raise ValueError(f"a value of the column {name} is a list or an object")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None else str(value)


def _parquet(data: bytes) -> pyarrow.Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowInvalid, OSError):
        raise ValueError("the file is no Parquet file") from None
    return pa.table({name: _as_text(table.column(name), name) for name in table.column_names})


def _as_text(values: Any, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_timestamp(kind):
        zoned = values.cast(pa.timestamp("us", kind.tz), safe=False)
        utc = zoned.cast(pa.timestamp("us")) if kind.tz else zoned
        return pc.binary_join_element_wise(pc.strftime(utc, "%Y-%m-%dT%H:%M:%S"), "Z", "")
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ValueError(f"the column {name} has a type that AMC does not take") from None
