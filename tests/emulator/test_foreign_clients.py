"""Habits of clients that others wrote against the real service: they meet the emulator with only the URL changed.

Sources: Amazon Marketing Cloud Insights on AWS, Amazon's Postman collection, public clients in Python, TypeScript and C#.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import urllib3

from tests.emulator.api import ACCOUNT, CLIENT_ID, FINISHED, MARKETPLACE, SECRET, wait_for

PREFIX = "Amazon-Advertising-API-"
SQL = "SELECT n FROM rows_3"
WINDOW = {
    "timeWindowType": "EXPLICIT",
    "timeWindowStart": "2026-01-01T00:00:00",
    "timeWindowEnd": "2026-01-08T00:00:00",
}


@pytest.fixture
def headers(api) -> dict[str, str]:
    return dict(api.headers)


@pytest.fixture
def connection(api):
    """One connection that stays open, as most clients keep it."""
    opened = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30)
    yield opened
    opened.close()


def ask(connection, method: str, path: str, headers: dict[str, str], body: Any = None) -> tuple[int, Any]:
    connection.request(method, f"/amc/{path}", body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


class TestInsightsOnAws:
    """urllib3 with retries, tokens as JSON, headers of its own, pages until ``nextToken`` is an empty string."""

    @pytest.fixture
    def call(self, api):
        pool = urllib3.PoolManager(retries=urllib3.Retry(total=3, backoff_factor=0, status_forcelist=[429, 500, 504]))
        body = json.dumps(
            {
                "grant_type": "refresh_token",
                "refresh_token": "Atzr|emulator",
                "client_id": CLIENT_ID,
                "client_secret": SECRET,
            }
        )
        answer = pool.request(
            "POST", f"{api.url}/auth/o2/token", headers={"Content-Type": "application/json"}, body=body
        )
        headers = {
            "Amazon-Advertising-API-ClientId": CLIENT_ID,
            "Authorization": f"Bearer {json.loads(answer.data)['access_token']}",
            "Content-Type": "application/json",
            "x-amzn-service-name": "amazon-marketing-cloud-insights-on-aws",
            "x-amzn-service-version": "v3.0.0",
            "Amazon-Advertising-API-AdvertiserId": ACCOUNT,
            "Amazon-Advertising-API-MarketplaceId": MARKETPLACE,
        }

        def send(method: str, path: str, body: Any = None, **query: object) -> tuple[int, dict[str, Any]]:
            url = f"{api.url}/amc/reporting/amcemulator{path}" + (f"?{urlencode(query)}" if query else "")
            sent = json.dumps(body) if body is not None else None
            answer = pool.request(method, url, headers=headers, body=sent)
            return answer.status, json.loads(answer.data.decode("utf-8"))

        return send

    def test_a_workflow_that_exists_is_updated(self, call):
        definition = {"workflowId": "wfm-1", "sqlQuery": SQL}
        assert call("POST", "/workflows", definition) == (200, {})
        status, body = call("POST", "/workflows", definition)
        assert (status, body["details"]) == (400, "Workflow with ID wfm-1 already exists.")
        assert call("PUT", "/workflows/wfm-1", definition) == (200, {})
        assert call("GET", "/workflows/wfm-1")[1]["workflowId"] == "wfm-1"
        assert call("DELETE", "/workflows/wfm-1") == (200, {})

    def test_all_executions_since_a_time(self, call):
        wanted = [call("POST", "/workflowExecutions", {"workflow": {"sqlQuery": SQL}, **WINDOW})[1] for _ in range(3)]
        found: list[str] = []
        token = ""
        for _ in range(10):
            query = {"minCreationTime": "2020-01-01T00:00:00", "nextToken": token, "limit": 2}
            status, body = call("GET", "/workflowExecutions", **query)
            assert status == 200, body
            found += [one["workflowExecutionId"] for one in body["executions"]]
            token = body.get("nextToken", "")
            if token == "":
                break
        assert found == [one["workflowExecutionId"] for one in reversed(wanted)]

    def test_status_and_cancel(self, call, served):
        served.server.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
        _, body = call("POST", "/workflowExecutions", {"workflow": {"sqlQuery": SQL}, **WINDOW})
        path = f"/workflowExecutions/{body['workflowExecutionId']}"
        assert call("GET", path, includeWorkflow=False)[1]["status"] in ("PENDING", "RUNNING")
        assert call("PUT", path, {"status": "CANCELLED"}) == (200, {})
        assert call("GET", path, includeWorkflow=False)[1]["status"] == "CANCELLED"

    def test_every_error_has_a_message(self, call, served):
        for kind in ({"status": 504}, {"status": 429}):
            served.server.add_fault(operation="getWorkflow", kind="status", times=4, **kind)
            with pytest.raises(urllib3.exceptions.MaxRetryError):
                call("GET", "/workflows/x")
            served.server.clear_faults()
        _, body = call("GET", "/workflows/x")
        assert any(body.get(name) for name in ("message", "statusReason", "details", "messageSubject"))

    def test_the_older_one_puts_a_slash_before_the_query(self, call):
        status, body = call("GET", "/workflowExecutions/", minCreationTime="2020-01-01T00:00:00", nextToken="")
        assert (status, body) == (200, {"executions": []})


def test_nulls_count_as_absent(api):
    """A Python wrapper sends each argument it was not given as null."""
    names = (
        "timeWindowStart",
        "timeWindowEnd",
        "timeWindowType",
        "timeWindowTimeZone",
        "parameterValues",
        "workflowId",
    )
    body = {"workflow": {"sqlQuery": SQL, "outputColumns": None, "inputSchema": None}, **dict.fromkeys(names)}
    answer = api.reporting("POST", "workflowExecutions", body, headers={"Content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert api.until(answer.json()["workflowExecutionId"])["status"] == "SUCCEEDED"


def test_values_as_text_and_fields_nobody_knows(api):
    """A reporting script, and a wrapper that thinks the output format belongs to the execution."""
    texts = {"ignoreDataGaps": "true", "workflowExecutionTimeoutSeconds": "86400", "dryRun": "False"}
    more = {"outputFormat": "CSV", "label": "x", "useAsyncValidation": True}
    body = {"workflow": {"sqlQuery": SQL, "note": "x"}, **WINDOW, **texts, **more}
    answer = api.reporting("POST", "workflowExecutions", body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["ignoreDataGaps"], shown["workflowExecutionTimeoutSeconds"]) == (True, 86400)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/vnd.amcworkflows.v1+json",
        "application/vnd.amcworkflowexecutions.v1+json; charset=utf-8",
        "APPLICATION/JSON",
    ],
)
def test_content_types(connection, headers, kind):
    body = json.dumps({"workflowId": "w", "sqlQuery": SQL}).encode()
    for method, path in (("POST", "workflows"), ("PUT", "workflows/w")):
        headers = {**headers, "content-type": kind, "accept": kind}
        assert ask(connection, method, f"reporting/amcemulator/{path}", headers, body)[0] == 200


def test_header_names_in_any_case_over_one_connection(connection, headers):
    for change in (str.lower, str.upper, lambda name: name.replace("ClientId", "ClientID")):
        changed = {change(name): value for name, value in headers.items()}
        assert ask(connection, "GET", "instances", changed)[0] == 200
    token = headers["Authorization"].split()[1]
    assert ask(connection, "GET", "instances", {**headers, "Authorization": f"bearer {token}"})[0] == 200


def test_postman(connection, headers):
    """A content type and an empty ``nextToken`` on every request, and headers of its own."""
    own = {
        "Content-Type": "application/json",
        "User-Agent": "PostmanRuntime/7.43.0",
        "Accept": "*/*",
        "Postman-Token": "a7c1",
        "Cache-Control": "no-cache",
        "Accept-Encoding": "gzip, deflate, br",
        "Connection": "keep-alive",
    }
    for path in ("instances?nextToken=", "accounts?nextToken=", "reporting/amcemulator/workflows?nextToken=&limit="):
        assert ask(connection, "GET", path, {**headers, **own})[0] == 200
    body = json.dumps({"workflowId": "w", "sqlQuery": SQL})
    assert ask(connection, "POST", "reporting/amcemulator/workflows", {**headers, **own}, body)[0] == 200
    assert ask(connection, "DELETE", "reporting/amcemulator/workflows/w", {**headers, **own}, "{}") == (200, {})


def test_a_generic_accept_header_that_names_another_resource(connection, headers):
    """A C# client asks for accounts with a media type that does not exist."""
    headers = {**headers, "Accept": "application/vnd.amcaccounts.v1+json", f"{PREFIX}EntityId": ACCOUNT}
    assert ask(connection, "GET", "accounts", headers)[0] == 200
    assert ask(connection, "GET", "instances/amcemulator", headers)[0] == 200


