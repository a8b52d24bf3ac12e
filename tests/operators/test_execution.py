from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcDeadlineError,
    AmcExecutionCancelledError,
    AmcExecutionError,
    AmcExecutionFailedError,
    AmcExecutionRejectedError,
    AmcNotFoundError,
    AmcPermissionError,
    AmcValidationError,
)
from airflow_provider_amc.operators.execution import AmcCancelWorkflowExecutionOperator, AmcExecuteWorkflowOperator
from airflow_provider_amc.windows import TimeWindow, data_interval, last_days
from tests.tasks import deferred, event_of, run_through, task_context

SQL = """
-- how many
SELECT campaign, SUM(impressions) AS impressions -- all of them
FROM dsp_impressions
GROUP BY campaign;
"""
ONE_LINE = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


def execute(**arguments: Any) -> AmcExecuteWorkflowOperator:
    defaults: dict[str, Any] = {"task_id": "run", "sql": SQL, "window": last_days(7), "poll_interval": 0.01}
    if "workflow_id" in arguments:
        del defaults["sql"]
    if any(name.startswith("time_window") for name in arguments):
        del defaults["window"]
    return AmcExecuteWorkflowOperator(**{**defaults, **arguments})


def submitted(emulator: EmulatorServer) -> list[dict[str, Any]]:
    bodies = [request["body"] for request in emulator.requests_of("createWorkflowExecution")]
    return [json.loads(body) if isinstance(body, str) else body for body in bodies]


def statuses(emulator: EmulatorServer) -> dict[str, str]:
    """Status of every execution on the emulator, asked for with a client of its own."""
    from airflow_provider_amc.hooks.amc import AmcHook

    client = AmcHook().get_conn()
    found = client.executions.list(min_creation_time="2020-01-01T00:00:00", include_cancelled=True)
    return {execution.workflow_execution_id: execution.raw_status for execution in found}


@pytest.fixture
def slow(amc_default: EmulatorServer) -> EmulatorServer:
    """An AMC whose executions run for an hour of virtual time."""
    amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600, times=None)
    return amc_default


