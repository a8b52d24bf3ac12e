"""Time windows of a run: from an Airflow DAG run to the EXPLICIT start and end that AMC wants.

AMC takes a window as local times without a zone suffix plus ``timeWindowTimeZone``, start inclusive and end exclusive
(AMC API documentation, "Execute workflow"). Its data is complete 48 hours after the event (AMC FAQ), which is why
:func:`last_days` leaves out the two newest days unless told otherwise.

The helpers are values: an operator keeps one as ``window=`` and resolves it when the task runs. They need no logical
date. A run that was started by hand, by an asset or through the REST API is anchored on the time it was queued
(``run_after``), which stays the same when the task is retried or cleared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from airflow_provider_amc.exceptions import AmcValidationError

#: Window types that AMC resolves itself (AMC API documentation, ``timeWindowType``).
RELATIVE_WINDOW_TYPES = ("MOST_RECENT_DAY", "MOST_RECENT_WEEK", "CURRENT_MONTH", "PREVIOUS_MONTH", "ALL")

#: All values of ``timeWindowType``.
WINDOW_TYPES = ("EXPLICIT", *RELATIVE_WINDOW_TYPES)

_FORMAT = "%Y-%m-%dT%H:%M:%S"

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class TimeWindow:
    """The window of one execution, as AMC gets it.

    :param type: AMC's ``timeWindowType``.
    :param start: first instant, local to ``time_zone``, ``yyyy-MM-dd'T'HH:mm:ss``; ``None`` unless EXPLICIT.
    :param end: first instant after the window, same form; ``None`` unless EXPLICIT.
    :param time_zone: tz database name.
    """

    type: str
    start: str | None = None
    end: str | None = None
    time_zone: str = "UTC"

    def __str__(self) -> str:
        if self.start is None:
            return f"{self.type} ({self.time_zone})"
        return f"{self.start} to {self.end} ({self.time_zone})"


@runtime_checkable
class Window(Protocol):
    """A rule that gives the window of a DAG run."""

    def resolve(self, context: Mapping[str, Any]) -> TimeWindow:
        """Return the window of the run that ``context`` belongs to."""
        ...


@dataclass(frozen=True)
class _DataInterval:
    lag_days: int
    time_zone: str
    fallback_days: int

    def resolve(self, context: Mapping[str, Any]) -> TimeWindow:
        zone = zone_of(self.time_zone)
        lag = timedelta(days=self.lag_days)
        start, end = _interval(context)
        if start is not None and end is not None and start < end:
            if not (_unambiguous(start, zone) and _unambiguous(end, zone)):
                # In the hour that a clock set back repeats, local times do not say which one is meant. UTC does.
                return explicit(_local(start, _UTC) - lag, _local(end, _UTC) - lag)
            return explicit(_local(start, zone) - lag, _local(end, zone) - lag, self.time_zone)
        last = _local(reference_time(context), zone).date() - lag
        return _days(last - timedelta(days=self.fallback_days), last, self.time_zone)


@dataclass(frozen=True)
class _LastDays:
    days: int
    lag_days: int
    time_zone: str

    def resolve(self, context: Mapping[str, Any]) -> TimeWindow:
        today = _local(reference_time(context), zone_of(self.time_zone)).date()
        end = today - timedelta(days=self.lag_days)
        return _days(end - timedelta(days=self.days), end, self.time_zone)


@dataclass(frozen=True)
class _PreviousMonth:
    time_zone: str

    def resolve(self, context: Mapping[str, Any]) -> TimeWindow:
        today = _local(reference_time(context), zone_of(self.time_zone)).date()
        end = today.replace(day=1)
        return _days((end - timedelta(days=1)).replace(day=1), end, self.time_zone)


def data_interval(*, lag_days: int = 0, time_zone: str = "UTC", fallback_days: int = 1) -> Window:
    """The data interval of the DAG run.

    Airflow 3 gives runs of a cron schedule an empty interval by default, and runs without a logical date none. Such a
    run gets the ``fallback_days`` whole days before the day it was due.

    :param lag_days: move the window this many days into the past. AMC's data is complete after two days. Default: 0.
    :param time_zone: tz database name AMC reads the window in. Default: UTC. A window that begins or ends in the hour
        repeated when clocks are set back is stated in UTC, because its local times would be ambiguous.
    :param fallback_days: length in days of the window of a run without an interval. Default: 1.
    :raises AmcValidationError: unknown time zone, negative ``lag_days``, or ``fallback_days`` under 1.
    """
    zone_of(time_zone)
    return _DataInterval(_at_least(lag_days, 0, "lag_days"), time_zone, _at_least(fallback_days, 1, "fallback_days"))


def last_days(n: int, lag_days: int = 2, *, time_zone: str = "UTC") -> Window:
    """The last ``n`` whole days, ending ``lag_days`` before the day of the run.

    :param n: number of days, at least 1.
    :param lag_days: days left out at the end; 0 ends at the last midnight. Default: 2, as AMC's data is complete
        after 48 hours.
    :param time_zone: tz database name that decides where a day begins. Default: UTC.
    :raises AmcValidationError: unknown time zone, ``n`` under 1 or negative ``lag_days``.
    """
    zone_of(time_zone)
    return _LastDays(_at_least(n, 1, "n"), _at_least(lag_days, 0, "lag_days"), time_zone)


def previous_month(*, time_zone: str = "UTC") -> Window:
    """The calendar month before the month of the run.

    Schedule such a DAG on the 3rd or later, when AMC's data of the month is complete.

    :param time_zone: tz database name that decides where a month begins. Default: UTC.
    :raises AmcValidationError: unknown time zone.
    """
    zone_of(time_zone)
    return _PreviousMonth(time_zone)


def explicit(start: str | datetime, end: str | datetime, time_zone: str = "UTC") -> TimeWindow:
    """Make an EXPLICIT window from two local times.

    :param start: ``yyyy-MM-dd'T'HH:mm:ss`` or a datetime. An aware one is converted to ``time_zone``.
    :param end: same form, after ``start``.
    :param time_zone: tz database name. Default: UTC.
    :raises AmcValidationError: a date without time, an unknown zone, or a start that is not before the end.
    """
    zone = zone_of(time_zone)
    first = _parse(start, zone, "time_window_start")
    last = _parse(end, zone, "time_window_end")
    if first >= last:
        raise AmcValidationError(
            f"The time window is empty: its start {first:{_FORMAT}} is not before its end {last:{_FORMAT}}. "
            "AMC reads the start as inclusive and the end as exclusive; give the end of the day as the next midnight."
        )
    return TimeWindow("EXPLICIT", first.strftime(_FORMAT), last.strftime(_FORMAT), time_zone)


def window_from_arguments(
    *,
    window: Window | TimeWindow | None,
    time_window_type: str | None,
    time_window_start: str | datetime | None,
    time_window_end: str | datetime | None,
    time_window_time_zone: str | None,
    context: Mapping[str, Any],
) -> TimeWindow:
    """Turn the window arguments of an operator into the window of this run.

    :raises AmcValidationError: no window, two windows, or a wrong one. The message says which argument to change.
    """
    check_window_arguments(
        window=window,
        time_window_type=time_window_type,
        time_window_start=time_window_start,
        time_window_end=time_window_end,
        time_window_time_zone=time_window_time_zone,
    )
    if isinstance(window, TimeWindow):
        return _stated(window.type, window.start, window.end, window.time_zone)
    if window is not None:
        return window.resolve(context)
    return _stated(time_window_type, time_window_start, time_window_end, time_window_time_zone)


def _stated(
    time_window_type: str | None,
    time_window_start: str | datetime | None,
    time_window_end: str | datetime | None,
    time_window_time_zone: str | None,
) -> TimeWindow:
    zone = time_window_time_zone or "UTC"
    kind = str(time_window_type or "EXPLICIT").upper()
    if kind not in WINDOW_TYPES:
        raise AmcValidationError(
            f"time_window_type {time_window_type!r} is not one of AMC's: {', '.join(WINDOW_TYPES)}."
        )
    if kind == "EXPLICIT":
        if not time_window_start or not time_window_end:
            raise AmcValidationError("An EXPLICIT window needs both time_window_start and time_window_end.")
        return explicit(time_window_start, time_window_end, zone)
    if time_window_start or time_window_end:
        raise AmcValidationError(
            f"time_window_start and time_window_end belong to time_window_type='EXPLICIT', not to {kind!r}."
        )
    zone_of(zone)
    return TimeWindow(kind, time_zone=zone)


def check_window_arguments(
    *,
    window: object,
    time_window_type: object,
    time_window_start: object,
    time_window_end: object,
    time_window_time_zone: object,
) -> None:
    """Check what can be checked before templates are rendered: that exactly one window is stated.

    :raises AmcValidationError: none or two are stated, or ``window`` is not a window.
    """
    spelled_out = [time_window_type, time_window_start, time_window_end]
    if window is None and all(value is None for value in spelled_out):
        raise AmcValidationError(
            "No time window is stated. Pass window=last_days(7), data_interval() or previous_month() from "
            "airflow_provider_amc.windows, one of AMC's types as time_window_type, or time_window_start and "
            "time_window_end."
        )
    if window is None:
        return
    if any(value is not None for value in (*spelled_out, time_window_time_zone)):
        raise AmcValidationError(
            "Two time windows are stated: pass either window or the time_window_* arguments. "
            "The helpers of airflow_provider_amc.windows take the zone as time_zone."
        )
    if not isinstance(window, (TimeWindow, Window)):
        raise AmcValidationError(
            f"window must come from airflow_provider_amc.windows, for example last_days(7); got {window!r}."
        )


def reference_time(context: Mapping[str, Any]) -> datetime:
    """The instant a run is anchored on: when it was due, whether or not it has a logical date.

    :param context: Airflow's task context.
    :returns: an aware datetime that is the same for every try of the run.
    """
    dag_run = context.get("dag_run")
    run_after = getattr(dag_run, "run_after", None)
    if isinstance(run_after, datetime):
        return run_after
    # Airflow 2 has no run_after: a manual run was due at its logical date, a scheduled one at the end of its interval.
    manual = str(getattr(dag_run, "run_type", "")).rpartition(".")[2].lower() == "manual"
    _, end = _interval(context)
    logical = context.get("logical_date")
    for candidate in (logical, end) if manual else (end, logical):
        if isinstance(candidate, datetime):
            return candidate
    return datetime.now(UTC)


def moments_of(window: TimeWindow) -> tuple[datetime, datetime]:
    """Start and end of an EXPLICIT window as instants.

    :param window: the window. An end in an hour that a clock shows twice is read as its second pass, a start as the first.
    :returns: two aware datetimes in UTC.
    """
    zone = zone_of(window.time_zone)
    start, end = (datetime.fromisoformat(str(text)).replace(tzinfo=zone) for text in (window.start, window.end))
    return start.astimezone(UTC), end.replace(fold=1).astimezone(UTC)


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name.

    :raises AmcValidationError: the tz database has no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        raise AmcValidationError(
            f"Unknown time zone {name!r}. AMC takes names of the tz database, such as 'America/New_York' or 'UTC'."
        ) from None


def _interval(context: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    dag_run = context.get("dag_run")
    start = context.get("data_interval_start") or getattr(dag_run, "data_interval_start", None)
    end = context.get("data_interval_end") or getattr(dag_run, "data_interval_end", None)
    return (
        start if isinstance(start, datetime) else None,
        end if isinstance(end, datetime) else None,
    )


def _local(instant: datetime, zone: ZoneInfo) -> datetime:
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return aware.astimezone(zone).replace(tzinfo=None)


def _unambiguous(instant: datetime, zone: ZoneInfo) -> bool:
    local = _local(instant, zone)
    return local.replace(tzinfo=zone, fold=0).utcoffset() == local.replace(tzinfo=zone, fold=1).utcoffset()


def _days(first: date, last: date, time_zone: str) -> TimeWindow:
    return explicit(datetime.combine(first, time()), datetime.combine(last, time()), time_zone)


def _at_least(value: object, least: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise AmcValidationError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    return value


def _parse(value: str | datetime, zone: ZoneInfo, name: str) -> datetime:
    if isinstance(value, datetime):
        return (_local(value, zone) if value.tzinfo else value).replace(microsecond=0)
    text = str(value).strip()
    try:
        moment = None if _is_date(text) else datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None:
        kind = "is a date without a time" if _is_date(text) else "is not a time"
        raise AmcValidationError(
            f"{name}={value!r} {kind}. AMC takes local times such as '2026-01-31T00:00:00', "
            "read in time_window_time_zone."
        )
    return (_local(moment, zone) if moment.tzinfo else moment).replace(microsecond=0)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
