"""A DAG run in a process of its own, with the listener of Airflow's OpenLineage provider and a file in place of its server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.emulator import config
from airflow_provider_amc.emulator.server import EmulatorServer
from tests.conftest import REPOSITORY

pytest.importorskip("airflow.providers.openlineage")

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("airflow_db")]

RUN = """
import runpy, sys
run = runpy.run_path(sys.argv[1])["dag"].test()
assert str(run.state) == "success", run
"""

EXAMPLE = REPOSITORY / "example_dags" / "example_amc_to_s3_and_warehouse.py"


@pytest.fixture
def events(
    amc_default: EmulatorServer, s3: Any, postgres: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[dict[str, Any]]:
    """What OpenLineage has written about the tasks of a run that succeeded."""
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_DEFAULT", postgres)
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    environment = {**os.environ, "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    environment["AIRFLOW__OPENLINEAGE__NAMESPACE"] = "tests"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(EXAMPLE)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_events_of_a_run(events: list[dict[str, Any]]) -> None:
    done = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    run, to_s3, to_table = (
        done[f"{EXAMPLE.stem}.{task}"] for task in ("run_workflow", "land_in_s3", "load_into_table")
    )

    result = ("amc://NA/amcemulator", "workflow/campaign_reach")
    assert named(run["inputs"]) == [("amc://NA/amcemulator", "dsp_impressions")]
    assert named(run["outputs"]) == named(to_s3["inputs"]) == named(to_table["inputs"]) == [result]
    assert named(to_s3["outputs"]) == [("s3://amc-results", "amc/workflow=campaign_reach")]
    ((database, table),) = named(to_table["outputs"])
    assert database.startswith("postgres://")
    assert table == "postgres.public.campaign_reach"

    assert run["job"]["facets"]["sql"]["query"].startswith("SELECT")
    ids = {event["run"]["facets"]["externalQuery"]["externalQueryId"] for event in (run, to_s3, to_table)}
    assert len(ids) == 1
    columns = [field["name"] for field in run["outputs"][0]["facets"]["schema"]["fields"]]
    for event in (to_s3, to_table):
        (output,) = event["outputs"]
        assert [field["name"] for field in output["facets"]["schema"]["fields"]] == columns
        assert output["outputFacets"]["outputStatistics"]["rowCount"] > 0

    text = json.dumps(events)
    for secret in (config.CLIENT_SECRET, config.REFRESH_TOKEN, "X-Amz-Signature", "Atza|"):
        assert secret not in text


def named(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]
