"""Listing executions: filters, order, pages, SQL given back."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

SQL = "SELECT n\n/* key=abc */\nFROM rows_1 -- the end"


def listed(api, **query):
    answer = api.reporting("GET", "workflowExecutions", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(body):
    return [one["workflowExecutionId"] for one in body["executions"]]


@pytest.mark.covers("rule", "workflowId or minCreationTime is required")
@pytest.mark.covers("endpoint", "listWorkflowExecutions")
def test_one_of_two_filters_is_required(api):
    for query in ({}, {"maxCreationTime": "2026-01-01T00:00:00"}, {"workflowId": ""}):
        answer = api.reporting("GET", "workflowExecutions", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "400")


def test_listing_by_an_execution_id_finds_nothing(api):
    """Amazon's notebook does this."""
    execution_id = api.finished()["workflowExecutionId"]
    assert listed(api, workflowId=execution_id) == {"executions": []}


@pytest.mark.covers("rule", "executions are listed by creation time, newest first or with sortAscending oldest first")
@pytest.mark.covers("rule", "limit and nextToken of every list")
def test_newest_first_in_pages(api):
    api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": SQL})
    made = [api.run(workflow=None, workflowId="wf")["workflowExecutionId"] for _ in range(7)]
    api.run()
    assert ids(listed(api, workflowId="wf")) == made[::-1]
    assert ids(listed(api, workflowId="wf", sortAscending="true")) == made
    for order, expected in (("false", made[::-1]), ("true", made)):
        seen, query = [], {"workflowId": "wf", "sortAscending": order, "limit": "3"}
        sizes = []
        while True:
            page = listed(api, **query)
            seen += ids(page)
            sizes.append(len(page["executions"]))
            if "nextToken" not in page:
                break
            query["nextToken"] = page["nextToken"]
        assert seen == expected
        assert sizes == [3, 3, 1]


def test_new_executions_do_not_disturb_pages(api):
    made = [api.run()["workflowExecutionId"] for _ in range(4)]
    first = listed(api, minCreationTime="2020-01-01T00:00:00", limit="2")
    api.run()
    second = listed(api, minCreationTime="2020-01-01T00:00:00", limit="2", nextToken=first["nextToken"])
    assert ids(first) + ids(second) == made[::-1]


@pytest.mark.covers("rule", "creation times in a time zone")
def test_creation_times_in_a_time_zone(serve):
    served = serve(now="2026-02-01T12:00:00Z")
    api = served.api
    early = api.run()["workflowExecutionId"]
    served.server.set_clock("2026-02-01T15:00:00Z")
    late = api.run()["workflowExecutionId"]
    assert ids(listed(api, minCreationTime="2026-02-01T12:00:00")) == [late, early]
    assert ids(listed(api, minCreationTime="2026-02-01T14:00:00")) == [late]
    assert ids(listed(api, minCreationTime="2026-02-01T00:00:00", maxCreationTime="2026-02-01T14:00:00")) == [early]
    berlin = {"timeZone": "Europe/Berlin"}
    assert ids(listed(api, minCreationTime="2026-02-01T15:00:00", **berlin)) == [late]
    assert ids(listed(api, minCreationTime="2026-02-01T13:00:00", maxCreationTime="2026-02-01T15:00:00", **berlin)) == [
        early
    ]
    created = served.server.now() - timedelta(hours=1)
    assert ids(listed(api, minCreationTime=f"{created:%Y-%m-%dT%H:%M:%S}")) == [late]
    for query in (
        {"minCreationTime": "2026-02-01"},
        {"minCreationTime": "2026-02-01T00:00:00Z"},
        {"workflowId": "wf", "maxCreationTime": "2026-02-01T00:00:00+01:00"},
        {"workflowId": "wf", "includeCancelled": "some"},
        {"minCreationTime": "2026-02-01T00:00:00", "timeZone": "Nowhere"},
        {"minCreationTime": "2026-02-01T00:00:00", "sortAscending": "maybe"},
    ):
        assert api.reporting("GET", "workflowExecutions", params=query).status_code == 400


