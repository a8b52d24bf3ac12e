"""When to look at an execution again."""

from __future__ import annotations

import random

#: Part of an execution's age that the next interval takes: a run of ten minutes is seen at most one minute late.
_SHARE_OF_AGE = 0.1

#: Spread of the intervals, so that waits that began together do not poll together. Shorter, never longer: an execution
#: is seen within one interval.
_JITTER = 0.1


def interval(age: float, shortest: float, longest: float) -> float:
    """Seconds between two looks at an execution.

    AMC answers some runs in under a minute and others in hours, and it throttles callers, so the interval grows with
    the age of the run.

    :param age: seconds since the wait began.
    :param shortest: first interval.
    :param longest: interval that is never exceeded.
    """
    return max(shortest, min(max(longest, shortest), age * _SHARE_OF_AGE))


def sooner() -> float:
    """A factor for an interval, a little below one."""
    return random.uniform(1 - _JITTER, 1)  # noqa: S311 - not for security


def later() -> float:
    """A factor for a time that AMC has asked to wait, a little above one."""
    return random.uniform(1, 1 + _JITTER)  # noqa: S311 - not for security


def next_interval(age: float, shortest: float, longest: float) -> float:
    """Seconds until the next look at an execution: :func:`interval` with jitter."""
    return interval(age, shortest, longest) * sooner()
