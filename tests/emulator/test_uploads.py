"""Uploads: what a request may say, how they go on, and what they read from S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from tests.emulator.advertiser import EMAIL, PRODUCT, QUANTITY, TIME, Advertiser, hashed, someone
from tests.emulator.api import refusal, wait_for
from tests.services import moto_server

CSV = "product,quantity\nTent,1\nMug,2\n"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(s3_url, monkeypatch) -> Any:
    """A client of the S3 that the emulator reads; it finds its credentials in the environment, too."""
    for name, value in (
        ("ACCESS_KEY_ID", "testing"),
        ("SECRET_ACCESS_KEY", "testing"),
        ("DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    return boto3.client("s3", endpoint_url=s3_url)


@pytest.fixture
def bucket(s3, request) -> str:
    """A bucket of the test's own: all moto servers of a process share their state."""
    name = f"uploads-{hashed(request.node.nodeid)[:20]}"
    s3.create_bucket(Bucket=name)
    return name


Put = Callable[..., None]


@pytest.fixture
def put(s3, bucket) -> Put:
    def put(key: str, text: str | bytes = CSV, **more: Any) -> None:
        s3.put_object(Bucket=more.pop("bucket", bucket), Key=key, Body=text, **more)

    return put


@pytest.fixture
def me(serve, s3_url) -> Advertiser:
    me = Advertiser(serve(s3_endpoint_url=s3_url).api)
    me.data_set("sales", PRODUCT, QUANTITY)
    return me


def at(bucket: str, **key: str) -> dict[str, str]:
    return {"sourceS3Bucket": bucket, **key}


# -- requests ----------------------------------------------------------------------------------------------------------
@pytest.mark.covers("endpoint", "CreateUpload")
@pytest.mark.covers("endpoint", "GetUpload")
def test_an_upload_from_its_start_to_its_end(me, bucket, put):
    put("in/rows.csv")
    source = at(bucket, sourceFileS3Key="in/rows.csv")
    answer = me.call("POST", "uploads/sales", me.order(dataSource=source, countryCode="US"))
    assert answer.headers["content-type"] == "application/vnd.amcadvertiserdataupload.v1+json"
    started = answer.json()
    assert started == {"status": "SUBMITTED", "uploadId": started["uploadId"]}
    ended = me.ended("sales", started["uploadId"])
    assert {name: value for name, value in ended.items() if not name.endswith("At")} == {
        "uploadId": started["uploadId"],
        "dataSetId": "sales",
        "instanceId": "amcemulator",
        "status": "SUCCESS",
        "metrics": {"OutputRowCount": 2},
        "dataSource": source,
        "countryCode": "US",
    }


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"updateStrategy": None}, "Invalid value 'None' for updateStrategy: expected one of ADDITIVE, FULL_REPLACE"),
        ({"updateStrategy": "MERGE"}, "Invalid value 'MERGE' for updateStrategy"),
        (
            {"updateStrategy": "OVERLAP_REPLACE"},
            "The updateStrategy OVERLAP_REPLACE applies to FACT data sets only, and sales has no column with",
        ),
        ({"updateStrategy": "OVERLAP_KEEP"}, "The updateStrategy OVERLAP_KEEP applies to FACT data sets only"),
        ({"compressionFormat": "ZIP"}, "The compressionFormat ZIP is no longer supported."),
        ({"compressionFormat": None}, "Invalid value 'None' for compressionFormat: expected one of NONE, GZIP, BZIP"),
        ({"countryCode": "us"}, "Invalid value 'us' for countryCode: expected two capital letters, such as US."),
        ({"dataSource": None}, "dataSource must be specified."),
        ({"dataSource": {"sourceFileS3Key": "x"}}, "Invalid value 'None' for sourceS3Bucket: expected the name"),
        ({"dataSource": at("my-bucket")}, "Exactly one of sourceFileS3Key, sourceS3Prefix, sourceManifestS3Key must"),
        (
            {"dataSource": at("my-bucket", sourceFileS3Key="a", sourceS3Prefix="b")},
            "Exactly one of sourceFileS3Key, sourceS3Prefix, sourceManifestS3Key must be provided.",
        ),
        ({"fileFormat": None}, "Exactly one of csvDataFormat, jsonDataFormat, parquetDataFormat must be provided."),
        ({"fileFormat": {"csvDataFormat": {}, "jsonDataFormat": "LINES"}}, "Exactly one of csvDataFormat"),
        ({"fileFormat": {"csvDataFormat": {"separator": ";"}}}, "Unknown option separator of csvDataFormat."),
        ({"fileFormat": {"csvDataFormat": {"fieldDelimiter": "||"}}}, "Invalid value for fieldDelimiter or quote"),
        ({"fileFormat": {"csvDataFormat": {"fieldDelimiter": 5}}}, "Invalid value for fieldDelimiter: expected a str"),
        (
            {"dataSource": at("my-bucket", sourceFileS3Key="")},
            "Invalid value '' for sourceFileS3Key: expected a string.",
        ),
        ({"fileFormat": {"csvDataFormat": ";"}}, "Invalid value for csvDataFormat: expected an object."),
        (
            {"fileFormat": {"csvDataFormat": {"quoteEscapeCharacter": "ab"}}},
            "Invalid value for quoteEscapeCharacter: expected one character, or a doubled quote.",
        ),
        (
            {"fileFormat": {"csvDataFormat": {"recordDelimiter": ""}}},
            "Invalid value for recordDelimiter: expected at least one character.",
        ),
        ({"fileFormat": {"jsonDataFormat": "ROWS"}}, "Invalid value 'ROWS' for jsonDataFormat: expected LINES or"),
        ({"fileFormat": {"parquetDataFormat": "X"}}, "Invalid value 'X' for parquetDataFormat"),
    ],
)
@pytest.mark.covers("rule", "requests for uploads are checked")
def test_wrong_requests(me, changes, text):
    status, told = refusal(me.call("POST", "uploads/sales", me.order(**changes)))
    assert status == 400
    assert told.startswith(text)


