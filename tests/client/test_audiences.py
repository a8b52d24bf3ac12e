from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.audiences import audience_request
from airflow_provider_amc.client.transport import LOOKALIKE_AUDIENCES, RULE_AUDIENCES, RULE_AUDIENCES_DETAILED
from airflow_provider_amc.exceptions import AmcNotFoundError, AmcUnknownOutcomeError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/audiences/query"
FIELDS: dict[str, Any] = {
    "advertiser_id": "580",
    "audience_name": "Visitors",
    "time_window_start": "2026-01-01T00:00:00",
    "time_window_end": "2026-02-01T00:00:00+01:00",
    "query": "SELECT user_id FROM dsp_clicks_for_audiences",
}
PENDING = Reply(body={"audienceExecutionId": "a", "status": "PENDING", "audienceExecutionDescription": "Submitted"})


def test_create_names_the_instance_in_a_header_and_ends_times_with_z(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", BASE, PENDING)
    audience = client.audiences.create(**FIELDS, refresh_rate_days=0, time_window_relative=True)
    assert (audience.audience_execution_id, audience.status, audience.is_finished) == ("a", "PENDING", False)
    call = server.calls()[0]
    assert call.json == {
        "advertiserId": "580",
        "audienceName": "Visitors",
        "query": "SELECT user_id FROM dsp_clicks_for_audiences",
        "timeWindowStart": "2026-01-01T00:00:00Z",
        "timeWindowEnd": "2026-01-31T23:00:00Z",
        "timeWindowRelative": True,
        "refreshRateDays": 0,
    }
    assert call.headers["amazon-marketing-cloud-audience-instanceid"] == "amctest"
    assert call.headers["amazon-advertising-api-entityid"] == "ENTITYTEST"
    assert (call.headers["content-type"], call.headers["accept"]) == (RULE_AUDIENCES, RULE_AUDIENCES)


def test_a_lookalike_audience_has_a_call_of_its_own(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", "/amc/audiences/lookalike", PENDING)
    client.audiences.create(**FIELDS, expected_reach="balanced", refresh_rate_days=7)
    call = server.calls()[0]
    assert call.json["lookalikeAudienceExpectedReach"] == "BALANCED"
    assert call.headers["accept"] == LOOKALIKE_AUDIENCES


def test_a_second_request_would_make_a_second_audience(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", BASE, Reply(fault="close"), PENDING)
    with pytest.raises(AmcUnknownOutcomeError):
        client.audiences.create(**FIELDS)
    assert len(server.calls()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workflow_id": "w"}, "one of them"),
        ({"query": None}, "one of them"),
        ({"audience_name": " "}, "audience_name must be"),
        ({"refresh_rate_days": 22}, "0 to 21"),
        ({"refresh_rate_days": 3, "expected_reach": "BROAD"}, "7 to 21"),
        ({"expected_reach": "WIDE"}, "MOST_SIMILAR"),
        ({"advertiser_type": "SAS"}, "DISPLAY, SPONSORED_ADS"),
        ({"time_window_end": "2025-01-01T00:00:00"}, "must be before"),
        ({"parameter_values": {"x": None}}, "x is None"),
    ],
)
def test_a_wrong_request(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        audience_request(**{**FIELDS, **changes})


def test_get_asks_for_the_version_that_tells_most(server: ScriptedServer, client: AmcClient) -> None:
    body = {
        "audienceExecutionId": "a", "status": "FAILED", "statusReason": "Too few users.", "audienceCount": 12,
        "createTime": "2026-01-01T00:00:00Z", "refreshRateDays": 21, "audienceType": "RULE_BASED",
    }  # fmt: skip
    server.on("GET", f"{BASE}/a", Reply(body=body))
    audience = client.audiences.get("a")
    assert (audience.is_finished, audience.is_succeeded, audience.audience_count) == (True, False, 12)
    assert audience.status_reason == "Too few users."
    assert server.calls()[0].headers["accept"] == RULE_AUDIENCES_DETAILED


@pytest.mark.parametrize("key", ["executionMetadata", "executionDataList"])
def test_list_under_either_name(server: ScriptedServer, client: AmcClient, key: str) -> None:
    server.on(
        "GET", BASE,
        Reply(body={key: [{"audienceExecutionId": "a"}], "nextToken": "n"}), Reply(body={key: [{"audienceExecutionId": "b"}]}),
    )  # fmt: skip
    assert [one.audience_execution_id for one in client.audiences.list(limit=1)] == ["a", "b"]
    assert server.calls()[1].query == {"maxResults": "1", "nextToken": "n"}


def test_update_and_delete_of_a_failed_one(server: ScriptedServer, client: AmcClient) -> None:
    server.on("PUT", f"{BASE}/a", Reply(body={"status": "PENDING"}))
    updated = client.audiences.update("a", audience_request(**FIELDS, refresh_rate_days=3))
    assert (updated.audience_execution_id, updated.status) == ("a", "PENDING")
    assert server.calls()[0].json["audienceType"] == "RULE_BASED"
    assert "refreshRateDays" not in server.calls()[0].json
    gone = Reply(404, {"code": "404", "details": "Audience a does not exist"})
    server.on("DELETE", f"{BASE}/a", Reply(fault="close"), gone)
    client.audiences.delete("a")
    server.on("DELETE", f"{BASE}/a", gone)
    with pytest.raises(AmcNotFoundError):
        client.audiences.delete("a")
