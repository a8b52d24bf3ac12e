"""Signatures of access tokens and result URLs.

Both are stateless, so that they stay valid when the emulator is restarted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from airflow_provider_amc.emulator.config import ACCOUNT_ID, CLIENT_SECRET

#: Prefix of every Login with Amazon access token.
TOKEN_PREFIX = "Atza|"
_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = "%Y%m%dT%H%M%SZ"


def _mac(purpose: str, message: str) -> bytes:
    key = hmac.new(CLIENT_SECRET.encode(), purpose.encode(), hashlib.sha256).digest()
    return hmac.new(key, message.encode(), hashlib.sha256).digest()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign_token(claims: Mapping[str, Any]) -> str:
    """An access token that carries these claims."""
    payload = _b64(json.dumps(claims, separators=(",", ":"), sort_keys=True).encode())
    return f"{TOKEN_PREFIX}{payload}.{_b64(_mac('access-token', payload))}"


def read_token(token: str) -> dict[str, Any] | None:
    """The claims of an access token, ``None`` when it is not one of ours or was altered."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    payload, _, signature = token.removeprefix(TOKEN_PREFIX).partition(".")
    if not hmac.compare_digest(_b64(_mac("access-token", payload)), signature):
        return None
    claims = json.loads(_unb64(payload))
    return claims if isinstance(claims, dict) else None


def _canonical(host: str, path: str, query: Mapping[str, str]) -> str:
    return "\n".join(["GET", path, urlencode(sorted(query.items()), quote_via=quote), host.lower()])


def sign_url(base_url: str, path: str, *, now: datetime, lifetime: int) -> str:
    """A signed GET URL in the manner of Amazon S3.

    :param base_url: scheme and host, without a slash at the end.
    :param path: path of the object.
    :param now: virtual time of the signature.
    :param lifetime: seconds the URL is good for.
    """
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{ACCOUNT_ID}/{now:%Y%m%d}/us-east-1/s3/aws4_request",
        "X-Amz-Date": now.strftime(_DATE),
        "X-Amz-Expires": str(lifetime),
        "X-Amz-SignedHeaders": "host",
    }
    host = base_url.partition("://")[2]
    signature = _mac("result-url", _canonical(host, path, query)).hex()
    return f"{base_url}{quote(path)}?{urlencode({**query, 'X-Amz-Signature': signature}, quote_via=quote)}"


def url_signature_holds(host: str, path: str, query: Mapping[str, str]) -> bool:
    """Was exactly this URL signed by this emulator?"""
    unsigned = {name: value for name, value in query.items() if name != "X-Amz-Signature"}
    expected = _mac("result-url", _canonical(host, path, unsigned)).hex()
    return hmac.compare_digest(expected, query.get("X-Amz-Signature", ""))


def url_expiry(query: Mapping[str, str]) -> datetime | None:
    """When the URL stops working, ``None`` when it does not say."""
    try:
        start = datetime.strptime(query["X-Amz-Date"], _DATE).replace(tzinfo=UTC)
        return datetime.fromtimestamp(start.timestamp() + int(query["X-Amz-Expires"]), UTC)
    except (KeyError, ValueError):
        return None
