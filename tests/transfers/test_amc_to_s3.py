from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcConfigurationError,
    AmcExecutionFailedError,
    AmcLoadError,
    AmcNotReadyError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.landing.files import part_name
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
from airflow_provider_amc.windows import last_days
from tests.services import BUCKET, aws_connection, forget_everything, moto_server
from tests.tasks import task_context

SQL = """
SELECT campaign_id, campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign_id, campaign
"""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty bucket."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(moto))
    forget_everything(moto)
    hook = S3Hook()
    hook.create_bucket(BUCKET)
    return hook


@pytest.fixture
def execution_id(amc_default: EmulatorServer) -> str:
    AmcHook().get_conn().workflows.create("reach", sql_query=SQL)
    return AmcExecuteWorkflowOperator(
        task_id="run", workflow_id="reach", window=last_days(7), poll_interval=0.01
    ).execute(task_context())


def land(execution_id: str, **arguments: Any) -> dict[str, Any]:
    return AmcToS3Operator(
        **{
            "task_id": "land",
            "workflow_execution_id": execution_id,
            "s3_bucket": BUCKET,
            "s3_prefix": "amc",
            **arguments,
        }
    ).execute(task_context())


FOLDER = "amc/workflow=reach/window_start=2026-03-02T00-00-00/window_end=2026-03-09T00-00-00"


def part(execution_id: str, file_format: str = "csv") -> str:
    return part_name(execution_id, 0, file_format)


def test_csv_with_manifest(s3: Any, execution_id: str) -> None:
    result = land(execution_id)

    assert s3.list_keys(BUCKET) == [f"{FOLDER}/_manifest.json", f"{FOLDER}/{part(execution_id)}"]
    rows = list(csv.DictReader(io.StringIO(s3.read_key(f"{FOLDER}/{part(execution_id)}", BUCKET))))
    manifest = json.loads(s3.read_key(f"{FOLDER}/_manifest.json", BUCKET))
    assert result == {
        "manifest": f"s3://{BUCKET}/{FOLDER}/_manifest.json",
        "s3_prefix": f"s3://{BUCKET}/{FOLDER}/",
        "files": 1,
        "rows": len(rows),
        "bytes": manifest["bytes"],
    }
    assert len(rows) > 0
    assert manifest["workflow_execution_id"] == execution_id
    assert manifest["rows"] == len(rows)
    assert [column["name"] for column in manifest["columns"]] == ["campaign_id", "campaign", "impressions"]
    assert len(json.dumps(result)) < 1000
    assert "X-Amz" not in json.dumps(manifest)


def test_landing_again_replaces(s3: Any, execution_id: str) -> None:
    first = land(execution_id)
    s3.load_string("left over", f"{FOLDER}/part-00001-0123abcd.csv", BUCKET)
    assert land(execution_id) == first
    assert s3.list_keys(BUCKET) == [f"{FOLDER}/_manifest.json", f"{FOLDER}/{part(execution_id)}"]


def test_gzip(s3: Any, execution_id: str) -> None:
    land(execution_id)
    land(execution_id, s3_prefix="zipped/", file_format="csv.gz")
    plain = s3.get_key(f"{FOLDER}/{part(execution_id)}", BUCKET).get()["Body"].read()
    zipped = (
        s3.get_key(f"{FOLDER.replace('amc', 'zipped', 1)}/{part(execution_id, 'csv.gz')}", BUCKET).get()["Body"].read()
    )
    assert gzip.decompress(zipped) == plain


def test_parquet_has_amcs_types(s3: Any, execution_id: str) -> None:
    import pyarrow.parquet as pq

    result = land(execution_id, file_format="parquet")
    body = s3.get_key(f"{FOLDER}/{part(execution_id, 'parquet')}", BUCKET).get()["Body"].read()
    table = pq.read_table(io.BytesIO(body))
    assert {field.name: str(field.type) for field in table.schema} == {
        "campaign_id": "int64",
        "campaign": "string",
        "impressions": "int64",
    }
    assert table.num_rows == result["rows"]


