from __future__ import annotations

import hashlib
from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.advertiser_audiences import check_records
from airflow_provider_amc.client.transport import ACCOUNTS, ADVERTISER_AUDIENCES
from airflow_provider_amc.exceptions import AmcHttpError, AmcNotFoundError, AmcUnknownOutcomeError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

CONNECTIONS = "/amc/audiences/connections"
HASH = hashlib.sha256(b"someone").hexdigest()
RECORD = {"externalUserId": "u-1", "action": "CREATE", "hashedPII": [{"email": HASH}]}


def test_connections_need_no_account(server: ScriptedServer, client: AmcClient) -> None:
    one = {"connectionId": "c1", "amcInstanceId": "amctest", "isDefault": True}
    server.on("GET", CONNECTIONS, Reply(body={"connections": [one]}))
    server.on("POST", CONNECTIONS, Reply(201, {"connectionId": "c2"}))
    connections = client.advertiser_audiences.connections
    assert [(found.connection_id, found.is_default) for found in connections.list(is_default=True)] == [("c1", True)]
    assert connections.get("c1").amc_instance_id == "amctest"
    with pytest.raises(AmcNotFoundError, match="no connection c3"):
        connections.get("c3")
    assert connections.create(amc_instance_id="amctest", is_default=False) == "c2"
    listed, got, _, created = server.calls()
    assert (listed.query, got.query) == ({"isDefault": "true"}, {"connectionId": "c1"})
    assert created.json == {"amcInstanceId": "amctest", "isDefault": False}
    assert created.headers["accept"] == ACCOUNTS
    assert "amazon-advertising-api-advertiserid" not in created.headers


@pytest.mark.parametrize("connection_id", ["", " ", None])
def test_the_call_that_deletes_all_connections_cannot_be_made(
    server: ScriptedServer, client: AmcClient, connection_id: Any
) -> None:
    with pytest.raises(AmcValidationError, match="connection_id"):
        client.advertiser_audiences.connections.delete(connection_id)
    assert server.requests == []
    server.on("DELETE", CONNECTIONS, Reply(204, b""))
    client.advertiser_audiences.connections.delete("c1")
    assert server.calls()[0].query == {"connectionId": "c1"}


def test_terms(server: ScriptedServer, client: AmcClient) -> None:
    terms = {"agreementContent": "Be fair.", "agreementToken": "t0ken", "hasAccepted": False}
    server.on("GET", f"{CONNECTIONS}/terms", Reply(body=terms))
    server.on("PATCH", f"{CONNECTIONS}/terms", Reply(204, b""))
    found = client.advertiser_audiences.connections.terms()
    assert (found.agreement_content, found.has_accepted) == ("Be fair.", False)
    assert "t0ken" not in repr(found)
    client.advertiser_audiences.connections.accept_terms(found.agreement_token)
    assert server.calls()[1].json == {"agreementToken": "t0ken", "hasAccepted": True}


def test_the_life_of_an_audience(server: ScriptedServer, client: AmcClient) -> None:
    base = "/amc/audiences/metadata"
    server.on("POST", base, Reply(201, {"audienceId": 7, "externalAudienceId": "mine"}))
    whole = {
        "audienceId": 7,
        "name": "Loyal customers",
        "metadata": {"ttl": 60, "audienceSize": {"dspAudienceSize": 5}},
    }
    server.on("GET", f"{base}/7", Reply(body=whole))
    server.on("PUT", f"{base}/7", Reply(body=whole))
    audiences = client.advertiser_audiences
    created = audiences.create(
        "Loyal customers", description="", external_audience_id="mine", advertiser_id="580", ttl=60, country_code="US"
    )
    assert (created.audience_id, created.external_audience_id) == ("7", "mine")
    assert (audiences.get(7).ttl, audiences.get("7").audience_size) == (60, {"dspAudienceSize": 5})
    audiences.update(7, description="Of last year", ttl=0)
    assert server.calls()[0].json == {
        "name": "Loyal customers",
        "description": "",
        "targetResource": {"advertiserId": 580},
        "metadata": {"externalAudienceId": "mine", "ttl": 60},
        "countryCode": "US",
    }
    assert server.calls()[-1].json == {"description": "Of last year", "metadata": {"ttl": 0}}
    assert server.calls()[0].headers["accept"] == ADVERTISER_AUDIENCES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "short"}, "10 to 128"),
        ({"description": "x" * 1001}, "1000"),
        ({"external_audience_id": ""}, "external_audience_id"),
        ({"connection_id": "c"}, "connection_id or advertiser_id"),
        ({"ttl": 34_300_801}, "ttl must be"),
    ],
)
def test_a_wrong_audience(server: ScriptedServer, client: AmcClient, changes: dict[str, Any], message: str) -> None:
    fields = {
        "name": "Loyal customers",
        "description": "",
        "external_audience_id": "m",
        "advertiser_id": "5",
        **changes,
    }
    with pytest.raises(AmcValidationError, match=message):
        client.advertiser_audiences.create(**fields)
    assert server.requests == []


def test_an_audience_is_not_created_twice(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", "/amc/audiences/metadata", Reply(fault="close"))
    with pytest.raises(AmcUnknownOutcomeError):
        client.advertiser_audiences.create(
            "Loyal customers", description="", external_audience_id="m", connection_id="c"
        )
    assert len(server.calls()) == 1


def test_records_and_their_job(server: ScriptedServer, client: AmcClient) -> None:
    base = "/amc/audiences/records"
    server.on("POST", base, Reply(fault="close"), Reply(202, {"jobRequestId": "j"}))
    failed = {"externalId": "u-1", "error": "No match"}
    server.on(
        "GET", f"{base}/j",
        Reply(body={"jobState": "PENDING"}),
        Reply(body={"jobState": "PARTIALLYSUCCEEDED", "invalidRecords": [failed], "successful": {"recordsProcessedRate": 50}}),
        Reply(body={}),
    )  # fmt: skip
    audiences = client.advertiser_audiences
    assert audiences.send_records("7", [RECORD], connection_id="c") == "j"
    assert server.calls()[1].json == {"audienceId": 7, "records": [RECORD], "targetResource": {"connectionId": "c"}}
    assert not audiences.get_job("j").is_finished
    job = audiences.get_job("j")
    assert (job.is_finished, job.failed_ids, job.records_processed_rate) == (True, ("u-1",), 50.0)
    assert "No match" not in repr(job)
    with pytest.raises(AmcHttpError, match="jobState"):
        audiences.get_job("j")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "1 to 10,000"),
        ([RECORD] * 10_001, "got 10,001"),
        ([RECORD, {**RECORD, "externalUserId": "some one@example.com"}], r"records\[1\]: externalUserId"),
        ([{**RECORD, "action": "UPSERT"}], "CREATE or DELETE"),
        ([{**RECORD, "hashedPII": []}], "1 to 100"),
        ([{**RECORD, "hashedPII": [{"email": "some one@example.com"}]}], "not a SHA-256 hash"),
        ([{**RECORD, "hashedPII": [{"email": HASH.upper()}]}], "lower-case"),
        ([{**RECORD, "hashedPII": [{"mail": HASH}]}], "unknown field 'mail'"),
    ],
)
def test_a_wrong_record_is_named_without_its_values(records: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message) as caught:
        check_records(records)
    assert "example.com" not in str(caught.value)
