"""Connections between a partner and an advertiser's AMC instance or DSP account, and the terms of AMC.

Facts: AMC API documentation, "Advertiser audiences", and Amazon's OpenAPI file for them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator.api import Call, Operation, boolean
from airflow_provider_amc.emulator.clock import zulu
from airflow_provider_amc.emulator.config import (
    ACCOUNT_ID,
    AUDIENCES_SCOPE,
    CAMPAIGN_SCOPE,
    CLIENT_ID,
    MARKETPLACE_ID,
)
from airflow_provider_amc.emulator.errors import CONNECTIONS, amc_error, bad_request, unauthorized_request

KIND = "audienceConnection"
#: Connections of one list, and so of one account.
LIMIT = 100
_MEDIA = "application/vnd.amcaudiencesconnections.v1+json"
_PATH = "/amc/audiences/connections"
#: Connections belong to the user, not to an instance.
_EVERYWHERE = ""
_AMC_FIELDS = ("amcAccountId", "amcAccountMarketplaceId", "amcInstanceId")
_DSP_FIELDS = ("dspAdvertiserId", "dspProfileId")
_CUSTOMER_ID = "AEMULATOR0001"
_DATA_UPLOAD_ACCOUNT = "811639200769"
_TERMS = (
    "<h1>Terms of the emulator</h1><p>These terms stand for those of Amazon Marketing Cloud and bind nobody. "
    "Accept them with the agreement token beside this text.</p>"
)
_TERMS_TOKEN = "emulator-terms-1"


def find(call: Call, connection_id: str) -> dict[str, Any] | None:
    """A connection by its id; ``None`` when there is none."""
    return call.emulator.store.get_document(KIND, _EVERYWHERE, connection_id)


def default(call: Call) -> dict[str, Any] | None:
    """The default connection, if there is any connection."""
    return next((one for one in _all(call) if one["isDefault"]), None)


def _all(call: Call) -> list[dict[str, Any]]:
    return call.emulator.store.documents(KIND, _EVERYWHERE)


def _save(call: Call, document: dict[str, Any]) -> None:
    call.emulator.store.replace_document(KIND, _EVERYWHERE, document["connectionId"], document)


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_request(f"Invalid value for {name}: expected a string.")
    return value or None


def _new(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    given = {name: text for name in (*_AMC_FIELDS, *_DSP_FIELDS) if (text := _text(body, name)) is not None}
    if "amcInstanceId" not in given and "dspAdvertiserId" not in given:
        raise bad_request("At least one of amcInstanceId and dspAdvertiserId must be specified.")
    shown: dict[str, Any] = dict(given)
    if given.keys() & set(_AMC_FIELDS):
        for name in _AMC_FIELDS:
            if name not in given:
                raise bad_request(f"{name} must be specified together with {', '.join(sorted(given))}.")
        instance = call.emulator.instances.find(given["amcInstanceId"])
        account = given["amcAccountId"], given["amcAccountMarketplaceId"]
        if account != (ACCOUNT_ID, MARKETPLACE_ID) or instance is None:
            raise unauthorized_request()
        shown["amcAccountName"] = "AMC emulator"
        shown["amcInstanceName"] = instance.name
        shown["dataUploadAwsAccountId"] = _DATA_UPLOAD_ACCOUNT
    if "dspAdvertiserId" in given:
        if not given["dspAdvertiserId"].isdecimal():
            raise bad_request("Invalid value for dspAdvertiserId: expected digits.")
        shown["dspAdvertiserName"] = "Emulator DSP advertiser"
        shown["dspAdvertiserCountryCode"] = "US"
        shown["dspAdvertiserMarketplaceId"] = MARKETPLACE_ID
        shown["dspAdvertiserRegion"] = "NA"
    now = zulu(call.emulator.clock.now())
    return {
        **shown,
        "connectionId": _text(body, "connectionId") or str(uuid.uuid4()),
        "clientId": CLIENT_ID,
        "customerId": _CUSTOMER_ID,
        "creationDateTime": now,
        "modifiedDateTime": now,
        "isDefault": boolean(body, "isDefault"),
    }


def _make_default(call: Call, connection_id: str) -> None:
    for one in _all(call):
        wanted = one["connectionId"] == connection_id
        if one["isDefault"] != wanted:
            now = zulu(call.emulator.clock.now())
            _save(call, {**one, "isDefault": wanted, "modifiedDateTime": now})


async def add_connection(call: Call) -> Response:
    """Create a connection; the first one is the default, whatever it says."""
    document = _new(call, await call.body())
    connection_id = document["connectionId"]
    if len(_all(call)) >= LIMIT:
        raise bad_request(f"There are {LIMIT} connections already.")
    document["isDefault"] = document["isDefault"] or default(call) is None
    if not call.emulator.store.add_document(KIND, _EVERYWHERE, connection_id, document):
        raise bad_request(f"Connection with ID {connection_id} already exists.")
    if document["isDefault"]:
        _make_default(call, connection_id)
    return call.answer({"connectionId": connection_id}, status=201)


def _wanted(call: Call) -> dict[str, Any] | None:
    """The connection that the query names.

    :raises ApiError: 404 when there is none of that id.
    """
    connection_id = call.query("connectionId")
    if connection_id is None:
        return None
    found = find(call, connection_id)
    if found is None:
        raise amc_error(404, f"Connection with ID {connection_id} does not exist.")
    return found


async def get_connections(call: Call) -> Response:
    """All connections, one of them, or the default one."""
    wanted = _wanted(call)
    found = [wanted] if wanted is not None else _all(call)
    if boolean(dict(call.request.query_params), "isDefault"):
        found = [one for one in found if one["isDefault"]]
    return call.answer({"connections": found})


async def remove_connection(call: Call) -> Response:
    """Delete a connection; without an id, or with a blank one, all of them, as AMC does."""
    wanted = _wanted(call)
    gone = [wanted] if wanted is not None else _all(call)
    for one in gone:
        call.emulator.store.delete_document(KIND, _EVERYWHERE, one["connectionId"])
    left = _all(call)
    if left and default(call) is None:
        _make_default(call, left[0]["connectionId"])
    return call.answer(None, status=204)


async def get_terms(call: Call) -> Response:
    """The terms of AMC, and whether the user has accepted them."""
    accepted = call.emulator.terms_accepted()
    return call.answer({"agreementContent": _TERMS, "agreementToken": _TERMS_TOKEN, "hasAccepted": accepted})


async def accept_terms(call: Call) -> Response:
    """Accept the terms of AMC."""
    body = await call.body()
    if body.get("agreementToken") != _TERMS_TOKEN:
        raise bad_request("The agreementToken is not that of the current terms.")
    if not isinstance(body.get("hasAccepted"), bool):
        raise bad_request("hasAccepted must be true or false.")
    if body["hasAccepted"]:
        call.emulator.accept_terms()
    return call.answer(None, status=204)


def operation(name: str, method: str, path: str, handler: Callable[[Call], Any], *not_named: int) -> Operation:
    """An operation on connections.

    :param not_named: error statuses that the OpenAPI file does not name for it.
    """
    return Operation(
        name,
        method,
        path,
        handler,
        _MEDIA,
        headers="client",
        scopes=(CAMPAIGN_SCOPE, AUDIENCES_SCOPE),
        errors=CONNECTIONS,
        known_statuses=frozenset({400, 401, 403, 404, 429, 500} - set(not_named)),
    )


OPERATIONS = (
    operation("AmcpLinkAddConnectionV2", "POST", _PATH, add_connection, 404),
    operation("AmcpLinkGetConnectionsV2", "GET", _PATH, get_connections),
    operation("AmcpLinkRemoveConnectionV2", "DELETE", _PATH, remove_connection),
    operation("AmcpLinkGetTermsV2", "GET", _PATH + "/terms", get_terms, 400),
    operation("AmcpLinkSetTermsAcceptanceV2", "PATCH", _PATH + "/terms", accept_terms),
)
