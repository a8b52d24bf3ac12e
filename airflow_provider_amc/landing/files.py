"""Result files on their way into object storage: counted, optionally compressed or turned into Parquet."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.landing.ahead import ChunkReader, ahead
from airflow_provider_amc.landing.rows import RowScan

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_amc.client.results import ResultFile
    from airflow_provider_amc.landing.reader import CheckedFile

#: File formats of landed results, with the ending of their keys.
FORMATS = {"csv": ".csv", "csv.gz": ".csv.gz", "parquet": ".parquet"}

#: How the names of parts begin.
PART = "part-"

#: Bytes of Arrow data in a row group of Parquet, which are in memory until they are written.
_ROW_GROUP = 24 * 1024 * 1024

#: Rows by which it is said whether the values of a column repeat, and the share of them that may be different then.
_SAMPLE = 10_000
_REPEATING = 0.25


@dataclass(frozen=True)
class LandedFile:
    """One file in object storage.

    :param name: last part of its key.
    :param bytes: size in storage.
    :param rows: data rows in it.
    :param sha256: checksum of the bytes in storage.
    """

    name: str
    bytes: int
    rows: int
    sha256: str


def check_format(file_format: str) -> None:
    """Check the name of a file format.

    :raises AmcValidationError: there is no such format.
    """
    if file_format not in FORMATS:
        raise AmcValidationError(f"file_format {file_format!r} is not one of {', '.join(FORMATS)}.")


def folder(prefix: str, label: str, start: datetime | None, end: datetime | None) -> str:
    """Key prefix under which a result lands: one folder a workflow and window, in Hive's way.

    :param prefix: the user's prefix; slashes at its ends do not matter.
    :param label: name of the workflow.
    :param start: first instant of the window, UTC.
    :param end: first instant after the window, UTC.
    :returns: a prefix that ends in a slash.
    """
    parts = [
        prefix.strip("/"),
        f"workflow={label}",
        f"window_start={_key_time(start)}",
        f"window_end={_key_time(end)}",
        "",
    ]
    return "/".join(parts).lstrip("/")


def part_name(execution_id: str, index: int, file_format: str) -> str:
    """Name of a part: the same each time that an execution is landed, and another for every execution.

    The parts of an earlier landing stay as they are while those of a new one are written, so that a reader who follows
    the old manifest is not given new rows.

    :param execution_id: the execution.
    :param index: number of the result file.
    :param file_format: one of :data:`FORMATS`.
    """
    mark = hashlib.sha256(execution_id.encode()).hexdigest()[:8]
    return f"{PART}{index:05d}-{mark}{FORMATS[file_format]}"


@dataclass
class Counted:
    """Rows that have gone through."""

    rows: int = 0


class Part(io.BufferedIOBase):
    """A result file in a file format, to be read once, from its beginning to its end.

    ``read(n)`` gives exactly n bytes unless the part ends: boto3 takes a short read for the end of the file.

    :param name: of the part.
    :param chunks: its content.
    :param counted: data rows, once the content was read.
    :param wanted: tells whether the part still is.
    """

    def __init__(
        self, name: str, chunks: Iterator[bytes], counted: Counted, wanted: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__()
        self.name = name
        self._content = ChunkReader(chunks)
        self._counted = counted
        self._wanted = wanted
        self._bytes = 0
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Always: this is a stream to read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes.

        :param size: how many; negative or ``None`` for all that are left.
        :raises Unwanted: another part of the result has failed.
        """
        self._check_wanted()
        chunk = self._content.read(size)
        self._note(chunk)
        return chunk

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer.

        :param buffer: writable bytes.
        :return: bytes written; fewer than fit only at the end of the part.
        :raises Unwanted: another part of the result has failed.
        """
        self._check_wanted()
        count = self._content.readinto(buffer)
        self._note(memoryview(buffer)[:count])
        return count

    def _check_wanted(self) -> None:
        if not self._wanted():
            raise Unwanted

    def _note(self, chunk: bytes | memoryview) -> None:
        self._bytes += len(chunk)
        self._hash.update(chunk)

    def landed(self) -> LandedFile:
        """What was read, once all was."""
        return LandedFile(self.name, self._bytes, self._counted.rows, self._hash.hexdigest())


class Unwanted(Exception):
    """Nobody wants the rest of a part."""


def open_part(
    file: ResultFile, schema: pa.Schema, file_format: str, name: str, wanted: Callable[[], bool] = lambda: True
) -> AbstractContextManager[Part]:
    """Open a result file in a file format.

    :param file: the file.
    :param schema: columns of the result.
    :param file_format: one of :data:`FORMATS`.
    :param name: of the part.
    :param wanted: tells whether the part still is; reading it ends with :class:`Unwanted` if not.
    :raises AmcResultError: the file could not be read whole, or does not fit ``outputColumns``.
    """
    check_format(file_format)
    return _opened(file, schema, _FORMS[file_format], name, wanted)


@contextmanager
def _opened(file: ResultFile, schema: pa.Schema, form: _Form, name: str, wanted: Callable[[], bool]) -> Generator[Part]:
    from airflow_provider_amc.landing.reader import open_file

    with closing(open_file(file, schema)) as files:
        for checked in files:
            counted = Counted()
            with closing(form(checked, schema, counted)) as chunks:
                yield Part(name, chunks, counted, wanted)


def _csv(file: CheckedFile, schema: pa.Schema, counted: Counted) -> Generator[bytes]:
    scan = RowScan(file.index)
    yield file.header
    for chunk in file.chunks:
        scan.feed(chunk)
        yield chunk
    scan.check_end(len(schema))
    counted.rows = scan.rows


def _gzipped(file: CheckedFile, schema: pa.Schema, counted: Counted) -> Generator[bytes]:
    # The same bytes in give the same bytes out: this header holds no time.
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    with closing(_csv(file, schema, counted)) as chunks:
        for chunk in chunks:
            if out := compressor.compress(chunk):
                yield out
    yield compressor.flush()


def _parquet(file: CheckedFile, schema: pa.Schema, counted: Counted) -> Generator[bytes]:
    from airflow_provider_amc.landing.reader import file_batches

    with closing(file_batches(file, schema)) as batches, closing(parquet_file(batches, schema, counted)) as chunks:
        yield from chunks


def parquet_file(batches: Iterator[pa.RecordBatch], schema: pa.Schema, counted: Counted) -> Generator[bytes]:
    """Write rows as one Parquet file, in constant memory.

    :param batches: the rows.
    :param schema: their columns.
    :param counted: is told how many rows there are.
    :returns: a generator (close it) of the file's content.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = _Collected()
    # While one group is compressed, the rows of the next are read.
    with closing(ahead(_row_groups(batches, schema), 1)) as groups:
        first = next(groups, None)
        dictionaries = [] if first is None else _repeating(first)
        with pq.ParquetWriter(
            pa.PythonFile(sink, "w"), schema, compression="zstd", use_dictionary=dictionaries
        ) as writer:
            for group in chain(() if first is None else (first,), groups):
                writer.write_table(group, row_group_size=group.num_rows)
                counted.rows += group.num_rows
                yield from sink.take()
    yield from sink.take()