def test_ad_hoc_query_has_a_stable_key(s3: Any, amc_default: EmulatorServer) -> None:
    def run() -> str:
        return AmcExecuteWorkflowOperator(task_id="run", sql=SQL, window=last_days(7), poll_interval=0.01).execute(
            task_context()
        )

    first, second = land(run()), land(run())
    assert first == second
    assert re.search(r"/workflow=[\w.-]+\.land/", first["manifest"])
    assert "/workflow=my_report/" in land(run(), workflow_name="my_report")["manifest"]


def test_outage_during_the_download_is_waited_out(s3: Any, amc_default: EmulatorServer, execution_id: str) -> None:
    for kind in ("reset", "truncate", "status"):
        amc_default.add_fault(operation="results", kind=kind, status=503)
    undisturbed = land(execution_id, s3_prefix="b")
    assert land(execution_id)["rows"] == undisturbed["rows"]


class TestBadInput:
    def test_missing_bucket(self, s3: Any, execution_id: str) -> None:
        with pytest.raises(AmcConfigurationError, match="S3 bucket 'no-such-bucket' does not exist"):
            land(execution_id, s3_bucket="no-such-bucket")

    @pytest.mark.parametrize("bucket", ["", "s3://amc-results", "amc-results/amc"])
    def test_bucket_that_is_an_address(self, s3: Any, bucket: str) -> None:
        with pytest.raises(AmcValidationError, match="s3_bucket must be the name of a bucket alone"):
            land("unused", s3_bucket=bucket)

    def test_unreachable_s3(self, s3: Any, execution_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection("http://127.0.0.1:9"))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(AmcConfigurationError, match="cannot be reached with the connection 'aws_default'"):
            land(execution_id)

    def test_place_of_another_instance(self, s3: Any, execution_id: str) -> None:
        other = AmcExecuteWorkflowOperator(
            task_id="run",
            sql=SQL,
            window=last_days(7),
            poll_interval=0.01,
            instance_id="amcsandbox",
            require_synthetic_data=True,
        ).execute(task_context())
        first = land(execution_id, workflow_name="reach")
        with pytest.raises(AmcLoadError, match="holds the result of the AMC instance amcemulator") as caught:
            land(other, workflow_name="reach", instance_id="amcsandbox")
        assert "Put the instance into the prefix" in str(caught.value)
        assert land(execution_id, workflow_name="reach") == first

    def test_unknown_format(self, s3: Any, execution_id: str) -> None:
        with pytest.raises(
            AmcValidationError, match=re.escape("file_format 'xlsx' is not one of csv, csv.gz, parquet")
        ):
            land(execution_id, file_format="xlsx")
        assert not s3.list_keys(BUCKET)

    def test_name_that_would_break_the_key(self, s3: Any, execution_id: str) -> None:
        with pytest.raises(AmcValidationError, match="workflow_name"):
            land(execution_id, workflow_name="a/b")

    def test_running_execution(self, s3: Any, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
        running = AmcExecuteWorkflowOperator(
            task_id="run", sql=SQL, window=last_days(7), wait_for_completion=False
        ).execute(task_context())
        with pytest.raises(AmcNotReadyError, match="has no result yet"):
            land(running)

    def test_failed_execution(self, s3: Any, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="createWorkflowExecution", kind="fail", value="FAILED", reason="Too big")
        failed = AmcHook().get_conn().executions.create(workflow={"sqlQuery": SQL}, time_window_type="MOST_RECENT_DAY")
        amc_default.advance_clock(60)
        from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
        from tests.tasks import event_of

        event_of(AmcWorkflowExecutionTrigger(workflow_execution_id=failed.workflow_execution_id, poll_interval=0.01))
        with pytest.raises(AmcExecutionFailedError, match="Too big"):
            land(failed.workflow_execution_id)