def test_bodies_in_chunks(connection, headers):
    """As the fetch of browsers and Node sends streams."""
    body = json.dumps({"workflowId": "w", "sqlQuery": SQL}).encode()
    connection.request(
        "POST", "/amc/reporting/amcemulator/workflows", iter([body[:9], body[9:]]), headers, encode_chunked=True
    )
    assert connection.getresponse().read() == b"{}"


def test_ids_in_percent_encoding(connection, headers):
    body = json.dumps({"workflowId": "a.b-c_d", "sqlQuery": SQL})
    assert ask(connection, "POST", "reporting/amcemulator/workflows", headers, body)[0] == 200
    path = "".join(f"%{ord(letter):02X}" for letter in "a.b-c_d")
    assert ask(connection, "GET", f"reporting/{quote('amcemulator')}/workflows/{path}", headers)[0] == 200


def test_one_run_with_nothing_but_the_standard_library(connection, headers, api):
    body = json.dumps({"workflow": {"sqlQuery": SQL}, **WINDOW})
    _, created = ask(connection, "POST", "reporting/amcemulator/workflowExecutions", headers, body)
    path = f"reporting/amcemulator/workflowExecutions/{created['workflowExecutionId']}"
    wait_for(lambda: ask(connection, "GET", path, headers)[1]["status"] in FINISHED, "the end")
    _, urls = ask(connection, "GET", f"{path}/downloadUrls", headers)
    parts = urlsplit(urls["downloadUrls"][0])
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert (answer.getheader("content-encoding"), answer.read()) == (None, b"n\n0\n1\n2\n")
