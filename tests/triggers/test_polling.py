from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.triggers.polling import next_interval

SECONDS = st.floats(0, 1e6, allow_nan=False)
INTERVALS = st.floats(0.01, 1e4, allow_nan=False)


@given(age=SECONDS, shortest=INTERVALS, longest=INTERVALS)
def test_interval_stays_within_its_bounds(age: float, shortest: float, longest: float) -> None:
    interval = next_interval(age, shortest, longest)
    assert shortest * 0.9 - 1e-9 <= interval <= max(shortest, longest)


def test_interval_grows_with_the_age() -> None:
    young, old = next_interval(0, 15, 120), next_interval(3600, 15, 120)
    assert young <= 15
    assert old > 105
