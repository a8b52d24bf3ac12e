"""Announced work when things go wrong: the emulator itself fails, is killed in between, finds no credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.emulator import audience_tables, columns, ingest
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.identities import Matcher
from airflow_provider_amc.emulator.s3source import S3Object, S3Source
from airflow_provider_amc.emulator.shelf import AdvertiserColumn, AdvertiserTable, Shelf
from tests.emulator.advertiser import EMAIL, PRODUCT, Advertiser, record, someone
from tests.services import BUCKET, moto_server


class OneFile(S3Source):
    """An S3 with one file."""

    def __init__(self, text: str) -> None:
        super().__init__(None, EmulatorConfig().bucket_tags)
        self._text = text

    def objects(self, source: Any, instance_id: str) -> list[S3Object]:
        return [S3Object("bucket", "rows.csv")]

    def read(self, one: S3Object) -> bytes:
        return self._text.encode()


def order(upload_id: str) -> ingest.UploadOrder:
    data_set = {"dataSetId": "sales", "columns": columns.columns([EMAIL, PRODUCT])}
    return ingest.UploadOrder("amcemulator", upload_id, data_set, {}, {"csvDataFormat": {}}, "NONE", "ADDITIVE")


@pytest.mark.covers("rule", "an upload that is done again after a crash changes nothing twice")
def test_an_upload_is_done_once(tmp_path: Path) -> None:
    s3, matcher = OneFile(f"email,product\n{someone(1)},Tent\n{someone(2)},Mug\n"), Matcher(7, "tiny")
    for upload_id, rows in (("first", 2), ("first", 2), ("second", 4), ("second", 4)):
        # A new shelf each time, as after a restart
        assert ingest.upload(order(upload_id), s3, matcher, Shelf(tmp_path)) == 2
        kept = Shelf(tmp_path).rows("amcemulator", "sales")
        assert kept is not None
        assert kept.num_rows == rows


def test_a_job_is_done_once(tmp_path: Path) -> None:
    import datetime as dt

    records = [record(number) for number in range(50)]
    change = audience_tables.Change("amcemulator", 5, 60, dt.datetime(2026, 3, 1), records, "job")
    matcher = Matcher(7, "tiny")
    first = audience_tables.apply(change, matcher, Shelf(tmp_path))
    logs = audience_tables.logs("amcemulator").name
    (before, after) = (
        (audience_tables.apply(change, matcher, Shelf(tmp_path)), Shelf(tmp_path).rows("amcemulator", logs))
        for _ in range(2)
    )
    assert before[0] == after[0] == first
    assert after[1] is not None
    assert after[1].num_rows == first[0]


def test_a_shelf_tells_what_changed(tmp_path: Path) -> None:
    column = AdvertiserColumn("product", "STRING", "DIMENSION", "MEDIUM", "What")
    shelf = Shelf(tmp_path)
    assert not shelf.any()
    rows = ingest.empty_rows([columns.column(PRODUCT)])
    for name in ("a", "b"):
        shelf.put(AdvertiserTable("amcemulator", name, columns=(column,)), rows)
    changes = list(shelf.changes(0))
    assert [(name, table is not None) for _, _, name, table in changes] == [("a", True), ("b", True)]
    last = changes[-1][0]
    shelf.drop("amcemulator", "a")
    assert [(name, table) for _, _, name, table in shelf.changes(last)] == [("a", None)]
    again = Shelf(tmp_path)
    assert again.get("amcemulator", "b") == AdvertiserTable("amcemulator", "b", columns=(column,))
    assert again.instances() == ["amcemulator"]
    again.clear("other")
    assert again.get("amcemulator", "b") is not None
    again.clear()
    assert not Shelf(tmp_path).any()


def test_the_emulator_itself_fails(served, monkeypatch):
    me = Advertiser(served.api)
    me.data_set("sales", PRODUCT)

    def broken(*_: Any) -> int:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(ingest, "upload", broken)
    ended = me.ended("sales", me.start("sales"))
    assert (ended["status"], ended["message"]) == ("FAILED", "The emulator failed: a mistake")
    monkeypatch.setattr(audience_tables, "apply", broken)
    assert me.job(me.send(me.audience(me.connection()), [record(1)]))["jobState"] == "FAILED"


def test_deleting_an_instance_deletes_what_was_uploaded(served):
    api = served.api
    made = api.call("POST", "instances", {"instanceName": "For a while"}).json()["instance"]["instanceId"]
    me = Advertiser(api, made)
    me.data_set("sales", PRODUCT)
    served.server.add_fault(operation="CreateUpload", kind="duration", seconds=60)
    me.start("sales")
    assert api.call("DELETE", f"instances/{made}").status_code == 204
    served.server.advance_clock(60)
    assert served.server.emulator.shelf.instances() == []


def test_s3_without_credentials(monkeypatch, tmp_path):
    """A local S3 asks for none, so the emulator needs none either."""
    import boto3

    with moto_server() as url:
        s3 = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        s3.create_bucket(Bucket=f"{BUCKET}-open")
        s3.put_object(Bucket=f"{BUCKET}-open", Key="a.csv", Body=b"x")
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "DEFAULT_REGION"):
            monkeypatch.delenv(f"AWS_{name}", raising=False)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        assert S3Source(url, "ignore").read(S3Object(f"{BUCKET}-open", "a.csv")) == b"x"