def _repeating(rows: pa.Table) -> list[str]:
    """Columns whose values come again and again, for which a dictionary pays; to make one takes longer than to compress.

    By the first rows. If others turn out to differ more, the writer gives the dictionary up.
    """
    import pyarrow.compute as pc

    some = rows.slice(0, _SAMPLE)
    distinct = [pc.count_distinct(column, mode="all").as_py() for column in some.columns]
    pairs = zip(some.column_names, distinct, strict=True)
    return [name for name, count in pairs if count <= some.num_rows * _REPEATING]


def _row_groups(found: Iterator[pa.RecordBatch], schema: pa.Schema) -> Generator[pa.Table]:
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    size = 0
    for batch in found:
        batches.append(batch)
        size += batch.nbytes
        if size >= _ROW_GROUP:
            yield pa.Table.from_batches(batches, schema)
            batches, size = [], 0
    if batches:
        yield pa.Table.from_batches(batches, schema)


class _Collected(io.RawIOBase):
    """A file to write, of which the content is taken away again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._chunks.append(chunk)
        return len(chunk)

    def take(self) -> list[bytes]:
        """Take what was written since the last time."""
        chunks, self._chunks = self._chunks, []
        return [b"".join(chunks)] if chunks else []


_Form = Callable[["CheckedFile", "pa.Schema", Counted], Generator[bytes]]

#: How each format is made of a result file.
_FORMS: dict[str, _Form] = {"csv": _csv, "csv.gz": _gzipped, "parquet": _parquet}


def _key_time(moment: datetime | None) -> str:
    if moment is None:
        return "none"
    return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m-%dT%H-%M-%S")
