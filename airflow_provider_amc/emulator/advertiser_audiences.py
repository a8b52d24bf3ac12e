"""Audiences that advertisers make of their own lists: their metadata.

Facts: AMC API documentation, "Advertiser audiences", and Amazon's OpenAPI file for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import connections
from airflow_provider_amc.emulator.api import Call, Operation
from airflow_provider_amc.emulator.background import ENDED
from airflow_provider_amc.emulator.columns import COUNTRY
from airflow_provider_amc.emulator.config import AUDIENCES_SCOPE, CAMPAIGN_SCOPE
from airflow_provider_amc.emulator.data.chance import long_id
from airflow_provider_amc.emulator.errors import AUDIENCES, amc_error, bad_request

KIND = "advertiserAudience"
MEDIA = "application/vnd.amcaudiences.v1+json"
JOB_KIND = "audienceRecords"
#: Audiences belong to the user, not to an instance.
EVERYWHERE = ""
#: Longest life of a member, and the usual one: 13 months, in seconds.
LONGEST_TTL = 34_300_800
_PATH = "/amc/audiences/metadata"
_NAME_LENGTH = range(10, 129)
_DESCRIPTION_LENGTH = range(1001)
_FEES = range(1, 14)
_CURRENCIES = ("AED", "AUD", "CAD", "CNY", "EUR", "GBP", "INR", "JPY", "MXN", "SAR", "SEK", "TRY", "USD")


def find(call: Call, audience_id: int) -> dict[str, Any] | None:
    """An audience by its id; ``None`` when there is none."""
    return call.emulator.store.get_document(KIND, EVERYWHERE, str(audience_id))


def text(body: Mapping[str, Any], name: str, lengths: range) -> str:
    """A text that must be there.

    :raises ApiError: 400 when it is not, or has another length.
    """
    value = body.get(name)
    if not isinstance(value, str):
        raise bad_request(f"{name} must be specified.")
    if len(value) not in lengths:
        raise bad_request(f"Invalid value for {name}: expected {lengths[0]} to {lengths[-1]} characters.")
    return value


def is_number(value: Any) -> bool:
    """Is it a number of JSON?"""
    return isinstance(value, int | float) and not isinstance(value, bool)


def country(body: Mapping[str, Any]) -> dict[str, str]:
    """The country code of a body, if it has one.

    :raises ApiError: 400 unless it is two capital letters or UNKNOWN.
    """
    value = body.get("countryCode")
    if value is None:
        return {}
    if not isinstance(value, str) or not (COUNTRY.fullmatch(value) or value == "UNKNOWN"):
        raise bad_request(f"Invalid value '{value}' for countryCode: expected two capital letters, such as US.")
    return {"countryCode": value}


def _settings(given: Any) -> dict[str, Any]:
    """What of the metadata can be changed later."""
    if not isinstance(given, dict):
        raise bad_request("metadata must be an object.")
    kept: dict[str, Any] = {}
    ttl, fees = given.get("ttl"), given.get("audienceFees")
    if ttl is not None:
        if not is_number(ttl) or not 0 <= ttl <= LONGEST_TTL:
            raise bad_request(f"Invalid value '{ttl}' for ttl: expected a number from 0 to {LONGEST_TTL}.")
        kept["ttl"] = ttl
    if fees is not None:
        if not isinstance(fees, list) or len(fees) not in _FEES or not all(map(_is_fee, fees)):
            raise bad_request(
                f"Invalid value for audienceFees: expected {_FEES[0]} to {_FEES[-1]} objects with cpmCents and currency."
            )
        kept["audienceFees"] = [{name: fee[name] for name in ("cpmCents", "currency")} for fee in fees]
    return kept


def _is_fee(fee: Any) -> bool:
    return isinstance(fee, dict) and is_number(fee.get("cpmCents")) and fee.get("currency") in _CURRENCIES


def _target(call: Call, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or len(given.keys() & {"connectionId", "advertiserId"}) != 1:
        raise bad_request("targetResource must have exactly one of connectionId and advertiserId.")
    if "advertiserId" in given:
        if not is_number(given["advertiserId"]):
            raise bad_request("Invalid value for advertiserId: expected a number.")
        return {"advertiserId": given["advertiserId"]}
    connection = connections.find(call, str(given["connectionId"]))
    if connection is None:
        raise bad_request(f"Connection with ID {given['connectionId']} does not exist.")
    advertiser = connection.get("dspAdvertiserId")
    return {"_connectionId": connection["connectionId"], **({"advertiserId": int(advertiser)} if advertiser else {})}


async def create_metadata(call: Call) -> Response:
    """Create an audience without members."""
    body = await call.body()
    fields = {
        "name": text(body, "name", _NAME_LENGTH),
        "description": text(body, "description", _DESCRIPTION_LENGTH),
        **country(body),
        **_target(call, body.get("targetResource")),
    }
    settings = _settings(body.get("metadata"))
    external_id = body["metadata"].get("externalAudienceId")
    if not isinstance(external_id, str) or not external_id:
        raise bad_request("externalAudienceId must be specified.")
    store = call.emulator.store
    audience_id = long_id("audience", call.emulator.config.seed, store.count_documents(KIND))
    metadata = {"ttl": LONGEST_TTL, **settings, "externalAudienceId": external_id}
    store.add_document(KIND, EVERYWHERE, str(audience_id), {"audienceId": audience_id, **fields, "metadata": metadata})
    return call.answer({"audienceId": audience_id, "externalAudienceId": external_id}, status=201)


def _named(call: Call) -> dict[str, Any]:
    """The audience of the path.

    :raises ApiError: 400 for what is no number, 404 when there is none.
    """
    given = call.path("audience_id")
    if not (given.isascii() and given.isdecimal()):
        raise bad_request(f"Invalid value '{given}' for audienceId: expected a number.")
    document = find(call, int(given))
    if document is None:
        raise amc_error(404, f"Audience with ID {given} does not exist.")
    return document


def _shown(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not name.startswith("_")}


def _size(call: Call, audience_id: int) -> dict[str, int]:
    """The size of an audience: what all its jobs received and matched, and who is in it."""
    found = [
        job["audienceSize"]
        for job in call.emulator.store.documents(JOB_KIND, EVERYWHERE)
        if job["_audienceId"] == audience_id and job[ENDED] is not None and "audienceSize" in job
    ]
    return {
        "receivedRecordSize": sum(size["receivedRecordSize"] for size in found),
        "idResolutionCount": sum(size["idResolutionCount"] for size in found),
        "dspAudienceSize": found[-1]["dspAudienceSize"] if found else 0,
    }


async def get_metadata(call: Call) -> Response:
    """One audience, with its size."""
    document = _named(call)
    sized = {**document["metadata"], "audienceSize": _size(call, document["audienceId"])}
    return call.answer({**_shown(document), "metadata": sized})


async def update_metadata(call: Call) -> Response:
    """Change the description, the life of members or the fees of an audience."""
    document = _named(call)
    body = await call.body()
    if body.get("description") is not None:
        document["description"] = text(body, "description", _DESCRIPTION_LENGTH)
    if body.get("metadata") is not None:
        document["metadata"] = {**document["metadata"], **_settings(body["metadata"])}
    call.emulator.store.replace_document(KIND, EVERYWHERE, str(document["audienceId"]), document)
    audience_id, ttl, shelf = document["audienceId"], document["metadata"]["ttl"], call.emulator.shelf

    def work() -> None:
        from airflow_provider_amc.emulator.audience_tables import set_ttl

        set_ttl(shelf, audience_id, ttl)

    await call.emulator.the_background().alone(work)
    return call.answer({name: value for name, value in _shown(document).items() if name != "countryCode"})


def operation(
    name: str, method: str, path: str, handler: Callable[[Call], Any], *more: int, terms: bool = False
) -> Operation:
    """An operation on advertisers' audiences.

    :param more: error statuses of the OpenAPI file beside the usual ones.
    :param terms: must the terms of AMC be accepted?
    """
    return Operation(
        name,
        method,
        path,
        handler,
        MEDIA,
        headers="client",
        scopes=(CAMPAIGN_SCOPE, AUDIENCES_SCOPE),
        errors=AUDIENCES,
        known_statuses=frozenset({400, 429, 500, *more}),
        terms=terms,
    )


OPERATIONS = (
    operation("CreateAudienceMetadataV2", "POST", _PATH, create_metadata),
    operation("GetAudienceMetadataV2", "GET", _PATH + "/{audience_id}", get_metadata, 404),
    operation("UpdateAudienceMetadataV2", "PUT", _PATH + "/{audience_id}", update_metadata, 404),
)
