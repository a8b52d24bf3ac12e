from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcExecutionError,
    AmcNotFoundError,
    AmcPermissionError,
    AmcResourceFailedError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.sensors.resource import AmcAudienceSensor, AmcInstanceSensor, AmcUploadSensor
from tests.tasks import event_of, run_through, task_context

DEFAULTS = {"task_id": "wait", "poke_interval": 0.01, "poll_interval": 0.01, "timeout": 60}
NOWHERE = "00000000-0000-0000-0000-000000000000"


def sensor(instance_id: str | None = None, **arguments: Any) -> AmcInstanceSensor:
    return AmcInstanceSensor(**{**DEFAULTS, "instance_id": instance_id, **arguments})


def made(emulator: EmulatorServer, seconds: float | None = None) -> str:
    if seconds is not None:
        emulator.add_fault(operation="createInstance", kind="duration", seconds=seconds)
    return AmcHook().get_conn().instances.create("Spring reports").instance_id


def audience(query: str) -> str:
    found = (
        AmcHook()
        .get_conn()
        .audiences.create(
            advertiser_id="580000000000000001",
            audience_name="Everybody",
            time_window_start="2025-11-01T00:00:00Z",
            time_window_end="2026-11-01T00:00:00Z",
            query=query,
        )
    )
    return found.audience_execution_id


def upload(emulator: EmulatorServer, fault: dict[str, Any]) -> dict[str, str]:
    client = AmcHook().get_conn()
    client.data_sets.create(
        "orders", columns=[{"name": "at", "dataType": "DATE", "columnType": "DIMENSION", "isMainEventTime": True}],
        period="P1D",
    )  # fmt: skip
    emulator.add_fault(operation="CreateUpload", **fault)
    found = client.uploads.create("orders", s3_bucket="bucket", s3_key="orders.csv", country_code="US")
    return {"data_set_id": "orders", "upload_id": found.upload_id}


def test_poke(amc_default: EmulatorServer) -> None:
    waiting = sensor(made(amc_default, 240))
    assert waiting.poke(task_context()) is False
    amc_default.advance_clock(240)
    assert waiting.poke(task_context()) is True
    waiting.execute(task_context())


def test_instance_of_the_connection(amc_default: EmulatorServer) -> None:
    waiting = sensor(None, deferrable=True)
    waiting.execute(task_context())
    assert waiting.names() == {"instance_id": "amcemulator"}


def test_waits_in_the_triggerer(amc_default: EmulatorServer, mocker: Any) -> None:
    instance_id = made(amc_default, 240)
    waiting = sensor(instance_id, deferrable=True)
    from airflow_provider_amc.triggers.resource import AmcResourceTrigger

    def pause() -> float:
        amc_default.advance_clock(100)
        return 0.0

    mocker.patch.object(AmcResourceTrigger, "_pause", side_effect=pause)
    run_through(waiting, task_context())
    assert AmcHook().get_conn().instances.get(instance_id).is_ready


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("soft_fail", "error"), [(False, AmcResourceFailedError), (True, AirflowSkipException)])
def test_failed_instance(
    amc_default: EmulatorServer, deferrable: bool, soft_fail: bool, error: type[Exception]
) -> None:
    amc_default.add_fault(operation="createInstance", kind="fail")
    instance_id = made(amc_default)
    with pytest.raises(error, match=f"instance {instance_id} ended as FAILED"):
        run_through(sensor(instance_id, deferrable=deferrable, soft_fail=soft_fail), task_context())


def test_audience(amc_default: EmulatorServer) -> None:
    good = audience("SELECT user_id FROM dsp_impressions_for_audiences")
    run_through(AmcAudienceSensor(audience_execution_id=good, deferrable=True, **DEFAULTS), task_context())
    assert AmcHook().get_conn().audiences.get(good).is_succeeded


def test_audience_that_amc_refuses_late(amc_default: EmulatorServer) -> None:
    bad = audience("SELECT user_id FROM dsp_impressions")
    with pytest.raises(AmcResourceFailedError, match=f"audience {bad} ended as FAILED: .*audience-specific tables"):
        run_through(AmcAudienceSensor(audience_execution_id=bad, deferrable=True, **DEFAULTS), task_context())


