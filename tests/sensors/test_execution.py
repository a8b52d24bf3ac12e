from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcExecutionFailedError, AmcNotFoundError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.sensors.execution import AmcWorkflowExecutionSensor
from tests.tasks import event_of, run_through, task_context

WORKFLOW = {"sqlQuery": "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"}


def started() -> str:
    executions = AmcHook().get_conn().executions
    return executions.create(workflow=WORKFLOW, time_window_type="MOST_RECENT_DAY").workflow_execution_id


def finished() -> str:
    execution_id = started()
    from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger

    event_of(AmcWorkflowExecutionTrigger(workflow_execution_id=execution_id, poll_interval=0.01))
    return execution_id


def sensor(execution_id: str, **arguments: Any) -> AmcWorkflowExecutionSensor:
    return AmcWorkflowExecutionSensor(
        **{
            "task_id": "wait",
            "workflow_execution_id": execution_id,
            "poke_interval": 0.01,
            "poll_interval": 0.01,
            "timeout": 60,
            **arguments,
        }
    )


def test_poke(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=600)
    waiting = sensor(started())
    assert waiting.poke(task_context()) is False
    amc_default.advance_clock(3600)
    assert waiting.execute(task_context()) == waiting.workflow_execution_id


def test_finished_execution_needs_no_trigger(amc_default: EmulatorServer) -> None:
    execution_id = finished()
    assert sensor(execution_id, deferrable=True).execute(task_context()) == execution_id


def test_waits_in_the_triggerer(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="getWorkflowExecution", kind="unknown_status", value="QUEUED", times=2)
    execution_id = started()
    assert run_through(sensor(execution_id, deferrable=True), task_context()) == execution_id


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AmcExecutionFailedError), (True, AirflowSkipException)])
def test_failed_execution(amc_default: EmulatorServer, soft_fail: bool, error: type[Exception]) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="fail", value="FAILED", reason="Too big")
    execution_id = finished()
    with pytest.raises(error, match="Too big"):
        sensor(execution_id, deferrable=True, soft_fail=soft_fail).execute(task_context())


def test_outage_is_waited_out(amc_default: EmulatorServer, mocker: Any) -> None:
    execution_id = finished()
    waiting = sensor(execution_id)
    from airflow_provider_amc.exceptions import AmcTransientError

    real = waiting.hook.get_conn().executions.get
    mocker.patch.object(
        type(waiting.hook.get_conn().executions), "get", side_effect=[AmcTransientError("gone"), real(execution_id)]
    )
    assert waiting.poke(task_context()) is False
    assert waiting.poke(task_context()) is True


def test_deadline_leaves_the_execution_running(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
    execution_id = started()
    with pytest.raises(AirflowSensorTimeout, match=execution_id):
        run_through(sensor(execution_id, deferrable=True, timeout=0.05), task_context())
    assert not AmcHook().get_conn().executions.get(execution_id).is_finished


def test_unknown_execution(amc_default: EmulatorServer, mocker: Any) -> None:
    """A new execution may be invisible for some seconds, one that stays so does not exist."""
    waiting = sensor("0000")
    clock = mocker.patch("airflow_provider_amc.sensors.execution.time.monotonic", return_value=1000.0)
    assert waiting.poke(task_context()) is False
    clock.return_value += INVISIBLE_SECONDS + 1
    with pytest.raises(AmcNotFoundError, match="does not exist"):
        waiting.poke(task_context())


def test_skips_at_the_deadline_if_it_never_fails(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
    with pytest.raises(AirflowSkipException, match="did not finish in time"):
        run_through(sensor(started(), deferrable=True, timeout=0.05, soft_fail=True), task_context())
