"""Result files as typed Arrow record batches, in constant memory."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
from pyarrow import csv as pa_csv

from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing.schema import check_header

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

#: Bytes parsed into one record batch, and the longest row. Arrow reads up to 32 blocks ahead of a slow consumer, and that
#: many are in memory.
BLOCK_SIZE = 1024 * 1024

#: The longest header accepted. 100 output columns with long names stay far below it.
_HEADER_LIMIT = 1024 * 1024

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class CheckedFile:
    """A result file whose header has been read and checked.

    :param index: its number, from 0.
    :param header: the header as it came, line break included if it has one.
    :param body: what follows the header; not read yet.
    """

    index: int
    header: bytes
    body: BinaryIO

    def after(self, head: bytes) -> BinaryIO:
        """Return the body as a stream that begins with other bytes, such as the header."""
        # Buffered, because a short read would look like the end of the file to many readers.
        return io.BufferedReader(_Rejoined(head, self.body), _CHUNK)


def open_checked(results: ExecutionResults, schema: pa.Schema) -> Generator[CheckedFile]:
    """Open the result files one after another, decompressed, each with its header checked.

    :param results: the result of an execution.
    :param schema: its columns.
    :returns: a generator (close it); a file is closed when the next one is asked for.
    :raises AmcResultError: a header differs from ``outputColumns``.
    """
    for result_file in results.files():
        with result_file.open(decompress=True) as raw:
            body = io.BufferedReader(raw, _CHUNK)
            header = read_header(body, result_file.index)
            check_header(parse_header(header, result_file.index), schema, result_file.index)
            yield CheckedFile(result_file.index, header, body)


def record_batches(results: ExecutionResults, schema: pa.Schema) -> Generator[pa.RecordBatch]:
    """Read all result files as record batches of ``schema``.

    An empty cell is NULL, a quoted empty cell is an empty string: AMC writes suppressed values as nothing
    (AMC API documentation, "Get your results").

    :raises AmcResultError: a cell does not fit the announced type. The message names the column, not the value.
    """
    # Arrow's reader takes types by name, and a result may repeat one: names by position are never ambiguous.
    types = {f"c{position}": kind for position, kind in enumerate(schema.types)}
    head = f"{','.join(types)}\n".encode()
    with closing(open_checked(results, schema)) as files:
        for file in files:
            try:
                # Our own header in front: Arrow would take a quoted line break in AMC's for the end of the header, and
                # remove a byte order mark at the start of the first value.
                with pa_csv.open_csv(
                    io.BufferedReader(_Ended(file.after(head), file.index), _CHUNK),
                    read_options=pa_csv.ReadOptions(block_size=BLOCK_SIZE),
                    parse_options=pa_csv.ParseOptions(
                        newlines_in_values=True,
                        # In a result of one column, an empty line is a suppressed cell.
                        ignore_empty_lines=len(schema) > 1,
                    ),
                    convert_options=pa_csv.ConvertOptions(
                        column_types=types,
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                        timestamp_parsers=[pa_csv.ISO8601],
                    ),
                ) as reader:
                    for batch in reader:
                        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
            except pa.ArrowException as error:
                problem = _without_values(str(error), schema)
                raise AmcResultError(f"Result file {file.index} does not fit outputColumns: {problem}.") from None


def read_header(stream: BinaryIO, file_index: int) -> bytes:
    """Read the first CSV record, line break included; quoted names may contain line breaks.

    :param stream: a result file at its start.
    :param file_index: its number, for messages.
    :raises AmcResultError: the file is empty or its header has no end.
    """
    header = bytearray()
    while not header or header.count(b'"') % 2:
        line = stream.readline(_HEADER_LIMIT)
        if not line:
            raise AmcResultError(
                f"Result file {file_index} {'ends in the middle of its header' if header else 'is empty'}: "
                "AMC writes a header row even when there are no rows."
            )
        header += line
        if len(header) >= _HEADER_LIMIT:
            raise AmcResultError(f"Result file {file_index} does not begin with a CSV header of a sensible length.")
    return bytes(header)


def parse_header(header: bytes, file_index: int) -> list[str]:
    """Split a header record into column names.

    :raises AmcResultError: it is not CSV in UTF-8.
    """
    try:
        return next(csv.reader(io.StringIO(header.decode("utf-8-sig"), newline="")), [])
    except (UnicodeDecodeError, csv.Error):
        raise AmcResultError(f"The header of result file {file_index} is not CSV in UTF-8.") from None


class _Rejoined(io.RawIOBase):
    """A stream whose beginning has been read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._head:
            size = min(len(buffer), len(self._head))
            buffer[:size] = self._head[:size]
            self._head = self._head[size:]
            return size
        return self._rest.readinto(buffer) or 0  # type: ignore[attr-defined]


class _Ended(io.RawIOBase):
    """CSV whose last row has a line end, and whose last quote is closed.

    Without a line end, Arrow takes an empty last cell for an empty string if a cell before it is quoted. What a quote
    that is never closed swallows, it takes for one value.
    """

    def __init__(self, source: BinaryIO, file_index: int) -> None:
        super().__init__()
        self._source = source
        self._file_index = file_index
        self._last = b"\n"
        self._quotes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._source.read(len(buffer))
        if chunk:
            self._last = chunk[-1:]
            self._quotes += chunk.count(b'"')
        elif self._quotes % 2:
            raise AmcResultError(f"Result file {self._file_index} ends in the middle of a quoted cell.")
        elif self._last != b"\n":
            chunk = self._last = b"\n"
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _without_values(message: str, schema: pa.Schema) -> str:
    # Arrow quotes the offending text, and results are confidential: keep only what says where it is.
    match = re.search(r"[Cc]olumn #(\d+)", message)
    if match:
        position = int(match[1])
        return f"a cell of column {schema.names[position]!r} is not a {schema.types[position]}"
    match = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if match:
        return f"a row has {match[2]} cells instead of {match[1]}"
    if "straddl" in message:
        return f"a row is longer than {BLOCK_SIZE:,} bytes"
    return "it is not well-formed CSV"
