from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import logging
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_amc.client.models import Execution
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError, AmcResultError
from airflow_provider_amc.landing.files import part_name
from airflow_provider_amc.landing.manifest import Landing
from airflow_provider_amc.landing.s3 import land_in_s3
from airflow_provider_amc.landing.source import ResultSource
from tests.landing.results import PLANTED, Broken, FakeResults, ShortReads

PLACE = "amc/workflow=reach/window_start=2026-03-01T00-00-00/window_end=2026-03-02T00-00-00/"
FIRST = b"id,cost\n100000000000000001,0.10\n,\n"
SECOND = b"id,cost\n-5,2.50\n"


def execution(**fields: Any) -> Execution:
    return Execution.from_api(
        {
            "workflowExecutionId": "e-1",
            "workflowId": "reach",
            "status": "SUCCEEDED",
            "timeWindowStart": "2026-03-01T00:00:00Z",
            "timeWindowEnd": "2026-03-02T00:00:00Z",
            "outputColumns": [
                {"name": "id", "columnType": "DIMENSION", "dataType": "LONG"},
                {
                    "name": "cost", "columnType": "METRIC", "dataType": "DECIMAL",
                    "dataTypePrecision": 38, "dataTypeScale": 2,
                },
            ],
            **fields,
        }
    )  # fmt: skip


def land(
    s3: Any, bucket: str, results: Any, file_format: str = "csv", instance_id: str = "amcone", **fields: Any
) -> Landing:
    return land_in_s3(
        s3,
        ResultSource(execution(**fields), results, "reach", instance_id, results.observer),
        bucket=bucket,
        prefix="amc",
        file_format=file_format,
    )


def part(index: int, file_format: str = "csv", execution_id: str = "e-1") -> str:
    return part_name(execution_id, index, file_format)


def keys(s3: Any, bucket: str) -> list[str]:
    return [key.removeprefix(PLACE) for key in s3.list_keys(bucket) or ()]


def body(s3: Any, bucket: str, name: str) -> bytes:
    content: bytes = s3.get_key(f"{PLACE}{name}", bucket).get()["Body"].read()
    return content


