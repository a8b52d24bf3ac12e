from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.windows import (
    RELATIVE_WINDOW_TYPES,
    TimeWindow,
    check_window_arguments,
    data_interval,
    explicit,
    last_days,
    previous_month,
    reference_time,
    window_from_arguments,
    zone_of,
)

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=150)

#: Zones of every kind: whole, half and quarter hours, both hemispheres, clocks changed at midnight, and none at all.
ZONES = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Asia/Beirut",
        "Pacific/Apia",
        "Pacific/Kiritimati",
        "America/St_Johns",
        "Asia/Tokyo",
    ]
)

MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))

DUE = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)


def context(due: datetime | None = DUE, start: Any = None, end: Any = None, **more: Any) -> dict[str, Any]:
    """The context of an Airflow 3 run, with what is missing left out as Airflow does."""
    found: dict[str, Any] = {"dag_run": SimpleNamespace(run_after=due, run_type="scheduled"), **more}
    if start is not None:
        found |= {"data_interval_start": start, "data_interval_end": end}
    return found


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moment(text: str | None) -> datetime:
    assert text is not None
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")


class TestLastDays:
    def test_leaves_out_the_two_newest_days(self) -> None:
        assert last_days(7).resolve(context()) == TimeWindow(
            "EXPLICIT", "2026-03-01T00:00:00", "2026-03-08T00:00:00", "UTC"
        )

    def test_up_to_the_last_midnight(self) -> None:
        window = last_days(1, lag_days=0, time_zone="America/New_York").resolve(context())
        # Still the 9th there.
        assert window == TimeWindow("EXPLICIT", "2026-03-08T00:00:00", "2026-03-09T00:00:00", "America/New_York")

    @PROPERTY
    @given(due=MOMENTS, days=st.integers(1, 400), lag=st.integers(0, 60), zone=ZONES)
    def test_so_many_local_days(self, due: datetime, days: int, lag: int, zone: str) -> None:
        window = last_days(days, lag, time_zone=zone).resolve(context(due))
        start, end = moment(window.start), moment(window.end)
        assert (end.date() - start.date()).days == days
        assert (start.time(), end.time()) == (datetime.min.time(), datetime.min.time())
        assert due.astimezone(ZoneInfo(zone)).date() - end.date() == timedelta(days=lag)
        assert window.time_zone == zone

    @PROPERTY
    @given(due=MOMENTS, days=st.integers(1, 30), lag=st.integers(0, 5), zone=ZONES)
    def test_days_of_daily_runs_follow_one_another(self, due: datetime, days: int, lag: int, zone: str) -> None:
        local = due.astimezone(ZoneInfo(zone)).replace(hour=12)
        first = last_days(1, lag, time_zone=zone).resolve(context(local))
        second = last_days(1, lag, time_zone=zone).resolve(context(local + timedelta(days=1)))
        assert first.end == second.start

    @pytest.mark.parametrize("days", [0, -1, 1.5, True, "7", None])
    def test_number_of_days(self, days: Any) -> None:
        with pytest.raises(AmcValidationError, match="n must be a whole number of at least 1, got"):
            last_days(days)

    @pytest.mark.parametrize("lag", [-1, 0.5, None])
    def test_lag(self, lag: Any) -> None:
        with pytest.raises(AmcValidationError, match="lag_days must be a whole number of at least 0, got"):
            last_days(1, lag)
        with pytest.raises(AmcValidationError, match="lag_days must be a whole number of at least 0, got"):
            data_interval(lag_days=lag)


