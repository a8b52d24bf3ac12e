from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.triggers.waiting import DEFAULT_TIMEOUT, poll_intervals, time_allowed


@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "expected"),
    [
        (None, None, DEFAULT_TIMEOUT),
        (600, None, 600),
        (timedelta(minutes=10), None, 600),
        (None, timedelta(hours=1), 3570),
        (600, timedelta(hours=1), 600),
        (7200, timedelta(minutes=1), 54),
    ],
)
def test_time_allowed(timeout: Any, execution_timeout: timedelta | None, expected: float) -> None:
    assert time_allowed(timeout, execution_timeout) == expected


@pytest.mark.parametrize("timeout", [0, -5, "600", True, timedelta(0)])
def test_wrong_timeout(timeout: Any) -> None:
    with pytest.raises(AmcValidationError, match="timeout must be a positive number of seconds or a timedelta"):
        time_allowed(timeout, None)


def test_intervals_come_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AMC__POLL_INTERVAL", "7")
    monkeypatch.setenv("AIRFLOW__AMC__POLL_INTERVAL_MAX", "70")
    assert poll_intervals(None) == (7.0, 70.0)
    assert poll_intervals(timedelta(seconds=3)) == (3.0, 70.0)
    assert poll_intervals(300) == (300.0, 300.0)
