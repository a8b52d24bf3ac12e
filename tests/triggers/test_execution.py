from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from tests.tasks import event_of

WORKFLOW = {"sqlQuery": "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"}


def started(**arguments: Any) -> str:
    execution = (
        AmcHook().get_conn().executions.create(workflow=WORKFLOW, time_window_type="MOST_RECENT_DAY", **arguments)
    )
    return execution.workflow_execution_id


def trigger(execution_id: str, **arguments: Any) -> AmcWorkflowExecutionTrigger:
    return AmcWorkflowExecutionTrigger(
        **{"workflow_execution_id": execution_id, "poll_interval": 0.01, "poll_interval_max": 0.05, **arguments}
    )


def test_survives_serialization() -> None:
    original = trigger(
        "abc", instance_id="amcemulator", deadline=1234.5, cancel_on_kill=False, started=1.0, created="x"
    )
    path, arguments = original.serialize()
    assert path == "airflow_provider_amc.triggers.execution.AmcWorkflowExecutionTrigger"
    assert AmcWorkflowExecutionTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


def test_finished_execution(amc_default: EmulatorServer) -> None:
    execution_id = started()
    event = event_of(trigger(execution_id))
    assert event["status"] == "finished"
    assert event["workflow_execution_id"] == execution_id
    assert event["execution_status"] == "SUCCEEDED"
    assert event["history"][-1]["status"] == "SUCCEEDED"
    json.dumps(event)


def test_failed_execution_carries_amcs_reason(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="fail", value="FAILED", reason="Too big")
    event = event_of(trigger(started()))
    assert (event["execution_status"], event["status_reason"]) == ("FAILED", "Too big")


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "getWorkflowExecution", "kind": "status", "status": 400, "times": 3},
        {"operation": "getWorkflowExecution", "kind": "status", "status": 403, "times": 3},
        {"operation": "getWorkflowExecution", "kind": "reset", "times": 3},
        {"operation": "getWorkflowExecution", "kind": "token_expired", "times": 3},
        {"operation": "token", "kind": "revoked", "times": 2},
        {"operation": "getWorkflowExecution", "kind": "terms", "times": 3},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
def test_failed_poll_never_ends_the_wait(
    amc_default: EmulatorServer, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    execution_id = started()
    amc_default.add_fault(**fault)
    # Tokens are cached in the process; an expired one makes the trigger ask for another.
    amc_default.advance_clock(4000)
    assert event_of(trigger(execution_id))["status"] == "finished"


def test_connection_that_is_mended_during_the_wait(
    amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch, mocker: Any
) -> None:
    execution_id = started()
    good = AmcHook.aget_conn
    calls = iter([AirflowNotFoundException("The connection amc_default is not defined"), None])

    async def mended_at_the_second_look(hook: AmcHook) -> Any:
        error = next(calls)
        if error is not None:
            raise error
        return await good(hook)

    mocker.patch.object(AmcHook, "aget_conn", mended_at_the_second_look)
    assert event_of(trigger(execution_id))["status"] == "finished"


def test_execution_that_amc_does_not_know(amc_default: EmulatorServer) -> None:
    """Not visible at first is no reason to end; that it is after minutes, see ``test_shared.py``."""
    unknown = "00000000-0000-0000-0000-000000000000"
    event = event_of(trigger(unknown, deadline=time.time() + 0.05, cancel_on_kill=False))
    assert (event["status"], "does not exist" in event["problem"]) == ("deadline", True)


def test_triggers_of_a_process_share_their_connections(amc_default: EmulatorServer) -> None:
    async def clients() -> set[int]:
        hooks = [AmcHook(), AmcHook(), AmcHook(instance_id="amcsandbox"), AmcHook(instance_id="amcsandbox")]
        found = [await hook.aget_conn() for hook in hooks]
        return {id(client) for client in found}

    assert len(asyncio.run(clients())) == 2


def test_deadline_cancels(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
    execution_id = started()
    event = event_of(trigger(execution_id, deadline=time.time() + 0.05))
    assert event["status"] == "deadline"
    assert AmcHook().get_conn().executions.get(execution_id).raw_status == "CANCELLED"


@pytest.mark.parametrize(("cancel_on_kill", "expected"), [(True, {"CANCELLED"}), (False, {"PENDING", "RUNNING"})])
def test_user_ends_the_deferred_task(amc_default: EmulatorServer, cancel_on_kill: bool, expected: set[str]) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
    execution_id = started()
    asyncio.run(trigger(execution_id, cancel_on_kill=cancel_on_kill).on_kill())
    assert AmcHook().get_conn().executions.get(execution_id).raw_status in expected


def test_kill_of_a_finished_execution_is_no_error(amc_default: EmulatorServer) -> None:
    execution_id = started()
    event_of(trigger(execution_id))
    asyncio.run(trigger(execution_id).on_kill())
    assert AmcHook().get_conn().executions.get(execution_id).raw_status == "SUCCEEDED"


def test_event_loop_stays_free_while_amc_is_slow(amc_default: EmulatorServer) -> None:
    execution_id = started()
    amc_default.add_fault(operation="getWorkflowExecution", kind="delay", seconds=0.3)
    order: list[str] = []

    async def both() -> None:
        async def other_work() -> None:
            # Runs to its end while the one slow answer is outstanding, if the loop is not blocked.
            for _ in range(20):
                await asyncio.sleep(0.001)
            order.append("other work")

        async def wait() -> None:
            async for _ in trigger(execution_id, poll_interval=0.0001).run():
                order.append("trigger")
                return

        await asyncio.gather(wait(), other_work())

    asyncio.run(both())
    assert order == ["other work", "trigger"]
