"""What operators share that wait for something AMC makes on its own time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_amc.exceptions import (
    AmcDeadlineError,
    AmcExecutionError,
    AmcNotFoundError,
    AmcResourceFailedError,
)
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.triggers.looks import Looks, name_of
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
    :param timeout: longest wait, seconds or timedelta; one limit for all that a task waits for. Default: 24 hours, or
        what ``execution_timeout`` leaves.
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
        self._deadline: float | None = None

    def wait_for(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Wait for a resource, here or in the triggerer.

        :param context: Airflow's context.
        :param kind: one of :data:`airflow_provider_amc.client.progress.KINDS`.
        :param names: what names it.
        :param result: what the task returns when AMC has succeeded; plain values.
        :returns: ``result``.
        :raises AmcResourceFailedError: AMC could not make it.
        :raises AmcDeadlineError: it took too long.
        """
        self.settle(kind, names, result)
        return self.concluded(context, kind, names, result)

    def settle(self, kind: str, names: Mapping[str, str], result: Any) -> None:
        """Wait for a resource here, or leave for the triggerer; :meth:`concluded` goes on then.

        :param kind: see :meth:`wait_for`.
        :param names: see :meth:`wait_for`.
        :param result: see :meth:`wait_for`.
        """
        if self._deadline is None:
            self._deadline = time.time() + time_allowed(self.timeout, self.execution_timeout)
        first, longest = poll_intervals(self.poll_interval)
        looks = Looks(kind, names, self.log)
        seen = looks.look(self.client)
        if seen is None and self.deferrable:
            self.defer(
                trigger=AmcResourceTrigger(
                    kind=kind,
                    names=names,
                    amc_conn_id=self.amc_conn_id,
                    instance_id=self.client.instance_id,
                    poll_interval=first,
                    poll_interval_max=longest,
                    deadline=self._deadline,
                    carried={"result": result, "deadline": self._deadline, "kind": kind, "names": dict(names)},
                ),
                method_name="execute_complete",
                timeout=timedelta(seconds=max(0.0, self._deadline - time.time()) + BACKSTOP),
            )
        if seen is None:
            seen = self._waited(looks, kind, names, first, longest, self._deadline)
        if not seen.succeeded:
            self.failed(kind, names, result, seen.status, seen.reason)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Go on after the wait in the triggerer."""
        if not event:
            raise AmcExecutionError("The triggerer sent no event. See its log for what went wrong there.")
        carried = event["carried"]
        kind, names, result = carried["kind"], carried["names"], carried["result"]
        self._deadline = carried["deadline"]
        if event["status"] == "missing":
            raise AmcNotFoundError(f"AMC does not know the {name_of(kind, names)}: {event.get('problem')}")
        if event["status"] == "deadline":
            raise _deadline_error(kind, names, event.get("resource_status"), event.get("problem"))
        self.log.info("AMC %s is %s", name_of(kind, names), event["resource_status"])
        if not event["succeeded"]:
            self.failed(kind, names, result, str(event["resource_status"]), event.get("reason"))
        return self.concluded(context, kind, names, result)

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """What the task returns after AMC has succeeded; says more about it in log and XCom where there is more to say.

        :param context: Airflow's context.
        :param kind: see :meth:`wait_for`.
        :param names: see :meth:`wait_for`.
        :param result: see :meth:`wait_for`.
        """
        return result

    def failed(self, kind: str, names: Mapping[str, str], result: Any, status: str, reason: str | None) -> None:
        """What happens when AMC could not make it: the task fails.

        :param kind: see :meth:`wait_for`.
        :param names: see :meth:`wait_for`.
        :param result: see :meth:`wait_for`.
        :param status: AMC's word.
        :param reason: AMC's reason, if it gave one.
        :raises AmcResourceFailedError: always, unless a subclass can go on.
        """
        message = f"AMC {name_of(kind, names)} ended as {status}: {reason or 'AMC gives no reason'}"
        raise AmcResourceFailedError(message, status=status, reason=reason)

    def _waited(
        self, looks: Looks, kind: str, names: Mapping[str, str], first: float, longest: float, deadline: float
    ) -> Progress:
        started = time.time()
        while (now := time.time()) < deadline:
            time.sleep(max(0.0, min(next_interval(now - started, first, longest), deadline - now)))
            seen = looks.look(self.client)
            if seen is not None:
                return seen
        raise _deadline_error(kind, names, looks.seen.status if looks.seen else None, looks.problem)


def _deadline_error(
    kind: str, names: Mapping[str, str], status: str | None, problem: str | None = None
) -> AmcDeadlineError:
    trouble = f" The last look at it failed: {problem}" if problem else ""
    return AmcDeadlineError(
        f"AMC {name_of(kind, names)} was not finished in time; its last known status is {status or 'unknown'}.{trouble} "
        "AMC goes on with it. Raise timeout (or execution_timeout) to wait longer.",
        status=status,
    )
