"""Sensor for the executions that AMC's own schedules start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcError, AmcValidationError
from airflow_provider_amc.links.execution import AmcWorkflowExecutionLink
from airflow_provider_amc.triggers.periods import Period, check_identity, period_at, period_of, run_of
from airflow_provider_amc.triggers.schedule import BEFORE, AmcScheduledExecutionTrigger
from airflow_provider_amc.triggers.waiting import (
    BACKSTOP,
    finished_execution,
    poll_intervals,
    tell_history,
    time_allowed,
)
from airflow_provider_amc.windows import TimeWindow, Window, moments_of, reference_time, window_from_arguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.models import Execution, Schedule
    from airflow_provider_amc.hooks.amc import AmcHook


class AmcScheduleSensor(BaseSensorOperator):
    """Wait for the execution that a schedule of AMC's own has started for one period, and return its id.

    What people or DAGs start with the same workflow is never taken for it, nor what another schedule starts: when two
    schedules run the same workflow over the same periods AMC cannot tell their executions apart, and the task fails.

    :param schedule_id: the schedule. (templated)
    :param as_of: the last period that has ended at this time is waited for, ISO 8601; without an offset it is UTC.
        Default: when the DAG run was due. (templated)
    :param window: the period itself, instead of ``as_of``: a helper of :mod:`airflow_provider_amc.windows`.
    :param deferrable: wait in the triggerer, without holding a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks in deferrable mode; the interval grows with the wait. Default:
        ``[amc] poll_interval`` (15). The other modes use ``poke_interval``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the workflow execution id, for the transfers.
    :raises AirflowSensorTimeout: no such execution has finished within ``timeout``.
    :raises AmcConfigurationError: the schedule is disabled and has not run, or cannot be told from another one.
    :raises AmcExecutionFailedError: AMC could not run the query. Also ``...RejectedError``, ``...CancelledError``.
    """

    template_fields: Sequence[str] = ("schedule_id", "as_of", "amc_conn_id", "instance_id")
    operator_extra_links = (AmcWorkflowExecutionLink(),)

    def __init__(
        self,
        *,
        schedule_id: str,
        as_of: str | datetime | None = None,
        window: Window | TimeWindow | None = None,
        amc_conn_id: str = "amc_default",
        instance_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if as_of is not None and window is not None:
            raise AmcValidationError(f"Task {self.task_id}: pass either as_of or window, both name the period.")
        self.schedule_id = schedule_id
        self.as_of = as_of
        self.window = window
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self._told: str | None = None

    @cached_property
    def hook(self) -> AmcHook:
        """The hook, made when the task runs."""
        from airflow_provider_amc.hooks.amc import AmcHook

        return AmcHook(self.amc_conn_id, instance_id=self.instance_id or None)

    def execute(self, context: Context) -> str:
        """Wait for the execution."""
        if not self.deferrable:
            return str(super().execute(context))
        schedule, period = self._expected(context)
        run = self._look(schedule, period)
        if run is not None and run.is_finished:
            return self._conclude(context, run)
        first, longest = poll_intervals(self.poll_interval)
        allowed = time_allowed(self.timeout, self.execution_timeout)
        self.defer(
            trigger=AmcScheduledExecutionTrigger(
                workflow_id=str(schedule.workflow_id),
                period_start=period.start.isoformat(),
                period_end=period.end.isoformat(),
                instance_id=self.hook.get_conn().instance_id,
                amc_conn_id=self.amc_conn_id,
                poll_interval=first,
                poll_interval_max=longest,
                deadline=time.time() + allowed,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=allowed + BACKSTOP),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look once. AMC being away is no reason to end the wait."""
        try:
            run = self._look(*self._expected(context))
        except AmcError as error:
            if not error.retryable:
                raise
            self.log.warning(
                "Could not look for the run of AMC schedule %s, will try again: %s", self.schedule_id, error
            )
            return False
        if run is None or not run.is_finished:
            return False
        return PokeReturnValue(True, self._conclude(context, run))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the wait in the triggerer."""
        event = tell_history(event, self.log)
        if event["status"] == "deadline":
            seen = event.get("workflow_execution_id")
            trouble = f" The last look failed: {event['problem']}" if event.get("problem") else ""
            state = (
                f"its execution {seen} is {event['execution_status']}" if seen else "there is no execution of it yet"
            )
            message = (
                f"The run of AMC schedule {self.schedule_id} did not finish in time: {state}.{trouble} AMC delivers some "
                "seven hours after the period has ended; raise timeout if that is too short."
            )
            if self._may_skip:
                raise AirflowSkipException(message)
            raise AirflowSensorTimeout(message)
        return self._conclude(context, finished_execution(self.hook.get_conn(), event))

    @property
    def _may_skip(self) -> bool:
        return bool(self.soft_fail or getattr(self, "never_fail", False))

    def _expected(self, context: Context) -> tuple[Schedule, Period]:
        """The schedule, and the period whose run is waited for."""
        schedules = self.hook.get_conn().schedules
        schedule = schedules.get(self.schedule_id)
        check_identity(schedule, schedules.list())
        return schedule, self._period(schedule, context)

    def _period(self, schedule: Schedule, context: Context) -> Period:
        if self.window is not None:
            window = window_from_arguments(
                window=self.window,
                time_window_type=None,
                time_window_start=None,
                time_window_end=None,
                time_window_time_zone=None,
                context=context,
            )
            if window.start is None:
                raise AmcValidationError(
                    f"Task {self.task_id}: a schedule has periods with a start and an end; {window} has none. Pass as_of= "
                    "or a window such as last_days(1, lag_days=0)."
                )
            return period_of(schedule, *moments_of(window))
        return period_at(schedule, _moment(self.as_of) if self.as_of else reference_time(context))

    def _look(self, schedule: Schedule, period: Period) -> Execution | None:
        listed = self.hook.get_conn().executions.list(
            workflow_id=schedule.workflow_id, min_creation_time=period.end - BEFORE, include_cancelled=True
        )
        run = run_of(list(listed), schedule.workflow_id, period)
        if run is None and schedule.schedule_enabled is False:
            raise AmcConfigurationError(
                f"The schedule {schedule.schedule_id} is disabled and has no execution for {period}. Enable it, or drop "
                "the task."
            )
        state = f"is {run.raw_status}" if run else "is not there yet"
        if state != self._told:
            self._told = state
            self.log.info(
                "The execution of AMC schedule %s (workflow %s) for %s %s",
                self.schedule_id,
                schedule.workflow_id,
                period,
                f"is {run.workflow_execution_id} and {state}" if run else state,
            )
        return run

    def _conclude(self, context: Context, run: Execution) -> str:
        from airflow_provider_amc.landing.origin import failure_of

        if not run.is_succeeded:
            error = failure_of(run)
            if self._may_skip:
                raise AirflowSkipException(str(error)) from error
            raise error
        AmcWorkflowExecutionLink.persist(context, self.hook.get_conn(), None, run.workflow_execution_id)
        return run.workflow_execution_id


def _moment(value: str | datetime) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value.strip())
    except ValueError:
        raise AmcValidationError(
            f"as_of={value!r} is not a time. Write it as 2026-03-11T00:00:00Z, or use a template such as "
            "'{{ data_interval_end }}'."
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
