"""Sensor that waits for an AMC execution started elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.exceptions import AmcError, AmcNotFoundError
from airflow_provider_amc.links.execution import AmcWorkflowExecutionLink
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from airflow_provider_amc.triggers.history import History
from airflow_provider_amc.triggers.waiting import (
    BACKSTOP,
    deadline_error,
    finished_execution,
    poll_intervals,
    tell_history,
    time_allowed,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.models import Execution
    from airflow_provider_amc.hooks.amc import AmcHook


class AmcWorkflowExecutionSensor(BaseSensorOperator):
    """Wait until an AMC execution has succeeded; fail with AMC's reason when it ended otherwise.

    :param workflow_execution_id: the execution. (templated)
    :param deferrable: wait in the triggerer, without holding a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks in deferrable mode; the interval grows with the wait. Default:
        ``[amc] poll_interval`` (15). The other modes use ``poke_interval``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the workflow execution id.
    :raises AirflowSensorTimeout: the execution did not finish within ``timeout``.
    :raises AmcExecutionFailedError: AMC could not run the query. Also ``...RejectedError``, ``...CancelledError``.
    """

    template_fields: Sequence[str] = ("workflow_execution_id", "amc_conn_id", "instance_id")
    operator_extra_links = (AmcWorkflowExecutionLink(),)

    def __init__(
        self,
        *,
        workflow_execution_id: str,
        amc_conn_id: str = "amc_default",
        instance_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_execution_id = workflow_execution_id
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self._first_missed: float | None = None
        self._created: str | None = None

    @cached_property
    def hook(self) -> AmcHook:
        """The hook, made when the task runs."""
        from airflow_provider_amc.hooks.amc import AmcHook

        return AmcHook(self.amc_conn_id, instance_id=self.instance_id or None)

    @cached_property
    def _history(self) -> History:
        return History(self.workflow_execution_id)

    def execute(self, context: Context) -> str:
        """Wait for the execution."""
        client = self.hook.get_conn()
        AmcWorkflowExecutionLink.persist(context, client, None, self.workflow_execution_id)
        if not self.deferrable:
            super().execute(context)
            return self.workflow_execution_id
        if self._look():
            return self.workflow_execution_id
        first, longest = poll_intervals(self.poll_interval)
        allowed = time_allowed(self.timeout, self.execution_timeout)
        self.defer(
            trigger=AmcWorkflowExecutionTrigger(
                workflow_execution_id=self.workflow_execution_id,
                instance_id=client.instance_id,
                amc_conn_id=self.amc_conn_id,
                poll_interval=first,
                poll_interval_max=longest,
                deadline=time.time() + allowed,
                # A sensor watches what others have started.
                cancel_on_kill=False,
                created=self._created,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=allowed + BACKSTOP),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look once. AMC being away is no reason to end the wait."""
        return self._look()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the wait in the triggerer."""
        event = tell_history(event, self.log)
        if event["status"] == "deadline":
            error = deadline_error(self.workflow_execution_id, event.get("execution_status"), event.get("problem"))
            if self._may_skip:
                raise AirflowSkipException(str(error)) from error
            # What a sensor raises that runs out of time while it holds a worker: Airflow does not retry it.
            raise AirflowSensorTimeout(str(error)) from error
        self._conclude(finished_execution(self.hook.get_conn(), event))
        return self.workflow_execution_id

    @property
    def _may_skip(self) -> bool:
        return bool(self.soft_fail or getattr(self, "never_fail", False))

    def _look(self) -> bool:
        try:
            execution = self.hook.get_conn().executions.get(self.workflow_execution_id)
        except AmcError as error:
            if not (error.retryable or self._may_be_invisible(error)):
                raise
            self.log.warning(
                "Could not look at AMC execution %s, will try again: %s", self.workflow_execution_id, error
            )
            return False
        self._created = execution.create_time.isoformat() if execution.create_time else None
        if line := self._history.note(execution.raw_status, execution.status_reason):
            self.log.info(line)
        if not execution.is_finished:
            return False
        self._conclude(execution)
        return True

    def _may_be_invisible(self, error: AmcError) -> bool:
        """Whether the execution may be so new that AMC does not show it yet."""
        if not isinstance(error, AmcNotFoundError):
            return False
        now = time.monotonic()
        self._first_missed = self._first_missed or now
        return now - self._first_missed < INVISIBLE_SECONDS

    def _conclude(self, execution: Execution) -> None:
        from airflow_provider_amc.landing.origin import failure_of

        if execution.is_succeeded:
            return
        error = failure_of(execution)
        if self._may_skip:
            raise AirflowSkipException(str(error)) from error
        raise error
