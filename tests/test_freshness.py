from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_amc.freshness import COMPLETE, end_of, lag
from airflow_provider_amc.windows import TimeWindow, explicit, moments_of

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "end"),
    [
        (explicit("2026-03-01T00:00:00", "2026-03-02T00:00:00"), datetime(2026, 3, 2, tzinfo=UTC)),
        (
            explicit("2026-03-01T00:00:00", "2026-03-02T00:00:00", "America/New_York"),
            datetime(2026, 3, 2, 5, tzinfo=UTC),
        ),
        (TimeWindow("PREVIOUS_MONTH"), datetime(2026, 3, 1, tzinfo=UTC)),
        # There it is still February.
        (TimeWindow("PREVIOUS_MONTH", time_zone="America/New_York"), datetime(2026, 2, 1, 5, tzinfo=UTC)),
        (TimeWindow("MOST_RECENT_DAY"), None),
        (TimeWindow("ALL"), None),
    ],
)
def test_end(window: TimeWindow, end: datetime | None) -> None:
    assert end_of(window, NOW) == end


def test_an_hour_that_clocks_show_twice_belongs_to_the_window() -> None:
    window = explicit("2026-11-01T01:30:00", "2026-11-01T01:45:00", "America/New_York")
    start, end = moments_of(window)
    assert (start, end) == (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 45, tzinfo=UTC))


@pytest.mark.parametrize(
    ("tables", "state", "days"),
    [
        ([], "complete", 2),
        (["conversions_all"], "complete", 2),
        (["dsp_impressions"], "settled", 2),
        (["dsp_impressions", "sandbox.conversions_all"], "settled", 28),
        (["amazon_attributed_events_by_traffic_time_for_audiences", "conversions_all"], "settled", 30),
        (["amazon_attributed_events_by_conversion_time"], "settled", 14),
    ],
)
def test_lag(tables: list[str], state: str, days: int) -> None:
    assert lag(tables, state) == timedelta(days=days)
    assert lag(tables, state) >= COMPLETE