def test_an_execution_created_this_second_is_found(served):
    """The times of a request have no fractions, those of the clock have."""
    created = served.api.run()
    second = created["createTime"].removesuffix("Z")
    found = listed(served.api, minCreationTime=second, maxCreationTime=second)
    assert ids(found) == [created["workflowExecutionId"]]


@pytest.mark.covers("rule", "executions are listed by creation time, newest first or with sortAscending oldest first")
def test_order_is_that_of_creation_time_even_when_the_clock_was_set_back(serve):
    served = serve(now="2026-02-03T00:00:00Z")
    api = served.api
    made = {}
    for moment in ("2026-02-03T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-05T00:00:00Z", "2026-02-02T00:00:00Z"):
        served.server.set_clock(moment)
        made[moment] = api.run()["workflowExecutionId"]
    expected = [made[moment] for moment in sorted(made)]
    served.server.set_clock("2026-02-06T00:00:00Z")
    for ascending, order in (("true", expected), ("false", expected[::-1])):
        query = {"minCreationTime": "2026-01-01T00:00:00", "sortAscending": ascending, "limit": "1"}
        seen = []
        while True:
            page = listed(api, **query)
            seen += ids(page)
            if "nextToken" not in page:
                break
            query["nextToken"] = page["nextToken"]
        assert seen == order


PAGED = ("workflows", "schedules", "dataSources", "workflowExecutions?minCreationTime=2020-01-01T00:00:00")


@pytest.mark.parametrize("path", PAGED)
@pytest.mark.covers("rule", "limit and nextToken of every list")
def test_wrong_pages(api, path):
    joint = "&" if "?" in path else "?"
    claims = json.dumps(["listWorkflows", "amcemulator", 10**30]).encode()
    huge = base64.urlsafe_b64encode(claims).decode()
    for query in ("limit=0", "limit=101", "limit=-1", "limit=ten", "limit=1.0", "nextToken=abc", f"nextToken={huge}"):
        answer = api.reporting("GET", f"{path}{joint}{query}")
        assert answer.status_code == 400, query
        assert query.partition("=")[0] in answer.json()["details"]
    for query in ("limit=100", "limit=", "nextToken="):
        assert api.reporting("GET", f"{path}{joint}{query}").status_code == 200


def test_token_of_another_list_is_wrong(api):
    for number in range(2):
        api.reporting("POST", "workflows", {"workflowId": f"wf{number}", "sqlQuery": SQL})
    token = api.reporting("GET", "workflows", params={"limit": "1"}).json()["nextToken"]
    assert api.reporting("GET", "schedules", params={"nextToken": token}).status_code == 400
    api.instance = "amcsandbox"
    assert api.reporting("GET", "workflows", params={"nextToken": token}).status_code == 400
    assert api.call("GET", "accounts", params={"nextToken": token}).status_code == 400


@pytest.mark.covers("rule", "includeCancelled")
def test_cancelled_ones_are_hidden(served):
    api = served.api
    execution_id = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    api.reporting("DELETE", f"workflowExecutions/{execution_id}")
    assert listed(api, minCreationTime="2020-01-01T00:00:00") == {"executions": []}
    assert ids(listed(api, minCreationTime="2020-01-01T00:00:00", includeCancelled="true")) == [execution_id]


@pytest.mark.covers("rule", "includeWorkflow gives the SQL back as it was sent")
def test_sql_comes_back_as_it_was_sent(api):
    execution_id = api.finished(SQL)["workflowExecutionId"]
    assert "sqlQuery" not in api.execution(execution_id)
    assert api.execution(execution_id, includeWorkflow="true")["sqlQuery"] == SQL
    (found,) = listed(api, minCreationTime="2020-01-01T00:00:00", includeWorkflow="true")["executions"]
    assert found["sqlQuery"] == SQL
    (found,) = listed(api, workflowId=found["workflowId"])["executions"]
    assert "sqlQuery" not in found


def test_a_run_keeps_the_sql_it_started_with(api):
    api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": SQL})
    execution_id = api.finished(workflow=None, workflowId="wf")["workflowExecutionId"]
    api.reporting("PUT", "workflows/wf", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_9"})
    assert api.execution(execution_id, includeWorkflow="true")["sqlQuery"] == SQL