def manifest(s3: Any, bucket: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(body(s3, bucket, "_manifest.json"))
    return content


class Watched:
    """A hook that writes down what changes the bucket."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook
        self.changes: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hook, name)

    def load_bytes(self, content: bytes, key: str, bucket: str, **arguments: Any) -> None:
        self._hook.load_bytes(content, key, bucket, **arguments)
        self.changes.append(f"write {key.removeprefix(PLACE)}")

    def delete_objects(self, bucket: str, names: list[str]) -> None:
        self._hook.delete_objects(bucket, names)
        self.changes.append(f"delete {' '.join(name.removeprefix(PLACE) for name in names)}")


def test_csv(s3: Any, bucket: str) -> None:
    landing = land(s3, bucket, FakeResults(FIRST, SECOND))
    assert keys(s3, bucket) == ["_manifest.json", part(0), part(1)]
    assert (body(s3, bucket, part(0)), body(s3, bucket, part(1))) == (FIRST, SECOND)
    assert landing.manifest == f"s3://{bucket}/{PLACE}_manifest.json"
    assert (landing.rows, landing.bytes, len(landing.files)) == (3, len(FIRST) + len(SECOND), 2)


def test_manifest(s3: Any, bucket: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    key = f"/* airflow_provider_amc key={'0' * 8}.{'1' * 16}.{'2' * 16} detached */"
    land(s3, bucket, FakeResults(FIRST, SECOND), sqlQuery=f"SELECT id FROM x {key}")
    found = manifest(s3, bucket)
    assert before <= datetime.fromisoformat(found.pop("written_at")) <= datetime.now(UTC)
    assert found == {
        "version": 2,
        "workflow": "reach",
        "workflow_id": "reach",
        "workflow_execution_id": "e-1",
        "instance_id": "amcone",
        "sql_sha256": hashlib.sha256(b"SELECT id FROM x").hexdigest(),
        "time_window_start": "2026-03-01T00:00:00Z",
        "time_window_end": "2026-03-02T00:00:00Z",
        "columns": [
            {"name": "id", "data_type": "LONG", "column_type": "DIMENSION", "precision": None, "scale": None},
            {"name": "cost", "data_type": "DECIMAL", "column_type": "METRIC", "precision": 38, "scale": 2},
        ],
        "file_format": "csv",
        "files": [
            {
                "key": f"{PLACE}{part(index)}",
                "name": part(index),
                "bytes": len(data),
                "rows": rows,
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            for index, (data, rows) in enumerate([(FIRST, 2), (SECOND, 1)])
        ],
        "rows": 3,
        "bytes": len(FIRST) + len(SECOND),
    }


def test_gzip_bytes_depend_on_the_result_alone(s3: Any, bucket: str) -> None:
    land(s3, bucket, FakeResults(FIRST), "csv.gz")
    first = body(s3, bucket, part(0, "csv.gz"))
    assert gzip.decompress(first) == FIRST
    land(s3, bucket, FakeResults(FIRST), "csv.gz")
    assert body(s3, bucket, part(0, "csv.gz")) == first


def test_parquet_has_the_announced_types(s3: Any, bucket: str) -> None:
    landing = land(s3, bucket, FakeResults(FIRST, SECOND), "parquet")
    tables = [pq.read_table(io.BytesIO(body(s3, bucket, part(index, "parquet")))) for index in (0, 1)]
    assert [table.schema for table in tables] == [pa.schema([("id", pa.int64()), ("cost", pa.decimal128(38, 2))])] * 2
    assert [table.column("id").to_pylist() for table in tables] == [[100000000000000001, None], [-5]]
    assert [file.rows for file in landing.files] == [2, 1]


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
def test_no_rows(s3: Any, bucket: str, file_format: str) -> None:
    landing = land(s3, bucket, FakeResults(b"id,cost\n"), file_format)
    assert landing.rows == 0
    assert keys(s3, bucket) == ["_manifest.json", part(0, file_format)]


def test_the_parts_of_the_old_manifest_stay_until_there_is_a_new_one(s3: Any, bucket: str) -> None:
    land(s3, bucket, FakeResults(FIRST, SECOND, SECOND))
    s3.load_string("of the user", f"{PLACE}notes.txt", bucket)
    watched = Watched(s3)
    land(watched, bucket, FakeResults(SECOND), workflowExecutionId="e-2")
    new = part(0, execution_id="e-2")
    assert watched.changes == [
        f"write {new}",
        "write _manifest.json",
        f"delete {part(0)} {part(1)} {part(2)}",
    ]
    assert keys(s3, bucket) == sorted(["_manifest.json", "notes.txt", new])
    assert body(s3, bucket, new) == SECOND


def test_the_same_execution_again_writes_the_same_objects(s3: Any, bucket: str) -> None:
    land(s3, bucket, FakeResults(FIRST, SECOND))
    s3.load_string("left over", f"{PLACE}part-00007-abcdef01.csv", bucket)
    land(s3, bucket, FakeResults(FIRST, SECOND))
    assert keys(s3, bucket) == ["_manifest.json", part(0), part(1)]
    assert body(s3, bucket, part(1)) == SECOND


def test_another_format_takes_the_place_of_the_first(s3: Any, bucket: str) -> None:
    land(s3, bucket, FakeResults(FIRST, SECOND))
    land(s3, bucket, FakeResults(FIRST, SECOND), "parquet")
    assert keys(s3, bucket) == ["_manifest.json", part(0, "parquet"), part(1, "parquet")]


def test_other_windows_are_left_alone(s3: Any, bucket: str) -> None:
    land(s3, bucket, FakeResults(FIRST))
    other = {"timeWindowStart": "2026-03-02T00:00:00Z", "timeWindowEnd": "2026-03-03T00:00:00Z"}
    land(s3, bucket, FakeResults(SECOND), **other)
    assert body(s3, bucket, part(0)) == FIRST
    assert len(s3.list_keys(bucket)) == 4


@pytest.mark.parametrize("execution_id", ["e-1", "e-2"])
@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
def test_failure_in_the_middle_leaves_the_earlier_landing(
    s3: Any, bucket: str, file_format: str, execution_id: str
) -> None:
    land(s3, bucket, FakeResults(FIRST, SECOND), file_format)
    before = {name: body(s3, bucket, name) for name in keys(s3, bucket)}
    error = AmcResultError("gave up")
    broken = FakeResults(FIRST, lambda: Broken(SECOND, error))
    with pytest.raises(AmcResultError) as caught:
        land(s3, bucket, broken, file_format, workflowExecutionId=execution_id)
    assert caught.value is error
    assert {name: body(s3, bucket, name) for name in keys(s3, bucket)} == before


def test_the_first_failure_ends_all_files(s3: Any, bucket: str) -> None:
    """Otherwise a header that is wrong would be told after the last gigabyte."""
    error = AmcResultError("gave up")
    results = FakeResults(lambda: Endless(), lambda: Broken(b"id,co", error), lambda: Endless(), FIRST)
    with pytest.raises(AmcResultError) as caught:
        land(s3, bucket, results)
    assert caught.value is error
    assert keys(s3, bucket) == []
    assert all(stream.closed for file in results.files() for stream in file.opened)


class Endless(ShortReads):
    """A result file that goes on and on."""

    def __init__(self) -> None:
        super().__init__(b"id,cost\n")
        self._row = b"1,2.00\n"

    def readinto(self, buffer: Any) -> int:
        size = super().readinto(buffer)
        if not size:
            size = len(buffer) // len(self._row) * len(self._row)
            buffer[:size] = self._row * (size // len(self._row))
        return size


def test_an_object_that_is_not_what_was_written(s3: Any, bucket: str) -> None:
    class Meddled(Watched):
        def load_bytes(self, content: bytes, key: str, bucket: str, **arguments: Any) -> None:
            super().load_bytes(b"another task's", key, bucket, **arguments)

    land(s3, bucket, FakeResults(FIRST))
    before = manifest(s3, bucket)
    with pytest.raises(AmcLoadError, match="another task may be landing the same workflow and window"):
        land(Meddled(s3), bucket, FakeResults(SECOND), workflowExecutionId="e-2")
    assert manifest(s3, bucket) == before
    assert body(s3, bucket, part(0)) == FIRST


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize(
    "broken",
    [FakeResults(b""), FakeResults(b"other\n1\n"), FakeResults(lambda: Broken(b"id,co", AmcResultError("gave up")))],
    ids=["empty", "header", "cut"],
)
def test_result_that_cannot_be_opened_changes_nothing(s3: Any, bucket: str, file_format: str, broken: Any) -> None:
    land(s3, bucket, FakeResults(FIRST))
    before = manifest(s3, bucket)
    with pytest.raises(AmcResultError):
        land(s3, bucket, broken, file_format)
    assert manifest(s3, bucket) == before
    assert body(s3, bucket, part(0)) == FIRST


def test_parquet_of_half_a_result_changes_nothing(s3: Any, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "airflow_provider_amc")
    land(s3, bucket, FakeResults(FIRST), "parquet")
    before = manifest(s3, bucket)
    with pytest.raises(AmcResultError, match="a cell of column 'cost'") as caught:
        land(s3, bucket, FakeResults(SECOND, f"id,cost\n1,{PLANTED}\n".encode()), "parquet")
    assert "Zebra" not in f"{caught.value} {caplog.text}"
    assert manifest(s3, bucket) == before


def test_parquet_with_columns_of_the_same_name(s3: Any, bucket: str) -> None:
    with pytest.raises(AmcLoadError, match="several columns named id"):
        land(
            s3, bucket, FakeResults(b"id,id\n1,2\n"), "parquet", outputColumns=[{"name": "id", "dataType": "LONG"}] * 2
        )
    assert keys(s3, bucket) == []


def test_columns_of_the_same_name_in_csv(s3: Any, bucket: str) -> None:
    columns = [{"name": "id", "dataType": "LONG"}] * 2
    assert land(s3, bucket, FakeResults(b"id,id\n1,2\n"), outputColumns=columns).rows == 1


def test_no_bucket(s3: Any) -> None:
    with pytest.raises(AmcConfigurationError) as caught:
        land(s3, "no-such-bucket", FakeResults(FIRST))
    assert str(caught.value) == (
        "The S3 bucket 'no-such-bucket' does not exist, or the connection 'aws_default' may not see it. Create it, or "
        "correct s3_bucket. Nothing was written."
    )


def test_no_columns(s3: Any, bucket: str) -> None:
    with pytest.raises(AmcResultError, match="reports no outputColumns"):
        land(s3, bucket, FakeResults(FIRST), outputColumns=[])
    assert keys(s3, bucket) == []


def large_file(size: int) -> bytes:
    row = b"100000000000000001,0.10\n"
    return b"id,cost\n" + row * (size // len(row))


@pytest.mark.parametrize("size", [6 * 1024 * 1024 - 100, 6 * 1024 * 1024 + 100, 17 * 1024 * 1024])
def test_upload_in_several_parts(s3: Any, bucket: str, size: int) -> None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config

    data = large_file(size)
    landing = land(s3, bucket, FakeResults(lambda: ShortReads(data, 100_003)))
    # boto3 would take the checksum that moto 5.1 gives for parts for one of the whole object.
    reader = S3Hook(config=Config(response_checksum_validation="when_required"))
    stored = body(reader, bucket, part(0))
    assert hashlib.sha256(stored).hexdigest() == hashlib.sha256(data).hexdigest() == landing.files[0].sha256
    assert landing.rows == data.count(b"\n") - 1
    assert sum(1 for _ in csv.reader(io.StringIO(stored.decode()))) == landing.rows + 1


def test_arguments_of_the_connection_are_kept(s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by the calls that know it."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(
        extra_args={"ServerSideEncryption": "AES256", "Metadata": {"of": "amc"}, "ChecksumAlgorithm": "SHA256"}
    )
    land(hook, bucket, FakeResults(lambda: ShortReads(large_file(9 * 1024 * 1024), 100_003)))
    found = s3.get_conn().head_object(Bucket=bucket, Key=f"{PLACE}{part(0)}")
    assert (found["ServerSideEncryption"], found["Metadata"]) == ("AES256", {"of": "amc"})


def test_upload_of_several_parts_is_told_to_the_lineage(s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    told: list[dict[str, str]] = []
    collector = get_hook_lineage_collector()
    monkeypatch.setattr(collector, "add_output_asset", lambda **fields: told.append(fields["asset_kwargs"]))
    data = large_file(9 * 1024 * 1024)
    land(s3, bucket, FakeResults(FIRST, lambda: ShortReads(data, 100_003)))
    assert sorted(asset["key"] for asset in told) == [f"{PLACE}{name}" for name in ("_manifest.json", part(0), part(1))]


def test_upload_of_several_parts_that_fails_leaves_no_object(s3: Any, bucket: str) -> None:
    with pytest.raises(AmcResultError):
        land(s3, bucket, FakeResults(lambda: Broken(large_file(17 * 1024 * 1024), AmcResultError("gave up"))))
    assert keys(s3, bucket) == []
    assert "Uploads" not in s3.get_conn().list_multipart_uploads(Bucket=bucket)


def test_memory_does_not_grow_with_the_file(s3: Any, bucket: str) -> None:
    """What has been read and not been sent yet is a few parts of the upload."""
    data = large_file(96 * 1024 * 1024)
    read, sent, most_held = 0, 0, 0

    class Counted(ShortReads):
        def readinto(self, buffer: Any) -> int:
            nonlocal read, most_held
            size = super().readinto(buffer)
            read += size
            most_held = max(most_held, read - sent)
            return size

    def count(**_: Any) -> None:
        nonlocal sent
        sent += 6 * 1024 * 1024

    events = s3.get_conn().meta.events
    events.register("after-call.s3.UploadPart", count)
    try:
        land(s3, bucket, FakeResults(lambda: Counted(data, 1 << 20)))
    finally:
        events.unregister("after-call.s3.UploadPart", count)
    assert read == len(data)
    assert sent >= len(data)
    # Two parts that are sent, one that is filled, and what is read ahead.
    assert most_held <= 40 * 1024 * 1024
