"""Sensor that waits for an AMC execution started elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_amc.exceptions import AmcError, AmcExecutionError
from airflow_provider_amc.links.execution import AmcWorkflowExecutionLink
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from airflow_provider_amc.triggers.waiting import BACKSTOP, deadline_error, poll_intervals

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

    @cached_property
    def hook(self) -> AmcHook:
        """The hook, made when the task runs."""
        from airflow_provider_amc.hooks.amc import AmcHook

        return AmcHook(self.amc_conn_id, instance_id=self.instance_id or None)

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
        self.defer(
            trigger=AmcWorkflowExecutionTrigger(
                workflow_execution_id=self.workflow_execution_id,
                instance_id=client.instance_id,
                amc_conn_id=self.amc_conn_id,
                poll_interval=first,
                poll_interval_max=longest,
                deadline=time.time() + self.timeout,
                # A sensor watches what others have started.
                cancel_on_kill=False,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + BACKSTOP),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look once. AMC being away is no reason to end the wait."""
        return self._look()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the wait in the triggerer."""
        if not event:
            raise AmcExecutionError("The triggerer sent no event. See its log for what went wrong there.")
        for change in event.get("history") or ():
            self.log.info("AMC execution %s was %s at %s", self.workflow_execution_id, change["status"], change["at"])
        if event["status"] == "deadline":
            error = deadline_error(self.workflow_execution_id, event.get("execution_status"))
            if self.soft_fail:
                raise AirflowSkipException(str(error)) from error
            raise error
        self._conclude(self.hook.get_conn().executions.get(self.workflow_execution_id))
        return self.workflow_execution_id

    def _look(self) -> bool:
        try:
            execution = self.hook.get_conn().executions.get(self.workflow_execution_id)
        except AmcError as error:
            if not error.retryable:
                raise
            self.log.warning(
                "Could not look at AMC execution %s, will try again: %s", self.workflow_execution_id, error
            )
            return False
        self.log.info("AMC execution %s is %s", self.workflow_execution_id, execution.raw_status)
        if not execution.is_finished:
            return False
        self._conclude(execution)
        return True

    def _conclude(self, execution: Execution) -> None:
        from airflow_provider_amc.landing.origin import failure_of

        if execution.is_succeeded:
            return
        error = failure_of(execution)
        if self.soft_fail:
            raise AirflowSkipException(str(error)) from error
        raise error