def test_uploads_need_a_data_set(me):
    assert refusal(me.call("POST", "uploads/other", me.order())) == (404, "Data set with ID other does not exist.")
    upload_id = me.start("sales")
    me.data_set("other", PRODUCT)
    text = f"Upload with ID {upload_id} does not exist."
    assert refusal(me.call("GET", f"uploads/other/{upload_id}")) == (404, text)
    assert refusal(me.call("GET", "uploads/sales/none")) == (404, "Upload with ID none does not exist.")


# -- the way of an upload ----------------------------------------------------------------------------------------------
@pytest.mark.covers("rule", "uploads follow virtual time")
def test_a_realistic_upload_takes_virtual_minutes(serve, s3_url, bucket, put, tmp_path):
    put("rows.csv")
    served = serve(s3_endpoint_url=s3_url, speed="realistic", now="2026-03-01T12:00:00Z", state_dir=tmp_path)
    me = Advertiser(served.api)
    me.data_set("sales", PRODUCT, QUANTITY)
    source = at(bucket, sourceFileS3Key="rows.csv")
    first, second = (me.start("sales", dataSource=source) for _ in range(2))
    assert me.upload("sales", first)["status"] == "SUBMITTED"
    served.server.advance_clock(6)
    assert me.upload("sales", first)["status"] == "IN_PROGRESS"
    served.server.stop()
    served.server.start()
    assert me.upload("sales", first)["status"] == "IN_PROGRESS"
    served.server.advance_clock(1200)
    assert me.ended("sales", first)["metrics"] == {"OutputRowCount": 2}
    created, updated = (me.ended("sales", second)[name] for name in ("createdAt", "updatedAt"))
    assert created < "2026-03-01T12:00:10Z" < updated <= "2026-03-01T12:10:15Z"


@pytest.mark.covers("switch", "upload_statuses")
def test_statuses_as_the_guide_has_them(serve, s3_url, bucket, put):
    put("rows.csv")
    served = serve(s3_endpoint_url=s3_url, upload_statuses="guide")
    me = Advertiser(served.api)
    me.data_set("sales", PRODUCT, QUANTITY)
    served.server.add_fault(operation="CreateUpload", kind="duration", seconds=60)
    started = me.done("POST", "uploads/sales", me.order(dataSource=at(bucket, sourceFileS3Key="rows.csv")))
    assert started["status"] == "PENDING"
    assert me.upload("sales", started["uploadId"])["status"] == "PENDING"
    served.server.advance_clock(60)
    assert me.ended("sales", started["uploadId"])["status"] == "COMPLETED"
    assert len(me.done("POST", "uploads/list", params={"status": "COMPLETED"})["uploads"]) == 1
    answer = me.call("POST", "uploads/list", params={"status": "SUCCESS"})
    assert refusal(answer) == (
        400,
        "Invalid value 'SUCCESS' for status: expected one of COMPLETED, FAILED, PENDING.",
    )


