"""Control endpoints, the request log, and failures on order."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_amc import __version__
from airflow_provider_amc.emulator.faults import FaultBook, FaultSpecError
from tests.emulator.api import ACCOUNT, CLIENT_ID, MARKETPLACE, SECRET, wait_for


@pytest.mark.covers("endpoint", "health")
def test_health(api):
    health = api.control("GET", "health")
    assert health["status"] == "ok"
    assert health["version"] == __version__
    assert health["instances"] == {"amcemulator": "STANDARD", "amcsandbox": "SANDBOX"}


@pytest.mark.covers("endpoint", "connection")
def test_connection_is_ready_for_airflow(served):
    expected = {
        "conn_type": "amc",
        "host": served.server.url,
        "login": CLIENT_ID,
        "password": SECRET,
        "extra": {
            "refresh_token": "Atzr|emulator",
            "region": "NA",
            "account_id": ACCOUNT,
            "marketplace_id": MARKETPLACE,
            "instance_id": "amcemulator",
        },
    }
    assert served.api.control("GET", "connection") == expected
    assert served.server.connection == expected


@pytest.mark.covers("endpoint", "list_requests")
@pytest.mark.covers("endpoint", "clear_requests")
def test_requests_are_logged_without_secrets(served):
    api = served.api
    api.call("GET", "instances", params={"limit": "5"})
    api.post_token(grant_type="refresh_token", client_id=CLIENT_ID, client_secret="hidden", refresh_token="Atzr|hidden")
    api.session.post(f"{api.url}/auth/o2/token", data='{"client_secret": "hidden')
    execution_id = api.finished()["workflowExecutionId"]
    api.download(api.urls(execution_id)["downloadUrls"][0])
    api.call("GET", "nothing")
    entries = api.control("GET", "requests")["requests"]
    assert entries == served.server.requests
    assert [one["n"] for one in entries] == list(range(1, len(entries) + 1))
    listed = next(one for one in entries if one["operation"] == "listInstances")
    assert (listed["method"], listed["path"], listed["query"], listed["status"]) == (
        "GET",
        "/amc/instances",
        {"limit": "5"},
        200,
    )
    assert listed["headers"]["authorization"] == "Bearer ***"
    assert listed["headers"]["amazon-advertising-api-clientid"] == CLIENT_ID
    created = next(one for one in entries if one["operation"] == "createWorkflowExecution")
    assert created["body"]["workflow"] == {"sqlQuery": "SELECT n FROM rows_3"}
    fetched = next(one for one in entries if one["operation"] == "results")
    assert "authorization" not in fetched["headers"]
    assert fetched["query"]["X-Amz-Signature"] == "***"
    assert entries[-1]["operation"] == "unknown"
    assert entries[-1]["status"] == 404
    everything = str(entries)
    assert "hidden" not in everything
    assert "Atz" not in everything
    tokens = api.control("GET", "requests?operation=token")["requests"]
    assert [one["status"] for one in tokens] == [200, 401, 400]
    assert tokens[0]["body"]["client_secret"] == "***"
    assert served.server.requests_of("TOKEN") == tokens
    api.session.delete(f"{api.url}/_emulator/requests")
    assert served.server.requests == []


@pytest.mark.covers("endpoint", "get_clock")
@pytest.mark.covers("endpoint", "move_clock")
def test_clock(served):
    api = served.api
    assert api.control("POST", "clock", {"now": "2026-01-01T00:00:00Z"})["now"] == "2026-01-01T00:00:00Z"
    assert api.control("POST", "clock", {"advance_seconds": 90})["now"].startswith("2026-01-01T00:01:3")
    assert api.control("GET", "clock")["now"].startswith("2026-01-01T00:01:3")
    assert served.engine.now.isoformat().startswith("2026-01-01T00:01:3")
    assert served.server.set_clock("2026-05-01T00:00:00").isoformat().startswith("2026-05-01T00:00:0")
    for body in ({}, {"now": "tomorrow"}, {"advance_seconds": "x"}, {"advance_seconds": 1, "now": "2026-01-01"}, [1]):
        assert api.session.post(f"{api.url}/_emulator/clock", json=body).status_code == 400
    assert api.session.post(f"{api.url}/_emulator/clock", json={"advance_seconds": 1e300}).status_code == 400


def test_the_data_follows_the_virtual_time_without_being_told(served):
    first = served.engine.now
    # As real time does, which tells nobody
    served.server.emulator.clock.advance(86_400)
    assert 86_400 <= (served.engine.now - first).total_seconds() < 90_000


@pytest.mark.covers("endpoint", "reset")
@pytest.mark.covers("switch", "now")
def test_reset(serve):
    served = serve(now="2026-01-01T00:00:00Z")
    api = served.api
    api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"})
    running = api.run("SELECT gated FROM rows_1")["workflowExecutionId"]
    api.until(running, "RUNNING")
    served.server.load_table("rows_1", [{"n": 1}])
    served.server.add_fault(operation="token", kind="status")
    served.server.advance_clock(86400)
    served.server.reset()
    assert served.server.requests == []
    assert api.control("GET", "faults")["faults"] == []
    assert api.control("GET", "clock")["now"].startswith("2026-01-01T00:0")
    assert api.reporting("GET", "workflows").json() == {"workflows": []}
    assert api.reporting("GET", f"workflowExecutions/{running}").status_code == 400
    assert served.engine.tables == {}
    assert len(served.engines) == 1
    assert api.finished()["status"] == "SUCCEEDED"


@pytest.mark.covers("endpoint", "load_table")
def test_load_table(served):
    api = served.api
    rows = [{"n": 1}, {"n": 2}]
    assert api.control("POST", "tables/dsp_clicks", rows) == {"table": "dsp_clicks", "rows": 2}
    assert api.control("POST", "tables/dsp_views", {"rows": rows})["rows"] == 2
    assert served.engine.tables == {"dsp_clicks": rows, "dsp_views": rows}
    for wrong in ([1], {"n": 1}, [], "rows"):
        answer = api.session.post(f"{api.url}/_emulator/tables/dsp_clicks", json=wrong)
        assert answer.status_code == 400
        assert answer.json()["message"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"kind": "explosion"}, "kind must be one of"),
        ({"operation": "token"}, "kind must be one of"),
        ({"kind": "status", "status": 200}, "status"),
        ({"kind": "status", "times": 0}, "times"),
        ({"kind": "status", "skip": -1}, "skip"),
        ({"kind": "status", "probability": 2}, "probability"),
        ({"kind": "delay", "seconds": "long"}, "seconds"),
        ({"kind": "status", "headers": "Retry-After: 1"}, "headers"),
        ({"kind": "status", "colour": "red"}, "colour"),
        ({"kind": "status", "headers": {"X": "a\r\nb"}}, "no header of HTTP"),
        ({"kind": "status", "headers": {"X Y": "a"}}, "no header of HTTP"),
        ({"kind": "delay", "seconds": float("inf")}, "seconds"),
        ({"kind": "delay", "seconds": float("nan")}, "seconds"),
        ({"kind": "status", "hits": 5}, "hits"),
        ({"kind": "status", "operation": 5}, "operation"),
        ({"kind": "lost_answer", "cut": "yes"}, "cut"),
        ({"kind": "fail", "operation": "createWorkflowExecution", "reason": 5}, "reason"),
        ({"kind": "revoked", "operation": "listWorkflows"}, "kind revoked cannot hit listWorkflows"),
        ({"kind": "token_expired", "operation": "results"}, "kind token_expired cannot hit results"),
        (["status"], "object"),
    ],
)
def test_wrong_faults(api, spec, text):
    answer = api.session.post(f"{api.url}/_emulator/faults", data=json.dumps([spec]))
    assert answer.status_code == 400
    assert text in answer.json()["message"]
    with pytest.raises(FaultSpecError, match=text):
        FaultBook().add(spec)


def test_an_operation_that_there_is_not(served):
    api = served.api
    order = [{"kind": "status", "operation": "listWorkflows"}, {"kind": "status", "operation": "getExecution"}]
    answer = api.session.post(f"{api.url}/_emulator/faults", json=order)
    assert answer.status_code == 400
    assert "no operation 'getExecution'" in answer.json()["message"]
    assert "getWorkflowExecution" in answer.json()["message"]
    assert api.control("GET", "faults")["faults"] == [], "all of an order or nothing"


def test_faults_wait_for_the_operations_they_are_for(served):
    """Without an operation, a fault must not be spent on a call to which its kind does nothing."""
    api = served.api
    for kind in ("revoked", "unknown_status", "duration", "terms"):
        served.server.add_fault(kind=kind)
    assert api.control("GET", "health")["status"] == "ok"
    assert api.post_token().json()["error"] == "invalid_grant"
    assert api.reporting("GET", "dataSources").status_code == 403
    assert [fault["kind"] for fault in api.control("GET", "faults")["faults"]] == ["unknown_status", "duration"]


@pytest.mark.covers("rule", "faults by operation, skip and times")
def test_every_call_counts_for_every_fault(served):
    api = served.api
    order = {"operation": "listWorkflows", "kind": "status"}
    api.control("POST", "faults", [{**order, "status": 500}, {**order, "status": 503, "skip": 1}])
    assert [api.reporting("GET", "workflows").status_code for _ in range(3)] == [500, 503, 200]


@pytest.mark.covers("endpoint", "list_faults")
@pytest.mark.covers("endpoint", "add_faults")
@pytest.mark.covers("rule", "faults by operation, skip and times")
def test_times_and_skip(served):
    api = served.api
    api.control(
        "POST", "faults", [{"operation": "listWorkflows", "kind": "status", "status": 500, "times": 2, "skip": 1}]
    )
    statuses = [api.reporting("GET", "workflows").status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]
    assert api.control("GET", "faults")["faults"] == []


@pytest.mark.covers("endpoint", "clear_faults")
def test_forever_until_cleared(served):
    api = served.api
    served.server.add_fault(operation="*", kind="status", status=503, times=None)
    assert [api.post_token().status_code for _ in range(3)] == [503] * 3
    api.session.delete(f"{api.url}/_emulator/faults")
    assert api.reporting("GET", "workflows").status_code == 200


def test_one_call_can_be_lost_and_start_a_slow_execution_that_nobody_sees():
    book = FaultBook()
    specs = [{"kind": kind, "operation": "createWorkflowExecution"} for kind in ("duration", "status", "lost_answer")]
    specs += [{"kind": "not_visible", "operation": "*"}, {"kind": "duration", "operation": "*"}]
    book.add_all(specs)
    taken = [book.take("createWorkflowExecution") for _ in range(4)]
    told = [(outer and outer.kind, sorted(inner)) for outer, inner in taken]
    # What is refused changes nothing inside; the next call is carried out, and its answer lost
    assert told == [("status", []), ("lost_answer", ["duration", "not_visible"]), (None, ["duration"]), (None, [])]


@pytest.mark.covers("switch", "seed")
@pytest.mark.covers("rule", "faults with a probability are the same for the same seed")
def test_probability_is_reproducible():
    def hits(seed: int, *others: str) -> list[bool]:
        book = FaultBook(seed)
        book.add({"kind": "status", "operation": "token", "times": None, "probability": 0.5})
        book.add({"kind": "status", "operation": "results", "times": None, "probability": 0.5})
        return [book.take(one)[0] is not None for _ in range(64) for one in ("token", *others)][:: 1 + len(others)]

    assert hits(1) == hits(1) == hits(1, "results", "listWorkflows"), "other calls change nothing"
    assert hits(1) != hits(2)
    assert 10 < sum(hits(1)) < 54


@pytest.mark.covers("fault", "status")
def test_throttling(served):
    api = served.api
    _ = api.headers
    served.server.add_fault(operation="listWorkflows", kind="status", status=429, headers={"Retry-After": "2"})
    served.server.add_fault(operation="listWorkflows", kind="status", status=429)
    first, second = (api.reporting("GET", "workflows") for _ in range(2))
    for answer in (first, second):
        assert (answer.status_code, answer.json()) == (429, {"message": "Too Many Requests"})
        assert answer.headers["amazon-advertising-api-throttled"] == "true"
        assert answer.headers["x-amz-rid"]
    assert first.headers["retry-after"] == "2"
    assert "retry-after" not in second.headers


@pytest.mark.parametrize(
    ("operation", "status", "body"),
    [
        ("listWorkflows", 500, {"code": "500", "details": "Internal server error"}),
        ("listWorkflows", 503, {"message": "Service Unavailable"}),
        ("listWorkflows", 504, {"message": "Endpoint request timed out"}),
    ],
)
def test_server_errors(served, operation, status, body):
    served.server.add_fault(operation=operation, kind="status", status=status)
    answer = served.api.reporting("GET", "workflows")
    assert (answer.status_code, answer.json()) == (status, body)


@pytest.mark.parametrize(
    ("status", "reason", "body"),
    [
        (400, "Too many columns", {"code": "400", "details": "Too many columns"}),
        (403, None, {"code": "403", "details": "Unauthorized request."}),
        (422, None, {"code": "422", "details": "Bad Request"}),
        (503, "Back soon", {"message": "Back soon"}),
    ],
)
def test_errors_of_ones_own(served, status, reason, body):
    served.server.add_fault(operation="listWorkflows", kind="status", status=status, reason=reason)
    answer = served.api.reporting("GET", "workflows")
    assert (answer.status_code, answer.json()) == (status, body)


def test_errors_and_redirects_of_the_result_store(served):
    api = served.api
    url = api.urls(api.finished()["workflowExecutionId"])["downloadUrls"][0]
    elsewhere = {"Location": "http://127.0.0.1:9/results/a/b"}
    for spec, code in (
        ({"status": 503, "headers": {"Retry-After": "3"}}, "SlowDown"),
        ({"status": 403}, "AccessDenied"),
        ({"status": 307, "headers": elsewhere}, "TemporaryRedirect"),
    ):
        served.server.add_fault(operation="results", kind="status", **spec)
        answer = api.session.get(url, allow_redirects=False)
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (spec["status"], True)
        assert spec.get("headers", {}).items() <= answer.headers.items()
    served.server.add_fault(operation="results", kind="lost_answer")
    assert "<Error>" in api.download(url).text


def test_token_server_errors_are_in_the_words_of_lwa(served):
    served.server.add_fault(operation="token", kind="status", status=503)
    answer = served.api.post_token()
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"


@pytest.mark.covers("fault", "lost_answer")
def test_lost_answer_did_it_all_the_same(served):
    api = served.api
    _ = api.headers
    body = {"workflow": {"sqlQuery": "SELECT n FROM rows_1"}}
    served.server.add_fault(operation="createWorkflowExecution", kind="lost_answer")
    answer = api.reporting("POST", "workflowExecutions", body)
    assert (answer.status_code, answer.json()) == (504, {"message": "Endpoint request timed out"})
    served.server.add_fault(operation="createWorkflowExecution", kind="lost_answer", cut=True)
    with pytest.raises(requests.ConnectionError):
        api.reporting("POST", "workflowExecutions", body)
    found = api.reporting("GET", "workflowExecutions", params={"minCreationTime": "2020-01-01T00:00:00"}).json()
    assert len(found["executions"]) == 2


@pytest.mark.covers("fault", "reset")
def test_reset_connection_did_nothing(served):
    api = served.api
    _ = api.headers
    served.server.add_fault(operation="createWorkflow", kind="reset")
    with pytest.raises(requests.ConnectionError):
        api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"})
    assert api.reporting("GET", "workflows").json() == {"workflows": []}


@pytest.mark.covers("fault", "delay")
def test_delay(served):
    api = served.api
    _ = api.headers
    served.server.add_fault(operation="listWorkflows", kind="delay", seconds=0.01)
    assert api.reporting("GET", "workflows").status_code == 200
    assert served.server.requests[-1]["fault"] == "delay"
    served.server.add_fault(operation="createWorkflow", kind="delay", seconds=300)
    with pytest.raises(requests.ReadTimeout):
        api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"}, timeout=0.05)
    assert wait_for(lambda: api.reporting("GET", "workflows").json()["workflows"], "the workflow to be made"), (
        "a client that gives up does not undo what it asked for"
    )


@pytest.mark.covers("fault", "reset")
@pytest.mark.covers("fault", "wrong_length")
@pytest.mark.covers("fault", "slow")
def test_damaged_downloads(served):
    api = served.api
    execution_id = api.finished("SELECT n FROM rows_5000")["workflowExecutionId"]
    url = api.urls(execution_id)["downloadUrls"][0]
    whole = api.download(url).content

    def read() -> bytes:
        received = b""
        with api.session.get(url, stream=True) as answer:
            assert answer.status_code == 200
            for chunk in answer.raw.stream(256, decode_content=False):
                received += chunk
        return received

    for kind in ("truncate", "reset"):
        served.server.add_fault(operation="results", kind=kind)
        with pytest.raises(Exception, match=r"(?i)incomplete|reset|broken|aborted"):
            read()
    served.server.add_fault(operation="results", kind="wrong_length", bytes=100)
    assert read() == whole[:100]
    served.server.add_fault(operation="results", kind="slow", seconds=0.01)
    assert read() == whole
    served.server.add_fault(operation="results", kind="status", status=503)
    answer = api.download(url)
    assert answer.status_code == 503
    assert "<Code>SlowDown</Code>" in answer.text
    assert read() == whole


@pytest.mark.covers("fault", "truncate")
def test_truncated_download_sends_half_of_it(served):
    api = served.api
    execution_id = api.finished("SELECT n FROM rows_50")["workflowExecutionId"]
    url = api.urls(execution_id)["downloadUrls"][0]
    size = len(api.download(url).content)
    served.server.add_fault(operation="results", kind="truncate", bytes=17)
    with api.session.get(url, stream=True) as answer:
        assert int(answer.headers["content-length"]) == size
        assert len(answer.raw.read(17)) == 17


@pytest.mark.covers("fault", "token_expired")
@pytest.mark.covers("fault", "revoked")
@pytest.mark.covers("fault", "terms")
def test_expired_token_revoked_permission_terms(served):
    api = served.api
    _ = api.headers
    served.server.add_fault(operation="listWorkflows", kind="token_expired")
    answer = api.reporting("GET", "workflows", headers={"X": "1"})
    assert (answer.status_code, answer.json()["details"]) == (401, "Authentication failed")
    served.server.add_fault(operation="token", kind="revoked")
    answer = api.post_token()
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "revoked" in answer.json()["error_description"]
    served.server.add_fault(operation="*", kind="terms")
    answer = api.reporting("GET", "workflows")
    assert (answer.status_code, answer.json()["details"]) == (
        403,
        "Terms and conditions must be accepted to continue",
    )


@pytest.mark.covers("switch", "terms_status")
def test_terms_status_is_a_switch(serve):
    served = serve(terms_status=401)
    served.server.add_fault(operation="listInstances", kind="terms")
    assert served.api.call("GET", "instances", headers={"X": "1"}).status_code == 401


@pytest.mark.covers("fault", "not_visible")
def test_new_execution_can_be_invisible_for_a_while(served):
    api = served.api
    served.server.add_fault(operation="createWorkflowExecution", kind="not_visible", seconds=45)
    execution_id = api.run()["workflowExecutionId"]
    everything = {"minCreationTime": "2020-01-01T00:00:00"}
    assert api.reporting("GET", f"workflowExecutions/{execution_id}").status_code == 400
    assert api.reporting("GET", "workflowExecutions", params=everything).json() == {"executions": []}
    other = api.run()["workflowExecutionId"]
    found = api.reporting("GET", "workflowExecutions", params={**everything, "limit": "1"}).json()
    assert [one["workflowExecutionId"] for one in found["executions"]] == [other]
    assert "nextToken" not in found
    served.server.advance_clock(46)
    assert api.until(execution_id)["status"] == "SUCCEEDED"


@pytest.mark.covers("fault", "unknown_status")
def test_unknown_status(served):
    api = served.api
    execution_id = api.finished()["workflowExecutionId"]
    served.server.add_fault(operation="getWorkflowExecution", kind="unknown_status")
    assert api.execution(execution_id)["status"] == "PUBLISHING"
    served.server.add_fault(operation="getWorkflowExecution", kind="unknown_status", value="RESTING")
    assert api.execution(execution_id)["status"] == "RESTING"
    assert api.execution(execution_id)["status"] == "SUCCEEDED"


@pytest.mark.covers("fault", "duration")
@pytest.mark.covers("fault", "fail")
def test_duration_and_failure_of_a_run(served):
    api = served.api
    served.server.add_fault(operation="createWorkflowExecution", kind="duration", seconds=10800)
    execution_id = api.run()["workflowExecutionId"]
    api.until(execution_id, "RUNNING")
    served.server.advance_clock(10790)
    assert api.execution(execution_id)["status"] == "RUNNING"
    served.server.advance_clock(11)
    assert api.until(execution_id)["executionTime"] == 10800
    served.server.add_fault(operation="createWorkflowExecution", kind="fail", reason="Out of luck")
    done = api.finished()
    assert (done["status"], done["statusReason"]) == ("FAILED", "Out of luck")
    assert api.reporting("GET", f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls").status_code == 404


@pytest.mark.covers("switch", "query_threads")
def test_requests_are_answered_while_queries_run(serve):
    served = serve(query_threads=2)
    api = served.api
    running = [api.run("SELECT gated FROM rows_1")["workflowExecutionId"] for _ in range(2)]
    for execution_id in running:
        api.until(execution_id, "RUNNING")
    assert (
        api.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"}).status_code == 200
    )
    served.engine.gate.set()
    assert wait_for(lambda: api.control("GET", "health")["executions"].get("SUCCEEDED") == 2, "both to end")


def test_a_logged_request_can_be_changed_without_changing_others(served, api):
    for _ in range(2):
        api.reporting("GET", "workflows", params={"limit": "5"})
    first = served.server.requests_of("listWorkflows")[0]
    first["query"]["limit"] = first["headers"]["host"] = "changed"
    assert [one["query"] for one in served.server.requests_of("listWorkflows")] == [{"limit": "5"}] * 2
