"""Errors in the shapes of Amazon's services.

Which shape belongs where: reporting and instances ``{code, details}``, accounts and connections of audiences
``{message, requestId}``, advertiser audiences ``{message}``, rule-based audiences ``{code, details, requestId}``, advertiser data upload ``{code, details, errors,
requestId}``, the Ads gateway's 401 ``{code, details, requestId}``, the API gateway ``{message}``, Login with Amazon
``{error, error_description}`` (AMC API documentation, "Errors"; recorded responses in Amazon's Postman collection).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Shapes of the errors of a family of operations.
REPORTING, CONNECTIONS, AUDIENCES, UPLOADS = "reporting", "connections", "audiences", "uploads"
QUERY_AUDIENCES = "query audiences"
TERMS_TEXT = "Terms and conditions must be accepted to continue"


class ApiError(Exception):
    """An error answer.

    :param status: HTTP status.
    :param body: JSON body; the request id is added where the shape has one (``requestId: None``).
    :param headers: further response headers.
    """

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {dict(body)}")
        self.status = status
        self.body = dict(body)
        self.headers = dict(headers or {})


def amc_error(status: int, details: str) -> ApiError:
    """An error of the reporting and instance APIs."""
    return ApiError(status, {"code": str(status), "details": details})


def bad_request(details: str) -> ApiError:
    """The request is wrong (HTTP 400)."""
    return amc_error(400, details)


def unauthorized_request() -> ApiError:
    """The account, marketplace or instance is not one the caller can reach (HTTP 403)."""
    return amc_error(403, "Unauthorized request.")


def authentication_failed() -> ApiError:
    """The access token is missing, unknown or expired, or belongs to another client (HTTP 401)."""
    return ApiError(401, {"code": "401", "details": "Authentication failed", "requestId": None})


def terms_not_accepted(status: int) -> ApiError:
    """Nobody accepted the AMC terms of the region yet (HTTP 401 or 403, the sources disagree)."""
    return amc_error(status, TERMS_TEXT)


def gateway_error(status: int, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """An error of the gateway in front of AMC."""
    return ApiError(status, {"message": message}, headers)


def lwa_error(status: int, error: str, description: str) -> ApiError:
    """An error of Login with Amazon."""
    return ApiError(status, {"error": error, "error_description": description, "request_id": None})


def in_shape(shape: str, status: int, body: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """The body of an error as a family of operations writes it.

    :param shape: the family's shape.
    :param status: HTTP status.
    :param body: the error as it was raised.
    :param strict: also what gateways answer takes this shape, as the OpenAPI files have it.
    """
    text = body.get("details") or body.get("message")
    if shape == CONNECTIONS:
        return {"message": text, "requestId": None}
    if shape == AUDIENCES:
        return {"message": text}
    if "details" not in body and not strict:
        return dict(body)
    if shape == UPLOADS:
        return {"code": str(status), "details": text, "errors": body.get("errors", []), "requestId": None}
    if shape == QUERY_AUDIENCES:
        return {"code": str(status), "details": text, "requestId": None}
    if not strict:
        return dict(body)
    return {**{name: value for name, value in body.items() if name != "message"}, "code": str(status), "details": text}


_TEXTS = {
    400: "Bad Request",
    401: "Authentication failed",
    403: "Unauthorized request.",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal server error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Endpoint request timed out",
}
_S3_CODES = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    403: "AccessDenied",
    404: "NoSuchKey",
    429: "SlowDown",
    503: "SlowDown",
}
_LWA_CODES = {
    400: "invalid_request",
    401: "invalid_client",
    429: "temporarily_unavailable",
    503: "temporarily_unavailable",
}


def failure(status: int, operation: str, headers: Mapping[str, str], text: str | None = None) -> ApiError:
    """What a service that is overloaded, broken or of another opinion answers.

    :param status: HTTP status, such as 429, 500, 503, 504.
    :param operation: the operation that was asked for.
    :param headers: further headers, such as ``Retry-After``.
    :param text: the message, if not the usual one of the status.
    """
    text = text or _TEXTS.get(status) or ("Internal server error" if status >= 500 else "Bad Request")
    if operation in ("token", "authorize"):
        error = lwa_error(status, _LWA_CODES.get(status, "server_error"), text)
    elif operation == "results":
        error = ApiError(status, {"Code": _S3_CODES.get(status, "InternalError"), "Message": text})
    elif status == 401:
        error = ApiError(401, {"code": "401", "details": text, "requestId": None})
    elif status in (429, 502, 503, 504) or status < 400:
        error = gateway_error(status, text)
    else:
        error = amc_error(status, text)
    if status == 429 and operation not in ("token", "authorize", "results"):
        error.headers["x-amzn-ErrorType"] = "TooManyRequestsException"
        error.headers["amazon-advertising-api-throttled"] = "true"
    error.headers.update(headers)
    return error
