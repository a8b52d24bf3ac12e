"""Which failures are worth another try: :data:`AMC_RETRY_POLICY`, for ``retry_policy`` of Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import (
    AmcAuthenticationError,
    AmcConfigurationError,
    AmcExecutionCancelledError,
    AmcExecutionFailedError,
    AmcExecutionRejectedError,
    AmcInvalidRequestError,
    AmcNotReadyError,
    AmcPermissionError,
    AmcPrivacyLossError,
    AmcResourceFailedError,
    AmcThrottledError,
    AmcTransientError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ExceptionRetryPolicy

#: Failures that are over by themselves, and when to try again. The first that fits counts.
_WAIT = (
    (AmcThrottledError, timedelta(minutes=5), "AMC throttles the account"),
    # A new execution may be invisible for a while; after that the next try finds it.
    (AmcUnknownOutcomeError, timedelta(minutes=2), "the answer to the submission was lost"),
    (AmcTransientError, timedelta(minutes=1), "Amazon failed or could not be reached"),
    (AmcNotReadyError, timedelta(minutes=1), "the result is not ready"),
)

#: Failures that a person has to end.
_STOP = (
    (AmcAuthenticationError, "Amazon does not accept the credentials of the connection"),
    (AmcPermissionError, "the user behind the refresh token may not do this, or has to accept the AMC terms"),
    (AmcInvalidRequestError, "AMC refuses the request as it is"),
    (AmcConfigurationError, "the connection is incomplete or wrong"),
    (AmcValidationError, "an argument of the task is wrong"),
    (AmcExecutionRejectedError, "AMC rejected the query"),
    (AmcResourceFailedError, "AMC could not make what it was asked for"),
    (AmcPrivacyLossError, "AMC hides more of this result than max_hidden_share allows"),
    (AmcExecutionCancelledError, "somebody cancelled the execution; clear the task to run the query again"),
)

_FAILED_DELAY = timedelta(minutes=5)


def _policy() -> ExceptionRetryPolicy | None:
    try:
        from airflow.providers.common.compat.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule
    except ImportError:
        return None

    class AmcRetryPolicy(ExceptionRetryPolicy):
        """Rules by exception, and one more try for an execution that failed within AMC."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
        ) -> RetryDecision:
            if not isinstance(exception, AmcExecutionFailedError):
                return super().evaluate(exception, try_number, max_tries, context)
            if _try_since_clear(try_number, max_tries, context) == 1:
                return RetryDecision.retry(_FAILED_DELAY, "the execution failed within AMC; trying once more")
            return RetryDecision.fail("the execution failed within AMC, and this was not the first try")

    wait = [RetryRule(kind, RetryAction.RETRY, delay, why) for kind, delay, why in _WAIT]
    stop = [RetryRule(kind, RetryAction.FAIL, None, why) for kind, why in _STOP]
    return AmcRetryPolicy(rules=[*wait, *stop])


def _try_since_clear(try_number: int, max_tries: int, context: Any) -> int:
    """Number of the try since the task was last cleared: a clear raises ``max_tries``, and the tries count on."""
    retries = getattr((context or {}).get("task"), "retries", None)
    return try_number - max(0, max_tries - retries) if isinstance(retries, int) else try_number


#: Wait and try again while AMC throttles, fails or is away; fail at once when only a person can help (credentials,
#: permission, terms, wrong arguments, a refused or rejected query, a cancelled execution); one more try for an execution
#: that failed within AMC; the task's own ``retries`` and ``retry_delay`` for everything else. The number of tries never
#: exceeds the task's ``retries``. ``None`` before Airflow 3.3, where ``default_args`` may hold it all the same.
AMC_RETRY_POLICY: ExceptionRetryPolicy | None = _policy()
