from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient, workflow_definition
from airflow_provider_amc.client.transport import WORKFLOWS
from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcValidationError,
)
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/reporting/amctest/workflows"
DONE = Reply(body=b"{}", headers={"Content-Type": "application/octet-stream"})
EXISTS = Reply(400, {"code": "400", "details": "Workflow with ID w already exists."})
MISSING = Reply(400, {"code": "400", "details": "Workflow with ID w does not exist"})


def test_create_sends_every_field_by_its_name(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", "/amc/reporting/other/workflows", DONE)
    client.workflows.create(
        "w",
        sql_query="SELECT 'ü' AS a",
        input_parameters=[{"name": "p", "dataType": "STRING"}],
        input_schema="sandbox",
        output_columns=[{"name": "a"}],
        output_format={"separatorCharacter": ";"},
        privacy_filtering_behavior="REMOVE_VALUES",
        filtered_metrics_discriminator_column="filtered",
        distinct_user_count_column="du",
        filtered_reason_column="why",
        extra={"newField": 1},
        instance_id="other",
    )
    request = server.calls()[0]
    assert request.json == {
        "workflowId": "w",
        "sqlQuery": "SELECT 'ü' AS a",
        "inputParameters": [{"name": "p", "dataType": "STRING"}],
        "inputSchema": "sandbox",
        "outputColumns": [{"name": "a"}],
        "outputFormat": {"separatorCharacter": ";"},
        "privacyFilteringBehavior": "REMOVE_VALUES",
        "filteredMetricsDiscriminatorColumn": "filtered",
        "distinctUserCountColumn": "du",
        "filteredReasonColumn": "why",
        "newField": 1,
    }
    assert request.headers["content-type"] == WORKFLOWS


def test_fields_that_are_not_given_are_not_sent(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", BASE, DONE)
    client.workflows.create("w", sql_query="SELECT 1")
    assert server.calls()[0].json == {"workflowId": "w", "sqlQuery": "SELECT 1"}


def test_update_replaces_and_repeats_the_id(server: ScriptedServer, client: AmcClient) -> None:
    server.on("PUT", f"{BASE}/w", DONE)
    client.workflows.update("w", sql_query="SELECT 2")
    assert server.calls()[0].json == {"workflowId": "w", "sqlQuery": "SELECT 2"}


@pytest.mark.parametrize("wrapped", [True, False])
def test_get_in_either_envelope(server: ScriptedServer, client: AmcClient, wrapped: bool) -> None:
    flat = {"workflowId": "w", "sqlQuery": "SELECT 1", "inputParameters": [{"name": "p"}]}
    server.on("GET", f"{BASE}/w", Reply(body={"workflow": flat} if wrapped else flat))
    workflow = client.workflows.get("w")
    assert (workflow.workflow_id, workflow.sql_query, workflow.input_parameters) == ("w", "SELECT 1", ({"name": "p"},))


def test_list_reads_all_pages(server: ScriptedServer, client: AmcClient) -> None:
    server.on(
        "GET",
        BASE,
        Reply(body={"workflows": [{"workflowId": "a"}], "nextToken": "n=/+"}),
        Reply(body={"workflows": [{"workflowId": "b"}]}),
    )
    assert [workflow.workflow_id for workflow in client.workflows.list(limit=1)] == ["a", "b"]
    assert server.calls()[1].query == {"limit": "1", "nextToken": "n=/+"}


def test_list_answers_wrong_arguments_at_once(client: AmcClient) -> None:
    with pytest.raises(AmcValidationError):
        client.workflows.list(limit=0)


@pytest.mark.parametrize(
    ("call", "method", "address", "reply", "kind"),
    [
        (lambda c: c.workflows.create("w", sql_query="x"), "POST", BASE, EXISTS, AmcAlreadyExistsError),
        (lambda c: c.workflows.update("w", sql_query="x"), "PUT", f"{BASE}/w", MISSING, AmcNotFoundError),
        (lambda c: c.workflows.get("w"), "GET", f"{BASE}/w", MISSING, AmcNotFoundError),
        (lambda c: c.workflows.delete("w"), "DELETE", f"{BASE}/w", MISSING, AmcNotFoundError),
    ],
)
def test_refusals_have_their_classes(
    server: ScriptedServer,
    client: AmcClient,
    call: Callable[[AmcClient], Any],
    method: str,
    address: str,
    reply: Reply,
    kind: type[Exception],
) -> None:
    server.on(method, address, reply)
    with pytest.raises(kind):
        call(client)


@pytest.mark.parametrize("lost", [Reply(fault="close"), Reply(504, {"message": "Endpoint request timed out"})])
def test_repeats_after_a_lost_answer_find_their_own_work_done(
    server: ScriptedServer, client: AmcClient, lost: Reply
) -> None:
    server.on("POST", BASE, lost, EXISTS)
    server.on("GET", f"{BASE}/w", Reply(body={"workflowId": "w", "sqlQuery": "SELECT  1\n"}))
    client.workflows.create("w", sql_query="SELECT 1")
    server.on("DELETE", f"{BASE}/w", lost, MISSING)
    client.workflows.delete("w")
    assert [call.method for call in server.calls()] == ["POST", "POST", "GET", "DELETE", "DELETE"]


def test_an_id_that_was_taken_before_the_lost_answer_is_still_taken(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", BASE, Reply(fault="close"), EXISTS)
    server.on("GET", f"{BASE}/w", Reply(body={"workflowId": "w", "sqlQuery": "SELECT other"}))
    with pytest.raises(AmcAlreadyExistsError):
        client.workflows.create("w", sql_query="SELECT 1")


def test_throttling_is_no_excuse_for_an_id_that_is_taken(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", BASE, Reply(429, b""), EXISTS)
    with pytest.raises(AmcAlreadyExistsError):
        client.workflows.create("w", sql_query="SELECT 1")


def test_a_compile_error_keeps_amcs_words(server: ScriptedServer, client: AmcClient) -> None:
    text = "Was unable to compile workflow w because it was found to be invalid: From line 1, column 8: Object 'X' not found"
    server.on("POST", BASE, Reply(400, {"code": "400", "details": text}))
    with pytest.raises(AmcInvalidRequestError) as caught:
        client.workflows.create("w", sql_query="SELECT x")
    assert caught.value.details == text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sql_query": "  \n"}, "sql_query is empty"),
        ({"sql_query": None}, "sql_query is empty"),
        ({"workflow_id": "a b"}, "workflow_id 'a b'"),
        ({"privacy_filtering_behavior": "DROP"}, "REMOVE_ROWS, REMOVE_VALUES"),
        ({"input_parameters": {"name": "p"}}, "input_parameters must be a list"),
        ({"input_parameters": [{"dataType": "STRING"}]}, r"input_parameters\[0\] has no name"),
        ({"output_columns": [{"name": str(n)} for n in range(101)]}, "at most 100"),
    ],
)
def test_wrong_definitions_are_not_sent(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AmcValidationError, match=words):
        workflow_definition(**{"sql_query": "SELECT 1", **change})


@pytest.mark.parametrize("wrong", ["", "a b", "a/b", "..", None])
def test_wrong_ids_are_not_sent(server: ScriptedServer, client: AmcClient, wrong: Any) -> None:
    for call in (client.workflows.get, client.workflows.delete, client.schedules.get, client.schedules.delete):
        with pytest.raises(AmcValidationError):
            call(wrong)
    assert server.requests == []
