"""Rows on their way into a warehouse that loads files by itself: Parquet parts of a bounded size, and a folder in S3."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError
from airflow_provider_amc.landing.reader import record_batches

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_amc.client.results import ExecutionResults
    from airflow_provider_amc.landing.table import Load

log = logging.getLogger(__name__)

#: Bytes of Arrow data in a part. Compressed, it is a file of the size that warehouses advise, which several of their
#: nodes load side by side, and the local disk never holds more than one.
PART_BYTES = 256 * 1024 * 1024

#: How boto3 uploads a part: one block of 8 MB in memory at a time. Its ten threads would hold more than 100 MB.
TRANSFER_CONFIG: dict[str, Any] = {"use_threads": False, "multipart_chunksize": 8 * 1024 * 1024}

_ADDRESS = re.compile(r"s3a?://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^'\"\\\s?#]*))?")


@dataclass(frozen=True)
class Staging:
    """What a load may use on the way from AMC to a warehouse. Each warehouse takes what it needs.

    :param s3: S3 folder for staged files, ``s3://bucket/prefix``. Default: the bucket of the AWS connection.
    :param aws_conn_id: Airflow connection for S3, and for Glue.
    :param iam_role_arn: role by which Redshift reads the staged files; ``default`` is that of the cluster.
    :param storage_integration: Snowflake's integration that reads the S3 folder.
    :param stage: an existing stage of Snowflake; if it is external, ``s3`` is its address.
    :param location: S3 folder in which new tables of Athena get folders for their files.
    """

    s3: str | None = None
    aws_conn_id: str | None = "aws_default"
    iam_role_arn: str | None = None
    storage_integration: str | None = None
    stage: str | None = None
    location: str | None = None


@dataclass(frozen=True)
class S3Folder:
    """A folder in S3.

    :param bucket: the bucket.
    :param prefix: what the keys in it begin with; ends in a slash, unless the folder is the whole bucket.
    """

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, address: str, parameter: str) -> S3Folder:
        """Read ``s3://bucket/prefix``.

        :param address: the address.
        :param parameter: where the user gave it, for the message.
        :raises AmcConfigurationError: it is not one.
        """
        match = _ADDRESS.fullmatch(address or "")
        if match is None:
            raise AmcConfigurationError(
                f"{parameter} has to be an address such as s3://bucket/prefix, without quotes, spaces, backslashes, ? "
                f"and #, and is {address!r}. Nothing was read."
            )
        prefix = (match[2] or "").strip("/")
        return cls(match[1], f"{prefix}/" if prefix else "")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def folder(self, name: str) -> S3Folder:
        """A folder in it."""
        return S3Folder(self.bucket, f"{self.prefix}{name}/")


@dataclass(frozen=True)
class PartFile:
    """A part on the local disk. It is gone when the next one is asked for.

    :param index: its number, from 0.
    :param path: the file.
    :param rows: rows in it.
    """

    index: int
    path: Path
    rows: int

    @property
    def name(self) -> str:
        """Name of the part in a folder."""
        return f"part-{self.index:05d}.parquet"


def numbered(schema: pa.Schema) -> pa.Schema:
    """The columns by position, ``c0``, ``c1``, ...: whatever the names of a result are, no warehouse stumbles on these."""
    return pa.schema([pa.field(f"c{position}", kind) for position, kind in enumerate(schema.types)])


def parquet_parts(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, *, compression: str = "snappy", part_bytes: int | None = None
) -> Generator[PartFile]:
    """Write batches to Parquet files, one after another; at least one, also without rows.

    Parquet and not the CSV that AMC delivers, because it tells an empty text from NULL and holds exact types: what a
    warehouse makes of a CSV cell depends on options, and differs.

    :param batches: the rows.
    :param schema: the columns, by position those of the batches.
    :param compression: ``snappy``, which all warehouses read, or another one of Parquet.
    :param part_bytes: Arrow data in a part. Default: :data:`PART_BYTES`.
    :returns: a generator; close it.
    """
    limit = part_bytes or PART_BYTES
    index, more = 0, True
    with tempfile.TemporaryDirectory(prefix="airflow_provider_amc_") as folder:
        while more:
            path = Path(folder) / f"{index}.parquet"
            rows = size = 0
            with pq.ParquetWriter(path, schema, compression=compression) as writer:
                more = False
                for batch in batches:
                    writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                    rows += batch.num_rows
                    size += batch.nbytes
                    if size >= limit:
                        more = True
                        break
            if rows or index == 0:
                yield PartFile(index, path, rows)
            path.unlink()
            index += 1


def staged_parts(load: Load, results: ExecutionResults) -> Generator[PartFile]:
    """Read a result into parts for a warehouse, with audit columns, all columns numbered."""
    with (
        closing(record_batches(results, load.schema)) as batches,
        closing(parquet_parts(map(load.with_origin, batches), numbered(load.full_schema))) as parts,
    ):
        yield from parts


def staging_key(load: Load) -> str:
    """Name of the folder of a load: the same whenever it is tried again, so that a retry overwrites."""
    audit = load.audit
    text = "\n".join((str(load.table), load.mode, audit.instance_id, audit.workflow_id, audit.workflow_execution_id))
    return f"_amc_staging_{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def s3_hook(staging: Staging) -> S3Hook:
    """The hook that uploads staged files."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(aws_conn_id=staging.aws_conn_id, transfer_config_args=TRANSFER_CONFIG)


