"""Workflows and schedules over HTTP."""

from __future__ import annotations

import json

import pytest

SQL = "SELECT n\n-- all of them\nFROM rows_1"


def create(api, workflow_id="wf", **fields):
    return api.reporting("POST", "workflows", {"workflowId": workflow_id, "sqlQuery": SQL, **fields})


def schedule(api, schedule_id="daily", **fields):
    body = {"scheduleId": schedule_id, "workflowId": "wf", "aggregationPeriod": "Daily", **fields}
    return api.reporting("POST", "schedules", body)


@pytest.mark.covers("endpoint", "createWorkflow")
@pytest.mark.covers("endpoint", "getWorkflow")
@pytest.mark.covers("endpoint", "updateWorkflow")
@pytest.mark.covers("endpoint", "deleteWorkflow")
def test_create_get_update_delete(api):
    fields = {
        "distinctUserCountColumn": "du_count",
        "filteredMetricsDiscriminatorColumn": "filtered",
        "filteredReasonColumn": "true",
        "privacyFilteringBehavior": "REMOVE_VALUES",
        "inputParameters": [{"name": "p", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}}],
        "outputFormat": {"separatorCharacter": ";"},
    }
    answer = create(api, **fields, colour="blue")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/octet-stream"
    answer = api.reporting("GET", "workflows/wf")
    assert answer.headers["content-type"] == "application/vnd.amcworkflows.v1+json"
    assert answer.json() == {"workflowId": "wf", "sqlQuery": SQL, **fields}
    answer = api.reporting("PUT", "workflows/wf", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_2"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert api.reporting("GET", "workflows/wf").json() == {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_2"}
    assert api.reporting("DELETE", "workflows/wf").json() == {}
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"workflowId": "wf", "sqlQuery": SQL})):
        answer = api.reporting(method, "workflows/wf", body)
        assert (answer.status_code, answer.json()) == (
            400,
            {"code": "400", "details": "Workflow with ID wf does not exist."},
        )


def test_duplicate_id(api):
    create(api)
    answer = create(api)
    assert (answer.status_code, answer.json()["details"]) == (400, "Workflow with ID wf already exists.")
    api.instance = "amcsandbox"
    assert create(api).status_code == 200, "ids are per instance"


def test_bad_sql_is_refused_when_created_and_replaced(api):
    answer = create(api, sqlQuery="SELECT broken FROM rows_1")
    assert answer.status_code == 400
    start = "Was unable to compile workflow wf because it was found to be invalid: From line 1, column 8"
    assert answer.json()["details"].startswith(start)
    assert api.reporting("GET", "workflows").json() == {"workflows": []}
    create(api)
    assert api.reporting("PUT", "workflows/wf", {"workflowId": "wf", "sqlQuery": "broken"}).status_code == 400
    assert api.reporting("GET", "workflows/wf").json()["sqlQuery"] == SQL


@pytest.mark.covers("switch", "workflow_validation")
def test_validation_can_be_left_to_the_execution(serve):
    api = serve(workflow_validation="async").api
    assert create(api, sqlQuery="SELECT broken").status_code == 200
    assert api.finished(workflow=None, workflowId="wf")["status"] == "REJECTED"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "workflowId must be specified"),
        ({"workflowId": "my workflow", "sqlQuery": SQL}, "letters, digits"),
        ({"workflowId": "a/b", "sqlQuery": SQL}, "letters, digits"),
        ({"workflowId": 5, "sqlQuery": SQL}, "workflowId"),
        ({"workflowId": "a"}, "Either a query or a SQL query must be specified"),
        ({"workflowId": "a", "sqlQuery": "  "}, "Either a query or a SQL query must be specified"),
        ({"workflowId": "a", "sqlQuery": ["SELECT"]}, "sqlQuery"),
        ({"workflowId": "a", "sqlQuery": SQL, "inputParameters": [{"name": "p"}, {"name": "p"}]}, "multiple times"),
        ({"workflowId": "a", "sqlQuery": SQL, "inputParameters": [{"dataType": "STRING"}]}, "must have a name"),
        ({"workflowId": "a", "sqlQuery": SQL, "inputParameters": [{"name": "p", "dataType": "TEXT"}]}, "TEXT"),
        ({"workflowId": "a", "sqlQuery": SQL, "inputParameters": "p"}, "inputParameters"),
        ({"workflowId": "a", "sqlQuery": SQL, "inputParameters": [{"name": f"p{n}"} for n in range(101)]}, "100"),
        ({"workflowId": "a", "sqlQuery": SQL, "outputColumns": [{"name": "n", "columnType": "FACT"}]}, "columnType"),
        ({"workflowId": "a", "sqlQuery": SQL, "privacyFilteringBehavior": "KEEP"}, "privacyFilteringBehavior"),
        ({"workflowId": "a", "sqlQuery": SQL, "outputFormat": "csv"}, "outputFormat"),
    ],
)
def test_wrong_workflows(api, body, text):
    answer = api.reporting("POST", "workflows", body)
    assert answer.status_code == 400
    assert text in answer.json()["details"]


