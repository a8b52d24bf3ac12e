from __future__ import annotations

import functools
import gzip
import io
import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcConfigurationError,
    AmcInvalidRequestError,
    AmcLoadError,
    AmcResourceFailedError,
    AmcValidationError,
)
from airflow_provider_amc.operators.data_set import AmcCreateDataSetOperator, AmcDeleteDataSetOperator
from airflow_provider_amc.sensors.resource import AmcUploadSensor
from airflow_provider_amc.transfers.s3_to_amc import S3ToAmcOperator
from tests.services import BUCKET
from tests.tasks import event_of, run_through, task_context

COLUMNS = [
    {"name": "email", "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": {"hashedPii": "EMAIL"}},
    {"name": "zip", "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": {"hashedPii": "ZIP"}},
    {"name": "product", "dataType": "STRING", "columnType": "DIMENSION"},
    {"name": "quantity", "dataType": "LONG", "columnType": "METRIC"},
]
CSV = (
    "ignored,quantity,email,zip,product\n"
    "x,1, Anna@Example.com,01234,Tent\n"
    'x,2,bob@example.com,94303-1234,"Mug, large"\n'
    "x,3,nobody,,Rope\n"
)


@pytest.fixture
def amc(customers_amc: EmulatorServer) -> EmulatorServer:
    return customers_amc


@pytest.fixture
def s3(customers_s3: Any) -> Any:
    return customers_s3


def upload(**changes: Any) -> S3ToAmcOperator:
    fields = {
        "task_id": "upload", "data_set_id": "sales", "columns": COLUMNS, "s3_bucket": BUCKET, "s3_key": "in/rows.csv",
        "country_code": "US", "poll_interval": 0.01, **changes,
    }  # fmt: skip
    return S3ToAmcOperator(**fields)


def parquet() -> bytes:
    rows = {"email": ["anna@example.com"], "zip": ["01234"], "product": ["Tent"], "quantity": [1], "more": [1.5]}
    file = io.BytesIO()
    pq.write_table(pa.table(rows), file)
    return file.getvalue()


@pytest.mark.parametrize("deferrable", [True, False])
def test_rows_arrive_hashed_and_nothing_is_left(amc: EmulatorServer, s3: Any, deferrable: bool) -> None:
    s3.load_string(CSV, "in/rows.csv", BUCKET)
    operator = upload(deferrable=deferrable)
    result = run_on(operator, task_context())
    assert (result["rows"], result["unusable"]) == (3, {"email": 1, "zip": 0})
    assert s3.list_keys(BUCKET) == ["in/rows.csv"]
    found = operator.client.uploads.get("sales", result["upload_id"])
    assert (found.is_succeeded, found.rows) == (True, 3)
    sensor = AmcUploadSensor(task_id="s", data_set_id="sales", upload_id=result["upload_id"], deferrable=deferrable)
    assert run_through(sensor, {}) is None
    assert {column.name for column in operator.client.data_sets.get("sales").columns} >= {"email", "zip", "product"}


def test_what_is_staged_holds_no_raw_identity_and_has_the_tag(amc: EmulatorServer, s3: Any, mocker: Any) -> None:
    s3.load_string(CSV, "in/rows.csv", BUCKET)
    remove = mocker.patch("airflow_provider_amc.upload.staging.remove")
    upload().execute(task_context())
    told, key = s3.list_keys(BUCKET, prefix="amc-staging/")
    assert told == f"{key.rpartition('/')[0]}.json"
    assert remove.call_args.args[1:] == (BUCKET, key.rpartition("/")[0])
    body = s3.get_key(key, BUCKET).get()["Body"].read()
    rows = pq.read_table(io.BytesIO(body)).to_pydict()
    assert b"nna@" not in body
    assert [value and len(value) for value in rows["email"]] == [64, 64, None]
    assert rows["product"] == ["Tent", "Mug, large", "Rope"]
    tags = s3.get_conn().get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
    assert tags == [{"Key": "instanceId", "Value": "amcemulator"}]


def test_many_files_of_either_format(amc: EmulatorServer, s3: Any) -> None:
    s3.load_bytes(gzip.compress(CSV.encode()), "in/b.csv.gz", BUCKET)
    s3.load_string(CSV, "in/a.csv", BUCKET)
    s3.load_string("not this one", "in/_SUCCESS", BUCKET)
    assert upload(s3_key=None, s3_prefix="in/").execute(task_context())["rows"] == 6
    s3.load_bytes(parquet(), "p/rows.parquet", BUCKET)
    assert upload(s3_key="p/rows.parquet", source_format="parquet").execute(task_context())["rows"] == 1


