"""From an HTTP answer to an exception: by status *and* by Amazon's text.

AMC answers several conditions with a status that says something else (an unknown workflow is a 400, results that are
not ready may be a 404), and bodies come as JSON in five shapes, as HTML from a gateway, or not at all. Nothing here
may fail on a body, whatever it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from airflow_provider_amc.client.retry import parse_retry_after
from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcAuthenticationError,
    AmcHttpError,
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcNotReadyError,
    AmcPermissionError,
    AmcTermsNotAcceptedError,
    AmcThrottledError,
    AmcTransientError,
)

_MAX_TEXT = 2000
_TEXT_KEYS = ("details", "message", "error_description", "statusReason", "Message", "errorMessage", "errors")
_REQUEST_ID_HEADERS = ("x-amz-rid", "x-amz-request-id", "x-amzn-requestid")
_SECRETS = re.compile(r"Atz[a-z]\|[^\s\"'&,<>]+|(?i:(?<=bearer )[^\s\"',]{8,})|(?i:(?<=x-amz-signature=)[^\s\"'&<>]+)")

TERMS_TEXT = "terms and conditions must be accepted"


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Take tokens, URL signatures and the given secrets out of a text.

    :param text: any text, for example an error body.
    :param secrets: values to hide; short ones (under 8 characters) are left, they would garble every text.
    """
    for secret in secrets:
        if len(secret) >= 8:
            text = text.replace(secret, "***")
    return _SECRETS.sub("***", text)


def request_id_of(headers: Mapping[str, str], body: object = None) -> str | None:
    """Find the id to quote to Amazon's support.

    :param headers: headers of the answer; names are compared without case.
    :param body: parsed error body, which names the id for accounts and audiences.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for name in _REQUEST_ID_HEADERS:
        if lower.get(name):
            return lower[name]
    if isinstance(body, dict):
        for key in ("requestId", "request_id"):
            if isinstance(body.get(key), str) and body[key]:
                return str(body[key])
    return None


def parse_body(body: bytes) -> object:
    """Parse JSON if it is JSON; ``None`` otherwise. Never raises."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def text_of(body: bytes, parsed: object = None) -> str | None:
    """Find Amazon's sentence in an error body.

    :param body: the bytes of the body.
    :param parsed: the same parsed as JSON, when it is JSON.
    :return: the text; for HTML its title or visible words; ``None`` when there is none.
    """
    found = _text_in(parsed)
    if found is None and parsed is None:
        raw = body[:20000].decode("utf-8", errors="replace")
        found = _visible(raw) if "<" in raw else raw
        found = "".join(c if c.isprintable() else " " for c in found)
    if found is None:
        return None
    found = " ".join(found.split()) if parsed is None else found.strip()
    return found[:_MAX_TEXT] or None


def _text_in(parsed: object, depth: int = 0) -> str | None:
    if isinstance(parsed, str):
        return parsed or None
    if depth > 3:
        return None
    if isinstance(parsed, list):
        texts = [text for item in parsed[:5] if (text := _text_in(item, depth + 1))]
        return "; ".join(texts) or None
    if isinstance(parsed, dict):
        for key in (*_TEXT_KEYS, "error"):
            text = _text_in(parsed.get(key), depth + 1)
            if text:
                return text
    return None


def _visible(html: str) -> str:
    title = re.search(r"(?is)<title[^>]*>(.*?)</title>", html)
    if title and title[1].strip():
        return title[1]
    return re.sub(r"(?s)<[^>]*>", " ", re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", html))[:300]


def code_of(parsed: object) -> str | None:
    """Find the machine-readable code of an error body (``code`` of AMC, ``error`` of Login with Amazon)."""
    if isinstance(parsed, dict):
        for key in ("code", "error"):
            value = parsed.get(key)
            if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
                return str(value)
    return None


def error_from_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str,
    path: str,
    region: str = "",
    secrets: Iterable[str] = (),
) -> AmcHttpError:
    """Make the exception for an answer of the AMC API that is not a success.

    :param status: HTTP status, also 3xx (redirects are not followed).
    :param headers: headers of the answer.
    :param body: its body, whatever that is.
    :param method: HTTP method of the call.
    :param path: path of the call without query.
    :param region: region of the connection, for the hint about terms.
    :param secrets: values that must not appear in the exception.
    :return: the exception to raise.
    """
    parsed = parse_body(body)
    text = text_of(body, parsed) or ""
    details = redact(text, secrets) or None
    kind, hint = _classify(status, text.lower(), region)
    sentence = f"AMC: {details}" if details else f"AMC gave no reason ({_reason(status)})."
    if 300 <= status < 400:
        sentence = "The service answered with a redirect, which is not followed: the access token stays on its host."
    arguments: dict[str, object] = {
        "http_status": status,
        "request_id": request_id_of(headers, parsed),
        "details": details,
        "code": code_of(parsed),
        "method": method,
        "path": path,
        "hint": hint,
    }
    error = kind(sentence, **arguments)  # type: ignore[arg-type]
    if error.retryable:
        error.retry_after = _retry_after_in(headers)
    return error


