"""Collaborations of instances backed by AWS Clean Rooms, and the customer partners in them.

Facts: Amazon's OpenAPI file of the administration; AMC API documentation, "AWS Clean Rooms". Nobody accepts an
invitation here, so a collaboration waits for that by the clock and becomes ACTIVE.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator.admin import MEDIA, STATUSES, account_of, completed, the_instance
from airflow_provider_amc.emulator.api import Call, Operation, unknown_id
from airflow_provider_amc.emulator.errors import bad_request
from airflow_provider_amc.emulator.registry import Collaboration, Instance

MOST_PARTNERS = 5
_ABILITY = "CAN_RECEIVE_RESULTS"
_AMC_ACCOUNT = "811639200769"
#: How long the customer takes to accept.
_ACCEPTANCE_SECONDS = 60.0


def partners_of(body: Mapping[str, Any], *, required: bool) -> list[dict[str, Any]]:
    """The customer partners of a request, checked.

    :raises ApiError: 400 naming what is wrong.
    """
    given = body.get("acrCustomerPartners")
    if given is None and not required:
        return []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise bad_request("Invalid value for acrCustomerPartners: expected a list of objects.")
    if not (1 if required else 0) <= len(given) <= MOST_PARTNERS:
        raise bad_request(
            f"Invalid value for acrCustomerPartners: expected {'1' if required else '0'} to {MOST_PARTNERS} partners."
        )
    found: dict[str, dict[str, Any]] = {}
    for one in given:
        account = account_of(one)
        if account is None:
            raise bad_request("Every entry of acrCustomerPartners must have an awsAccountId.")
        if account in found:
            raise bad_request(f"The customer partner {account} is in acrCustomerPartners twice.")
        name, abilities = one.get("displayName") or account, one.get("abilities") or []
        if not isinstance(name, str):
            raise bad_request("Invalid value for displayName in acrCustomerPartners: expected a string.")
        if abilities not in ([], [_ABILITY]):
            raise bad_request(
                f"Invalid value for abilities in acrCustomerPartners: expected an empty list or {_ABILITY}."
            )
        found[account] = {"awsAccountId": account, "displayName": name, "abilities": abilities, "status": "INVITED"}
    return list(found.values())


def new(call: Call, instance: Instance, partners: list[dict[str, Any]]) -> Collaboration:
    """The collaboration of a new instance."""
    wait = _ACCEPTANCE_SECONDS if call.emulator.config.speed == "realistic" else 0.0
    return Collaboration(str(uuid.uuid4()), instance.name, instance.creation.ends + wait, partners)


def summary_of(instance: Instance) -> dict[str, Any] | None:
    """``acrCollaboration`` of an instance."""
    kept = instance.collaboration
    return None if kept is None else {"id": kept.id, "name": kept.name, "description": _description(instance)}


def _description(instance: Instance) -> str:
    return f"Collaboration of the AMC instance {instance.id}"


def _status(instance: Instance, kept: Collaboration, now: float) -> str:
    creation = instance.status(now)
    if creation != "COMPLETED":
        return {"REQUESTED": "NOT_STARTED", "FAILED": "REJECTED"}.get(creation, "IN_PROGRESS")
    # Without a wait it was accepted as soon as there was an instance, whatever the clock says
    accepted = kept.accepted == instance.creation.ends or now >= kept.accepted
    return "ACTIVE" if accepted else "PENDING_ACCEPTANCE"


def backed(call: Call) -> tuple[Instance, Collaboration]:
    """The instance of the path with its collaboration.

    :raises ApiError: 400 if it has none.
    """
    instance = the_instance(call)
    if instance.collaboration is None:
        raise bad_request(f"Instance {instance.id} is not backed by AWS Clean Rooms.")
    return instance, instance.collaboration


def active(call: Call) -> tuple[Instance, Collaboration]:
    """The same, if the collaboration is ACTIVE.

    :raises ApiError: 400 if not.
    """
    instance, kept = backed(call)
    status = _status(instance, kept, call.now())
    if status != "ACTIVE":
        raise bad_request(f"The collaboration of instance {instance.id} is not ACTIVE but {status}.")
    return instance, kept


def members_of(kept: Collaboration) -> list[dict[str, Any]]:
    """The customer partners that were not removed."""
    return [one for one in kept.partners if one["status"] != "REMOVED"]


def _member(account: str, name: str, status: str, kept: Collaboration) -> dict[str, Any]:
    shown = {"accountId": account, "displayName": name, "status": status}
    if status == "ACTIVE":
        shown["membershipId"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kept.id}/{account}"))
    return shown


async def get_collaboration(call: Call) -> Response:
    """The collaboration of an instance and its members."""
    instance, kept = backed(call)
    status = _status(instance, kept, call.now())
    joined = "ACTIVE" if status == "ACTIVE" else "INVITED"
    amc = _member(_AMC_ACCOUNT, "Amazon Marketing Cloud", "ACTIVE", kept)
    customer = _member(instance.account, instance.advertiser_name or instance.name, joined, kept)
    partners = [
        _member(one["awsAccountId"], one["displayName"], "REMOVED" if one["status"] == "REMOVED" else joined, kept)
        for one in kept.partners
    ]
    receiving = {one["awsAccountId"] for one in members_of(kept) if _ABILITY in one["abilities"]}
    body = {
        "id": kept.id,
        "name": kept.name,
        "description": _description(instance),
        "status": status,
        "creator": amc,
        "customer": customer,
        "querySubmitter": amc,
        "resultsReceivers": [customer, *(one for one in partners if one["accountId"] in receiving)],
        "customerPartners": partners,
        "amcDataProviders": [amc],
    }
    if status == "PENDING_ACCEPTANCE":
        body["customerAcceptanceLink"] = (
            f"https://us-east-1.console.aws.amazon.com/cleanrooms/home?region=us-east-1#/collaborations/{kept.id}"
        )
    return call.answer({"collaboration": body})


def _named(call: Call) -> tuple[Instance, Collaboration]:
    """The instance of the path with the collaboration that the path names."""
    instance, kept = backed(call)
    collaboration_id = call.path("collaboration_id")
    if collaboration_id != kept.id:
        raise unknown_id(call, f"Collaboration with ID {collaboration_id} does not exist.")
    completed(call, "updated")
    return instance, kept


async def add_partners(call: Call) -> Response:
    """Invite customer partners to a collaboration."""
    given = partners_of(await call.body(), required=True)
    instance, kept = _named(call)
    present = {one["awsAccountId"] for one in members_of(kept)}
    for one in given:
        if one["awsAccountId"] in present:
            raise bad_request(f"The customer partner {one['awsAccountId']} is a member of the collaboration already.")
    if len(present) + len(given) > MOST_PARTNERS:
        raise bad_request(f"A collaboration can have at most {MOST_PARTNERS} customer partners.")
    invited = {one["awsAccountId"] for one in given}
    kept.partners = [one for one in kept.partners if one["awsAccountId"] not in invited] + given
    call.emulator.instances.save(instance)
    shown = [{**one, "acrCustomerPartnerId": one["awsAccountId"]} for one in given]
    return call.answer({"acrCustomerPartners": shown})


async def delete_partner(call: Call) -> Response:
    """Remove a customer partner from a collaboration."""
    instance, kept = _named(call)
    partner_id = call.path("partner_id")
    found = [one for one in members_of(kept) if one["awsAccountId"] == partner_id]
    if not found:
        raise unknown_id(call, f"Customer partner with ID {partner_id} does not exist.")
    found[0]["status"] = "REMOVED"
    call.emulator.instances.save(instance)
    return call.answer({})


_ONE = "/amc/instances/{instance_id}"
_PARTNERS = _ONE + "/collaborations/{collaboration_id}/acrCustomerPartners"
OPERATIONS = tuple(
    Operation(name, method, path, handler, spec_media_type=MEDIA, known_statuses=STATUSES)
    for name, method, path, handler in (
        ("getInstanceCollaboration", "GET", _ONE + "/collaboration", get_collaboration),
        ("addCollaborationCustomerPartners", "POST", _PARTNERS, add_partners),
        ("deleteCollaborationCustomerPartner", "DELETE", _PARTNERS + "/{partner_id}", delete_partner),
    )
)
