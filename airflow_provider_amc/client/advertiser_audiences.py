"""Advertiser audiences: lists of an advertiser's own customers, sent record by record with hashed identities.

Source: AMC API documentation, "Audience management service", and the OpenAPI file of the advertiser audience API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_amc.client.fields import Raw, boolean, integer, objects, text
from airflow_provider_amc.client.transport import ACCOUNTS, ADVERTISER_AUDIENCES, Transport
from airflow_provider_amc.client.validation import check_range, check_segment, is_blank, path
from airflow_provider_amc.exceptions import AmcHttpError, AmcNotFoundError, AmcValidationError

#: Records of one call: AMC's most, and what its guide advises.
MOST_RECORDS = 10_000
ADVISED_RECORDS = 6_000
MOST_IDENTITIES = 100
MOST_TTL_SECONDS = 34_300_800

IDENTITY_FIELDS = ("email", "phone", "firstname", "lastname", "address", "city", "state", "postal")

#: What a hashed value looks like.
SHA256 = re.compile(r"[0-9a-f]{64}")
#: What the id of a person looks like.
EXTERNAL_USER_ID = re.compile(r"[0-9a-zA-Z_-]{1,128}")


@dataclass(frozen=True)
class AudienceConnection:
    """Connects an AMC instance, or an advertiser, with uploads."""

    connection_id: str
    amc_instance_id: str | None = None
    amc_account_id: str | None = None
    dsp_advertiser_id: str | None = None
    is_default: bool | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> AudienceConnection:
        """Read an element of ``connections``."""
        return cls(
            connection_id=text(data.get("connectionId")) or "",
            amc_instance_id=text(data.get("amcInstanceId")),
            amc_account_id=text(data.get("amcAccountId")),
            dsp_advertiser_id=text(data.get("dspAdvertiserId")),
            is_default=boolean(data.get("isDefault")),
            raw=data,
        )


@dataclass(frozen=True)
class AudienceTerms:
    """The terms of audience uploads."""

    agreement_token: str = field(repr=False)
    agreement_content: str | None = field(default=None, repr=False)
    has_accepted: bool | None = None

    @classmethod
    def from_api(cls, data: Raw) -> AudienceTerms:
        """Read the terms."""
        return cls(
            agreement_token=text(data.get("agreementToken")) or "",
            agreement_content=text(data.get("agreementContent")),
            has_accepted=boolean(data.get("hasAccepted")),
        )


@dataclass(frozen=True)
class AdvertiserAudience:
    """What AMC knows about an advertiser audience."""

    audience_id: str
    name: str | None = None
    description: str | None = None
    advertiser_id: str | None = None
    country_code: str | None = None
    external_audience_id: str | None = None
    ttl: int | None = None
    audience_size: Raw = field(default_factory=dict)
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> AdvertiserAudience:
        """Read an audience, or the short answer to its creation."""
        metadata = data.get("metadata")
        about: Raw = metadata if isinstance(metadata, Mapping) else {}
        size = about.get("audienceSize")
        return cls(
            audience_id=text(data.get("audienceId")) or "",
            name=text(data.get("name")),
            description=text(data.get("description")),
            advertiser_id=text(data.get("advertiserId")),
            country_code=text(data.get("countryCode")),
            external_audience_id=text(data.get("externalAudienceId")) or text(about.get("externalAudienceId")),
            ttl=integer(about.get("ttl")),
            audience_size=size if isinstance(size, Mapping) else {},
            raw=data,
        )


@dataclass(frozen=True)
class RecordsJob:
    """The processing of uploaded records.

    ``state``: PENDING, COMPLETED, SUCCEEDED, PARTIALLYSUCCEEDED or FAILED. ``invalid_records`` names those that
    failed, by ``externalId``, with the ``error``.
    """

    job_request_id: str
    state: str = ""
    records_processed_rate: float | None = None
    invalid_records: tuple[Raw, ...] = field(default=(), repr=False)
    audience_size: Raw = field(default_factory=dict)
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Will the state stay?"""
        return self.state in ("COMPLETED", "SUCCEEDED", "PARTIALLYSUCCEEDED", "FAILED")

    @property
    def failed_ids(self) -> tuple[str, ...]:
        """``externalUserId`` of the records that failed."""
        return tuple(str(one["externalId"]) for one in self.invalid_records if one.get("externalId") is not None)

    @classmethod
    def from_api(cls, data: Raw) -> RecordsJob:
        """Read the status of a job."""
        successful, size = data.get("successful"), data.get("audienceSize")
        rate = successful.get("recordsProcessedRate") if isinstance(successful, Mapping) else None
        return cls(
            job_request_id=text(data.get("jobRequestId")) or "",
            state=(text(data.get("jobState")) or "").strip().upper(),
            records_processed_rate=float(rate) if isinstance(rate, (int, float)) else None,
            invalid_records=objects(data.get("invalidRecords")),
            audience_size=size if isinstance(size, Mapping) else {},
            raw=data,
        )


