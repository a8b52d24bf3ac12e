"""Rule-based and lookalike audiences over HTTP: requests, states, refreshes, versions, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.emulator.api import Api, refusal, wait_for

DAY = 86_400
ENDED = {"SUCCEEDED", "FAILED", "DEACTIVATED"}
REQUEST = {
    "advertiserId": "580000000000000001",
    "audienceName": "Loyal buyers",
    "timeWindowStart": "2026-01-01T00:00:00Z",
    "timeWindowEnd": "2026-02-01T00:00:00Z",
    "query": "SELECT user_id FROM rows_2500",
}
LOOKALIKE = {**REQUEST, "lookalikeAudienceExpectedReach": "BALANCED"}
V10, V11, V12 = (f"application/vnd.amcquerybasedaudience.v{number}+json" for number in ("1", "1.1", "1.2"))
LOOKALIKE_MEDIA = "application/vnd.amclookalikeaudience.v1+json"


class Audiences:
    """Calls with the headers of the audience endpoints."""

    def __init__(self, api: Api, instance: str = "amcemulator") -> None:
        self.api = api
        self.instance = instance

    @property
    def headers(self) -> dict[str, str]:
        kept = {name: self.api.headers[name] for name in ("Authorization", "Amazon-Advertising-API-ClientId")}
        return {**kept, "Amazon-Marketing-Cloud-Audience-InstanceId": self.instance}

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        accept: str = "*/*",
        **query: Any,
    ) -> Any:
        def ask() -> Any:
            own = {**self.headers, "Accept": accept, **(headers or {})}
            url = f"{self.api.url}/amc/audiences/{path}"
            return self.api.session.request(method, url, json=body, params=query, headers=own)

        answer = ask()
        if answer.status_code == 401 and not headers:
            self.api.forget_token()
            answer = ask()
        return answer

    def create(self, path: str = "query", **fields: Any) -> str:
        base = LOOKALIKE if path == "lookalike" else REQUEST
        body = {name: value for name, value in {**base, **fields}.items() if value is not None}
        answer = self.call("POST", path, body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["audienceExecutionId"])

    def get(self, audience_id: str, media: str = V12) -> dict[str, Any]:
        answer = self.call("GET", f"query/{audience_id}", accept=media)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ended(self, audience_id: str) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            found = self.get(audience_id)
            return found if found["status"] in ENDED else None

        return wait_for(probe, f"the audience {audience_id} to end")

    def listed(self, **query: Any) -> dict[str, Any]:
        answer = self.call("GET", "query", **query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def audiences(api) -> Audiences:
    return Audiences(api)


def refused(answer: Any) -> tuple[int, str]:
    assert set(answer.json()) == {"code", "details", "requestId"}
    assert answer.json()["requestId"] == answer.headers["x-amz-rid"]
    return refusal(answer)


# -- creation --------------------------------------------------------------------------------------------------------
@pytest.mark.covers("endpoint", "createQueryBasedAudience")
@pytest.mark.covers("endpoint", "getQueryBasedAudienceByAudienceExecutionId")
def test_a_rule_based_audience(audiences):
    answer = audiences.call("POST", "query", {**REQUEST, "audienceDescription": "They come back"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    made = answer.json()
    assert (set(made), made["status"]) == (
        {"audienceExecutionId", "status", "audienceExecutionDescription"},
        "PENDING",
    )
    found = audiences.ended(made["audienceExecutionId"])
    assert found.pop("createTime") == found.pop("lastRefreshedTime")
    assert found.pop("dspAudienceId") != found.pop("dspCanonicalId")
    assert found == {
        **REQUEST,
        "audienceExecutionId": made["audienceExecutionId"],
        "audienceDescription": "They come back",
        "instanceId": "amcemulator",
        "status": "SUCCEEDED",
        "refreshRateDays": 21,
        "timeWindowRelative": False,
        "audienceCount": 2500,
        "audienceType": "RULE_BASED",
        "advertiserType": "DISPLAY",
        "no3pTrackers": True,
    }


@pytest.mark.covers("rule", "versions v1, v1.1 and v1.2 of an audience")
def test_versions(audiences):
    audience_id = audiences.create(advertiserType="SPONSORED_ADS")
    newest = audiences.ended(audience_id)
    added = {V10: set(), V11: {"audienceCount", "dspCanonicalId"}}
    added[V12] = added[V11] | {"audienceType", "advertiserType", "no3pTrackers"}
    for accept, media in (
        (V10, V10),
        (V11, V11),
        (V12, V12),
        (f"{V11}, {V12}", V12),
        ("*/*", V10),
        ("application/json", V10),
    ):
        for path in (f"query/{audience_id}", "query"):
            answer = audiences.call("GET", path, accept=accept)
            assert answer.headers["content-type"] == media
            shown = answer.json() if path != "query" else answer.json()["executionMetadata"][0]
            wanted = set(newest) - (added[V12] - added[media])
            assert shown == {name: newest[name] for name in wanted}
    assert newest["advertiserType"] == "SPONSORED_ADS"


@pytest.mark.covers("endpoint", "createLookalikeAudience")
def test_a_lookalike_audience(serve):
    audiences = Audiences(serve(envelope="wrapped").api)
    answer = audiences.call("POST", "lookalike", LOOKALIKE)
    assert answer.headers["content-type"] == LOOKALIKE_MEDIA
    found = audiences.ended(answer.json()["audienceExecutionId"])
    assert (found["audienceType"], found["lookalikeAudienceExpectedReach"]) == ("LOOKALIKE", "BALANCED")
    reaches = ("MOST_SIMILAR", "SIMILAR", "BALANCED", "BROAD", "MOST_BROAD")
    made = [audiences.create("lookalike", lookalikeAudienceExpectedReach=reach) for reach in reaches]
    counts = [audiences.ended(one)["audienceCount"] for one in made]
    assert counts == sorted(set(counts))
    assert counts[0] > 2500


def test_the_query_of_a_saved_workflow(audiences):
    parameter = {"name": "n", "dataType": "STRING", "defaultValue": "5"}
    sql = "SELECT user_id FROM rows_3000"
    workflow = {"workflowId": "wf", "sqlQuery": sql, "inputParameters": [parameter]}
    assert audiences.api.reporting("POST", "workflows", workflow).status_code == 200
    audience_id = audiences.create(query=None, workflowId="wf", parameterValues={"n": "7"})
    found = audiences.ended(audience_id)
    assert (found["audienceCount"], found["query"], found["workflowId"]) == (3000, sql, "wf")
    assert (found["inputParameters"], found["parameterValues"]) == ([parameter], {"n": "7"})


@pytest.mark.covers("rule", "a repeated request makes a second audience")
def test_the_same_request_makes_another_audience(audiences):
    assert audiences.create() != audiences.create()
    assert len(audiences.listed()["executionMetadata"]) == 2


@pytest.mark.covers("rule", "an audience is PENDING, RUNNING, then SUCCEEDED or FAILED")
def test_an_audience_takes_its_time(serve):
    served = serve(speed="realistic", now="2026-03-01T12:00:00Z")
    audiences = Audiences(served.api)
    audience_id = audiences.create()
    seen = []
    for _ in range(60):
        found = audiences.get(audience_id)
        seen.append(found["status"])
        assert ("lastRefreshedTime" in found) == ("dspAudienceId" in found) == (found["status"] == "SUCCEEDED")
        served.server.advance_clock(30)
    assert list(dict.fromkeys(seen))[:2] == ["PENDING", "RUNNING"]
    assert seen[:10].count("SUCCEEDED") == 0, "it took less than five minutes"
    assert audiences.ended(audience_id)["status"] == "SUCCEEDED"


# -- failures --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT user_id FROM rows_1999", "An audience needs at least 2000 users, but this one has 1999."),
        ("SELECT n FROM rows_5000", "Invalid columns in the SQL query: The query must select user_id."),
        ("SELECT broken", "From line 1, column 8 to line 1, column 13: Column 'broken' not found in any table"),
        ("SELECT user_id FROM rows_5000 explode", "Division by zero"),
    ],
)
@pytest.mark.covers("rule", "an audience needs 2,000 users")
@pytest.mark.covers("rule", "what is wrong with the query of an audience is its statusReason")
def test_what_is_wrong_with_the_query_shows_in_the_status(audiences, query, reason):
    found = audiences.ended(audiences.create(query=query))
    assert (found["status"], found["statusReason"], found["audienceCount"]) == ("FAILED", reason, 0)
    assert {"dspAudienceId", "dspCanonicalId", "lastRefreshedTime"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("users", "status"), [(499, "FAILED"), (500, "SUCCEEDED"), (500_000, "SUCCEEDED"), (500_001, "FAILED")]
)
@pytest.mark.covers("rule", "the seed of a lookalike audience has 500 to 500,000 users")
def test_size_of_a_seed(audiences, users, status):
    found = audiences.ended(audiences.create("lookalike", query=f"SELECT user_id FROM rows_{users}"))
    assert found["status"] == status
    if status == "FAILED":
        reason = f"The seed of a lookalike audience needs 500 to 500000 users, but it has {users}."
        assert found["statusReason"] == reason


@pytest.mark.covers("switch", "min_audience_users")
@pytest.mark.covers("switch", "min_seed_users")
def test_smaller_audiences(serve):
    audiences = Audiences(serve(min_audience_users=10, min_seed_users=5).api)
    assert audiences.ended(audiences.create(query="SELECT user_id FROM rows_10"))["status"] == "SUCCEEDED"
    assert audiences.ended(audiences.create(query="SELECT user_id FROM rows_9"))["status"] == "FAILED"
    assert audiences.ended(audiences.create("lookalike", query="SELECT user_id FROM rows_5"))["status"] == "SUCCEEDED"


def test_a_value_that_is_missing(audiences):
    parameters = [{"name": "n", "dataType": "STRING"}]
    found = audiences.ended(audiences.create(inputParameters=parameters))
    reason = "No value was provided for the workflow parameter n and it has no default value."
    assert (found["status"], found["statusReason"]) == ("FAILED", reason)


def test_failures_on_order(served):
    audiences = Audiences(served.api)
    served.server.add_fault(operation="createQueryBasedAudience", kind="fail", reason="Out of luck")
    found = audiences.ended(audiences.create())
    assert (found["status"], found["statusReason"]) == ("FAILED", "Out of luck")
    served.server.add_fault(operation="createLookalikeAudience", kind="duration", seconds=3600)
    audience_id = audiences.create("lookalike")
    assert audiences.get(audience_id)["status"] == "PENDING"
    served.server.advance_clock(1801)
    assert audiences.get(audience_id)["status"] == "RUNNING"
    served.server.advance_clock(1800)
    assert audiences.ended(audience_id)["status"] == "SUCCEEDED"
    served.server.add_fault(
        operation="getQueryBasedAudienceByAudienceExecutionId", kind="unknown_status", value="PAUSED"
    )
    assert audiences.get(audience_id)["status"] == "PAUSED"


# -- refresh and deactivation ----------------------------------------------------------------------------------------
@pytest.mark.covers("rule", "an audience with refreshRateDays 0 is deactivated after 30 days")
def test_deactivation(served):
    audiences = Audiences(served.api)
    audience_id, kept = audiences.create(refreshRateDays="0"), audiences.create()
    before = audiences.ended(audience_id)
    audiences.ended(kept)
    served.server.advance_clock(30 * DAY - 60)
    assert audiences.get(audience_id)["status"] == "SUCCEEDED"
    served.server.advance_clock(60)
    after = audiences.get(audience_id)
    assert (after["status"], after["statusReason"]) == (
        "DEACTIVATED",
        "The audience is not refreshed and was deactivated after 30 days.",
    )
    assert after["lastRefreshedTime"] == before["lastRefreshedTime"]
    assert audiences.get(kept)["status"] == "SUCCEEDED"


@pytest.mark.covers(
    "rule", "an audience is refreshed every refreshRateDays days, with timeWindowRelative in a moved window"
)
def test_refresh(served):
    served.server.set_clock("2026-03-01T12:00:00Z")
    audiences = Audiences(served.api)
    fixed = audiences.create(refreshRateDays=7)
    moving = audiences.create(refreshRateDays=7, timeWindowRelative="TRUE")
    for one in (fixed, moving):
        assert audiences.ended(one)["lastRefreshedTime"].startswith("2026-03-01T12:00:")
    runs = len(served.engine.windows)
    served.server.advance_clock(15 * DAY)
    assert audiences.get(fixed)["lastRefreshedTime"].startswith("2026-03-15T12:00:")

    def refreshed() -> bool:
        found = audiences.get(moving)
        assert found["status"] == "SUCCEEDED"
        return str(found["lastRefreshedTime"]).startswith("2026-03-15T12:00:")

    assert wait_for(refreshed, "the refresh")
    assert [f"{start:%m-%d}" for start, _ in served.engine.windows[runs:]] == ["01-15"]
    assert audiences.get(moving)["timeWindowStart"] == REQUEST["timeWindowStart"]


# -- lists -----------------------------------------------------------------------------------------------------------
@pytest.mark.covers("endpoint", "getAllQueryBasedAudiencesByInstanceId")
def test_list_in_pages(audiences):
    made = [audiences.create(audienceName=f"Number {number}") for number in range(5)]
    assert [one["audienceExecutionId"] for one in audiences.listed()["executionMetadata"]] == made
    seen, token, sizes = [], "", []
    while True:
        page = audiences.listed(maxResults=2, nextToken=token)
        seen += [one["audienceExecutionId"] for one in page["executionMetadata"]]
        sizes.append(len(page["executionMetadata"]))
        if "nextToken" not in page:
            break
        token = page["nextToken"]
    assert (seen, sizes) == (made, [2, 2, 1])
    other = Audiences(audiences.api, "amcsandbox")
    assert other.listed() == {"executionMetadata": []}
    for limit in ("0", "101", "x"):
        expected = f"Invalid value '{limit}' for maxResults: expected a number from 1 to 100."
        assert refused(audiences.call("GET", "query", maxResults=limit)) == (400, expected)
    assert refused(audiences.call("GET", "query", nextToken="x")) == (400, "The provided nextToken is invalid.")


@pytest.mark.covers("rule", "a page of audiences ends at 1 MB")
def test_a_page_ends_at_a_megabyte(audiences):
    long = "SELECT user_id FROM rows_2500 -- " + "x" * 400_000
    made = [audiences.create(query=long) for _ in range(3)]
    first = audiences.listed()
    assert [one["audienceExecutionId"] for one in first["executionMetadata"]] == made[:2]
    rest = audiences.listed(nextToken=first["nextToken"])
    assert [one["audienceExecutionId"] for one in rest["executionMetadata"]] == made[2:]
    assert "nextToken" not in rest


# -- update and delete -----------------------------------------------------------------------------------------------
def failed(audiences: Audiences, **fields: Any) -> str:
    audience_id = audiences.create(query="SELECT user_id FROM rows_1", **fields)
    assert audiences.ended(audience_id)["status"] == "FAILED"
    return audience_id


UPDATE = {**REQUEST, "audienceType": "RULE_BASED"}


@pytest.mark.covers("endpoint", "updateQueryBasedAudienceByAudienceExecutionId")
def test_update_tries_again(audiences):
    audience_id = failed(audiences, refreshRateDays=5, audienceDescription="They come back")
    created = audiences.get(audience_id)["createTime"]
    body = {**UPDATE, "audienceDescription": "They come back", "timeWindowEnd": "2026-02-15T00:00:00Z"}
    answer = audiences.call("PUT", f"query/{audience_id}", body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, V12)
    assert (answer.json()["audienceExecutionId"], answer.json()["status"]) == (audience_id, "PENDING")
    found = audiences.ended(audience_id)
    assert (found["status"], found["timeWindowEnd"], found["createTime"]) == (
        "SUCCEEDED",
        "2026-02-15T00:00:00Z",
        created,
    )
    assert found["refreshRateDays"] == 21, "what is not given goes back to its default"
    assert "statusReason" not in found
    assert len(audiences.listed()["executionMetadata"]) == 1


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"advertiserId": "other"}, "Invalid value for advertiserId: it must be the same as the existing value."),
        ({"audienceName": "other"}, "Invalid value for audienceName: it must be the same as the existing value."),
        ({"audienceDescription": None}, "Invalid value for audienceDescription: it must be the same as the existing value."),
        ({"audienceType": "LOOKALIKE"}, "Invalid value for audienceType: it must be the same as the existing value."),
        ({"audienceType": None}, "audienceType must be specified."),
        ({"audienceType": "OTHER"}, "Invalid value 'OTHER' for audienceType: expected one of RULE_BASED, LOOKALIKE."),
        ({"lookalikeAudienceExpectedReach": "BROAD"}, "Invalid value for lookalikeAudienceExpectedReach: it must be the same as the existing value."),
        ({"query": None}, "Exactly one of query and workflowId must be specified."),
        ({"timeWindowStart": None}, "timeWindowStart must be specified."),
    ],
)  # fmt: skip
@pytest.mark.covers("rule", "an update of an audience repeats its name, description, advertiser, type and reach")
def test_an_update_keeps_who_the_audience_is(audiences, change, details):
    audience_id = failed(audiences, audienceDescription="They come back")
    body = {**UPDATE, "audienceDescription": "They come back", **change}
    answer = audiences.call("PUT", f"query/{audience_id}", {name: v for name, v in body.items() if v is not None})
    assert refused(answer) == (400, details)
    assert audiences.get(audience_id)["status"] == "FAILED"


@pytest.mark.covers("endpoint", "deleteQueryBasedAudienceByAudienceExecutionId")
def test_delete(audiences):
    audience_id = failed(audiences)
    answer = audiences.call("DELETE", f"query/{audience_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    expected = (404, f"Audience with ID {audience_id} does not exist.")
    assert refused(audiences.call("GET", f"query/{audience_id}")) == expected
    assert refused(audiences.call("DELETE", f"query/{audience_id}")) == expected
    assert refused(audiences.call("PUT", f"query/{audience_id}", UPDATE)) == (400, expected[1])


@pytest.mark.covers("rule", "only FAILED audiences can be updated and deleted")
def test_only_failed_audiences_can_be_changed(served):
    audiences = Audiences(served.api)
    audience_id = audiences.create()
    audiences.ended(audience_id)
    served.server.add_fault(operation="createQueryBasedAudience", kind="duration", seconds=60)
    waiting = audiences.create()
    for one, status in ((audience_id, "SUCCEEDED"), (waiting, "PENDING")):
        text = f"Audience with ID {one} cannot be {{}} because it is in status {status}: only FAILED audiences can."
        assert refused(audiences.call("PUT", f"query/{one}", UPDATE)) == (400, text.format("updated"))
        assert refused(audiences.call("DELETE", f"query/{one}")) == (400, text.format("deleted"))


def test_a_run_of_the_time_before_an_update_is_forgotten(served):
    audiences = Audiences(served.api)
    served.server.add_fault(operation="createQueryBasedAudience", kind="fail")
    audience_id = audiences.create(query="SELECT user_id FROM gated rows_2000")
    assert wait_for(lambda: served.engine.windows, "the query to run")
    # As if the first run had failed while another thread still computes it
    store = served.server.emulator.store
    body = store.get_document("query_audience", "amcemulator", audience_id)
    store.replace_document("query_audience", "amcemulator", audience_id, {**body, "outcome": {"failure": "Lost"}})
    assert audiences.call("PUT", f"query/{audience_id}", UPDATE).status_code == 200
    served.engine.gate.set()
    assert audiences.ended(audience_id)["audienceCount"] == 2500
    assert wait_for(lambda: not served.server.emulator.the_audiences().under_way, "the first run to end")
    assert audiences.get(audience_id)["audienceCount"] == 2500


# -- refusals --------------------------------------------------------------------------------------------------------
WINDOW = "Invalid value '{}' for timeWindowStart: expected the format yyyy-MM-dd'T'HH:mm:ss'Z'."


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"advertiserId": None}, "advertiserId must be specified."),
        ({"advertiserId": 5}, "Invalid value for advertiserId: expected a string."),
        ({"audienceName": ""}, "audienceName must be specified."),
        ({"audienceDescription": 5}, "Invalid value for audienceDescription: expected a string."),
        ({"timeWindowStart": None}, "timeWindowStart must be specified."),
        ({"timeWindowStart": "2026-01-01T00:00:00"}, WINDOW.format("2026-01-01T00:00:00")),
        ({"timeWindowStart": "2026-01-01"}, WINDOW.format("2026-01-01")),
        ({"timeWindowStart": "2026-13-01T00:00:00Z"}, WINDOW.format("2026-13-01T00:00:00Z")),
        ({"timeWindowStart": "2026-01-01T00:00:00+01:00"}, WINDOW.format("2026-01-01T00:00:00+01:00")),
        ({"timeWindowStart": "2026-02-01T00:00:00Z"}, "timeWindowStart must be before timeWindowEnd."),
        ({"query": None}, "Exactly one of query and workflowId must be specified."),
        ({"workflowId": "wf"}, "Exactly one of query and workflowId must be specified."),
        ({"query": None, "workflowId": "wf"}, "Workflow with ID wf does not exist."),
        ({"query": 5}, "Invalid value for query: expected a string."),
        ({"inputParameters": "n"}, "Invalid value for inputParameters: expected a list of objects."),
        ({"parameterValues": ["n"]}, "Invalid value for parameterValues: expected an object."),
        ({"timeWindowRelative": "often"}, "Invalid value 'often' for timeWindowRelative: expected true or false."),
        ({"refreshRateDays": 22}, "Invalid value '22' for refreshRateDays: expected a number from {} to 21."),
        ({"refreshRateDays": -1}, "Invalid value '-1' for refreshRateDays: expected a number from {} to 21."),
        ({"refreshRateDays": "often"}, "Invalid value 'often' for refreshRateDays: expected a whole number."),
        ({"advertiserType": "SAS"}, "Invalid value 'SAS' for advertiserType: expected one of DISPLAY, SPONSORED_ADS."),
    ],
)  # fmt: skip
@pytest.mark.covers("rule", "the windows of audiences have a Z")
@pytest.mark.covers("rule", "refreshRateDays is 0 to 21, for lookalike audiences 7 to 21")
def test_what_a_request_must_be_like(audiences, change, details):
    for path, base, least in (("query", REQUEST, 0), ("lookalike", LOOKALIKE, 7)):
        body = {name: value for name, value in {**base, **change}.items() if value is not None}
        assert refused(audiences.call("POST", path, body)) == (400, details.format(least))
    assert audiences.listed() == {"executionMetadata": []}


def test_what_a_lookalike_audience_must_be_like(audiences):
    few = audiences.call("POST", "lookalike", {**LOOKALIKE, "refreshRateDays": 6})
    assert refused(few) == (400, "Invalid value '6' for refreshRateDays: expected a number from 7 to 21.")
    assert refused(audiences.call("POST", "lookalike", REQUEST)) == (
        400,
        "lookalikeAudienceExpectedReach must be specified.",
    )
    wide = audiences.call("POST", "lookalike", {**REQUEST, "lookalikeAudienceExpectedReach": "WIDE"})
    assert refused(wide) == (
        400,
        "Invalid value 'WIDE' for lookalikeAudienceExpectedReach: expected one of MOST_SIMILAR, SIMILAR, BALANCED, "
        "BROAD, MOST_BROAD.",
    )


def test_a_workflow_without_sql(audiences):
    audiences.api.reporting("POST", "workflows", {"workflowId": "old", "query": {"operations": []}})
    body = {**REQUEST, "workflowId": "old"}
    del body["query"]
    assert refused(audiences.call("POST", "query", body)) == (400, "Workflow with ID old has no SQL query.")


@pytest.mark.covers("rule", "audiences need the header of their instance, not that of the account")
def test_headers(audiences):
    name = "Amazon-Marketing-Cloud-Audience-InstanceId"
    assert audiences.call("GET", "query").status_code == 200
    with_entity = audiences.call("GET", "query", headers={"Amazon-Advertising-API-EntityId": "ENTITY1"})
    assert with_entity.status_code == 200
    for instance, expected in (("", (400, f"{name} provided is null")), ("other", (403, "Unauthorized request."))):
        assert refused(audiences.call("GET", "query", headers={name: instance})) == expected
    nobody = audiences.call("GET", "query", headers={"Authorization": ""})
    assert refused(nobody) == (401, "Authentication failed")


# -- the whole emulator ----------------------------------------------------------------------------------------------
def test_audiences_survive_a_restart(serve, tmp_path):
    first = serve(state_dir=tmp_path)
    audiences = Audiences(first.api)
    done = audiences.create()
    audiences.ended(done)
    waiting = audiences.create(query="SELECT user_id FROM gated rows_3000")
    assert wait_for(lambda: len(first.engine.windows) == 2, "the query to run")
    first.server.stop()
    again = serve(state_dir=tmp_path)
    again.engine.gate.set()
    audiences = Audiences(again.api)
    assert audiences.get(done)["audienceCount"] == 2500
    assert audiences.ended(waiting)["audienceCount"] == 3000


def test_reset_forgets_audiences_under_way(served):
    audiences = Audiences(served.api)
    audiences.create(query="SELECT user_id FROM gated rows_3000")
    assert wait_for(lambda: served.engine.windows, "the query to run")
    engine = served.engine
    served.api.control("POST", "reset")
    assert wait_for(lambda: engine.interruptions == 1, "the query to stop")
    assert audiences.listed() == {"executionMetadata": []}


@pytest.mark.parametrize(
    "gone",
    [
        lambda audiences, made: audiences.api.call("DELETE", f"instances/{made}"),
        lambda audiences, made: audiences.api.control("POST", "reset"),
    ],
    ids=["deleted", "reset"],
)
def test_an_audience_ends_with_its_instance(served, gone: Callable[[Audiences, str], Any]):
    made = served.api.call("POST", "instances", {"instanceName": "Short lived"}).json()["instance"]["instanceId"]
    audiences = Audiences(served.api, made)
    audiences.create()
    gone(audiences, made)
    assert refused(audiences.call("GET", "query")) == (403, "Unauthorized request.")
    assert served.server.emulator.store.documents("query_audience", made) == []
