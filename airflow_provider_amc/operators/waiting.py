"""What operators share that wait for something AMC makes on its own time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_amc.exceptions import (
    AmcDeadlineError,
    AmcError,
    AmcExecutionError,
    AmcNotFoundError,
    AmcResourceFailedError,
)
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.triggers.polling import next_interval
from airflow_provider_amc.triggers.resource import AmcResourceTrigger
from airflow_provider_amc.triggers.waiting import BACKSTOP, poll_intervals, time_allowed

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.progress import Progress


class AmcWaitingOperator(AmcBaseOperator):
    """Base of operators that wait.

    :param wait_for_completion: ``False`` returns as soon as AMC has accepted the request. Default: ``True``.
    :param deferrable: wait in the triggerer, without holding a worker. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks; the interval grows with the wait. Default: ``[amc] poll_interval``
        (15).
    :param timeout: longest wait, seconds or timedelta. Default: 24 hours, or what ``execution_timeout`` leaves.
    """

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout

    def wait_for(self, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Wait for a resource, here or in the triggerer.

        :param kind: one of :data:`airflow_provider_amc.client.progress.KINDS`.
        :param names: what names it.
        :param result: what the task returns when AMC has succeeded; plain values.
        :returns: ``result``.
        :raises AmcResourceFailedError: AMC could not make it.
        :raises AmcDeadlineError: it took too long.
        """
        allowed = time_allowed(self.timeout, self.execution_timeout)
        first, longest = poll_intervals(self.poll_interval)
        deadline = time.time() + allowed
        seen = self._looked_at(kind, names)
        if seen is None or not seen.finished:
            if self.deferrable:
                self.defer(
                    trigger=AmcResourceTrigger(
                        kind=kind,
                        names=names,
                        amc_conn_id=self.amc_conn_id,
                        instance_id=self.client.instance_id,
                        poll_interval=first,
                        poll_interval_max=longest,
                        deadline=deadline,
                    ),
                    method_name="execute_complete",
                    kwargs={"kind": kind, "names": dict(names), "result": result},
                    timeout=timedelta(seconds=allowed + BACKSTOP),
                )
            seen = self._waited(kind, names, first, longest, deadline, seen)
        self._require(kind, names, seen.status, seen.succeeded, seen.reason)
        return self.concluded(kind, names, result)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        kind: str = "",
        names: Mapping[str, str] | None = None,
        result: Any = None,
    ) -> Any:
        """Go on after the wait in the triggerer."""
        names = names or {}
        if not event:
            raise AmcExecutionError("The triggerer sent no event. See its log for what went wrong there.")
        if event["status"] == "missing":
            raise AmcNotFoundError(f"AMC does not know the {_name(kind, names)}: {event.get('problem')}")
        if event["status"] == "deadline":
            raise _deadline_error(kind, names, event.get("resource_status"), event.get("problem"))
        self._require(kind, names, str(event["resource_status"]), bool(event["succeeded"]), event.get("reason"))
        return self.concluded(kind, names, result)

    def concluded(self, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """What the task returns after AMC has succeeded; says more about it in the log where there is more to say.

        :param kind: see :meth:`wait_for`.
        :param names: see :meth:`wait_for`.
        :param result: see :meth:`wait_for`.
        """
        return result

    def _looked_at(self, kind: str, names: Mapping[str, str]) -> Progress | None:
        from airflow_provider_amc.client.progress import progress

        try:
            return progress(self.client, kind, names)
        except AmcError as error:
            # What was made a moment ago may not be shown yet.
            if not error.retryable and not isinstance(error, AmcNotFoundError):
                raise
            return None

    def _waited(
        self,
        kind: str,
        names: Mapping[str, str],
        first: float,
        longest: float,
        deadline: float,
        seen: Progress | None,
    ) -> Progress:
        started, status = time.time(), seen.status if seen else None
        while seen is None or not seen.finished:
            now = time.time()
            if now >= deadline:
                raise _deadline_error(kind, names, status)
            time.sleep(max(0.0, min(next_interval(now - started, first, longest), deadline - now)))
            seen = self._looked_at(kind, names)
            if seen is not None and seen.status != status:
                status = seen.status
                self.log.info("AMC %s is %s", _name(kind, names), status)
        return seen

    def _require(self, kind: str, names: Mapping[str, str], status: str, succeeded: bool, reason: str | None) -> None:
        if not succeeded:
            raise AmcResourceFailedError(
                f"AMC {_name(kind, names)} ended as {status}: {reason or 'AMC gives no reason'}",
                status=status,
                reason=reason,
            )
        self.log.info("AMC %s is %s", _name(kind, names), status)


def _name(kind: str, names: Mapping[str, str]) -> str:
    return f"{kind} {'/'.join(names.values())}"


def _deadline_error(
    kind: str, names: Mapping[str, str], status: str | None, problem: str | None = None
) -> AmcDeadlineError:
    trouble = f" The last look at it failed: {problem}" if problem else ""
    return AmcDeadlineError(
        f"AMC {_name(kind, names)} was not finished in time; its last known status is {status or 'unknown'}.{trouble} "
        "AMC goes on with it. Raise timeout (or execution_timeout) to wait longer.",
        status=status,
    )
