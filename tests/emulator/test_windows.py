"""Time windows: borders in time zones, daylight saving, relative types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.emulator.errors import ApiError
from airflow_provider_amc.emulator.windows import WINDOW_TYPES, resolve

NOW = datetime(2026, 3, 15, 10, 30, tzinfo=UTC)


def window(kind: str, zone: str | None = None, now: datetime = NOW) -> tuple[str, str]:
    found = resolve({"timeWindowType": kind, "timeWindowTimeZone": zone}, now)
    return found.start.isoformat(), found.end.isoformat()


def explicit(start: str, end: str, zone: str) -> tuple[str, str]:
    request = {"timeWindowType": "EXPLICIT", "timeWindowStart": start, "timeWindowEnd": end}
    found = resolve({**request, "timeWindowTimeZone": zone}, NOW)
    return f"{found.start:%m-%dT%H:%M}", f"{found.end:%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("kind", "zone", "start", "end"),
    [
        ("MOST_RECENT_DAY", None, "2026-03-12T00:00:00+00:00", "2026-03-13T00:00:00+00:00"),
        ("MOST_RECENT_DAY", "Asia/Tokyo", "2026-03-11T15:00:00+00:00", "2026-03-12T15:00:00+00:00"),
        ("MOST_RECENT_WEEK", None, "2026-03-06T00:00:00+00:00", "2026-03-13T00:00:00+00:00"),
        # New York changed to summer time on 8 March 2026: the week is an hour short.
        ("MOST_RECENT_WEEK", "America/New_York", "2026-03-06T05:00:00+00:00", "2026-03-13T04:00:00+00:00"),
        ("PREVIOUS_MONTH", None, "2026-02-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00"),
        ("PREVIOUS_MONTH", "Europe/Berlin", "2026-01-31T23:00:00+00:00", "2026-02-28T23:00:00+00:00"),
        ("CURRENT_MONTH", None, "2026-03-01T00:00:00+00:00", "2026-03-13T10:00:00+00:00"),
        ("ALL", None, "2025-02-01T00:00:00+00:00", "2026-03-13T10:00:00+00:00"),
    ],
)
@pytest.mark.covers("rule", "relative windows")
def test_relative_windows(kind, zone, start, end):
    assert window(kind, zone) == (start, end)


def test_current_month_on_the_first_of_a_month_is_the_month_of_the_latest_data():
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert window("CURRENT_MONTH", now=now) == ("2026-02-01T00:00:00+00:00", "2026-02-27T12:00:00+00:00")


def test_month_that_has_just_begun_is_not_empty():
    now = datetime(2026, 3, 3, 0, 20, tzinfo=UTC)
    assert window("CURRENT_MONTH", now=now) == ("2026-03-01T00:00:00+00:00", "2026-03-01T01:00:00+00:00")


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        # A day of 23 hours and one of 25.
        ("America/New_York", "2026-03-08T00:00:00", "2026-03-09T00:00:00", ("03-08T05:00", "03-09T04:00")),
        ("America/New_York", "2026-11-01T00:00:00", "2026-11-02T00:00:00", ("11-01T04:00", "11-02T05:00")),
        # 02:30 does not exist: it moves forward by the hour that is skipped.
        ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T04:00:00", ("03-08T07:30", "03-08T08:00")),
        # 01:30 happens twice: the first one counts.
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T03:00:00", ("11-01T05:30", "11-01T08:00")),
        ("Asia/Kolkata", "2026-01-01T00:00:00", "2026-01-02T00:00:00", ("12-31T18:30", "01-01T18:30")),
        # A suffix makes it UTC whatever the zone is.
        ("Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", ("01-01T00:00", "01-02T00:00")),
    ],
)
@pytest.mark.covers("rule", "explicit windows")
@pytest.mark.covers("rule", "time zones and daylight saving time")
def test_explicit_windows(zone, start, end, expected):
    assert explicit(start, end, zone) == expected


@pytest.mark.covers("rule", "time zones and daylight saving time")
def test_an_hour_that_happens_twice_can_be_no_window():
    with pytest.raises(ApiError, match="must be before"):
        explicit("2026-11-01T01:30:00", "2026-11-01T01:30:00", "America/New_York")


@given(
    kind=st.sampled_from([one for one in WINDOW_TYPES if one != "EXPLICIT"]),
    zone=st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Kiritimati"]),
    now=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1)),
)
def test_relative_windows_are_never_empty_and_end_before_the_data_does(kind, zone, now):
    moment = now.replace(tzinfo=UTC)
    found = resolve({"timeWindowType": kind, "timeWindowTimeZone": zone}, moment)
    assert found.start < found.end
    assert found.end <= moment
    assert found.end - found.start <= timedelta(days=450)
    local = found.start.astimezone(ZoneInfo(zone))
    assert (local.hour, local.minute, local.second) == (0, 0, 0)
    if kind in ("PREVIOUS_MONTH", "CURRENT_MONTH", "ALL"):
        assert local.day == 1


@given(
    start=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2040, 1, 1)),
    zone=st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]),
)
def test_original_borders_come_back_as_they_were_sent(start, zone):
    begin = start.replace(microsecond=0, hour=12)
    text = begin.strftime("%Y-%m-%dT%H:%M:%S")
    end = (begin + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    request = {"timeWindowType": "EXPLICIT", "timeWindowStart": text, "timeWindowEnd": end, "timeWindowTimeZone": zone}
    found = resolve(request, NOW)
    assert (found.local(found.start), found.local(found.end)) == (text, end)
