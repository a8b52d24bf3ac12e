from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.transport import UPLOADS, USER_DELETIONS
from airflow_provider_amc.client.uploads import upload_request
from airflow_provider_amc.exceptions import AmcUnknownOutcomeError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/advertiserData/amctest/uploads"
DELETIONS = "/amc/advertiserData/amctest/userDeletionRequest"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"s3_key": "a.csv", "format_options": {"fieldDelimiter": ";"}},
            {"fileFormat": {"csvDataFormat": {"fieldDelimiter": ";"}}, "dataSource": {"sourceFileS3Key": "a.csv"}},
        ),
        (
            {"s3_prefix": "in/", "file_format": "json", "compression_format": "gzip"},
            {
                "fileFormat": {"jsonDataFormat": "LINES"},
                "dataSource": {"sourceS3Prefix": "in/"},
                "compressionFormat": "GZIP",
            },
        ),
        (
            {"s3_manifest_key": "m", "file_format": "PARQUET", "update_strategy": "full_replace", "country_code": "US"},
            {
                "fileFormat": {"parquetDataFormat": "PARQUET_DATA_FORMAT"},
                "dataSource": {"sourceManifestS3Key": "m"},
                "updateStrategy": "FULL_REPLACE",
                "countryCode": "US",
            },
        ),
    ],
)
def test_the_request(arguments: dict[str, Any], expected: dict[str, Any]) -> None:
    request = upload_request(s3_bucket="b", **arguments)
    defaults = {"updateStrategy": "ADDITIVE", "compressionFormat": "NONE"}
    source = {"sourceS3Bucket": "b", **expected.pop("dataSource")}
    assert request == {**defaults, "dataSource": source, **expected}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"s3_bucket": "b/c", "s3_key": "a"}, "bucket alone"),
        ({"s3_bucket": "b"}, "one of s3_key, s3_prefix and s3_manifest_key, got 0"),
        ({"s3_bucket": "b", "s3_key": "a", "s3_prefix": "c"}, "got 2"),
        ({"s3_bucket": "b", "s3_key": "a", "file_format": "ORC"}, "CSV, JSON, PARQUET"),
        ({"s3_bucket": "b", "s3_key": "a", "compression_format": "ZIP"}, "NONE, GZIP"),
        ({"s3_bucket": "b", "s3_key": "a", "update_strategy": "MERGE"}, "ADDITIVE"),
    ],
)
def test_a_wrong_request(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        upload_request(**arguments)


def test_an_upload_is_never_started_twice(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", f"{BASE}/orders", Reply(fault="close"))
    with pytest.raises(AmcUnknownOutcomeError):
        client.uploads.create("orders", s3_bucket="b", s3_key="k")
    assert len(server.calls()) == 1
    server.on("POST", f"{BASE}/orders", Reply(body={"status": "SUBMITTED", "uploadId": "u"}))
    upload = client.uploads.create("orders", s3_bucket="b", s3_key="k")
    assert (upload.upload_id, upload.data_set_id, upload.is_finished) == ("u", "orders", False)
    assert server.calls()[-1].headers["content-type"] == UPLOADS


@pytest.mark.parametrize(
    ("status", "finished", "succeeded"),
    [("PENDING", False, False), ("IN_PROGRESS", False, False), ("SUCCESS", True, True), ("COMPLETED", True, True),
     ("FAILED", True, False)],
)  # fmt: skip
def test_the_states_of_specification_and_guide(
    server: ScriptedServer, client: AmcClient, status: str, finished: bool, succeeded: bool
) -> None:
    body = {"uploadId": "u", "dataSetId": "orders", "status": status, "metrics": {"OutputRowCount": "12"}}
    server.on("GET", f"{BASE}/orders/u", Reply(body={"upload": body}))
    upload = client.uploads.get("orders", "u")
    assert (upload.is_finished, upload.is_succeeded, upload.rows) == (finished, succeeded, 12)


def test_list(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", f"{BASE}/list", Reply(body={"uploads": [{"uploadId": "u"}]}))
    found = client.uploads.list(data_set_id="orders", created_at="2026-01-01T00:00:00", limit=5)
    assert [one.upload_id for one in found] == ["u"]
    assert server.calls()[0].query == {
        "dataSetId": "orders", "createdAt": "2026-01-01T00:00:00Z", "createdAtComparator": "GTE", "maxResults": "5",
    }  # fmt: skip
    with pytest.raises(AmcValidationError, match="EQ, GT"):
        client.uploads.list(created_at="2026-01-01T00:00:00", created_at_comparator="NE")


def test_user_deletions(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", DELETIONS, Reply(fault="close"), Reply(body={"userDeletionRequestId": "d", "status": "PENDING"}))
    server.on(
        "GET", f"{DELETIONS}/d", Reply(body={"identityDeletion": {"userDeletionRequestId": "d", "status": "SUCCEEDED"}})
    )
    server.on("POST", f"{DELETIONS}/list", Reply(body={"userDeletions": [{"userDeletionRequestId": "d"}]}))
    deletions = client.user_deletions
    assert deletions.create([{"hashedIdentity": {"EMAIL": "0" * 64}}]).user_deletion_request_id == "d"
    assert deletions.get("d").is_finished
    assert [one.user_deletion_request_id for one in deletions.list()] == ["d"]
    assert server.calls()[0].headers["accept"] == USER_DELETIONS
    with pytest.raises(AmcValidationError, match="got 1,001"):
        deletions.create([{}] * 1001)
