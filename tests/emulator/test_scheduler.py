"""Schedules start executions as virtual time passes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.emulator.record import ExecutionRecord
from airflow_provider_amc.emulator.scheduler import DAYS, FOLLOWED, Scheduler
from airflow_provider_amc.emulator.store import Store
from tests.emulator.api import wait_for


@pytest.fixture
def running(serve):
    served = serve(now="2026-03-04T10:00:00Z")  # a Wednesday
    served.api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"})
    return served


def schedule(served, **fields):
    body = {"scheduleId": "s", "workflowId": "wf", "aggregationPeriod": "Daily", "aggregationHourUtc": 8, **fields}
    answer = served.api.reporting("POST", "schedules", body)
    assert answer.status_code == 200, answer.text


def windows(served, count):
    def probe():
        answer = served.api.reporting("GET", "workflowExecutions", params={"workflowId": "wf", "sortAscending": "true"})
        found = answer.json()["executions"]
        return found if len(found) == count and all(one["status"] == "SUCCEEDED" for one in found) else None

    found = wait_for(probe, f"{count} runs to end") if count else []
    assert all(one["executionCategory"] == "SCHEDULED" for one in found)
    assert all(one["createTime"] == one["timeWindowEnd"] for one in found)
    return [(one["timeWindowStart"][5:13], one["timeWindowEnd"][5:13]) for one in found]


@pytest.mark.covers("rule", "schedules start executions")
def test_daily(running):
    schedule(running)
    running.server.set_clock("2026-03-05T07:59:00Z")
    assert running.server.emulator.store.count_executions() == {}
    running.server.set_clock("2026-03-05T08:00:00Z")
    assert windows(running, 1) == [("03-04T08", "03-05T08")]
    running.server.advance_clock(2 * 86400)
    days = [("03-04T08", "03-05T08"), ("03-05T08", "03-06T08"), ("03-06T08", "03-07T08")]
    assert windows(running, 3) == days
    running.server.advance_clock(60)
    assert windows(running, 3) == days


@pytest.mark.covers("rule", "schedules start executions")
def test_weekly_on_its_day(running):
    schedule(running, aggregationPeriod="Weekly", aggregationStartDay="Tuesday", aggregationHourUtc=0)
    running.server.set_clock("2026-03-17T00:00:01Z")
    assert windows(running, 2) == [("03-03T00", "03-10T00"), ("03-10T00", "03-17T00")]


def test_later_the_same_day(running):
    schedule(running, aggregationHourUtc=11)
    running.server.advance_clock(3600)
    assert windows(running, 1) == [("03-03T11", "03-04T11")]


@pytest.mark.covers("rule", "schedules start executions")
def test_runs_of_several_schedules_come_in_order_of_time(running):
    schedule(running)
    schedule(running, scheduleId="late", aggregationHourUtc=20)
    running.server.set_clock("2026-03-07T00:00:00Z")
    assert [end for _, end in windows(running, 5)] == ["03-04T20", "03-05T08", "03-05T20", "03-06T08", "03-06T20"]
    store = running.server.emulator.store
    created = [body["created"] for _, body in store.find_executions("amcemulator", ascending=True)]
    assert created == sorted(created)
    assert [seq for seq, _ in store.find_executions("amcemulator", ascending=True)] == [1, 2, 3, 4, 5]


@pytest.mark.covers("rule", "a schedule that is changed or disabled")
def test_a_schedule_that_is_changed_runs_as_it_is_now(running):
    schedule(running)
    change = {"scheduleId": "s", "workflowId": "wf", "aggregationPeriod": "Weekly", "aggregationStartDay": "Friday"}
    running.api.reporting("PUT", "schedules/s", {**change, "aggregationHourUtc": 3})
    running.server.set_clock("2026-03-07T00:00:00Z")
    assert windows(running, 1) == [("02-27T03", "03-06T03")]
    running.api.reporting("PUT", "schedules/s", {**change, "scheduleEnabled": "false"})
    running.server.set_clock("2026-03-21T00:00:00Z")
    running.api.reporting("PUT", "schedules/s", {**change, "scheduleEnabled": "true"})
    assert windows(running, 1) == [("02-27T03", "03-06T03")], "nothing is made up for"
    running.server.set_clock("2026-03-27T00:00:00Z")
    assert windows(running, 2)[1] == ("03-20T00", "03-27T00")


def test_disabled_and_deleted_schedules_do_nothing(running):
    schedule(running, scheduleEnabled="False")
    schedule(running, scheduleId="t")
    running.api.reporting("DELETE", "schedules/t")
    running.server.advance_clock(7 * 86400)
    assert running.api.finished()["status"] == "SUCCEEDED"
    assert running.server.emulator.store.count_executions() == {"SUCCEEDED": 1}


def test_schedule_goes_on_after_a_restart(serve, tmp_path):
    first = serve(now="2026-03-04T10:00:00Z", state_dir=tmp_path / "state")
    first.api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"})
    schedule(first)
    first.server.set_clock("2026-03-05T09:00:00Z")
    windows(first, 1)
    first.server.stop()
    second = serve(state_dir=tmp_path / "state")
    second.server.set_clock("2026-03-06T09:00:00Z")
    assert windows(second, 2) == [("03-04T08", "03-05T08"), ("03-05T08", "03-06T08")]


def test_scheduled_run_is_rejected_on_the_sandbox_without_synthetic_data(running):
    running.api.instance = "amcsandbox"
    running.api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"})
    schedule(running)
    schedule(running, scheduleId="t", requireSyntheticData="true")
    running.server.set_clock("2026-03-05T09:00:00Z")
    store = running.server.emulator.store
    assert wait_for(lambda: store.count_executions() == {"REJECTED": 1, "SUCCEEDED": 1}, "both to end")


CREATED = datetime(2026, 3, 4, 10, tzinfo=UTC).timestamp()
SCHEDULES = st.lists(
    st.fixed_dictionaries(
        {
            "aggregationPeriod": st.sampled_from(["Daily", "Weekly"]),
            "aggregationHourUtc": st.integers(0, 23),
            "aggregationStartDay": st.sampled_from(DAYS),
            "scheduleEnabled": st.sampled_from([True, True, True, False]),
        }
    ),
    min_size=1,
    max_size=4,
)


def runs_of(schedules: list[dict[str, Any]], moments: list[float]) -> list[tuple[str, float, float]]:
    """The runs that schedules start while the clock stands at these moments, one after the other."""
    started: list[ExecutionRecord] = []
    store = Store(Path(":memory:"))
    store.add_document("workflow", "amcemulator", "wf", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"})
    flags = {"requireSyntheticData": False, "disableAggregationControls": False}
    for number, schedule in enumerate(schedules):
        document = {"scheduleId": f"s{number}", "workflowId": "wf", **flags, **schedule, FOLLOWED: CREATED}
        store.add_document("schedule", "amcemulator", f"s{number}", document)
    scheduler = Scheduler(store, started.append)
    for moment in moments:
        scheduler.changed()
        coming = scheduler.step(moment)
        assert coming is None or coming > moment
    store.close()
    assert all(record.created == record.window_end for record in started)
    return [(record.workflow_id, record.window_start, record.window_end) for record in started]


@given(SCHEDULES, st.lists(st.floats(0, 60 * 86400), min_size=1, max_size=8))
def test_runs_do_not_depend_on_how_the_clock_moves(schedules: list[dict[str, Any]], steps: list[float]) -> None:
    moments = sorted(CREATED + step for step in steps)
    runs = runs_of(schedules, moments)
    assert runs == runs_of(schedules, moments[-1:])
    assert [end for _, _, end in runs] == sorted(end for _, _, end in runs)
    expected = 0
    for schedule in schedules:
        if schedule["scheduleEnabled"]:
            hours = range(int(CREATED) + 3600, int(moments[-1]) + 1, 3600)
            moments_due = (datetime.fromtimestamp(hour, UTC) for hour in hours)
            expected += sum(
                due.hour == schedule["aggregationHourUtc"]
                and (schedule["aggregationPeriod"] == "Daily" or DAYS[due.weekday()] == schedule["aggregationStartDay"])
                for due in moments_due
            )
    assert len(runs) == expected
