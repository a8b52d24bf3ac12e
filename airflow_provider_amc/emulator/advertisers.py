"""Advertisers of an instance, and the updates that add and remove them.

Facts: Amazon's OpenAPI file of the administration; AMC API documentation, "Instance management". AMC does not tell which
advertisers it rejects. The emulator knows those of :func:`is_known`; an update with any other ends as REJECTED.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator.admin import MEDIA, STATUSES, completed, managed_only, the_instance, with_token
from airflow_provider_amc.emulator.api import Call, Operation, unknown_id
from airflow_provider_amc.emulator.config import ADVERTISER_TYPES, MARKETPLACE_ID
from airflow_provider_amc.emulator.errors import bad_request
from airflow_provider_amc.emulator.progress import Progress
from airflow_provider_amc.emulator.registry import Instance

KIND = "advertiser_update"
_STAGES = ("PENDING", "UPDATING")
_BATCH = 10
_LISTS = ("advertisersToAdd", "advertisersToRemove")
_FIELDS = ("id", "type", "marketplaceId")
_SHORTEST, _LONGEST = 30.0, 180.0
_KNOWN = {
    "DISPLAY": re.compile(r"58\d{16}"),
    "SPONSORED_ADS": re.compile(r"ENTITYEMULATORADS\d*"),
    "SAS": re.compile(r"59\d{16}"),
}
_NAMES = {"DISPLAY": "DSP", "SPONSORED_ADS": "sponsored ads", "SAS": "ad server"}
_CONFIGURED_TYPES = {
    "DISPLAY": ["DISPLAY"],
    "SPONSORED_ADS": ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS"],
    "SAS": ["SAS"],
}
_DSP = {"id": "580000000000000001", "type": "DISPLAY"}
_SPONSORED_ADS = {"id": "ENTITYEMULATORADS", "type": "SPONSORED_ADS", "marketplaceId": MARKETPLACE_ID}

Advertiser = dict[str, Any]


def is_known(advertiser: Advertiser) -> bool:
    """Can the account add this advertiser?"""
    return _KNOWN[advertiser["type"]].fullmatch(advertiser["id"]) is not None


def _key(advertiser: Advertiser) -> tuple[Any, ...]:
    return tuple(advertiser.get(name) for name in _FIELDS)


def _after(found: Iterable[Advertiser], update: dict[str, Any]) -> list[Advertiser]:
    """The advertisers of an instance after an update."""
    kept = {_key(one): one for one in found}
    for one in update["advertisersToRemove"]:
        kept.pop(_key(one), None)
    for one in update["advertisersToAdd"]:
        kept.setdefault(_key(one), one)
    return list(kept.values())


def advertisers_of(call: Call, instance: Instance) -> list[Advertiser]:
    """The advertisers that an instance has by now."""
    found: list[Advertiser] = []
    if instance.configured:
        found = [_SPONSORED_ADS] if call.emulator.config.access == "self_service" else [_DSP, _SPONSORED_ADS]
    for update in call.emulator.store.documents(KIND, instance.id):
        if _status(update, call.now()) == "COMPLETED":
            found = _after(found, update)
    return found


def _status(update: dict[str, Any], now: float) -> str:
    progress = Progress.load(update["progress"])
    return progress.stage(now, _STAGES) or ("REJECTED" if progress.failure else "COMPLETED")


def _described(call: Call, advertiser: Advertiser) -> Advertiser:
    kind = advertiser["type"]
    # The first of its kind, which every instance of the settings has, goes without a number
    first = _key(advertiser) in (_key(_DSP), _key(_SPONSORED_ADS))
    shown = {
        "id": advertiser["id"],
        "name": f"Emulator {_NAMES[kind]} advertiser" + ("" if first else f" {advertiser['id'][-4:]}"),
        "marketplaceId": advertiser.get("marketplaceId"),
        "type": kind,
        "configuredAdvertiserTypes": _CONFIGURED_TYPES[kind],
    }
    wrapped = call.emulator.config.envelope == "wrapped"
    return {name: value for name, value in shown.items() if value is not None} if wrapped else shown


async def list_advertisers(call: Call) -> Response:
    """Advertisers of an instance."""
    wanted = call.query("type")
    if wanted is not None and wanted not in ADVERTISER_TYPES:
        raise bad_request(f"Invalid value '{wanted}' for type: expected one of {', '.join(ADVERTISER_TYPES)}.")
    everything = advertisers_of(call, the_instance(call))
    found = [one for one in everything if wanted in (None, one["type"])]
    chosen, token = call.page(found, call.limit())
    body = {"advertisers": [_described(call, one) for one in chosen], "totalCount": len(found)}
    return call.answer(with_token(call, body, token))


# -- updates ---------------------------------------------------------------------------------------------------------
def _read(body: dict[str, Any], name: str) -> list[Advertiser]:
    given = body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise bad_request(f"Invalid value for {name}: expected a list of objects with id, type and marketplaceId.")
    if len(given) > _BATCH:
        raise bad_request(f"Invalid value for {name}: at most {_BATCH} advertisers are allowed in one update.")
    return [_one(one, name) for one in given]


def _one(given: dict[str, Any], name: str) -> Advertiser:
    one = {field: given[field] for field in _FIELDS if given.get(field) not in (None, "")}
    if not all(isinstance(value, str) for value in one.values()) or not one.get("id"):
        raise bad_request(f"Invalid value for {name}: every advertiser needs an id and a type, all of them strings.")
    if one.get("type") not in ADVERTISER_TYPES:
        raise bad_request(
            f"Invalid value '{given.get('type')}' for type in {name}: expected one of {', '.join(ADVERTISER_TYPES)}."
        )
    if one["type"] == "DISPLAY":
        one.pop("marketplaceId", None)
    elif "marketplaceId" not in one:
        raise bad_request(f"marketplaceId must be specified for the {one['type']} advertiser {one['id']} in {name}.")
    return one


def _shown(update: dict[str, Any], now: float) -> dict[str, Any]:
    return {"updateId": update["updateId"], "status": _status(update, now), **{name: update[name] for name in _LISTS}}


async def create_update(call: Call) -> Response:
    """Ask for advertisers to be added and removed; one request at a time on an instance."""
    managed_only(call)
    body = await call.body()
    update: dict[str, Any] = {name: _read(body, name) for name in _LISTS}
    if not any(update.values()):
        raise bad_request("At least one of advertisersToAdd and advertisersToRemove must name an advertiser.")
    instance = completed(call, "updated")
    store, now = call.emulator.store, call.now()
    earlier = store.documents(KIND, instance.id)
    for one in earlier:
        status = _status(one, now)
        if status in _STAGES:
            raise bad_request(
                f"Instance {instance.id} has an open advertiser update: {one['updateId']} is in status {status}."
            )
    present = advertisers_of(call, instance)
    limit = call.emulator.config.max_advertisers
    if len(_after(present, update)) > limit:
        raise bad_request(f"Instance {instance.id} can have at most {limit} advertisers.")
    update["updateId"] = len(earlier)
    progress = call.plan(f"{instance.id}:{len(earlier)}", _SHORTEST, _LONGEST)
    keys = {_key(one) for one in present}
    if not all(is_known(one) for one in update["advertisersToAdd"]):
        progress = Progress(progress.began, progress.seconds, "An advertiser to add is unknown.")
    elif not all(_key(one) in keys for one in update["advertisersToRemove"]):
        progress = Progress(progress.began, progress.seconds, "An advertiser to remove is not on the instance.")
    update["progress"] = progress.dump()
    store.add_document(KIND, instance.id, str(update["updateId"]), update)
    return call.answer({"advertiserUpdate": {**_shown(update, now), "status": "PENDING"}})


async def list_updates(call: Call) -> Response:
    """All updates of an instance, oldest first."""
    managed_only(call)
    chosen, token = call.page(call.emulator.store.documents(KIND, call.instance_id), call.limit())
    shown = [{"updateId": one["updateId"], "status": _status(one, call.now())} for one in chosen]
    return call.answer(with_token(call, {"advertiserUpdates": shown}, token))


async def get_update(call: Call) -> Response:
    """One update."""
    managed_only(call)
    update_id = call.path("update_id")
    update = call.emulator.store.get_document(KIND, call.instance_id, update_id)
    if update is None:
        raise unknown_id(call, f"Advertiser update with ID {update_id} does not exist.")
    return call.answer({"advertiserUpdate": _shown(update, call.now())})


_PATH = "/amc/instances/{instance_id}/advertisers"
OPERATIONS = (
    Operation("getInstanceAdvertisers", "GET", _PATH, list_advertisers, spec_media_type=MEDIA),
    Operation(
        "listAdvertiserUpdates",
        "GET",
        _PATH + "/updates",
        list_updates,
        spec_media_type=MEDIA,
        known_statuses=STATUSES,
    ),
    Operation(
        "createAdvertiserUpdate",
        "POST",
        _PATH + "/updates",
        create_update,
        spec_media_type=MEDIA,
        known_statuses=STATUSES,
    ),
    Operation("getAdvertiserUpdate", "GET", _PATH + "/updates/{update_id}", get_update, spec_media_type=MEDIA),
)