class AudienceConnections:
    """``client.advertiser_audiences.connections``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _call(self, method: str, address: str = "/amc/audiences/connections", **options: Any) -> dict[str, Any]:
        return self._transport.call(method, address, media_type=ACCOUNTS, headers={}, **options)

    def list(self, *, is_default: bool | None = None) -> list[AudienceConnection]:
        """List the connections of the user.

        :param is_default: only the default one, or only the others.
        """
        found = self._call("GET", query={"isDefault": is_default}).get("connections")
        return [AudienceConnection.from_api(one) for one in objects(found)]

    def get(self, connection_id: str) -> AudienceConnection:
        """Get a connection.

        :param connection_id: its id.
        :raises AmcNotFoundError: when there is none.
        """
        known = check_segment(connection_id, "connection_id")
        for one in objects(self._call("GET", query={"connectionId": known}).get("connections")):
            if one.get("connectionId") == known:
                return AudienceConnection.from_api(one)
        raise AmcNotFoundError(
            f"There is no connection {known}.",
            method="GET",
            path="/amc/audiences/connections",
            hint="client.advertiser_audiences.connections.list() shows them.",
        )

    def create(
        self,
        *,
        amc_instance_id: str | None = None,
        amc_account_id: str | None = None,
        amc_account_marketplace_id: str | None = None,
        dsp_advertiser_id: str | None = None,
        is_default: bool | None = None,
        connection_id: str | None = None,
    ) -> str:
        """Create a connection.

        :param amc_instance_id: instance whose tables receive the audiences.
        :param amc_account_id: account of the instance.
        :param amc_account_marketplace_id: marketplace of the account.
        :param dsp_advertiser_id: DSP advertiser that receives the audiences.
        :param is_default: use it where no connection is named.
        :param connection_id: id of the connection. Default: AMC chooses one.
        :return: its id.
        :raises AmcUnknownOutcomeError: when the answer was lost: list the connections before creating another.
        """
        fields = {
            "amcInstanceId": amc_instance_id,
            "amcAccountId": amc_account_id,
            "amcAccountMarketplaceId": amc_account_marketplace_id,
            "dspAdvertiserId": dsp_advertiser_id,
            "isDefault": is_default,
            "connectionId": connection_id,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        data = self._call("POST", body=body, repeat=False)
        return str(self._transport.whole(data, "connectionId", "/amc/audiences/connections")["connectionId"])

    def delete(self, connection_id: str) -> None:
        """Delete one connection. The call without an id, which deletes all of them, is not offered.

        :param connection_id: its id.
        :raises AmcValidationError: there is no id; nothing was sent.
        """
        known = check_segment(connection_id, "connection_id")
        try:
            self._call("DELETE", query={"connectionId": known})
        except AmcNotFoundError as error:
            if not error.answer_lost:
                raise

    def terms(self) -> AudienceTerms:
        """Get the terms, and whether they have been accepted."""
        return AudienceTerms.from_api(self._call("GET", "/amc/audiences/connections/terms"))

    def accept_terms(self, agreement_token: str) -> None:
        """Accept the terms, for the user behind the refresh token.

        :param agreement_token: of :meth:`terms`, read by somebody who may accept them.
        """
        body = {"agreementToken": agreement_token, "hasAccepted": True}
        self._call("PATCH", "/amc/audiences/connections/terms", body=body)


class AdvertiserAudiences:
    """``client.advertiser_audiences``; needs the scope ``advertising::audiences``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.connections = AudienceConnections(transport)

    def _call(self, method: str, address: str, body: Raw | None = None, *, repeat: bool = True) -> dict[str, Any]:
        return self._transport.call(
            method, address, media_type=ADVERTISER_AUDIENCES, headers={}, body=body, repeat=repeat
        )

    def create(
        self,
        name: str,
        *,
        description: str,
        external_audience_id: str,
        connection_id: str | None = None,
        advertiser_id: str | None = None,
        ttl: int | None = None,
        country_code: str | None = None,
        audience_fees: Sequence[Mapping[str, Any]] | None = None,
    ) -> AdvertiserAudience:
        """Create an audience without members.

        :param name: 10 to 128 characters.
        :param description: up to 1000 characters.
        :param external_audience_id: your own id of it.
        :param connection_id: whose audience it is; this or ``advertiser_id``.
        :param advertiser_id: DSP advertiser.
        :param ttl: seconds for which a record stays a member, up to 34300800.
        :param country_code: ISO 3166-1 code of the members' country.
        :param audience_fees: mappings with ``cpmCents`` and ``currency``.
        :raises AmcUnknownOutcomeError: when the answer was lost.
        """
        if not 10 <= len(name) <= 128:
            raise AmcValidationError(f"name must have 10 to 128 characters, got {name!r}.")
        if len(description) > 1000:
            raise AmcValidationError("description must be a text of up to 1000 characters.")
        if is_blank(external_audience_id):
            raise AmcValidationError("external_audience_id must be a non-empty text.")
        if (connection_id is None) == (advertiser_id is None):
            raise AmcValidationError("Give connection_id or advertiser_id: whose audience it is.")
        target = (
            {"connectionId": connection_id}
            if connection_id is not None
            else {"advertiserId": _number(str(advertiser_id))}
        )
        metadata = {"externalAudienceId": external_audience_id, **_metadata(ttl, audience_fees)}
        body: dict[str, Any] = {
            "name": name,
            "description": description,
            "targetResource": target,
            "metadata": metadata,
        }
        if country_code is not None:
            body["countryCode"] = country_code
        data = self._call("POST", "/amc/audiences/metadata", body, repeat=False)
        return self._read(data, "/amc/audiences/metadata")

    def get(self, audience_id: str | int) -> AdvertiserAudience:
        """Get an audience with its sizes.

        :param audience_id: its id.
        :raises AmcNotFoundError: when there is none.
        """
        address = _metadata_path(audience_id)
        return self._read(self._call("GET", address), address)

    def update(
        self,
        audience_id: str | int,
        *,
        description: str | None = None,
        ttl: int | None = None,
        audience_fees: Sequence[Mapping[str, Any]] | None = None,
    ) -> AdvertiserAudience:
        """Change an audience; what is ``None`` stays as it is.

        :param audience_id: its id.
        :param description: up to 1000 characters.
        :param ttl: seconds for which a record stays a member.
        :param audience_fees: mappings with ``cpmCents`` and ``currency``.
        """
        body: dict[str, Any] = {} if description is None else {"description": description}
        if metadata := _metadata(ttl, audience_fees):
            body["metadata"] = metadata
        if not body:
            raise AmcValidationError("There is nothing to change: give description, ttl or audience_fees.")
        address = _metadata_path(audience_id)
        return self._read(self._call("PUT", address, body), address)

    def send_records(self, audience_id: str | int, records: Sequence[Mapping[str, Any]], *, connection_id: str) -> str:
        """Send records. A record that is sent twice counts once, so a lost answer is followed by another attempt.

        :param audience_id: the audience.
        :param records: up to 10,000 mappings with ``externalUserId``, ``action`` (``CREATE`` or ``DELETE``),
            ``hashedPII`` (mappings of SHA-256 hashes) and, if wanted, ``countryCode`` and ``userConsent``.
        :param connection_id: connection of the audience.
        :return: the id of the job that works on them.
        :raises AmcValidationError: a record is wrong; the message names its place and never its values.
        """
        check_records(records)
        body = {
            "audienceId": _number(audience_id),
            "records": [dict(record) for record in records],
            "targetResource": {"connectionId": connection_id},
        }
        data = self._call("POST", "/amc/audiences/records", body)
        return str(self._transport.whole(data, "jobRequestId", "/amc/audiences/records")["jobRequestId"])

    def get_job(self, job_request_id: str) -> RecordsJob:
        """Ask how far a job is.

        :param job_request_id: of :meth:`send_records`.
        """
        address = path("amc", "audiences", "records", check_segment(job_request_id, "job_request_id"))
        job = RecordsJob.from_api({"jobRequestId": job_request_id, **self._call("GET", address)})
        if not job.state:
            raise AmcHttpError("AMC's answer has no jobState.", http_status=200, method="GET", path=address)
        return job

    def _read(self, data: Raw, address: str) -> AdvertiserAudience:
        return AdvertiserAudience.from_api(self._transport.whole(data, "audienceId", address))


