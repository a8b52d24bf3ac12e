from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.transfers.amc_to_object_storage import AmcToObjectStorageOperator
from airflow_provider_amc.windows import last_days
from tests.tasks import task_context

SQL = (
    "SELECT campaign_id, campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign_id, campaign"
)
FOLDER = "amc/workflow=reach/window_start=2026-03-02T00-00-00/window_end=2026-03-09T00-00-00"


@pytest.fixture
def execution_id(amc_default: EmulatorServer) -> str:
    AmcHook().get_conn().workflows.create("reach", sql_query=SQL)
    return AmcExecuteWorkflowOperator(
        task_id="run", workflow_id="reach", window=last_days(7), poll_interval=0.01
    ).execute(task_context())


def land(execution_id: str, path: str, **arguments: Any) -> dict[str, Any]:
    return AmcToObjectStorageOperator(
        task_id="land", workflow_execution_id=execution_id, path=path, **arguments
    ).execute(task_context())


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_same_layout_as_in_s3(execution_id: str, tmp_path: Path, slash: str) -> None:
    result = land(execution_id, f"file://{tmp_path}/amc{slash}", file_format="parquet")
    (part,) = (tmp_path / FOLDER).glob("part-*.parquet")
    manifest = json.loads((tmp_path / FOLDER / "_manifest.json").read_text())
    assert result == {
        "manifest": f"file://{tmp_path}/{FOLDER}/_manifest.json",
        "path": f"file://{tmp_path}/{FOLDER}/",
        "files": 1,
        "rows": pq.read_table(part).num_rows,
        "bytes": part.stat().st_size,
    }
    assert manifest["files"][0]["key"] == str(part)
    assert manifest["workflow_execution_id"] == execution_id
    assert re.fullmatch("[0-9a-f]{64}", manifest["sql_sha256"])
    assert land(execution_id, f"file://{tmp_path}/amc", file_format="parquet") == result


def test_a_path_without_a_scheme(amc_default: EmulatorServer) -> None:
    with pytest.raises(AmcValidationError, match="path must be an address such as file:///data/amc"):
        land("unused", "/data/amc")


def test_an_unknown_format(amc_default: EmulatorServer) -> None:
    with pytest.raises(AmcValidationError, match="file_format 'xlsx'"):
        land("unused", "file:///data/amc", file_format="xlsx")


def test_a_storage_without_its_provider(execution_id: str) -> None:
    with pytest.raises(AmcConfigurationError, match="Airflow cannot reach"):
        land(execution_id, "unheard-of://bucket/amc")
