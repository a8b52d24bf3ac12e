"""The one error tree of the provider.

Every error knows whether repeating the same call can help (``retryable``); errors of an HTTP answer also carry the
status, Amazon's request id and the text Amazon gave. A message never holds a token, a secret or a signed URL.

Where AMC puts its texts: ``details`` for reporting and instances, ``message`` for accounts and gateway errors, and
``error_description`` for Login with Amazon (AMC API documentation, "Errors").
"""

from __future__ import annotations


class AmcError(Exception):
    """Base of all errors of this provider.

    :param message: what is wrong, where, and what to do.
    """

    #: Can the same call succeed later, with nothing changed by the user?
    retryable: bool = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class AmcConfigurationError(AmcError, ValueError):
    """The connection, its secret or a provider setting is incomplete or wrong. Nothing was sent."""


class AmcValidationError(AmcError, ValueError):
    """An argument is wrong (window, ids, SQL, timeout, table name). Nothing was sent."""


class AmcHttpError(AmcError):
    """Amazon answered, or did not answer, an HTTP call.

    :param message: the provider's sentence about the call.
    :param http_status: HTTP status code, ``None`` when no answer arrived.
    :param request_id: Amazon's ``x-amz-rid``, to quote to Amazon's support.
    :param details: the text of Amazon's error body, unchanged.
    :param code: the machine-readable code of Amazon's error body.
    :param method: HTTP method of the call.
    :param path: path of the call, without host and query.
    :param hint: what the user can do about it.
    """

    #: Was an answer to an attempt of this call lost, so that AMC may have carried it out all the same?
    answer_lost: bool = False

    #: Seconds Amazon asked to wait before the next attempt, ``None`` when it did not say.
    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        request_id: str | None = None,
        details: str | None = None,
        code: str | None = None,
        method: str | None = None,
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.request_id = request_id
        self.details = details
        self.code = code
        self.method = method
        self.path = path
        self.hint = hint

    def __str__(self) -> str:
        parts = [f"Request {self.request_id}:"] if self.request_id else []
        parts.append(self.message)
        if self.http_status is not None:
            parts.append(f"(HTTP {self.http_status} on {self.method} {self.path})")
        elif self.method:
            parts.append(f"(on {self.method} {self.path})")
        if self.hint:
            parts.append(self.hint)
        return " ".join(parts)


class AmcAuthenticationError(AmcHttpError):
    """Login with Amazon, or AMC, does not accept the credentials or the access token."""


class AmcPermissionError(AmcHttpError):
    """The user behind the refresh token may not do this (HTTP 403)."""


class AmcTermsNotAcceptedError(AmcPermissionError):
    """A person has to accept the AMC terms of this region first."""


class AmcInvalidRequestError(AmcHttpError):
    """AMC refuses the request as it is (HTTP 400, 409, 415, 422)."""


class AmcAlreadyExistsError(AmcInvalidRequestError):
    """A workflow or schedule with this id exists already."""


class AmcNotFoundError(AmcHttpError):
    """No such instance, workflow, schedule, execution or data source (HTTP 404, or 400 with AMC's text)."""


class AmcNotReadyError(AmcHttpError):
    """The results of an execution cannot be downloaded yet."""

    retryable = True


class AmcThrottledError(AmcHttpError):
    """AMC throttles the caller (HTTP 429).

    :param retry_after: seconds Amazon asked to wait, ``None`` when it did not say.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **kwargs: object) -> None:
        super().__init__(message, **kwargs)  # type: ignore[arg-type]
        self.retry_after = retry_after


class AmcTransientError(AmcHttpError):
    """Amazon failed (HTTP 5xx) or could not be reached (no answer, cut connection, time-out)."""

    retryable = True


class AmcUnknownOutcomeError(AmcTransientError):
    """The answer to a call that must not be repeated blindly was lost: AMC may or may not have done it.

    Raised for the POST that creates an execution, which has no idempotency token.
    """

    retryable = False


class AmcExecutionError(AmcError):
    """A workflow execution ended without a result.

    :param message: the sentence for the user, with AMC's ``statusReason`` and the query.
    :param workflow_execution_id: id of the execution.
    :param status: its last status as AMC wrote it.
    :param status_reason: AMC's ``statusReason``, if it gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        workflow_execution_id: str | None = None,
        status: str | None = None,
        status_reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.workflow_execution_id = workflow_execution_id
        self.status = status
        self.status_reason = status_reason


class AmcExecutionFailedError(AmcExecutionError):
    """The execution ended as FAILED."""


class AmcExecutionRejectedError(AmcExecutionError):
    """AMC rejected the execution after it had accepted the create call (SQL, privacy or sandbox rules)."""


class AmcExecutionCancelledError(AmcExecutionError):
    """The execution was cancelled, by a user or by AMC."""


class AmcDeadlineError(AmcExecutionError):
    """The execution did not finish before the deadline of the task."""


class AmcResourceFailedError(AmcError):
    """AMC could not make what it was asked for: an instance, an audience, an upload.

    :param message: the sentence for the user, with AMC's reason.
    :param status: last status as AMC wrote it.
    :param reason: AMC's reason, if it gave one.
    """

    def __init__(self, message: str, *, status: str | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class AmcResultError(AmcError):
    """A result file could not be read whole: wrong host, redirect, wrong length, or a header that does not fit."""


class AmcLoadError(AmcError):
    """The rows do not fit the target table, or the target could not take them. The table is as it was before."""


class AmcPrivacyLossError(AmcError):
    """AMC has hidden more of a result than the task allows. Nothing of it was kept.

    :param message: which metrics, how much of them, and what to do.
    :param hidden_share: the part that is hidden, 0 to 1.
    :param max_hidden_share: the part that was allowed.
    """

    def __init__(
        self, message: str, *, hidden_share: float | None = None, max_hidden_share: float | None = None
    ) -> None:
        super().__init__(message)
        self.hidden_share = hidden_share
        self.max_hidden_share = max_hidden_share
