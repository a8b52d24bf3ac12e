"""What advertisers uploaded, read by AMC SQL on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from tests.emulator.advertiser import EMAIL, PRODUCT, QUANTITY, TIME, Advertiser, record, someone
from tests.emulator.api import Api, wait_for
from tests.services import moto_server

BUCKET = "advertiser-tables"


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[str, Any]]:
    """Address of an S3, and a client of it that can write."""
    with moto_server() as url:
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        client.create_bucket(Bucket=BUCKET)
        yield url, client


@pytest.fixture(scope="module")
def server(s3) -> Iterator[EmulatorServer]:
    with EmulatorServer(port=0, scale="tiny", now="2026-03-20T06:00:00Z", s3_endpoint_url=s3[0]) as running:
        yield running


@pytest.fixture
def me(server, s3, monkeypatch) -> Advertiser:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    server.reset()
    return Advertiser(Api(server.url))


def purchases(people: range, day: str = "2026-03-05") -> list[str]:
    """Rows of purchases, one by each person."""
    return [f"{someone(number)},{'Tent' if number % 2 else 'Mug'},{number},{day}T10:00:00Z" for number in people]


def load(me: Advertiser, s3: tuple[str, Any], name: str, rows: list[str], header: str, **order: Any) -> int:
    """Upload rows and tell how many were taken."""
    key = f"{me.instance}/{name}.csv"
    s3[1].put_object(Bucket=BUCKET, Key=key, Body="\n".join([header, *rows]).encode())
    source = {"sourceS3Bucket": BUCKET, "sourceFileS3Key": key}
    ended = me.ended(name, me.start(name, dataSource=source, **order))
    assert ended["status"] == "SUCCESS", ended
    return int(ended["metrics"]["OutputRowCount"])


HEADER = "email,product,quantity,bought"
COLUMNS = (EMAIL, PRODUCT, QUANTITY, TIME)


@pytest.mark.covers("rule", "uploaded data sets can be queried in their instance")
def test_an_uploaded_data_set_is_a_table(me, s3, server):
    me.data_set("sales", *COLUMNS, description="What was bought")
    assert me.query("SELECT product FROM sales GROUP BY product") == []
    assert load(me, s3, "sales", purchases(range(1000)), HEADER) == 1000
    sql = "SELECT product, COUNT(1) AS n, SUM(quantity) AS q FROM sales GROUP BY product"
    assert me.query(sql) == [["Mug", "500", "249500"], ["Tent", "500", "250000"]]
    (source,) = [one for one in me.api.reporting("GET", "dataSources").json()["dataSources"] if _is(one, "sales")]
    assert (source["owner"], source["description"]) == ("CUSTOMER", "What was bought")
    assert [one["name"] for one in source["columns"]] == ["product", "quantity", "bought", "user_id", "user_id_type"]
    other = Advertiser(Api(server.url, "amcsandbox"))
    assert "Object 'sales' not found" in other.rejection(sql, requireSyntheticData=True)
    me.done("DELETE", "dataSets/sales")
    assert "Object 'sales' not found" in me.rejection(sql)


def _is(source: dict[str, Any], name: str) -> bool:
    return bool(source["dataSourceId"] == name)


@pytest.mark.covers("rule", "a sandbox takes uploads, too")
def test_uploads_into_a_sandbox(server, s3, me):
    sandbox = Advertiser(Api(server.url, "amcsandbox"))
    sandbox.data_set("sales", *COLUMNS)
    load(sandbox, s3, "sales", purchases(range(500)), HEADER)
    flags = {"requireSyntheticData": True, "disableAggregationControls": True}
    ((matched, total),) = sandbox.query("SELECT COUNT(user_id) AS m, COUNT(1) AS n FROM sales", **flags)
    assert total == "500"
    assert 360 <= int(matched) <= 440
    rows = sandbox.query("SELECT user_id, user_id_type FROM sandbox.sales WHERE user_id IS NOT NULL", **flags)
    assert {kind for _, kind in rows} == {"adUserId", "sisDeviceId", "adBrowserId"}
    seen = sandbox.query("SELECT user_id, user_id_type FROM dsp_impressions GROUP BY user_id, user_id_type", **flags)
    types = dict(seen)  # type: ignore[arg-type]
    known = [(user, kind) for user, kind in rows if user in types]
    assert known
    assert all(types[user] == kind for user, kind in known)


@pytest.mark.covers("rule", "matched users of uploads join with the events of AMC")
def test_matched_users_join_with_ads(me, s3):
    me.data_set("customers", EMAIL, {**PRODUCT, "name": "tier"})
    load(me, s3, "customers", [f"{someone(n)},{'gold' if n % 2 else 'silver'}" for n in range(3000)], "email,tier")
    sql = (
        "SELECT c.tier, COUNT(DISTINCT c.user_id) AS u FROM customers c JOIN dsp_impressions i "
        "ON c.user_id = i.user_id WHERE c.tier = 'gold' GROUP BY c.tier"
    )
    ((tier, users),) = me.query(sql, timeWindowStart="2025-04-01T00:00:00")
    assert tier == "gold"
    assert int(users) >= 100


@pytest.mark.covers("rule", "rows of uploads need 100 users")
def test_a_hundred_users_are_needed(me, s3):
    me.data_set("sales", *COLUMNS)
    few = [row.replace("Mug", "Rare").replace("Tent", "Rare") for row in purchases(range(5000, 5100))]
    load(me, s3, "sales", [*purchases(range(1000)), *few], HEADER)
    shown = me.query("SELECT product, COUNT(1) AS n FROM sales GROUP BY product")
    assert [product for product, _ in shown] == ["Mug", "Tent"]
    assert "user_id" in me.rejection("SELECT user_id, COUNT(1) AS n FROM sales GROUP BY user_id")


@pytest.mark.covers("rule", "identities of uploads cannot be queried")
def test_identities_are_gone(me, s3):
    me.data_set("sales", *COLUMNS)
    load(me, s3, "sales", purchases(range(10)), HEADER)
    assert "'email' not found" in me.rejection("SELECT email FROM sales")


@pytest.mark.covers("rule", "dimension sets ignore the time window, fact sets keep to it")
def test_the_time_window(me, s3):
    me.data_set("sales", *COLUMNS)
    me.data_set("people", *COLUMNS[:3])
    load(me, s3, "sales", [*purchases(range(400)), *purchases(range(400, 900), "2026-02-05")], HEADER)
    load(me, s3, "people", [row.rpartition(",")[0] for row in purchases(range(900))], "email,product,quantity")
    assert me.query("SELECT COUNT(1) AS n FROM sales") == [["400"]]
    assert me.query("SELECT COUNT(1) AS n FROM sales", timeWindowStart="2026-02-01T00:00:00") == [["900"]]
    assert me.query("SELECT COUNT(1) AS n FROM people") == [["900"]]


@pytest.mark.covers("rule", "tables of advertisers win over Amazon's of the same name")
def test_own_tables_win(me, s3, server):
    me.data_set("dsp_clicks", EMAIL, PRODUCT)
    load(me, s3, "dsp_clicks", [f"{someone(n)},Tent" for n in range(1000)], "email,product")
    assert me.query("SELECT product, COUNT(1) AS n FROM dsp_clicks GROUP BY product") == [["Tent", "1000"]]
    assert "'clicks' not found" in me.rejection("SELECT SUM(clicks) AS c FROM dsp_clicks")
    me.done("DELETE", "dataSets/dsp_clicks")
    assert me.query("SELECT SUM(clicks) AS c FROM dsp_clicks") != []


@pytest.mark.parametrize(
    ("strategy", "taken", "months"),
    [
        ("ADDITIVE", 400, {"2": 300, "3": 500, "4": 200}),
        ("FULL_REPLACE", 400, {"3": 200, "4": 200}),
        ("OVERLAP_REPLACE", 400, {"2": 300, "3": 200, "4": 200}),
        ("OVERLAP_KEEP", 200, {"2": 300, "3": 300, "4": 200}),
    ],
)
@pytest.mark.covers("rule", "update strategies of uploads")
def test_strategies(me, s3, strategy, taken, months):
    me.data_set("sales", *COLUMNS, period="P1M")
    before = [*purchases(range(300), "2026-02-28"), *purchases(range(300, 600), "2026-03-01")]
    after = [*purchases(range(600, 800), "2026-03-31"), *purchases(range(800, 1000), "2026-04-01")]
    assert load(me, s3, "sales", before, HEADER) == 600
    assert load(me, s3, "sales", after, HEADER, updateStrategy=strategy) == taken
    window = {"timeWindowStart": "2026-02-01T00:00:00", "timeWindowEnd": "2026-05-01T00:00:00"}
    sql = "SELECT EXTRACT(MONTH FROM bought) AS m, COUNT(1) AS n FROM sales GROUP BY 1"
    assert {month: int(number) for month, number in me.query(sql, **window)} == months


@pytest.mark.parametrize(("period", "left"), [("PT1H", 900), ("P1D", 600)])
def test_periods(me, s3, period, left):
    """One hour of the day is uploaded again: either that hour or the whole day is replaced."""
    me.data_set("sales", *COLUMNS, period=period)
    hours = [row.replace("T10:", "T11:") for row in purchases(range(300))]
    load(me, s3, "sales", [*purchases(range(300, 600)), *hours], HEADER)
    load(me, s3, "sales", purchases(range(600, 1200)), HEADER, updateStrategy="OVERLAP_REPLACE")
    assert me.query("SELECT COUNT(1) AS n FROM sales") == [[str(left)]]


@pytest.mark.covers("rule", "columns of a data set change with its rows")
def test_columns_change_with_the_rows(me, s3):
    me.data_set("sales", *COLUMNS)
    load(me, s3, "sales", purchases(range(600)), HEADER)
    me.done("PUT", "dataSets/sales/columns/product", {"updatedColumnName": "item"})
    me.done("POST", "dataSets/sales/columns", {"column": {**PRODUCT, "name": "shop"}})
    me.done("DELETE", "dataSets/sales/columns/quantity")
    sql = "SELECT item, COUNT(1) AS n, COUNT(shop) AS s FROM sales GROUP BY item"
    assert me.query(sql) == [["Mug", "300", "0"], ["Tent", "300", "0"]]
    assert "'quantity' not found" in me.rejection("SELECT SUM(quantity) AS q FROM sales")
    rows = [f"{row.split(',')[0]},Mug,Leeds,2026-03-06T10:00:00Z" for row in purchases(range(200))]
    load(me, s3, "sales", rows, "email,item,shop,bought")
    assert me.query(sql) == [["Mug", "500", "200"], ["Tent", "300", "0"]]


def test_the_column_of_the_user_may_have_any_name(me, s3):
    own = {"name": "who", "dataType": "STRING", "columnType": "DIMENSION", "isMainUserId": True}
    me.data_set("sales", EMAIL, PRODUCT, own)
    # What the file says about the user does not count
    load(me, s3, "sales", [f"{someone(n)},Tent,made up" for n in range(1000)], "email,product,who")
    ((product, users, rows),) = me.query(
        "SELECT product, COUNT(DISTINCT who) AS u, COUNT(1) AS n FROM sales GROUP BY 1"
    )
    assert (product, rows) == ("Tent", "1000")
    assert 300 <= int(users) <= 800


@pytest.mark.covers("rule", "deleted users are gone from every data set")
def test_deleted_users(me, s3):
    me.data_set("sales", *COLUMNS)
    me.data_set("people", EMAIL, PRODUCT)
    load(me, s3, "sales", purchases(range(600)) * 2, HEADER)
    load(me, s3, "people", [f"{someone(n)},Tent" for n in range(600)], "email,product")
    gone = [{"hashedIdentity": {"EMAIL": someone(n).upper()}} for n in (1, 2, 3, 9999)]
    request_id = me.done("POST", "userDeletionRequest", {"targetIdentities": gone})["userDeletionRequestId"]
    path = f"userDeletionRequest/{request_id}"
    wait_for(lambda: me.done("GET", path)["identityDeletion"]["status"] == "SUCCEEDED", "the deletion")
    assert me.query("SELECT COUNT(1) AS n FROM sales") == [[str(2 * 597)]]
    assert me.query("SELECT COUNT(1) AS n FROM people") == [["597"]]


@pytest.mark.covers("rule", "members of audiences can be queried in their instance")
def test_audiences_are_tables(me, server):
    audience_id = me.audience(me.connection(), ttl=86_400)
    size = me.job(me.send(audience_id, [record(number) for number in range(500)]))["audienceSize"]
    me.job(me.send(audience_id, [record(number, "DELETE") for number in range(100)]))
    sources = [one["dataSourceId"] for one in me.api.reporting("GET", "dataSources").json()["dataSources"]]
    (members,) = [name for name in sources if name.startswith("emulator_audience_members_")]
    (logs,) = [name for name in sources if name.startswith("emulator_audience_logs_")]
    sql = f"SELECT COUNT(user_id) AS n FROM {members} WHERE audience_id = '{audience_id}'"
    ((now,),) = me.query(sql)
    assert 0 < int(now) < size["idResolutionCount"]
    changes = me.query(f"SELECT action, COUNT(1) AS n FROM {logs} WHERE audience_id = {audience_id} GROUP BY action")
    assert dict(changes)["CREATE"] == str(size["idResolutionCount"])  # type: ignore[arg-type]

    server.advance_clock(86_400)
    assert me.query(sql, timeWindowStart="2026-03-19T00:00:00") in ([], [["0"]])
    me.api.call("PUT", f"audiences/metadata/{audience_id}", {"metadata": {"ttl": 864_000}})
    assert me.query(sql) == [[now]]
    server.set_clock("2026-03-20T06:00:00Z")


def test_everything_is_there_after_a_restart(s3, me, tmp_path):
    settings: dict[str, Any] = {"scale": "tiny", "state_dir": tmp_path, "now": "2026-03-20T06:00:00Z"}
    for start in range(2):
        with EmulatorServer(port=0, s3_endpoint_url=s3[0], **settings) as running:
            again = Advertiser(Api(running.url))
            if start == 0:
                again.data_set("sales", *COLUMNS)
                load(again, s3, "sales", purchases(range(700)), HEADER)
            assert again.query("SELECT COUNT(1) AS n FROM sales") == [["700"]]
            assert [one["dataSetId"] for one in again.done("POST", "dataSets/list")["dataSets"]] == ["sales"]