@pytest.mark.covers("endpoint", "ListUploads")
def test_list_with_filters(serve):
    served = serve(now="2026-03-01T12:00:00Z")
    me = Advertiser(served.api)
    for name in ("a", "b"):
        me.data_set(name, PRODUCT)
    ids = []
    for number, name in enumerate(("a", "b", "b")):
        served.server.set_clock(f"2026-03-0{number + 1}T12:00:00Z")
        me.done("GET", "dataSets/a")  # with a token of that day, so that the faults hit the upload
        served.server.add_fault(operation="CreateUpload", kind="duration", seconds=60 if number == 2 else 0)
        served.server.add_fault(operation="CreateUpload", kind="fail", reason="Out of disk")
        ids.append(me.start(name))
    wait_for(lambda: me.upload("b", ids[1])["status"] == "FAILED", "the second upload")

    def listed(**query: str) -> list[str]:
        return [one["uploadId"] for one in me.done("POST", "uploads/list", params=query)["uploads"]]

    assert listed() == ids
    assert listed(dataSetId="b") == ids[1:]
    assert listed(status="FAILED") == ids[:2]
    assert listed(status="IN_PROGRESS") == ids[2:]
    exactly = me.upload("b", ids[1])["createdAt"]
    assert me.upload("b", ids[1])["message"] == "Out of disk"
    for comparator, expected in (("EQ", [1]), ("GT", [2]), ("GTE", [1, 2]), ("LT", [0]), ("LTE", [0, 1])):
        found = listed(createdAt=exactly, createdAtComparator=comparator)
        assert found == [ids[number] for number in expected], comparator
    page = me.done("POST", "uploads/list", params={"maxResults": "2"})
    assert len(page["uploads"]) == 2
    assert listed(maxResults="2", nextToken=page["nextToken"]) == ids[2:]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"createdAt": "2026-01-01T00:00:00Z"}, "createdAt and createdAtComparator must be specified together."),
        ({"createdAtComparator": "GT"}, "createdAt and createdAtComparator must be specified together."),
        (
            {"createdAt": "2026-01-01T00:00:00Z", "createdAtComparator": "NE"},
            "Invalid value 'NE' for createdAtComparator: expected one of EQ, GT, GTE, LT, LTE.",
        ),
        (
            {"createdAt": "soon", "createdAtComparator": "GT"},
            "Invalid value 'soon' for createdAt: expected a time such as 2026-01-01T00:00:00Z.",
        ),
        (
            {"status": "DONE"},
            "Invalid value 'DONE' for status: expected one of FAILED, IN_PROGRESS, SUBMITTED, SUCCESS.",
        ),
    ],
)
def test_wrong_filters(api, query, text):
    assert refusal(Advertiser(api).call("POST", "uploads/list", params=query)) == (400, text)


def test_failures_on_order(served):
    me = Advertiser(served.api)
    me.data_set("sales", PRODUCT)
    served.server.add_fault(operation="CreateUpload", kind="fail", reason="Out of disk")
    upload_id = me.start("sales")
    ended = me.ended("sales", upload_id)
    assert (ended["status"], ended["message"], ended["metrics"]) == ("FAILED", "Out of disk", {})
    served.server.add_fault(operation="GetUpload", kind="unknown_status", value="QUEUED")
    assert me.upload("sales", upload_id)["status"] == "QUEUED"
    served.server.add_fault(operation="CreateUpload", kind="lost_answer")
    assert me.call("POST", "uploads/sales", me.order()).status_code == 504
    assert len(me.done("POST", "uploads/list")["uploads"]) == 2


def test_a_data_set_that_is_deleted_meanwhile(served):
    me = Advertiser(served.api)
    me.data_set("sales", PRODUCT)
    served.server.add_fault(operation="CreateUpload", kind="duration", seconds=60)
    upload_id = me.start("sales")
    me.done("DELETE", "dataSets/sales")
    served.server.advance_clock(60)
    ended = me.ended("sales", upload_id)
    assert (ended["status"], ended["message"]) == ("FAILED", "Data set with ID sales does not exist.")


