"""Sensors for what AMC makes on its own time: instances, audiences, uploads."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from airflow_provider_amc.exceptions import AmcError, AmcExecutionError, AmcNotFoundError, AmcResourceFailedError
from airflow_provider_amc.triggers.looks import name_of
from airflow_provider_amc.triggers.resource import AmcResourceTrigger
from airflow_provider_amc.triggers.waiting import BACKSTOP, poll_intervals, time_allowed

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.hooks.amc import AmcHook


class AmcResourceSensor(BaseSensorOperator):
    """Base of the sensors that wait until AMC has finished with a resource, and fail when it could not.

    :param deferrable: wait in the triggerer, without holding a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks in deferrable mode; the interval grows with the wait. Default:
        ``[amc] poll_interval`` (15). The other modes use ``poke_interval``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :raises AirflowSensorTimeout: it was not finished within ``timeout``.
    :raises AmcResourceFailedError: AMC could not make it; the message has its reason.
    """

    template_fields: Sequence[str] = ("amc_conn_id", "instance_id")
    #: What is waited for, see :data:`airflow_provider_amc.client.progress.KINDS`.
    kind: str

    def __init__(
        self,
        *,
        amc_conn_id: str = "amc_default",
        instance_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self._status: str | None = None
        self._first_missed: float | None = None

    @cached_property
    def hook(self) -> AmcHook:
        """The hook, made when the task runs."""
        from airflow_provider_amc.hooks.amc import AmcHook

        return AmcHook(self.amc_conn_id, instance_id=self.instance_id or None)

    def names(self) -> Mapping[str, str]:
        """What names the resource."""
        raise NotImplementedError

    def execute(self, context: Context) -> None:
        """Wait for the resource."""
        if not self.deferrable:
            super().execute(context)
            return
        if self._look():
            return
        first, longest = poll_intervals(self.poll_interval)
        allowed = time_allowed(self.timeout, self.execution_timeout)
        self.defer(
            trigger=AmcResourceTrigger(
                kind=self.kind,
                names=self.names(),
                amc_conn_id=self.amc_conn_id,
                instance_id=self.hook.get_conn().instance_id,
                poll_interval=first,
                poll_interval_max=longest,
                deadline=time.time() + allowed,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=allowed + BACKSTOP),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look once. AMC being away is no reason to end the wait."""
        return self._look()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Go on after the wait in the triggerer."""
        if not event:
            raise AmcExecutionError("The triggerer sent no event. See its log for what went wrong there.")
        if event["status"] == "missing":
            raise AmcNotFoundError(f"AMC does not know the {self._name}: {event.get('problem')}")
        if event["status"] == "deadline":
            trouble = f" The last look at it failed: {event['problem']}" if event.get("problem") else ""
            message = (
                f"AMC {self._name} was not finished in time; its last known status is "
                f"{event['resource_status'] or 'unknown'}.{trouble}"
            )
            if self._may_skip:
                raise AirflowSkipException(message)
            raise AirflowSensorTimeout(message)
        self._conclude(str(event["resource_status"]), bool(event["succeeded"]), event.get("reason"))

    @property
    def _may_skip(self) -> bool:
        return bool(self.soft_fail or getattr(self, "never_fail", False))

    @property
    def _name(self) -> str:
        return name_of(self.kind, self.names())

    def _look(self) -> bool:
        from airflow_provider_amc.client.progress import progress

        try:
            seen = progress(self.hook.get_conn(), self.kind, self.names())
        except AmcError as error:
            if not (error.retryable or self._may_be_invisible(error)):
                raise
            self.log.warning("Could not look at AMC %s, will try again: %s", self._name, error)
            return False
        self._first_missed = None
        if seen.status != self._status:
            self._status = seen.status
            self.log.info("AMC %s is %s", self._name, seen.status)
        if seen.finished:
            self._conclude(seen.status, seen.succeeded, seen.reason)
        return seen.finished

    def _may_be_invisible(self, error: AmcError) -> bool:
        if not isinstance(error, AmcNotFoundError):
            return False
        now = time.monotonic()
        self._first_missed = now if self._first_missed is None else self._first_missed
        return now - self._first_missed < INVISIBLE_SECONDS

    def _conclude(self, status: str, succeeded: bool, reason: str | None) -> None:
        if succeeded:
            return
        message = f"AMC {self._name} ended as {status}: {reason or 'AMC gives no reason'}"
        if self._may_skip:
            raise AirflowSkipException(message)
        raise AmcResourceFailedError(message, status=status, reason=reason)


class AmcInstanceSensor(AmcResourceSensor):
    """Wait until an AMC instance has been created.

    :param instance_id: the instance. Default: that of the connection. (templated)

    See :class:`AmcResourceSensor` for the other arguments.
    """

    kind = "instance"

    def names(self) -> Mapping[str, str]:
        """What names the instance."""
        return {"instance_id": self.hook.get_conn().instance_id or ""}


class AmcAudienceSensor(AmcResourceSensor):
    """Wait until a rule-based or lookalike audience is in Amazon DSP.

    :param audience_execution_id: the audience. (templated)

    See :class:`AmcResourceSensor` for the other arguments.
    """

    kind = "audience"
    template_fields: Sequence[str] = ("audience_execution_id", *AmcResourceSensor.template_fields)

    def __init__(self, *, audience_execution_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.audience_execution_id = audience_execution_id

    def names(self) -> Mapping[str, str]:
        """What names the audience."""
        return {"audience_execution_id": self.audience_execution_id}


class AmcUploadSensor(AmcResourceSensor):
    """Wait until an upload is in its data set.

    :param data_set_id: the data set. (templated)
    :param upload_id: the upload. (templated)

    See :class:`AmcResourceSensor` for the other arguments.
    """

    kind = "upload"
    template_fields: Sequence[str] = ("data_set_id", "upload_id", *AmcResourceSensor.template_fields)

    def __init__(self, *, data_set_id: str, upload_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_set_id = data_set_id
        self.upload_id = upload_id

    def names(self) -> Mapping[str, str]:
        """What names the upload."""
        return {"data_set_id": self.data_set_id, "upload_id": self.upload_id}


class AmcAudienceRecordsSensor(AmcResourceSensor):
    """Wait until AMC has worked on records of an advertiser audience; it fails when some of them are invalid.

    :param job_request_id: the job. (templated)

    See :class:`AmcResourceSensor` for the other arguments.
    """

    kind = "audience records"
    template_fields: Sequence[str] = ("job_request_id", *AmcResourceSensor.template_fields)

    def __init__(self, *, job_request_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_request_id = job_request_id

    def names(self) -> Mapping[str, str]:
        """What names the job."""
        return {"job_request_id": self.job_request_id}


class AmcUserDeletionSensor(AmcResourceSensor):
    """Wait until AMC has deleted users.

    :param user_deletion_request_id: the request. (templated)

    See :class:`AmcResourceSensor` for the other arguments.
    """

    kind = "user deletion"
    template_fields: Sequence[str] = ("user_deletion_request_id", *AmcResourceSensor.template_fields)

    def __init__(self, *, user_deletion_request_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_deletion_request_id = user_deletion_request_id

    def names(self) -> Mapping[str, str]:
        """What names the request."""
        return {"user_deletion_request_id": self.user_deletion_request_id}
