from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcNotFoundError, AmcPermissionError, AmcValidationError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.sensors.freshness import AmcDataFreshnessSensor
from airflow_provider_amc.windows import explicit, last_days
from tests.tasks import RUN_AFTER, deferred, event_of, task_context

DAY = explicit("2026-03-09T00:00:00", "2026-03-10T00:00:00")
#: When AMC has all of it.
WHOLE = datetime(2026, 3, 12, tzinfo=UTC)


def sensor(**arguments: Any) -> AmcDataFreshnessSensor:
    if "time_window_type" not in arguments and "time_window_start" not in arguments:
        arguments.setdefault("window", DAY)
    return AmcDataFreshnessSensor(**{"task_id": "wait", "poke_interval": 30, **arguments})


def at(moment: datetime) -> Any:
    return time_machine.travel(moment, tick=False)


def test_poke(amc_default: EmulatorServer) -> None:
    with at(WHOLE - timedelta(seconds=1)):
        assert sensor().poke(task_context()) is False
    with at(WHOLE):
        assert sensor().poke(task_context()) is True
        sensor().execute(task_context())


def test_deferred_until_the_data_is_there(amc_default: EmulatorServer, mocker: Any) -> None:
    log = mocker.patch.object(AmcDataFreshnessSensor, "log")
    waiting = sensor(deferrable=True)
    with at(RUN_AFTER):
        deferral = deferred(waiting, task_context())
    assert deferral.trigger.moment == WHOLE  # type: ignore[attr-defined]
    (line,) = (call.args[0] % call.args[1:] for call in log.info.call_args_list)
    assert "AMC's data of 2026-03-09T00:00:00 to 2026-03-10T00:00:00 (UTC) will be complete at 2026-03-12T00:00" in line
    with at(WHOLE):
        event_of(deferral.trigger)
        waiting.execute_complete(task_context(), event={}, **(deferral.kwargs or {}))
    # Once when the task began, and once when it was woken.
    assert len(amc_default.requests_of("getInstance")) == 2


def test_the_same_window_as_that_of_the_query(amc_default: EmulatorServer) -> None:
    with at(RUN_AFTER):
        assert sensor(window=last_days(7)).poke(task_context()) is True
        assert sensor(window=last_days(7, lag_days=1)).poke(task_context()) is False
        spelled_out = {"time_window_start": "2026-03-08T00:00:00", "time_window_time_zone": "Asia/Tokyo"}
        assert sensor(time_window_end="2026-03-09T15:00:00", **spelled_out).poke(task_context()) is True
        assert sensor(time_window_end="2026-03-09T16:00:00", **spelled_out).poke(task_context()) is False


def test_windows_that_amc_ends_itself(amc_default: EmulatorServer) -> None:
    sensor(time_window_type="MOST_RECENT_DAY", deferrable=True).execute(task_context())
    assert amc_default.requests == []


def test_results_that_still_change(amc_default: EmulatorServer) -> None:
    tables = ["dsp_impressions", "conversions_all"]
    with at(WHOLE):
        assert sensor(data_sources=tables).poke(task_context()) is True
        late = deferred(sensor(data_sources=tables, state="settled", deferrable=True, timeout=10**7), task_context())
    assert late.trigger.moment == datetime(2026, 4, 7, tzinfo=UTC)  # type: ignore[attr-defined]


def test_a_new_instance_is_filled_with_the_past_first(amc_default: EmulatorServer) -> None:
    created = datetime(2026, 3, 20, 12, tzinfo=UTC)
    amc_default.set_clock(created.isoformat())
    instance_id = AmcHook().get_conn().instances.create("Spring reports").instance_id
    amc_default.advance_clock(60)
    with at(created + timedelta(hours=1)):
        # What happened before the creation comes later than what happens after it.
        old = deferred(sensor(instance_id=instance_id, deferrable=True), task_context())
        window = explicit("2026-03-21T00:00:00", "2026-03-21T01:00:00")
        new = deferred(sensor(instance_id=instance_id, window=window, deferrable=True), task_context())
    assert old.trigger.moment - created == timedelta(hours=72)  # type: ignore[attr-defined]
    assert new.trigger.moment == datetime(2026, 3, 23, 1, tzinfo=UTC)  # type: ignore[attr-defined]


def test_own_uploads_have_nothing_to_wait_for(amc_default: EmulatorServer) -> None:
    columns = [{"name": "at", "dataType": "DATE", "columnType": "DIMENSION", "isMainEventTime": True}]
    AmcHook().get_conn().data_sets.create("orders", columns=columns, period="P1D")
    with at(WHOLE - timedelta(hours=47)):
        assert sensor(data_sources=["orders"]).poke(task_context()) is True
        assert sensor(data_sources=["orders", "dsp_clicks"]).poke(task_context()) is False


def test_a_table_that_the_instance_does_not_have(amc_default: EmulatorServer) -> None:
    with pytest.raises(AmcNotFoundError, match="dsp_klicks"):
        sensor(data_sources=["dsp_klicks"], deferrable=True).execute(task_context())


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wait_that_cannot_end_in_time_is_not_begun(
    amc_default: EmulatorServer, soft_fail: bool, error: type[Exception], deferrable: bool
) -> None:
    waiting = sensor(deferrable=deferrable, timeout=60, soft_fail=soft_fail)
    with at(RUN_AFTER), pytest.raises(error, match=r"complete at 2026-03-12T00:00:00Z .*Raise timeout"):
        waiting.execute(task_context())


def test_an_outage_is_waited_out(amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = sensor(deferrable=True)
    client = waiting.hook.get_conn().with_patience(0.01)
    monkeypatch.setattr(waiting.hook, "get_conn", lambda: client)
    amc_default.add_fault(operation="getInstance", kind="status", status=503, times=None)
    with at(WHOLE):
        deferral = deferred(waiting, task_context())
        assert deferral.trigger.moment == WHOLE + timedelta(seconds=30)  # type: ignore[attr-defined]
        assert waiting.poke(task_context()) is False
        late = (WHOLE + timedelta(seconds=10)).timestamp()
        with pytest.raises(AirflowSensorTimeout, match="could not be asked"):
            waiting.execute_complete(task_context(), deadline=late)
        amc_default.clear_faults()
        waiting.execute_complete(task_context(), event={})


def test_what_only_a_person_can_mend_is_not_waited_out(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="getInstance", kind="terms", times=None)
    with at(WHOLE), pytest.raises(AmcPermissionError, match="erms"):
        sensor().poke(task_context())


def test_a_second_wait_keeps_the_deadline(amc_default: EmulatorServer) -> None:
    with at(RUN_AFTER):
        first = deferred(sensor(deferrable=True), task_context())
        kept = (first.kwargs or {})["deadline"]
        with pytest.raises(TaskDeferred) as second:
            sensor(deferrable=True).execute_complete(task_context(), event={}, deadline=kept)
    assert second.value.kwargs == {"deadline": kept}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"state": "fresh"}, "state must be one of complete, settled"),
        ({"state": "settled"}, "Name them in data_sources"),
        ({"window": None}, "No time window is stated"),
        ({"window": DAY, "time_window_end": "2026-03-09T00:00:00"}, "Two time windows"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(AmcValidationError, match=error):
        AmcDataFreshnessSensor(task_id="wait", **{"window": DAY, **arguments})


def test_templates() -> None:
    assert {"time_window_start", "time_window_end", "data_sources", "instance_id"} <= set(
        AmcDataFreshnessSensor.template_fields
    )