def test_a_retry_goes_on_with_the_upload(amc: EmulatorServer, s3: Any) -> None:
    s3.load_string(CSV, "in/rows.csv", BUCKET)
    first = upload(wait_for_completion=False).execute(task_context())
    again = upload().execute(task_context(ti={"try_number": 2}))
    assert again == {**first, "uploaded_rows": 3, "all_rows": 3, "matched_rows": 2, "match_share": 0.6667}
    assert sum(one["method"] == "POST" and one["path"].endswith("/uploads/sales") for one in amc.requests) == 1


def test_what_a_dead_try_has_staged_is_not_uploaded(amc: EmulatorServer, s3: Any) -> None:
    s3.load_string(CSV, "in/rows.csv", BUCKET)
    amc.add_fault(operation="CreateUpload", kind="status", status=400)
    with pytest.raises(AmcInvalidRequestError):
        upload().execute(task_context())
    (part,) = [key for key in s3.list_keys(BUCKET, prefix="amc-staging/") if key.endswith(".parquet")]
    s3.copy_object(part, part.replace("part-00000", "part-00001"), BUCKET, BUCKET)
    again = upload().execute(task_context(ti={"try_number": 2}))
    assert (again["rows"], again["uploaded_rows"]) == (3, 3)
    assert s3.list_keys(BUCKET) == ["in/rows.csv"]


