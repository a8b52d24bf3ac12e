"""A part of many histories, for a process of a pool."""

from __future__ import annotations

from collections import Counter

# First, for it gives Airflow a home of its own before anything imports Airflow.
from tests import conftest  # noqa: F401
from tests.chaos.search import Found, search


def part(which: tuple[int, int]) -> Counter[str] | str:
    """Play histories.

    :param which: seed and number of them.
    :returns: what happened, counted; or the story of one that fails.
    """
    try:
        return search(*which)
    except Found as found:
        return str(found)
