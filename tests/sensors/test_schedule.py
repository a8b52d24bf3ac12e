from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcConfigurationError,
    AmcExecutionFailedError,
    AmcNotFoundError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.links.execution import XCOM_KEY
from airflow_provider_amc.sensors.schedule import AmcScheduleSensor
from airflow_provider_amc.windows import TimeWindow, data_interval, explicit
from tests.tasks import deferred, event_of, run_through, task_context

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"
#: When the schedule cuts, the last time before the runs of the tests are due.
CUT = datetime(2026, 3, 11, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def amc(amc_default: EmulatorServer) -> Iterator[EmulatorServer]:
    """AMC an hour before the cut, with a daily schedule; the clock of the worker agrees."""
    amc_default.set_clock((CUT - timedelta(hours=1)).isoformat())
    client = AmcHook().get_conn()
    client.workflows.create("reach", sql_query=SQL)
    client.schedules.create("nightly", workflow_id="reach", aggregation_hour_utc=5)
    with time_machine.travel(CUT - timedelta(hours=1), tick=True):
        yield amc_default


def sensor(**arguments: Any) -> AmcScheduleSensor:
    defaults = {
        "task_id": "wait",
        "schedule_id": "nightly",
        "poke_interval": 0.01,
        "poll_interval": 0.01,
        "timeout": 60,
    }
    return AmcScheduleSensor(**{**defaults, **arguments})


def pass_to(amc: EmulatorServer, moment: datetime) -> Any:
    amc.set_clock(moment.isoformat())
    return time_machine.travel(moment, tick=True)


def by_hand(start: datetime, end: datetime) -> str:
    """Somebody runs the same workflow over a window."""
    made = AmcHook().get_conn().executions.create(
        workflow_id="reach", time_window_type="EXPLICIT", time_window_start=start, time_window_end=end
    )  # fmt: skip
    return made.workflow_execution_id


def window_of(execution_id: str) -> tuple[datetime | None, datetime | None]:
    found = AmcHook().get_conn().executions.get(execution_id)
    return found.time_window_start, found.time_window_end


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_run_of_the_day(amc: EmulatorServer, deferrable: bool) -> None:
    by_hand(CUT - timedelta(days=1), CUT)
    assert sensor().poke(task_context()) is False
    with pass_to(amc, CUT + timedelta(hours=1)):
        by_hand(CUT - timedelta(days=1), CUT)
        context = task_context()
        found = run_through(sensor(deferrable=deferrable), context)
    assert window_of(found) == (CUT - timedelta(days=1), CUT)
    assert AmcHook().get_conn().executions.get(found).raw["executionCategory"] == "SCHEDULED"
    assert context["ti"].xcoms[XCOM_KEY]["workflow_execution_id"] == found


def test_waits_in_the_triggerer(amc: EmulatorServer) -> None:
    """From before the cut on: AMC is asked nothing until then."""
    waiting = sensor(deferrable=True, as_of=CUT.isoformat(), timeout=86_400)
    deferral = deferred(waiting, task_context())
    trigger: Any = deferral.trigger
    assert (trigger.period_end, trigger.instance_id) == (CUT.isoformat(), "amcemulator")
    amc.add_fault(operation="listWorkflowExecutions", kind="unknown_status", value="QUEUED", times=2)
    with pass_to(amc, CUT + timedelta(minutes=1)):
        event = event_of(trigger)
        found = waiting.execute_complete(task_context(), event)
    assert event["status"] == "finished"
    assert event["history"][0]["status"] == "QUEUED"
    assert window_of(found) == (CUT - timedelta(days=1), CUT)
    (_, arguments) = trigger.serialize()
    assert type(trigger)(**arguments).serialize() == trigger.serialize()


@pytest.mark.parametrize(
    "named",
    [
        {"as_of": "2026-03-09T05:00:00Z"},
        {"as_of": "2026-03-09T23:00:00"},
        {"as_of": datetime(2026, 3, 10, 4, 59, tzinfo=UTC)},
        {"window": explicit("2026-03-08T00:00:00", "2026-03-09T00:00:00", "Etc/GMT+5")},
        {"window": data_interval(lag_days=1)},
    ],
)
def test_another_period(amc: EmulatorServer, named: dict[str, Any]) -> None:
    end = datetime(2026, 3, 9, 5, tzinfo=UTC)
    amc.reset()
    amc.set_clock("2026-03-07T06:00:00Z")
    client = AmcHook().get_conn()
    client.workflows.create("reach", sql_query=SQL)
    client.schedules.create("nightly", workflow_id="reach", aggregation_hour_utc=5)
    interval = {"data_interval_start": end, "data_interval_end": end + timedelta(days=1)}
    with pass_to(amc, CUT):
        found = run_through(sensor(deferrable=True, **named), task_context(**interval))
    assert window_of(found) == (end - timedelta(days=1), end)


def test_never_the_run_of_another_schedule(amc: EmulatorServer) -> None:
    client = AmcHook().get_conn()
    client.schedules.create("early", workflow_id="reach", aggregation_hour_utc=4)
    client.schedules.create("weekly", workflow_id="reach", aggregation_period="Weekly", aggregation_hour_utc=5)
    with pass_to(amc, CUT + timedelta(hours=1)):
        found = {name: run_through(sensor(schedule_id=name), task_context()) for name in ("nightly", "early")}
        client.schedules.create("twin", workflow_id="reach", aggregation_hour_utc=5)
        with pytest.raises(AmcConfigurationError, match="does not say which of them"):
            sensor().poke(task_context())
    assert window_of(found["nightly"])[1] == CUT
    assert window_of(found["early"])[1] == CUT - timedelta(hours=1)


def test_disabled_schedule(amc: EmulatorServer) -> None:
    with pass_to(amc, CUT):
        found = run_through(sensor(as_of=CUT), task_context())
        AmcHook().get_conn().schedules.update(
            "nightly", workflow_id="reach", aggregation_hour_utc=5, schedule_enabled=False
        )
        assert sensor(as_of=CUT).execute(task_context()) == found
        with pytest.raises(AmcConfigurationError, match="is disabled and has no execution for 2026-03-09T05"):
            sensor(as_of="2026-03-10T05:00:00Z").poke(task_context())


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AmcExecutionFailedError), (True, AirflowSkipException)])
@pytest.mark.parametrize("deferrable", [True, False])
def test_failed_run(amc: EmulatorServer, soft_fail: bool, error: type[Exception], deferrable: bool) -> None:
    amc.add_fault(operation="listWorkflowExecutions", kind="unknown_status", value="FAILED", times=None)
    amc.add_fault(operation="getWorkflowExecution", kind="unknown_status", value="FAILED", times=None)
    with pass_to(amc, CUT), pytest.raises(error, match="ended as FAILED"):
        run_through(sensor(deferrable=deferrable, soft_fail=soft_fail), task_context())


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_deadline(amc: EmulatorServer, soft_fail: bool, error: type[Exception]) -> None:
    waiting = sensor(deferrable=True, timeout=0.2, soft_fail=soft_fail, as_of=CUT)
    with pytest.raises(error, match="there is no execution of it yet"):
        run_through(waiting, task_context())
    amc.add_fault(operation="listWorkflowExecutions", kind="unknown_status", value="RUNNING", times=None)
    with pass_to(amc, CUT), pytest.raises(error, match=r"its execution .* is RUNNING"):
        run_through(sensor(deferrable=True, timeout=2, soft_fail=soft_fail), task_context())


