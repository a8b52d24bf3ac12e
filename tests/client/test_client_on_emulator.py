"""The whole client against the emulator: every call, in the order a user makes them, and what goes wrong on the way."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.client import (
    AmcClient,
    Credentials,
    Execution,
    ExecutionStatus,
    RetryPolicy,
    authorization_url,
    workflow_definition,
)
from airflow_provider_amc.emulator import config as fixed
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcAuthenticationError,
    AmcError,
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcNotReadyError,
    AmcPermissionError,
    AmcTermsNotAcceptedError,
    AmcUnknownOutcomeError,
)
from tests.client.scripted import FakeTime
from tests.emulator.standin import StandIn

SQL = "SELECT n FROM rows_12"
WINDOW: dict[str, Any] = {"time_window_start": "2025-01-01T00:00:00Z", "time_window_end": "2025-01-02T00:00:00Z"}


class Amc:
    """An emulator with a quick stand-in for its query engine, and clients for it."""

    def __init__(self, fake_time: FakeTime, **settings: Any) -> None:
        self.time = fake_time
        self.engines: list[StandIn] = []
        self.clients: list[AmcClient] = []
        self.server = EmulatorServer(port=0, make_engine=self._engine, **settings).start()

    def _engine(self, now: datetime) -> Any:
        self.engines.append(StandIn(now))
        return self.engines[-1]

    def client(self, **changes: Any) -> AmcClient:
        arguments: dict[str, Any] = {
            "account_id": fixed.ACCOUNT_ID,
            "marketplace_id": fixed.MARKETPLACE_ID,
            "instance_id": fixed.STANDARD_INSTANCE,
            "base_url": self.server.url,
            "sleep": self.time.sleep,
            "clock": self.time.clock,
            **changes,
        }
        credentials = arguments.pop(
            "credentials", Credentials(fixed.CLIENT_ID, fixed.CLIENT_SECRET, fixed.REFRESH_TOKEN)
        )
        self.clients.append(AmcClient(credentials, **arguments))
        return self.clients[-1]

    def finish(self, client: AmcClient, execution: Execution) -> Execution:
        for _ in range(5000):
            execution = client.executions.get(execution.workflow_execution_id)
            if execution.is_finished:
                return execution
        raise AssertionError(f"still {execution.raw_status}")

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        for engine in self.engines:
            engine.gate.set()
        self.server.stop()


@pytest.fixture
def serve(fake_time: FakeTime) -> Iterator[Callable[..., Amc]]:
    started: list[Amc] = []

    def start(**settings: Any) -> Amc:
        started.append(Amc(fake_time, **settings))
        return started[-1]

    yield start
    for amc in started:
        amc.stop()


@pytest.fixture
def amc(serve: Callable[..., Amc]) -> Amc:
    return serve()


def rows(client: AmcClient, execution: Execution) -> list[int]:
    found: list[int] = []
    for file in client.executions.results(execution.workflow_execution_id).files():
        with io.TextIOWrapper(io.BufferedReader(file.open()), "utf-8", newline="") as text:
            found += [int(row["n"]) for row in csv.DictReader(text)]
    return found


@pytest.mark.parametrize("envelope", ["flat", "wrapped"])
def test_every_call_in_either_envelope(serve: Callable[..., Amc], envelope: str) -> None:
    amc = serve(envelope=envelope, default_page_size=2, rows_per_file=5, extra_instances=3)
    client = amc.client()

    accounts = client.accounts.list()
    assert [(account.account_id, account.marketplace_id) for account in accounts] == [
        (fixed.ACCOUNT_ID, fixed.MARKETPLACE_ID)
    ]
    instances = client.instances.list(limit=2)
    assert {instance.instance_id for instance in instances} >= {fixed.STANDARD_INSTANCE, fixed.SANDBOX_INSTANCE}
    assert len(instances) == 5
    assert client.instances.get(fixed.SANDBOX_INSTANCE).is_sandbox
    assert client.instances.get().is_ready

    sources = list(client.data_sources.list())
    assert len({source.data_source_id for source in sources}) == 7
    assert client.data_sources.get("table_003").columns[0].name == "n"

    for number in range(3):
        client.workflows.create(f"wf-{number}", sql_query=SQL)
    with pytest.raises(AmcAlreadyExistsError):
        client.workflows.create("wf-0", sql_query=SQL)
    assert [workflow.workflow_id for workflow in client.workflows.list(limit=2)] == ["wf-0", "wf-1", "wf-2"]
    client.workflows.update(
        "wf-0", sql_query="SELECT n FROM rows_3", input_parameters=[{"name": "p", "dataType": "STRING"}]
    )
    workflow = client.workflows.get("wf-0")
    assert (workflow.sql_query, workflow.input_parameters[0]["name"]) == ("SELECT n FROM rows_3", "p")
    client.workflows.delete("wf-2")
    with pytest.raises(AmcNotFoundError):
        client.workflows.get("wf-2")

    client.schedules.create("daily", workflow_id="wf-1", aggregation_hour_utc=8, schedule_enabled=False)
    client.schedules.update("daily", workflow_id="wf-1", aggregation_period="Weekly", aggregation_start_day="Monday")
    schedule = client.schedules.get("daily")
    assert (schedule.aggregation_period, schedule.workflow_id) == ("Weekly", "wf-1")
    assert [schedule.schedule_id for schedule in client.schedules.list()] == ["daily"]
    with pytest.raises(AmcInvalidRequestError):
        client.workflows.delete("wf-1")
    client.schedules.delete("daily")
    with pytest.raises(AmcNotFoundError):
        client.schedules.get("daily")

    saved = amc.finish(client, client.executions.create(workflow_id="wf-1", **WINDOW))
    assert (saved.status, saved.workflow_id) == (ExecutionStatus.SUCCEEDED, "wf-1")
    assert saved.time_window_start == datetime(2025, 1, 1, tzinfo=UTC)
    assert [(column.name, column.data_type) for column in saved.output_columns] == [("n", "LONG")]
    adhoc = client.executions.create(workflow=workflow_definition(sql_query=SQL + " /* key=1 */"), **WINDOW)
    amc.finish(client, adhoc)
    with_sql = client.executions.get(adhoc.workflow_execution_id, include_workflow=True)
    assert "/* key=1 */" in (with_sql.sql_query or "")

    urls = client.executions.download_urls(saved.workflow_execution_id)
    assert len(urls.urls) == 3
    assert urls.metadata_urls
    assert rows(client, saved) == rows(client, adhoc) == list(range(12))


def test_the_consent_page_is_where_the_url_points(amc: Amc) -> None:
    url = authorization_url(fixed.CLIENT_ID, "https://my.site/return", base_url=amc.server.url + "/")
    assert url.startswith(f"{amc.server.url}/ap/oa?client_id=")


def test_executions_are_listed_with_every_filter(amc: Amc) -> None:
    client = amc.client()
    client.workflows.create("w", sql_query=SQL)
    start = amc.server.now()
    ids = []
    for _ in range(5):
        ids.append(client.executions.create(workflow_id="w", **WINDOW).workflow_execution_id)
        amc.server.advance_clock(3600)
    gated = client.executions.create(workflow=workflow_definition(sql_query="SELECT n FROM gated_rows_1"), **WINDOW)
    assert client.executions.cancel(gated.workflow_execution_id) is True
    assert client.executions.cancel(gated.workflow_execution_id) is False

    def listed(**filters: Any) -> list[str]:
        return [execution.workflow_execution_id for execution in client.executions.list(**filters)]

    assert listed(workflow_id="w") == ids[::-1]
    assert listed(workflow_id="w", sort_ascending=True, limit=2) == ids
    after = start + timedelta(minutes=90)
    assert listed(min_creation_time=after, sort_ascending=True) == ids[2:]
    assert listed(min_creation_time=after, sort_ascending=True, time_zone="Asia/Tokyo") == ids[2:]
    assert listed(min_creation_time=start, max_creation_time=after, sort_ascending=True) == ids[:2]
    everything = listed(min_creation_time=start, include_cancelled=True)
    assert everything == [gated.workflow_execution_id, *ids[::-1]]
    found = next(client.executions.list(workflow_id="w", include_workflow=True))
    assert found.sql_query == SQL


def test_cancelling_what_has_finished_is_fine(amc: Amc) -> None:
    client = amc.client()
    execution = amc.finish(client, client.executions.create(workflow=workflow_definition(sql_query=SQL), **WINDOW))
    assert client.executions.cancel(execution.workflow_execution_id) is False
    with pytest.raises(AmcNotFoundError):
        client.executions.cancel("00000000-0000-0000-0000-000000000000")


def test_results_are_not_ready_before_the_end(amc: Amc) -> None:
    client = amc.client()
    execution = client.executions.create(workflow=workflow_definition(sql_query="SELECT n FROM gated_rows_2"), **WINDOW)
    with pytest.raises(AmcNotReadyError):
        client.executions.results(execution.workflow_execution_id).files()
    amc.engines[0].gate.set()
    assert rows(client, amc.finish(client, execution)) == [0, 1]


def test_bad_sql_is_told_in_amcs_words(amc: Amc) -> None:
    with pytest.raises(AmcInvalidRequestError, match="Column 'broken' not found") as caught:
        amc.client().workflows.create("w", sql_query="SELECT broken")
    assert caught.value.request_id
    assert caught.value.http_status == 400


def test_a_run_of_three_token_lifetimes(amc: Amc) -> None:
    client = amc.client()
    execution = client.executions.create(workflow=workflow_definition(sql_query="SELECT n FROM gated_rows_4"), **WINDOW)
    for _ in range(3):
        amc.server.advance_clock(3601)
        assert not client.executions.get(execution.workflow_execution_id).is_finished
    amc.engines[0].gate.set()
    assert rows(client, amc.finish(client, execution)) == [0, 1, 2, 3]
    assert len(amc.server.requests_of("token")) == 4


def test_an_address_that_expires_while_a_file_is_read(serve: Callable[..., Amc]) -> None:
    amc = serve(rows_per_file=20_000)
    client = amc.client()
    sql = "SELECT n FROM rows_50000"
    execution = amc.finish(client, client.executions.create(workflow=workflow_definition(sql_query=sql), **WINDOW))
    whole = b""
    for number, file in enumerate(client.executions.results(execution.workflow_execution_id).files()):
        with io.BufferedReader(file.open()) as stream:
            if number:
                stream.readline()
            while chunk := stream.read(10_000):
                whole += chunk
                amc.server.advance_clock(700)
                amc.server.add_fault(operation="results", kind="reset")
    assert whole.decode().split() == ["n", *map(str, range(50_000))]


@pytest.mark.parametrize("kind", ["truncate", "wrong_length", "reset"])
def test_a_damaged_download(amc: Amc, kind: str) -> None:
    client = amc.client()
    sql = "SELECT n FROM rows_20000"
    execution = amc.finish(client, client.executions.create(workflow=workflow_definition(sql_query=sql), **WINDOW))
    amc.server.add_fault(operation="results", kind=kind, times=3)
    assert rows(client, execution) == list(range(20_000))


def test_the_service_is_killed_for_twenty_seconds(serve: Callable[..., Amc], tmp_path: Path) -> None:
    amc = serve(state_dir=tmp_path)
    client = amc.client()
    execution = amc.finish(client, client.executions.create(workflow=workflow_definition(sql_query=SQL), **WINDOW))
    stream = client.executions.results(execution.workflow_execution_id).files()[0].open()
    with stream:
        head = stream.read(3)
        amc.server.stop()
        back = amc.time.now + 20

        def come_back(_: float) -> None:
            if amc.time.now >= back:
                amc.server.start()

        amc.time.on_sleep = come_back
        assert client.executions.get(execution.workflow_execution_id).is_succeeded
        assert amc.time.now >= back
        whole = head + stream.read()
    assert whole.decode().split() == ["n", *map(str, range(12))]


def test_faults_of_every_kind_are_survived_by_calls_that_can_be_repeated(amc: Amc) -> None:
    client = amc.client()
    amc.server.add_fault(operation="token", kind="status", status=503, times=2)
    amc.server.add_fault(operation="listInstances", kind="status", status=429, headers={"Retry-After": "3"})
    assert client.instances.list()
    amc.server.add_fault(operation="createWorkflow", kind="lost_answer", cut=True)
    client.workflows.create("w", sql_query=SQL)
    amc.server.add_fault(operation="getWorkflow", kind="reset", times=2)
    amc.server.add_fault(operation="getWorkflow", kind="truncate")
    amc.server.add_fault(operation="getWorkflow", kind="token_expired")
    assert client.workflows.get("w").sql_query == SQL
    amc.server.add_fault(operation="deleteWorkflow", kind="lost_answer")
    client.workflows.delete("w")
    assert list(client.workflows.list()) == []


@pytest.mark.parametrize("fault", [{"status": 504}, {"cut": True}])
def test_a_create_call_whose_answer_is_lost_is_not_repeated(amc: Amc, fault: dict[str, Any]) -> None:
    client = amc.client()
    client.workflows.create("w", sql_query=SQL)
    amc.server.add_fault(operation="createWorkflowExecution", kind="lost_answer", **fault)
    with pytest.raises(AmcUnknownOutcomeError):
        client.executions.create(workflow_id="w", **WINDOW)
    assert len(amc.server.requests_of("createWorkflowExecution")) == 1
    assert len(list(client.executions.list(workflow_id="w"))) == 1


@pytest.mark.parametrize(
    ("fault", "change", "kind", "words"),
    [
        ({"operation": "token", "kind": "revoked"}, {}, AmcAuthenticationError, "make a new authorization grant"),
        ({"operation": "listInstances", "kind": "terms"}, {"region": "EU"}, AmcTermsNotAcceptedError, "region EU"),
        (None, {"account_id": "ENTITYOTHER"}, AmcPermissionError, "ENTITY"),
        (
            None,
            {"credentials": Credentials(fixed.CLIENT_ID, "wrong", fixed.REFRESH_TOKEN)},
            AmcAuthenticationError,
            "client secret",
        ),
        (
            None,
            {"credentials": Credentials(fixed.CLIENT_ID, fixed.CLIENT_SECRET, "Atzr|other")},
            AmcAuthenticationError,
            "refresh token",
        ),
    ],
)
def test_what_a_user_has_to_mend_is_said(
    amc: Amc, fault: dict[str, Any] | None, change: dict[str, Any], kind: type[AmcError], words: str
) -> None:
    if fault is not None:
        amc.server.add_fault(**fault)
    with pytest.raises(kind, match=words) as caught:
        amc.client(**change).instances.list()
    assert not caught.value.retryable


def test_an_unknown_instance_is_said(amc: Amc) -> None:
    client = amc.client(instance_id="nowhere")
    with pytest.raises((AmcNotFoundError, AmcPermissionError)):
        list(client.workflows.list())


def test_an_execution_that_fails_tells_why(amc: Amc) -> None:
    client = amc.client()
    sql = "SELECT n FROM explode"
    failed = amc.finish(client, client.executions.create(workflow=workflow_definition(sql_query=sql), **WINDOW))
    assert failed.status is ExecutionStatus.FAILED
    assert "Division by zero" in (failed.status_reason or "")


def test_a_new_execution_that_cannot_be_found_yet(amc: Amc) -> None:
    client = amc.client(retry=RetryPolicy(patience=0))
    amc.server.add_fault(operation="createWorkflowExecution", kind="not_visible", seconds=30)
    execution = client.executions.create(workflow=workflow_definition(sql_query=SQL), **WINDOW)
    with pytest.raises(AmcNotFoundError):
        client.executions.get(execution.workflow_execution_id)
    amc.server.advance_clock(31)
    assert client.executions.get(execution.workflow_execution_id).workflow_execution_id


def test_an_unknown_status_is_not_the_end(amc: Amc) -> None:
    client = amc.client()
    execution = client.executions.create(workflow=workflow_definition(sql_query=SQL), **WINDOW)
    amc.server.add_fault(operation="getWorkflowExecution", kind="unknown_status", value="HIBERNATING")
    seen = client.executions.get(execution.workflow_execution_id)
    assert (seen.status, seen.raw_status, seen.is_finished) == (ExecutionStatus.UNKNOWN, "HIBERNATING", False)


def test_one_client_serves_many_threads(amc: Amc) -> None:
    client = amc.client()
    client.workflows.create("w", sql_query=SQL)
    results: list[int] = []

    def work() -> None:
        execution = amc.finish(client, client.executions.create(workflow_id="w", **WINDOW))
        results.append(len(rows(client, execution)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [12] * 8
    assert len(amc.server.requests_of("token")) == 1


def test_secrets_stay_out_of_every_error(amc: Amc, caplog: pytest.LogCaptureFixture) -> None:
    credentials = Credentials(fixed.CLIENT_ID, "a-wrong-secret-value", fixed.REFRESH_TOKEN)
    with caplog.at_level("DEBUG"), pytest.raises(AmcAuthenticationError) as caught:
        amc.client(credentials=credentials).accounts.list()
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)} {caplog.text}"
    assert "a-wrong-secret-value" not in shown
    assert fixed.REFRESH_TOKEN not in shown
