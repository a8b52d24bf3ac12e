"""Login with Amazon (LwA): the consent address, the exchange of a code, and access tokens kept fresh.

Sources: AMC API documentation, "Authorization grants" and "Access tokens".
"""

from __future__ import annotations

import copy
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from airflow_provider_amc.client import http
from airflow_provider_amc.client.errors import error_from_lwa, parse_body
from airflow_provider_amc.client.regions import Endpoints, Region
from airflow_provider_amc.client.retry import RetryPolicy
from airflow_provider_amc.exceptions import (
    AmcConfigurationError,
    AmcHttpError,
    AmcThrottledError,
    AmcTransientError,
    AmcValidationError,
)

SCOPE_CAMPAIGN_MANAGEMENT = "advertising::campaign_management"
SCOPE_AUDIENCES = "advertising::audiences"

#: Seconds before its end from which a token counts as used up.
REFRESH_MARGIN = 60.0

_DEFAULT_TIMEOUT = (10.0, 40.0)


@dataclass(frozen=True)
class Credentials:
    """What identifies the application and the user who allowed it.

    :param client_id: LwA client id (``amzn1.application-oa2-client...``).
    :param client_secret: LwA client secret.
    :param refresh_token: refresh token of the authorization grant (``Atzr|...``).
    :raises AmcConfigurationError: when one is missing.
    """

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)

    def __post_init__(self) -> None:
        missing = [
            name
            for name in ("client_id", "client_secret", "refresh_token")
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip()
        ]
        if missing:
            raise AmcConfigurationError(
                f"Missing Login with Amazon credentials: {', '.join(missing)}. Set login (client id), password (client "
                "secret) and refresh_token (extra) of the connection."
            )
        for name in ("client_id", "client_secret", "refresh_token"):
            # Copied from a console or a file, they come with a line end.
            object.__setattr__(self, name, getattr(self, name).strip())
        if not self.client_id.isprintable() or not self.client_id.isascii() or " " in self.client_id:
            # It travels in a header.
            raise AmcConfigurationError("client_id contains white space or characters a client id never has.")


