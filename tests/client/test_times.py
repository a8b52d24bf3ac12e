from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.times import format_time, parse_time, time_zone_of
from airflow_provider_amc.exceptions import AmcValidationError

MOMENT = datetime(2026, 1, 10, 8, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-10T08:00:02Z", MOMENT),
        ("2026-01-10T08:00:02", MOMENT),
        ("2026-01-10 08:00:02", MOMENT),
        ("2026-01-10T08:00:02.792Z", MOMENT.replace(microsecond=792000)),
        ("2026-01-10T08:00:02.123456789Z", MOMENT.replace(microsecond=123456)),
        ("2026-01-10T08:00:02.1", MOMENT.replace(microsecond=100000)),
        ("2026-01-10T10:00:02+02:00", MOMENT),
        ("2026-01-10T03:00:02-0500", MOMENT),
        ("2026-01-10T08:00:02Z[UTC]", MOMENT),
        ("2026-01-10T08:00Z", MOMENT.replace(second=0)),
        ("2026-01-10", MOMENT.replace(hour=0, second=0)),
        (1768032002, MOMENT),
        (1768032002000, MOMENT),
        (None, None),
        ("", None),
        ("N/A", None),
        ("2026-13-40T99:00:00Z", None),
        (True, None),
        (1e300, None),
        ({"time": 1}, None),
    ],
)
def test_times_are_read_in_every_form(value: object, expected: datetime | None) -> None:
    assert parse_time(value) == expected
    assert expected is None or parse_time(value).tzinfo is UTC  # type: ignore[union-attr]


@given(st.text() | st.floats() | st.integers() | st.booleans() | st.none())
def test_no_time_can_break_an_answer(value: object) -> None:
    assert parse_time(value) is None or isinstance(parse_time(value), datetime)


@given(st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)))
def test_what_is_written_is_read_again(moment: datetime) -> None:
    assert parse_time(format_time(moment, field="x")) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    ("value", "zone", "expected"),
    [
        ("2026-01-01T00:00:00", "America/New_York", "2026-01-01T00:00:00"),
        ("2026-01-01T05:00:00Z", "America/New_York", "2026-01-01T00:00:00"),
        ("2026-01-01T00:00:00Z", None, "2026-01-01T00:00:00"),
        ("2026-01-01T01:00:00+01:00", "UTC", "2026-01-01T00:00:00"),
        ("2026-01-01 00:00", None, "2026-01-01T00:00:00"),
        (datetime(2026, 1, 1, 5, tzinfo=UTC), "America/New_York", "2026-01-01T00:00:00"),
        (datetime(2026, 1, 1, 5), "America/New_York", "2026-01-01T05:00:00"),
        (datetime(2026, 1, 1, 0, 0, 0, 999999, tzinfo=UTC), None, "2026-01-01T00:00:00"),
        (datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), None, "2026-01-01T00:00:00"),
        (datetime(33, 1, 1), None, "0033-01-01T00:00:00"),
    ],
)
def test_times_are_sent_on_the_clock_of_the_zone_without_suffix(
    value: datetime | str, zone: str | None, expected: str
) -> None:
    assert format_time(value, zone=time_zone_of(zone), field="time_window_start") == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("2026-01-01", "is a date without a time"),
        (date(2026, 1, 1), "is a date without a time"),
        ("yesterday", "is not a time"),
        ("2026-02-30T00:00:00", "is not a time"),
        (20260101, "expected a datetime or a text"),
        (None, "expected a datetime or a text"),
    ],
)
def test_other_times_are_refused_by_name(value: object, words: str) -> None:
    with pytest.raises(AmcValidationError, match=words) as caught:
        format_time(value, field="time_window_start")  # type: ignore[arg-type]
    assert "time_window_start" in str(caught.value)


def test_the_second_pass_of_an_hour_cannot_be_sent() -> None:
    zone = time_zone_of("America/New_York")
    first, second = datetime(2025, 11, 2, 5, 30, tzinfo=UTC), datetime(2025, 11, 2, 6, 30, tzinfo=UTC)
    assert format_time(first, zone=zone, field="x") == "2025-11-02T01:30:00"
    with pytest.raises(AmcValidationError, match="second pass of an hour"):
        format_time(second, zone=zone, field="x")
    assert format_time(second, field="x") == "2025-11-02T06:30:00"


def test_zones_are_those_of_the_tz_database() -> None:
    assert time_zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    assert time_zone_of(None) is time_zone_of("") is time_zone_of("UTC") is UTC


@pytest.mark.parametrize("name", ["Mars/Olympus", "+01:00", "../etc/passwd", "Europe", "Europe/", "\0", "berlin time"])
def test_unknown_zones_are_refused(name: str) -> None:
    with pytest.raises(AmcValidationError, match="unknown time zone"):
        time_zone_of(name)