def test_reset_forgets_everything(served):
    me = Advertiser(served.api)
    me.data_set("sales", PRODUCT)
    served.server.add_fault(operation="CreateUpload", kind="duration", seconds=60)
    me.start("sales")
    served.server.reset()
    assert me.done("POST", "uploads/list") == {"uploads": []}
    assert me.done("POST", "dataSets/list") == {"dataSets": []}
    me.data_set("sales", PRODUCT)


# -- what is read ------------------------------------------------------------------------------------------------------
@pytest.mark.covers("rule", "uploads from a file, a prefix or a manifest")
def test_a_prefix_and_a_manifest(me, s3, bucket, put):
    other = f"{bucket}-2"
    s3.create_bucket(Bucket=other)
    for key in (
        "day/a.csv",
        "day/b.csv",
        "day/more/c.csv",
        "day/_SUCCESS",
        "day/.hidden.csv",
        "day/folder/",
        "else.csv",
    ):
        put(key, CSV if key.endswith(".csv") and "hidden" not in key else "")
    put("d.csv", CSV, bucket=other)
    ended = me.ended("sales", me.start("sales", dataSource=at(bucket, sourceS3Prefix="day/")))
    assert ended["metrics"] == {"OutputRowCount": 6}
    put("manifest.txt", f"s3://{bucket}/else.csv\n\ns3://{other}/d.csv\ns3://{bucket}/day/_SUCCESS\n")
    ended = me.ended("sales", me.start("sales", dataSource=at(bucket, sourceManifestS3Key="manifest.txt")))
    assert ended["metrics"] == {"OutputRowCount": 4}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ({"sourceFileS3Key": "none.csv"}, "No such file or directory 's3://{}/none.csv'"),
        ({"sourceFileS3Key": "_hidden.csv"}, "No such file or directory 's3://{}/_hidden.csv'"),
        ({"sourceS3Prefix": "none/"}, "No such file or directory 's3://{}/none/'"),
        ({"sourceManifestS3Key": "none.txt"}, "No such file or directory 's3://{}/none.txt'"),
        (
            {"sourceManifestS3Key": "wrong.txt"},
            "A line of the manifest s3://{}/wrong.txt is not an address such as s3://bucket/key",
        ),
        ({"sourceManifestS3Key": "many.txt"}, "An upload can read from at most 100 buckets"),
    ],
)
def test_what_is_not_there(me, bucket, put, key, told):
    put("_hidden.csv")
    put("wrong.txt", "rows.csv\n")
    put("many.txt", "".join(f"s3://bucket-{number}/a.csv\n" for number in range(101)))
    ended = me.ended("sales", me.start("sales", dataSource=at(bucket, **key)))
    assert (ended["status"], ended["message"]) == ("FAILED", told.format(bucket))
    assert ended["metrics"] == {}


def test_a_bucket_that_is_not_there(me, s3):
    source = at("nobodys-bucket-at-all", sourceFileS3Key="a.csv")
    ended = me.ended("sales", me.start("sales", dataSource=source))
    assert ended["message"] == "No such file or directory 's3://nobodys-bucket-at-all/a.csv'"


def test_no_s3_at_all(serve):
    me = Advertiser(serve(s3_endpoint_url="http://127.0.0.1:9").api)
    me.data_set("sales", PRODUCT)
    ended = me.ended("sales", me.start("sales"))
    assert ended["status"] == "FAILED"
    assert ended["message"].startswith("s3://bucket/rows.csv cannot be read: S3 cannot be reached")


@pytest.mark.covers("switch", "bucket_tags")
def test_tags_can_be_required(serve, s3_url, s3, bucket, put):
    me = Advertiser(serve(s3_endpoint_url=s3_url, bucket_tags="require").api)
    me.data_set("sales", PRODUCT, QUANTITY)
    put("untagged.csv")
    put("tagged.csv", Tagging="instanceId=amcother amcemulator")
    put("other.csv", Tagging="instanceId=amcemulator2")

    def message_of(key: str) -> str | None:
        return me.ended("sales", me.start("sales", dataSource=at(bucket, sourceFileS3Key=key))).get("message")

    assert message_of("tagged.csv") is None
    for key in ("untagged.csv", "other.csv"):
        assert message_of(key) == (
            f"Access Denied: neither the bucket nor the object s3://{bucket}/{key} has the tag instanceId with the "
            "value amcemulator"
        )
    tags = {"TagSet": [{"Key": "instanceId", "Value": "amcemulator"}]}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tags)
    assert message_of("untagged.csv") is None


