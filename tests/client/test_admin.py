from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.transport import ACCOUNTS, INSTANCES
from airflow_provider_amc.exceptions import AmcHttpError, AmcInvalidRequestError, AmcNotFoundError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer


def test_accounts_of_all_pages_without_an_account(
    server: ScriptedServer, make_client: Callable[..., AmcClient]
) -> None:
    server.on(
        "GET",
        "/amc/accounts",
        Reply(
            body={"amcAccounts": [{"accountId": "E1", "accountName": "One", "marketplaceId": "M"}], "nextToken": "n"}
        ),
        Reply(body={"amcAccounts": [{"accountId": "E2"}], "nextToken": None}),
    )
    accounts = make_client(account_id=None, marketplace_id=None).accounts.list()
    assert [(account.account_id, account.marketplace_id) for account in accounts] == [("E1", "M"), ("E2", None)]
    assert [call.query for call in server.calls()] == [{}, {"nextToken": "n"}]
    assert server.calls()[0].headers["accept"] == ACCOUNTS
    assert "amazon-advertising-api-advertiserid" not in server.calls()[0].headers


def test_instances_of_all_pages(server: ScriptedServer, client: AmcClient) -> None:
    server.on(
        "GET",
        "/amc/instances",
        Reply(
            body={"instances": [{"instanceId": "a"}], "nextToken": "n"}, headers={"Content-Type": "application/json"}
        ),
        Reply(body={"instances": [{"instanceId": "b"}], "nextToken": ""}),
    )
    assert [instance.instance_id for instance in client.instances.list(limit=1)] == ["a", "b"]
    assert [call.query for call in server.calls()] == [{"limit": "1"}, {"limit": "1", "nextToken": "n"}]
    assert server.calls()[0].headers["accept"] == INSTANCES


@pytest.mark.parametrize("wrapped", [True, False])
def test_one_instance_in_either_envelope(server: ScriptedServer, client: AmcClient, wrapped: bool) -> None:
    flat = {"instanceId": "amctest", "instanceType": "STANDARD"}
    server.on("GET", "/amc/instances/amctest", Reply(body={"instance": flat} if wrapped else flat))
    instance = client.instances.get()
    assert (instance.instance_id, instance.instance_type, instance.raw) == ("amctest", "STANDARD", flat)


def test_an_unknown_instance(server: ScriptedServer, client: AmcClient) -> None:
    server.on("GET", "/amc/instances/nope", Reply(404, {"code": "404", "details": "Instance nope does not exist"}))
    with pytest.raises(AmcNotFoundError, match="Instance nope does not exist"):
        client.instances.get("nope")


def test_an_answer_without_instance_is_not_an_empty_one(server: ScriptedServer, client: AmcClient) -> None:
    server.on("GET", "/amc/instances/amctest", Reply(body={}))
    with pytest.raises(AmcHttpError, match="no instanceId"):
        client.instances.get()


def test_the_missing_account_of_amc_itself(server: ScriptedServer, client: AmcClient) -> None:
    server.on("GET", "/amc/instances", Reply(400, {"code": "400", "details": "entityId provided is null"}))
    with pytest.raises(AmcInvalidRequestError, match="Set account_id"):
        client.instances.list()


def test_an_instance_cannot_be_another_path(server: ScriptedServer, client: AmcClient) -> None:
    server.on("GET", "/amc/instances/a/../b?x", Reply(body={"instance": {"instanceId": "odd"}}))
    assert client.instances.get("a/../b?x").instance_id == "odd"
    assert server.calls()[0].raw_path == "/amc/instances/a%2F..%2Fb%3Fx"
    with pytest.raises(AmcValidationError):
        client.instances.get("..")
