from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.definition import warn_of_merged_rows
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.workflow import AmcCreateWorkflowOperator
from airflow_provider_amc.windows import last_days
from tests.tasks import task_context

SQL = """
SELECT
    campaign,
    SUM(impressions) AS impressions, -- these can be added up
    COUNT(DISTINCT user_id) AS reach
FROM dsp_impressions GROUP BY campaign
"""
WARNING = (
    "AMC adds up the rows that it merges, and reach is a distinct count (line {}, column {}): do not use it where filtered "
    "is true. A ratio or an average can be computed from its parts after the load"
)


class Told:
    """Keeps warnings, each with the number of requests that AMC had got by then."""

    def __init__(self, emulator: EmulatorServer, operation: str) -> None:
        self.warnings: list[tuple[str, int]] = []
        self._emulator, self._operation = emulator, operation

    def __call__(self, text: str, *values: Any) -> None:
        # Airflow itself warns that there is no task around.
        if text.startswith("AMC"):
            self.warnings.append((text % values, len(self._emulator.requests_of(self._operation))))


@pytest.fixture
def told(amc_default: EmulatorServer, mocker: Any, request: pytest.FixtureRequest) -> Told:
    operator, operation = request.param
    told = Told(amc_default, operation)
    mocker.patch.object(operator, "log").warning.side_effect = told
    return told


def run(**arguments: Any) -> None:
    AmcExecuteWorkflowOperator(task_id="run", window=last_days(7), poll_interval=0.01, **arguments).execute(
        task_context()
    )


executes = pytest.mark.parametrize("told", [(AmcExecuteWorkflowOperator, "createWorkflowExecution")], indirect=True)


@executes
def test_before_a_query_of_the_dag_runs(told: Told) -> None:
    run(sql=SQL, filtered_metrics_discriminator_column="filtered")
    assert told.warnings == [(WARNING.format(5, 5), 0)]


@executes
def test_before_a_saved_workflow_runs(told: Told) -> None:
    sql = " ".join(line.partition("--")[0] for line in SQL.splitlines())
    AmcHook().get_conn().workflows.create("reach", sql_query=sql, filtered_metrics_discriminator_column="filtered")
    run(workflow_id="reach")
    assert told.warnings == [(WARNING.format(1, sql.index("COUNT") + 1), 0)]


@executes
def test_without_a_discriminator_nothing_is_merged(told: Told) -> None:
    run(sql=SQL)
    assert told.warnings == []


@pytest.mark.parametrize("told", [(AmcCreateWorkflowOperator, "createWorkflow")], indirect=True)
def test_before_a_workflow_is_saved(told: Told) -> None:
    AmcCreateWorkflowOperator(
        task_id="save", workflow_id="reach", sql=SQL, filtered_metrics_discriminator_column="filtered"
    ).execute(task_context())
    assert told.warnings == [(WARNING.format(5, 5), 0)]


def test_advice_that_fails_stops_nothing(mocker: Any) -> None:
    mocker.patch("airflow_provider_amc.sql.lint.merged_rows", side_effect=ZeroDivisionError)
    log = MagicMock()
    warn_of_merged_rows(log, SQL, "filtered")
    log.warning.assert_not_called()
    assert "ZeroDivisionError" in log.info.call_args.args
