"""Whatever is sent, the answer is one of AMC's, never a failure of the emulator."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIELDS = {
    "workflows": [
        "workflowId",
        "sqlQuery",
        "query",
        "inputParameters",
        "inputSchema",
        "outputColumns",
        "outputFormat",
        "privacyFilteringBehavior",
    ],
    "schedules": [
        "scheduleId",
        "workflowId",
        "aggregationPeriod",
        "aggregationHourUtc",
        "aggregationStartDay",
        "scheduleEnabled",
    ],
    "workflowExecutions": [
        "workflowId",
        "workflow",
        "timeWindowType",
        "timeWindowStart",
        "timeWindowEnd",
        "timeWindowTimeZone",
        "parameterValues",
        "workflowExecutionTimeoutSeconds",
        "dryRun",
        "advertisers",
    ],
}
PLAUSIBLE = [
    "wf",
    "Daily",
    "EXPLICIT",
    "MOST_RECENT_DAY",
    "2026-01-01T00:00:00",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59",
    "Pacific/Kiritimati",
    "SELECT n FROM rows_1",
    900,
    True,
    {"sqlQuery": "SELECT n FROM rows_1"},
    [{"name": "p", "dataType": "STRING"}],
    [{"name": "n", "dataType": {"type": "ARRAY"}}],
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("path", FIELDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bodies(served, path, data):
    names = st.sampled_from(FIELDS[path])
    body = data.draw(st.dictionaries(names, st.sampled_from(PLAUSIBLE) | json_values, max_size=7))
    answer = served.api.reporting("POST", path, body)
    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 200 or answer.json()["details"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(
            [
                "workflowId",
                "minCreationTime",
                "maxCreationTime",
                "timeZone",
                "sortAscending",
                "includeCancelled",
                "includeWorkflow",
                "limit",
                "nextToken",
            ]
        ),
        st.sampled_from(["wf", "true", "5", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "Europe/Berlin", "bnVsbA=="])
        | st.text(max_size=20),
        max_size=5,
    )
)
def test_list_queries(served, query):
    answer = served.api.reporting("GET", "workflowExecutions", params=query)
    assert answer.status_code in (200, 400), answer.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=60), kind=st.sampled_from(["application/x-www-form-urlencoded", "application/json", ""]))
def test_token_bodies(served, body, kind):
    headers = {"Content-Type": kind} if kind else {}
    answer = served.api.session.post(f"{served.api.url}/auth/o2/token", data=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_request"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["faults", "clock", "tables/dsp_clicks"]),
    body=json_values
    | st.dictionaries(st.sampled_from(["kind", "times", "now", "advance_seconds", "rows"]), json_values),
)
def test_control_bodies(served, path, body):
    answer = served.api.session.post(f"{served.api.url}/_emulator/{path}", data=json.dumps(body))
    assert answer.status_code in (200, 400), answer.text
    served.server.clear_faults()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_tokens(served, token):
    for value in (token, f"Atza|{token}", f"Atza|{token}.{token}"):
        answer = served.api.call("GET", "instances", headers={"Authorization": f"Bearer {value}"})
        assert answer.status_code == 401
