"""The consent of a person in a browser, and the code that comes back.

Source: AMC API documentation, "Authorization grants"; the proof that the code is asked for by who gets it is that of
RFC 7636 (PKCE).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from airflow_provider_amc.client import TokenGrant, authorization_url, exchange_code
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError

#: Seconds for which somebody may read the consent page. The code itself is good for five minutes, and used at once.
CONSENT_SECONDS = 600.0

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PAGE = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>Amazon Marketing Cloud</title>"
    "<body style='font:16px system-ui;margin:4em auto;max-width:36em'><h1>{title}</h1><p>{text}</p></body></html>"
)


@dataclass(frozen=True)
class ConsentRequest:
    """What one consent is asked for with.

    :param client_id: LwA client id.
    :param return_url: one of the application's allowed return URLs.
    :param scopes: scopes to ask for.
    :param region: ``NA``, ``EU`` or ``FE``.
    :param base_url: replaces Amazon's hosts (emulator, proxy).
    :param state: comes back with the answer, so that another's answer is not taken for it.
    :param verifier: proves to LwA that the code is exchanged by who asked for it.
    """

    client_id: str
    return_url: str
    scopes: Sequence[str]
    region: str = "NA"
    base_url: str | None = None
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.return_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AmcValidationError(
                f"The return URL {self.return_url!r} is not an address. It has to be one of the allowed return URLs of "
                "the LwA security profile, to the letter."
            )

    @property
    def url(self) -> str:
        """The address a person opens."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        return authorization_url(
            self.client_id,
            self.return_url,
            scopes=self.scopes,
            region=self.region,
            state=self.state,
            code_challenge=challenge,
            base_url=self.base_url,
        )

    @property
    def can_be_caught(self) -> bool:
        """Does the return URL lead to this machine, without encryption?"""
        parts = urlsplit(self.return_url)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK

    def code_of(self, answer: str) -> str:
        """Read the code out of the address that the browser was sent to, or take it as it is.

        :param answer: the whole address, or the code alone.
        :raises AmcConfigurationError: the consent was refused, or belongs to another request.
        """
        answer = answer.strip()
        if "=" not in answer and "/" not in answer:
            if not answer:
                raise AmcConfigurationError("The answer is empty. Paste the whole address that the browser shows.")
            return answer
        query = {name: values[0] for name, values in parse_qs(urlsplit(answer).query).items()}
        if "error" in query:
            raise AmcConfigurationError(
                f"Login with Amazon did not give its consent: {query.get('error_description') or query['error']}. Check "
                "the scopes of the application and its allowed return URLs, or consent again."
            )
        if not query.get("code"):
            raise AmcConfigurationError(
                "There is no code in that address. Paste the whole address that the browser shows after the consent; "
                "it begins with the return URL and has code=..."
            )
        if not hmac.compare_digest(query.get("state", "").encode(), self.state.encode()):
            raise AmcConfigurationError(
                "That address answers another request (its state differs). Open the consent address again and use the "
                "answer to it."
            )
        return query["code"]

    def exchange(self, client_secret: str, code: str) -> TokenGrant:
        """Exchange the code for tokens.

        :param client_secret: LwA client secret.
        :param code: of :meth:`code_of`.
        :raises AmcAuthenticationError: LwA refuses the code, the client id or the secret.
        """
        return exchange_code(
            self.client_id,
            client_secret,
            code,
            self.return_url,
            region=self.region,
            base_url=self.base_url,
            code_verifier=self.verifier,
        )


class Catcher:
    """Waits on loopback for the browser to be sent back. A context manager.

    :param request: what was asked for, with a return URL that :attr:`~ConsentRequest.can_be_caught`.
    :param clock: seconds that only grow.
    :raises AmcConfigurationError: the port of the return URL is taken.
    """

    def __init__(self, request: ConsentRequest, *, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(request.return_url)
        self._clock = clock
        self._answer: str | None = None
        self._caught = threading.Event()
        catcher, path = self, parts.path or "/"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                if asked.path != path or not asked.query:
                    self.send_error(404)
                    return
                try:
                    catcher._answer = request.code_of(self.path)
                except AmcConfigurationError as error:
                    # Somebody else's request must not end the wait; what Amazon says does.
                    self._show(400, "That did not work", str(error))
                    if "error=" in asked.query:
                        catcher._refusal = error
                        catcher._caught.set()
                    return
                self._show(200, "Done", "The consent has arrived. You can close this page and go back to the terminal.")
                catcher._caught.set()

            def _show(self, status: int, title: str, text: str) -> None:
                import html

                page = _PAGE.format(title=title, text=html.escape(text)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: object) -> None:
                # The address of the request holds the code.
                pass

        self._refusal: AmcConfigurationError | None = None
        try:
            self._server = HTTPServer(("127.0.0.1", parts.port or 80), Handler)
        except OSError as error:
            raise AmcConfigurationError(
                f"Cannot listen on port {parts.port or 80} for the return URL {request.return_url}: {error.strerror}. "
                "Free the port, or paste the address that the browser shows (--no-listen)."
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="amc-consent", daemon=True)

    def __enter__(self) -> Catcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float = CONSENT_SECONDS) -> str:
        """Wait for the code.

        :param seconds: for how long.
        :raises AmcConfigurationError: the consent was refused, or did not come in time.
        """
        until = self._clock() + seconds
        while not self._caught.wait(min(1.0, max(0.0, until - self._clock()))):
            if self._clock() >= until:
                raise AmcConfigurationError(
                    f"No consent arrived within {seconds / 60:.0f} minutes. Open the address again, or paste the "
                    "address that the browser shows (--no-listen)."
                )
        if self._refusal is not None:
            raise self._refusal
        return self._answer or ""
