"""The life of executions over HTTP."""

from __future__ import annotations

import heapq
import re
import threading
from typing import Any

import pytest

from airflow_provider_amc.emulator.record import ExecutionRecord
from tests.emulator.standin import StandIn

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CREATED_FIELDS = {
    "createTime",
    "dataGaps",
    "disableAggregationControls",
    "executionCategory",
    "expireTime",
    "ignoreDataGaps",
    "lastUpdatedTime",
    "parameterValues",
    "status",
    "timeWindowEnd",
    "timeWindowEndOriginal",
    "timeWindowStart",
    "timeWindowStartOriginal",
    "timeWindowTimeZoneOriginal",
    "waitUntil",
    "workflowExecutionId",
    "workflowExecutionTimeoutSeconds",
    "workflowId",
}
WINDOW_FIELDS = {"timeWindowStart", "timeWindowEnd", "timeWindowStartOriginal", "timeWindowEndOriginal"}
FINISHED_FIELDS = CREATED_FIELDS | {
    "availableTimeBeforeWindowSecs",
    "executionTime",
    "invalidationOffsetSecs",
    "outputColumns",
    "outputS3URI",
    "validatedTime",
}


@pytest.mark.covers("endpoint", "createWorkflowExecution")
@pytest.mark.covers("endpoint", "getWorkflowExecution")
@pytest.mark.covers("rule", "ids of ad-hoc workflows begin with transient_")
def test_field_sets_are_those_of_the_recorded_answers(serve):
    served = serve(now="2026-02-01T12:00:00Z")
    api = served.api
    created = api.run(timeWindowTimeZone="America/New_York")
    assert set(created) == CREATED_FIELDS
    assert created["status"] == "PENDING"
    assert created["executionCategory"] == "AD_HOC"
    assert created["workflowExecutionTimeoutSeconds"] == 21600
    assert created["timeWindowStart"] == "2026-01-01T05:00:00Z"
    assert created["timeWindowStartOriginal"] == "2026-01-01T00:00:00"
    assert created["timeWindowTimeZoneOriginal"] == "America/New_York"
    assert re.fullmatch(UUID, created["workflowExecutionId"])
    assert re.fullmatch("transient_" + UUID, created["workflowId"])
    done = api.until(created["workflowExecutionId"])
    assert set(done) == FINISHED_FIELDS
    assert done["status"] == "SUCCEEDED"
    assert done["outputS3URI"] == "N/A"
    assert done["outputColumns"] == [{"name": "n", "columnType": "METRIC", "dataType": "LONG"}]
    assert re.fullmatch(r"2026-02-01T12:\d\d:\d\d\.\d{3}Z", done["validatedTime"])


def test_relative_window_shows_its_borders_only_later(api):
    created = api.run(timeWindowType="MOST_RECENT_DAY", timeWindowStart=None, timeWindowEnd=None)
    assert set(created) == CREATED_FIELDS - WINDOW_FIELDS
    done = api.until(created["workflowExecutionId"])
    assert done.keys() >= WINDOW_FIELDS


@pytest.mark.covers("rule", "explicit windows")
def test_window_reaches_the_query(served):
    served.api.finished(
        timeWindowStart="2026-03-08T00:00:00",
        timeWindowEnd="2026-03-09T00:00:00",
        timeWindowTimeZone="America/New_York",
    )
    (window,) = served.engine.windows
    assert [moment.isoformat() for moment in window] == ["2026-03-08T05:00:00", "2026-03-09T04:00:00"]


@pytest.mark.covers("rule", "parameterValues and default values")
def test_saved_workflow_runs_with_its_parameters(served):
    api = served.api
    parameters = [{"name": "p", "dataType": "STRING", "columnType": "DIMENSION", "defaultValue": "x"}]
    workflow = {"workflowId": "wf.1", "sqlQuery": "SELECT n FROM rows_2", "inputParameters": parameters}
    assert api.reporting("POST", "workflows", workflow).status_code == 200
    done = api.finished(workflow=None, workflowId="wf.1", parameterValues={"p": 5})
    assert done["workflowId"] == "wf.1"
    assert done["parameterValues"] == {"p": 5}
    assert served.engine.compiled[-1]["values"] == {"p": 5}
    assert api.rows(done["workflowExecutionId"]) == [["n"], ["0"], ["1"]]