def staging_folder(hook: S3Hook, staging: Staging) -> S3Folder:
    """The S3 folder for staged files.

    :raises AmcConfigurationError: neither the parameter nor the AWS connection names one.
    """
    address = staging.s3
    if not address:
        bucket = hook.service_config.get("bucket_name")
        address = f"s3://{bucket}/amc-staging" if bucket else None
    if not address:
        raise AmcConfigurationError(
            "s3_staging is missing: the S3 folder for the files that the warehouse loads. Give it to the operator, such "
            f"as s3_staging='s3://bucket/prefix', or the extra of the connection {staging.aws_conn_id!r} a bucket: "
            '{"service_config": {"s3": {"bucket_name": "..."}}}. Nothing was read.'
        )
    return S3Folder.parse(address, "s3_staging")


@contextmanager
def staged_in_s3(
    hook: S3Hook, place: S3Folder, load: Load, results: ExecutionResults
) -> Iterator[tuple[S3Folder, int]]:
    """Put a result into a folder of its own in S3, and remove it at the end of the block, also of one that fails.

    :param hook: S3 hook.
    :param place: where the folder is made.
    :param load: the load.
    :param results: the result.
    :returns: the folder, and the number of rows in it.
    """
    folder = place.folder(staging_key(load))
    remove_folder(hook, folder)
    rows = 0
    try:
        with closing(staged_parts(load, results)) as parts:
            for part in parts:
                hook.load_file(str(part.path), f"{folder.prefix}{part.name}", folder.bucket, replace=True)
                rows += part.rows
                log.info("Staged %s rows in %s%s", part.rows, folder, part.name)
        yield folder, rows
    except BaseException:
        # What went wrong matters more than what is left in S3: the next try removes it.
        try:
            remove_folder(hook, folder)
        except Exception as error:
            log.warning("Could not remove the staged files in %s: %s", folder, type(error).__name__)
        raise
    remove_folder(hook, folder)


def remove_folder(hook: S3Hook, folder: S3Folder) -> None:
    """Remove all objects of a folder."""
    keys = hook.list_keys(folder.bucket, prefix=folder.prefix)
    if keys:
        hook.delete_objects(folder.bucket, keys)


def check_staged(load: Load, found: int, rows: int) -> None:
    """Check that the warehouse has read what was staged, and no more.

    :raises AmcLoadError: another try of the same task wrote or removed files meanwhile.
    """
    if found != rows:
        raise AmcLoadError(
            f"The warehouse read {found} rows of the {rows} staged ones for {load.table}: another task loads the same "
            "execution at this moment. Nothing was loaded."
        )
