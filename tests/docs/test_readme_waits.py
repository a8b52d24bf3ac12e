"""The README's snippets of waits: for data, for AMC's own schedules, and for what others run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from tests.docs.documents import README
from tests.docs.markdown import Block
from tests.tasks import RUN_AFTER, deferred, run_through, task_context

pytestmark = pytest.mark.packaging

SQL = "SELECT campaign, COUNT(DISTINCT user_id) AS reach FROM dsp_impressions GROUP BY campaign"


@README.executed("Time windows")
def test_data_is_there(blocks: list[Block], amc_default: EmulatorServer) -> None:
    (block,) = blocks
    names: dict[str, Any] = {}
    exec(block.text, names)
    with time_machine.travel(RUN_AFTER, tick=False):
        deferral: Any = deferred(names["data_is_there"], task_context())
    assert deferral.trigger.moment == datetime(2026, 3, 13, tzinfo=UTC)


@README.executed("Runs that AMC or others start", "blocks", slice(0, 1))
def test_result_of_a_schedule(blocks: list[Block], amc_default: EmulatorServer) -> None:
    (block,) = blocks
    names: dict[str, Any] = {}
    exec(block.text, names)
    sensor = names["nightly"]
    sensor.poll_interval = 0.01
    with time_machine.travel(RUN_AFTER, tick=True):
        # Virtual time follows the clock of this process.
        amc_default.set_clock((RUN_AFTER - timedelta(hours=3)).isoformat())
        client = AmcHook().get_conn()
        client.workflows.create("reach", sql_query=SQL)
        client.schedules.create("nightly_reach", workflow_id="reach", aggregation_hour_utc=5)
        amc_default.set_clock(RUN_AFTER.isoformat())
        found = client.executions.get(run_through(sensor, task_context()))
    assert found.time_window_end == RUN_AFTER.replace(hour=5)
    assert {task.task_id for task in sensor.downstream_list} == {"landed"}


@README.executed("Runs that AMC or others start", "blocks", slice(1, 2))
def test_watched_workflow(blocks: list[Block]) -> None:
    (block,) = blocks
    if not AIRFLOW_V_3_0_PLUS:
        pytest.skip("Airflow 2 has no asset watchers")
    names: dict[str, Any] = {}
    exec(block.text, names)
    (watcher,) = names["campaign_reach"].watchers
    assert watcher.trigger is names["finished"]
