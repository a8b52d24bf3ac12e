"""What a result is called where it lands, and whether it may land at all."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import (
    AmcExecutionCancelledError,
    AmcExecutionError,
    AmcExecutionFailedError,
    AmcExecutionRejectedError,
    AmcNotReadyError,
    AmcValidationError,
)

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import Execution

#: AMC names the workflow of an ad-hoc execution anew each time (AMC API documentation, "Ad hoc workflow").
_TRANSIENT = "transient_"

_LABEL = re.compile(r"[A-Za-z0-9._-]+")

_FAILURES: dict[str, type[AmcExecutionError]] = {
    "FAILED": AmcExecutionFailedError,
    "REJECTED": AmcExecutionRejectedError,
    "CANCELLED": AmcExecutionCancelledError,
}

#: Longest query repeated in an error message, in characters.
_SQL_SHOWN = 4000


def is_ad_hoc(execution: Execution) -> bool:
    """Whether the execution ran a query of its own instead of a saved workflow."""
    return not execution.workflow_id or execution.workflow_id.startswith(_TRANSIENT)


def workflow_label(execution: Execution, task: str, name: str | None = None) -> str:
    """Name under which results of one kind belong together, the same for every run of it.

    :param execution: the execution.
    :param task: ``<dag id>.<task id>`` of the task that lands the result.
    :param name: name chosen by the user; letters, digits, ``.``, ``-`` and ``_``.
    :returns: ``name``; else the saved workflow's id, or ``task`` for a query of the DAG, followed by a hash of the
        parameter values if there are any, so that runs with other values do not replace each other.
    :raises AmcValidationError: ``name`` has other characters.
    """
    if name:
        if not _LABEL.fullmatch(name):
            raise AmcValidationError(
                f"workflow_name {name!r} may hold letters, digits, '.', '-' and '_' only: it becomes part of a key."
            )
        return name
    label = task if is_ad_hoc(execution) else str(execution.workflow_id)
    if not execution.parameter_values:
        return label
    values = json.dumps(execution.parameter_values, sort_keys=True, default=str)
    return f"{label}-p{hashlib.sha256(values.encode()).hexdigest()[:8]}"


def failure_of(execution: Execution, sql: str | None = None) -> AmcExecutionError:
    """Describe an execution that ended without a result.

    :param execution: an execution that is FAILED, REJECTED or CANCELLED.
    :param sql: the query as it was sent, if known.
    """
    reason = execution.status_reason or "AMC gave no reason."
    query = sql or execution.sql_query
    shown = f"\nQuery: {query[:_SQL_SHOWN]}{'…' if len(query) > _SQL_SHOWN else ''}" if query else ""
    return _FAILURES.get(execution.raw_status, AmcExecutionError)(
        f"AMC execution {execution.workflow_execution_id} ended as {execution.raw_status}: {reason}{shown}",
        workflow_execution_id=execution.workflow_execution_id,
        status=execution.raw_status,
        status_reason=execution.status_reason,
    )


def require_result(execution: Execution) -> None:
    """Check that an execution has a result to read.

    :raises AmcExecutionError: it failed, was rejected or cancelled.
    :raises AmcNotReadyError: it has not finished yet.
    """
    if execution.is_succeeded:
        return
    if execution.is_finished:
        raise failure_of(execution)
    raise AmcNotReadyError(
        f"AMC execution {execution.workflow_execution_id} is {execution.raw_status}: it has no result yet. Wait for it "
        "first, with AmcExecuteWorkflowOperator(wait_for_completion=True) or AmcWorkflowExecutionSensor."
    )