@dataclass(frozen=True)
class TokenGrant:
    """What LwA hands out.

    :param access_token: token for API calls.
    :param refresh_token: token to get the next access token with; ``None`` when the answer had none.
    :param expires_in: seconds the access token is valid, 3600 as a rule.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: float


def authorization_url(
    client_id: str,
    redirect_uri: str,
    *,
    scopes: str | Sequence[str] = (SCOPE_CAMPAIGN_MANAGEMENT,),
    region: str | Region | None = Region.NA,
    state: str | None = None,
    code_challenge: str | None = None,
    base_url: str | None = None,
) -> str:
    """Make the address a person opens once to allow the application.

    :param client_id: LwA client id.
    :param redirect_uri: one of the application's allowed return URLs; it receives ``code``, valid for 5 minutes.
    :param scopes: scopes to ask for. They are joined by a space: joined by ``&``, all but the first are lost.
    :param region: region whose consent page is used.
    :param state: value given back to ``redirect_uri``, to protect against forged answers.
    :param code_challenge: PKCE challenge, the S256 hash of a verifier.
    :param base_url: see :class:`~airflow_provider_amc.client.regions.Endpoints`.
    :return: the address.
    :raises AmcValidationError: for a missing client id, redirect URI or scope, or a separator inside a scope.
    """
    names = scopes.split() if isinstance(scopes, str) else [str(scope).strip() for scope in scopes]
    if not client_id or not redirect_uri or not names:
        raise AmcValidationError("client_id, redirect_uri and at least one scope are needed for the authorization URL.")
    for name in names:
        if not name or any(c in "&,;" or c.isspace() for c in name):
            raise AmcValidationError(f"{name!r} is not one scope: give several as a list, each without separators.")
    query = {
        "client_id": client_id,
        "scope": " ".join(dict.fromkeys(names)),
        "response_type": "code",
        "redirect_uri": redirect_uri,
    }
    if state is not None:
        query["state"] = state
    if code_challenge is not None:
        query["code_challenge"] = code_challenge
        query["code_challenge_method"] = "S256"
    return f"{Endpoints.of(region, base_url).consent}?{urlencode(query, safe=':', quote_via=quote)}"


def exchange_code(
    client_id: str,
    client_secret: str,
    code: str,
    redirect_uri: str,
    *,
    region: str | Region | None = Region.NA,
    base_url: str | None = None,
    code_verifier: str | None = None,
    timeout: tuple[float, float] = _DEFAULT_TIMEOUT,
) -> TokenGrant:
    """Exchange the code of an authorization grant for tokens. Sent once: a code has one use.

    :param client_id: LwA client id.
    :param client_secret: LwA client secret.
    :param code: the code ``redirect_uri`` received.
    :param redirect_uri: the same as in the authorization URL.
    :param region: region of the token host.
    :param base_url: see :class:`~airflow_provider_amc.client.regions.Endpoints`.
    :param code_verifier: PKCE verifier that belongs to the challenge.
    :param timeout: seconds to connect, seconds between two bytes.
    :return: access and refresh token.
    :raises AmcAuthenticationError: when LwA refuses code, client id or secret.
    :raises AmcTransientError: when LwA fails or cannot be reached.
    """
    if not code or not code.strip():
        raise AmcValidationError("code is empty: pass the value of the parameter 'code' that redirect_uri received.")
    form = {
        "grant_type": "authorization_code",
        "code": code.strip(),
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "client_secret": client_secret,
    }
    if code_verifier is not None:
        form["code_verifier"] = code_verifier
    return _request_token(Endpoints.of(region, base_url).token, form, timeout)


def _request_token(url: str, form: dict[str, str], timeout: tuple[float, float]) -> TokenGrant:
    """Send one token request. Form encoded, as documented."""
    path = urlsplit(url).path
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8", "Accept": "application/json"}
    try:
        with http.new_session() as session:
            answer = http.exchange(session, "POST", url, headers=headers, data=urlencode(form), timeout=timeout)
    except http.NoAnswer as failure:
        kind = AmcHttpError if failure.permanent else AmcTransientError
        host = urlsplit(url).hostname
        hint = f"Check that {host} can be reached from here and that region and base URL are right."
        raise kind(f"Login with Amazon: {failure.reason}.", method="POST", path=path, hint=hint) from None
    secrets = [form.get(name, "") for name in ("client_secret", "refresh_token", "code", "code_verifier")]
    if answer.status != 200:
        raise error_from_lwa(answer.status, answer.headers, answer.body, path=path, secrets=secrets)
    parsed = parse_body(answer.body)
    token = parsed.get("access_token") if isinstance(parsed, dict) else None
    if not isinstance(parsed, dict) or not isinstance(token, str) or not token.strip():
        raise AmcHttpError(
            "Login with Amazon answered without an access token.",
            http_status=answer.status,
            method="POST",
            path=path,
            hint="Check the base URL of the connection: something else may answer in Amazon's place.",
        )
    refresh_token = parsed.get("refresh_token")
    try:
        expires_in = float(parsed.get("expires_in") or 3600)
    except (TypeError, ValueError):
        expires_in = 3600.0
    return TokenGrant(token, refresh_token if isinstance(refresh_token, str) and refresh_token else None, expires_in)


class TokenSource:
    """Access tokens of one set of credentials, refreshed one at a time whatever the number of threads.

    Use :meth:`shared` to get the process-wide one.

    :param credentials: whose tokens.
    :param token_url: address of LwA.
    :param clock: seconds that only grow.
    """

    def __init__(
        self, credentials: Credentials, token_url: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._credentials = credentials
        self._url = token_url
        self._clock = clock
        # Re-entrant: a kill arrives as a signal, maybe in this very thread, and needs a token to cancel what runs.
        self._lock = threading.RLock()
        # The token and the moment until which it is used, in one value: threads read it without the lock.
        self._held: tuple[str, float] | None = None
        self._refresh_token = credentials.refresh_token
        self._failures = 0
        self._failure: AmcHttpError | None = None

    @classmethod
    def shared(cls, credentials: Credentials, token_url: str) -> TokenSource:
        """Return the source of these credentials in this process, so that clients share tokens.

        :param credentials: whose tokens.
        :param token_url: address of LwA; tokens of an emulator and of Amazon are never mixed.
        """
        parts = (token_url, credentials.client_id, credentials.client_secret, credentials.refresh_token)
        # Hashed with lengths: the cache's keys hold no secret, and no two sets of credentials meet in one key.
        key = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
        with _registry_lock:
            source = _registry.get(key)
            if source is None:
                source = _registry[key] = cls(credentials, token_url)
                while len(_registry) > _REGISTRY_SIZE:
                    _registry.popitem(last=False)
            else:
                _registry.move_to_end(key)
            return source

    @property
    def refresh_token(self) -> str:
        """The newest refresh token LwA returned; the given one unless LwA rotates them."""
        return self._refresh_token

    def get(
        self,
        *,
        retry: RetryPolicy,
        timeout: tuple[float, float] = _DEFAULT_TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> str:
        """Return a token that is valid for a while, asking for one when needed.

        :param retry: how long to try when LwA fails or throttles.
        :param timeout: seconds to connect, seconds between two bytes.
        :param sleep: how to wait.
        :raises AmcAuthenticationError: when LwA refuses the credentials.
        :raises AmcTransientError: when LwA keeps failing.
        """
        token = self._current()
        if token is not None:
            return token
        failures = self._failures
        with self._lock:
            token = self._current()
            if token is not None:
                return token
            if self._failures != failures and self._failure is not None:
                # Another thread asked while this one waited, and was refused: the answer is the same.
                raise copy.copy(self._failure)
            try:
                grant = self._refresh(retry, timeout, sleep)
            except AmcHttpError as error:
                self._failures += 1
                self._failure = copy.copy(error)
                raise
            self._failure = None
            self._refresh_token = grant.refresh_token or self._refresh_token
            # A token with a life shorter than two margins is used for half of it, not refreshed on every call.
            margin = min(REFRESH_MARGIN, grant.expires_in / 2)
            self._held = grant.access_token, self._clock() + grant.expires_in - margin
            return grant.access_token

    def reject(self, token: str) -> None:
        """Forget a token that AMC did not accept.

        :param token: the rejected one; a newer one, fetched meanwhile by another thread, is kept.
        """
        with self._lock:
            if self._held is not None and self._held[0] == token:
                self._held = None

    def _current(self) -> str | None:
        held = self._held
        return held[0] if held is not None and self._clock() < held[1] else None

    def _refresh(self, retry: RetryPolicy, timeout: tuple[float, float], sleep: Callable[[float], None]) -> TokenGrant:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._refresh_token,
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        started, waited, attempt = self._clock(), 0.0, 0
        while True:
            attempt += 1
            try:
                return _request_token(self._url, form, timeout)
            except (AmcTransientError, AmcThrottledError) as error:
                elapsed = max(self._clock() - started, waited)
                delay = retry.next_delay(attempt, elapsed, retry_after=error.retry_after)
                if delay is None:
                    raise
            sleep(delay)
            waited += delay

    def secrets(self) -> tuple[str, ...]:
        """Return what must not appear in a log or an error."""
        held = self._held
        known = (self._credentials.client_secret, self._credentials.refresh_token, self._refresh_token)
        return tuple(dict.fromkeys((*known, held[0]) if held else known))


_REGISTRY_SIZE = 256
_registry: OrderedDict[str, TokenSource] = OrderedDict()
_registry_lock = threading.RLock()


def forget_tokens() -> None:
    """Empty the process's token cache, for tests and after a credential was revoked."""
    with _registry_lock:
        _registry.clear()


def _after_fork() -> None:
    # A lock another thread held at the moment of the fork would never be released in the child.
    global _registry_lock
    _registry_lock = threading.RLock()
    for source in _registry.values():
        source._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = [
    "SCOPE_AUDIENCES",
    "SCOPE_CAMPAIGN_MANAGEMENT",
    "Credentials",
    "TokenGrant",
    "TokenSource",
    "authorization_url",
    "exchange_code",
    "forget_tokens",
]
