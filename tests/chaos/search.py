"""Plays random histories until one shows what must not happen, and makes that one small."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from tests.chaos.history import History, histories
from tests.chaos.machine import Violation, play

#: Histories that hypothesis makes at a time.
_CHUNK = 250


class Found(AssertionError):
    """A history that shows what must not happen, and what that is."""

    def __init__(self, seed: int, history: History, violation: Violation) -> None:
        super().__init__(
            f"With the seed {seed}, this history shows it:\n\n"
            "from tests import conftest\nfrom tests.chaos.history import *\nfrom tests.chaos.machine import play\n\n"
            f"play({history!r})\n\n{violation}"
        )
        self.history, self.violation = history, violation


def search(seed: int, number: int, *, shrink: bool = True) -> Counter[str]:
    """Play histories.

    :param seed: decides which.
    :param number: how many.
    :param shrink: make a history small that fails, which takes some minutes.
    :returns: what happened in all of them, counted.
    :raises Found: there is one that fails.
    """
    counts: Counter[str] = Counter()
    for chunk in range(0, 100 * number, _CHUNK):
        left = number - counts["histories"]
        if left <= 0:
            return counts
        counts += _chunk(seed * 1_000_003 + chunk, min(_CHUNK, left), seed=seed, shrink=shrink)
    raise AssertionError("No more histories can be found.")


def _chunk(draws: int, number: int, *, seed: int, shrink: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    latest: list[History] = []

    @seeded(draws)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
    )
    @given(histories)
    def run(history: History) -> None:
        latest[:] = [history]
        counts.update(play(history))

    try:
        run()
    except Violation as violation:
        raise Found(seed, latest[0], violation) from None
    return counts
