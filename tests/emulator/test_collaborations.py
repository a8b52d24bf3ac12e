"""Collaborations of instances backed by AWS Clean Rooms, and their customer partners."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.api import Api, refusal

RECEIVER = {"awsAccountId": "111111111111", "displayName": "Measurement", "abilities": ["CAN_RECEIVE_RESULTS"]}
GIVER = {"awsAccountId": "222222222222", "displayName": "Loyalty"}


def partner(number: int) -> dict[str, Any]:
    return {"awsAccountId": f"{number:012d}", "displayName": f"Partner {number}", "abilities": []}


def create(api: Api, partners: list[dict[str, Any]] | None = None) -> str:
    body = {"instanceName": "Together", "awsAccountId": "123456789012", "acrBacked": "True"}
    answer = api.call("POST", "instances", {**body, "acrCustomerPartners": partners or []})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["instance"]["instanceId"])


def shown(api: Api, instance_id: str) -> dict[str, Any]:
    answer = api.call("GET", f"instances/{instance_id}/collaboration")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["collaboration"])


def partners_path(api: Api, instance_id: str) -> str:
    return f"instances/{instance_id}/collaborations/{shown(api, instance_id)['id']}/acrCustomerPartners"


@pytest.mark.covers("endpoint", "getInstanceCollaboration")
def test_collaboration(api):
    instance_id = create(api, [RECEIVER, GIVER])
    found = shown(api, instance_id)
    assert (found["name"], found["status"]) == ("Together", "ACTIVE")
    assert found["customer"]["accountId"] == "123456789012"
    assert [(one["accountId"], one["displayName"], one["status"]) for one in found["customerPartners"]] == [
        ("111111111111", "Measurement", "ACTIVE"),
        ("222222222222", "Loyalty", "ACTIVE"),
    ]
    assert [one["accountId"] for one in found["resultsReceivers"]] == ["123456789012", "111111111111"]
    assert found["creator"] == found["querySubmitter"] == found["amcDataProviders"][0]
    members = [found["creator"], found["customer"], *found["customerPartners"]]
    assert len({one["membershipId"] for one in members}) == 4
    assert "customerAcceptanceLink" not in found
    instance = api.call("GET", f"instances/{instance_id}").json()["instance"]
    assert instance["acrCollaboration"] == {name: found[name] for name in ("id", "name", "description")}


@pytest.mark.covers("rule", "a collaboration is NOT_STARTED, IN_PROGRESS, PENDING_ACCEPTANCE, then ACTIVE")
def test_a_collaboration_waits_for_the_customer(serve):
    served = serve(speed="realistic", now="2026-03-01T12:00:00Z")
    api = served.api
    instance_id = create(api, [RECEIVER])
    seen = []
    for _ in range(80):
        found = shown(api, instance_id)
        seen.append(found["status"])
        active = found["status"] == "ACTIVE"
        assert {found["customer"]["status"], found["customerPartners"][0]["status"]} == (
            {"ACTIVE"} if active else {"INVITED"}
        )
        assert ("membershipId" in found["customer"]) == active
        assert ("customerAcceptanceLink" in found) == (found["status"] == "PENDING_ACCEPTANCE")
        if not active:
            refused = api.call("POST", f"instances/{instance_id}/collaboration/idnamespaces/list", {})
            expected = f"The collaboration of instance {instance_id} is not ACTIVE but {found['status']}."
            assert refusal(refused) == (400, expected)
        served.server.advance_clock(5)
    assert list(dict.fromkeys(seen)) == ["NOT_STARTED", "IN_PROGRESS", "PENDING_ACCEPTANCE", "ACTIVE"]


def test_a_collaboration_of_an_instance_that_fails(served):
    served.server.add_fault(operation="createInstance", kind="fail")
    assert shown(served.api, create(served.api))["status"] == "REJECTED"


@pytest.mark.covers("rule", "only instances backed by AWS Clean Rooms have a collaboration")
def test_an_ordinary_instance_has_none(api):
    expected = (400, "Instance amcemulator is not backed by AWS Clean Rooms.")
    assert refusal(api.call("GET", "instances/amcemulator/collaboration")) == expected
    path = "instances/amcemulator/collaborations/x/acrCustomerPartners"
    assert refusal(api.call("POST", path, {"acrCustomerPartners": [GIVER]})) == expected
    assert refusal(api.call("DELETE", f"{path}/111111111111")) == expected


@pytest.mark.covers("endpoint", "addCollaborationCustomerPartners")
@pytest.mark.covers("endpoint", "deleteCollaborationCustomerPartner")
def test_partners_come_and_go(api):
    instance_id = create(api, [RECEIVER])
    path = partners_path(api, instance_id)
    answer = api.call("POST", path, {"acrCustomerPartners": [GIVER]})
    assert answer.json() == {
        "acrCustomerPartners": [{**GIVER, "abilities": [], "status": "INVITED", "acrCustomerPartnerId": "222222222222"}]
    }
    assert (api.call("DELETE", f"{path}/111111111111").status_code, answer.status_code) == (200, 200)
    found = shown(api, instance_id)
    assert {one["accountId"]: one["status"] for one in found["customerPartners"]} == {
        "111111111111": "REMOVED",
        "222222222222": "ACTIVE",
    }
    assert [one["accountId"] for one in found["resultsReceivers"]] == ["123456789012"]
    gone = api.call("DELETE", f"{path}/111111111111")
    assert refusal(gone) == (400, "Customer partner with ID 111111111111 does not exist.")
    assert api.call("POST", path, {"acrCustomerPartners": [RECEIVER]}).status_code == 200
    assert len(shown(api, instance_id)["customerPartners"]) == 2


@pytest.mark.covers("rule", "a collaboration has at most 5 customer partners")
def test_limit_of_partners(api):
    instance_id = create(api, [partner(number) for number in range(1, 5)])
    path = partners_path(api, instance_id)
    refused = api.call("POST", path, {"acrCustomerPartners": [partner(5), partner(6)]})
    assert refusal(refused) == (400, "A collaboration can have at most 5 customer partners.")
    assert api.call("POST", path, {"acrCustomerPartners": [partner(5)]}).status_code == 200
    twice = api.call("POST", path, {"acrCustomerPartners": [partner(5)]})
    expected = "The customer partner 000000000005 is a member of the collaboration already."
    assert refusal(twice) == (400, expected)
    assert api.call("DELETE", f"{path}/000000000001").status_code == 200
    assert api.call("POST", path, {"acrCustomerPartners": [partner(6)]}).status_code == 200


SIX = [partner(number) for number in range(6)]


@pytest.mark.parametrize(
    ("partners", "details"),
    [
        ("all", "Invalid value for acrCustomerPartners: expected a list of objects."),
        (["all"], "Invalid value for acrCustomerPartners: expected a list of objects."),
        (SIX, "Invalid value for acrCustomerPartners: expected {} to 5 partners."),
        ([{"displayName": "x"}], "Every entry of acrCustomerPartners must have an awsAccountId."),
        ([{"awsAccountId": "1"}], "Invalid value '1' for awsAccountId: expected the 12 digits of an AWS account."),
        ([GIVER, GIVER], "The customer partner 222222222222 is in acrCustomerPartners twice."),
        ([{**GIVER, "displayName": 5}], "Invalid value for displayName in acrCustomerPartners: expected a string."),
        ([{**GIVER, "abilities": ["CAN_QUERY"]}], "Invalid value for abilities in acrCustomerPartners: expected an empty list or CAN_RECEIVE_RESULTS."),
    ],
)  # fmt: skip
def test_what_partners_must_be_like(api, partners, details):
    body = {"instanceName": "Together", "acrBacked": True, "acrCustomerPartners": partners}
    assert refusal(api.call("POST", "instances", body)) == (400, details.format(0))
    path = partners_path(api, create(api))
    assert refusal(api.call("POST", path, {"acrCustomerPartners": partners})) == (400, details.format(1))


def test_partners_need_a_collaboration_and_adding_needs_partners(api):
    body = {"instanceName": "Alone", "acrCustomerPartners": [GIVER]}
    expected = "acrCustomerPartners can only be specified for an instance with acrBacked."
    assert refusal(api.call("POST", "instances", body)) == (400, expected)
    path = partners_path(api, create(api))
    none = api.call("POST", path, {"acrCustomerPartners": []})
    assert refusal(none) == (400, "Invalid value for acrCustomerPartners: expected 1 to 5 partners.")
    missing = api.call("POST", path, {})
    assert refusal(missing) == (400, "Invalid value for acrCustomerPartners: expected a list of objects.")


def test_the_collaboration_must_be_that_of_the_instance(serve):
    api = serve(unknown_id_status=404).api
    path = f"instances/{create(api)}/collaborations/other/acrCustomerPartners"
    expected = (404, "Collaboration with ID other does not exist.")
    assert refusal(api.call("POST", path, {"acrCustomerPartners": [GIVER]})) == expected
    assert refusal(api.call("DELETE", f"{path}/222222222222")) == expected
