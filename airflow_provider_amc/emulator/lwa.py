"""Login with Amazon: the consent page and the token endpoint.

Facts: Amazon Ads API documentation, "Create an authorization grant" and "Access tokens"; error texts from public
issue reports. Access tokens are signed and not stored, so that they outlive a restart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import RedirectResponse, Response

from airflow_provider_amc.emulator import signing
from airflow_provider_amc.emulator.api import Call, Operation
from airflow_provider_amc.emulator.config import CLIENT_ID, CLIENT_SECRET, GRANTED_SCOPES
from airflow_provider_amc.emulator.errors import ApiError, lwa_error

#: Seconds an authorization code is good for.
CODE_LIFETIME = 300
_SCOPES = {
    "advertising::campaign_management",
    "advertising::audiences",
    "advertising::test:create_account",
    "cpc_advertising:campaign_management",
    "profile",
    "profile:user_id",
    "postal_code",
}


def _invalid_grant(parameter: str) -> ApiError:
    return lwa_error(400, "invalid_grant", f"The request has an invalid grant parameter : {parameter}")


def revoked() -> ApiError:
    """The user took the permission back."""
    text = "The request has an invalid grant parameter : refresh_token. "
    return lwa_error(400, "invalid_grant", text + "User may have revoked or didn't grant the permission.")


def _missing(parameter: str) -> ApiError:
    return lwa_error(400, "invalid_request", f"The request is missing a required parameter : {parameter}")


async def authorize(call: Call) -> Response:
    """The consent page. Nobody has to press a button: a correct request is granted at once."""
    query = call.request.query_params
    if query.get("client_id") != CLIENT_ID:
        parameter = "client_id" if query.get("client_id") else None
        raise lwa_error(400, "invalid_client", "Unknown client_id") if parameter else _missing("client_id")
    redirect_uri = query.get("redirect_uri", "")
    if not redirect_uri:
        raise _missing("redirect_uri")
    parts = urlsplit(redirect_uri)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise lwa_error(400, "invalid_request", "The request has an invalid parameter : redirect_uri")

    def back(**values: str) -> Response:
        state = {"state": query["state"]} if "state" in query else {}
        separator = "&" if parts.query else "?"
        return RedirectResponse(f"{redirect_uri}{separator}{urlencode({**values, **state})}", status_code=302)

    scopes = query.get("scope", "").split()
    unknown = [scope for scope in scopes if scope not in _SCOPES]
    if query.get("response_type") != "code":
        return back(error="unsupported_response_type", error_description="The response_type must be code")
    if not scopes or unknown:
        text = f"An unknown scope was requested : {unknown[0]}" if unknown else "The request has no scope"
        return back(error="invalid_scope", error_description=text)
    method = query.get("code_challenge_method", "plain")
    if "code_challenge" in query and method not in ("S256", "plain"):
        return back(error="invalid_request", error_description="The code_challenge_method must be S256 or plain")
    code = "AN" + secrets.token_hex(9)
    grant = {
        "scope": " ".join(scopes),
        "redirect_uri": redirect_uri,
        "expires": call.emulator.clock.now().timestamp() + CODE_LIFETIME,
        "challenge": query.get("code_challenge"),
        "challenge_method": method,
    }
    call.emulator.store.put_grant(f"code:{code}", grant)
    return back(code=code, scope=" ".join(scopes))


async def token(call: Call) -> Response:
    """Exchange a code or a refresh token for an access token."""
    fields = await _fields(call)
    if call.fault("revoked") is not None:
        raise revoked()
    grant_type = fields.get("grant_type")
    if not grant_type:
        raise _missing("grant_type")
    if grant_type not in ("authorization_code", "refresh_token"):
        raise lwa_error(400, "unsupported_grant_type", "The authorization grant type is not supported")
    _check_client(call, fields)
    parameter = "code" if grant_type == "authorization_code" else "refresh_token"
    if not fields.get(parameter):
        raise _missing(parameter)
    if grant_type == "authorization_code":
        scope, refresh_token = _redeem(call, fields)
    else:
        refresh_token = fields["refresh_token"]
        scope = _scope_of(call, refresh_token)
    now = call.emulator.clock.now().timestamp()
    lifetime = call.emulator.config.token_lifetime
    claims = {"client_id": CLIENT_ID, "scope": scope, "exp": now + lifetime, "id": secrets.token_hex(8)}
    answer = {
        "access_token": signing.sign_token(claims),
        "refresh_token": refresh_token,
        "token_type": "bearer",
        "expires_in": lifetime,
    }
    response = call.answer(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _fields(call: Call) -> dict[str, str]:
    body = (await call.request.body()).decode("utf-8", "replace")
    if "json" not in call.request.headers.get("content-type", ""):
        return dict(parse_qsl(body, keep_blank_values=True))
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise lwa_error(400, "invalid_request", "The request body is not a JSON object")
    return {name: str(value) for name, value in parsed.items() if value is not None}


def _check_client(call: Call, fields: dict[str, str]) -> None:
    client_id, secret = fields.get("client_id"), fields.get("client_secret")
    scheme, _, basic = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and not client_id:
        try:
            client_id, _, secret = base64.b64decode(basic, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            client_id = None
    if not client_id:
        raise _missing("client_id")
    public = fields.get("code_verifier") and secret is None
    known = hmac.compare_digest(client_id.encode(), CLIENT_ID.encode())
    right = bool(public) or hmac.compare_digest((secret or "").encode(), CLIENT_SECRET.encode())
    if not (known and right):
        raise lwa_error(401, "invalid_client", "Client authentication failed")


def _redeem(call: Call, fields: dict[str, str]) -> tuple[str, str]:
    grant = call.emulator.store.take_grant(f"code:{fields['code']}")
    if grant is None or grant["expires"] <= call.emulator.clock.now().timestamp():
        raise _invalid_grant("code")
    if fields.get("redirect_uri") != grant["redirect_uri"]:
        raise _invalid_grant("redirect_uri")
    if grant["challenge"] is not None:
        verifier = fields.get("code_verifier", "")
        if grant["challenge_method"] == "S256":
            digest = hashlib.sha256(verifier.encode()).digest()
            verifier = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not hmac.compare_digest(verifier, str(grant["challenge"])):
            raise _invalid_grant("code_verifier")
    elif not fields.get("client_secret"):
        raise lwa_error(401, "invalid_client", "Client authentication failed")
    refresh_token = f"Atzr|{secrets.token_urlsafe(32)}"
    call.emulator.store.put_grant(f"refresh:{refresh_token}", {"scope": grant["scope"]})
    return str(grant["scope"]), refresh_token


def _scope_of(call: Call, refresh_token: str) -> str:
    if refresh_token in GRANTED_SCOPES:
        return " ".join(GRANTED_SCOPES[refresh_token])
    grant = call.emulator.store.get_grant(f"refresh:{refresh_token}")
    if grant is None:
        raise _invalid_grant("refresh_token")
    return str(grant["scope"])


OPERATIONS = (
    Operation("authorize", "GET", "/ap/oa", authorize, headers="none"),
    Operation("token", "POST", "/auth/o2/token", token, headers="none"),
)
