from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_amc import exceptions
from airflow_provider_amc.retry import AMC_RETRY_POLICY

older = pytest.mark.skipif(AMC_RETRY_POLICY is not None, reason="Airflow 3.3 has retry policies")
newer = pytest.mark.skipif(AMC_RETRY_POLICY is None, reason="Airflow before 3.3 has no retry policies")


def decided(error: Exception, try_number: int = 1, max_tries: int = 3, retries: int | None = 3) -> tuple[str, Any]:
    context: Any = None if retries is None else {"task": SimpleNamespace(retries=retries)}
    assert AMC_RETRY_POLICY is not None
    decision = AMC_RETRY_POLICY.evaluate(error, try_number, max_tries, context)
    return decision.action.value, decision.retry_delay


DECISIONS: list[tuple[str, str, int | None]] = [
    ("AmcThrottledError", "retry", 5),
    ("AmcTransientError", "retry", 1),
    ("AmcUnknownOutcomeError", "retry", 2),
    ("AmcNotReadyError", "retry", 1),
    ("AmcAuthenticationError", "fail", None),
    ("AmcPermissionError", "fail", None),
    ("AmcTermsNotAcceptedError", "fail", None),
    ("AmcInvalidRequestError", "fail", None),
    ("AmcAlreadyExistsError", "fail", None),
    ("AmcConfigurationError", "fail", None),
    ("AmcValidationError", "fail", None),
    ("AmcExecutionRejectedError", "fail", None),
    ("AmcExecutionCancelledError", "fail", None),
    ("AmcPrivacyLossError", "fail", None),
    ("AmcResourceFailedError", "fail", None),
    ("AmcExecutionFailedError", "retry", 5),
    ("AmcExecutionError", "default", None),
    ("AmcDeadlineError", "default", None),
    ("AmcNotFoundError", "default", None),
    ("AmcHttpError", "default", None),
    ("AmcError", "default", None),
    ("AmcResultError", "default", None),
    ("AmcLoadError", "default", None),
]


@newer
@pytest.mark.parametrize(("name", "action", "minutes"), DECISIONS)
def test_decision_by_class(name: str, action: str, minutes: int | None) -> None:
    delay = None if minutes is None else timedelta(minutes=minutes)
    assert decided(getattr(exceptions, name)("text")) == (action, delay)


@newer
def test_every_error_is_decided_upon() -> None:
    errors = {name for name, value in vars(exceptions).items() if isinstance(value, type)}
    assert {row[0] for row in DECISIONS} == {name for name in errors if name.startswith("Amc")}


@newer
@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "action"),
    [(1, 3, 3, "retry"), (2, 3, 3, "fail"), (3, 5, 3, "retry"), (4, 5, 3, "fail"), (1, 3, None, "retry")],
)
def test_a_failed_execution_is_tried_once_more(
    try_number: int, max_tries: int, retries: int | None, action: str
) -> None:
    """Also after a clear, which leaves the number of the try and raises the number of tries."""
    error = exceptions.AmcExecutionFailedError("text")
    assert decided(error, try_number, max_tries, retries)[0] == action


@newer
def test_errors_of_others_are_left_to_the_task() -> None:
    assert decided(RuntimeError("text")) == ("default", None)


@newer
def test_airflow_can_serialize_it() -> None:
    assert AMC_RETRY_POLICY is not None
    again = type(AMC_RETRY_POLICY).__mro__[1].deserialize(AMC_RETRY_POLICY.serialize())
    decision = again.evaluate(exceptions.AmcThrottledError("text"), 1, 3)
    assert decision.retry_delay == timedelta(minutes=5)


@older
def test_older_airflow_takes_default_args_with_it() -> None:
    from airflow_provider_amc.operators.execution import AmcCancelWorkflowExecutionOperator

    arguments = {"retry_policy": AMC_RETRY_POLICY, "retries": 3}
    task = AmcCancelWorkflowExecutionOperator(task_id="stop", workflow_execution_id="a", default_args=arguments)
    assert task.retries == 3
