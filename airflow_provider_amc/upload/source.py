"""Files in S3 as a stream of record batches. Nothing of them is written to disk."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

FORMATS = ("csv", "parquet")

#: Bytes of CSV, or rows of Parquet, that are in memory at a time.
_BLOCK = 8 * 1024 * 1024
_ROWS = 65_536
_READ_AHEAD = 1024 * 1024

#: Arrow types of AMC's types of uploaded columns.
_TYPES: dict[str, pa.DataType] = {
    "STRING": pa.string(),
    "DECIMAL": pa.decimal128(38, 12),
    "INTEGER": pa.int32(),
    "LONG": pa.int64(),
    "TIMESTAMP": pa.timestamp("us"),
    "DATE": pa.date32(),
}


class S3File(io.RawIOBase):
    """An object in S3 as a file that can be sought in, read by ranges.

    :param hook: S3 hook.
    :param bucket: its bucket.
    :param key: its key.
    """

    def __init__(self, hook: S3Hook, bucket: str, key: str) -> None:
        super().__init__()
        self._object = hook.get_key(key, bucket)
        self._size = int(self._object.content_length)
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on."""
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._size)
        if end <= self._position:
            return 0
        body = self._object.get(Range=f"bytes={self._position}-{end - 1}")["Body"].read()
        view[: len(body)] = body
        self._position += len(body)
        return len(body)


def keys_of(hook: S3Hook, bucket: str, key: str | None, prefix: str | None) -> list[str]:
    """Name the files to read, in their order.

    :param hook: S3 hook.
    :param bucket: the bucket.
    :param key: one file.
    :param prefix: all files below a prefix, but those whose name begins with ``.`` or ``_``.
    :raises AmcConfigurationError: there is none.
    """
    if key is not None:
        if not hook.check_for_key(key, bucket):
            raise AmcConfigurationError(f"There is no file s3://{bucket}/{key}.")
        return [key]
    listed = hook.list_keys(bucket, prefix=prefix or "") or []
    found = sorted(one for one in listed if not one.endswith("/") and one.rpartition("/")[2][0] not in "._")
    if not found:
        raise AmcConfigurationError(f"There are no files below s3://{bucket}/{prefix}.")
    return found


def batches_of(
    hook: S3Hook, bucket: str, key: str, file_format: str, columns: Mapping[str, str], *, options: Mapping[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Read a file.

    :param hook: S3 hook.
    :param bucket: its bucket.
    :param key: its key; ``.gz`` is decompressed.
    :param file_format: one of :data:`FORMATS`.
    :param columns: the columns to read, with AMC's types.
    :param options: of CSV: ``delimiter``, ``encoding``.
    :raises AmcLoadError: it cannot be read; the message names the file and column, and no value.
    """
    file: Any = io.BufferedReader(S3File(hook, bucket, key), _READ_AHEAD)
    try:
        if file_format == "parquet":
            yield from _parquet(file, columns)
        else:
            yield from _csv(file, key, columns, options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError) as error:
        # Arrow's text repeats the value that does not fit.
        raise AmcLoadError(
            f"s3://{bucket}/{key} could not be read as {file_format} with the columns "
            f"{', '.join(f'{name} {kind}' for name, kind in columns.items())}: {_without_values(str(error))}"
        ) from None


def _csv(file: Any, key: str, columns: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[Any]:
    source = pa.CompressedInputStream(file, "gzip") if key.endswith(".gz") else file
    with pa_csv.open_csv(
        source,
        read_options=pa_csv.ReadOptions(block_size=_BLOCK, encoding=options.get("encoding", "utf8")),
        parse_options=pa_csv.ParseOptions(delimiter=options.get("delimiter", ","), newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: _TYPES[kind] for name, kind in columns.items()},
            include_columns=list(columns),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    ) as reader:
        yield from reader


def _parquet(file: Any, columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    with pq.ParquetFile(file) as parquet:
        missing = [name for name in columns if name not in parquet.schema_arrow.names]
        if missing:
            raise pa.ArrowKeyError(f"it has no columns {', '.join(missing)}")
        for batch in parquet.iter_batches(_ROWS, columns=list(columns)):
            table = pa.Table.from_batches([batch]).select(list(columns)).cast(schema)
            yield from table.to_batches()


def _without_values(text: str) -> str:
    """Cut off what Arrow says about a value."""
    for end in (": '", " '", ': "', "Got value", "value '"):
        text = text.partition(end)[0]
    return text.splitlines()[0] if text else "it does not fit"
