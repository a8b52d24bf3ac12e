from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcHttpError, AmcNotFoundError, AmcValidationError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.schedule import AmcCreateScheduleOperator, AmcDeleteScheduleOperator
from tests.tasks import task_context

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


@pytest.fixture(autouse=True)
def workflow(amc_default: EmulatorServer) -> EmulatorServer:
    AmcHook().get_conn().workflows.create("reach", sql_query=SQL)
    return amc_default


def create(**arguments: Any) -> AmcCreateScheduleOperator:
    return AmcCreateScheduleOperator(
        **{
            "task_id": "create",
            "schedule_id": "nightly",
            "workflow_id": "reach",
            "aggregation_hour_utc": 8,
            **arguments,
        }
    )


def test_creates() -> None:
    assert create(aggregation_hour_utc="9").execute(task_context()) == "nightly"
    saved = AmcHook().get_conn().schedules.get("nightly")
    assert (saved.workflow_id, saved.aggregation_period, saved.aggregation_hour_utc) == ("reach", "Daily", 9)
    assert saved.schedule_enabled is True


@pytest.mark.parametrize(("if_exists", "hour"), [("update", 11), ("skip", 8)])
def test_existing_schedule(if_exists: str, hour: int) -> None:
    create().execute(task_context())
    create(if_exists=if_exists, aggregation_hour_utc=11).execute(task_context())
    assert AmcHook().get_conn().schedules.get("nightly").aggregation_hour_utc == hour


def test_existing_schedule_can_fail_the_task() -> None:
    create().execute(task_context())
    with pytest.raises(AmcAlreadyExistsError, match="nightly"):
        create(if_exists="fail").execute(task_context())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"aggregation_hour_utc": "noon"}, "aggregation_hour_utc"),
        ({"aggregation_hour_utc": 24}, "aggregation_hour_utc"),
        ({"aggregation_period": "Monthly"}, "Monthly"),
        ({"schedule_id": "a b"}, "a b"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    workflow: EmulatorServer, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AmcValidationError, match=re.escape(message)):
        create(**arguments).execute(task_context())
    assert workflow.requests_of("createSchedule") == []


def test_unknown_workflow() -> None:
    with pytest.raises(AmcHttpError, match="nowhere"):
        create(workflow_id="nowhere").execute(task_context())


def test_deletes() -> None:
    create().execute(task_context())
    AmcDeleteScheduleOperator(task_id="delete", schedule_id="nightly").execute(task_context())
    assert list(AmcHook().get_conn().schedules.list()) == []
    AmcDeleteScheduleOperator(task_id="delete", schedule_id="nightly").execute(task_context())
    with pytest.raises(AmcNotFoundError):
        AmcDeleteScheduleOperator(task_id="delete", schedule_id="nightly", if_missing="fail").execute(task_context())
