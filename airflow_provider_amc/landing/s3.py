"""Puts a result into S3: parts under deterministic keys, then a manifest."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError
from airflow_provider_amc.landing.files import MANIFEST, LandedFile, folder, open_parts
from airflow_provider_amc.landing.schema import arrow_schema

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_amc.landing.source import ResultSource

log = logging.getLogger(__name__)

#: How boto3 uploads: one part of 8 MB in memory at a time. Its ten threads would hold more than 100 MB.
TRANSFER_CONFIG: dict[str, Any] = {"use_threads": False, "multipart_chunksize": 8 * 1024 * 1024}


@dataclass(frozen=True)
class Landing:
    """What has been landed.

    :param bucket: S3 bucket.
    :param prefix: key prefix of the parts and the manifest; ends in a slash.
    :param files: the parts.
    """

    bucket: str
    prefix: str
    files: tuple[LandedFile, ...]

    @property
    def manifest(self) -> str:
        """Address of the manifest."""
        return f"s3://{self.bucket}/{self.prefix}{MANIFEST}"

    @property
    def bytes(self) -> int:
        """Size of all parts in storage."""
        return sum(file.bytes for file in self.files)

    @property
    def rows(self) -> int:
        """Data rows of all parts."""
        return sum(file.rows for file in self.files)


def land_in_s3(
    hook: S3Hook,
    source: ResultSource,
    *,
    bucket: str,
    prefix: str,
    file_format: str,
) -> Landing:
    """Write a result to S3.

    A landing of the same workflow and window replaces an earlier one: once the result can be read, the old manifest is
    removed, then the parts are written, parts that are left over are deleted, and the new manifest comes last. A reader
    that follows the manifest never sees half a result.

    :param hook: S3 hook.
    :param source: the result.
    :param bucket: S3 bucket, which has to exist.
    :param prefix: the user's key prefix.
    :param file_format: ``csv``, ``csv.gz`` or ``parquet``.
    :raises AmcConfigurationError: there is no such bucket, or it cannot be reached.
    :raises AmcLoadError: the result of another instance has landed there.
    :raises AmcPrivacyLossError: AMC has hidden more of the result than may be; there is no manifest.
    """
    execution = source.execution
    _check_bucket(hook, bucket)
    schema = arrow_schema(execution.output_columns)
    place = folder(prefix, source.label, execution.time_window_start, execution.time_window_end)
    before = set(hook.list_keys(bucket, prefix=place) or ())
    manifest_key = f"{place}{MANIFEST}"
    if manifest_key in before:
        _check_owner(hook.read_key(manifest_key, bucket), f"s3://{bucket}/{place}", source.instance_id)
    files: list[LandedFile] = []
    with closing(open_parts(source.results, schema, file_format)) as parts:
        for name, stream, landed in parts:
            # Not earlier: a result that cannot be opened leaves the earlier landing in place.
            if not files and manifest_key in before:
                hook.delete_objects(bucket, [manifest_key])
            hook.load_file_obj(stream, f"{place}{name}", bucket, replace=True)
            file = landed()
            files.append(file)
            log.info("Wrote s3://%s/%s%s: %s rows, %s bytes", bucket, place, name, file.rows, file.bytes)
    if source.meter is not None:
        # Of files that are read side by side, nobody else knows when all have been.
        source.meter.finish()
    landing = Landing(bucket, place, tuple(files))
    left_over = sorted(
        key for key in before if key.startswith(f"{place}part-") and key not in {f"{place}{f.name}" for f in files}
    )
    if left_over:
        log.info("Deleting %s parts of an earlier landing", len(left_over))
        hook.delete_objects(bucket, left_over)
    manifest = json.dumps(_manifest(landing, source, file_format), indent=2)
    hook.load_string(manifest, manifest_key, bucket, replace=True)
    return landing


def _check_bucket(hook: S3Hook, bucket: str) -> None:
    from botocore.exceptions import BotoCoreError

    try:
        found = hook.check_for_bucket(bucket)
    except BotoCoreError as error:
        raise AmcConfigurationError(
            f"The S3 bucket {bucket!r} cannot be reached with the connection {hook.aws_conn_id!r}: {error}. "
            "Nothing was written."
        ) from error
    if not found:
        raise AmcConfigurationError(
            f"The S3 bucket {bucket!r} does not exist, or the connection {hook.aws_conn_id!r} may not see it. Create "
            "it, or correct s3_bucket. Nothing was written."
        )


def _check_owner(manifest: str, place: str, instance_id: str | None) -> None:
    try:
        owner = json.loads(manifest).get("instance_id")
    except (ValueError, AttributeError):
        # Not one of ours, or cut: what is there cannot be read by its manifest anyway.
        return
    if owner and instance_id and owner != instance_id:
        raise AmcLoadError(
            f"{place} holds the result of the AMC instance {owner}; that of {instance_id} would replace it. Put the "
            "instance into s3_prefix, for example 'amc/instance={{ task.instance_id }}'. Nothing was written."
        )


def _manifest(landing: Landing, source: ResultSource, file_format: str) -> dict[str, Any]:
    execution = source.execution
    return {
        "version": 1,
        "workflow": source.label,
        "workflow_id": execution.workflow_id,
        "workflow_execution_id": execution.workflow_execution_id,
        "instance_id": source.instance_id,
        "time_window_start": _iso(execution.time_window_start),
        "time_window_end": _iso(execution.time_window_end),
        "columns": [
            {
                "name": column.name,
                "data_type": column.data_type,
                "column_type": column.column_type,
                "precision": column.precision,
                "scale": column.scale,
            }
            for column in execution.output_columns
        ],
        "file_format": file_format,
        "files": [{"key": f"{landing.prefix}{file.name}", **asdict(file)} for file in landing.files],
        "rows": landing.rows,
        "bytes": landing.bytes,
        **({"privacy": source.meter.loss.as_dict()} if source.meter is not None else {}),
        "written_at": _iso(datetime.now(UTC)),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
