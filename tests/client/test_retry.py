from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.retry import RetryPolicy, parse_retry_after

numbers = st.floats(min_value=0, max_value=1000, allow_nan=False)
unit = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(
    policy=st.builds(RetryPolicy, patience=numbers, base_delay=numbers, max_delay=numbers, max_retry_after=numbers),
    attempt=st.integers(1, 5000),
    elapsed=numbers,
    retry_after=st.none() | numbers,
    rand=unit,
)
def test_a_wait_is_never_negative_and_never_beyond_the_patience(
    policy: RetryPolicy, attempt: int, elapsed: float, retry_after: float | None, rand: float
) -> None:
    delay = policy.next_delay(attempt, elapsed, retry_after=retry_after, rand=lambda: rand)
    if elapsed >= policy.patience:
        assert delay is None
    else:
        assert delay is not None
        assert 0 <= delay <= policy.patience - elapsed
        if retry_after is None:
            assert delay <= policy.max_delay
        else:
            assert delay >= min(retry_after, policy.max_retry_after, policy.patience - elapsed)


@given(rand=st.lists(unit, min_size=1))
def test_every_call_ends_within_its_patience_and_outlives_an_outage_of_twenty_seconds(rand: list[float]) -> None:
    policy, elapsed, attempt = RetryPolicy(), 0.0, 1
    values = iter(rand)
    while (delay := policy.next_delay(attempt, elapsed, rand=lambda: next(values, 0.99))) is not None:
        elapsed += delay
        attempt += 1
    assert elapsed == pytest.approx(policy.patience)
    assert elapsed > 20


def test_waits_grow_up_to_the_bound() -> None:
    policy = RetryPolicy(patience=10_000)
    delays = [policy.next_delay(attempt, 0, rand=lambda: 1.0) for attempt in range(1, 9)]
    assert delays == [0.5, 1, 2, 4, 8, 8, 8, 8]


def test_attempts_can_be_counted_too() -> None:
    policy = RetryPolicy(max_attempts=3)
    assert policy.next_delay(2, 1.0) is not None
    assert policy.next_delay(3, 1.0) is None


def test_no_patience_means_one_attempt() -> None:
    assert RetryPolicy(patience=0).next_delay(1, 0.0) is None


NOW = datetime(2026, 1, 10, 8, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("Sat, 10 Jan 2026 08:00:30 GMT", 30.0),
        ("Sat, 10 Jan 2026 07:00:00 GMT", 0.0),
        ("Sat, 10 Jan 2026 10:00:00 +0200", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("9" * 400, None),
        ("Sat, 99 Foo 2026", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@given(st.text())
def test_no_retry_after_header_can_break_the_client(value: str) -> None:
    seconds = parse_retry_after(value)
    assert seconds is None or seconds >= 0
