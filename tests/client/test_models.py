from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.fields import unwrap
from airflow_provider_amc.client.models import (
    Account,
    DataSource,
    DownloadUrls,
    Execution,
    ExecutionStatus,
    Instance,
    OutputColumn,
    Schedule,
    Workflow,
    signatures,
    without_query,
)

FINISHED = {
    "createTime": "2026-01-10T08:00:00Z",
    "dataGaps": [],
    "lastUpdatedTime": "2026-01-10T08:02:50Z",
    "parameterValues": {"a": "1"},
    "status": "SUCCEEDED",
    "timeWindowStart": "2026-01-01T05:00:00Z",
    "timeWindowEnd": "2026-01-08T05:00:00Z",
    "timeWindowStartOriginal": "2026-01-01T00:00:00",
    "timeWindowEndOriginal": "2026-01-08T00:00:00",
    "timeWindowTimeZoneOriginal": "America/New_York",
    "workflowExecutionId": "e-1",
    "workflowExecutionTimeoutSeconds": "21600",
    "workflowId": "wf-1",
    "executionTime": 55,
    "outputS3URI": "N/A",
    "validatedTime": "2026-01-10T08:00:02.792Z",
    "somethingNew": {"x": 1},
    "outputColumns": [
        {"name": "campaign", "columnType": "DIMENSION", "dataType": "STRING"},
        {"name": "cost", "columnType": "METRIC", "dataType": "DECIMAL", "dataTypePrecision": 38, "dataTypeScale": 17},
        {"name": "list", "columnType": "DIMENSION", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}},
        {"name": "price", "dataType": {"type": "DECIMAL", "precision": 10, "scale": 2}},
    ],
}


def test_an_execution_is_read() -> None:
    execution = Execution.from_api(FINISHED)
    assert execution.workflow_execution_id == "e-1"
    assert execution.status is ExecutionStatus.SUCCEEDED
    assert execution.is_finished
    assert execution.is_succeeded
    assert execution.create_time == datetime(2026, 1, 10, 8, tzinfo=UTC)
    assert execution.time_window_start == datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert execution.time_window_start_original == "2026-01-01T00:00:00"
    assert execution.workflow_execution_timeout_seconds == 21600
    assert execution.output_s3_uri is None
    assert execution.parameter_values == {"a": "1"}
    assert execution.raw["somethingNew"] == {"x": 1}
    assert [(c.name, c.data_type, c.precision, c.scale) for c in execution.output_columns] == [
        ("campaign", "STRING", None, None),
        ("cost", "DECIMAL", 38, 17),
        ("list", "ARRAY", None, None),
        ("price", "DECIMAL", 10, 2),
    ]
    assert pickle.loads(pickle.dumps(execution)) == execution


def test_an_execution_with_nothing_but_an_id_is_read() -> None:
    execution = Execution.from_api({"workflowExecutionId": "e-1"})
    assert (execution.status, execution.raw_status, execution.is_finished) == (ExecutionStatus.UNKNOWN, "", False)
    assert execution.time_window_start is None
    assert execution.output_columns == ()


@pytest.mark.parametrize(
    ("text", "status", "finished"),
    [
        ("PENDING", ExecutionStatus.PENDING, False),
        ("RUNNING", ExecutionStatus.RUNNING, False),
        ("PUBLISHING", ExecutionStatus.PUBLISHING, False),
        ("SUCCEEDED", ExecutionStatus.SUCCEEDED, True),
        ("FAILED", ExecutionStatus.FAILED, True),
        ("CANCELLED", ExecutionStatus.CANCELLED, True),
        ("REJECTED", ExecutionStatus.REJECTED, True),
        ("succeeded", ExecutionStatus.SUCCEEDED, True),
        ("HIBERNATING", ExecutionStatus.UNKNOWN, False),
        ("UNKNOWN", ExecutionStatus.UNKNOWN, False),
        (None, ExecutionStatus.UNKNOWN, False),
    ],
)
def test_an_unknown_status_is_kept_and_not_finished(text: str | None, status: ExecutionStatus, finished: bool) -> None:
    execution = Execution.from_api({"workflowExecutionId": "e", "status": text})
    assert (execution.status, execution.is_finished, execution.raw_status) == (status, finished, text or "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"statusReason": "bad SQL"}, "bad SQL"),
        ({"message": "m", "details": "d"}, "m"),
        ({"statusReason": "", "details": "d"}, "d"),
        ({}, None),
    ],
)
def test_the_reason_of_a_failure_is_found(data: dict[str, Any], reason: str | None) -> None:
    assert Execution.from_api(data).status_reason == reason