class TestPreviousMonth:
    @pytest.mark.parametrize(
        ("due", "zone", "start", "end"),
        [
            ("2026-03-10T03:30:00", "UTC", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
            ("2024-03-01T00:00:00", "UTC", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
            ("2026-01-03T00:00:00", "UTC", "2025-12-01T00:00:00", "2026-01-01T00:00:00"),
            ("2026-03-01T02:00:00", "America/New_York", "2026-01-01T00:00:00", "2026-02-01T00:00:00"),
            ("2026-02-28T20:00:00", "Asia/Tokyo", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        ],
    )
    def test_months(self, due: str, zone: str, start: str, end: str) -> None:
        window = previous_month(time_zone=zone).resolve(context(at(due)))
        assert window == TimeWindow("EXPLICIT", start, end, zone)

    @PROPERTY
    @given(due=MOMENTS, zone=ZONES)
    def test_one_month_that_is_over(self, due: datetime, zone: str) -> None:
        window = previous_month(time_zone=zone).resolve(context(due))
        start, end = moment(window.start), moment(window.end)
        assert (start.day, end.day) == (1, 1)
        assert end == (start + timedelta(days=31)).replace(day=1)
        assert end <= due.astimezone(ZoneInfo(zone)).replace(tzinfo=None) < (end + timedelta(days=31)).replace(day=28)


class TestDataInterval:
    def test_interval_of_the_run(self) -> None:
        run = context(start=at("2026-03-09T00:00:00"), end=at("2026-03-10T00:00:00"))
        assert data_interval().resolve(run) == explicit("2026-03-09T00:00:00", "2026-03-10T00:00:00")
        assert data_interval(lag_days=2).resolve(run) == explicit("2026-03-07T00:00:00", "2026-03-08T00:00:00")

    def test_interval_of_the_dag_run_counts_too(self) -> None:
        run = SimpleNamespace(
            run_after=DUE, data_interval_start=at("2026-03-09T00:00:00"), data_interval_end=at("2026-03-10T00:00:00")
        )
        assert data_interval().resolve({"dag_run": run}).start == "2026-03-09T00:00:00"

    def test_in_a_zone(self) -> None:
        run = context(start=at("2026-01-09T05:00:00"), end=at("2026-01-10T05:00:00"))
        assert data_interval(time_zone="America/New_York").resolve(run) == TimeWindow(
            "EXPLICIT", "2026-01-09T00:00:00", "2026-01-10T00:00:00", "America/New_York"
        )

    @pytest.mark.parametrize(
        ("start", "end", "local_start", "local_end"),
        [
            # 23 and 25 hours, and one local day each.
            ("2026-03-08T05:00:00", "2026-03-09T04:00:00", "2026-03-08T00:00:00", "2026-03-09T00:00:00"),
            ("2026-11-01T04:00:00", "2026-11-02T05:00:00", "2026-11-01T00:00:00", "2026-11-02T00:00:00"),
        ],
    )
    def test_days_on_which_clocks_change(self, start: str, end: str, local_start: str, local_end: str) -> None:
        window = data_interval(time_zone="America/New_York").resolve(context(start=at(start), end=at(end)))
        assert window == TimeWindow("EXPLICIT", local_start, local_end, "America/New_York")

    def test_repeated_hour_is_stated_in_utc(self) -> None:
        """01:00 to 01:00 would be no window, and 01:00 to 02:00 would be two hours."""
        window = data_interval(time_zone="America/New_York")
        for start, end in [
            ("2026-11-01T05:00:00", "2026-11-01T06:00:00"),
            ("2026-11-01T06:00:00", "2026-11-01T07:00:00"),
        ]:
            assert window.resolve(context(start=at(start), end=at(end))) == TimeWindow("EXPLICIT", start, end, "UTC")

    @PROPERTY
    @given(start=MOMENTS, hours=st.integers(1, 24 * 40), zone=ZONES)
    def test_the_very_interval_whatever_the_zone(self, start: datetime, hours: int, zone: str) -> None:
        start = start.replace(minute=0, second=0, microsecond=0)
        end = start + timedelta(hours=hours)
        window = data_interval(time_zone=zone).resolve(context(start=start, end=end))
        stated = ZoneInfo(window.time_zone)
        assert moment(window.start).replace(tzinfo=stated).astimezone(UTC) == start
        assert moment(window.end).replace(tzinfo=stated).astimezone(UTC) == end

    @pytest.mark.parametrize(
        "run",
        [
            context(),
            context(start=DUE, end=DUE),
            context(start=DUE, end=None),
            {"dag_run": SimpleNamespace(run_after=DUE, data_interval_start=None, data_interval_end=None)},
        ],
        ids=["none", "empty", "half", "of the dag run"],
    )
    def test_run_without_an_interval(self, run: dict[str, Any]) -> None:
        assert data_interval().resolve(run) == explicit("2026-03-09T00:00:00", "2026-03-10T00:00:00")
        assert data_interval(lag_days=2, fallback_days=7, time_zone="Asia/Tokyo").resolve(run) == explicit(
            "2026-03-01T00:00:00", "2026-03-08T00:00:00", "Asia/Tokyo"
        )

    @pytest.mark.parametrize("days", [0, -1, None])
    def test_fallback(self, days: Any) -> None:
        with pytest.raises(AmcValidationError, match="fallback_days must be a whole number of at least 1, got"):
            data_interval(fallback_days=days)


@PROPERTY
@given(
    due=MOMENTS,
    rule=st.sampled_from([last_days(3), previous_month(), data_interval(), data_interval(lag_days=2)]),
    later=st.timedeltas(timedelta(0), timedelta(days=30)),
)
def test_every_try_gets_the_same_window(due: datetime, rule: Any, later: timedelta) -> None:
    run = context(due)
    first = rule.resolve(run)
    assert rule.resolve({**run, "ts": (due + later).isoformat(), "try_number": 2}) == first
    assert moment(first.start) < moment(first.end)


class TestReferenceTime:
    def test_airflow_3(self) -> None:
        assert reference_time(context(logical_date=None)) == DUE

    @pytest.mark.parametrize(
        ("run_type", "expected"),
        [
            ("scheduled", "end"),
            ("DagRunType.SCHEDULED", "end"),
            ("backfill", "end"),
            ("manual", "logical"),
            ("DagRunType.MANUAL", "logical"),
        ],
    )
    def test_airflow_2_has_no_run_after(self, run_type: str, expected: str) -> None:
        run = {
            "dag_run": SimpleNamespace(run_type=run_type),
            "logical_date": at("2026-03-08T00:00:00"),
            "data_interval_start": at("2026-03-08T00:00:00"),
            "data_interval_end": at("2026-03-09T00:00:00"),
        }
        times = {"end": at("2026-03-09T00:00:00"), "logical": at("2026-03-08T00:00:00")}
        assert reference_time(run) == times[expected]

    def test_airflow_2_enum(self) -> None:
        from airflow.utils.types import DagRunType

        run = {
            "dag_run": SimpleNamespace(run_type=DagRunType.MANUAL),
            "logical_date": DUE,
            "data_interval_end": at("2026-03-09T00:00:00"),
        }
        assert reference_time(run) == DUE

    def test_nothing_to_go_by(self) -> None:
        before = datetime.now(UTC)
        assert before <= reference_time({}) <= datetime.now(UTC)

    def test_time_without_a_zone_is_utc(self) -> None:
        assert last_days(1).resolve(context(DUE.replace(tzinfo=None))) == last_days(1).resolve(context())

    def test_pendulum(self) -> None:
        pendulum = pytest.importorskip("pendulum")
        due = pendulum.datetime(2026, 3, 10, 3, 30, tz="Europe/Berlin")
        assert last_days(1).resolve(context(due)).end == "2026-03-08T00:00:00"
        run = context(due, start=due.subtract(days=1), end=due)
        assert data_interval(time_zone="Europe/Berlin").resolve(run).start == "2026-03-09T03:30:00"


class TestExplicit:
    @pytest.mark.parametrize(
        ("start", "end"),
        [
            ("2026-01-31T00:00:00", "2026-02-01T00:00:00"),
            (" 2026-01-31 00:00 ", "2026-02-01T00:00:00.999"),
            (datetime(2026, 1, 31), datetime(2026, 2, 1, 0, 0, 0, 5)),
            ("2026-01-31T05:00:00Z", "2026-02-01T06:00:00+01:00"),
            (at("2026-01-31T05:00:00"), datetime(2026, 2, 1, 7, tzinfo=timezone(timedelta(hours=2)))),
        ],
    )
    def test_forms(self, start: Any, end: Any) -> None:
        assert explicit(start, end, "America/New_York") == TimeWindow(
            "EXPLICIT", "2026-01-31T00:00:00", "2026-02-01T00:00:00", "America/New_York"
        )

    @pytest.mark.parametrize("value", ["2026-01-31", "20260131", "2026-W05-6", date(2026, 1, 31)])
    def test_date_without_a_time(self, value: Any) -> None:
        with pytest.raises(
            AmcValidationError, match=r"time_window_start=.* is a date without a time. AMC takes local times"
        ):
            explicit(value, "2026-02-01T00:00:00")
        with pytest.raises(AmcValidationError, match=r"time_window_end=.* is a date without a time"):
            explicit("2026-01-01T00:00:00", value)

    @pytest.mark.parametrize(
        "value", ["yesterday", "", "2026-02-30T00:00:00", "31.01.2026 00:00", "2026-01-31T25:00:00"]
    )
    def test_not_a_time(self, value: str) -> None:
        with pytest.raises(AmcValidationError, match=r"time_window_start=.* is not a time"):
            explicit(value, "2026-02-01T00:00:00")

    @pytest.mark.parametrize("end", ["2026-01-31T00:00:00", "2026-01-30T00:00:00", "2026-01-31T00:00:00.5"])
    def test_start_not_before_end(self, end: str) -> None:
        with pytest.raises(
            AmcValidationError, match=r"its start 2026-01-31T00:00:00 is not before its end .* next midnight"
        ):
            explicit("2026-01-31T00:00:00", end)

    @PROPERTY
    @given(day=st.dates(date(2000, 1, 1), date(2100, 1, 1)))
    def test_no_date_passes_for_a_time(self, day: date) -> None:
        with pytest.raises(AmcValidationError, match="is a date without a time"):
            explicit(day.isoformat(), "2200-01-01T00:00:00")

    def test_text(self) -> None:
        assert str(explicit("2026-01-31T00:00:00", "2026-02-01T00:00:00")) == (
            "2026-01-31T00:00:00 to 2026-02-01T00:00:00 (UTC)"
        )
        assert str(TimeWindow("ALL")) == "ALL (UTC)"


class TestZone:
    @pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "America", "UTC+1", "EST5XDT", None, 1])
    def test_unknown(self, name: Any) -> None:
        for make in (
            lambda: zone_of(name),
            lambda: last_days(1, time_zone=name),
            lambda: previous_month(time_zone=name),
            lambda: data_interval(time_zone=name),
            lambda: explicit("2026-01-31T00:00:00", "2026-02-01T00:00:00", name),
        ):
            with pytest.raises(AmcValidationError, match=r"Unknown time zone .* such as 'America/New_York' or 'UTC'"):
                make()


def stated(**arguments: Any) -> TimeWindow:
    return window_from_arguments(
        **{
            "window": None,
            "time_window_type": None,
            "time_window_start": None,
            "time_window_end": None,
            "time_window_time_zone": None,
            "context": context(),
            **arguments,
        }
    )


class TestArguments:
    def test_helper(self) -> None:
        assert stated(window=last_days(1)) == explicit("2026-03-07T00:00:00", "2026-03-08T00:00:00")

    def test_own_rule(self) -> None:
        class Quarter:
            def resolve(self, context: Any) -> TimeWindow:
                return explicit("2026-01-01T00:00:00", "2026-04-01T00:00:00")

        assert stated(window=Quarter()).end == "2026-04-01T00:00:00"

    def test_window(self) -> None:
        window = explicit("2026-01-31T00:00:00", "2026-02-01T00:00:00", "Asia/Tokyo")
        assert stated(window=window) == window
        assert stated(window=TimeWindow("ALL", time_zone="Asia/Tokyo")) == TimeWindow("ALL", time_zone="Asia/Tokyo")

    @pytest.mark.parametrize(
        ("window", "message"),
        [
            (TimeWindow("EXPLICIT", "2026-01-31", "2026-02-01T00:00:00"), "is a date without a time"),
            (TimeWindow("EXPLICIT"), "needs both time_window_start and time_window_end"),
            (TimeWindow("SOMETIMES"), "is not one of AMC's"),
            (TimeWindow("ALL", time_zone="Mars/Base"), "Unknown time zone"),
        ],
    )
    def test_window_made_by_hand_is_checked(self, window: TimeWindow, message: str) -> None:
        with pytest.raises(AmcValidationError, match=message):
            stated(window=window)

    @pytest.mark.parametrize("kind", RELATIVE_WINDOW_TYPES)
    def test_types_that_amc_resolves(self, kind: str) -> None:
        assert stated(time_window_type=kind) == TimeWindow(kind)
        assert stated(time_window_type=kind.lower(), time_window_time_zone="Asia/Tokyo") == TimeWindow(
            kind, time_zone="Asia/Tokyo"
        )

    @pytest.mark.parametrize("kind", [None, "", "EXPLICIT", "explicit"])
    def test_start_and_end(self, kind: str | None) -> None:
        assert stated(
            time_window_type=kind,
            time_window_start="2026-01-31T00:00:00",
            time_window_end="2026-02-01T00:00:00",
            time_window_time_zone="Asia/Tokyo",
        ) == explicit("2026-01-31T00:00:00", "2026-02-01T00:00:00", "Asia/Tokyo")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "No time window is stated. Pass window=last_days"),
            ({"time_window_time_zone": "UTC"}, "No time window is stated"),
            ({"window": last_days(1), "time_window_type": "ALL"}, "Two time windows are stated"),
            ({"window": last_days(1), "time_window_start": "2026-01-31T00:00:00"}, "Two time windows are stated"),
            ({"window": last_days(1), "time_window_time_zone": "UTC"}, "take the zone as time_zone"),
            ({"window": last_days}, "window must come from airflow_provider_amc.windows, for example last_days"),
            ({"window": "last_days(7)"}, "window must come from airflow_provider_amc.windows"),
            ({"time_window_type": "LAST_WEEK"}, "'LAST_WEEK' is not one of AMC's: EXPLICIT, MOST_RECENT_DAY"),
            ({"time_window_type": 5}, "time_window_type 5 is not one of AMC's"),
            ({"time_window_type": "EXPLICIT"}, "An EXPLICIT window needs both"),
            ({"time_window_start": "2026-01-31T00:00:00"}, "An EXPLICIT window needs both"),
            ({"time_window_start": "", "time_window_end": "2026-01-31T00:00:00"}, "An EXPLICIT window needs both"),
            (
                {"time_window_type": "ALL", "time_window_end": "2026-01-31T00:00:00"},
                "belong to time_window_type='EXPLICIT'",
            ),
            ({"time_window_type": "ALL", "time_window_time_zone": "Mars"}, "Unknown time zone 'Mars'"),
        ],
    )
    def test_bad_input(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(AmcValidationError) as caught:
            stated(**arguments)
        assert message in str(caught.value)

    def test_templates_are_not_looked_into_before_they_are_rendered(self) -> None:
        check_window_arguments(
            window=None,
            time_window_type=None,
            time_window_start="{{ data_interval_start }}",
            time_window_end="{{ data_interval_end }}",
            time_window_time_zone=None,
        )
