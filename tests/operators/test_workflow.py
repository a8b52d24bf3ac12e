from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.workflow import AmcCreateWorkflowOperator, AmcDeleteWorkflowOperator
from tests.tasks import task_context

OLD = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"
NEW = "SELECT campaign, SUM(clicks) AS clicks FROM dsp_clicks GROUP BY campaign"


def create(**arguments: Any) -> AmcCreateWorkflowOperator:
    return AmcCreateWorkflowOperator(**{"task_id": "create", "workflow_id": "reach.v1", "sql": NEW, **arguments})


@pytest.fixture
def existing(amc_default: EmulatorServer) -> EmulatorServer:
    """An AMC that has the workflow already, with another query."""
    AmcHook().get_conn().workflows.create("reach.v1", sql_query=OLD)
    return amc_default


def test_creates_on_one_line(amc_default: EmulatorServer) -> None:
    sql = NEW.replace(" FROM", " -- comment\nFROM")
    assert create(sql=sql, distinct_user_count_column="du").execute(task_context()) == "reach.v1"
    saved = AmcHook().get_conn().workflows.get("reach.v1")
    assert saved.sql_query == NEW
    assert saved.distinct_user_count_column == "du"


@pytest.mark.parametrize(("if_exists", "expected"), [("update", NEW), ("skip", OLD)])
def test_existing_workflow(existing: EmulatorServer, if_exists: str, expected: str) -> None:
    assert create(if_exists=if_exists).execute(task_context()) == "reach.v1"
    assert AmcHook().get_conn().workflows.get("reach.v1").sql_query == expected


def test_existing_workflow_can_fail_the_task(existing: EmulatorServer) -> None:
    with pytest.raises(AmcAlreadyExistsError, match=re.escape("Workflow with ID reach.v1 already exists")):
        create(if_exists="fail").execute(task_context())


def test_query_that_does_not_compile(amc_default: EmulatorServer) -> None:
    with pytest.raises(AmcInvalidRequestError, match=r"Unable to compile|unable to compile") as caught:
        create(sql="SELECT campaign FROM no_such_table GROUP BY campaign").execute(task_context())
    assert "no_such_table" in str(caught.value)
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workflow_id": "has spaces"}, "has spaces"),
        ({"workflow_id": "quo'te"}, "quo'te"),
        ({"workflow_id": ""}, "workflow_id"),
        ({"sql": ""}, "The SQL is empty after rendering"),
        ({"sql": "SELECT /* open"}, "line 1"),
        ({"privacy_filtering_behavior": "HIDE"}, "REMOVE_ROWS, REMOVE_VALUES"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    amc_default: EmulatorServer, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AmcValidationError, match=re.escape(message)):
        create(**arguments).execute(task_context())
    assert amc_default.requests_of("createWorkflow") == []


def test_wrong_if_exists_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(AmcValidationError, match="Task create: if_exists must be one of update, skip, fail"):
        create(if_exists="replace")


def test_deletes(existing: EmulatorServer) -> None:
    AmcDeleteWorkflowOperator(task_id="delete", workflow_id="reach.v1").execute(task_context())
    assert list(AmcHook().get_conn().workflows.list()) == []


def test_deleting_what_is_gone(amc_default: EmulatorServer) -> None:
    AmcDeleteWorkflowOperator(task_id="delete", workflow_id="gone").execute(task_context())
    with pytest.raises(AmcNotFoundError, match="gone"):
        AmcDeleteWorkflowOperator(task_id="delete", workflow_id="gone", if_missing="fail").execute(task_context())


def test_scheduled_workflow_is_not_deleted(existing: EmulatorServer) -> None:
    AmcHook().get_conn().schedules.create("daily", workflow_id="reach.v1")
    with pytest.raises(AmcInvalidRequestError, match="schedule"):
        AmcDeleteWorkflowOperator(task_id="delete", workflow_id="reach.v1").execute(task_context())