def test_update_must_repeat_the_id(api):
    create(api)
    assert api.reporting("PUT", "workflows/wf", {"workflowId": "other", "sqlQuery": SQL}).status_code == 400
    assert api.reporting("PUT", "workflows/wf", {"sqlQuery": SQL}).status_code == 400


@pytest.mark.covers("endpoint", "listWorkflows")
def test_listing_in_pages_survives_changes(api):
    ids = [f"wf-{number}" for number in range(7)]
    for one in ids:
        create(api, one)
    first = api.reporting("GET", "workflows", params={"limit": "3"}).json()
    assert [one["workflowId"] for one in first["workflows"]] == ids[:3]
    api.reporting("DELETE", "workflows/wf-2")
    second = api.reporting("GET", "workflows", params={"limit": "3", "nextToken": first["nextToken"]}).json()
    assert [one["workflowId"] for one in second["workflows"]] == ids[3:6]
    third = api.reporting("GET", "workflows", params={"limit": "3", "nextToken": second["nextToken"]}).json()
    assert [one["workflowId"] for one in third["workflows"]] == ids[6:]
    assert "nextToken" not in third


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/vnd.amcworkflows.v1+json", 200),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
    ],
)
def test_request_content_types(api, kind, status):
    answer = api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": SQL}, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert status == 200 or answer.json() == {"message": "Unsupported Media Type"}


def test_bodies_that_are_not_json(api):
    url = f"{api.url}/amc/reporting/amcemulator/workflows"
    raw = json.dumps({"workflowId": "wf", "sqlQuery": SQL}).replace("\\n", "\n")
    for body in ("", "{", "[1]", '"text"', raw, "[" * 100_000):
        answer = api.session.post(url, data=body, headers=api.headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "400")


@pytest.mark.covers("endpoint", "createSchedule")
@pytest.mark.covers("endpoint", "getSchedule")
@pytest.mark.covers("endpoint", "updateSchedule")
@pytest.mark.covers("endpoint", "deleteSchedule")
@pytest.mark.covers("endpoint", "listSchedules")
def test_schedule_create_get_update_delete(api):
    create(api)
    answer = schedule(
        api, aggregationHourUtc="8", aggregationStartDay="Tuesday", scheduleEnabled="True", marketplaceId="X"
    )
    assert (answer.status_code, answer.json()) == (200, {})
    expected = {
        "scheduleId": "daily",
        "workflowId": "wf",
        "aggregationPeriod": "Daily",
        "aggregationHourUtc": 8,
        "aggregationStartDay": "Tuesday",
        "scheduleEnabled": True,
        "requireSyntheticData": False,
        "disableAggregationControls": False,
    }
    answer = api.reporting("GET", "schedules/daily")
    assert answer.json() == expected
    assert answer.headers["content-type"] == "application/vnd.amcschedules.v1+json"
    assert api.reporting("GET", "schedules").json() == {"schedules": [expected]}
    changed = {**expected, "aggregationPeriod": "Weekly", "scheduleEnabled": "false"}
    assert api.reporting("PUT", "schedules/daily", changed).json() == {}
    assert api.reporting("GET", "schedules/daily").json() == {**changed, "scheduleEnabled": False}
    assert api.reporting("DELETE", "schedules/daily").json() == {}
    for method, body in (("GET", None), ("DELETE", None), ("PUT", changed)):
        answer = api.reporting(method, "schedules/daily", body)
        assert (answer.status_code, answer.json()["details"]) == (400, "Schedule with ID daily does not exist.")


def test_weekday_of_a_schedule_defaults_to_the_day_of_creation(serve):
    api = serve(now="2026-01-07T10:00:00Z").api
    create(api)
    schedule(api)
    assert api.reporting("GET", "schedules/daily").json()["aggregationStartDay"] == "Wednesday"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"workflowId": "nowhere"}, "Workflow with ID nowhere does not exist."),
        ({"aggregationPeriod": "Monthly"}, "Daily or Weekly"),
        ({"aggregationHourUtc": 24}, "0 to 23"),
        ({"aggregationHourUtc": "eight"}, "whole number"),
        ({"aggregationStartDay": "Tue"}, "aggregationStartDay"),
        ({"scheduleEnabled": "yes"}, "true or false"),
        ({"scheduleId": "a b"}, "letters, digits"),
    ],
)
def test_wrong_schedules(api, fields, text):
    create(api)
    answer = schedule(api, **fields)
    assert answer.status_code == 400
    assert text in answer.json()["details"]


def test_duplicate_schedule(api):
    create(api)
    schedule(api)
    assert schedule(api).json()["details"] == "Schedule with ID daily already exists."


@pytest.mark.covers("rule", "a workflow with a schedule cannot be deleted")
def test_scheduled_workflow_cannot_be_deleted(api):
    create(api)
    schedule(api)
    answer = api.reporting("DELETE", "workflows/wf")
    assert answer.status_code == 400
    assert "schedule daily" in answer.json()["details"]
    api.reporting("DELETE", "schedules/daily")
    assert api.reporting("DELETE", "workflows/wf").status_code == 200
