"""``envelope="wrapped"``: the shapes of Amazon's OpenAPI files instead of the recorded ones."""

from __future__ import annotations

import pytest

#: Of each object of the files: fields that must be there, and the type of every field that may be.
INSTANCE = {
    "required": {
        "apiEndpoint",
        "awsAccountId",
        "creationDatetime",
        "creationStatus",
        "dataUploadAwsAccountId",
        "entities",
        "instanceId",
        "instanceName",
        "s3BucketName",
        "s3BucketRegion",
    }
}
STATUSES = {"CANCELLED", "FAILED", "PENDING", "RUNNING", "SUCCEEDED"}


@pytest.fixture
def api(serve):
    return serve(envelope="wrapped").api


def without_nulls(value: object) -> bool:
    if isinstance(value, dict):
        return all(one is not None and without_nulls(one) for one in value.values())
    return not isinstance(value, list) or all(without_nulls(one) for one in value)


@pytest.mark.covers("rule", "media types of the answers")
def test_administration(api):
    answer = api.call("GET", "accounts")
    assert answer.headers["content-type"] == "application/vnd.amcaudiencesconnections.v1+json"
    answer = api.call("GET", "instances")
    assert answer.headers["content-type"] == "application/vnd.amcinstances.v1+json"
    assert "nextToken" not in answer.json()
    assert INSTANCE["required"] <= answer.json()["instances"][0].keys()
    assert without_nulls(answer.json())
    assert without_nulls(api.call("GET", "instances/amcemulator/advertisers").json())


@pytest.mark.covers("switch", "envelope")
def test_objects_are_wrapped(api):
    workflow = {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"}
    answer = api.reporting("POST", "workflows", workflow)
    assert answer.headers["content-type"] == "application/vnd.amcworkflows.v1+json"
    assert api.reporting("GET", "workflows/wf").json() == {"workflow": workflow}
    api.reporting("POST", "schedules", {"scheduleId": "s", "workflowId": "wf", "aggregationPeriod": "Daily"})
    assert api.reporting("GET", "schedules/s").json()["schedule"]["scheduleId"] == "s"
    assert api.reporting("GET", "dataSources/table_001").json()["dataSource"]["dataSourceId"] == "table_001"
    assert api.reporting("GET", "workflows").json() == {"workflows": [workflow]}


def test_errors_are_in_the_media_type_of_the_operation(api):
    answer = api.reporting("GET", "workflows/nowhere")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/vnd.amcworkflows.v1+json"


def test_executions_know_the_statuses_of_the_file_only(api):
    for sql, status, channel in (
        ("SELECT n FROM rows_1", "SUCCEEDED", "AVAILABLE"),
        ("SELECT broken", "FAILED", "FAILED"),
    ):
        created = api.run(sql)["workflowExecution"]
        assert created["outputChannels"] == [{"channel": {"type": "DOWNLOAD"}, "status": "PENDING"}]
        path = f"workflowExecutions/{created['workflowExecutionId']}"
        while True:
            shown = api.reporting("GET", path).json()["workflowExecution"]
            assert shown["status"] in STATUSES
            if shown["status"] not in ("PENDING", "RUNNING"):
                break
        assert (shown["status"], shown["outputChannels"][0]["status"]) == (status, channel)
        assert without_nulls(shown)