def test_the_sql_is_found_in_both_places() -> None:
    assert Execution.from_api({"sqlQuery": "SELECT 1"}).sql_query == "SELECT 1"
    assert Execution.from_api({"workflow": {"sqlQuery": "SELECT 2"}}).sql_query == "SELECT 2"


def test_an_instance_with_nulls_is_read() -> None:
    instance = Instance.from_api(
        {
            "instanceId": "amc1",
            "customerCanonicalName": None,
            "creationDatetime": "2024-10-09T03:11:52.123456789Z",
            "s3BucketName": "",
            "s3BucketRegion": None,
            "creationStatus": "SUCCEEDED",
            "instanceType": "SANDBOX",
            "entities": ["NA"],
            "advertiserTypes": None,
        }
    )
    assert instance.creation_datetime == datetime(2024, 10, 9, 3, 11, 52, 123456, tzinfo=UTC)
    assert (instance.s3_bucket_name, instance.s3_bucket_region) == (None, None)
    assert (instance.is_ready, instance.is_sandbox, instance.advertiser_types) == (True, True, ())
    assert not Instance.from_api({"instanceId": "x", "creationStatus": "IN_PROGRESS"}).is_ready


def test_text_in_place_of_booleans_and_numbers_is_understood() -> None:
    schedule = Schedule.from_api({"scheduleId": "s", "scheduleEnabled": "True", "aggregationHourUtc": "8"})
    assert (schedule.schedule_enabled, schedule.aggregation_hour_utc) == (True, 8)
    assert Schedule.from_api({"scheduleId": "s", "scheduleEnabled": "maybe"}).schedule_enabled is None


def test_legacy_workflows_are_read() -> None:
    workflow = Workflow.from_api({"workflowId": "old", "query": {"operations": []}})
    assert (workflow.sql_query, workflow.raw["query"]) == (None, {"operations": []})


def test_envelopes_are_taken_off() -> None:
    flat = {"workflowId": "w", "workflow": {"sqlQuery": "x"}}
    assert unwrap(flat, "workflow", "workflowId") is flat
    assert unwrap({"workflow": flat}, "workflow", "workflowId") is flat
    assert unwrap({"workflow": None}, "workflow", "workflowId") == {"workflow": None}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "name"]), inner, max_size=2),
    max_leaves=5,
)
READERS = [Account, Instance, Workflow, Schedule, Execution, OutputColumn, DataSource]
FIELDS = sorted(
    {*FINISHED, "instanceId", "creationDatetime", "entities", "dataType", "inputParameters", "tags", "columns"}
    | {"scheduleEnabled", "aggregationHourUtc", "statusReason", "workflow", "outputFormat"}
)


@given(reader=st.sampled_from(READERS), data=st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6))
def test_no_value_of_any_field_breaks_an_answer(reader: Any, data: dict[str, Any]) -> None:
    value = reader.from_api(data)
    assert value.raw is data
    assert repr(value)


def test_download_urls_hide_their_signatures() -> None:
    url = "https://b.s3.amazonaws.com/k.csv?X-Amz-Signature=0a1b2c&X-Amz-Security-Token=tok-en"
    urls = DownloadUrls((url,), (url,))
    for shown in (repr(urls), str(urls), f"{urls}"):
        assert "0a1b2c" not in shown
        assert "b.s3.amazonaws.com/k.csv" in shown
    assert set(signatures(url)) == {"0a1b2c", "tok-en"}
    assert signatures("https://[bad") == ()
    assert without_query("https://[bad") == "(not an address)"


def test_download_urls_may_be_objects() -> None:
    value = ["https://a/1", {"url": "https://a/2", "size": 5}, None, {"size": 1}, ""]
    assert list(DownloadUrls.read(value)) == ["https://a/1", "https://a/2"]
    assert list(DownloadUrls.read(None)) == []
