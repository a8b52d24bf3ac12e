"""Operators that run AMC queries and stop them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, conf

from airflow_provider_amc.exceptions import (
    AmcDeadlineError,
    AmcError,
    AmcExecutionError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from airflow_provider_amc.links.execution import AmcWorkflowExecutionLink
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.definition import WorkflowDefinitionMixin, rendered_sql, warn_of_merged_rows
from airflow_provider_amc.operators.lineage import ExecutionLineageMixin, describe_outlets, execution_facts
from airflow_provider_amc.operators.task_run import REATTACH, TaskRun
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from airflow_provider_amc.triggers.history import duration
from airflow_provider_amc.triggers.waiting import (
    BACKSTOP,
    deadline_error,
    finished_execution,
    poll_intervals,
    tell_history,
    time_allowed,
    wait_here,
)
from airflow_provider_amc.windows import TimeWindow, Window, check_window_arguments, window_from_arguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.models import Execution
    from airflow_provider_amc.operators.submission import Submission, Submitted

#: Seconds to try to cancel when the task is killed: Airflow's supervisor kills the process for good after five.
_KILL_PATIENCE = 4.0

#: Seconds to try to look at an execution before the task defers; the triggerer looks again anyhow.
_LOOK_PATIENCE = 5.0

#: Range of AMC's own time-out of an execution in seconds (OpenAPI file of the workflow API).
_AMC_TIMEOUT = (900, 86400)


class AmcExecuteWorkflowOperator(ExecutionLineageMixin, WorkflowDefinitionMixin, AmcBaseOperator):
    """Run an AMC query, saved or ad hoc, over a time window, and wait for its end.

    The task succeeds when AMC reports SUCCEEDED, and fails with AMC's reason and the rendered query otherwise. The
    window is always stated: with ``window=`` and a helper of :mod:`airflow_provider_amc.windows`, with one of AMC's
    types, or with start and end.

    A query is submitted once: a retry goes on with the execution that the try before it started, if that is still
    active or has succeeded, also when its answer was lost (:mod:`airflow_provider_amc.operators.submission`).

    :param workflow_id: saved workflow to run. Give this or ``sql``. (templated)
    :param sql: AMC SQL to run ad hoc, or the name of a ``.sql`` file; comments and line breaks are taken out before it
        is sent. (templated)
    :param parameter_values: values of the query's parameters, by name; lists for array parameters. (templated)
    :param window: rule for the window, such as ``last_days(7)``, ``data_interval()`` or ``previous_month()``.
    :param time_window_type: ``EXPLICIT``, ``MOST_RECENT_DAY``, ``MOST_RECENT_WEEK``, ``CURRENT_MONTH``,
        ``PREVIOUS_MONTH`` or ``ALL``. Default: ``EXPLICIT`` when a start or an end is given. (templated)
    :param time_window_start: first instant, ``yyyy-MM-dd'T'HH:mm:ss``, local to the zone. (templated)
    :param time_window_end: first instant after the window, same form. (templated)
    :param time_window_time_zone: tz database name. Default: UTC. (templated)
    :param workflow_execution_timeout_seconds: AMC stops the execution after this time, 900 to 86400. Default: derived
        from ``timeout`` or ``execution_timeout`` if one is set, else AMC's own 21600.
    :param require_synthetic_data: use synthetic data only; a sandbox instance needs ``True``.
    :param disable_aggregation_controls: no privacy rules; only with synthetic data.
    :param ignore_data_gaps: run although data of the window is incomplete (kept by AMC for older clients).
    :param skip_publish: do not write the result to the S3 bucket linked to the instance.
    :param dry_run: AMC checks the query and does not run it; there is no result.
    :param advertisers: restrict the query to these advertisers: mappings with ``id``, ``type``, ``marketplaceId``.
        (templated)
    :param deferrable: wait in the triggerer, without holding a worker. Default: ``[operators] default_deferrable``.
    :param wait_for_completion: ``False`` returns right after AMC has accepted the execution.
    :param poll_interval: seconds between two looks at a young execution; the interval grows with its age. Default:
        ``[amc] poll_interval`` (15).
    :param timeout: longest wait, seconds or timedelta. Default: 24 hours, or what ``execution_timeout`` leaves.
    :param cancel_on_kill: cancel the execution when the task is killed, or when the wait runs out of time.
    :param reattach: which execution of an earlier try to go on with: ``retry`` (default) that of a try before a retry,
        while a cleared task runs afresh; ``always`` also that from before a clear; ``never`` none.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the workflow execution id.
    :raises AmcValidationError: an argument is wrong; nothing was submitted.
    :raises AmcExecutionFailedError: AMC could not run the query. Also ``...RejectedError``, ``...CancelledError``.
    :raises AmcDeadlineError: the execution took too long.

    See :class:`~airflow_provider_amc.operators.definition.WorkflowDefinitionMixin` for the arguments that describe an
    ad-hoc query further.
    """

    template_fields: Sequence[str] = (
        "workflow_id",
        "sql",
        "parameter_values",
        "time_window_type",
        "time_window_start",
        "time_window_end",
        "time_window_time_zone",
        "advertisers",
        *WorkflowDefinitionMixin.template_fields,
        *AmcBaseOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameter_values": "json", "input_parameters": "json"}
    operator_extra_links = (AmcWorkflowExecutionLink(),)

    def __init__(
        self,
        *,
        workflow_id: str | None = None,
        sql: str | None = None,
        parameter_values: Mapping[str, Any] | None = None,
        window: Window | TimeWindow | None = None,
        time_window_type: str | None = None,
        time_window_start: str | datetime | None = None,
        time_window_end: str | datetime | None = None,
        time_window_time_zone: str | None = None,
        input_parameters: Sequence[Mapping[str, Any]] | None = None,
        input_schema: str | None = None,
        output_columns: Sequence[Mapping[str, Any]] | None = None,
        privacy_filtering_behavior: str | None = None,
        filtered_metrics_discriminator_column: str | None = None,
        distinct_user_count_column: str | None = None,
        filtered_reason_column: str | None = None,
        workflow_execution_timeout_seconds: int | None = None,
        require_synthetic_data: bool | None = None,
        disable_aggregation_controls: bool | None = None,
        ignore_data_gaps: bool | None = None,
        skip_publish: bool | None = None,
        dry_run: bool = False,
        advertisers: Sequence[Mapping[str, Any]] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        wait_for_completion: bool = True,
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta | None = None,
        cancel_on_kill: bool = True,
        reattach: str = "retry",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if reattach not in REATTACH:
            raise AmcValidationError(
                f"Task {self.task_id}: reattach must be one of {', '.join(REATTACH)}, got {reattach!r}."
            )
        if (workflow_id is None) == (sql is None):
            raise AmcValidationError(
                f"Task {self.task_id}: pass either workflow_id (a saved workflow) or sql (a query of the DAG), "
                f"{'not both' if sql is not None else 'one of them is needed'}."
            )
        check_window_arguments(
            window=window,
            time_window_type=time_window_type,
            time_window_start=time_window_start,
            time_window_end=time_window_end,
            time_window_time_zone=time_window_time_zone,
        )
        self.workflow_id = workflow_id
        self.sql = sql
        self.parameter_values = parameter_values
        self.window = window
        self.time_window_type = time_window_type
        self.time_window_start = time_window_start
        self.time_window_end = time_window_end
        self.time_window_time_zone = time_window_time_zone
        self.input_parameters = input_parameters
        self.input_schema = input_schema
        self.output_columns = output_columns
        self.privacy_filtering_behavior = privacy_filtering_behavior
        self.filtered_metrics_discriminator_column = filtered_metrics_discriminator_column
        self.distinct_user_count_column = distinct_user_count_column
        self.filtered_reason_column = filtered_reason_column
        self.workflow_execution_timeout_seconds = workflow_execution_timeout_seconds
        self.require_synthetic_data = require_synthetic_data
        self.disable_aggregation_controls = disable_aggregation_controls
        self.ignore_data_gaps = ignore_data_gaps
        self.skip_publish = skip_publish
        self.validate_only = dry_run
        self.advertisers = advertisers
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.cancel_on_kill = cancel_on_kill
        self.reattach = reattach
        if workflow_id is not None and (fields := self.definition()):
            raise AmcValidationError(
                f"Task {self.task_id}: {', '.join(fields)} describe a query of the DAG (sql=). Those of a saved workflow "
                "are set where it is saved, with AmcCreateWorkflowOperator."
            )
        self._running: str | None = None
        self._submission: Submission | None = None
        self._killed = False

    def execute(self, context: Context) -> str:
        """Submit the execution and wait as the arguments say."""
        sql = rendered_sql(self.sql) if self.workflow_id is None else None
        window = window_from_arguments(
            window=self.window,
            time_window_type=self.time_window_type,
            time_window_start=self.time_window_start,
            time_window_end=self.time_window_end,
            time_window_time_zone=self.time_window_time_zone,
            context=context,
        )
        # Both can fail, so they come before the submission.
        allowed = time_allowed(self.timeout, self.execution_timeout)
        first, longest = poll_intervals(self.poll_interval)

        query = None if self.workflow_id is None else self._saved_query()
        warn_of_merged_rows(self.log, self.sql, self.filtered_metrics_discriminator_column)
        submitted = self._submit(context, self._request(sql, window), query, allowed)
        execution = submitted.execution
        self.execution = execution
        self._running = execution.workflow_execution_id
        self.log.info(
            "AMC execution %s of %s is %s; instance %s, window %s",
            execution.workflow_execution_id,
            self.workflow_id or "the query",
            execution.raw_status,
            self.client.instance_id,
            window,
        )
        try:
            AmcWorkflowExecutionLink.persist(context, self.client, None, execution.workflow_execution_id)
        except Exception as error:
            # Failing here would make Airflow try again.
            self.log.warning("There will be no link to the AMC console: %s", error)
        self._stop_if_killed()
        if not self.wait_for_completion:
            return execution.workflow_execution_id
        deadline = submitted.first_start + allowed
        if self.deferrable:
            execution = self._looked_at(execution)
            if execution.is_finished:
                return self._conclude(context, execution, query)
            self.log.info(
                "Waiting for it in the triggerer, until %s at the latest",
                time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(deadline)),
            )
            self.defer(
                trigger=AmcWorkflowExecutionTrigger(
                    workflow_execution_id=execution.workflow_execution_id,
                    instance_id=self.client.instance_id,
                    amc_conn_id=self.amc_conn_id,
                    poll_interval=first,
                    poll_interval_max=longest,
                    deadline=deadline,
                    cancel_on_kill=self.cancel_on_kill,
                    created=execution.create_time.isoformat() if execution.create_time else None,
                ),
                method_name="execute_complete",
                kwargs={"query": query},
                timeout=timedelta(seconds=max(0.0, deadline - time.time()) + BACKSTOP),
            )
        try:
            finished = wait_here(
                self.client,
                execution.workflow_execution_id,
                poll_interval=first,
                poll_interval_max=longest,
                deadline=deadline,
                log=self.log,
                status=execution.raw_status,
            )
        except AmcDeadlineError:
            if not self.cancel_on_kill or self._cancel("the deadline of the task has passed") is not False:
                raise
            # It has won: it finished after the last look that AMC answered.
            finished = self.client.executions.get(execution.workflow_execution_id)
        return self._conclude(context, finished, query)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None, query: str | None = None) -> str:
        """Go on after the wait in the triggerer."""
        event = tell_history(event, self.log)
        execution_id = str(event["workflow_execution_id"])
        if event["status"] == "deadline":
            raise deadline_error(execution_id, event.get("execution_status"), event.get("problem"))
        return self._conclude(context, finished_execution(self.client, event), query)

    def on_kill(self) -> None:
        """Cancel the execution when the task is killed while it holds a worker."""
        # An execution that is being submitted right now has no id yet: it is cancelled when it has one.
        self._killed = True
        if not self.cancel_on_kill:
            return
        if self._running:
            self._cancel("the task was killed", patience=_KILL_PATIENCE)
        elif self._submission is not None:
            try:
                self._submission.cancel_own(self.client.with_patience(_KILL_PATIENCE))
            except AmcError as error:
                self.log.warning("Could not look for the AMC execution that was being submitted: %s", error)

    def _stop_if_killed(self) -> None:
        if not self._killed:
            return
        if self.cancel_on_kill:
            self._cancel("the task was killed while it submitted it", patience=_KILL_PATIENCE)
        raise AmcExecutionError(
            f"The task was killed while it submitted AMC execution {self._running}.",
            workflow_execution_id=self._running,
        )

    def _request(self, sql: str | None, window: TimeWindow) -> dict[str, Any]:
        from airflow_provider_amc.client.executions import execution_request
        from airflow_provider_amc.client.workflows import workflow_definition

        return execution_request(
            workflow_id=self.workflow_id,
            workflow=workflow_definition(sql_query=sql, **self.definition()) if sql is not None else None,
            time_window_type=window.type,
            time_window_start=window.start,
            time_window_end=window.end,
            time_window_time_zone=window.time_zone,
            parameter_values=self.parameter_values,
            # A saved workflow's time limit is left for the key of the run, unless the user has named one.
            workflow_execution_timeout_seconds=self._amc_timeout()
            if sql is not None
            else self.workflow_execution_timeout_seconds,
            dry_run=self.validate_only or None,
            skip_publish=self.skip_publish,
            require_synthetic_data=self.require_synthetic_data,
            disable_aggregation_controls=self.disable_aggregation_controls,
            ignore_data_gaps=self.ignore_data_gaps,
            advertisers=self.advertisers,
        )

    def _submit(self, context: Context, request: dict[str, Any], query: str | None, allowed: float) -> Submitted:
        from airflow_provider_amc.client.times import INVISIBLE_SECONDS
        from airflow_provider_amc.operators.submission import Submission

        task = TaskRun.of(context)
        # How long it may take does not change what is asked for.
        asked = {name: value for name, value in request.items() if name != "workflowExecutionTimeoutSeconds"}
        key = task.key(
            self.reattach,
            {"request": asked, "query": query, "instance": self.client.instance_id},
            detached=not self.wait_for_completion,
        )
        self._submission = Submission(
            self.client,
            request,
            key,
            since=task.since,
            log=self.log,
            store=context.get("task_state_store"),
            settle=INVISIBLE_SECONDS - self._delay_before(task) if task.is_retry else 0.0,
            allowed=allowed,
            wanted_timeout=self._amc_timeout(),
            cancel_outdated=self.cancel_on_kill,
            abandoned=task.abandoned(self.reattach) if task.is_retry else (),
        )
        try:
            return self._submission.run()
        except AmcUnknownOutcomeError as error:
            if self._submission.is_marked:
                raise
            # A retry could not tell this run from those of others, and would submit it a second time.
            raise AirflowFailException(
                f"{error} Its time limit was chosen by you, so it cannot be told from the runs of others. Look at the "
                "instance's executions in the AMC console, then clear the task to submit it again. Without "
                "workflow_execution_timeout_seconds such a run is found again by itself."
            ) from error

    def _delay_before(self, task: TaskRun) -> float:
        """Seconds that Airflow has let pass between the try before and this one, at least."""
        # A clear waits for nothing. What ran before it matters with this setting alone.
        if self.reattach == "always" and task.is_first_after_clear(self.retries):
            return 0.0
        return self.retry_delay.total_seconds()

    def _saved_query(self) -> str | None:
        """A hash of the SQL of the saved workflow, as it is now."""
        from airflow_provider_amc.client.run_key import digest

        workflow = self.client.workflows.get(str(self.workflow_id))
        warn_of_merged_rows(self.log, workflow.sql_query, workflow.filtered_metrics_discriminator_column)
        return digest(workflow.sql_query, 16)

    def _looked_at(self, execution: Execution) -> Execution:
        """The execution as it is now: a wait that has ended already needs no triggerer."""
        if execution.is_finished:
            return execution
        try:
            return self.client.with_patience(_LOOK_PATIENCE).executions.get(execution.workflow_execution_id)
        except AmcError:
            return execution

    def _amc_timeout(self) -> int | None:
        if self.workflow_execution_timeout_seconds is not None:
            return self.workflow_execution_timeout_seconds
        if self.timeout is None and self.execution_timeout is None:
            return None
        lowest, highest = _AMC_TIMEOUT
        return max(lowest, min(highest, int(time_allowed(self.timeout, self.execution_timeout))))

    def _conclude(self, context: Context, execution: Execution, query: str | None = None) -> str:
        from airflow_provider_amc.landing.origin import failure_of

        self._running = None
        self.execution = execution
        if query is not None:
            self._tell_changed_query(execution, query)
        if not execution.is_succeeded:
            raise failure_of(execution, self._query_of(execution))
        self.log.info(
            "AMC execution %s has succeeded%s; it gives %s",
            execution.workflow_execution_id,
            f" after {duration(execution.execution_time)}" if execution.execution_time is not None else "",
            ", ".join(column.name for column in execution.output_columns) or "no columns",
        )
        describe_outlets(context, self.outlets, execution_facts(execution, self.client.instance_id))
        return execution.workflow_execution_id

    def _tell_changed_query(self, execution: Execution, query: str) -> None:
        from airflow_provider_amc.client.run_key import digest

        try:
            ran = self.client.executions.get(execution.workflow_execution_id, include_workflow=True).sql_query
        except AmcError:
            return
        if ran is not None and digest(ran, 16) != query:
            self.log.warning(
                "The SQL of workflow %s was changed by someone between the check and the run: execution %s ran %s",
                self.workflow_id,
                execution.workflow_execution_id,
                ran,
            )

    def _query_of(self, execution: Execution) -> str | None:
        if self.sql is not None:
            return rendered_sql(self.sql)
        try:
            found = self.client.executions.get(execution.workflow_execution_id, include_workflow=True)
        except AmcError:
            return None
        return found.sql_query

    def _cancel(self, why: str, *, patience: float = 60.0) -> bool | None:
        """Cancel the execution of this task.

        :returns: ``False`` when it had finished already, ``None`` when there is none or AMC could not be told.
        """
        if self._running is None:
            return None
        try:
            done = self.client.with_patience(patience).executions.cancel(self._running)
        except AmcError as error:
            self.log.warning("Could not cancel AMC execution %s: %s", self._running, error)
            return None
        self.log.info("AMC execution %s %s: %s", self._running, "cancelled" if done else "had finished already", why)
        return done


class AmcCancelWorkflowExecutionOperator(AmcBaseOperator):
    """Cancel an execution. One that has finished already is left as it is, and the task succeeds.

    :param workflow_execution_id: the execution. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: whether it was cancelled by this call.
    :raises AmcNotFoundError: there is no such execution.
    """

    template_fields: Sequence[str] = ("workflow_execution_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, workflow_execution_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow_execution_id = workflow_execution_id

    def execute(self, context: Context) -> bool:
        """Cancel the execution."""
        done = self.client.executions.cancel(self.workflow_execution_id)
        self.log.info(
            "AMC execution %s %s", self.workflow_execution_id, "cancelled" if done else "had finished already"
        )
        return done
