"""Executions that nobody waits for: found, listed, cancelled."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_provider_amc import sweep
from airflow_provider_amc.cli import app
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.task_run import TaskRun
from airflow_provider_amc.windows import last_days
from tests.tasks import FakeTaskInstance, deferred, task_context

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


@pytest.fixture(autouse=True)
def deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AMC__DEPLOYMENT_NAME", "analytics")


@pytest.fixture
def slow(amc_default: EmulatorServer) -> EmulatorServer:
    amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600, times=None)
    return amc_default


def start(task_id: str, **arguments: Any) -> str:
    """An execution whose task waits in the triggerer."""
    operator = AmcExecuteWorkflowOperator(
        task_id=task_id, sql=SQL, window=last_days(7), **{"deferrable": True, **arguments}
    )
    context = task_context(ti={"task_id": task_id})
    if not operator.wait_for_completion:
        return operator.execute(context)
    return str(deferred(operator, context).trigger.workflow_execution_id)


def waiting(monkeypatch: pytest.MonkeyPatch, *task_ids: str, reattach: str = "retry") -> None:
    """Let these tasks wait, as far as Airflow's database knows."""
    keys = set()
    for task_id in task_ids:
        context = {**task_context(), "ti": FakeTaskInstance(task_id=task_id)}
        key = TaskRun.of(context).key(reattach, None)
        keys.add((key.deployment, key.task))
    monkeypatch.setattr(sweep, "waiting_keys", lambda: frozenset(keys))


def status(execution_id: str) -> str:
    return AmcHook().get_conn().executions.get(execution_id).raw_status


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["sweep", *arguments], env={"COLUMNS": "200"})


def test_lists_and_cancels_what_nobody_waits_for(slow: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stray, awaited, left = start("stray"), start("awaited"), start("left", wait_for_completion=False)
    waiting(monkeypatch, "awaited")

    listed = run()
    assert listed.exit_code == 0, listed.output
    assert stray in listed.output
    assert "1 stray execution; --cancel ends them" in listed.output
    assert not any(one in listed.output for one in (awaited, left))
    assert status(stray) in ("PENDING", "RUNNING")

    assert f"{stray}  amcemulator" in run("--cancel").output
    assert status(stray) == "CANCELLED"
    assert status(awaited) in ("PENDING", "RUNNING")
    assert run("--cancel").output == "0 stray executions\n"


def test_executions_of_others_are_left_alone(slow: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    window = {"time_window_start": "2026-03-02T00:00:00", "time_window_end": "2026-03-09T00:00:00"}
    by_hand = AmcHook().get_conn().executions.create(workflow={"sqlQuery": SQL}, **window).workflow_execution_id
    monkeypatch.setenv("AIRFLOW__AMC__DEPLOYMENT_NAME", "another")
    elsewhere = start("elsewhere")
    monkeypatch.setenv("AIRFLOW__AMC__DEPLOYMENT_NAME", "analytics")
    waiting(monkeypatch)
    assert run("--cancel").output == "0 stray executions\n"
    assert all(status(one) in ("PENDING", "RUNNING") for one in (by_hand, elsewhere))


def test_without_a_name_nothing_is_cancelled(slow: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AMC__DEPLOYMENT_NAME", "")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://localhost:8080")
    monkeypatch.setenv("AIRFLOW__WEBSERVER__BASE_URL", "http://localhost:8080")
    result = run("--cancel")
    assert result.exit_code == 1
    assert "AIRFLOW__AMC__DEPLOYMENT_NAME" in result.output


def test_trouble_is_a_sentence(amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting(monkeypatch)
    result = run("--instance", "amcunknown")
    assert result.exit_code == 1
    assert result.output.startswith("amc: ")


def test_waiting_tasks_come_from_the_database(airflow_db: None) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import delete, insert, text

    table = TaskInstance.__table__
    rows = [{"task_id": state, "state": state} for state in ("deferred", "up_for_retry", "success", "failed")]
    for number, row in enumerate(rows):
        row.update(dag_id="reports", run_id="manual__1", map_index=-1, try_number=1, max_tries=2)
        for column in table.columns:
            # What else a release asks for does not matter here
            if column.name not in row and not column.nullable and column.default is None:
                kinds = {int: number, bool: False, str: str(number)}
                row[column.name] = kinds.get(column.type.python_type, f"{number:032x}")
    try:
        with create_session() as session:
            session.execute(text("PRAGMA foreign_keys=OFF"))
            for row in rows:
                session.execute(insert(table).values(**row))
        found = sweep.waiting_keys()
    finally:
        with create_session() as session:
            session.execute(delete(table).where(table.c.dag_id == "reports"))
    wanted = set()
    for task_id in ("deferred", "up_for_retry"):
        task = TaskRun.of({**task_context(), "ti": FakeTaskInstance(task_id=task_id)})
        keys = [task.key(reattach, None) for reattach in ("retry", "always", "never")]
        wanted |= {(key.deployment, key.task) for key in keys}
    assert found == wanted
