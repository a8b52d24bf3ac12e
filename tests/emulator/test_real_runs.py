"""Whole runs over HTTP with the real query engine: what a result file looks like, what an instance allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from tests.emulator.api import Api

WINDOW = {"timeWindowStart": "2026-02-01T00:00:00", "timeWindowEnd": "2026-03-01T00:00:00"}
ROWS = [
    {"user_id": f"user-{number}", "campaign": campaign, "impressions": 1, "total_cost": 12345.5, **more}
    for campaign, more in (
        ("plain", {"impression_dt_utc": "2026-02-03T04:05:06.789", "impression_date_utc": "2026-02-03"}),
        ('it\'s | a "test"\\', {}),
        ("", {}),
        (None, {}),
    )
    for number in range(3)
]


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(port=0, scale="tiny", now="2026-03-15T10:00:00Z", rows_per_file=50) as running:
        running.load_table("dsp_clicks", [])
        running.load_table("dsp_impressions", ROWS)
        yield running


@pytest.fixture
def api(server: EmulatorServer) -> Api:
    return Api(server.url)


UNCONTROLLED = {"requireSyntheticData": True, "disableAggregationControls": True}


def result(api: Api, sql: str, run: Mapping[str, Any] | None = None, **fields: Any) -> str:
    done = api.finished(workflow={"sqlQuery": sql, **fields}, **WINDOW, **(run or {}))
    assert done["status"] == "SUCCEEDED", done.get("statusReason")
    (url,) = api.urls(done["workflowExecutionId"])["downloadUrls"]
    answer = api.download(url)
    answer.encoding = "utf-8"
    return answer.text


@pytest.mark.covers("rule", "texts of a result file", note="dates, timestamps, numbers, NULL and empty strings")
def test_texts_of_a_result(api: Api) -> None:
    sql = """
        SELECT campaign, MAX(impression_dt_utc) AS moment, MAX(CAST(impression_dt_utc AS DATE)) AS day,
          COUNT(DISTINCT user_id) AS users, SUM(total_cost) AS cost, CAST(SUM(total_cost) AS DECIMAL(20, 3)) AS exact,
          COUNT(*) > 1 AS several
        FROM dsp_impressions GROUP BY campaign"""
    api.instance = "amcsandbox"
    header, *lines = result(api, sql, UNCONTROLLED).splitlines()
    assert header == "campaign,moment,day,users,cost,exact,several"
    assert sorted(lines) == sorted(
        [
            "plain,2026-02-03T04:05:06.789,2026-02-03,3,37036.5,37036.500,true",
            '"it\'s | a ""test""\\",,,3,37036.5,37036.500,true',
            '"",,,3,37036.5,37036.500,true',
            ",,,3,37036.5,37036.500,true",
        ]
    )


@pytest.mark.covers("rule", "outputFormat")
def test_the_workflow_chooses_the_characters_of_its_files(api: Api) -> None:
    style = {"separatorCharacter": "|", "quoteCharacter": "'", "escapeCharacter": "\\"}
    sql = "SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY campaign"
    header, *lines = result(api, sql, outputFormat=style).splitlines()
    assert header == "campaign|n"
    assert sorted(lines) == sorted(["plain|3", r"'it\'s | a \"test\"\\'|3".replace('\\"', '"'), "''|3", "|3"])


@pytest.mark.covers("rule", "empty result is a file with only the header")
def test_empty_result(api: Api) -> None:
    assert result(api, "SELECT campaign, COUNT(*) AS n FROM dsp_clicks GROUP BY campaign") == "campaign,n\n"


def test_values_of_parameters_arrive_typed(api: Api) -> None:
    sql = "SELECT SUM(impressions * CUSTOM_PARAMETER('n')) AS n FROM dsp_impressions"
    workflow = {"sqlQuery": sql, "inputParameters": [{"name": "n", "dataType": "LONG", "defaultValue": "2"}]}
    assert api.rows(api.finished(workflow=workflow, **WINDOW)["workflowExecutionId"]) == [["n"], ["24"]]
    done = api.finished(workflow=workflow, parameterValues={"n": "5"}, **WINDOW)
    assert api.rows(done["workflowExecutionId"]) == [["n"], ["60"]]
    done = api.finished(workflow=workflow, parameterValues={"n": "five"}, **WINDOW)
    assert (done["status"], "n" in done["statusReason"]) == ("REJECTED", True)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT nothing FROM dsp_impressions", "nothing"),
        ("SELECT campaign FROM dsp_impression GROUP BY campaign", "dsp_impression"),
        ("SELECT campaign FROM dsp_impressions GROUP BY campaign LIMIT 5", "LIMIT"),
        ("SELECT CUSTOM_PARAMETER('p') AS p, COUNT(*) AS n FROM dsp_impressions", "p"),
        ("SELECT campaign COUNT(*) FROM dsp_impressions", "line 1, column"),
    ],
)
@pytest.mark.covers("rule", "a definition that is not valid is refused at create, an ad-hoc run is rejected later")
def test_sql_that_is_not_valid(api: Api, sql: str, text: str) -> None:
    answer = api.reporting("POST", "workflows", {"workflowId": "bad", "sqlQuery": sql})
    assert answer.status_code == 400
    assert answer.json()["details"].startswith("Was unable to compile workflow bad because it was found to be invalid")
    assert text in answer.json()["details"]
    done = api.finished(sql)
    assert done["status"] == "REJECTED"
    assert text in done["statusReason"]


def test_query_that_fails_on_its_rows(api: Api) -> None:
    done = api.finished("SELECT SUM(impressions * 9000000000000000000 * 9) AS n FROM dsp_impressions", **WINDOW)
    assert done["status"] == "FAILED"
    assert "verflow" in done["statusReason"]


GROUPED = "SELECT campaign, COUNT(DISTINCT user_id) AS users FROM dsp_impressions GROUP BY campaign"
EVENTS = "SELECT user_id, campaign FROM dsp_impressions"


@pytest.mark.parametrize(
    ("instance", "sql", "flags", "status", "output"),
    [
        ("amcemulator", GROUPED, {}, "SUCCEEDED", True),
        ("amcemulator", EVENTS, {}, "REJECTED", False),
        ("amcemulator", GROUPED, {"requireSyntheticData": True}, "REJECTED", False),
        ("amcemulator", EVENTS, {"disableAggregationControls": True}, "SUCCEEDED", False),
        ("amcemulator", EVENTS, {"disableAggregationControls": True, "requireSyntheticData": True}, "REJECTED", False),
        ("amcsandbox", GROUPED, {}, "REJECTED", False),
        ("amcsandbox", GROUPED, {"disableAggregationControls": True}, "REJECTED", False),
        ("amcsandbox", GROUPED, {"requireSyntheticData": True}, "SUCCEEDED", True),
        ("amcsandbox", EVENTS, {"requireSyntheticData": True}, "REJECTED", False),
        ("amcsandbox", EVENTS, {"requireSyntheticData": True, "disableAggregationControls": True}, "SUCCEEDED", True),
    ],
)
@pytest.mark.covers("rule", "disableAggregationControls gives output over synthetic data only")
def test_what_an_instance_allows(
    api: Api, instance: str, sql: str, flags: dict[str, bool], status: str, output: bool
) -> None:
    api.instance = instance
    done = api.finished(sql, **WINDOW, **flags)
    assert (done["status"], bool(done.get("statusReason"))) == (status, status == "REJECTED")
    answer = api.reporting("GET", f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls")
    assert answer.status_code == (200 if output else 404)


def test_a_workflow_of_the_sandbox_can_show_events(api: Api) -> None:
    workflow = {"workflowId": "events", "sqlQuery": EVENTS}
    assert api.reporting("POST", "workflows", workflow).status_code == 400
    api.instance = "amcsandbox"
    assert api.reporting("POST", "workflows", workflow).status_code == 200


@pytest.mark.covers("rule", "tables of a sandbox")
def test_tables_of_the_sandbox(api: Api) -> None:
    api.instance = "amcsandbox"
    listed = api.reporting("GET", "dataSources").json()["dataSources"]
    names = {one["dataSourceId"] for one in listed}
    assert "sandbox.dsp_impressions" in names
    assert all(name.startswith("sandbox.") for name in names)
    assert api.reporting("GET", "dataSources/sandbox.dsp_views").json()["dataSourceId"] == "sandbox.dsp_views"
    assert "audience" not in " ".join(names)
    for table, status in (
        ("dsp_views", "SUCCEEDED"),
        ("sandbox.dsp_views", "SUCCEEDED"),
        ("segment_metadata", "REJECTED"),
    ):
        done = api.finished(f"SELECT COUNT(*) AS n FROM {table}", requireSyntheticData=True)
        assert (table, done["status"]) == (table, status)
    api.instance = "amcemulator"
    assert api.finished("SELECT COUNT(*) AS n FROM segment_metadata")["status"] == "SUCCEEDED"


def test_an_id_that_is_longer_than_a_file_name(api: Api) -> None:
    workflow = {"workflowId": "w" * 300, "sqlQuery": GROUPED}
    assert api.reporting("POST", "workflows", workflow).status_code == 200
    done = api.finished(workflow=None, workflowId="w" * 300, **WINDOW)
    assert api.rows(done["workflowExecutionId"])[0] == ["campaign", "users"]
