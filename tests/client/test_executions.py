from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient, DownloadUrls, ExecutionStatus, workflow_definition
from airflow_provider_amc.client.executions import parameter_fields, window_fields
from airflow_provider_amc.client.transport import EXECUTIONS
from airflow_provider_amc.exceptions import (
    AmcHttpError,
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcNotReadyError,
    AmcThrottledError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from tests.client.scripted import FakeTime, Reply, ScriptedServer

BASE = "/amc/reporting/amctest/workflowExecutions"
CREATED = {"workflowExecutionId": "e-1", "workflowId": "w", "status": "PENDING", "createTime": "2026-01-10T08:00:00Z"}


class TestWindow:
    def test_nothing_given_is_amcs_default(self) -> None:
        assert window_fields() == {}
        assert window_fields(None, "", "", "") == {}

    def test_explicit_bounds_are_sent_on_the_clock_of_the_zone(self) -> None:
        assert window_fields(
            "explicit", "2026-01-01T05:00:00Z", datetime(2026, 1, 8, 5, tzinfo=UTC), "America/New_York"
        ) == {
            "timeWindowType": "EXPLICIT",
            "timeWindowStart": "2026-01-01T00:00:00",
            "timeWindowEnd": "2026-01-08T00:00:00",
            "timeWindowTimeZone": "America/New_York",
        }

    def test_bounds_alone_mean_explicit(self) -> None:
        assert window_fields(None, "2026-01-01T00:00:00", "2026-01-02T00:00:00")["timeWindowType"] == "EXPLICIT"

    def test_relative_types_keep_their_zone(self) -> None:
        assert window_fields("PREVIOUS_MONTH", None, None, "Europe/Berlin") == {
            "timeWindowType": "PREVIOUS_MONTH",
            "timeWindowTimeZone": "Europe/Berlin",
        }

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("EXPLICIT", "2026-01-01T00:00:00", None), "needs time_window_end too"),
            (("EXPLICIT", None, "2026-01-01T00:00:00"), "needs time_window_start too"),
            (("EXPLICIT",), "needs time_window_start and time_window_end too"),
            ((None, "2026-01-01T00:00:00"), "needs time_window_end too"),
            (("EXPLICIT", "2026-01-02T00:00:00", "2026-01-01T00:00:00"), "must be before"),
            (("EXPLICIT", "2026-01-01T00:00:00", "2026-01-01T00:00:00.5"), "must be before"),
            (("EXPLICIT", "2026-01-01", "2026-01-02T00:00:00"), "time_window_start.*a date without a time"),
            (("EXPLICIT", "2026-01-01T00:00:00", date(2026, 1, 2)), "time_window_end.*a date without a time"),
            (("EXPLICIT", "2026-01-01T00:00:00", "2026-01-02T00:00:00", "Mars"), "unknown time zone 'Mars'"),
            (("MOST_RECENT_DAY", None, None, "Mars"), "unknown time zone 'Mars'"),
            (("MOST_RECENT_DAY", "2026-01-01T00:00:00"), "go with time_window_type EXPLICIT only"),
            (("LAST_WEEK",), "one of EXPLICIT, MOST_RECENT_DAY, MOST_RECENT_WEEK, CURRENT_MONTH, PREVIOUS_MONTH, ALL"),
        ],
    )
    def test_wrong_windows_are_refused(self, arguments: tuple[Any, ...], words: str) -> None:
        with pytest.raises(AmcValidationError, match=words):
            window_fields(*arguments)


