from __future__ import annotations

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.transport import INSTANCES
from airflow_provider_amc.exceptions import AmcHttpError, AmcInvalidRequestError, AmcNotFoundError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

NEW = Reply(body={"instance": {"instanceId": "amcnew", "creationStatus": "REQUESTED", "creationDatetime": None}})


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


def test_create_sends_every_field_by_its_name(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", "/amc/instances", NEW)
    partner = {"awsAccountId": "000011112222", "displayName": "Agency", "abilities": ["CAN_RECEIVE_RESULTS"]}
    created = client.instances.create(
        "Brand 1",
        advertiser_name="Brand",
        aws_account_id="012345678901",
        s3_bucket_name="results",
        collaboration=True,
        partners=[partner],
        idempotency_token="a-token",
        extra={"more": 1},
    )
    assert (created.instance_id, created.is_ready) == ("amcnew", False)
    assert server.calls()[0].json == {
        "instanceName": "Brand 1",
        "advertiserName": "Brand",
        "awsAccountId": "012345678901",
        "s3BucketName": "results",
        "acrBacked": True,
        "acrCustomerPartners": [partner],
        "idempotencyToken": "a-token",
        "more": 1,
    }


def test_a_lost_answer_is_asked_for_again_with_the_same_token(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", "/amc/instances", Reply(fault="close"), NEW)
    client.instances.create("Brand 1")
    first, second = server.calls()
    assert first.json["idempotencyToken"] == second.json["idempotencyToken"] != ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instance_name": "ab"}, "instance_name must have 3 to 50"),
        ({"instance_name": "Brand-1"}, "letters, digits and spaces"),
        ({"instance_name": "Brand", "aws_account_id": "123"}, "text of 12 digits"),
        ({"instance_name": "Brand", "partners": [{"awsAccountId": "1"}]}, r"partners\[0\]\['awsAccountId'\]"),
        ({"instance_name": "Brand", "partners": [{"awsAccountId": "0" * 12}] * 6}, "5 partners at most, got 6"),
        ({"instance_name": "Brand", "idempotency_token": "x" * 37}, "1 to 36"),
    ],
)
def test_a_wrong_argument_of_create(
    server: ScriptedServer, client: AmcClient, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(AmcValidationError, match=message):
        client.instances.create(**arguments)  # type: ignore[arg-type]
    assert server.requests == []


def test_update_sends_what_changes(server: ScriptedServer, client: AmcClient) -> None:
    server.on("PUT", "/amc/instances/amctest", Reply(body={"instanceId": "amctest", "instanceName": "Other"}))
    assert client.instances.update(instance_name="Other").instance_name == "Other"
    assert server.calls()[0].json == {"instanceName": "Other"}
    with pytest.raises(AmcValidationError, match="nothing to change"):
        client.instances.update()


def test_delete(server: ScriptedServer, client: AmcClient) -> None:
    server.on("DELETE", "/amc/instances/old", Reply(204, b""))
    client.instances.delete("old")
    gone = Reply(404, {"code": "404", "details": "Instance old does not exist"})
    server.on("DELETE", "/amc/instances/old", Reply(fault="close"), gone)
    client.instances.delete("old")
    server.on("DELETE", "/amc/instances/old", gone)
    with pytest.raises(AmcNotFoundError):
        client.instances.delete("old")


def test_the_bucket_of_results(server: ScriptedServer, client: AmcClient) -> None:
    path = "/amc/instances/amctest/updateCustomerAwsAccount"
    server.on("POST", path, Reply(body={"cfnBucketUrl": "https://example.com/template"}))
    address = client.instances.update_customer_aws_account(aws_account_id="0" * 12, bucket_name="b")
    assert address == "https://example.com/template"
    assert server.calls()[0].json == {"awsAccountId": "0" * 12, "bucketName": "b"}