class TestSubmission:
    def test_query_is_sent_on_one_line_with_the_window_of_the_run(self, amc_default: EmulatorServer) -> None:
        execution_id = execute(parameter_values={"n": 3}).execute(task_context())

        (body,) = submitted(amc_default)
        sql, comment = body["workflow"]["sqlQuery"].split(" /* ")
        assert sql == ONE_LINE
        assert re.fullmatch(r"airflow_provider_amc key=[0-9a-f]{8}\.[0-9a-f]{16}\.[0-9a-f]{16} \*/", comment)
        assert body["parameterValues"] == {"n": "3"}
        assert (body["timeWindowType"], body["timeWindowTimeZone"]) == ("EXPLICIT", "UTC")
        assert (body["timeWindowStart"], body["timeWindowEnd"]) == ("2026-03-02T00:00:00", "2026-03-09T00:00:00")
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}

    def test_saved_workflow_is_sent_by_id(self, amc_default: EmulatorServer) -> None:
        execute(workflow_id="wf-1", time_window_type="MOST_RECENT_DAY", wait_for_completion=False)
        from airflow_provider_amc.hooks.amc import AmcHook

        AmcHook().get_conn().workflows.create("wf-1", sql_query=ONE_LINE)
        execute(workflow_id="wf-1", time_window_type="MOST_RECENT_DAY").execute(task_context())
        (body,) = submitted(amc_default)
        assert body["workflowId"] == "wf-1"
        assert body["timeWindowType"] == "MOST_RECENT_DAY"
        assert "workflow" not in body

    def test_options_reach_amc_under_its_names(self, amc_default: EmulatorServer) -> None:
        execute(
            instance_id="amcsandbox",
            require_synthetic_data=True,
            ignore_data_gaps=True,
            dry_run=True,
            workflow_execution_timeout_seconds=1800,
            filtered_metrics_discriminator_column="filtered",
            input_parameters=[{"name": "n", "dataType": "INTEGER", "defaultValue": "1"}],
        ).execute(task_context())
        (body,) = submitted(amc_default)
        assert body["requireSyntheticData"] is True
        assert body["ignoreDataGaps"] is True
        assert body["dryRun"] is True
        assert body["workflowExecutionTimeoutSeconds"] == 1800
        assert body["workflow"]["filteredMetricsDiscriminatorColumn"] == "filtered"
        assert body["workflow"]["inputParameters"] == [{"name": "n", "dataType": "INTEGER", "defaultValue": "1"}]

    @pytest.mark.parametrize(
        ("arguments", "seconds"),
        [
            ({}, None),
            ({"timeout": 7200}, 7200),
            ({"timeout": timedelta(minutes=5)}, 900),
            ({"timeout": timedelta(days=3)}, 86400),
            ({"execution_timeout": timedelta(hours=1)}, 3570),
        ],
    )
    def test_amc_gets_the_time_limit_of_the_task(
        self, amc_default: EmulatorServer, arguments: dict[str, Any], seconds: int | None
    ) -> None:
        execute(wait_for_completion=False, **arguments).execute(task_context())
        (body,) = submitted(amc_default)
        assert body.get("workflowExecutionTimeoutSeconds") == seconds

    def test_throttled_submission_is_repeated(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(
            operation="createWorkflowExecution", kind="status", status=429, headers={"Retry-After": "0"}, times=2
        )
        execution_id = execute().execute(task_context())
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"workflow_id": "wf", "sql": SQL, "window": last_days(1)}, "not both"),
            ({"window": last_days(1)}, "one of them is needed"),
            ({"sql": SQL}, "No time window is stated"),
            ({"sql": SQL, "window": last_days(1), "time_window_type": "ALL"}, "Two time windows"),
            (
                {"workflow_id": "wf", "window": last_days(1), "input_schema": "sandbox"},
                "input_schema describe a query of the DAG (sql=)",
            ),
            ({"sql": SQL, "window": "last week"}, "must come from airflow_provider_amc.windows"),
        ],
    )
    def test_contradictions_are_refused_when_the_dag_is_parsed(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(AmcValidationError, match=re.escape(message)):
            AmcExecuteWorkflowOperator(task_id="run", **arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"sql": "  \n"}, "The SQL is empty after rendering"),
            ({"sql": "-- nothing but a comment"}, "empty"),
            ({"sql": "SELECT 'open"}, "line 1"),
            ({"time_window_start": "2026-01-01", "time_window_end": "2026-01-02T00:00:00"}, "is a date without a time"),
            (
                {"time_window_start": "2026-01-02T00:00:00", "time_window_end": "2026-01-02T00:00:00"},
                "The time window is empty",
            ),
            ({"time_window_start": "2026-01-02T00:00:00"}, "needs both"),
            ({"time_window_type": "ALL", "time_window_time_zone": "Mars/Olympus"}, "Unknown time zone 'Mars/Olympus'"),
            ({"time_window_type": "YESTERDAY"}, "is not one of AMC's"),
            ({"workflow_id": "no spaces please"}, "no spaces please"),
            ({"workflow_execution_timeout_seconds": 60}, "900"),
            ({"workflow_execution_timeout_seconds": 90000}, "86400"),
            ({"workflow_execution_timeout_seconds": "abc"}, "must be a whole number from 900 to 86400"),
            ({"workflow_execution_timeout_seconds": 900.5}, "must be a whole number from 900 to 86400"),
            ({"advertisers": ["1"]}, "advertisers must be a list of mappings"),
            ({"timeout": -1}, "timeout must be a positive number"),
            ({"poll_interval": 0}, "poll_interval must be a positive number"),
        ],
    )
    def test_nothing_is_submitted(self, amc_default: EmulatorServer, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(AmcValidationError, match=re.escape(message)):
            execute(**arguments).execute(task_context())
        assert submitted(amc_default) == []

    def test_unknown_instance(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcPermissionError, match=r"Unauthorized request.*amcunknown.*access to the instance"):
            execute(instance_id="amcunknown").execute(task_context())

    def test_unknown_workflow(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcNotFoundError, match="Workflow with ID nowhere does not exist"):
            execute(workflow_id="nowhere").execute(task_context())


class TestWaiting:
    @pytest.mark.parametrize("deferrable", [True, False])
    def test_returns_the_execution_id(self, amc_default: EmulatorServer, deferrable: bool) -> None:
        operator = execute(deferrable=deferrable)
        context = task_context()
        execution_id = run_through(operator, context) if deferrable else operator.execute(context)
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}
        assert context["ti"].xcoms["amc_execution"]["workflow_execution_id"] == execution_id

    def test_returns_at_once_without_waiting(self, slow: EmulatorServer) -> None:
        execution_id = execute(wait_for_completion=False, deferrable=True).execute(task_context())
        assert list(statuses(slow)) == [execution_id]

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_failure_has_amcs_reason_and_the_rendered_query(
        self, amc_default: EmulatorServer, deferrable: bool
    ) -> None:
        amc_default.add_fault(
            operation="createWorkflowExecution", kind="fail", value="FAILED", reason="Out of memory on stage 7"
        )
        operator, context = execute(deferrable=deferrable), task_context()
        with pytest.raises(AmcExecutionFailedError) as caught:
            run_through(operator, context) if deferrable else operator.execute(context)
        assert "Out of memory on stage 7" in str(caught.value)
        assert ONE_LINE in str(caught.value)

    def test_rejected_query(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcExecutionRejectedError) as caught:
            execute(sql="SELECT nonsense FROM dsp_impressions").execute(task_context())
        assert "nonsense" in str(caught.value.status_reason)
        assert "SELECT nonsense FROM dsp_impressions" in str(caught.value)

    def test_query_of_a_failed_saved_workflow_is_looked_up(self, amc_default: EmulatorServer) -> None:
        from airflow_provider_amc.hooks.amc import AmcHook

        AmcHook().get_conn().workflows.create("wf-1", sql_query=ONE_LINE)
        amc_default.add_fault(operation="createWorkflowExecution", kind="fail", value="FAILED", reason="No luck")
        with pytest.raises(AmcExecutionFailedError, match=re.escape(ONE_LINE)):
            execute(workflow_id="wf-1").execute(task_context())

    def test_outage_while_waiting_does_not_end_the_wait(self, amc_default: EmulatorServer) -> None:
        for kind in ("status", "reset"):
            amc_default.add_fault(operation="getWorkflowExecution", kind=kind, status=503, times=2)
        execution_id = execute().execute(task_context())
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}

    @pytest.mark.parametrize(("fault", "outcome"), [(None, None), ("Too big", AmcExecutionFailedError)])
    def test_what_the_trigger_saw_counts_when_amc_cannot_be_asked_again(
        self, amc_default: EmulatorServer, fault: str | None, outcome: type[Exception] | None
    ) -> None:
        if fault:
            amc_default.add_fault(operation="createWorkflowExecution", kind="fail", value="FAILED", reason=fault)
        operator, context = execute(deferrable=True), task_context()
        event = event_of(deferred(operator, context).trigger)
        amc_default.add_fault(operation="getWorkflowExecution", kind="status", status=404, times=None)
        if outcome is None:
            assert operator.execute_complete(context, event=event) == event["workflow_execution_id"]
        else:
            with pytest.raises(outcome, match="Too big"):
                operator.execute_complete(context, event=event)

    def test_trigger_without_an_event(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcExecutionError, match="sent no event"):
            execute(deferrable=True).execute_complete(task_context(), event=None)

    def test_status_is_told_once(self, amc_default: EmulatorServer, mocker: Any) -> None:
        amc_default.add_fault(operation="getWorkflowExecution", kind="unknown_status", value="PENDING", times=2)
        operator = execute()
        info = mocker.patch.object(operator.log, "info")
        execution_id = operator.execute(task_context())
        told = [str(call.args[0]) % call.args[1:] for call in info.call_args_list]
        assert [f"{execution_id} of the query is PENDING; " in line for line in told if " is PENDING" in line] == [True]
        assert any(f"{execution_id} is SUCCEEDED, after " in line for line in told)

    def test_unknown_status_is_waited_out(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="getWorkflowExecution", kind="unknown_status", value="POLISHING", times=3)
        execution_id = execute().execute(task_context())
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}


