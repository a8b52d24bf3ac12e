"""Uploads a stream to S3 in parts, a few of them at once.

boto3's own upload of a stream hands each part over as a file, which is read and sent sixteen kilobytes at a time; at the
speed of a fast network that is most of its work. It does the same with bytes, but sends an array of bytes in one piece,
which leaves the processor to the checks; the same few arrays take part after part.
"""

from __future__ import annotations

import io
import logging
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

log = logging.getLogger(__name__)

#: Bytes of a part. S3 takes 10,000 parts, so that a file may have 60 GB.
PART = 6 * 1024 * 1024

#: Parts that are sent at once; one more is filled meanwhile.
_AT_ONCE = 2


def upload(hook: S3Hook, content: io.BufferedIOBase, bucket: str, key: str) -> None:
    """Write an object; it appears when it is whole.

    :param hook: S3 hook, of which the extra arguments of uploads are kept.
    :param content: a stream whose reads are whole.
    :param bucket: the bucket.
    :param key: the object's key.
    """
    first = bytearray(PART)
    size = content.readinto(first)
    if size < PART:
        hook.load_bytes(bytes(first[:size]), key, bucket, replace=True)
        return
    _Upload(hook, bucket, key).send(first, content)
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    get_hook_lineage_collector().add_output_asset(
        context=hook, scheme="s3", asset_kwargs={"bucket": bucket, "key": key}
    )


class _Upload:
    """A multipart upload, with the arguments that boto3's would have."""

    def __init__(self, hook: S3Hook, bucket: str, key: str) -> None:
        self._client: Any = hook.get_conn()
        self._place = {"Bucket": bucket, "Key": key}
        self._extra: dict[str, Any] = hook.extra_args
        # Every part comes with a checksum by default, and S3 wants to know of which kind beforehand.
        if getattr(self._client.meta.config, "request_checksum_calculation", None) == "when_supported":
            self._extra.setdefault("ChecksumAlgorithm", "CRC32")

    def send(self, first: bytearray, content: io.BufferedIOBase) -> None:
        """Send all parts, or leave nothing behind."""
        self._place["UploadId"] = self._call("CreateMultipartUpload")["UploadId"]
        try:
            self._call("CompleteMultipartUpload", MultipartUpload={"Parts": self._parts(first, content)})
        except BaseException:
            try:
                self._call("AbortMultipartUpload")
            except Exception as error:
                # What matters is why it failed. A lifecycle rule of the bucket can remove what is left.
                log.warning("Could not abort the upload of %s: %s", self._place["Key"], type(error).__name__)
            raise

    def _parts(self, first: bytearray, content: io.BufferedIOBase) -> list[Mapping[str, Any]]:
        sent: list[Mapping[str, Any]] = []
        on_their_way: deque[tuple[Future[Mapping[str, Any]], bytearray]] = deque()
        chunk, size = first, PART
        with ThreadPoolExecutor(_AT_ONCE, "amc-upload") as pool:
            while size:
                number = len(sent) + len(on_their_way) + 1
                # An array that is not full goes out shorter, and it is the last.
                del chunk[size:]
                on_their_way.append((pool.submit(self._part, number, chunk), chunk))
                if len(on_their_way) > _AT_ONCE:
                    one, chunk = on_their_way.popleft()
                    sent.append(one.result())
                else:
                    chunk = bytearray(PART)
                size = content.readinto(chunk)
            sent.extend(one.result() for one, _ in on_their_way)
        return sent

    def _part(self, number: int, chunk: bytearray) -> Mapping[str, Any]:
        answer = self._call("UploadPart", PartNumber=number, Body=chunk)
        known = self._members("CompletedPart")
        return {"PartNumber": number, **{name: value for name, value in answer.items() if name in known}}

    def _call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        model = self._client.meta.service_model.operation_model(operation)
        accepted = {name: value for name, value in self._extra.items() if name in model.input_shape.members}
        method = getattr(self._client, _METHODS[operation])
        answer: Mapping[str, Any] = method(**self._place, **accepted, **arguments)
        return answer

    def _members(self, shape: str) -> frozenset[str]:
        return frozenset(self._client.meta.service_model.shape_for(shape).members)


_METHODS = {
    "AbortMultipartUpload": "abort_multipart_upload",
    "CompleteMultipartUpload": "complete_multipart_upload",
    "CreateMultipartUpload": "create_multipart_upload",
    "UploadPart": "upload_part",
}