# -- rows --------------------------------------------------------------------------------------------------------------
TYPED = [
    *({"name": kind.lower(), "dataType": kind, "columnType": "DIMENSION"} for kind in ("INTEGER", "LONG", "DECIMAL")),
    *({"name": f"a_{kind.lower()}", "dataType": kind, "columnType": "DIMENSION"} for kind in ("TIMESTAMP", "DATE")),
    {"name": "needed", "dataType": "STRING", "columnType": "DIMENSION", "nullable": False},
    {"name": "country", "dataType": "STRING", "columnType": "DIMENSION", "isCountryCode": True},
    {"name": "consent", "dataType": "STRING", "columnType": "DIMENSION", "consentType": "AMZN_USER_DATA"},
    EMAIL,
]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"integer": 2**31}, "the column integer has a value that is not an INTEGER of 32 bits"),
        ({"integer": "1.0"}, "the column integer has a value that is not an INTEGER of 32 bits"),
        ({"long": "9223372036854775808"}, "the column long has a value that is not a LONG of 64 bits"),
        ({"decimal": "1,5"}, "the column decimal has a value that is not a DECIMAL"),
        (
            {"a_timestamp": "2026-03-01 10:00:00"},
            "the column a_timestamp has a value that is not a TIMESTAMP such as 2022-08-02T08:00:00Z",
        ),
        ({"a_timestamp": "2026-02-30T10:00:00Z"}, "the column a_timestamp has a value that is not a TIMESTAMP such"),
        ({"a_date": "3/1/2026"}, "the column a_date has a value that is not a DATE such as 2022-08-02"),
        ({"needed": None}, "the column needed must not be empty"),
        ({"country": "Germany"}, "the column country has a value that is no country code such as US"),
        ({"consent": "YES"}, "the column consent has a value that is neither GRANTED nor DENIED"),
        (
            {"email": "someone@example.com"},
            "the column email has a value that is not hashed with SHA-256 (64 hexadecimal digits)",
        ),
    ],
)
@pytest.mark.covers("rule", "one wrong row rejects an upload")
def test_rows_that_do_not_fit(me, bucket, put, row, told):
    me.data_set("typed", *TYPED)
    good = {
        "integer": -5,
        "long": 2**62,
        "decimal": 1.25,
        "a_timestamp": "2026-03-01T10:00:00Z",
        "a_date": "2026-03-01",
        "needed": "x",
        "country": "DE",
        "consent": "GRANTED",
        "email": someone(1),
    }
    put("rows.json", "\n".join(json.dumps(one) for one in (good, {"needed": "only"}, {**good, **row})))
    order: dict[str, Any] = {
        "dataSource": at(bucket, sourceFileS3Key="rows.json"),
        "fileFormat": {"jsonDataFormat": "LINES"},
    }
    ended = me.ended("typed", me.start("typed", **order))
    assert ended["status"] == "FAILED"
    assert ended["message"].startswith(f"Row 3 of s3://{bucket}/rows.json: {told}")
    assert not any(str(value) in ended["message"] for value in row.values() if value is not None)


def test_files_with_other_columns(me, bucket, put):
    put("more.csv", "product,price\nTent,1\n")
    put("twice.csv", "product,Product\nTent,Tent\n")
    put("fewer.csv", "quantity\n5\n")
    me.data_set("facts", PRODUCT, TIME)
    for name, key, told in (
        ("sales", "more.csv", f"s3://{bucket}/more.csv has the column price, which the data set does not have"),
        ("sales", "twice.csv", f"s3://{bucket}/twice.csv has two columns of the same name"),
        ("facts", "timeless.csv", f"Row 1 of s3://{bucket}/timeless.csv: the column bought must not be empty"),
    ):
        put("timeless.csv", "product\nTent\n")
        ended = me.ended(name, me.start(name, dataSource=at(bucket, sourceFileS3Key=key)))
        assert (ended["status"], ended.get("message")) == ("FAILED", told)
    ended = me.ended("sales", me.start("sales", dataSource=at(bucket, sourceFileS3Key="fewer.csv")))
    assert ended["metrics"] == {"OutputRowCount": 1}