@pytest.mark.parametrize(
    ("text", "changes", "error", "message"),
    [
        (CSV, {"s3_key": "in/other.csv"}, AmcConfigurationError, "no file s3://amc-results/in/other.csv"),
        (CSV, {"s3_key": None, "s3_prefix": "out/"}, AmcConfigurationError, "no files below"),
        (CSV, {"source_format": "orc"}, AmcValidationError, "csv, parquet"),
        (CSV, {"s3_prefix": "in/"}, AmcValidationError, "one of them"),
        (CSV.replace("quantity", "count"), {}, AmcLoadError, "could not be read as csv"),
        (CSV.replace(",3,", ",three@example.com,"), {}, AmcLoadError, "could not be read as csv"),
        ("email,zip,product,quantity\n", {}, AmcLoadError, "no rows"),
        (CSV, {"country_code": None}, AmcValidationError, "country"),
    ],
)
def test_nothing_is_uploaded_of_what_is_wrong(
    amc: EmulatorServer, s3: Any, text: str, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    s3.load_string(text, "in/rows.csv", BUCKET)
    with pytest.raises(error, match=message) as caught:
        upload(**changes).execute(task_context())
    assert "example.com" not in str(caught.value)
    assert not [one for one in amc.requests if "/uploads/" in one["path"]]


def test_amc_cannot_take_it_in(amc: EmulatorServer, s3: Any) -> None:
    s3.load_string(CSV, "in/rows.csv", BUCKET)
    amc.add_fault(operation="CreateUpload", kind="fail", reason="The bucket cannot be read.")
    with pytest.raises(AmcResourceFailedError, match="ended as FAILED: The bucket cannot be read"):
        upload().execute(task_context())


def test_data_sets(amc: EmulatorServer, s3: Any) -> None:
    def create(**changes: Any) -> AmcCreateDataSetOperator:
        return AmcCreateDataSetOperator(**{"task_id": "c", "data_set_id": "sales", "columns": COLUMNS, **changes})

    assert [create().execute({}), create().execute({})] == ["sales", "sales"]
    with pytest.raises(AmcValidationError, match="has no columns colour"):
        create(columns=[*COLUMNS, {"name": "colour", "dataType": "STRING"}]).execute({})
    with pytest.raises(Exception, match="already exists"):
        create(if_exists="fail").execute({})
    for _ in range(2):
        AmcDeleteDataSetOperator(task_id="d", data_set_id="sales").execute({})


def customers(count: int, **columns: str) -> str:
    rows = (",".join([f"Person{n}@Example.com", *columns.values()]) for n in range(count))
    return "\n".join([",".join(["email", *columns]), *rows, ""])


EMAIL = COLUMNS[0]
TIME = {"name": "bought", "dataType": "TIMESTAMP", "columnType": "DIMENSION", "isMainEventTime": True}


def run_on(operator: S3ToAmcOperator, context: dict[str, Any]) -> Any:
    """Run a task that defers for the upload and for the count."""
    result: Any = None
    step = functools.partial(operator.execute, context)
    while True:
        try:
            result = step()
        except TaskDeferred as deferral:
            event = json.loads(json.dumps(event_of(deferral.trigger)))
            step = functools.partial(operator.execute_complete, context, event=event)
        else:
            return result


def counts(server: EmulatorServer) -> int:
    return len(server.requests_of("createWorkflowExecution"))


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_match_share_is_told(amc: EmulatorServer, s3: Any, deferrable: bool, mocker: Any) -> None:
    s3.load_string(customers(1000), "in/rows.csv", BUCKET)
    operator, context = upload(columns=[EMAIL], deferrable=deferrable), task_context()
    info = mocker.patch.object(operator.log, "info")
    result = run_on(operator, context)
    assert (result["rows"], result["uploaded_rows"], result["all_rows"]) == (1000, 1000, 1000)
    # The emulator matches four of five.
    assert 740 < result["matched_rows"] < 860
    assert result["match_share"] == result["matched_rows"] / 1000
    assert context["ti"].xcoms["metrics"] == {"OutputRowCount": 1000}
    told = [str(call.args[0]) % call.args[1:] for call in info.call_args_list]
    assert f"AMC has matched {result['matched_rows']} of 1,000 rows" in "".join(told)
    assert counts(amc) == 1


def test_matches_are_counted_over_the_times_of_the_rows(amc: EmulatorServer, s3: Any) -> None:
    amc.set_clock("2026-06-01T00:00:00Z")
    head, _, first = customers(400, bought="2026-01-05 10:00:00").partition("\n")
    s3.load_string(f"{head}\n{first}", "in/a.csv", BUCKET)
    s3.load_string(customers(200, bought="2026-03-07 23:59:59"), "in/b.csv", BUCKET)
    result = upload(columns=[EMAIL, TIME], s3_key=None, s3_prefix="in/", period="P1D").execute(task_context())
    assert (result["all_rows"], result["match_share"] > 0.7) == (600, True)
    (asked,) = amc.requests_of("createWorkflowExecution")
    window = [asked["body"][name] for name in ("timeWindowType", "timeWindowStart", "timeWindowEnd")]
    assert window == ["EXPLICIT", "2026-01-05T10:00:00", "2026-03-08T00:00:00"]


def test_a_count_that_amc_keeps_back(amc: EmulatorServer, s3: Any, mocker: Any) -> None:
    s3.load_string(CSV, "in/rows.csv", BUCKET)
    operator = upload()
    none = pd.DataFrame({"all_rows": [3], "matched_rows": [None]})
    mocker.patch.object(operator.hook, "get_df", return_value=none)
    info = mocker.patch.object(operator.log, "info")
    result = operator.execute(task_context())
    assert [result[name] for name in ("all_rows", "matched_rows", "match_share")] == [None] * 3
    assert "keeps back how many rows" in str(info.call_args_list)


@pytest.mark.parametrize("changes", [{"measure_match": False}, {"columns": [COLUMNS[2]]}])
def test_no_count_where_there_is_nothing_to_count(amc: EmulatorServer, s3: Any, changes: dict[str, Any]) -> None:
    s3.load_string(CSV, "in/rows.csv", BUCKET)
    result = upload(**changes).execute(task_context())
    assert (counts(amc), "match_share" in result) == (0, False)


def test_a_retry_goes_on_with_the_count(amc: EmulatorServer, s3: Any) -> None:
    s3.load_string(customers(1000), "in/rows.csv", BUCKET)
    amc.add_fault(operation="createWorkflowExecution", kind="duration", seconds=600)
    operator, context = upload(columns=[EMAIL], deferrable=True), task_context()
    try:
        operator.execute(context)
    except TaskDeferred as deferral:
        upload_event = event_of(deferral.trigger) if deferral.trigger.kind == "upload" else None
    if upload_event is not None:
        with pytest.raises(TaskDeferred):
            operator.execute_complete(context, event=upload_event)
    assert counts(amc) == 1
    amc.advance_clock(600)
    result = upload(columns=[EMAIL]).execute(task_context(ti={"try_number": 2}))
    assert (counts(amc), result["all_rows"]) == (1, 1000)
    assert sum(one["path"].endswith("/uploads/sales") for one in amc.requests) == 1


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "createWorkflowExecution", "kind": "fail", "reason": "no luck"},
        {"operation": "createWorkflowExecution", "kind": "status", "status": 403},
        {"operation": "getWorkflowExecutionDownloadUrls", "kind": "status", "status": 400},
    ],
    ids=lambda fault: f"{fault['operation']} {fault['kind']}",
)
def test_a_count_that_fails_does_not_fail_the_upload(
    amc: EmulatorServer, s3: Any, fault: dict[str, Any], deferrable: bool, mocker: Any
) -> None:
    s3.load_string(customers(200), "in/rows.csv", BUCKET)
    amc.add_fault(**fault)
    operator = upload(columns=[EMAIL], deferrable=deferrable)
    warning = mocker.patch.object(operator.log, "warning")
    result = run_on(operator, task_context())
    assert (result["uploaded_rows"], "match_share" in result) == (200, False)
    assert "could not be counted" in str(warning.call_args_list)


def test_a_count_that_takes_too_long(amc: EmulatorServer, s3: Any) -> None:
    s3.load_string(customers(200), "in/rows.csv", BUCKET)
    amc.add_fault(operation="createWorkflowExecution", kind="duration", seconds=86400)
    result = run_on(upload(columns=[EMAIL], deferrable=True, timeout=4), task_context())
    assert (result["uploaded_rows"], "match_share" in result) == (200, False)
