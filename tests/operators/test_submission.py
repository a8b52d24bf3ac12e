"""A query is submitted once, whatever happens to answers and workers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.executions import Executions
from airflow_provider_amc.client.run_key import RunKey
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcDeadlineError,
    AmcExecutionError,
    AmcExecutionFailedError,
    AmcUnknownOutcomeError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators import submission
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.windows import TimeWindow
from tests.tasks import task_context

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"
WEEK = TimeWindow("EXPLICIT", "2026-03-02T00:00:00", "2026-03-09T00:00:00")
POST = "createWorkflowExecution"


class Store(dict[str, Any]):
    """A task state store of Airflow 3.3, which survives a try."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))


class Killed(BaseException):
    """The worker dies."""


def execute(**arguments: Any) -> AmcExecuteWorkflowOperator:
    defaults: dict[str, Any] = {"task_id": "run", "window": WEEK, "poll_interval": 0.01}
    if "workflow_id" not in arguments:
        defaults["sql"] = SQL
    return AmcExecuteWorkflowOperator(**{**defaults, **arguments})


def submit(context: dict[str, Any] | None = None, **arguments: Any) -> str:
    """A try that submits, or adopts, and does not wait; then its worker dies."""
    operator = execute(**arguments)
    operator._stop_if_killed = lambda: (_ for _ in ()).throw(Killed())  # type: ignore[method-assign]
    with pytest.raises(Killed):
        operator.execute(context or task_context())
    assert operator._running is not None
    return operator._running


@pytest.fixture
def client(amc_default: EmulatorServer) -> Iterator[AmcClient]:
    with AmcHook().get_conn() as client:
        yield client


@pytest.fixture
def slow(amc_default: EmulatorServer) -> EmulatorServer:
    """An AMC whose executions run for an hour of virtual time."""
    amc_default.add_fault(operation=POST, kind="duration", seconds=3600, times=None)
    return amc_default


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """New executions are visible after a tenth of a second."""
    monkeypatch.setattr(submission, "INVISIBLE_SECONDS", 0.1)
    monkeypatch.setattr(submission, "_LOOK_SECONDS", 0.01)


def statuses(client: AmcClient) -> dict[str, str]:
    found = client.executions.list(min_creation_time="2020-01-01T00:00:00", include_cancelled=True)
    return {execution.workflow_execution_id: execution.raw_status for execution in found}


RETRY = {"try_number": 2}
CLEARED = {"try_number": 2, "max_tries": 4}