def check_records(records: Sequence[Mapping[str, Any]]) -> None:
    """Check records before they are sent. Errors name places, never values.

    :param records: see :meth:`AdvertiserAudiences.send_records`.
    :raises AmcValidationError: one is wrong, there are none, or too many.
    """
    if not records or len(records) > MOST_RECORDS:
        raise AmcValidationError(f"records: AMC takes 1 to {MOST_RECORDS:,} with one call, got {len(records):,}.")
    for number, record in enumerate(records):
        place = f"records[{number}]"
        if not EXTERNAL_USER_ID.fullmatch(str(record.get("externalUserId") or "")):
            raise AmcValidationError(
                f"{place}: externalUserId must have 1 to 128 letters, digits, '-' and '_'. Its value is not shown."
            )
        if record.get("action") not in ("CREATE", "DELETE"):
            raise AmcValidationError(f"{place}: action must be CREATE or DELETE.")
        identities = record.get("hashedPII")
        if not isinstance(identities, Sequence) or not 1 <= len(identities) <= MOST_IDENTITIES:
            raise AmcValidationError(f"{place}: hashedPII must be a list of 1 to {MOST_IDENTITIES} mappings.")
        for identity in identities:
            _check_identity(identity, place)


def _check_identity(identity: object, place: str) -> None:
    if not isinstance(identity, Mapping) or not identity:
        raise AmcValidationError(f"{place}: hashedPII holds something that is not a mapping of hashes.")
    for name, value in identity.items():
        if name not in IDENTITY_FIELDS:
            raise AmcValidationError(f"{place}: hashedPII has the unknown field {name!r}.")
        if not isinstance(value, str) or not SHA256.fullmatch(value):
            raise AmcValidationError(
                f"{place}: hashedPII.{name} is not a SHA-256 hash of 64 lower-case hexadecimal digits. Raw values are "
                "never sent: normalise and hash them first."
            )


def _metadata(ttl: int | None, audience_fees: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if ttl is not None:
        fields["ttl"] = check_range(ttl, "ttl", 0, MOST_TTL_SECONDS)
    if audience_fees is not None:
        fields["audienceFees"] = [dict(fee) for fee in audience_fees]
    return fields


def _metadata_path(audience_id: str | int) -> str:
    return path("amc", "audiences", "metadata", check_segment(str(audience_id), "audience_id"))


def _number(identifier: str | int) -> int | str:
    return int(identifier) if str(identifier).isdecimal() else str(identifier)
