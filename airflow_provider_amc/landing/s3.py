"""A folder of S3 as a store of results."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import AmcConfigurationError
from airflow_provider_amc.landing.land import land
from airflow_provider_amc.landing.s3_upload import upload

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_amc.landing.manifest import Landing
    from airflow_provider_amc.landing.source import ResultSource


class S3Store:
    """A folder of a bucket.

    :param hook: S3 hook.
    :param bucket: S3 bucket, which has to exist.
    :param folder: key prefix, with a slash at its end.
    """

    def __init__(self, hook: S3Hook, bucket: str, folder: str) -> None:
        self._hook = hook
        self._bucket = bucket
        self.folder = folder

    def address(self, name: str = "") -> str:
        """Address of an object, or of the folder."""
        return f"s3://{self._bucket}/{self.folder}{name}"

    def check(self) -> None:
        """Check that there is a bucket.

        :raises AmcConfigurationError: there is none, or it cannot be reached.
        """
        from botocore.exceptions import BotoCoreError

        try:
            found = self._hook.check_for_bucket(self._bucket)
        except BotoCoreError as error:
            raise AmcConfigurationError(
                f"The S3 bucket {self._bucket!r} cannot be reached with the connection {self._hook.aws_conn_id!r}: "
                f"{error}. Nothing was written."
            ) from error
        if not found:
            raise AmcConfigurationError(
                f"The S3 bucket {self._bucket!r} does not exist, or the connection {self._hook.aws_conn_id!r} may not "
                "see it. Create it, or correct s3_bucket. Nothing was written."
            )

    def sizes(self) -> Mapping[str, int]:
        """Bytes of all objects in the folder, by name."""
        found = self._hook.iter_file_metadata(prefix=self.folder, bucket_name=self._bucket)
        return {entry["Key"].removeprefix(self.folder): int(entry["Size"]) for entry in found}

    def read(self, name: str) -> bytes:
        """Read a small object."""
        content: bytes = self._hook.get_key(f"{self.folder}{name}", self._bucket).get()["Body"].read()
        return content

    def write(self, name: str, content: io.BufferedIOBase) -> None:
        """Write an object, in several parts if it is large."""
        upload(self._hook, content, self._bucket, f"{self.folder}{name}")

    def write_small(self, name: str, content: bytes) -> None:
        """Write an object that is in memory."""
        self._hook.load_bytes(content, f"{self.folder}{name}", self._bucket, replace=True)

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects."""
        self._hook.delete_objects(self._bucket, [f"{self.folder}{name}" for name in names])


def land_in_s3(hook: S3Hook, source: ResultSource, *, bucket: str, prefix: str, file_format: str) -> Landing:
    """Write a result to S3, see :func:`~airflow_provider_amc.landing.land.land`.

    :param hook: S3 hook.
    :param source: the result.
    :param bucket: S3 bucket, which has to exist.
    :param prefix: the user's key prefix.
    :param file_format: ``csv``, ``csv.gz`` or ``parquet``.
    :raises AmcConfigurationError: there is no such bucket, or it cannot be reached.
    """
    store = S3Store(hook, bucket, source.folder(prefix))
    store.check()
    return land(store, source, file_format)
