"""Result files on their way into object storage: counted, optionally compressed or turned into Parquet."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zlib
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_amc.exceptions import AmcLoadError, AmcValidationError

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_amc.client.results import ExecutionResults

#: File formats of landed results, with the ending of their keys.
FORMATS = {"csv": ".csv", "csv.gz": ".csv.gz", "parquet": ".parquet"}

MANIFEST = "_manifest.json"

_CHUNK = 1024 * 1024


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


Part = tuple[str, BinaryIO, Callable[[], LandedFile]]


def open_parts(results: ExecutionResults, schema: pa.Schema, file_format: str) -> Generator[Part]:
    """Open the parts of a result in a file format, one after another.

    :param results: the result of an execution.
    :param schema: its columns.
    :param file_format: one of :data:`FORMATS`.
    :returns: a generator (close it) of name, binary stream to be read to its end, and a function that then tells what
        went through.
    :raises AmcResultError: a file could not be read whole, or does not fit ``outputColumns``.
    :raises AmcLoadError: two columns of a Parquet file have the same name.
    """
    check_format(file_format)
    if file_format == "parquet":
        return _parquet_parts(results, schema)
    return _csv_parts(results, schema, file_format)


def _csv_parts(results: ExecutionResults, schema: pa.Schema, file_format: str) -> Generator[Part]:
    from airflow_provider_amc.landing.reader import open_checked

    with closing(open_checked(results, schema)) as files:
        for file in files:
            name = f"part-{file.index:05d}{FORMATS[file_format]}"
            rows = RowCounter(file.after(file.header))
            body = Measured(Gzipped(rows) if file_format == "csv.gz" else rows)
            yield name, _whole_reads(body), partial(_landed, name, body, rows)


def _parquet_parts(results: ExecutionResults, schema: pa.Schema) -> Generator[Part]:
    import pyarrow.parquet as pq

    from airflow_provider_amc.landing.reader import record_batches

    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated:
        raise AmcLoadError(
            f"The result has several columns named {', '.join(repeated)}, which readers of Parquet refuse. Give them "
            "different aliases in the query, or land the result as csv."
        )
    # Parquet ends with its index, so the file is written whole before it is sent. The temporary file has no name.
    with tempfile.TemporaryFile(prefix="airflow_provider_amc_") as file:
        rows = 0
        with (
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
            closing(record_batches(results, schema)) as batches,
        ):
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        file.seek(0)
        name = f"part-00000{FORMATS['parquet']}"
        body = Measured(file)
        yield name, _whole_reads(body), partial(_landed, name, body, rows)


def _landed(name: str, body: Measured, rows: RowCounter | int) -> LandedFile:
    return LandedFile(name, body.bytes, rows if isinstance(rows, int) else rows.rows, body.sha256)


def _whole_reads(body: Measured) -> BinaryIO:
    # boto3 takes a short read for the end of the file.
    return io.BufferedReader(body, _CHUNK)


class _Filter(io.RawIOBase):
    """A readable stream that does something to another one's bytes."""

    def __init__(self, source: BinaryIO | io.RawIOBase) -> None:
        super().__init__()
        self._source = source
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._ready:
            self._ready = memoryview(self._next())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _next(self) -> bytes:
        """Return the next bytes, none at the end."""
        raise NotImplementedError


class Measured(_Filter):
    """Counts and hashes the bytes that pass.

    :param source: stream to read from.
    """

    def __init__(self, source: BinaryIO | io.RawIOBase) -> None:
        super().__init__(source)
        self.bytes = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Checksum of what has passed."""
        return self._hash.hexdigest()

    def _next(self) -> bytes:
        chunk = self._source.read(_CHUNK) or b""
        self.bytes += len(chunk)
        self._hash.update(chunk)
        return chunk


class RowCounter(_Filter):
    """Counts the data rows of CSV that passes; line breaks inside quotes do not end a row.

    :param source: CSV with a header row.
    """

    def __init__(self, source: BinaryIO | io.RawIOBase) -> None:
        super().__init__(source)
        self._records = 0
        self._quoted = False
        self._open = False

    @property
    def rows(self) -> int:
        """Data rows seen so far, without the header."""
        return max(0, self._records + self._open - 1)

    def _next(self) -> bytes:
        chunk = self._source.read(_CHUNK) or b""
        if not chunk:
            return chunk
        if b'"' in chunk:
            for piece in chunk.split(b'"'):
                if not self._quoted:
                    self._records += piece.count(b"\n")
                self._quoted = not self._quoted
            self._quoted = not self._quoted
        elif not self._quoted:
            self._records += chunk.count(b"\n")
        self._open = not chunk.endswith(b"\n") or self._quoted
        return chunk


class Gzipped(_Filter):
    """Compresses what passes. The same bytes in give the same bytes out: the gzip header holds no time.

    :param source: stream to read from.
    """

    def __init__(self, source: BinaryIO | io.RawIOBase) -> None:
        super().__init__(source)
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
        self._done = False

    def _next(self) -> bytes:
        while not self._done:
            chunk = self._source.read(_CHUNK) or b""
            self._done = not chunk
            out = self._compressor.compress(chunk) if chunk else self._compressor.flush()
            if out:
                return out
        return b""


def _key_time(moment: datetime | None) -> str:
    if moment is None:
        return "none"
    return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m-%dT%H-%M-%S")
