from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.advertisers import AdvertiserId
from airflow_provider_amc.exceptions import AmcUnknownOutcomeError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/instances/amctest/advertisers"
DSP = {"id": "580", "type": "DISPLAY"}
ADS = {"id": "ENTITY1", "type": "SPONSORED_ADS", "marketplaceId": "M"}


def test_list_reads_all_pages(server: ScriptedServer, client: AmcClient) -> None:
    server.on(
        "GET",
        BASE,
        Reply(body={"advertisers": [{**DSP, "name": "One", "marketplaceId": None}], "nextToken": "n"}),
        Reply(body={"advertisers": [{**ADS, "configuredAdvertiserTypes": ["SPONSORED_PRODUCTS"]}], "totalCount": 2}),
    )
    one, two = client.advertisers.list(advertiser_type="DISPLAY", limit=1)
    assert (one.key, two.key) == (AdvertiserId("580", "DISPLAY"), AdvertiserId("ENTITY1", "SPONSORED_ADS", "M"))
    assert two.configured_advertiser_types == ("SPONSORED_PRODUCTS",)
    assert server.calls()[1].query == {"type": "DISPLAY", "limit": "1", "nextToken": "n"}


def test_an_update_names_each_advertiser_once(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", f"{BASE}/updates", Reply(body={"advertiserUpdate": {"updateId": 0, "status": "PENDING"}}))
    update = client.advertisers.update(add=[{"id": 580, "type": "display"}, DSP], remove=[ADS])
    assert (update.update_id, update.is_finished) == (0, False)
    assert server.calls()[0].json == {"advertisersToAdd": [DSP], "advertisersToRemove": [ADS]}


@pytest.mark.parametrize(("status", "finished", "completed"), [
    ("COMPLETE", True, True), ("COMPLETED", True, True), ("REJECTED", True, False), ("UPDATING", False, False),
])  # fmt: skip
def test_the_end_of_an_update(
    server: ScriptedServer, client: AmcClient, status: str, finished: bool, completed: bool
) -> None:
    server.on("GET", f"{BASE}/updates/0", Reply(body={"updateId": 0, "status": status, "advertisersToAdd": [DSP]}))
    update = client.advertisers.get_update(0)
    assert (update.is_finished, update.is_completed, update.advertisers_to_add) == (finished, completed, (DSP,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to change"),
        ({"add": [{**DSP, "id": str(n)} for n in range(11)]}, "10 advertisers with one update, got 11"),
        ({"add": [{"type": "DISPLAY"}]}, r"add\[0\] has no id"),
        ({"remove": [{"id": "1", "type": "OTHER"}]}, r"remove\[0\]: type must be one of DISPLAY"),
        ({"add": [{"id": "ENTITY1", "type": "SPONSORED_ADS"}]}, "needs a marketplaceId"),
        ({"add": DSP}, "must be a list of advertisers"),
        ({"add": ["580"]}, "must be a mapping"),
    ],
)
def test_a_wrong_update(server: ScriptedServer, client: AmcClient, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        client.advertisers.update(**arguments)
    assert server.requests == []


def test_a_lost_answer_is_looked_for_and_never_sent_again(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", f"{BASE}/updates", Reply(fault="close"))
    server.on("GET", f"{BASE}/updates", Reply(body={"advertiserUpdates": [{"updateId": 3}, {"updateId": 4}]}))
    server.on("GET", f"{BASE}/updates/4", Reply(body={"updateId": 4, "status": "UPDATING", "advertisersToAdd": [DSP]}))
    assert client.advertisers.update(add=[DSP]).update_id == 4
    with pytest.raises(AmcUnknownOutcomeError):
        client.advertisers.update(add=[ADS])
    assert [call.method for call in server.calls()].count("POST") == 2
