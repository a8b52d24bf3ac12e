"""The log of received requests, for tests that ask what a client really sent. Secrets are masked.

Requests of one client resemble each other, so that most of a request is kept once for many: the log stays small.
"""

from __future__ import annotations

import copy
import functools
import json
import threading
from collections import deque
from typing import Any
from urllib.parse import parse_qsl

MASK = "***"
_CAPACITY = 10_000
_BODY_LIMIT = 65_536
#: Latest headers, queries and bodies that are kept once however often they come.
_SHARED = 128
_SHARED_BODY_LIMIT = 16_384
_SECRET_FIELDS = {
    "client_secret",
    "refresh_token",
    "access_token",
    "code",
    "code_verifier",
    "x-amz-signature",
    "x-amz-credential",
}
_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization"}


def _masked(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: MASK if name.lower() in _SECRET_FIELDS else value for name, value in fields.items()}


@functools.lru_cache(_SHARED)
def masked_query(query: str) -> dict[str, str]:
    """A query string as a mapping, signatures and codes masked."""
    return _masked(dict(parse_qsl(query, keep_blank_values=True)))


@functools.lru_cache(_SHARED)
def masked_headers(headers: tuple[tuple[bytes, bytes], ...]) -> dict[str, str]:
    """Request headers with lower-case names; a credential keeps only its scheme."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{value.split(' ', 1)[0]} {MASK}" if name in _SECRET_HEADERS else value
    return found


def masked_body(body: bytes, content_type: str) -> Any:
    """A request body as JSON or form fields, secrets masked; text when it is neither and holds no secret."""
    body = body[:_BODY_LIMIT]
    return _read_body(body, content_type) if len(body) > _SHARED_BODY_LIMIT else _shared_body(body, content_type)


def _read_body(body: bytes, content_type: str) -> Any:
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    if "x-www-form-urlencoded" in content_type:
        return _masked(dict(parse_qsl(text, keep_blank_values=True)))
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return MASK if any(name in text for name in ("secret", "token", "verifier")) else text
    return _masked(parsed) if isinstance(parsed, dict) else parsed


_shared_body = functools.lru_cache(_SHARED)(_read_body)


class RequestLog:
    """The latest requests, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_CAPACITY)
        self._count = 0

    def add(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Log a request; its status is filled in later, in the returned entry."""
        with self._lock:
            self._count += 1
            entry = {"n": self._count, **entry}
            self._entries.append(entry)
            return entry

    def entries(self, operation: str | None = None) -> list[dict[str, Any]]:
        """The logged requests, all or those of one operation."""
        with self._lock:
            chosen = [
                entry
                for entry in self._entries
                if operation is None or str(entry["operation"]).lower() == operation.lower()
            ]
        # What requests share must not change with one of them.
        return [
            {name: value if isinstance(value, str) else copy.deepcopy(value) for name, value in entry.items()}
            for entry in chosen
        ]

    def clear(self) -> None:
        """Forget them; the numbering starts again."""
        with self._lock:
            self._entries.clear()
            self._count = 0