def test_an_outage_is_waited_out(amc: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = sensor()
    client = waiting.hook.get_conn().with_patience(0.01)
    monkeypatch.setattr(waiting.hook, "get_conn", lambda: client)
    amc.add_fault(operation="getSchedule", kind="status", status=503, times=None)
    with pass_to(amc, CUT):
        assert waiting.poke(task_context()) is False
        amc.clear_faults()
        assert window_of(waiting.execute(task_context()))[1] == CUT


def test_unknown_schedule() -> None:
    with pytest.raises(AmcNotFoundError, match="hourly"):
        sensor(schedule_id="hourly", deferrable=True).execute(task_context())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"as_of": "yesterday"}, "as_of='yesterday' is not a time"),
        ({"window": TimeWindow("MOST_RECENT_DAY")}, "MOST_RECENT_DAY .* has none"),
        ({"window": explicit("2026-03-08T00:00:00", "2026-03-09T00:00:00")}, "never runs over"),
    ],
)
def test_wrong_periods(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(AmcValidationError, match=error):
        sensor(**arguments).poke(task_context())


def test_only_one_name_of_the_period() -> None:
    with pytest.raises(AmcValidationError, match="either as_of or window"):
        sensor(as_of="2026-03-08T00:00:00", window=data_interval())


def test_templates() -> None:
    assert set(AmcScheduleSensor.template_fields) == {"schedule_id", "as_of", "amc_conn_id", "instance_id"}
