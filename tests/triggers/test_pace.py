"""How soon the end of an execution is seen, and how often AMC is asked for it."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.triggers.virtual import FakeAmc, Run, run
from tests.triggers.waits import all_of, trigger


@pytest.mark.parametrize("seed", range(20))
def test_an_end_is_seen_within_one_interval(seed: int) -> None:
    random.seed(seed)
    latency = 2.0
    runs = [Run(f"e{number}", ends=20.0 + 3.0 * number) for number in range(30)]
    waits = (trigger(one.id, poll_interval=15.0, poll_interval_max=15.0) for one in runs)
    ended = run(all_of(*waits), FakeAmc(runs), lambda: latency)
    for one, (_, at, _) in zip(runs, ended, strict=True):
        # And the answer takes its time.
        assert one.ends <= at <= one.ends + 15.0 + latency


def test_looks_that_take_longer_than_the_interval_do_not_follow_each_other_at_once() -> None:
    amc = FakeAmc([Run("a", ends=300.0), Run("b", ends=300.0)])
    run(all_of(trigger("a", poll_interval_max=15.0), trigger("b", poll_interval_max=15.0)), amc, lambda: 20.0)
    asked = sorted(at for at, _, _ in amc.requests)
    assert all(later - earlier >= 20.0 + 15.0 * 0.9 / 2 for earlier, later in pairwise(asked))
