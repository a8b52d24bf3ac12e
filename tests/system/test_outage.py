"""AMC goes away while a task waits, and comes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.triggers import shared
from airflow_provider_amc.windows import last_days
from tests.tasks import deferred, task_context

pytestmark = pytest.mark.system

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


def test_wait_survives_an_outage_and_three_token_lifetimes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mocker: Any
) -> None:
    monkeypatch.setenv("AIRFLOW__AMC__RETRY_PATIENCE", "0")
    with EmulatorServer(port=0, state_dir=tmp_path) as amc:
        monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(amc.connection))
        amc.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3 * 3600)
        operator = AmcExecuteWorkflowOperator(
            task_id="run", sql=SQL, window=last_days(7), poll_interval=0.01, deferrable=True
        )
        context = task_context()
        trigger: Any = deferred(operator, context).trigger
        warning = mocker.patch.object(shared.log, "warning")

        async def wait_through_an_outage() -> Any:
            failed = asyncio.Event()
            warning.side_effect = lambda *_: failed.set()
            waiting = asyncio.ensure_future(anext(aiter(trigger.run())))
            await asyncio.to_thread(amc.stop)
            async with asyncio.timeout(60):
                await failed.wait()
            await asyncio.to_thread(amc.start)
            for _ in range(3):
                await asyncio.to_thread(amc.advance_clock, 3601)
            async with asyncio.timeout(60):
                return await waiting

        event = asyncio.run(wait_through_an_outage()).payload
        execution_id = operator.execute_complete(context, event=event)
        assert AmcHook().get_conn().executions.get(execution_id).is_succeeded
        assert "could not connect" in str(warning.call_args_list[0]).lower()
