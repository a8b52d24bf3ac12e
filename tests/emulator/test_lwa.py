"""Login with Amazon: consent, codes, refresh, errors."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.emulator.api import CLIENT_ID, SECRET, Api

RETURN_URL = "https://example.com/return?tab=1"
SCOPES = "advertising::campaign_management advertising::audiences"


def consent(api: Api, **changed: str | None):
    query = {
        "client_id": CLIENT_ID,
        "scope": SCOPES,
        "response_type": "code",
        "redirect_uri": RETURN_URL,
        "state": "s1",
        **changed,
    }
    return api.session.get(
        f"{api.url}/ap/oa", params={k: v for k, v in query.items() if v is not None}, allow_redirects=False
    )


def returned(answer) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith("https://example.com/return?tab=1&")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def exchange(api: Api, code: str, **changed: str):
    fields = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "redirect_uri": RETURN_URL,
        "code": code,
        **changed,
    }
    return api.post_token(**{name: value for name, value in fields.items() if value})


@pytest.mark.covers("endpoint", "authorize")
@pytest.mark.covers("endpoint", "token")
@pytest.mark.covers("rule", "consent, code and tokens of Login with Amazon")
def test_consent_then_code_then_tokens_then_refresh(api):
    back = returned(consent(api))
    assert back["scope"] == SCOPES
    assert back["state"] == "s1"
    answer = exchange(api, back["code"])
    assert answer.status_code == 200
    tokens = answer.json()
    assert tokens.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert tokens["access_token"].startswith("Atza|")
    assert tokens["refresh_token"].startswith("Atzr|")
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3600)
    assert len(tokens["access_token"]) < 2048
    again = api.post_token(
        grant_type="refresh_token",
        client_id=CLIENT_ID,
        client_secret=SECRET,
        refresh_token=tokens["refresh_token"],
    ).json()
    assert again["refresh_token"] == tokens["refresh_token"], "refresh tokens do not rotate"
    assert again["access_token"] != tokens["access_token"]


def test_scopes_joined_with_an_ampersand_lose_the_second_one(api):
    url = (
        f"{api.url}/ap/oa?client_id={CLIENT_ID}&scope=advertising::campaign_management&advertising::audiences"
        f"&response_type=code&redirect_uri={RETURN_URL}"
    )
    back = returned(api.session.get(url, allow_redirects=False))
    assert back["scope"] == "advertising::campaign_management"
    assert "state" not in back


def test_code_works_once(api):
    code = returned(consent(api))["code"]
    assert exchange(api, code).status_code == 200
    answer = exchange(api, code)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"
    assert answer.json()["error_description"] == "The request has an invalid grant parameter : code"
    assert answer.json()["request_id"] == answer.headers["x-amz-rid"]


def test_code_expires_after_five_minutes(served):
    api = served.api
    good, late = (returned(consent(api))["code"] for _ in range(2))
    served.server.advance_clock(290)
    assert exchange(api, good).status_code == 200
    served.server.advance_clock(11)
    assert exchange(api, late).json()["error"] == "invalid_grant"


def test_code_is_bound_to_its_return_url(api):
    code = returned(consent(api))["code"]
    answer = exchange(api, code, redirect_uri="https://example.com/other")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("method", ["S256", "plain"])
@pytest.mark.covers("rule", "PKCE")
def test_pkce(api, method):
    verifier = "v" * 50
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    challenge = digest if method == "S256" else verifier
    codes = [returned(consent(api, code_challenge=challenge, code_challenge_method=method))["code"] for _ in range(3)]
    assert exchange(api, codes[0], code_verifier=verifier, client_secret="").status_code == 200
    assert exchange(api, codes[1], code_verifier="w" * 50).json()["error"] == "invalid_grant"
    assert exchange(api, codes[2]).json()["error"] == "invalid_grant"


def test_without_pkce_a_verifier_does_not_replace_the_secret(api):
    code = returned(consent(api))["code"]
    answer = exchange(api, code, code_verifier="v" * 50, client_secret="")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "advertising::everything"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": "x", "code_challenge_method": "MD5"}, "invalid_request"),
    ],
)
def test_wrong_consent_requests_return_an_error(api, changed, error):
    back = returned(consent(api, **changed))
    assert (back["error"], back["state"]) == (error, "s1")
    assert "code" not in back


@pytest.mark.parametrize(
    "changed",
    [{"client_id": "someone"}, {"client_id": None}, {"redirect_uri": None}, {"redirect_uri": "javascript:alert(1)"}],
)
def test_consent_requests_that_must_not_redirect(api, changed):
    assert consent(api, **changed).status_code == 400


def test_token_request_as_json(api):
    fields = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": SECRET}
    answer = api.session.post(f"{api.url}/auth/o2/token", json={**fields, "refresh_token": "Atzr|emulator"})
    assert answer.status_code == 200
    assert api.session.post(f"{api.url}/auth/o2/token", json=["no"]).json()["error"] == "invalid_request"


def test_client_may_use_basic_authentication(api):
    answer = api.session.post(
        f"{api.url}/auth/o2/token",
        data={"grant_type": "refresh_token", "refresh_token": "Atzr|emulator"},
        auth=(CLIENT_ID, SECRET),
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"client_id": "someone"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"refresh_token": ""}, 400, "invalid_request"),
        ({"refresh_token": "Atzr|revoked"}, 400, "invalid_grant"),
    ],
)
def test_token_errors(api, changed, status, error):
    fields = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "refresh_token": "Atzr|emulator",
        **changed,
    }
    answer = api.post_token(**{name: value for name, value in fields.items() if value})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]
    assert SECRET not in answer.text
