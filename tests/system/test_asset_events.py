"""A real triggerer watches a workflow: finished executions start DAG runs, each once."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS
from airflow.triggers import base

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from tests.conftest import REPOSITORY
from tests.services import BUCKET, aws_connection
from tests.system.standalone import Airflow, until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 has no asset watchers"),
]

#: Has an asset a state store, as from Airflow 3.3 on?
KEEPS_STATE = hasattr(getattr(base, "BaseEventTrigger", None), "shared_stream_key")
EXAMPLE = "example_amc_new_results"
SQL = "SELECT campaign, COUNT(DISTINCT user_id) AS reach FROM dsp_impressions GROUP BY campaign"


def test_every_new_result_is_landed_once(
    amc_default: EmulatorServer, s3: Any, moto: str, airflow_database: str, tmp_path: Path
) -> None:
    client = AmcHook().get_conn()
    client.workflows.create("campaign_reach", sql_query=SQL)

    days = itertools.count(1)

    def run_it() -> str:
        day = next(days)
        made = client.executions.create(
            workflow_id="campaign_reach",
            time_window_start=f"2026-03-{day:02d}T00:00:00",
            time_window_end=f"2026-03-{day + 1:02d}T00:00:00",
        )
        until(lambda: client.executions.get(made.workflow_execution_id).is_succeeded, "the execution succeeds")
        return made.workflow_execution_id

    before = run_it()
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(REPOSITORY / "example_dags" / f"{EXAMPLE}.py", dags)
    settings = {
        "AIRFLOW_CONN_AMC_DEFAULT": json.dumps(amc_default.connection),
        "AIRFLOW_CONN_AWS_DEFAULT": aws_connection(moto),
        "AMC_EXAMPLE_BUCKET": BUCKET,
        "AMC_EXAMPLE_POLL_SECONDS": "1",
    }
    home = tmp_path / "home"
    home.mkdir()
    with Airflow(home, dags, airflow_database, settings) as airflow:
        until(lambda: airflow.has_dag(EXAMPLE), "the DAG is parsed")

        def looked_at_again() -> None:
            seen = len(amc_default.requests_of("listWorkflowExecutions"))
            until(
                lambda: len(amc_default.requests_of("listWorkflowExecutions")) > seen + 1,
                f"a look at AMC; {airflow.output('triggerer')}",
            )

        def landed() -> list[str]:
            keys = [key for key in s3.list_keys(BUCKET) or [] if key.endswith("/_manifest.json")]
            return sorted(json.loads(s3.read_key(key, BUCKET))["workflow_execution_id"] for key in keys)

        def events() -> list[dict[str, Any]]:
            found = airflow.call("GET", "assets/events")["asset_events"]
            return [event["extra"]["payload"] for event in found]

        looked_at_again()
        told = [run_it()]
        until(lambda: len(events()) == 1, "an event")
        airflow.end_triggerer(signal.SIGKILL)
        # Airflow 3.3 keeps what has been told.
        meanwhile = [run_it()] if KEEPS_STATE else []
        airflow.start_triggerer()
        looked_at_again()
        told += [*meanwhile, run_it()]
        until(lambda: len(events()) >= len(told), f"an event for each; {airflow.output('triggerer')}")
        until(lambda: len(landed()) >= len(told), "the results are landed")
        looked_at_again()
        assert landed() == sorted(told)
        assert sorted(event["workflow_execution_id"] for event in events()) == sorted(told)
        assert before not in told
        assert {event["status"] for event in events()} == {"SUCCEEDED"}
