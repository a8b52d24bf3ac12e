"""Result files as checked streams of bytes and as typed Arrow record batches, in constant memory."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa
from pyarrow import csv as pa_csv

from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing.ahead import CHUNK, ChunkReader, ahead
from airflow_provider_amc.landing.rows import row_blocks
from airflow_provider_amc.landing.schema import check_header

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults, ResultFile, RowObserver

#: The longest header accepted. 100 output columns with long names stay far below it.
_HEADER_LIMIT = 1024 * 1024

#: Blocks of rows that are parsed at the same time, and that wait for the consumer at most.
_PARSERS = 2
_PARSED = 3


@dataclass(frozen=True)
class CheckedFile:
    """A result file whose header has been read and checked.

    :param index: its number, from 0.
    :param header: the header as it came, line break included if it has one.
    :param rest: what follows the header, in pieces; not read yet.
    :param schema: columns of the result.
    :param observer: shown the rows as they are read.
    """

    index: int
    header: bytes
    rest: Iterator[bytes]
    schema: pa.Schema
    observer: RowObserver | None = None

    @cached_property
    def chunks(self) -> Iterator[bytes]:
        """What follows the header, piece by piece."""
        if self.observer is None:
            return self.rest
        return _shown(self.rest, self.index, _parser(self.schema, self.index), self.observer)

    @cached_property
    def body(self) -> BinaryIO:
        """What follows the header, as a stream."""
        return cast("BinaryIO", ChunkReader(self.chunks))

    def after(self, head: bytes) -> BinaryIO:
        """Return the body as a stream that begins with other bytes, such as the header."""
        return cast("BinaryIO", ChunkReader(chain((head,), self.chunks)))


def open_file(file: ResultFile, schema: pa.Schema) -> Generator[CheckedFile]:
    """Open one result file, decompressed, its header checked; a thread reads ahead.

    :param file: the file.
    :param schema: columns of the result.
    :returns: a generator (close it) of the one file.
    :raises AmcResultError: the header differs from ``outputColumns``.
    """
    return _opened(_delivered(file, schema), schema, file.observer)


def open_checked(results: ExecutionResults, schema: pa.Schema) -> Generator[CheckedFile]:
    """Open the result files one after another, decompressed, each with its header checked.

    A thread reads ahead, also into the next file, so that the consumer need not wait for its beginning.

    :param results: the result of an execution.
    :param schema: its columns.
    :returns: a generator (close it); the rest of a file is passed over when the next one is asked for.
    :raises AmcResultError: a header differs from ``outputColumns``.
    """

    def deliver() -> Generator[_Begun | bytes]:
        for file in results.files():
            yield from _delivered(file, schema)

    with closing(_opened(deliver(), schema, results.observer)) as files:
        yield from files
    if results.observer is not None:
        results.observer.finish()


def record_batches(results: ExecutionResults, schema: pa.Schema) -> Generator[pa.RecordBatch]:
    """Read all result files as record batches of ``schema``.

    An empty cell is NULL, a quoted empty cell is an empty string: AMC writes suppressed values as nothing
    (AMC API documentation, "Get your results").

    :raises AmcResultError: a cell does not fit the announced type. The message names the column, not the value.
    """
    with closing(open_checked(results, schema)) as files:
        for file in files:
            yield from file_batches(file, schema)


def file_batches(file: CheckedFile, schema: pa.Schema) -> Generator[pa.RecordBatch]:
    """Read one result file as record batches of ``schema``, see :func:`record_batches`."""
    with closing(_parsed(row_blocks(file.rest, file.index), _parser(schema, file.index))) as batches:
        for batch in batches:
            if file.observer is not None:
                file.observer.add(batch)
            yield batch


def _parsed(blocks: Iterator[bytes], parse: Callable[[bytes], list[pa.RecordBatch]]) -> Generator[pa.RecordBatch]:
    parsed: deque[Future[list[pa.RecordBatch]]] = deque()
    with ThreadPoolExecutor(_PARSERS, "amc-parse") as pool:
        for block in blocks:
            parsed.append(pool.submit(parse, block))
            if len(parsed) == _PARSED:
                yield from parsed.popleft().result()
        while parsed:
            yield from parsed.popleft().result()


def _shown(
    chunks: Iterator[bytes],
    file_index: int,
    parse: Callable[[bytes], list[pa.RecordBatch]],
    observer: RowObserver,
) -> Generator[bytes]:
    """Let chunks pass, and show an observer their rows."""
    taken = passed = 0

    def counted() -> Generator[bytes]:
        nonlocal taken
        for chunk in chunks:
            taken += len(chunk)
            yield chunk

    for block in row_blocks(counted(), file_index):
        for batch in parse(block):
            observer.add(batch)
        # Without the line end that the last row may have been given.
        own = block[: taken - passed]
        passed += len(own)
        yield own


def _parser(schema: pa.Schema, file_index: int) -> Callable[[bytes], list[pa.RecordBatch]]:
    # Arrow's reader takes types by name, and a result may repeat one: names by position are never ambiguous.
    types = {f"c{position}": kind for position, kind in enumerate(schema.types)}
    parse_options = pa_csv.ParseOptions(
        newlines_in_values=True,
        # In a result of one column, an empty line is a suppressed cell.
        ignore_empty_lines=len(schema) > 1,
    )
    convert_options = pa_csv.ConvertOptions(
        column_types=types,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        timestamp_parsers=[pa_csv.ISO8601],
    )

    def parse(block: bytes) -> list[pa.RecordBatch]:
        if block.startswith(b"\xef\xbb\xbf"):
            # Arrow would take it for a byte order mark, and it is part of a value: that of the file is in the header.
            block = b"\xef\xbb\xbf" + block
        try:
            # Rows are cut already, so that each of them fits into its block, however long it is.
            table = pa_csv.read_csv(
                pa.BufferReader(block),
                read_options=pa_csv.ReadOptions(column_names=list(types), block_size=len(block) + 1, use_threads=False),
                parse_options=parse_options,
                convert_options=convert_options,
            )
        except pa.ArrowException as error:
            problem = _without_values(str(error), schema)
            raise AmcResultError(f"Result file {file_index} does not fit outputColumns: {problem}.") from None
        return [pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in table.to_batches()]

    return parse


@dataclass(frozen=True)
class _Begun:
    """A file begins."""

    index: int
    header: bytes


def _delivered(file: ResultFile, schema: pa.Schema) -> Generator[_Begun | bytes]:
    """The head of a file, then the rest in chunks."""
    with file.open(decompress=True) as raw:
        buffered = io.BufferedReader(raw, 1 << 16)
        header = read_header(buffered, file.index)
        check_header(parse_header(header, file.index), schema, file.index)
        yield _Begun(file.index, header)
        read = buffered.peek()
        buffered.detach()
        while chunk := _filled(read, raw):
            yield chunk
            read = b""


def _filled(begun: bytes, raw: io.RawIOBase) -> bytes:
    """Read the rest of a chunk, of which some may be there: so many bytes that a consumer need not join pieces."""
    pieces = [begun] if begun else []
    missing = CHUNK - len(begun)
    # The streams of this package give all at once, others what they have.
    while missing > 0 and (piece := raw.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _opened(
    delivered: Generator[_Begun | bytes], schema: pa.Schema, observer: RowObserver | None
) -> Generator[CheckedFile]:
    with closing(ahead(delivered)) as items:
        begun = next(items, None)
        while isinstance(begun, _Begun):
            rest = _Chunks(items)
            yield CheckedFile(begun.index, begun.header, rest, schema, observer)
            for _ in rest:
                continue
            begun = rest.next_file


class _Chunks:
    """Chunks up to the beginning of the next file."""

    def __init__(self, items: Iterator[_Begun | bytes]) -> None:
        self._items = items
        self._ended = False
        self.next_file: _Begun | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        item = None if self._ended else next(self._items, None)
        if isinstance(item, bytes):
            return item
        self._ended = True
        if item is not None:
            self.next_file = item
        raise StopIteration


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


def _without_values(message: str, schema: pa.Schema) -> str:
    # Arrow quotes the offending text, and results are confidential: keep only what says where it is.
    match = re.search(r"[Cc]olumn #(\d+)", message)
    if match:
        position = int(match[1])
        return f"a cell of column {schema.names[position]!r} is not a {schema.types[position]}"
    match = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if match:
        return f"a row has {match[2]} cells instead of {match[1]}"
    return "it is not well-formed CSV"
