"""Uploads into data sets, and requests to delete users (advertiser data upload).

Source: AMC API documentation, "Advertiser data upload".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_amc.client.data_sets import check_data_set_id
from airflow_provider_amc.client.fields import Raw, integer, text, unwrap
from airflow_provider_amc.client.paging import items
from airflow_provider_amc.client.times import format_time, parse_time
from airflow_provider_amc.client.transport import UPLOADS, USER_DELETIONS, Transport
from airflow_provider_amc.client.validation import check_range, check_segment, is_blank, path
from airflow_provider_amc.exceptions import AmcValidationError

#: What happens to rows that are there already. The last two are for data sets of facts only.
UPDATE_STRATEGIES = ("ADDITIVE", "FULL_REPLACE", "OVERLAP_REPLACE", "OVERLAP_KEEP")
COMPRESSIONS = ("NONE", "GZIP", "BZIP", "SNAPPY")
COMPARATORS = ("EQ", "GT", "GTE", "LT", "LTE")
MOST_IDENTITIES = 1000

FILE_FORMATS = ("CSV", "JSON", "PARQUET")


@dataclass(frozen=True)
class Upload:
    """An upload into a data set. AMC's specification and its guide name other states, both are understood."""

    upload_id: str
    data_set_id: str | None = None
    status: str = ""
    message: str | None = None
    rows: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    instance_id: str | None = None
    country_code: str | None = None
    metrics: Raw = field(default_factory=dict)
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_succeeded(self) -> bool:
        """Are the rows in the data set?"""
        return self.status in ("SUCCESS", "SUCCEEDED", "COMPLETED")

    @property
    def is_finished(self) -> bool:
        """Will the status stay?"""
        return self.is_succeeded or self.status == "FAILED"

    @classmethod
    def from_api(cls, data: Raw) -> Upload:
        """Read an upload, or the short answer to its creation."""
        found = data.get("metrics")
        metrics: Raw = found if isinstance(found, Mapping) else {}
        return cls(
            upload_id=text(data.get("uploadId")) or "",
            data_set_id=text(data.get("dataSetId")),
            status=(text(data.get("status")) or "").strip().upper(),
            message=text(data.get("message")),
            rows=integer(metrics.get("OutputRowCount")),
            created_at=parse_time(data.get("createdAt")),
            updated_at=parse_time(data.get("updatedAt")),
            instance_id=text(data.get("instanceId")),
            country_code=text(data.get("countryCode")),
            metrics=metrics,
            raw=data,
        )


