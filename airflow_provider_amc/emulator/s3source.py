"""The objects that an upload names: one, all below a prefix, or those of a manifest. All of it blocks.

Facts: AMC API documentation, "Advertiser data upload: upload data", "Set up an S3 bucket".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: Buckets that one upload may read.
BUCKET_LIMIT = 100
#: Names that begin so are skipped.
_HIDDEN = (".", "_")
_TAG = "instanceId"
_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


class SourceError(Exception):
    """The data cannot be read; the text is for the message of the upload."""


@dataclass(frozen=True)
class S3Object:
    """An object in S3."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def hidden(self) -> bool:
        """Is it one that AMC does not read?"""
        return self.key.rpartition("/")[2].startswith(_HIDDEN)


class S3Source:
    """Reads from S3.

    :param endpoint_url: where S3 is; ``None`` takes AWS, or what the environment says.
    :param tags: ``require`` reads only what is tagged with the instance, as AMC does with buckets of other AWS accounts
        than the one connected to the instance; ``ignore`` reads everything.
    """

    def __init__(self, endpoint_url: str | None, tags: str) -> None:
        self._endpoint_url = endpoint_url
        self._tags = tags
        self._made: Any = None

    def _client(self) -> Any:
        if self._made is None:
            import boto3
            from botocore.config import Config

            session = boto3.session.Session()
            made_up = {}
            if self._endpoint_url is not None and session.get_credentials() is None:
                # A local S3 takes any, but not a request without
                made_up = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
            self._made = session.client(
                "s3",
                endpoint_url=self._endpoint_url,
                region_name=session.region_name or "us-east-1",
                config=Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3}),
                **made_up,
            )
        return self._made

    def objects(self, source: Mapping[str, str], instance_id: str) -> list[S3Object]:
        """The objects that an upload reads, in the order of their names.

        :param source: the ``dataSource`` of the upload.
        :param instance_id: the instance it is for.
        :raises SourceError: there are none, or AMC may not read one.
        """
        bucket = source["sourceS3Bucket"]
        if "sourceFileS3Key" in source:
            named = S3Object(bucket, source["sourceFileS3Key"])
            found, place = [named], str(named)
        elif "sourceS3Prefix" in source:
            place = f"s3://{bucket}/{source['sourceS3Prefix']}"
            found = list(self._below(bucket, source["sourceS3Prefix"], place))
        else:
            manifest = S3Object(bucket, source["sourceManifestS3Key"])
            place = str(manifest)
            found = self._listed(manifest)
        found = [one for one in found if not one.hidden]
        if not found:
            raise SourceError(f"No such file or directory '{place}'")
        if len({one.bucket for one in found}) > BUCKET_LIMIT:
            raise SourceError(f"An upload can read from at most {BUCKET_LIMIT} buckets")
        if self._tags == "require":
            for one in found:
                self._check_tags(one, instance_id)
        return found

    def read(self, one: S3Object) -> bytes:
        """The bytes of an object.

        :raises SourceError: it cannot be read.
        """
        with _told(str(one)):
            return bytes(self._client().get_object(Bucket=one.bucket, Key=one.key)["Body"].read())

    def _below(self, bucket: str, prefix: str, place: str) -> Iterator[S3Object]:
        with _told(place):
            for page in self._client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    # What consoles make to show a folder holds no rows
                    if not entry["Key"].endswith("/"):
                        yield S3Object(bucket, entry["Key"])

    def _listed(self, manifest: S3Object) -> list[S3Object]:
        found = []
        for line in self.read(manifest).decode("utf-8-sig", "replace").splitlines():
            if not line.strip():
                continue
            parts = urlsplit(line.strip())
            key = line.strip().removeprefix(f"s3://{parts.netloc}/")
            if parts.scheme != "s3" or not parts.netloc or not key or key == line.strip():
                raise SourceError(f"A line of the manifest {manifest} is not an address such as s3://bucket/key")
            found.append(S3Object(parts.netloc, key))
        return found

    def _check_tags(self, one: S3Object, instance_id: str) -> None:
        from botocore.exceptions import ClientError

        client = self._client()
        for call, arguments in (
            (client.get_bucket_tagging, {"Bucket": one.bucket}),
            (client.get_object_tagging, {"Bucket": one.bucket, "Key": one.key}),
        ):
            try:
                tags = {tag["Key"]: tag["Value"] for tag in call(**arguments)["TagSet"]}
            except ClientError:
                continue
            if instance_id in tags.get(_TAG, "").split():
                return
        raise SourceError(
            f"Access Denied: neither the bucket nor the object {one} has the tag {_TAG} with the value {instance_id}"
        )


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Says what went wrong in S3 in one sentence, with the place and without anything secret."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise SourceError(f"No such file or directory '{place}'") from None
        raise SourceError(f"{place} cannot be read: {code}") from None
    except BotoCoreError as error:
        raise SourceError(f"{place} cannot be read: S3 cannot be reached ({type(error).__name__})") from None
