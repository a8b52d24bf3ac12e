"""How long a task may wait, and the wait of a task that keeps its worker."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_amc.exceptions import (
    AmcDeadlineError,
    AmcError,
    AmcExecutionError,
    AmcNotFoundError,
    AmcValidationError,
)
from airflow_provider_amc.triggers.history import History, duration
from airflow_provider_amc.triggers.polling import next_interval

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution

#: Seconds a wait may take when the user names no limit. AMC itself raises an alarm when an execution has not begun
#: 24 hours after it was created (``expireTime``).
DEFAULT_TIMEOUT = 24 * 3600.0

#: Part of Airflow's ``execution_timeout`` kept back, at most this many seconds, so that the wait ends by itself and can
#: cancel the execution before Airflow kills the task.
_RESERVE = 30.0

#: Seconds by which Airflow's own time-out of a deferred task lies after our deadline.
BACKSTOP = 300.0


def seconds(value: object, name: str) -> float | None:
    """Read a duration given as seconds or timedelta.

    :raises AmcValidationError: it is not a positive duration.
    """
    if value is None:
        return None
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number > 0:
        raise AmcValidationError(f"{name} must be a positive number of seconds or a timedelta, got {value!r}.")
    return float(number)


def poll_intervals(poll_interval: float | timedelta | None) -> tuple[float, float]:
    """First and longest polling interval in seconds, from the argument or the section ``[amc]`` of the configuration."""
    first = seconds(poll_interval, "poll_interval")
    if first is None:
        first = conf.getfloat("amc", "poll_interval", fallback=15.0)
    return first, max(first, conf.getfloat("amc", "poll_interval_max", fallback=120.0))


def time_allowed(timeout: float | timedelta | None, execution_timeout: timedelta | None) -> float:
    """Seconds the wait may take.

    :param timeout: limit set on the operator.
    :param execution_timeout: Airflow's limit of the task.
    """
    limit = seconds(timeout, "timeout") or DEFAULT_TIMEOUT
    if execution_timeout is not None:
        total = execution_timeout.total_seconds()
        limit = min(limit, total - min(_RESERVE, total * 0.1))
    return limit


def wait_here(
    client: AmcClient,
    workflow_execution_id: str,
    *,
    poll_interval: float,
    poll_interval_max: float,
    deadline: float,
    log: logging.Logger | Any,
    status: str | None = None,
) -> Execution:
    """Wait for an execution while holding the worker. A poll that fails never ends the wait.

    :param client: client whose default instance is that of the execution.
    :param workflow_execution_id: the execution.
    :param poll_interval: first interval in seconds.
    :param poll_interval_max: longest interval in seconds.
    :param deadline: wall-clock end of the wait, seconds since the epoch.
    :param log: logger of the task.
    :param status: the status that the log has told already.
    :returns: the finished execution.
    :raises AmcDeadlineError: the deadline has passed.
    """
    started = time.time()
    history = History(workflow_execution_id)
    if status is not None:
        history.note(status)
    problem = ""
    while True:
        try:
            execution = client.executions.get(workflow_execution_id)
        except AmcError as error:
            if str(error) != problem:
                problem = str(error)
                log.warning("Could not look at AMC execution %s, will try again: %s", workflow_execution_id, problem)
        else:
            problem = ""
            if line := history.note(execution.raw_status, execution.status_reason):
                log.info(line)
            if execution.is_finished:
                return execution
        now = time.time()
        if now >= deadline:
            raise deadline_error(workflow_execution_id, history.status, problem)
        time.sleep(max(0.0, min(next_interval(now - started, poll_interval, poll_interval_max), deadline - now)))


def deadline_error(workflow_execution_id: str, status: str | None, problem: str | None = None) -> AmcDeadlineError:
    """The error of a wait that ran out of time.

    :param status: last status seen.
    :param problem: why the last look failed, if it did.
    """
    trouble = f" The last look at it failed: {problem}" if problem else ""
    return AmcDeadlineError(
        f"AMC execution {workflow_execution_id} did not finish in time; its last known status is {status or 'unknown'}."
        f"{trouble} "
        "Raise timeout (or execution_timeout) if the query needs longer, or shorten its time window. An execution stays "
        "PENDING while ten others run on the instance.",
        workflow_execution_id=workflow_execution_id,
        status=status,
    )


def tell_history(event: dict[str, Any] | None, log: logging.Logger | Any) -> dict[str, Any]:
    """Check the event of a trigger and repeat what it saw, since the triggerer's own log may be elsewhere.

    :param event: what the trigger sent.
    :param log: logger of the task.
    :returns: the event.
    :raises AmcExecutionError: there is no event.
    :raises AmcNotFoundError: AMC does not know the execution.
    """
    if not event:
        raise AmcExecutionError("The triggerer sent no event. See its log for what went wrong there.")
    for change in event.get("history") or ():
        lasted = change.get("seconds")
        log.info(
            "AMC execution %s %s %s%s",
            event["workflow_execution_id"],
            f"is {change['status']} since" if lasted is None else f"was {change['status']} for {duration(lasted)} from",
            change["at"],
            f": {change['reason']}" if change.get("reason") else "",
        )
    if event["status"] == "missing":
        raise AmcNotFoundError(
            f"AMC does not know the execution {event['workflow_execution_id']}: {event.get('problem')}"
        )
    return event


def finished_execution(client: AmcClient, event: dict[str, Any]) -> Execution:
    """Get the execution that a trigger saw finished; if AMC cannot be asked now, what the trigger saw has to do.

    :param client: client whose default instance is that of the execution.
    :param event: event with the status ``finished``.
    """
    from airflow_provider_amc.client.models import Execution

    execution_id = str(event["workflow_execution_id"])
    try:
        execution = client.executions.get(execution_id)
    except AmcError:
        execution = None
    if execution is None or not execution.is_finished:
        seen = {
            name: event.get(key) for name, key in (("status", "execution_status"), ("statusReason", "status_reason"))
        }
        return Execution.from_api({"workflowExecutionId": execution_id, **seen})
    return execution
