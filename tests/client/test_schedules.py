from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.transport import SCHEDULES
from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcNotFoundError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/reporting/amctest/schedules"
EXISTS = Reply(400, {"code": "400", "details": "Schedule with ID s already exists."})
MISSING = Reply(400, {"code": "400", "details": "Schedule with ID s does not exist"})


def test_create_sends_every_field_by_its_name(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", BASE, Reply())
    client.schedules.create(
        "s",
        workflow_id="w",
        aggregation_period="weekly",
        aggregation_hour_utc=8,
        aggregation_start_day="TUESDAY",
        schedule_enabled=False,
        require_synthetic_data=True,
        disable_aggregation_controls=True,
        extra={"marketplaceId": "M"},
    )
    assert server.calls()[0].json == {
        "scheduleId": "s",
        "workflowId": "w",
        "aggregationPeriod": "Weekly",
        "aggregationHourUtc": 8,
        "aggregationStartDay": "Tuesday",
        "scheduleEnabled": False,
        "requireSyntheticData": True,
        "disableAggregationControls": True,
        "marketplaceId": "M",
    }
    assert server.calls()[0].headers["content-type"] == SCHEDULES


def test_a_schedule_is_daily_and_on_unless_told_otherwise(server: ScriptedServer, client: AmcClient) -> None:
    server.on("PUT", f"{BASE}/s", Reply())
    client.schedules.update("s", workflow_id="w")
    expected = {"scheduleId": "s", "workflowId": "w", "aggregationPeriod": "Daily", "scheduleEnabled": True}
    assert server.calls()[0].json == expected


@pytest.mark.parametrize("wrapped", [True, False])
def test_get_in_either_envelope(server: ScriptedServer, client: AmcClient, wrapped: bool) -> None:
    flat = {"scheduleId": "s", "workflowId": "w", "aggregationPeriod": "Daily", "scheduleEnabled": True}
    server.on("GET", f"{BASE}/s", Reply(body={"schedule": flat} if wrapped else flat))
    schedule = client.schedules.get("s")
    assert (schedule.schedule_id, schedule.workflow_id, schedule.schedule_enabled) == ("s", "w", True)


def test_list_reads_all_pages(server: ScriptedServer, client: AmcClient) -> None:
    server.on(
        "GET",
        BASE,
        Reply(body={"schedules": [{"scheduleId": "a"}], "nextToken": "n"}),
        Reply(body={"schedules": [{"scheduleId": "b"}]}),
    )
    assert [schedule.schedule_id for schedule in client.schedules.list()] == ["a", "b"]


def test_delete_and_repeats(server: ScriptedServer, client: AmcClient) -> None:
    server.on("DELETE", f"{BASE}/s", Reply(fault="close"), MISSING)
    client.schedules.delete("s")
    with pytest.raises(AmcNotFoundError):
        client.schedules.delete("s")
    server.on("POST", BASE, Reply(fault="close"), EXISTS)
    server.on("GET", f"{BASE}/s", Reply(body={"scheduleId": "s", "workflowId": "w", "aggregationPeriod": "Daily"}))
    client.schedules.create("s", workflow_id="w")
    with pytest.raises(AmcAlreadyExistsError):
        client.schedules.create("s", workflow_id="w")
    server.on("POST", BASE, Reply(fault="close"), EXISTS)
    with pytest.raises(AmcAlreadyExistsError):
        client.schedules.create("s", workflow_id="another")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedule_id": "a b"}, "schedule_id 'a b'"),
        ({"workflow_id": ""}, "workflow_id"),
        ({"aggregation_period": "Monthly"}, "aggregation_period must be one of Daily, Weekly"),
        ({"aggregation_hour_utc": 24}, "aggregation_hour_utc must be a whole number from 0 to 23"),
        ({"aggregation_start_day": "Someday"}, "aggregation_start_day must be one of Monday"),
    ],
)
def test_wrong_schedules_are_not_sent(
    server: ScriptedServer, client: AmcClient, change: dict[str, Any], words: str
) -> None:
    arguments: dict[str, Any] = {"schedule_id": "s", "workflow_id": "w", **change}
    for call in (client.schedules.create, client.schedules.update):
        with pytest.raises(AmcValidationError, match=words):
            call(**arguments)
    assert server.requests == []