class TestEnding:
    def test_deadline_cancels(self, slow: EmulatorServer) -> None:
        with pytest.raises(AmcDeadlineError, match="did not finish in time"):
            execute(timeout=0.05).execute(task_context())
        assert list(statuses(slow).values()) == ["CANCELLED"]

    def test_an_execution_that_finishes_at_the_deadline_has_won(self, amc_default: EmulatorServer, mocker: Any) -> None:
        error = AmcDeadlineError("No look at it worked.")
        operator = execute()

        def away(client: Any, execution_id: str, **_: Any) -> None:
            while not client.executions.get(execution_id).is_finished:
                pass
            raise error

        mocker.patch("airflow_provider_amc.operators.execution.wait_here", side_effect=away)
        execution_id = operator.execute(task_context())
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}

    def test_kill_during_the_search_of_a_retry_cancels_what_the_try_before_it_left(
        self, slow: EmulatorServer, mocker: Any
    ) -> None:
        wait_here = mocker.patch("airflow_provider_amc.operators.execution.wait_here", side_effect=SystemExit)
        with pytest.raises(SystemExit):
            execute().execute(task_context())
        wait_here.side_effect = None
        retry = execute()

        def killed(self: Any, until: float) -> None:
            retry.on_kill()
            raise KeyboardInterrupt

        mocker.patch("airflow_provider_amc.operators.submission.Submission._looked_for", killed)
        with pytest.raises(KeyboardInterrupt):
            retry.execute(task_context(ti={"try_number": 2}))
        assert list(statuses(slow).values()) == ["CANCELLED"]

    def test_deadline_in_the_triggerer_cancels(self, slow: EmulatorServer) -> None:
        operator, context = execute(timeout=0.05, deferrable=True), task_context()
        with pytest.raises(AmcDeadlineError, match="did not finish in time"):
            run_through(operator, context)
        assert list(statuses(slow).values()) == ["CANCELLED"]

    def test_airflows_own_time_out_of_the_deferred_task_comes_after_ours(self, slow: EmulatorServer) -> None:
        deferral = deferred(execute(timeout=600, deferrable=True), task_context())
        assert deferral.timeout is not None
        assert deferral.timeout.total_seconds() > 600

    def test_kill_on_the_worker_cancels(self, slow: EmulatorServer, mocker: Any) -> None:
        operator = execute()
        mocker.patch("airflow_provider_amc.operators.execution.wait_here", side_effect=KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            operator.execute(task_context())
        operator.on_kill()
        assert list(statuses(slow).values()) == ["CANCELLED"]

    def test_kill_can_leave_the_execution_running(self, slow: EmulatorServer, mocker: Any) -> None:
        operator = execute(cancel_on_kill=False)
        mocker.patch("airflow_provider_amc.operators.execution.wait_here", side_effect=KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            operator.execute(task_context())
        operator.on_kill()
        assert set(statuses(slow).values()) <= {"PENDING", "RUNNING"}

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_kill_during_the_submission_cancels(self, slow: EmulatorServer, mocker: Any, deferrable: bool) -> None:
        operator = execute(deferrable=deferrable)
        submit = operator._submit

        def killed_before_the_answer_is_seen(*arguments: Any) -> Any:
            execution = submit(*arguments)
            operator.on_kill()
            return execution

        mocker.patch.object(operator, "_submit", side_effect=killed_before_the_answer_is_seen)
        with pytest.raises(AmcExecutionError, match="was killed while it submitted"):
            operator.execute(task_context())
        assert list(statuses(slow).values()) == ["CANCELLED"]

    def test_kill_while_the_token_is_refreshed_does_not_hang(self, slow: EmulatorServer, mocker: Any) -> None:
        """A kill arrives as a signal in the thread that may hold the lock of the tokens."""
        from airflow_provider_amc.client.auth import forget_tokens

        operator = execute(wait_for_completion=False)
        operator._running = operator.execute(task_context())
        tokens = operator.client._transport.tokens
        forget_tokens()
        refresh = tokens._refresh
        killed: list[bool] = []

        def killed_meanwhile(*arguments: Any, **named: Any) -> Any:
            if not killed:
                killed.append(True)
                operator.on_kill()
            return refresh(*arguments, **named)

        slow.advance_clock(10)
        tokens.reject(tokens.get(retry=operator.client._transport.retry))
        mocker.patch.object(tokens, "_refresh", side_effect=killed_meanwhile)
        operator.client.instances.list()
        assert killed
        assert list(statuses(slow).values()) == ["CANCELLED"]

    def test_link_that_cannot_be_stored_does_not_fail_the_task(self, amc_default: EmulatorServer, mocker: Any) -> None:
        context = task_context()
        mocker.patch.object(context["ti"], "xcom_push", side_effect=RuntimeError("database is away"))
        execution_id = execute().execute(context)
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}

    def test_kill_before_the_submission_does_nothing(self, slow: EmulatorServer) -> None:
        execute().on_kill()
        assert statuses(slow) == {}

    def test_execution_cancelled_by_someone_else_fails_the_task(self, slow: EmulatorServer) -> None:
        operator, context = execute(deferrable=True), task_context()
        deferral = deferred(operator, context)
        (execution_id,) = statuses(slow)
        assert AmcCancelWorkflowExecutionOperator(task_id="cancel", workflow_execution_id=execution_id).execute(
            task_context()
        )
        with pytest.raises(AmcExecutionCancelledError):
            operator.execute_complete(context, event=event_of(deferral.trigger))


class TestCancelOperator:
    def test_finished_execution_is_left_alone(self, amc_default: EmulatorServer) -> None:
        execution_id = execute().execute(task_context())
        cancel = AmcCancelWorkflowExecutionOperator(task_id="cancel", workflow_execution_id=execution_id)
        assert cancel.execute(task_context()) is False
        assert statuses(amc_default) == {execution_id: "SUCCEEDED"}

    def test_unknown_execution(self, amc_default: EmulatorServer) -> None:
        cancel = AmcCancelWorkflowExecutionOperator(task_id="cancel", workflow_execution_id="0000")
        with pytest.raises(AmcNotFoundError, match="0000"):
            cancel.execute(task_context())


def test_windows_of_airflow_runs_are_kept_as_values() -> None:
    """Airflow writes unknown objects of a serialized DAG by their repr, which must not change between parses."""
    assert repr(execute(window=data_interval(lag_days=2)).window) == repr(data_interval(lag_days=2))
    window = TimeWindow("EXPLICIT", "2026-01-01T00:00:00", "2026-01-02T00:00:00")
    assert execute(window=window).window == window