class TestRetry:
    @pytest.mark.parametrize("store", [True, False])
    def test_goes_on_with_what_is_active(self, slow: EmulatorServer, client: AmcClient, store: bool) -> None:
        kept = {"task_state_store": Store()} if store else {}
        first = submit(task_context(**kept))
        assert submit(task_context(ti=RETRY, **kept)) == first
        assert len(slow.requests_of(POST)) == 1

    def test_takes_what_has_succeeded(self, amc_default: EmulatorServer) -> None:
        first = execute().execute(task_context())
        assert execute().execute(task_context(ti=RETRY)) == first
        assert len(amc_default.requests_of(POST)) == 1

    @pytest.mark.parametrize("outcome", ["FAILED", "REJECTED", "CANCELLED"])
    @pytest.mark.parametrize("store", [True, False])
    def test_runs_afresh_after(
        self, amc_default: EmulatorServer, client: AmcClient, mocker: Any, outcome: str, store: bool
    ) -> None:
        kept = {"task_state_store": Store()} if store else {}
        if outcome == "CANCELLED":
            amc_default.add_fault(operation=POST, kind="duration", seconds=3600)
            client.executions.cancel(submit(task_context(**kept)))
        else:
            amc_default.add_fault(operation=POST, kind="fail", value=outcome, reason="No luck")
            with pytest.raises(AmcExecutionError):
                execute().execute(task_context(**kept))
        again = execute()
        info = mocker.patch.object(again.log, "info")
        second = again.execute(task_context(ti=RETRY, **kept))
        assert statuses(client)[second] == "SUCCEEDED"
        # AMC's list leaves out what was cancelled.
        told = [call.args[2] for call in info.call_args_list if str(call.args[0]).endswith("starting a new one")]
        assert told == [outcome] * (outcome != "CANCELLED")
        assert sorted(statuses(client).values()) == sorted(["SUCCEEDED", outcome])

    def test_runs_afresh_when_amc_forgot_the_execution(self, slow: EmulatorServer) -> None:
        store = Store()
        first = submit(task_context(task_state_store=store))
        slow.reset()
        assert submit(task_context(ti=RETRY, task_state_store=store)) != first

    @pytest.mark.parametrize(
        "changed",
        [
            {"sql": SQL.replace("SUM(", "MAX(")},
            {"parameter_values": {"n": 1}},
            {"window": TimeWindow("EXPLICIT", "2026-03-02T00:00:00", "2026-03-10T00:00:00")},
            {"instance_id": "amcsandbox", "require_synthetic_data": True},
        ],
    )
    def test_runs_afresh_when_the_request_changed(
        self, slow: EmulatorServer, client: AmcClient, changed: dict[str, Any]
    ) -> None:
        first = submit()
        second = submit(task_context(ti=RETRY), **changed)
        assert second != first
        if "instance_id" not in changed:
            # The first would run on with nobody to wait for it
            assert statuses(client)[first] == "CANCELLED"

    def test_layout_of_the_query_is_no_change(self, slow: EmulatorServer) -> None:
        first = submit()
        assert submit(task_context(ti=RETRY), sql=f"-- the same\n{SQL.replace(' FROM', chr(10) + 'FROM')};") == first

    @pytest.mark.parametrize(
        ("reattach", "ti", "same"),
        [
            ("retry", RETRY, True),
            ("retry", CLEARED, False),
            ("always", RETRY, True),
            ("always", CLEARED, True),
            ("never", RETRY, False),
            ("never", CLEARED, False),
            ("retry", {"map_index": 1}, False),
            ("always", {"run_id": "manual__2"}, False),
        ],
    )
    def test_reattach(self, slow: EmulatorServer, reattach: str, ti: dict[str, Any], same: bool) -> None:
        first = submit(reattach=reattach)
        assert (submit(task_context(ti=ti), reattach=reattach) == first) is same

    @pytest.mark.parametrize(
        ("arguments", "ti", "cancelled"),
        [
            ({}, CLEARED, True),
            ({"reattach": "never"}, RETRY, True),
            ({"cancel_on_kill": False}, CLEARED, False),
            ({}, {**CLEARED, "map_index": 1}, False),
            ({}, {**CLEARED, "run_id": "manual__2"}, False),
        ],
    )
    def test_what_nobody_waits_for_any_more_is_cancelled(
        self, slow: EmulatorServer, client: AmcClient, arguments: dict[str, Any], ti: dict[str, Any], cancelled: bool
    ) -> None:
        first = submit(**arguments)
        second = submit(task_context(ti=ti), **arguments)
        found = statuses(client)
        assert found.keys() == {first, second}
        assert (found[first] == "CANCELLED") is cancelled
        assert found[second] != "CANCELLED"

    def test_what_was_meant_to_be_left_alone_runs_on(self, slow: EmulatorServer, client: AmcClient) -> None:
        left = execute(wait_for_completion=False).execute(task_context())
        submit(task_context(ti=CLEARED))
        assert statuses(client)[left] != "CANCELLED"

    def test_clear_of_a_finished_run_hides_nothing(self, slow: EmulatorServer) -> None:
        slow.advance_clock(-2 * 86400)
        first = submit(reattach="always")
        slow.advance_clock(2 * 86400)
        # Airflow lets a run that had finished begin anew when one of its tasks is cleared.
        assert submit(task_context(ti=CLEARED), reattach="always") == first

    def test_wait_is_counted_from_the_first_start(self, slow: EmulatorServer) -> None:
        store = Store()
        submit(task_context(task_state_store=store))
        store[submission.STORE_KEY]["first_start"] -= 3600
        with pytest.raises(AmcExecutionError, match="did not finish in time"):
            execute(timeout=1800).execute(task_context(ti=RETRY, task_state_store=store))

    def test_nothing_is_submitted_when_the_time_is_over(self, amc_default: EmulatorServer, client: AmcClient) -> None:
        store = Store()
        amc_default.add_fault(operation=POST, kind="fail", value="FAILED")
        with pytest.raises(AmcExecutionFailedError):
            execute(timeout=1800).execute(task_context(task_state_store=store))
        store[submission.STORE_KEY]["first_start"] -= 3600
        with pytest.raises(AmcDeadlineError, match="nothing was submitted again"):
            execute(timeout=1800).execute(task_context(ti=RETRY, task_state_store=store))
        assert list(statuses(client).values()) == ["FAILED"]

    @pytest.mark.parametrize("saved", [True, False])
    def test_execution_that_the_store_knows_and_amc_does_not_show_yet(
        self, slow: EmulatorServer, client: AmcClient, saved: bool
    ) -> None:
        client.workflows.create("weekly", sql_query=SQL)
        # With this time limit, nothing but the store can tell
        what = {"workflow_id": "weekly", "workflow_execution_timeout_seconds": 1800} if saved else {}
        store = Store()
        slow.add_fault(operation=POST, kind="not_visible", seconds=0.05)
        first = submit(task_context(task_state_store=store), **what)
        assert submit(task_context(ti=RETRY, task_state_store=store), **what) == first
        assert len(slow.requests_of(POST)) == 1

    def test_execution_from_before_a_clear_that_amc_does_not_show_yet(self, slow: EmulatorServer) -> None:
        slow.add_fault(operation=POST, kind="not_visible", seconds=0.05)
        again = {"reattach": "always", "retries": 2, "retry_delay": 300}
        first = submit(**again)
        assert submit(task_context(ti={"try_number": 2, "max_tries": 3}), **again) == first

    def test_execution_from_before_a_clear_that_let_the_dag_run_begin_anew(self, slow: EmulatorServer) -> None:
        slow.advance_clock(-7200)
        first = submit(reattach="always")
        slow.advance_clock(7200)
        again = task_context(ti=CLEARED)
        again["dag_run"].run_after = datetime.now(UTC) - timedelta(hours=3)
        assert submit(again, reattach="always") == first

    def test_state_store_that_fails_is_done_without(self, slow: EmulatorServer) -> None:
        class Broken:
            def get(self, key: str) -> Any:
                raise RuntimeError("away")

            def set(self, key: str, value: Any) -> None:
                raise RuntimeError("away")

        first = submit(task_context(task_state_store=Broken()))
        assert submit(task_context(ti=RETRY, task_state_store=Broken())) == first