@pytest.mark.parametrize("deferrable", [True, False])
def test_upload(amc_default: EmulatorServer, deferrable: bool) -> None:
    names = upload(amc_default, {"kind": "fail", "reason": "The file is empty."})
    waiting = AmcUploadSensor(**names, deferrable=deferrable, **DEFAULTS)
    with pytest.raises(AmcResourceFailedError, match=f"upload orders/{names['upload_id']} ended as FAILED: The file"):
        run_through(waiting, task_context())


def test_outage_is_waited_out(amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = sensor(made(amc_default))
    client = waiting.hook.get_conn().with_patience(0.01)
    monkeypatch.setattr(waiting.hook, "get_conn", lambda: client)
    amc_default.add_fault(operation="getInstance", kind="status", status=503, times=None)
    assert waiting.poke(task_context()) is False
    amc_default.clear_faults()
    assert waiting.poke(task_context()) is True


def test_what_only_a_person_can_mend_is_not_waited_out(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="getInstance", kind="terms", times=None)
    with pytest.raises(AmcPermissionError, match="erms"):
        sensor("amcemulator").poke(task_context())


def test_what_amc_does_not_know(amc_default: EmulatorServer, mocker: Any) -> None:
    """Something new may be invisible for some seconds, what stays so does not exist."""
    waiting = AmcAudienceSensor(audience_execution_id=NOWHERE, **DEFAULTS)
    clock = mocker.patch("airflow_provider_amc.sensors.resource.time")
    for now in (0.0, INVISIBLE_SECONDS - 1):
        clock.monotonic.return_value = now
        assert waiting.poke(task_context()) is False
    clock.monotonic.return_value = INVISIBLE_SECONDS
    with pytest.raises(AmcNotFoundError, match=NOWHERE):
        waiting.poke(task_context())


def test_what_the_triggerer_cannot_find(amc_default: EmulatorServer, mocker: Any) -> None:
    mocker.patch("airflow_provider_amc.triggers.looks.INVISIBLE_SECONDS", 0.0)
    waiting = AmcAudienceSensor(audience_execution_id=NOWHERE, deferrable=True, **DEFAULTS)
    with pytest.raises(AmcNotFoundError, match=f"AMC does not know the audience {NOWHERE}: "):
        run_through(waiting, task_context())


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_deadline(amc_default: EmulatorServer, soft_fail: bool, error: type[Exception]) -> None:
    waiting = sensor(made(amc_default, 3600), deferrable=True, timeout=0.05, soft_fail=soft_fail)
    with pytest.raises(error, match=r"was not finished in time; its last known status is REQUESTED\.$"):
        run_through(waiting, task_context())


def test_deadline_says_why_the_last_look_failed(amc_default: EmulatorServer) -> None:
    event = {"status": "deadline", "resource_status": None, "problem": "AmcTransientError: gone"}
    with pytest.raises(AirflowSensorTimeout, match=r"status is unknown\. The last look at it failed: .*gone"):
        sensor("amcx").execute_complete(task_context(), event)


def test_trigger_without_an_event(amc_default: EmulatorServer) -> None:
    with pytest.raises(AmcExecutionError, match="sent no event"):
        sensor("amcx").execute_complete(task_context(), None)


def test_trigger_looks_for_the_same_thing(amc_default: EmulatorServer) -> None:
    from tests.tasks import deferred

    names = upload(amc_default, {"kind": "duration", "seconds": 60})
    waiting = AmcUploadSensor(**names, instance_id="amcemulator", deferrable=True, **DEFAULTS)
    trigger: Any = deferred(waiting, task_context()).trigger
    assert (trigger.kind, trigger.names, trigger.instance_id) == ("upload", names, "amcemulator")
    amc_default.advance_clock(60)
    assert event_of(trigger)["status"] == "finished"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (AmcInstanceSensor, {"amc_conn_id", "instance_id"}),
        (AmcAudienceSensor, {"audience_execution_id", "amc_conn_id", "instance_id"}),
        (AmcUploadSensor, {"data_set_id", "upload_id", "amc_conn_id", "instance_id"}),
    ],
)
def test_templates(kind: Any, fields: set[str]) -> None:
    assert set(kind.template_fields) == fields
