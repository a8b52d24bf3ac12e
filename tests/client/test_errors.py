from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc import exceptions as amc
from airflow_provider_amc.client.errors import error_from_answer, error_from_lwa, redact, request_id_of


def make(status: int, body: Any, headers: dict[str, str] | None = None, **more: Any) -> amc.AmcHttpError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_answer(status, headers or {}, raw, method="GET", path="/amc/instances", **more)


def says(text: str) -> dict[str, str]:
    return {"code": "400", "details": text}


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (400, says("Number of columns must match number of query columns"), amc.AmcInvalidRequestError, False),
        (409, says("conflict"), amc.AmcInvalidRequestError, False),
        (415, b"", amc.AmcInvalidRequestError, False),
        (422, says("limit"), amc.AmcInvalidRequestError, False),
        (400, says("Workflow with ID wf-1 already exists."), amc.AmcAlreadyExistsError, False),
        (409, says("Schedule with ID s already exists."), amc.AmcAlreadyExistsError, False),
        (400, says("Workflow with ID wf-1 does not exist"), amc.AmcNotFoundError, False),
        (400, says("Workflow execution with ID 1 does not exist."), amc.AmcNotFoundError, False),
        (404, b"", amc.AmcNotFoundError, False),
        (404, {"message": "Not Found"}, amc.AmcNotFoundError, False),
        (400, says("Execution with ID 1 is unavailable for download"), amc.AmcNotReadyError, True),
        (404, says("Execution with ID 1 is unavailable for download"), amc.AmcNotReadyError, True),
        (401, {"code": "401", "details": "Authentication failed", "requestId": "r"}, amc.AmcAuthenticationError, False),
        (403, {"code": "403", "details": "Unauthorized request."}, amc.AmcPermissionError, False),
        (401, says("Terms and conditions must be accepted to continue"), amc.AmcTermsNotAcceptedError, False),
        (403, {"message": "Terms and conditions must be accepted to continue"}, amc.AmcTermsNotAcceptedError, False),
        (403, b"<p>Terms and conditions must be accepted</p>", amc.AmcTermsNotAcceptedError, False),
        (403, ["Terms and Conditions must be accepted"], amc.AmcTermsNotAcceptedError, False),
        (429, {"message": "Too Many Requests"}, amc.AmcThrottledError, True),
        (500, b"", amc.AmcTransientError, True),
        (504, {"message": "Endpoint request timed out"}, amc.AmcTransientError, True),
        (408, b"", amc.AmcTransientError, True),
        (302, b"", amc.AmcHttpError, False),
        (418, b"\x00\xff", amc.AmcInvalidRequestError, False),
    ],
)
def test_status_and_text_together_choose_the_class(
    status: int, body: Any, kind: type[amc.AmcHttpError], retryable: bool
) -> None:
    error = make(status, body)
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.http_status == status
    assert (error.method, error.path) == ("GET", "/amc/instances")


def test_terms_are_known_from_login_with_amazon_too() -> None:
    body = b'{"details": "Terms and conditions must be accepted to continue"}'
    error = error_from_lwa(403, {}, body, path="/auth/o2/token")
    assert type(error) is amc.AmcTermsNotAcceptedError
    assert "accept the AMC terms" in str(error)


def test_a_compile_error_that_quotes_other_words_stays_one() -> None:
    text = "Was unable to compile workflow W because it was found to be invalid: column x does not exist"
    assert type(make(400, says(text))) is amc.AmcInvalidRequestError


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        (403, "Unauthorized request.", "account_id is the AMC account (ENTITY...)"),
        (400, "entityId provided is null", "Set account_id"),
        (403, "Terms and conditions must be accepted to continue", "AMC console of region EU"),
        (401, "Authentication failed", "refresh token"),
    ],
)
def test_hints_say_what_to_do(status: int, text: str, hint: str) -> None:
    error = make(status, says(text), region="EU")
    assert hint in str(error)
    assert text in str(error)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"code": "400", "details": "in details", "message": "in message"}, "in details"),
        ({"message": "in message", "requestId": "r"}, "in message"),
        ({"details": "", "message": "in message"}, "in message"),
        ({"details": None, "errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
        ({"error": {"message": "nested"}}, "nested"),
        ("just text", "just text"),
        (b"plain text\nof a gateway", "plain text of a gateway"),
        (b"<html><head><title>502 Bad Gateway</title></head><body>x</body></html>", "502 Bad Gateway"),
        (b"<html><style>p{}</style><p>It is   down</p></html>", "It is down"),
        (b"", None),
        ({}, None),
        (b"[]", None),
    ],
)
def test_the_text_is_found_wherever_it_is(body: Any, text: str | None) -> None:
    assert make(400, body).details == text


@given(status=st.integers(100, 999), body=st.binary() | st.text().map(str.encode))
def test_no_body_breaks_the_mapping(status: int, body: bytes) -> None:
    assert isinstance(make(status, body), amc.AmcHttpError)
    assert str(error_from_lwa(status, {}, body, path="/auth/o2/token"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["details", "message", "code", "error", "x"]), inner, max_size=4)
    ),
)


@given(status=st.sampled_from([400, 401, 403, 404, 429, 500]), body=json_values)
def test_no_json_breaks_the_mapping(status: int, body: Any) -> None:
    assert str(make(status, body))
    assert str(error_from_lwa(status, {}, json.dumps(body).encode(), path="/auth/o2/token"))


def test_deeply_nested_json_is_only_a_body() -> None:
    assert make(400, b"[" * 100_000).details


def test_a_long_body_is_cut() -> None:
    assert len(make(400, b"x" * 1_000_000).details or "") <= 2000


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-amz-rid": "A", "x-amz-request-id": "B"}, {"requestId": "C"}, "A"),
        ({"X-Amz-Request-Id": "B"}, {}, "B"),
        ({}, {"requestId": "C"}, "C"),
        ({}, {"requestId": 5}, None),
        ({}, [], None),
    ],
)
def test_the_request_id_is_found_and_comes_first(headers: dict[str, str], body: Any, expected: str | None) -> None:
    error = make(400, body, headers)
    assert error.request_id == request_id_of(headers, body) == expected
    assert expected is None or str(error).startswith(f"Request {expected}:")


def test_retry_after_is_kept() -> None:
    assert make(429, b"", {"Retry-After": "12"}).retry_after == 12.0
    assert make(503, b"", {"retry-after": "3"}).retry_after == 3.0
    assert make(429, b"").retry_after is None
    assert make(400, b"", {"Retry-After": "12"}).retry_after is None


def test_the_code_is_kept() -> None:
    assert make(400, {"code": 400}).code == "400"
    assert make(400, {"code": {}}).code is None


def test_secrets_are_taken_out() -> None:
    text = "token Atza|IwEBIabc.d-e_f, Atzr|xyz; Bearer abcdefghijk; https://h/p?X-Amz-Signature=0a1b&x=1; my-secret"
    shown = redact(text, ["my-secret", "", "abc"])
    for secret in ("IwEBI", "xyz", "abcdefghijk", "0a1b", "my-secret"):
        assert secret not in shown
    assert "&x=1" in shown
