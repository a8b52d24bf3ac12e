"""The calls of Amazon's AMC notebook for Python, in its order and with its spellings, over the real query engine.

The notebook posts JSON text without a content type, sends booleans and numbers as text, joins scopes with ``&``, and
lists executions with an execution id as ``workflowId``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from types import SimpleNamespace

import pandas
import pytest
import requests

from airflow_provider_amc.emulator.server import EmulatorServer
from tests.emulator.api import ACCOUNT, CLIENT_ID, FINISHED, MARKETPLACE, SECRET, wait_for

SQL = """
SELECT campaign, SUM(total_purchases) AS orders_in_9_days
FROM amazon_attributed_events_by_traffic_time -- one row a conversion
WHERE SECONDS_BETWEEN(traffic_event_dt_utc, conversion_event_dt_utc) <= 60 * 60 * 24 * 9
GROUP BY campaign
"""


@pytest.fixture(scope="module")
def session() -> Iterator[SimpleNamespace]:
    """What the notebook keeps in its variables from cell to cell."""
    with EmulatorServer(port=0, now="2026-03-01T12:00:00Z") as server:
        http = requests.Session()
        http.trust_env = False
        yield SimpleNamespace(http=http, url=server.url, instanceid="amcemulator", server=server)


@pytest.fixture(scope="module")
def headers(session) -> dict[str, str]:
    refresh_body = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "refresh_token": "Atzr|emulator",
    }
    answer = session.http.post(session.url + "/auth/o2/token", data=refresh_body)
    assert answer.ok, answer.text
    return {
        "Authorization": "Bearer " + answer.json()["access_token"],
        "Amazon-Advertising-API-ClientId": CLIENT_ID,
        "Amazon-Advertising-API-MarketplaceId": MARKETPLACE,
        "Amazon-Advertising-API-AdvertiserId": ACCOUNT,
    }


@pytest.fixture(scope="module")
def reporting(session, headers):
    def call(method: str, path: str, body: object = None) -> requests.Response:
        url = f"{session.url}/amc/reporting/{session.instanceid}/{path}"
        data = None if body is None else json.dumps(body)
        return session.http.request(method, url, headers=headers, data=data)

    return call


def test_grant_url_and_first_tokens(session):
    url = (
        f"{session.url}/ap/oa?client_id={CLIENT_ID}&scope=advertising::campaign_management&advertising::audiences"
        "&response_type=code&redirect_uri=https://example.com/"
    )
    location = session.http.get(url, allow_redirects=False).headers["location"]
    assert "scope=advertising%3A%3Acampaign_management" in location
    code = location.split("code=")[1].split("&")[0]
    token_body = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "redirect_uri": "https://example.com/",
        "code": code,
    }
    answer = session.http.post(session.url + "/auth/o2/token", data=token_body)
    assert answer.ok, answer.text
    assert answer.json()["refresh_token"].startswith("Atzr|")


def test_accounts_and_instances(session, headers):
    accounts = session.http.get(session.url + "/amc/accounts", headers=headers).json()["amcAccounts"]
    assert (accounts[0]["accountId"], accounts[0]["marketplaceId"]) == (ACCOUNT, MARKETPLACE)
    instances = session.http.get(session.url + "/amc/instances", headers=headers).json()["instances"]
    assert session.instanceid in [one["instanceId"] for one in instances]


def test_workflow_schedule_execution_result(session, reporting):
    assert reporting("GET", "workflows").json() == {"workflows": []}
    body = {
        "workflowId": "workflow-name",
        "distinctUserCountColumn": "du_count",
        "filteredMetricsDiscriminatorColumn": "filtered",
        "filteredReasonColumn": "true",
        "sqlQuery": SQL,
    }
    answer = reporting("POST", "workflows", body)
    assert (answer.status_code, answer.text) == (200, "{}"), answer.text

    assert reporting("GET", "schedules").json() == {"schedules": []}
    schedule = {
        "scheduleId": "schedule-id",
        "workflowId": "workflow-name",
        "aggregationHourUtc": 8,
        "aggregationPeriod": "Daily",
        "aggregationStartDay": "Tuesday",
        "scheduleEnabled": "True",
    }
    assert reporting("POST", "schedules", schedule).status_code == 200
    assert reporting("GET", "schedules/schedule-id").json()["scheduleEnabled"] is True
    assert reporting("DELETE", "workflows/workflow-name").status_code == 400, "the schedule still needs it"
    assert reporting("DELETE", "schedules/schedule-id").text == "{}"

    execution = {
        "timeWindowStart": "2026-01-01T00:00:00Z",
        "timeWindowEnd": "2026-02-01T00:00:00Z",
        "timeWindowType": "EXPLICIT",
        "workflowId": "workflow-name",
        "ignoreDataGaps": "True",
        "workflowExecutionTimeoutSeconds": "86400",
    }
    answer = reporting("POST", "workflowExecutions", execution)
    assert answer.ok, answer.text
    execution_id = answer.json()["workflowExecutionId"]

    answer = reporting("GET", f"workflowExecutions?workflowId={execution_id}")
    assert (answer.status_code, answer.json()) == (200, {"executions": []})

    def ended():
        found = reporting("GET", f"workflowExecutions/{execution_id}").json()
        return found if found["status"] in FINISHED else None

    done = wait_for(ended, "the execution to end", deadline=120)
    assert done["status"] == "SUCCEEDED", done
    assert [(one["name"], one["dataType"]) for one in done["outputColumns"]][:2] == [
        ("campaign", "STRING"),
        ("orders_in_9_days", "LONG"),
    ]
    urls = reporting("GET", f"workflowExecutions/{execution_id}/downloadUrls").json()["downloadUrls"]
    frame = pandas.read_csv(io.StringIO(session.http.get(urls[0]).text))
    assert list(frame.columns)[:2] == ["campaign", "orders_in_9_days"]
    assert len(frame) > 0
    assert frame["campaign"].is_unique
    assert reporting("DELETE", "workflows/workflow-name").text == "{}"


def test_sql_is_checked_when_a_workflow_is_created(reporting):
    body = {"workflowId": "bad", "sqlQuery": "SELECT campaign, COUNT(*) AS n FROM no_such_table GROUP BY campaign"}
    answer = reporting("POST", "workflows", body)
    assert answer.status_code == 400
    assert answer.json()["details"].startswith(
        "Was unable to compile workflow bad because it was found to be invalid: "
    )
    assert "no_such_table" in answer.json()["details"]


def test_own_rows_take_the_place_of_synthetic_ones(session, reporting):
    rows = [
        {"user_id": "a", "campaign": "Spring", "impressions": 3, "impression_dt": "2026-01-05 10:00:00"},
        {"user_id": "b", "campaign": "Spring", "impressions": 3, "impression_dt": "2026-01-06 10:00:00"},
        {"user_id": "c", "campaign": "Winter", "impressions": 3, "impression_dt": "2026-01-06 10:00:00"},
        {"user_id": "d", "campaign": "Autumn", "impressions": 5, "impression_dt": "2025-10-06 10:00:00"},
    ]
    for row in rows:
        row["impression_dt_utc"] = row["impression_dt"]
    answer = session.http.post(f"{session.url}/_emulator/tables/dsp_impressions", json=rows)
    assert answer.status_code == 200, answer.text
    execution = {
        "timeWindowStart": "2026-01-01T00:00:00",
        "timeWindowEnd": "2026-02-01T00:00:00",
        "timeWindowType": "EXPLICIT",
        "workflow": {"sqlQuery": "SELECT campaign, SUM(impressions) AS shown FROM dsp_impressions GROUP BY campaign"},
    }
    execution_id = reporting("POST", "workflowExecutions", execution).json()["workflowExecutionId"]

    def ended():
        found = reporting("GET", f"workflowExecutions/{execution_id}").json()
        return found if found["status"] in FINISHED else None

    assert wait_for(ended, "the execution to end", deadline=120)["status"] == "SUCCEEDED"
    urls = reporting("GET", f"workflowExecutions/{execution_id}/downloadUrls").json()["downloadUrls"]
    frame = pandas.read_csv(io.StringIO(session.http.get(urls[0]).text))
    assert frame.to_dict("records") == [{"campaign": "Spring", "shown": 6}]


def test_data_sources_are_the_tables_of_the_engine(reporting):
    names: list[str] = []
    token = ""
    while True:
        page = reporting("GET", f"dataSources?limit=10&nextToken={token}").json()
        names += [one["dataSourceId"] for one in page["dataSources"]]
        token = page.get("nextToken")
        if not token:
            break
    assert {"dsp_impressions", "sponsored_ads_traffic", "conversions_for_audiences"} <= set(names)
    assert names == sorted(names)
    one = reporting("GET", "dataSources/dsp_clicks").json()
    assert one["dataSourceId"] == "dsp_clicks"
    assert {"name", "columnType", "dataType"} <= one["columns"][0].keys()