class TestLostAnswer:
    @pytest.mark.parametrize("fault", [{"status": 504}, {"cut": True}, {"status": 500}])
    @pytest.mark.parametrize("invisible", [False, True])
    def test_is_followed_by_a_search(
        self, amc_default: EmulatorServer, client: AmcClient, fault: dict[str, Any], invisible: bool
    ) -> None:
        if invisible:
            amc_default.add_fault(operation=POST, kind="not_visible", seconds=0.05)
        amc_default.add_fault(operation=POST, kind="lost_answer", **fault)
        found = execute().execute(task_context())
        assert statuses(client) == {found: "SUCCEEDED"}
        assert len(amc_default.requests_of(POST)) == 1

    def test_call_that_was_not_carried_out_is_sent_again(self, amc_default: EmulatorServer, client: AmcClient) -> None:
        amc_default.add_fault(operation=POST, kind="status", status=503)
        found = execute().execute(task_context())
        assert statuses(client) == {found: "SUCCEEDED"}
        assert len(amc_default.requests_of(POST)) == 2

    def test_calls_that_never_arrive_end(self, amc_default: EmulatorServer, client: AmcClient) -> None:
        amc_default.add_fault(operation=POST, kind="status", status=503, times=None)
        with pytest.raises(AmcUnknownOutcomeError):
            execute().execute(task_context())
        assert statuses(client) == {}

    def test_outage_of_the_list_does_not_lead_to_a_second_call(
        self, amc_default: EmulatorServer, client: AmcClient
    ) -> None:
        amc_default.add_fault(operation=POST, kind="lost_answer")
        amc_default.add_fault(operation="listWorkflowExecutions", kind="status", status=500, skip=1, times=3)
        found = execute().execute(task_context())
        assert statuses(client) == {found: "SUCCEEDED"}
        assert len(amc_default.requests_of(POST)) == 1

    def test_worker_that_dies_before_the_answer(
        self, slow: EmulatorServer, client: AmcClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store()
        slow.add_fault(operation=POST, kind="not_visible", seconds=0.05)
        slow.add_fault(operation=POST, kind="lost_answer")
        with monkeypatch.context() as patched:
            patched.setattr(submission.Submission, "_looked_for", _dies_at_the_second_look())
            with pytest.raises(Killed):
                execute().execute(task_context(task_state_store=store))
        slow.advance_clock(1)
        (first,) = statuses(client)
        assert submit(task_context(ti=RETRY, task_state_store=store)) == first
        assert len(slow.requests_of(POST)) == 1

    def test_kill_while_the_outcome_is_open_cancels(self, slow: EmulatorServer, client: AmcClient) -> None:
        operator = execute()

        def killed(found: Any) -> Any:
            operator.on_kill()
            raise Killed

        slow.add_fault(operation=POST, kind="lost_answer")
        original = submission.Submission._looked_for
        looks: list[float] = []

        def look(self: submission.Submission, until: float) -> Any:
            looks.append(until)
            return original(self, until) if len(looks) == 1 else killed(None)

        submission.Submission._looked_for = look  # type: ignore[method-assign]
        try:
            with pytest.raises(Killed):
                operator.execute(task_context())
        finally:
            submission.Submission._looked_for = original  # type: ignore[method-assign]
        assert list(statuses(client).values()) == ["CANCELLED"]


@contextlib.contextmanager
def killed_after_the_call() -> Iterator[None]:
    """Workers die when AMC has carried out their create call."""
    original = Executions.submit

    def submitted(self: Executions, *arguments: Any, **named: Any) -> Any:
        original(self, *arguments, **named)
        raise Killed

    with mock.patch.object(Executions, "submit", submitted):
        yield


def _dies_at_the_second_look() -> Any:
    original = submission.Submission._looked_for
    looks: list[float] = []

    def look(self: submission.Submission, until: float) -> Any:
        looks.append(until)
        if len(looks) == 2:
            raise Killed
        return original(self, until)

    return look


class TestSavedWorkflow:
    @pytest.fixture(autouse=True)
    def workflow(self, client: AmcClient) -> None:
        client.workflows.create("weekly", sql_query=SQL)

    def test_retry_goes_on_with_what_is_active(self, slow: EmulatorServer) -> None:
        first = submit(workflow_id="weekly")
        assert submit(task_context(ti=RETRY), workflow_id="weekly") == first

    def test_lost_answer(self, slow: EmulatorServer, client: AmcClient) -> None:
        slow.add_fault(operation=POST, kind="lost_answer")
        submit(workflow_id="weekly")
        assert len(statuses(client)) == 1

    def test_never_takes_the_run_of_another(self, slow: EmulatorServer, client: AmcClient) -> None:
        window = {"time_window_start": WEEK.start, "time_window_end": WEEK.end}
        others = {
            client.executions.create(workflow_id="weekly", **window).workflow_execution_id,
            submit(task_context(ti={"dag_id": "another"}), workflow_id="weekly"),
        }
        slow.add_fault(operation=POST, kind="status", status=503)
        assert submit(workflow_id="weekly") not in others
        assert len(statuses(client)) == 3

    def test_takes_none_when_two_could_be_meant(self, slow: EmulatorServer, client: AmcClient) -> None:
        first = client.executions.get(submit(workflow_id="weekly"))
        twin = client.executions.create(
            workflow_id="weekly",
            time_window_start=WEEK.start,
            time_window_end=WEEK.end,
            workflow_execution_timeout_seconds=first.workflow_execution_timeout_seconds,
        )
        third = submit(task_context(ti=RETRY), workflow_id="weekly")
        assert third not in {first.workflow_execution_id, twin.workflow_execution_id}

    def test_other_parameter_values_are_another_run(self, slow: EmulatorServer) -> None:
        first = submit(workflow_id="weekly", parameter_values={"n": 1, "flag": True})
        assert submit(task_context(ti=RETRY), workflow_id="weekly", parameter_values={"n": 2, "flag": True}) != first
        assert submit(task_context(ti=RETRY), workflow_id="weekly", parameter_values={"n": 1, "flag": True}) == first

    def test_time_limit_of_the_user_leaves_only_the_state_store(self, slow: EmulatorServer) -> None:
        limited = {"workflow_id": "weekly", "workflow_execution_timeout_seconds": 1800}
        store = Store()
        first = submit(task_context(task_state_store=store), **limited)
        assert submit(task_context(ti=RETRY, task_state_store=store), **limited) == first
        assert submit(task_context(ti=RETRY), **limited) != first

    def test_lost_answer_with_a_time_limit_of_the_user_fails_without_retry(
        self, slow: EmulatorServer, client: AmcClient
    ) -> None:
        slow.add_fault(operation=POST, kind="lost_answer")
        with pytest.raises(AirflowFailException, match="workflow_execution_timeout_seconds"):
            execute(workflow_id="weekly", workflow_execution_timeout_seconds=1800).execute(task_context())
        assert len(statuses(client)) == 1

    def test_death_while_it_was_submitted_with_a_time_limit_of_the_user(
        self, slow: EmulatorServer, client: AmcClient
    ) -> None:
        limited = {"workflow_id": "weekly", "workflow_execution_timeout_seconds": 1800}
        store = Store()
        with killed_after_the_call(), pytest.raises(Killed):
            execute(**limited).execute(task_context(task_state_store=store))
        with pytest.raises(AirflowFailException, match="was ended while it submitted the execution"):
            execute(**limited).execute(task_context(ti=RETRY, task_state_store=store))
        assert len(statuses(client)) == 1
        # Somebody has looked, and lets the task run again
        submit(task_context(ti=RETRY, task_state_store=store), **limited)
        assert len(statuses(client)) == 2

    def test_changed_workflow_runs_afresh(self, slow: EmulatorServer, client: AmcClient) -> None:
        first = submit(workflow_id="weekly")
        client.workflows.update("weekly", sql_query=SQL.replace("SUM(", "MAX("))
        assert submit(task_context(ti=RETRY), workflow_id="weekly") != first

    @pytest.mark.parametrize("changed", [True, False])
    def test_change_between_check_and_run_is_told(
        self, amc_default: EmulatorServer, client: AmcClient, changed: bool, mocker: Any
    ) -> None:
        operator = execute(workflow_id="weekly")
        check = operator._saved_query

        def changed_right_after() -> str | None:
            found = check()
            if changed:
                client.workflows.update("weekly", sql_query=SQL.replace("SUM(", "MAX("))
            return found

        mocker.patch.object(operator, "_saved_query", side_effect=changed_right_after)
        warning = mocker.patch.object(operator.log, "warning")
        operator.execute(task_context())
        told = [call for call in warning.call_args_list if "was changed by someone" in call.args[0]]
        assert len(told) == int(changed)


def test_runs_that_are_left_alone_say_so(slow: EmulatorServer, client: AmcClient) -> None:
    left = execute(wait_for_completion=False).execute(task_context())
    awaited = submit(task_context(ti={"task_id": "another"}))
    keys = {
        execution_id: RunKey.read(client.executions.get(execution_id, include_workflow=True).sql_query)
        for execution_id in (left, awaited)
    }
    assert [getattr(keys[one], "detached", None) for one in (left, awaited)] == [True, False]


def test_failed_query_is_told_as_before(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation=POST, kind="fail", value="FAILED", reason="No luck")
    with pytest.raises(AmcExecutionFailedError, match="No luck"):
        execute().execute(task_context())