@pytest.mark.covers("rule", "parameterValues and default values")
def test_missing_parameter_value_is_rejected_later(api):
    workflow = {"sqlQuery": "SELECT n FROM rows_2", "inputParameters": [{"name": "p", "dataType": "STRING"}]}
    done = api.finished(workflow=workflow)
    assert done["status"] == "REJECTED"
    assert "parameter p" in done["statusReason"]


def test_too_long_parameter_value_is_rejected(api):
    done = api.finished(parameterValues={"p": "x" * 1025})
    assert done["status"] == "REJECTED"
    assert "exceeded maximum allowed length of 1024" in done["statusReason"]


def test_bad_ad_hoc_sql_is_accepted_and_then_rejected(api):
    done = api.finished("SELECT broken FROM rows_1")
    assert done["status"] == "REJECTED"
    assert done["statusReason"].startswith("From line 1, column 8")
    assert "outputColumns" not in done


def test_query_that_fails_while_it_runs(api):
    done = api.finished("SELECT explode FROM rows_1")
    assert (done["status"], done["statusReason"]) == ("FAILED", "Division by zero")


@pytest.mark.covers("rule", "requireSyntheticData on a sandbox, and only there")
def test_sandbox_needs_synthetic_data(api):
    done = api.finished(requireSyntheticData=True)
    assert done["status"] == "REJECTED"
    assert "rows_3 does not contain only synthetic data" in done["statusReason"]
    api.instance = "amcsandbox"
    assert api.finished()["status"] == "REJECTED"
    done = api.finished(requireSyntheticData="True")
    assert (done["status"], done["requireSyntheticData"]) == ("SUCCEEDED", True)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"workflow": None}, "Exactly one of workflowId and workflow"),
        ({"workflowId": "a"}, "Exactly one of workflowId and workflow"),
        ({"workflow": None, "workflowId": "nowhere"}, "Workflow with ID nowhere does not exist."),
        ({"workflow": {"sqlQuery": ""}}, "Either a query or a SQL query must be specified"),
        ({"workflow": "SELECT 1"}, "workflow: expected an object"),
        ({"timeWindowStart": "2026-01-01"}, "yyyy-MM-dd'T'HH:mm:ss"),
        ({"timeWindowStart": "2026-02-30T00:00:00"}, "no such date"),
        ({"timeWindowStart": "2026-01-01T00:00:00+01:00"}, "yyyy-MM-dd'T'HH:mm:ss"),
        ({"timeWindowStart": None}, "timeWindowStart must be specified"),
        ({"timeWindowStart": "2026-01-08T00:00:00"}, "must be before"),
        ({"timeWindowTimeZone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"timeWindowTimeZone": "../etc/passwd"}, "time zone"),
        ({"timeWindowType": "YESTERDAY"}, "timeWindowType"),
        ({"timeWindowType": "ALL"}, "EXPLICIT"),
        ({"workflowExecutionTimeoutSeconds": 899}, "900 to 86400"),
        ({"workflowExecutionTimeoutSeconds": "86401"}, "900 to 86400"),
        ({"workflowExecutionTimeoutSeconds": "soon"}, "whole number"),
        ({"dryRun": "maybe"}, "dryRun"),
        ({"parameterValues": ["a"]}, "parameterValues"),
        ({"advertisers": "all"}, "advertisers: expected a list"),
        ({"advertisers": [{"type": "DISPLAY"}]}, "every entry needs an id"),
        ({"advertisers": [{"id": "1", "type": "DSP"}]}, "DISPLAY, SAS, SPONSORED_ADS"),
    ],
)
def test_refused_at_once(api, fields: dict[str, Any], text):
    body = {
        "workflow": {"sqlQuery": "SELECT n FROM rows_1"},
        "timeWindowType": "EXPLICIT",
        "timeWindowStart": "2026-01-01T00:00:00",
        "timeWindowEnd": "2026-01-08T00:00:00",
        **fields,
    }
    answer = api.reporting("POST", "workflowExecutions", {k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 400
    assert answer.json()["code"] == "400"
    assert text in answer.json()["details"]
    assert api.reporting("GET", "workflowExecutions", params={"minCreationTime": "2020-01-01T00:00:00"}).json() == {
        "executions": []
    }


def test_notebook_spellings_are_understood(api):
    done = api.finished(
        timeWindowStart="2026-01-01T00:00:00Z",
        timeWindowEnd="2026-01-08T00:00:00Z",
        ignoreDataGaps="True",
        workflowExecutionTimeoutSeconds="86400",
    )
    assert done["status"] == "SUCCEEDED"
    assert done["ignoreDataGaps"] is True
    assert done["workflowExecutionTimeoutSeconds"] == 86400
    assert done["timeWindowStart"] == "2026-01-01T00:00:00Z"


@pytest.mark.covers("switch", "z_suffix")
def test_z_suffix_can_be_switched_off(serve):
    api = serve(z_suffix="reject").api
    body = {
        "workflow": {"sqlQuery": "SELECT n FROM rows_1"},
        "timeWindowType": "EXPLICIT",
        "timeWindowStart": "2026-01-01T00:00:00Z",
        "timeWindowEnd": "2026-01-08T00:00:00Z",
    }
    assert api.reporting("POST", "workflowExecutions", body).status_code == 400


@pytest.mark.covers("rule", "10 executions run at a time on an instance, the rest is PENDING")
def test_ten_run_at_a_time_and_the_rest_waits(serve):
    served = serve(query_threads=16, max_running=10)
    api = served.api
    ids = [api.run("SELECT gated FROM rows_1")["workflowExecutionId"] for _ in range(12)]
    for execution_id in ids[:10]:
        api.until(execution_id, "RUNNING")
    assert [api.execution(one)["status"] for one in ids[10:]] == ["PENDING", "PENDING"]
    api.reporting("PUT", f"workflowExecutions/{ids[0]}", {"status": "CANCELLED"})
    api.until(ids[10], "RUNNING")
    assert api.execution(ids[11])["status"] == "PENDING"
    served.engine.gate.set()
    assert {api.until(one)["status"] for one in ids[1:]} == {"SUCCEEDED"}


@pytest.mark.covers("rule", "200 executions run at a time on the account")
@pytest.mark.covers("switch", "max_running_account")
def test_limit_of_the_account_holds_over_all_instances(serve):
    served = serve(query_threads=8, max_running=2, max_running_account=3, extra_instances=1)
    api = served.api
    ids = []
    for api.instance in ("amcemulator", "amcemulator02"):
        ids += [api.run("SELECT gated FROM rows_1")["workflowExecutionId"] for _ in range(2)]
    for instance, one in (("amcemulator", ids[0]), ("amcemulator", ids[1]), ("amcemulator02", ids[2])):
        api.instance = instance
        api.until(one, "RUNNING")
    assert api.execution(ids[3])["status"] == "PENDING"
    api.instance = "amcemulator"
    api.reporting("DELETE", f"workflowExecutions/{ids[1]}")
    api.instance = "amcemulator02"
    api.until(ids[3], "RUNNING")


@pytest.mark.covers("rule", "dryRun compiles, takes no place in the queue and gives no output")
def test_dry_run_needs_no_place_among_the_ten(serve):
    served = serve(max_running=1)
    api = served.api
    api.until(api.run("SELECT gated FROM rows_1")["workflowExecutionId"], "RUNNING")
    assert api.finished(dryRun=True)["status"] == "SUCCEEDED"


@pytest.mark.covers("rule", "10 executions run at a time on an instance, the rest is PENDING")
def test_what_waits_starts_when_a_run_was_cancelled(serve):
    served = serve(speed="realistic", max_running=1, now="2026-02-01T00:00:00Z")
    api = served.api
    served.server.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
    first, second = (api.run()["workflowExecutionId"] for _ in range(2))
    served.server.advance_clock(10)
    api.until(first, "RUNNING")
    served.server.advance_clock(1800)
    api.reporting("DELETE", f"workflowExecutions/{first}")
    assert api.until(second, "RUNNING")["lastUpdatedTime"] >= "2026-02-01T00:30:10Z"


@pytest.mark.covers("switch", "max_running")
def test_limit_is_for_each_instance(serve):
    served = serve(query_threads=8, max_running=1, extra_instances=1)
    api = served.api
    ids = [api.run("SELECT gated FROM rows_1")["workflowExecutionId"] for _ in range(2)]
    api.until(ids[0], "RUNNING")
    api.instance = "amcemulator02"
    other = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    api.until(other, "RUNNING")
    api.instance = "amcemulator"
    assert api.execution(ids[1])["status"] == "PENDING"


@pytest.mark.covers("endpoint", "updateWorkflowExecution")
def test_cancel_stops_the_query(served):
    api = served.api
    execution_id = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    api.until(execution_id, "RUNNING")
    answer = api.reporting("PUT", f"workflowExecutions/{execution_id}", {"status": "CANCELLED"})
    assert (answer.status_code, answer.json()) == (200, {})
    done = api.execution(execution_id)
    assert done["status"] == "CANCELLED"
    served.server.stop()
    assert served.engines[-1].interruptions == 1


@pytest.mark.covers("endpoint", "deleteWorkflowExecution")
def test_cancel_by_delete(served):
    api = served.api
    execution_id = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    assert api.reporting("DELETE", f"workflowExecutions/{execution_id}").json() == {}
    assert api.execution(execution_id)["status"] == "CANCELLED"


@pytest.mark.covers("rule", "what is running can be cancelled, what has ended cannot")
def test_what_has_ended_cannot_be_changed(api):
    execution_id = api.finished()["workflowExecutionId"]
    for method, body in (("PUT", {"status": "CANCELLED"}), ("DELETE", None), ("PUT", {})):
        answer = api.reporting(method, f"workflowExecutions/{execution_id}", body)
        assert answer.status_code == 400
        assert "SUCCEEDED" in answer.json()["details"]
    assert api.execution(execution_id)["status"] == "SUCCEEDED"


def test_only_cancelled_can_be_set(served):
    api = served.api
    execution_id = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    path = f"workflowExecutions/{execution_id}"
    assert api.reporting("PUT", path, {"status": "SUCCEEDED"}).status_code == 400
    assert api.reporting("PUT", path, {"timeWindowType": "ignored"}).json() == {}


@pytest.mark.parametrize(("switch", "status"), [(400, 400), (404, 404)])
@pytest.mark.covers("switch", "unknown_id_status")
def test_unknown_execution(serve, switch, status):
    api = serve(unknown_id_status=switch).api
    for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/downloadUrls")):
        answer = api.reporting(method, "workflowExecutions/1234" + tail)
        assert answer.status_code == status
        assert answer.json() == {"code": str(status), "details": "Workflow execution with ID 1234 does not exist."}


def test_execution_of_another_instance_is_unknown(api):
    execution_id = api.finished()["workflowExecutionId"]
    api.instance = "amcsandbox"
    assert api.reporting("GET", f"workflowExecutions/{execution_id}").status_code == 400


@pytest.mark.covers("rule", "dryRun compiles, takes no place in the queue and gives no output")
def test_dry_run_compiles_and_gives_no_output(served):
    api = served.api
    done = api.finished(dryRun="true")
    assert done["status"] == "SUCCEEDED"
    assert served.engine.windows == []
    assert api.reporting("GET", f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls").status_code == 404
    assert api.finished("SELECT broken", dryRun=True)["status"] == "REJECTED"


@pytest.mark.parametrize("fields", [{"skipPublish": True}, {"disableAggregationControls": True}])
@pytest.mark.covers("rule", "skipPublish")
def test_run_without_output(served, fields):
    done = served.api.finished(**fields)
    assert done["status"] == "SUCCEEDED"
    assert len(served.engine.windows) == 1
    answer = served.api.reporting("GET", f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls")
    assert answer.status_code == 404
    assert answer.json()["details"] == f"Execution with ID {done['workflowExecutionId']} is unavailable for download"


@pytest.mark.covers("rule", "realistic durations in virtual time")
@pytest.mark.covers("switch", "speed")
def test_realistic_speed_takes_virtual_time(serve):
    served = serve(speed="realistic", now="2026-02-01T00:00:00Z")
    api = served.api
    execution_id = api.run()["workflowExecutionId"]
    assert api.execution(execution_id)["status"] == "PENDING"
    served.server.advance_clock(8)
    running = api.until(execution_id, "RUNNING")
    assert running["validatedTime"] > "2026-02-01T00:00:00"
    served.server.advance_clock(7200)
    done = api.until(execution_id)
    assert done["status"] == "SUCCEEDED"
    assert 15 <= done["executionTime"] <= 900
    assert done["lastUpdatedTime"] < "2026-02-01T00:20:00Z", "it ended when its time was over, not when we looked"


@pytest.mark.covers("switch", "seed")
def test_realistic_durations_are_the_same_for_the_same_seed(serve):
    times = []
    for _ in range(2):
        served = serve(speed="realistic")
        ids = [served.api.run()["workflowExecutionId"] for _ in range(3)]
        served.server.advance_clock(7200)
        times.append([served.api.until(one)["executionTime"] for one in ids])
    assert times[0] == times[1]
    assert len(set(times[0])) > 1


def test_a_reset_emulator_draws_the_same_durations_again(serve):
    served = serve(speed="realistic")
    times = []
    for _ in range(2):
        ids = [served.api.run()["workflowExecutionId"] for _ in range(3)]
        served.server.advance_clock(7200)
        times.append([served.api.until(one)["executionTime"] for one in ids])
        served.server.reset()
    assert times[0] == times[1]


def test_queue_drains_in_virtual_time(serve):
    served = serve(speed="realistic", max_running=1, now="2026-02-01T00:00:00Z")
    api = served.api
    ids = [api.run()["workflowExecutionId"] for _ in range(3)]
    served.server.advance_clock(36000)
    done = [api.until(one) for one in ids]
    ends = [one["lastUpdatedTime"] for one in done]
    assert ends == sorted(ends)
    assert len(set(ends)) == 3


@pytest.mark.covers("rule", "workflowExecutionTimeoutSeconds")
@pytest.mark.parametrize("steps", [[36_000], [7, 50, 13, 200, 1, 3_000, 36_000]])
def test_queue_is_the_same_however_the_clock_moves(serve, steps):
    """Starts and ends are those of a simulation of the queue, whatever threads did in which order."""
    served = serve(speed="realistic", max_running=2, query_threads=4)
    ids = [served.api.run()["workflowExecutionId"] for _ in range(9)]
    for seconds in steps:
        served.server.advance_clock(seconds)
        served.api.control("GET", "health")
    for one in ids:
        assert served.api.until(one)["status"] == "SUCCEEDED"
    store = served.server.emulator.store
    records = [ExecutionRecord.load(body) for _, body in store.find_executions("amcemulator", ascending=True)]
    assert len(records) == 9
    free = [0.0, 0.0]
    for record in sorted(records, key=lambda record: record.validated):
        start = max(record.validated, heapq.heappop(free))
        assert (record.started, record.ended) == (start, start + record.planned_seconds)
        heapq.heappush(free, record.ended)


def test_timeout_is_virtual(served):
    api = served.api
    served.server.add_fault(operation="createWorkflowExecution", kind="duration", seconds=5000)
    execution_id = api.run(workflowExecutionTimeoutSeconds=900)["workflowExecutionId"]
    api.until(execution_id, "RUNNING")
    served.server.advance_clock(901)
    done = api.until(execution_id)
    assert done["status"] == "FAILED"
    assert "timed out after 900 seconds" in done["statusReason"]


def test_clock_that_jumps_before_the_check_does_not_delay_the_run(served, mocker):
    checked, compile_query = threading.Event(), StandIn.compile

    def compile_late(*arguments: Any, **named: Any) -> Any:
        assert checked.wait(30)
        return compile_query(*arguments, **named)

    mocker.patch.object(StandIn, "compile", compile_late)
    served.server.add_fault(operation="createWorkflowExecution", kind="duration", seconds=600)
    execution_id = served.api.run()["workflowExecutionId"]
    served.server.advance_clock(3600)
    checked.set()
    assert served.api.until(execution_id)["status"] == "SUCCEEDED"


@pytest.mark.covers(
    "rule",
    "too many queries over the same data and overlapping windows",
    status="partial",
    note="off by default: AMC does not publish its limit",
)
@pytest.mark.covers("switch", "overlap_limit")
@pytest.mark.covers(
    "rule",
    "too many queries over the same data and overlapping windows",
    status="partial",
    note="off by default: AMC does not publish its limit",
)
def test_overlap_rule(serve):
    api = serve(overlap_limit=2).api
    assert [api.finished()["status"] for _ in range(2)] == ["SUCCEEDED"] * 2
    done = api.finished()
    assert done["status"] == "REJECTED"
    assert "too many workflows have already been run" in done["statusReason"]
    assert api.finished("SELECT n FROM rows_4")["status"] == "SUCCEEDED"
    later = {"timeWindowStart": "2026-01-08T00:00:00", "timeWindowEnd": "2026-01-09T00:00:00"}
    assert api.finished(**later)["status"] == "SUCCEEDED"


def test_legacy_query_workflows_are_kept_but_cannot_run(api):
    workflow = {"workflowId": "old", "query": [{"operations": []}]}
    assert api.reporting("POST", "workflows", workflow).status_code == 200
    assert api.reporting("GET", "workflows/old").json() == workflow
    assert api.finished(workflow=None, workflowId="old")["status"] == "REJECTED"


@pytest.mark.covers("rule", "outputColumns must fit the query")
def test_promised_output_columns_must_fit(api):
    good = [{"name": "n", "dataType": "LONG", "columnType": "METRIC"}]
    sql = "SELECT n FROM rows_1"
    assert api.finished(workflow={"sqlQuery": sql, "outputColumns": good})["status"] == "SUCCEEDED"
    wrong = [{"name": "n", "dataType": "STRING", "columnType": "METRIC"}]
    for columns, text in ((wrong, "data type STRING is specified but it is LONG"), (good + good, "produces no n")):
        done = api.finished(workflow={"sqlQuery": sql, "outputColumns": columns})
        assert done["status"] == "REJECTED"
        assert text in done["statusReason"]
        answer = api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": sql, "outputColumns": columns})
        assert answer.status_code == 400
        assert text in answer.json()["details"]


@pytest.mark.parametrize(
    ("advertisers", "text"),
    [
        ("all", "expected a list of objects"),
        (["580000000000000001"], "expected a list of objects"),
        ([{"type": "DISPLAY"}], "every entry needs an id"),
        ([{"id": 5, "type": "DISPLAY"}], "all of them strings"),
        ([{"id": "5", "type": "VIDEO"}], "Invalid value 'VIDEO' for type in advertisers"),
    ],
)
def test_advertisers_are_checked(api, advertisers, text):
    body = {"workflow": {"sqlQuery": "SELECT n FROM rows_1"}, "advertisers": advertisers}
    answer = api.reporting("POST", "workflowExecutions", body)
    assert answer.status_code == 400
    assert text in answer.json()["details"]


def test_advertisers_are_shown(api):
    given = [{"id": "5", "type": "DISPLAY", "marketplaceId": None, "name": "more than AMC keeps"}]
    assert api.run(advertisers=given)["advertisers"] == [{"id": "5", "type": "DISPLAY"}]
