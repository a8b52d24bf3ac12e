"""Hashed rows as Parquet files in S3, where AMC reads them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_amc.exceptions import AmcLoadError

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

#: Bytes after which a new file begins: AMC advises files of at most 1 GB.
_FILE_BYTES = 512 * 1024 * 1024

#: Tag by which AMC finds out that an object is meant for an instance.
TAG = "instanceId"


@dataclass
class Staged:
    """What lies in S3.

    :param keys: the files.
    :param rows: rows in them.
    :param unusable: by hashed column, how many values had nothing to match by and became NULL.
    :param first_time: smallest value of the column of times, if there is one.
    :param last_time: largest value.
    """

    keys: list[str] = field(default_factory=list)
    rows: int = 0
    unusable: dict[str, int] = field(default_factory=dict)
    first_time: datetime | None = None
    last_time: datetime | None = None

    def see_times(self, times: pa.Array) -> None:
        """Widen the span of times.

        :param times: times or days.
        """
        found = pc.min_max(times.cast(pa.timestamp("us")))
        least, most = found["min"].as_py(), found["max"].as_py()
        if least is not None:
            self.first_time = min(least, self.first_time or least)
            self.last_time = max(most, self.last_time or most)


def stage(
    hook: S3Hook,
    batches: Iterable[pa.RecordBatch],
    identities: Mapping[str, str],
    *,
    bucket: str,
    prefix: str,
    instance_id: str,
    country: str | None = None,
    country_column: str | None = None,
    time_column: str | None = None,
) -> Staged:
    """Hash rows and write them to S3. Raw identities are only ever in memory.

    :param hook: S3 hook.
    :param batches: the rows.
    :param identities: columns to hash, with the kind of identity in each.
    :param bucket: where.
    :param prefix: key prefix of the files, with a slash at its end.
    :param instance_id: instance that will read them, for the tag.
    :param country: country of the rows.
    :param country_column: column with the country of each row.
    :param time_column: column with the time of each row.
    :returns: what was written.
    :raises AmcLoadError: there are no rows.
    :raises AmcValidationError: an identity is no text, or a row has no country; the message holds no value.
    """
    from airflow_provider_amc.identity import hash_identities

    staged = Staged(unusable=dict.fromkeys(identities, 0))
    writer: _File | None = None
    try:
        for batch in batches:
            if not len(batch):
                continue
            hashed = hash_identities(
                batch, identities, country=country, country_column=country_column, first_row=staged.rows + 1
            )
            for name in identities:
                staged.unusable[name] += hashed[name].null_count - batch[name].null_count
            if time_column is not None:
                staged.see_times(batch[time_column])
            if writer is None:
                writer = _File(hashed.schema)
            writer.write(hashed)
            staged.rows += len(hashed)
            if writer.size >= _FILE_BYTES:
                writer.send(hook, bucket, staged, prefix, instance_id)
                writer = None
        if writer is not None:
            writer.send(hook, bucket, staged, prefix, instance_id)
            writer = None
    finally:
        if writer is not None:
            writer.close()
    if not staged.rows:
        raise AmcLoadError("The files have no rows. Nothing was uploaded.")
    return staged


def remove(hook: S3Hook, bucket: str, prefix: str) -> None:
    """Delete staged files.

    :param hook: S3 hook.
    :param bucket: where.
    :param prefix: their key prefix.
    """
    if keys := hook.list_keys(bucket, prefix=prefix):
        hook.delete_objects(bucket, keys)


class _File:
    """One Parquet file. Its end holds its index, so it is written whole before it is sent, without a name."""

    def __init__(self, schema: pa.Schema) -> None:
        self._file = tempfile.TemporaryFile(prefix="airflow_provider_amc_")  # noqa: SIM115 - send and close end it
        self._writer = pq.ParquetWriter(self._file, schema, compression="snappy")

    @property
    def size(self) -> int:
        return self._file.tell()

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def send(self, hook: S3Hook, bucket: str, staged: Staged, prefix: str, instance_id: str) -> None:
        key = f"{prefix}part-{len(staged.keys):05d}.parquet"
        try:
            self._writer.close()
            self._file.seek(0)
            client = hook.get_conn()
            client.upload_fileobj(self._file, bucket, key, ExtraArgs={"Tagging": f"{TAG}={instance_id}"})
        finally:
            self._file.close()
        staged.keys.append(key)

    def close(self) -> None:
        self._writer.close()
        self._file.close()
