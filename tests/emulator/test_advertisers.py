"""Advertisers of an instance and the updates that change them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.api import MARKETPLACE, Api, refusal

PATH = "instances/amcemulator/advertisers"
DSP = {"id": "580000000000000001", "type": "DISPLAY"}
OTHER_DSP = {"id": "580000000000000002", "type": "DISPLAY"}
SPONSORED = {"id": "ENTITYEMULATORADS2", "type": "SPONSORED_ADS", "marketplaceId": MARKETPLACE}
AD_SERVER = {"id": "590000000000000003", "type": "SAS", "marketplaceId": MARKETPLACE}
UNKNOWN = {"id": "ENTITYSOMEBODY", "type": "SPONSORED_ADS", "marketplaceId": MARKETPLACE}


def post(api: Api, add: Any = None, remove: Any = None) -> Any:
    body = {"advertisersToAdd": add, "advertisersToRemove": remove}
    return api.call("POST", f"{PATH}/updates", {name: value for name, value in body.items() if value is not None})


def update(api: Api, add: Any = None, remove: Any = None) -> dict[str, Any]:
    answer = post(api, add, remove)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["advertiserUpdate"])


def shown(api: Api, update_id: int) -> dict[str, Any]:
    answer = api.call("GET", f"{PATH}/updates/{update_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["advertiserUpdate"])


def ids(api: Api) -> list[str]:
    return [one["id"] for one in api.call("GET", PATH).json()["advertisers"]]


@pytest.mark.covers("endpoint", "createAdvertiserUpdate")
@pytest.mark.covers("endpoint", "getAdvertiserUpdate")
def test_an_update_changes_the_advertisers(api):
    made = update(api, [OTHER_DSP, SPONSORED, AD_SERVER], [DSP])
    assert made == {
        "updateId": 0,
        "status": "PENDING",
        "advertisersToAdd": [OTHER_DSP, SPONSORED, AD_SERVER],
        "advertisersToRemove": [DSP],
    }
    assert shown(api, 0) == {**made, "status": "COMPLETED"}
    found = api.call("GET", PATH).json()
    assert found["totalCount"] == 4
    assert [(one["id"], one["marketplaceId"], one["configuredAdvertiserTypes"]) for one in found["advertisers"]] == [
        ("ENTITYEMULATORADS", MARKETPLACE, ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS"]),
        (OTHER_DSP["id"], None, ["DISPLAY"]),
        (SPONSORED["id"], MARKETPLACE, ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS"]),
        (AD_SERVER["id"], MARKETPLACE, ["SAS"]),
    ]
    assert len({one["name"] for one in found["advertisers"]}) == 4
    instance = api.call("GET", "instances/amcemulator").json()["instance"]
    assert instance["advertiserTypes"] == ["DISPLAY", "SAS", "SPONSORED_ADS"]
    assert api.call("GET", "instances/amcsandbox/advertisers").json()["totalCount"] == 2


@pytest.mark.covers("endpoint", "listAdvertiserUpdates")
@pytest.mark.covers("rule", "ids of advertiser updates count from 0")
def test_updates_are_listed_in_pages(api):
    for _ in range(2):
        update(api, [SPONSORED])
        update(api, remove=[SPONSORED])
    first = api.call("GET", f"{PATH}/updates", params={"limit": "3"}).json()
    rest = api.call("GET", f"{PATH}/updates", params={"limit": "3", "nextToken": first["nextToken"]}).json()
    assert first["advertiserUpdates"] + rest["advertiserUpdates"] == [
        {"updateId": number, "status": "COMPLETED"} for number in range(4)
    ]
    assert rest["nextToken"] is None


@pytest.mark.covers(
    "rule", "an advertiser update is PENDING, UPDATING, then COMPLETED, and changes the list at its end"
)
@pytest.mark.covers("rule", "one open advertiser update on an instance")
def test_one_update_at_a_time(serve):
    served = serve(speed="realistic", now="2026-03-01T12:00:00Z")
    api = served.api
    update(api, [OTHER_DSP])
    seen = []
    for _ in range(37):
        status = shown(api, 0)["status"]
        seen.append(status)
        assert (OTHER_DSP["id"] in ids(api)) == (status == "COMPLETED")
        if status != "COMPLETED":
            expected = f"Instance amcemulator has an open advertiser update: 0 is in status {status}."
            assert refusal(post(api, [SPONSORED])) == (400, expected)
        served.server.advance_clock(5)
    assert list(dict.fromkeys(seen)) == ["PENDING", "UPDATING", "COMPLETED"]
    assert update(api, [SPONSORED])["updateId"] == 1


@pytest.mark.parametrize(
    ("add", "remove"), [([OTHER_DSP, UNKNOWN], None), (None, [AD_SERVER]), ([{"id": "5", "type": "DISPLAY"}], None)]
)
@pytest.mark.covers("rule", "an update with an unknown advertiser is REJECTED")
def test_unknown_advertisers_reject_the_update(api, add, remove):
    before = ids(api)
    assert update(api, add, remove)["status"] == "PENDING"
    assert shown(api, 0)["status"] == "REJECTED"
    assert ids(api) == before
    assert update(api, [SPONSORED])["updateId"] == 1


def test_an_advertiser_that_is_there_already_is_not_there_twice(api):
    update(api, [DSP, DSP])
    assert shown(api, 0)["status"] == "COMPLETED"
    assert ids(api) == [DSP["id"], "ENTITYEMULATORADS"]


ELEVEN = [{"id": f"5800000000000001{number:02d}", "type": "DISPLAY"} for number in range(11)]
NO_LIST = "Invalid value for {}: expected a list of objects with id, type and marketplaceId."
NO_TEXT = "Invalid value for advertisersToAdd: every advertiser needs an id and a type, all of them strings."


@pytest.mark.parametrize(
    ("add", "remove", "details"),
    [
        (None, None, "At least one of advertisersToAdd and advertisersToRemove must name an advertiser."),
        ([], [], "At least one of advertisersToAdd and advertisersToRemove must name an advertiser."),
        ("all", None, NO_LIST.format("advertisersToAdd")),
        (None, ["all"], NO_LIST.format("advertisersToRemove")),
        (ELEVEN, None, "Invalid value for advertisersToAdd: at most 10 advertisers are allowed in one update."),
        (None, ELEVEN, "Invalid value for advertisersToRemove: at most 10 advertisers are allowed in one update."),
        ([{"type": "DISPLAY"}], None, NO_TEXT),
        ([{"id": 5, "type": "DISPLAY"}], None, NO_TEXT),
        ([{"id": "5", "type": "TV"}], None, "Invalid value 'TV' for type in advertisersToAdd: expected one of DISPLAY, SAS, SPONSORED_ADS."),
        ([{"id": "E", "type": "SPONSORED_ADS"}], None, "marketplaceId must be specified for the SPONSORED_ADS advertiser E in advertisersToAdd."),
        (None, [{"id": "5", "type": "SAS"}], "marketplaceId must be specified for the SAS advertiser 5 in advertisersToRemove."),
    ],
)  # fmt: skip
@pytest.mark.covers("rule", "at most 10 advertisers are added and 10 removed in one update")
def test_what_an_update_must_be_like(api, add, remove, details):
    assert refusal(post(api, add, remove)) == (400, details)
    assert api.call("GET", f"{PATH}/updates").json()["advertiserUpdates"] == []


@pytest.mark.covers("switch", "max_advertisers")
@pytest.mark.covers("rule", "an instance has at most 2,000 advertisers")
def test_limit_of_the_instance(serve):
    api = serve(max_advertisers=12).api
    update(api, ELEVEN[:10])
    assert refusal(post(api, [SPONSORED])) == (400, "Instance amcemulator can have at most 12 advertisers.")
    update(api, [SPONSORED], [DSP])
    assert len(ids(api)) == 12


def test_unknown_update(api):
    for update_id in ("0", "x"):
        expected = f"Advertiser update with ID {update_id} does not exist."
        assert refusal(api.call("GET", f"{PATH}/updates/{update_id}")) == (400, expected)


def test_an_instance_must_be_completed(serve):
    served = serve(speed="realistic")
    made = served.api.call("POST", "instances", {"instanceName": "New one"}).json()["instance"]["instanceId"]
    path = f"instances/{made}/advertisers"
    refused = served.api.call("POST", f"{path}/updates", {"advertisersToAdd": [SPONSORED]})
    assert refusal(refused) == (400, f"Instance {made} cannot be updated because its creationStatus is REQUESTED.")
    served.server.advance_clock(301)
    assert served.api.call("POST", f"{path}/updates", {"advertisersToAdd": [SPONSORED]}).status_code == 200
    served.server.advance_clock(301)
    (one,) = served.api.call("GET", path).json()["advertisers"]
    assert one["id"] == SPONSORED["id"]


def test_an_update_that_amc_rejects_on_order(served):
    served.server.add_fault(operation="createAdvertiserUpdate", kind="fail")
    update(served.api, [SPONSORED])
    assert shown(served.api, 0)["status"] == "REJECTED"
