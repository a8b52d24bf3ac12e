"""Virtual time: the real time plus an offset that a test can move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """The clock of an emulator. It runs with real time; a test advances it or sets it.

    :param offset_seconds: what to add to the real time at the start.
    :param real_now: where the real time comes from.
    """

    def __init__(self, offset_seconds: float = 0.0, real_now: Callable[[], datetime] | None = None) -> None:
        self._real_now = real_now or (lambda: datetime.now(UTC))
        self._offset = timedelta(seconds=offset_seconds)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The virtual time, in UTC."""
        with self._lock:
            return self._real_now() + self._offset

    @property
    def offset_seconds(self) -> float:
        """Seconds the virtual time is ahead of the real one."""
        return self._offset.total_seconds()

    def advance(self, seconds: float) -> datetime:
        """Move by this many seconds (negative: back) and tell the new time.

        :raises OverflowError: when the time would leave the years 1 to 9999.
        """
        with self._lock:
            offset = self._offset + timedelta(seconds=seconds)
            moved = self._real_now() + offset
            self._offset = offset
            return moved

    def set(self, moment: datetime) -> datetime:
        """Make it this time now; from there the clock runs on."""
        with self._lock:
            self._offset = moment - self._real_now()
            return moment


def zulu(moment: datetime) -> str:
    """``yyyy-MM-dd'T'HH:mm:ss'Z'``, the form of most times in AMC's answers."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def zulu_millis(moment: datetime) -> str:
    """The same with milliseconds, as in ``validatedTime``."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
