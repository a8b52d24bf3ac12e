"""Result files as typed Arrow record batches, in constant memory."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
from pyarrow import csv as pa_csv

from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing.schema import check_header

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

#: Bytes parsed into one record batch: large enough to be fast, small enough for a worker with little memory.
BLOCK_SIZE = 4 * 1024 * 1024

#: The longest header accepted. 100 output columns with long names stay far below it.
_HEADER_LIMIT = 1024 * 1024


def open_checked(results: ExecutionResults, schema: pa.Schema) -> Iterator[tuple[int, io.RawIOBase]]:
    """Open the result files one after another, each with its header checked and still to be read.

    :param results: the result of an execution.
    :param schema: its columns.
    :returns: pairs of file index and a binary stream that starts at the header.
    :raises AmcResultError: a header differs from ``outputColumns``.
    """
    for result_file in results.files():
        with result_file.open() as raw:
            stream = io.BufferedReader(raw, BLOCK_SIZE)
            header = read_header(stream)
            check_header(parse_header(header), schema, result_file.index)
            yield result_file.index, _Rejoined(header, stream)


def record_batches(results: ExecutionResults, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Read all result files as record batches of ``schema``.

    An empty cell is NULL, a quoted empty cell is an empty string: AMC writes suppressed values as nothing
    (AMC API documentation, "Get your results").

    :raises AmcResultError: a cell does not fit the announced type. The message names the column, not the value.
    """
    for index, stream in open_checked(results, schema):
        reader = None
        try:
            reader = pa_csv.open_csv(
                stream,
                read_options=pa_csv.ReadOptions(block_size=BLOCK_SIZE, column_names=_unique(schema.names), skip_rows=1),
                parse_options=pa_csv.ParseOptions(
                    newlines_in_values=True,
                    # In a result of one column, an empty line is a suppressed cell.
                    ignore_empty_lines=len(schema) > 1,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict(zip(_unique(schema.names), schema.types, strict=True)),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    timestamp_parsers=[pa_csv.ISO8601],
                ),
            )
            for batch in reader:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except pa.ArrowInvalid as error:
            problem = _without_values(str(error), schema)
            raise AmcResultError(f"Result file {index} does not fit outputColumns: {problem}.") from None
        finally:
            if reader is not None:
                reader.close()


def read_header(stream: BinaryIO) -> bytes:
    """Read the first CSV record, line break included; quoted names may contain line breaks.

    :raises AmcResultError: the file is empty or its header has no end.
    """
    header = bytearray()
    while not header or header.count(b'"') % 2:
        line = stream.readline(_HEADER_LIMIT)
        if not line:
            raise AmcResultError("A result file is empty: not even the header has arrived.")
        header += line
        if len(header) >= _HEADER_LIMIT:
            raise AmcResultError("A result file does not begin with a CSV header of a sensible length.")
    if not header.endswith(b"\n"):
        header += b"\n"
    return bytes(header)


def parse_header(header: bytes) -> list[str]:
    """Split a header record into column names."""
    return next(csv.reader(io.StringIO(header.decode("utf-8-sig"), newline="")), [])


class _Rejoined(io.RawIOBase):
    """A stream whose beginning has been read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
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


def _unique(names: list[str]) -> list[str]:
    # Arrow's reader takes types by name, and a result may repeat one: names by position are never ambiguous.
    return [f"c{position}" for position in range(len(names))]


def _without_values(message: str, schema: pa.Schema) -> str:
    # Arrow quotes the offending text, and results are confidential: keep only what says where it is.
    match = re.search(r"column #(\d+): CSV conversion error to ([\w.]+(?:\([^)]*\))?)", message)
    if match:
        return f"a cell of column {schema.names[int(match[1])]!r} is not a {match[2]}"
    match = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if match:
        return f"a row has {match[2]} cells instead of {match[1]}"
    return "it is not well-formed CSV"
