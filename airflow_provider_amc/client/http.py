"""One HTTP exchange: sent, answered or lost. Knows nothing of AMC, of tokens or of repeating."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_amc import __version__

if TYPE_CHECKING:
    import requests

#: Largest body of an API answer; a page of a hundred executions with their SQL stays far below.
MAX_BODY = 64 * 1024 * 1024

USER_AGENT = f"airflow-provider-amc/{__version__}"


@dataclass(frozen=True)
class Answer:
    """An answer that arrived whole.

    :param status: HTTP status.
    :param headers: headers, names in lower case.
    :param body: the bytes of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """No whole answer arrived.

    :param reason: what happened, without addresses or secrets.
    :param sent: could the request have reached the service?
    :param permanent: is it certain that trying again cannot help (certificate, too large a body)?
    """

    def __init__(self, reason: str, *, sent: bool, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.permanent = permanent


def new_session() -> requests.Session:
    """Make a session that never takes credentials from a ``.netrc`` file (they would replace the access token)."""
    import requests

    session = requests.Session()
    session.auth = _keep_headers
    session.headers["User-Agent"] = USER_AGENT
    return session


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class Sessions:
    """One session a thread, since a session is not thread safe; a forked child gets its own."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.RLock()
        self._all: list[tuple[int, requests.Session]] = []

    def get(self) -> requests.Session:
        """Return the session of the calling thread."""
        pid = os.getpid()
        held: tuple[int, requests.Session] | None = getattr(self._local, "held", None)
        if held is None or held[0] != pid:
            held = (pid, new_session())
            self._local.held = held
            with self._lock:
                self._all.append(held)
        return held[1]

    def close(self) -> None:
        """Close every session made so far. They can be used again afterwards."""
        with self._lock:
            sessions, self._all = self._all, []
        for pid, session in sessions:
            if pid == os.getpid():
                session.close()


def proxies_for(url: str) -> dict[str, None] | None:
    """Keep the proxies of the environment away from calls to this very machine, where an emulator runs.

    :param url: address of a call.
    :return: what ``requests`` takes for "no proxy"; ``None`` to leave it to the environment.
    """
    try:
        host = urlsplit(url).hostname or ""
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    return {"http": None, "https": None, "all": None} if local else None


def exchange(
    session: requests.Session,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    data: bytes | str | None,
    timeout: tuple[float, float],
    max_body: int = MAX_BODY,
) -> Answer:
    """Send one request and read the whole answer. Redirects are not followed.

    :param session: the session to send it with.
    :param method: HTTP method.
    :param url: address with query.
    :param headers: headers of the request.
    :param data: body of the request.
    :param timeout: seconds to connect, seconds between two bytes.
    :param max_body: largest body accepted, in bytes.
    :return: the answer, of any status.
    :raises NoAnswer: when none arrived whole.
    """
    try:
        with session.request(
            method,
            url,
            headers=dict(headers),
            data=data,
            timeout=timeout,
            proxies=proxies_for(url),  # type: ignore[arg-type]
            allow_redirects=False,
            stream=True,
        ) as response:
            chunks: list[bytes] = []
            size = 0
            for chunk in response.iter_content(65536):
                size += len(chunk)
                if size > max_body:
                    raise NoAnswer(f"the answer is larger than {max_body:,} bytes", sent=True, permanent=True)
                chunks.append(chunk)
            promised = response.headers.get("Content-Length", "")
            if promised.isdecimal() and int(promised) != size and "Content-Encoding" not in response.headers:
                raise NoAnswer("the connection was cut before the answer was complete", sent=True)
            names = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, names, b"".join(chunks))
    except failures() as error:
        raise classify_failure(error) from None


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of an exchange.

    Most are of ``requests``; ``ValueError`` and those of ``urllib3`` pass through it when an address, also the one of
    a redirect, is malformed.
    """
    import requests
    import urllib3

    return requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError


def classify_failure(error: Exception) -> NoAnswer:
    """Tell from one of :func:`failures` whether the request can have reached the service."""
    import requests
    import urllib3.exceptions as u3

    if isinstance(error, requests.exceptions.SSLError):
        verify = "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error)
        reason = "the certificate of the host is not trusted" if verify else "TLS failed"
        return NoAnswer(reason, sent=not verify, permanent=verify)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, u3.LocationParseError)):
        return NoAnswer(f"the request is malformed ({type(error).__name__})", sent=False, permanent=True)
    # First, since some versions of urllib3 derive it from ConnectTimeoutError. An unknown name is one of these too.
    if _caused_by(error, u3.NewConnectionError):
        return NoAnswer("could not connect to the host", sent=False)
    if isinstance(error, requests.exceptions.ConnectTimeout) or _caused_by(error, u3.ConnectTimeoutError):
        return NoAnswer("timed out while connecting", sent=False)
    if isinstance(error, requests.exceptions.Timeout) or _caused_by(error, u3.ReadTimeoutError):
        return NoAnswer("timed out while waiting for the answer", sent=True)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return NoAnswer("the answer could not be decompressed", sent=True)
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return NoAnswer(f"the answer is malformed ({type(error).__name__})", sent=True, permanent=True)
    return NoAnswer("the connection was cut before the answer was complete", sent=True)


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Look for an exception among the causes that requests and urllib3 wrap into each other."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, kind):
            return True
        nested: list[Any] = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        queue.extend(item for item in nested if isinstance(item, BaseException))
    return False