def _retry_after_in(headers: Mapping[str, str]) -> float | None:
    return parse_retry_after({name.lower(): value for name, value in headers.items()}.get("retry-after"))


_Class = tuple[type[AmcHttpError], str | None]


def _classify(status: int, text: str, region: str) -> _Class:
    """Choose class and hint. The text comes in lower case."""
    if 300 <= status < 400:
        return AmcHttpError, "Check the base URL of the connection: a proxy or a sign-in page answers in AMC's place."
    if status == 429:
        return AmcThrottledError, "AMC throttles this account: try later or make fewer calls at once."
    if status >= 500 or status == 408:
        return AmcTransientError, None
    if TERMS_TEXT in text:
        where = f" of region {region}" if region else ""
        return AmcTermsNotAcceptedError, (
            f"A person has to accept the AMC terms once: sign in to the AMC console{where} as the user who granted "
            "access to the application, accept the terms there, then run again."
        )
    if status == 401:
        return AmcAuthenticationError, (
            "Amazon does not accept the access token. Check that client id, client secret and refresh token of the "
            "connection belong together; if access was revoked, make a new authorization grant and store its refresh "
            "token."
        )
    return _classify_text(status, text)


def _classify_text(status: int, text: str) -> _Class:
    """The conditions that AMC answers with one status here and another there."""
    if "unavailable for download" in text:
        return AmcNotReadyError, "Wait until the execution has SUCCEEDED; dry runs have no result."
    if status == 403:
        return AmcPermissionError, (
            "AMC does not say whether the account, the marketplace or the instance is the wrong one; the connection's "
            "test does. account_id is the AMC account (ENTITY...), not a profile or seller id, and the user behind the "
            "refresh token must have access to the instance."
        )
    if "entityid provided is null" in text:
        return AmcInvalidRequestError, "Set account_id (the AMC account, ENTITY...) in the connection's extra."
    # A compile error can quote anything, also the words below.
    if "unable to compile" in text:
        return AmcInvalidRequestError, None
    if "already exists" in text:
        return AmcAlreadyExistsError, None
    if status == 404 or "does not exist" in text:
        return AmcNotFoundError, "Check the id and the instance: ids belong to one instance."
    return AmcInvalidRequestError, None


def _reason(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status {status}"


def error_from_lwa(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    path: str,
    secrets: Iterable[str] = (),
) -> AmcHttpError:
    """Make the exception for an answer of Login with Amazon that is not a success.

    :param status: HTTP status.
    :param headers: headers of the answer.
    :param body: its body.
    :param path: path of the token address.
    :param secrets: values that must not appear in the exception.
    """
    parsed = parse_body(body)
    text = text_of(body, parsed) or ""
    details = redact(text, secrets) or None
    code = code_of(parsed)
    arguments: dict[str, object] = {
        "http_status": status,
        "request_id": request_id_of(headers, parsed),
        "details": details,
        "code": code,
        "method": "POST",
        "path": path,
    }
    said = f"{code}: {details}" if code and details and code != details else (details or code or _reason(status))
    if status == 429 or status >= 500 or status == 408:
        kind = AmcThrottledError if status == 429 else AmcTransientError
        what = "throttles the caller" if status == 429 else "failed"
        error = kind(f"Login with Amazon {what} ({said}).", **arguments)  # type: ignore[arg-type]
        error.retry_after = _retry_after_in(headers)
        return error
    if 300 <= status < 400:
        arguments["hint"] = "Check the base URL of the connection; redirects are not followed with credentials."
        return AmcHttpError("Login with Amazon answered with a redirect.", **arguments)  # type: ignore[arg-type]
    if TERMS_TEXT in text.lower():
        terms, arguments["hint"] = _classify(status, text.lower(), "")
        return terms(f"Login with Amazon: {said}", **arguments)  # type: ignore[arg-type]
    if status not in (400, 401, 403):
        arguments["hint"] = "Check the base URL of the connection: something else may answer in Amazon's place."
        return AmcHttpError(f"Unexpected answer to a token request ({said}).", **arguments)  # type: ignore[arg-type]
    arguments["hint"] = _lwa_hint(code or "", text.lower())
    return AmcAuthenticationError(
        f"Login with Amazon refuses the credentials ({said}).",
        **arguments,  # type: ignore[arg-type]
    )


def _lwa_hint(code: str, text: str) -> str:
    if code == "invalid_client":
        return "Check the client id (login) and client secret (password) of the connection."
    if "parameter : code" in text or "parameter: code" in text:
        return (
            "An authorization code is valid for 5 minutes and one use, with the same redirect URI: open the "
            "authorization URL again."
        )
    if code == "invalid_grant":
        return (
            "The refresh token was revoked, or belongs to another application: make a new authorization grant with "
            "this client id and store the new refresh token in the connection."
        )
    if code == "unauthorized_client":
        return "Ask Amazon to give this client id access to the Amazon Ads API, or use the client id that has it."
    return "Check client id, client secret and refresh token of the connection."
