"""The way of an execution as somebody saw it who waited for it."""

from __future__ import annotations

import time
from typing import Any


class History:
    """Status changes, each with the moment when it was seen. They happened up to one polling interval earlier.

    :param execution_id: the execution.
    """

    def __init__(self, execution_id: str) -> None:
        self._execution_id = execution_id
        self._changes: list[dict[str, Any]] = []
        self._since = 0.0

    @property
    def status(self) -> str | None:
        """The last status seen."""
        return self._changes[-1]["status"] if self._changes else None

    def note(self, status: str, reason: str | None = None) -> str | None:
        """Take a status that was seen now.

        :param status: the status as AMC wrote it.
        :param reason: AMC's reason for it.
        :returns: a line for the log if it is a new one.
        """
        now = time.time()
        before = self.status
        if status == before:
            return None
        line = f"AMC execution {self._execution_id} is {status}"
        if self._changes:
            # The wall clock may have been set back.
            seconds = self._changes[-1]["seconds"] = round(max(0.0, now - self._since), 1)
            line += f", after {duration(seconds)} {before}"
        self._since = now
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        self._changes.append({"status": status, "at": at, "seconds": None, "reason": reason})
        return f"{line}: {reason}" if reason else line

    def told(self) -> list[dict[str, Any]]:
        """The changes as plain values: ``status``, ``at`` (UTC), ``seconds`` it lasted (``None`` for the last one) and
        AMC's ``reason``."""
        return [dict(change) for change in self._changes]


def duration(seconds: float) -> str:
    """Write a duration for people: ``45 s``, ``12 min 5 s``, ``3 h 2 min``.

    :param seconds: how long.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
