from __future__ import annotations

import json
import time
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.triggers import looks
from airflow_provider_amc.triggers.resource import AmcResourceTrigger
from tests.tasks import event_of

NOWHERE = "00000000-0000-0000-0000-000000000000"


def instance(name: str = "Spring reports") -> dict[str, str]:
    return {"instance_id": AmcHook().get_conn().instances.create(name).instance_id}


def trigger(names: dict[str, str], **arguments: Any) -> AmcResourceTrigger:
    return AmcResourceTrigger(
        **{"kind": "instance", "names": names, "poll_interval": 0.01, "poll_interval_max": 0.05, **arguments}
    )


def let_time_pass(emulator: EmulatorServer, mocker: Any, seconds: float) -> list[str]:
    """Between two looks virtual time passes, and no other."""
    pauses: list[str] = []

    def pause() -> float:
        pauses.append(emulator.now().isoformat())
        emulator.advance_clock(seconds)
        return 0.0

    mocker.patch.object(AmcResourceTrigger, "_pause", side_effect=pause)
    return pauses


def test_survives_serialization() -> None:
    original = AmcResourceTrigger(
        kind="upload",
        names={"data_set_id": "d", "upload_id": "u"},
        amc_conn_id="other",
        instance_id="amcx",
        poll_interval=1.5,
        poll_interval_max=9.0,
        deadline=1234.5,
        started=1.0,
    )
    path, arguments = original.serialize()
    assert path == "airflow_provider_amc.triggers.resource.AmcResourceTrigger"
    again = AmcResourceTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert {name: getattr(again, name) for name in arguments} == arguments


def test_waits_until_amc_has_finished(amc_default: EmulatorServer, mocker: Any) -> None:
    amc_default.add_fault(operation="createInstance", kind="duration", seconds=240)
    names = instance()
    pauses = let_time_pass(amc_default, mocker, 100)
    assert event_of(trigger(names, carried={"result": 1})) == {
        "carried": {"result": 1},
        "status": "finished",
        "resource_status": "COMPLETED",
        "succeeded": True,
        "reason": None,
        "problem": None,
    }
    assert len(pauses) == 3


def test_failure(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createInstance", kind="fail", reason="no capacity")
    event = event_of(trigger(instance()))
    assert (event["status"], event["resource_status"], event["succeeded"]) == ("finished", "FAILED", False)


def test_reason_of_a_failure(amc_default: EmulatorServer) -> None:
    audience = (
        AmcHook()
        .get_conn()
        .audiences.create(
            advertiser_id="580000000000000001",
            audience_name="Everybody",
            time_window_start="2026-01-01T00:00:00Z",
            time_window_end="2026-01-02T00:00:00Z",
            query="SELECT user_id FROM dsp_impressions",
        )
    )
    event = event_of(trigger({"audience_execution_id": audience.audience_execution_id}, kind="audience"))
    assert (event["resource_status"], event["succeeded"]) == ("FAILED", False)
    assert "Use audience-specific tables" in event["reason"]


def test_looks_that_fail_do_not_end_the_wait(amc_default: EmulatorServer, mocker: Any) -> None:
    names = instance()
    for status in (403, 400, 500):
        amc_default.add_fault(operation="getInstance", kind="status", status=status, times=1)
    good, calls = AmcHook.aget_conn, iter([AirflowNotFoundException("no connection amc_default"), None, None, None])

    async def mended_at_the_second_look(hook: AmcHook) -> Any:
        if (error := next(calls, None)) is not None:
            raise error
        return await good(hook)

    mocker.patch.object(AmcHook, "aget_conn", mended_at_the_second_look)
    event = event_of(trigger(names))
    assert (event["status"], event["succeeded"], event["problem"]) == ("finished", True, None)


def test_what_amc_has_finished_counts_also_after_the_deadline(amc_default: EmulatorServer) -> None:
    """The triggerer may have been down until then."""
    event = event_of(trigger(instance(), deadline=time.time() - 60))
    assert (event["status"], event["succeeded"]) == ("finished", True)


def test_deadline(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createInstance", kind="duration", seconds=3600)
    event = event_of(trigger(instance(), deadline=time.time() + 0.05))
    assert (event["status"], event["resource_status"], event["problem"]) == ("deadline", "REQUESTED", None)


def test_deadline_says_why_the_last_look_failed(amc_default: EmulatorServer) -> None:
    names = instance()
    amc_default.add_fault(operation="getInstance", kind="status", status=403, reason="not now", times=None)
    event = event_of(trigger(names, deadline=time.time()))
    assert (event["status"], event["resource_status"], event["succeeded"]) == ("deadline", None, False)
    assert "not now" in event["problem"]


def test_what_is_new_may_be_invisible_at_first(amc_default: EmulatorServer, mocker: Any) -> None:
    event = event_of(trigger({"audience_execution_id": NOWHERE}, kind="audience", deadline=time.time()))
    assert event["status"] == "deadline"
    assert NOWHERE in event["problem"]
    mocker.patch.object(looks, "INVISIBLE_SECONDS", 0.0)
    event = event_of(trigger({"audience_execution_id": NOWHERE}, kind="audience"))
    assert event["status"] == "missing"
    assert NOWHERE in event["problem"]


def test_intervals_grow_with_the_wait_and_end_at_the_deadline() -> None:
    now = time.time()
    young = trigger({}, poll_interval=10.0, poll_interval_max=100.0, started=now)
    old = trigger({}, poll_interval=10.0, poll_interval_max=100.0, started=now - 600)
    assert 9.0 <= young._pause() <= 11.0
    assert 54.0 <= old._pause() <= 67.0
    assert trigger({}, poll_interval=10.0, deadline=now - 1)._pause() == 0.0
