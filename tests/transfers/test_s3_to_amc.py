from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcConfigurationError,
    AmcLoadError,
    AmcResourceFailedError,
    AmcValidationError,
)
from airflow_provider_amc.operators.data_set import AmcCreateDataSetOperator, AmcDeleteDataSetOperator
from airflow_provider_amc.sensors.resource import AmcUploadSensor
from airflow_provider_amc.transfers.s3_to_amc import S3ToAmcOperator
from tests.services import BUCKET, aws_connection, forget_everything, moto_server
from tests.tasks import run_through, task_context

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


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def server(s3_url: str) -> Iterator[EmulatorServer]:
    with EmulatorServer(port=0, scale="tiny", s3_endpoint_url=s3_url) as running:
        yield running


@pytest.fixture
def amc(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    server.reset()
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
    return server


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    forget_everything(s3_url)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(s3_url))
    # The emulator's own, as AMC has its own.
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    hook = S3Hook()
    hook.create_bucket(BUCKET)
    return hook


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
    result = run_through(operator, task_context())
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
    (key,) = s3.list_keys(BUCKET, prefix="amc-staging/")
    assert remove.call_args.args[1:] == (BUCKET, key.rpartition("/")[0] + "/")
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
    assert again == {"upload_id": first["upload_id"]}
    assert sum(one["method"] == "POST" and one["path"].endswith("/uploads/sales") for one in amc.requests) == 1


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
