"""Accounts and instances.

Shapes: recorded responses in Amazon's Postman collection; with the wrapped envelope those of the OpenAPI file, which
knows no nulls and requires a bucket region.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator.api import Call, Operation
from airflow_provider_amc.emulator.config import ACCOUNT_ID, ADVERTISER_TYPES, MARKETPLACE_ID
from airflow_provider_amc.emulator.errors import CONNECTIONS, amc_error, bad_request

_INSTANCES = "application/vnd.amcinstances.v1+json"
_CONNECTIONS = "application/vnd.amcaudiencesconnections.v1+json"
_CREATED = "2024-01-15T10:00:00Z"
_ADVERTISERS: list[dict[str, Any]] = [
    {
        "id": "580000000000000001",
        "name": "Emulator DSP advertiser",
        "marketplaceId": None,
        "type": "DISPLAY",
        "configuredAdvertiserTypes": ["DISPLAY"],
    },
    {
        "id": "ENTITYEMULATORADS",
        "name": "Emulator sponsored ads advertiser",
        "marketplaceId": MARKETPLACE_ID,
        "type": "SPONSORED_ADS",
        "configuredAdvertiserTypes": ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS"],
    },
]


def _instance(call: Call, instance_id: str) -> dict[str, Any]:
    sandbox = call.emulator.instances[instance_id] == "SANDBOX"
    shown: dict[str, Any] = {
        "instanceId": instance_id,
        "instanceName": f"Emulator {'sandbox ' if sandbox else ''}{instance_id}",
        "instanceType": "SANDBOX" if sandbox else "STANDARD",
        "customerCanonicalName": "Emulator advertiser",
        "creationStatus": "COMPLETED",
        "creationDatetime": _CREATED,
        "s3BucketName": "",
        "awsAccountId": "000000000000",
        "entities": ["NA"],
        "dataUploadAwsAccountId": "811639200769",
        "advertiserTypes": ["DISPLAY", "SPONSORED_ADS"],
        "optionalDatasets": [],
    }
    if call.emulator.config.envelope == "wrapped":
        return {**shown, "s3BucketRegion": "us-east-1", "apiEndpoint": str(call.request.base_url).rstrip("/")}
    return {**shown, "apiEndpoint": None, "acrCollaboration": None}


async def list_accounts(call: Call) -> Response:
    """Accounts the client id has access to."""
    account = {"accountId": ACCOUNT_ID, "accountName": "AMC emulator", "marketplaceId": MARKETPLACE_ID}
    chosen, _ = call.page([account], limit=1)
    return call.answer({"amcAccounts": chosen})


def _with_token(call: Call, body: dict[str, Any], token: str | None) -> dict[str, Any]:
    if token is not None or call.emulator.config.envelope == "flat":
        body["nextToken"] = token
    return body


async def list_instances(call: Call) -> Response:
    """Instances of the account."""
    chosen, token = call.page(list(call.emulator.instances), call.limit(call.emulator.config.instances_page_size))
    return call.answer(_with_token(call, {"instances": [_instance(call, one) for one in chosen]}, token))


async def get_instance(call: Call) -> Response:
    """One instance."""
    accepted = call.request.headers.get("accept", "*/*").lower()
    if not any(kind in accepted for kind in ("*/*", "application/*", "json")):
        raise amc_error(415, "Unsupported Media Type")
    return call.answer({"instance": _instance(call, call.instance_id)})


async def list_advertisers(call: Call) -> Response:
    """Advertisers of an instance."""
    wanted = call.query("type")
    if wanted is not None and wanted not in ADVERTISER_TYPES:
        raise bad_request(f"Invalid value '{wanted}' for type: expected one of {', '.join(ADVERTISER_TYPES)}.")
    found = [one for one in _ADVERTISERS if wanted in (None, one["type"])]
    chosen, token = call.page(found, call.limit())
    if call.emulator.config.envelope == "wrapped":
        chosen = [{name: value for name, value in one.items() if value is not None} for one in chosen]
    return call.answer(_with_token(call, {"advertisers": chosen, "totalCount": len(found)}, token))


OPERATIONS = (
    Operation(
        "listAccounts",
        "GET",
        "/amc/accounts",
        list_accounts,
        spec_media_type=_CONNECTIONS,
        headers="client",
        errors=CONNECTIONS,
    ),
    Operation("listInstances", "GET", "/amc/instances", list_instances, spec_media_type=_INSTANCES),
    Operation("getInstance", "GET", "/amc/instances/{instance_id}", get_instance, spec_media_type=_INSTANCES),
    Operation(
        "getInstanceAdvertisers",
        "GET",
        "/amc/instances/{instance_id}/advertisers",
        list_advertisers,
        spec_media_type=_INSTANCES,
    ),
)
