"""How far work is, at any time."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.emulator.progress import Progress

STAGES = ("REQUESTED", "SUBMITTED", "IN_PROGRESS")
moments = st.floats(0, 4e9)


@given(began=moments, seconds=st.floats(0.001, 1e6), times=st.lists(st.floats(-1e6, 2e6), min_size=1, max_size=20))
def test_it_only_goes_forward_and_ends_in_time(began, seconds, times):
    progress = Progress(began, seconds)
    order = [*STAGES, None]
    seen = [order.index(progress.stage(began + moment, STAGES)) for moment in sorted(times)]
    assert seen == sorted(seen)
    for moment in times:
        assert progress.over(began + moment) == (progress.stage(began + moment, STAGES) is None)
    assert progress.over(progress.ends)


@given(began=moments, now=moments)
def test_what_takes_no_time_is_over_whatever_the_clock_says(began, now):
    assert Progress(began).stage(now, STAGES) is None


@given(began=moments, seconds=st.floats(0, 1e6), failure=st.none() | st.text())
def test_it_can_be_kept(began, seconds, failure):
    progress = Progress(began, seconds, failure)
    assert Progress.load(json.loads(json.dumps(progress.dump()))) == progress
