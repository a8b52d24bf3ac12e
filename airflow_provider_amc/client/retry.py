"""When to try a call again, as a value."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter, bounded by time rather than by a count.

    Bounded by time because what a call has to survive is an outage of some seconds, and because the number of
    attempts that fit into it is chance.

    :param patience: seconds from the first attempt in which a call keeps trying; 0 turns repeating off.
    :param base_delay: upper bound of the first wait, in seconds; it doubles with every attempt.
    :param max_delay: upper bound of every wait, in seconds.
    :param max_retry_after: longest wait taken over from a ``Retry-After`` header, in seconds.
    :param max_attempts: upper bound of the attempts, ``None`` for as many as fit into ``patience``.
    """

    patience: float = 60.0
    base_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0
    max_attempts: int | None = None

    def next_delay(
        self,
        attempt: int,
        elapsed: float,
        *,
        retry_after: float | None = None,
        rand: Callable[[], float] = random.random,
    ) -> float | None:
        """Say how long to wait before the next attempt.

        :param attempt: number of attempts made so far, from 1.
        :param elapsed: seconds since the first attempt began.
        :param retry_after: seconds the service asked for, if it did.
        :param rand: source of numbers in [0, 1).
        :return: seconds to wait, never beyond the end of ``patience``; ``None`` when it is time to give up.
        """
        remaining = self.patience - elapsed
        if remaining <= 0 or (self.max_attempts is not None and attempt >= self.max_attempts):
            return None
        # 2.0 ** 1024 overflows; long before that the bound is max_delay anyway.
        ceiling = min(self.max_delay, self.base_delay * 2.0 ** min(attempt - 1, 60))
        delay = ceiling * rand()
        if retry_after is not None:
            # Not before the service said, and not all callers in the same instant.
            delay = min(retry_after, self.max_retry_after) + min(1.0, self.base_delay) * rand()
        return min(max(delay, 0.0), remaining)


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Read a ``Retry-After`` header.

    :param value: seconds (also with a fraction) or an HTTP date.
    :param now: moment to count a date from, default the present.
    :return: seconds from now, never negative; ``None`` when there is no readable value.
    """
    text = (value or "").strip()
    if not text:
        return None
    # Not float() alone: it also reads "nan", "inf" and "1_0".
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    # A rare form, and an import of some milliseconds.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
    except OverflowError:
        return None