class TestParameters:
    def test_values_become_text_and_lists(self) -> None:
        assert parameter_fields(
            {
                "text": "it's",
                "number": 5,
                "exact": Decimal("0.10"),
                "yes": True,
                "day": date(2026, 1, 1),
                "moment": datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
                "list": ["a", 1],
                "tuple": (True,),
                "empty": [],
            }
        ) == {
            "text": "it's",
            "number": "5",
            "exact": "0.10",
            "yes": "true",
            "day": "2026-01-01",
            "moment": "2026-01-01T00:00:00",
            "list": ["a", "1"],
            "tuple": ["true"],
            "empty": [],
        }

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"a": None}, "a is None. Leave it out"),
            ({"a": [1, None]}, r"a\[1\] is None"),
            ({"a": {"b": 1}}, "a is a dict"),
            ({"a": float("nan")}, "a is nan"),
            ({"": 1}, "is not a name"),
            ({5: 1}, "5 is not a name"),
            ([("a", 1)], "must be a mapping"),
        ],
    )
    def test_other_values_are_refused_by_name(self, values: Any, words: str) -> None:
        with pytest.raises(AmcValidationError, match=words):
            parameter_fields(values)


class TestCreate:
    def test_a_saved_workflow_with_every_field(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("POST", BASE, Reply(body=CREATED))
        execution = client.executions.create(
            workflow_id="w",
            time_window_start="2026-01-01T00:00:00Z",
            time_window_end="2026-01-02T00:00:00Z",
            parameter_values={"p": 1},
            workflow_execution_timeout_seconds=900,
            dry_run=False,
            skip_publish=True,
            require_synthetic_data=True,
            disable_aggregation_controls=False,
            ignore_data_gaps=True,
            advertisers=[{"id": "1", "type": "DISPLAY"}],
            extra={"maxCertifiedTime": "2026-01-05T00:00:00"},
        )
        assert (execution.workflow_execution_id, execution.status) == ("e-1", ExecutionStatus.PENDING)
        request = server.calls()[0]
        assert request.headers["content-type"] == EXECUTIONS
        assert request.json == {
            "workflowId": "w",
            "timeWindowType": "EXPLICIT",
            "timeWindowStart": "2026-01-01T00:00:00",
            "timeWindowEnd": "2026-01-02T00:00:00",
            "parameterValues": {"p": "1"},
            "workflowExecutionTimeoutSeconds": 900,
            "dryRun": False,
            "skipPublish": True,
            "requireSyntheticData": True,
            "disableAggregationControls": False,
            "ignoreDataGaps": True,
            "advertisers": [{"id": "1", "type": "DISPLAY"}],
            "maxCertifiedTime": "2026-01-05T00:00:00",
        }

    @pytest.mark.parametrize("wrapped", [True, False])
    def test_a_query_ad_hoc(self, server: ScriptedServer, client: AmcClient, wrapped: bool) -> None:
        server.on("POST", BASE, Reply(body={"workflowExecution": CREATED} if wrapped else CREATED))
        execution = client.executions.create(
            workflow=workflow_definition(sql_query="SELECT 1 /* key */"), time_window_type="MOST_RECENT_DAY"
        )
        assert execution.workflow_execution_id == "e-1"
        assert server.calls()[0].json == {
            "workflow": {"sqlQuery": "SELECT 1 /* key */"},
            "timeWindowType": "MOST_RECENT_DAY",
        }

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({}, "neither was given"),
            ({"workflow_id": "w", "workflow": {"sqlQuery": "x"}}, "not both"),
            ({"workflow_id": "a b"}, "workflow_id 'a b'"),
            ({"workflow": {"sqlQuery": " "}}, "no sqlQuery, or an empty one"),
            ({"workflow": {}}, "no sqlQuery, or an empty one"),
            ({"workflow": "SELECT 1"}, "must be a mapping"),
            ({"workflow": {"sqlQuery": "x", "workflowId": "a b"}}, "'a b'"),
            ({"workflow_id": "w", "workflow_execution_timeout_seconds": 899}, "from 900 to 86400"),
            ({"workflow_id": "w", "workflow_execution_timeout_seconds": 86401}, "from 900 to 86400"),
            ({"workflow_id": "w", "time_window_type": "EXPLICIT"}, "needs time_window_start"),
            ({"workflow_id": "w", "extra": {"x": {1}}}, "cannot be written as JSON"),
        ],
    )
    def test_wrong_arguments_are_not_sent(
        self, server: ScriptedServer, client: AmcClient, arguments: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(AmcValidationError, match=words):
            client.executions.create(**arguments)
        assert server.calls() == []

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(fault="close"),
            Reply(504, {"message": "Endpoint request timed out"}),
            Reply(500, b""),
            Reply(200, b"<html>"),
            Reply(200, b"{}"),
            Reply(200, b""),
        ],
    )
    def test_a_lost_answer_never_starts_a_second_run(
        self, server: ScriptedServer, client: AmcClient, reply: Reply
    ) -> None:
        server.on("POST", BASE, reply)
        with pytest.raises(AmcUnknownOutcomeError):
            client.executions.create(workflow_id="w")
        assert len(server.calls()) == 1

    def test_throttling_is_waited_out(self, server: ScriptedServer, client: AmcClient, fake_time: FakeTime) -> None:
        server.on("POST", BASE, Reply(429, b"", {"Retry-After": "5"}), Reply(body=CREATED))
        assert client.executions.create(workflow_id="w").workflow_execution_id == "e-1"
        assert fake_time.waits[0] >= 5

    def test_throttling_without_end_is_not_an_unknown_outcome(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("POST", BASE, Reply(429, {"message": "Too Many Requests"}))
        with pytest.raises(AmcThrottledError):
            client.executions.create(workflow_id="w")


class TestGet:
    @pytest.mark.parametrize("wrapped", [True, False])
    def test_in_either_envelope(self, server: ScriptedServer, client: AmcClient, wrapped: bool) -> None:
        server.on("GET", f"{BASE}/e-1", Reply(body={"workflowExecution": CREATED} if wrapped else CREATED))
        assert client.executions.get("e-1").workflow_id == "w"
        client.executions.get("e-1", include_workflow=True)
        assert [call.query for call in server.calls()] == [{}, {"includeWorkflow": "true"}]

    def test_unknown(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("GET", f"{BASE}/x", Reply(400, {"details": "Workflow execution with ID x does not exist."}))
        with pytest.raises(AmcNotFoundError):
            client.executions.get("x")

    def test_an_empty_answer_is_not_an_execution(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("GET", f"{BASE}/x", Reply(body={}))
        with pytest.raises(AmcHttpError, match="no workflowExecutionId"):
            client.executions.get("x")


class TestList:
    def test_every_filter_is_sent_with_every_page(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on(
            "GET",
            BASE,
            Reply(body={"executions": [CREATED], "nextToken": "n"}),
            Reply(body={"executions": [{**CREATED, "workflowExecutionId": "e-2"}], "nextToken": None}),
        )
        listed = client.executions.list(
            workflow_id="w",
            min_creation_time=datetime(2026, 1, 1, tzinfo=UTC),
            max_creation_time="2026-01-02T00:00:00Z",
            sort_ascending=True,
            include_cancelled=True,
            include_workflow=False,
            limit=50,
        )
        assert [execution.workflow_execution_id for execution in listed] == ["e-1", "e-2"]
        first = {
            "workflowId": "w",
            "minCreationTime": "2026-01-01T00:00:00",
            "maxCreationTime": "2026-01-02T00:00:00",
            "sortAscending": "true",
            "includeCancelled": "true",
            "includeWorkflow": "false",
            "limit": "50",
        }
        assert [call.query for call in server.calls()] == [first, {**first, "nextToken": "n"}]

    def test_times_are_converted_to_the_zone(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("GET", BASE, Reply(body={"executions": []}))
        list(client.executions.list(min_creation_time="2026-01-01T05:00:00Z", time_zone="America/New_York"))
        expected = {"minCreationTime": "2026-01-01T00:00:00", "timeZone": "America/New_York"}
        assert server.calls()[0].query == expected

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({}, "needs workflow_id or min_creation_time"),
            ({"max_creation_time": "2026-01-01T00:00:00"}, "needs workflow_id or min_creation_time"),
            ({"min_creation_time": "2026-01-01"}, "min_creation_time.*without a time"),
            ({"workflow_id": "w", "time_zone": "Mars"}, "time_zone: unknown time zone"),
            ({"workflow_id": "w", "limit": 101}, "limit"),
        ],
    )
    def test_wrong_filters_are_refused_at_once(
        self, server: ScriptedServer, client: AmcClient, arguments: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(AmcValidationError, match=words):
            client.executions.list(**arguments)
        assert server.requests == []


class TestCancel:
    FINAL = Reply(400, {"code": "400", "details": "Only pending or running executions can be updated."})

    def status(self, text: str) -> Reply:
        return Reply(body={**CREATED, "status": text})

    def test_it_sets_the_status(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("PUT", f"{BASE}/e-1", Reply())
        assert client.executions.cancel("e-1") is True
        assert server.calls()[0].json == {"status": "CANCELLED"}

    @pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"])
    def test_one_that_had_finished_is_fine(self, server: ScriptedServer, client: AmcClient, status: str) -> None:
        server.on("PUT", f"{BASE}/e-1", self.FINAL)
        server.on("GET", f"{BASE}/e-1", self.status(status))
        assert client.executions.cancel("e-1") is False

    def test_a_repeat_finds_what_its_first_attempt_did(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("PUT", f"{BASE}/e-1", Reply(fault="close"), self.FINAL)
        server.on("GET", f"{BASE}/e-1", self.status("CANCELLED"))
        assert client.executions.cancel("e-1") is True

    def test_another_refusal_is_an_error(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("PUT", f"{BASE}/e-1", Reply(400, {"details": "no such field"}))
        server.on("GET", f"{BASE}/e-1", self.status("RUNNING"))
        with pytest.raises(AmcInvalidRequestError, match="no such field"):
            client.executions.cancel("e-1")

    def test_an_unknown_one_is_an_error(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on("PUT", f"{BASE}/x", Reply(400, {"details": "Workflow execution with ID x does not exist."}))
        with pytest.raises(AmcNotFoundError):
            client.executions.cancel("x")


class TestDownloadUrls:
    def test_all_files_of_all_pages(self, server: ScriptedServer, client: AmcClient) -> None:
        server.on(
            "GET",
            f"{BASE}/e-1/downloadUrls",
            Reply(body={"downloadUrls": ["https://a/1", "https://a/2"], "metadataDownloadUrls": ["https://a/m"], "nextToken": "n"}),
            Reply(body={"downloadUrls": ["https://a/3"], "nextToken": ""}),
        )  # fmt: skip
        expected = DownloadUrls(("https://a/1", "https://a/2", "https://a/3"), ("https://a/m",))
        assert client.executions.download_urls("e-1") == expected

    @pytest.mark.parametrize("status", [400, 404])
    def test_not_ready(self, server: ScriptedServer, client: AmcClient, status: int) -> None:
        text = "Execution with ID e-1 is unavailable for download"
        server.on("GET", f"{BASE}/e-1/downloadUrls", Reply(status, {"details": text}))
        with pytest.raises(AmcNotReadyError) as caught:
            client.executions.download_urls("e-1")
        assert caught.value.retryable
        assert len(server.calls()) == 1

    def test_signatures_are_announced_as_secrets(self, server: ScriptedServer, make_client: Any) -> None:
        announced: list[str] = []
        client = make_client(on_secret=announced.append)
        server.on("GET", f"{BASE}/e-1/downloadUrls", Reply(body={"downloadUrls": ["https://a/1?X-Amz-Signature=0a1b"]}))
        client.executions.download_urls("e-1")
        assert "0a1b" in announced
