from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcDeadlineError,
    AmcExecutionError,
    AmcNotFoundError,
    AmcResourceFailedError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.waiting import AmcWaitingOperator
from airflow_provider_amc.triggers.resource import AmcResourceTrigger
from tests.operators.conftest import Clock
from tests.tasks import deferred, event_of, run_through, task_context


class WaitForInstance(AmcWaitingOperator):
    """Waits for an instance, and says so."""

    def execute(self, context: Any) -> Any:
        return self.wait_for(context, "instance", {"instance_id": str(self.instance_id)}, {"made": self.instance_id})

    def concluded(self, context: Any, kind: str, names: Any, result: Any) -> Any:
        return {**result, "kind": kind, **names}


def carried(kind: str, **names: str) -> dict[str, Any]:
    """What a trigger brings back to the task."""
    return {"kind": kind, "names": names, "result": None, "deadline": None}


def made(name: str = "Spring reports") -> str:
    return AmcHook().get_conn().instances.create(name).instance_id


def waiting(instance_id: str, **arguments: Any) -> WaitForInstance:
    return WaitForInstance(**{"task_id": "wait", "instance_id": instance_id, "poll_interval": 0.01, **arguments})


def slow(emulator: EmulatorServer, seconds: float = 240) -> str:
    emulator.add_fault(operation="createInstance", kind="duration", seconds=seconds)
    return made()


def test_what_is_ready_needs_no_wait(amc_default: EmulatorServer) -> None:
    instance_id = made()
    result = waiting(instance_id, deferrable=True).execute(task_context())
    assert result == {"made": instance_id, "kind": "instance", "instance_id": instance_id}
    assert len(amc_default.requests_of("getInstance")) == 1


def test_looks_less_and_less_often(amc_default: EmulatorServer, clock: Clock) -> None:
    instance_id = slow(amc_default, 900)
    assert waiting(instance_id, poll_interval=10).execute(task_context())["made"] == instance_id
    assert 900 <= sum(clock.slept) <= 1000
    assert max(clock.slept[:5]) <= 11
    assert min(clock.slept[-2:]) >= 50
    assert len(amc_default.requests_of("getInstance")) == len(clock.slept) + 1


def test_waits_in_the_triggerer(amc_default: EmulatorServer) -> None:
    instance_id = slow(amc_default)
    operator, context = waiting(instance_id, deferrable=True, poll_interval=2), task_context()
    deferral = deferred(operator, context)
    assert isinstance(deferral.trigger, AmcResourceTrigger)
    assert (deferral.trigger.kind, deferral.trigger.names) == ("instance", {"instance_id": instance_id})
    assert (deferral.trigger.instance_id, deferral.trigger.poll_interval) == (instance_id, 2)
    amc_default.advance_clock(240)
    result = waiting(instance_id).execute_complete(context, event=event_of(deferral.trigger))
    assert result == {"made": instance_id, "kind": "instance", "instance_id": instance_id}


@pytest.mark.parametrize("deferrable", [True, False])
def test_failure(amc_default: EmulatorServer, clock: Clock, deferrable: bool) -> None:
    amc_default.add_fault(operation="createInstance", kind="fail")
    instance_id = made()
    with pytest.raises(AmcResourceFailedError, match=f"{instance_id} ended as FAILED: AMC gives no reason") as caught:
        run_through(waiting(instance_id, deferrable=deferrable), task_context())
    assert (caught.value.status, caught.value.reason) == ("FAILED", None)


def test_failure_has_amcs_reason(amc_default: EmulatorServer) -> None:
    event = {"status": "finished", "resource_status": "FAILED", "succeeded": False, "reason": "fewer than 2000 users"}
    with pytest.raises(AmcResourceFailedError, match="audience a ended as FAILED: fewer than 2000 users") as caught:
        waiting("i").execute_complete(
            task_context(), {**event, "carried": carried("audience", audience_execution_id="a")}
        )
    assert caught.value.reason == "fewer than 2000 users"


def test_deadline(amc_default: EmulatorServer, clock: Clock) -> None:
    instance_id = slow(amc_default, 86400)
    with pytest.raises(AmcDeadlineError, match=f"instance {instance_id} was not finished in time; .* REQUESTED") as why:
        waiting(instance_id, timeout=600, poll_interval=15).execute(task_context())
    assert sum(clock.slept) == pytest.approx(600)
    assert why.value.status == "REQUESTED"
    assert "Raise timeout" in str(why.value)


def test_what_is_ready_at_the_deadline_is_ready(amc_default: EmulatorServer, clock: Clock) -> None:
    instance_id = slow(amc_default, 600)
    assert waiting(instance_id, timeout=600, poll_interval=15).execute(task_context())["made"] == instance_id


def test_deadline_in_the_triggerer(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="getInstance", kind="status", status=403, reason="not now", times=None, skip=1)
    with pytest.raises(AmcDeadlineError, match=r"last known status is unknown\. The last look at it failed: .*not now"):
        run_through(waiting(slow(amc_default), timeout=0.05, deferrable=True), task_context())


def test_airflows_own_time_out_of_the_deferred_task_comes_after_ours(amc_default: EmulatorServer) -> None:
    instance_id = slow(amc_default)
    deferral = deferred(waiting(instance_id, timeout=timedelta(minutes=10), deferrable=True), task_context())
    assert deferral.timeout is not None
    assert deferral.timeout.total_seconds() > 600


def test_looks_that_fail_do_not_end_the_wait(amc_default: EmulatorServer, clock: Clock) -> None:
    instance_id = slow(amc_default)
    for status in (403, 400, 404):
        amc_default.add_fault(operation="getInstance", kind="status", status=status, times=1)
    assert waiting(instance_id, poll_interval=60).execute(task_context())["made"] == instance_id


def test_what_disappears_ends_the_wait(amc_default: EmulatorServer, clock: Clock, mocker: Any) -> None:
    monotonic = mocker.patch("airflow_provider_amc.triggers.looks.time")
    monotonic.monotonic.side_effect = clock.time
    amc_default.add_fault(operation="getInstance", kind="status", status=404, times=None)
    with pytest.raises(AmcNotFoundError):
        waiting(made(), poll_interval=10).execute(task_context())
    assert INVISIBLE_SECONDS <= sum(clock.slept) <= INVISIBLE_SECONDS + 20


def test_what_the_triggerer_cannot_find(amc_default: EmulatorServer) -> None:
    event = {"status": "missing", "problem": "no such instance"}
    with pytest.raises(AmcNotFoundError, match="AMC does not know the instance i: no such instance"):
        waiting("i").execute_complete(task_context(), {**event, "carried": carried("instance", instance_id="i")})


def test_trigger_without_an_event(amc_default: EmulatorServer) -> None:
    with pytest.raises(AmcExecutionError, match="sent no event"):
        waiting("i").execute_complete(task_context(), None)


@pytest.mark.parametrize("arguments", [{"timeout": 0}, {"poll_interval": -1}])
def test_a_wrong_duration(amc_default: EmulatorServer, arguments: dict[str, Any]) -> None:
    with pytest.raises(AmcValidationError, match="must be a positive number of seconds"):
        waiting(made(), **arguments).execute(task_context())