def upload_request(
    *,
    s3_bucket: str,
    s3_key: str | None = None,
    s3_prefix: str | None = None,
    s3_manifest_key: str | None = None,
    file_format: str = "CSV",
    format_options: Mapping[str, Any] | None = None,
    compression_format: str = "NONE",
    update_strategy: str = "ADDITIVE",
    country_code: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the request of an upload. Nothing is sent.

    AMC reads the bucket with the account ``data_upload_aws_account_id`` of the instance, which its policy has to allow,
    and asks for a tag with the instance id.

    :param s3_bucket: bucket with the files.
    :param s3_key: one file; this, ``s3_prefix`` or ``s3_manifest_key``.
    :param s3_prefix: all files below a prefix; AMC leaves out names that begin with ``.`` or ``_``.
    :param s3_manifest_key: a file that lists files.
    :param file_format: ``CSV``, ``JSON`` or ``PARQUET``.
    :param format_options: options of the format by AMC's names: ``fieldDelimiter``, ``quoteCharacter``, ... for CSV,
        ``{"jsonDataFormat": "LINES"}`` or ``"DOCUMENT"`` for JSON.
    :param compression_format: ``NONE``, ``GZIP``, ``BZIP`` or ``SNAPPY``.
    :param update_strategy: one of :data:`UPDATE_STRATEGIES`.
    :param country_code: country of rows without a column for it.
    :param extra: further fields by AMC's names; they win over the ones above.
    :raises AmcValidationError: for everything AMC would refuse or misread.
    """
    sources = {"sourceFileS3Key": s3_key, "sourceS3Prefix": s3_prefix, "sourceManifestS3Key": s3_manifest_key}
    chosen = {name: value for name, value in sources.items() if value is not None}
    if is_blank(s3_bucket) or "/" in s3_bucket:
        raise AmcValidationError(f"s3_bucket must be the name of a bucket alone, got {s3_bucket!r}.")
    if len(chosen) != 1:
        raise AmcValidationError(f"Give one of s3_key, s3_prefix and s3_manifest_key, got {len(chosen)}.")
    body = {
        "updateStrategy": _choice(update_strategy, "update_strategy", UPDATE_STRATEGIES),
        "compressionFormat": _choice(compression_format, "compression_format", COMPRESSIONS),
        "dataSource": {"sourceS3Bucket": s3_bucket, **chosen},
        "fileFormat": _file_format(file_format, format_options or {}),
    }
    return {**body, **({"countryCode": country_code} if country_code else {}), **(extra or {})}


class Uploads:
    """``client.uploads``; needs the scope ``advertising::audiences``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "advertiserData", self._transport.instance(instance_id), "uploads", *segments)

    def create(self, data_set_id: str, *, instance_id: str | None = None, **fields: Any) -> Upload:
        """Start an upload: :meth:`submit` the request that :func:`upload_request` writes.

        :param data_set_id: the data set.
        :param instance_id: default the client's own.
        :param fields: arguments of :func:`upload_request`.
        """
        return self.submit(data_set_id, upload_request(**fields), instance_id=instance_id)

    def submit(self, data_set_id: str, request: Mapping[str, Any], *, instance_id: str | None = None) -> Upload:
        """Start an upload. With ``ADDITIVE`` a second one doubles the rows, so it is never repeated blindly.

        :param data_set_id: the data set.
        :param request: what :func:`upload_request` wrote.
        :param instance_id: default the client's own.
        :raises AmcUnknownOutcomeError: when the answer was lost: look for the upload before starting another.
        """
        address = self._path(instance_id, check_data_set_id(data_set_id))
        data = self._transport.call("POST", address, media_type=UPLOADS, body=request, repeat=False)
        found = self._transport.whole(unwrap(data, "upload", "uploadId"), "uploadId", address)
        return Upload.from_api({"dataSetId": data_set_id, **found})

    def get(self, data_set_id: str, upload_id: str, *, instance_id: str | None = None) -> Upload:
        """Get an upload.

        :param data_set_id: the data set.
        :param upload_id: the upload.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        known = check_segment(upload_id, "upload_id")
        address = self._path(instance_id, check_data_set_id(data_set_id), known)
        data = self._transport.call("GET", address, media_type=UPLOADS)
        return Upload.from_api(self._transport.whole(unwrap(data, "upload", "uploadId"), "uploadId", address))

    def list(
        self,
        *,
        data_set_id: str | None = None,
        status: str | None = None,
        created_at: datetime | str | None = None,
        created_at_comparator: str = "GTE",
        limit: int | None = None,
        instance_id: str | None = None,
    ) -> Iterator[Upload]:
        """List uploads.

        :param data_set_id: into this data set only.
        :param status: with this status only.
        :param created_at: compared with the time of creation; without an offset in UTC.
        :param created_at_comparator: ``EQ``, ``GT``, ``GTE``, ``LT`` or ``LTE``.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        :param instance_id: default the client's own.
        """
        moment = None if created_at is None else f"{format_time(created_at, field='created_at')}Z"
        query = {
            "maxResults": None if limit is None else check_range(limit, "limit", 1, 100),
            "dataSetId": None if data_set_id is None else check_data_set_id(data_set_id),
            "status": status,
            "createdAt": moment,
            "createdAtComparator": None
            if moment is None
            else _choice(created_at_comparator, "created_at_comparator", COMPARATORS),
        }
        address = self._path(instance_id, "list")

        def fetch(token: str | None) -> dict[str, Any]:
            asked = {**query, "nextToken": token}
            return self._transport.call("POST", address, media_type=UPLOADS, query=asked, body={})

        return map(Upload.from_api, items(fetch, "uploads", "uploadList"))


@dataclass(frozen=True)
class UserDeletion:
    """A request to delete users from uploaded data. The specification knows the states PENDING and SUCCEEDED."""

    user_deletion_request_id: str
    status: str = ""
    identity_count: int | None = None
    creation_date_time: datetime | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_succeeded(self) -> bool:
        """Are the users deleted?"""
        return self.status in ("SUCCEEDED", "SUCCESS", "COMPLETED")

    @property
    def is_finished(self) -> bool:
        """Will the status stay?"""
        return self.is_succeeded or self.status == "FAILED"

    @classmethod
    def from_api(cls, data: Raw) -> UserDeletion:
        """Read a request."""
        return cls(
            user_deletion_request_id=text(data.get("userDeletionRequestId")) or "",
            status=(text(data.get("status")) or "").strip().upper(),
            identity_count=integer(data.get("identityCount")),
            creation_date_time=parse_time(data.get("creationDateTime")),
            raw=data,
        )


class UserDeletions:
    """``client.user_deletions``; needs the scope ``advertising::audiences``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "advertiserData", self._transport.instance(instance_id), "userDeletionRequest", *segments)

    def create(self, identities: Sequence[Mapping[str, Any]], *, instance_id: str | None = None) -> UserDeletion:
        """Ask for users to be deleted. Asking twice does no harm.

        :param identities: up to 1,000 users, each ``{"hashedIdentity": {"EMAIL": <SHA-256>, ...}}`` or
            ``{"externalIdentity": {"type": "LIVERAMP", "value": ...}}``.
        :param instance_id: default the client's own.
        :raises AmcValidationError: there are none, or too many; nothing was sent.
        """
        if not 1 <= len(identities) <= MOST_IDENTITIES:
            raise AmcValidationError(
                f"identities: AMC takes 1 to {MOST_IDENTITIES:,} with one request, got {len(identities):,}."
            )
        body = {"targetIdentities": [dict(one) for one in identities]}
        return self._read(self._transport.call("POST", self._path(instance_id), media_type=USER_DELETIONS, body=body))

    def get(self, user_deletion_request_id: str, *, instance_id: str | None = None) -> UserDeletion:
        """Get a request.

        :param user_deletion_request_id: its id.
        :param instance_id: default the client's own.
        """
        address = self._path(instance_id, check_segment(user_deletion_request_id, "user_deletion_request_id"))
        return self._read(self._transport.call("GET", address, media_type=USER_DELETIONS))

    def list(self, *, limit: int | None = None, instance_id: str | None = None) -> Iterator[UserDeletion]:
        """List the requests.

        :param limit: size of a page, 1 to 100; all pages are read in any case.
        :param instance_id: default the client's own.
        """
        size = None if limit is None else check_range(limit, "limit", 1, 100)
        address = self._path(instance_id, "list")

        def fetch(token: str | None) -> dict[str, Any]:
            query = {"maxResults": size, "nextToken": token}
            return self._transport.call("POST", address, media_type=USER_DELETIONS, query=query, body={})

        return map(UserDeletion.from_api, items(fetch, "userDeletions", "userDeletionRequests"))

    def _read(self, data: Raw) -> UserDeletion:
        return UserDeletion.from_api(unwrap(data, "identityDeletion", "userDeletionRequestId"))


def _choice(value: object, name: str, choices: Sequence[str]) -> str:
    chosen = str(value).strip().upper()
    if chosen not in choices:
        raise AmcValidationError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    return chosen


def _file_format(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    chosen = _choice(name, "file_format", FILE_FORMATS)
    if chosen == "CSV":
        return {"csvDataFormat": dict(options)}
    if chosen == "JSON":
        return {"jsonDataFormat": options.get("jsonDataFormat", "LINES")}
    return {"parquetDataFormat": "PARQUET_DATA_FORMAT"}
