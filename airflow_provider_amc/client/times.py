"""AMC's times: read in every form it answers with, written in the one form it asks for."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from airflow_provider_amc.exceptions import AmcValidationError

#: Seconds for which AMC may not show a new execution yet. Practitioners saw up to 45; the rest is a margin.
INVISIBLE_SECONDS = 120.0

_TIME = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?(?:\[[^\]]*\])?"
)


def parse_time(value: object) -> datetime | None:
    """Read a time from an answer of AMC.

    :param value: text with or without fraction (down to nanoseconds, cut to microseconds), with ``Z``, an offset or
        no suffix (then UTC), or a Unix time in seconds or milliseconds.
    :return: the moment in UTC; ``None`` for null, an empty string, or what cannot be read, since a time in an unknown
        form is no reason to fail a call.
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, (int, float)):
            # Seconds reach 1e11 in the year 5138, milliseconds did in 1973.
            return datetime.fromtimestamp(value / 1000 if abs(value) >= 1e11 else value, UTC)
        parsed = _parse(str(value))
        if parsed is None:
            return None
        moment, _ = parsed
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def time_zone_of(name: str | None, *, field: str = "time_window_time_zone") -> tzinfo:
    """Look up a time zone.

    :param name: name in the tz database, such as ``Europe/Berlin``; ``None`` or empty for UTC.
    :param field: name of the argument, for the error.
    :raises AmcValidationError: when the tz database has no such zone.
    """
    if name is None or name == "" or name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    # ZoneInfoNotFoundError is a KeyError; "Europe" is a directory, "../x" a ValueError, a list a TypeError.
    except (KeyError, ValueError, OSError, TypeError):
        raise AmcValidationError(
            f"{field}: unknown time zone {name!r}. Use a name of the tz database, such as UTC, Europe/Berlin or "
            "America/New_York."
        ) from None


def format_time(value: datetime | str, *, zone: tzinfo = UTC, field: str) -> str:
    """Write a time as AMC asks for it: ``yyyy-MM-dd'T'HH:mm:ss`` on the clock of a zone, with no suffix.

    A suffix is never sent: AMC's documentation has none, and windows with ``Z`` were reported to come back empty.

    :param value: a ``datetime`` or its text. With an offset (or ``Z``) it is converted to ``zone``; without one it is
        taken as the clock of ``zone``. Fractions of a second are cut off.
    :param zone: the zone that AMC is told.
    :param field: name of the argument, for the errors.
    :raises AmcValidationError: for a date without time, an unreadable text, or an hour that the clock of ``zone``
        shows twice and whose second pass is meant, which AMC's format cannot express.
    """
    moment = _read_input(value, field)
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone)
        if moment.fold and moment.utcoffset() != moment.replace(fold=0).utcoffset():
            raise AmcValidationError(
                f"{field}: {moment.isoformat()} is the second pass of an hour that this time zone's clock shows twice "
                "(end of daylight saving time), which AMC's format cannot express. Use time zone UTC for this window."
            )
    # Neither strftime (%Y is not padded for early years on every platform) nor isoformat (pandas adds nanoseconds).
    return (
        f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
        f"T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    )


def _read_input(value: object, field: str) -> datetime:
    if isinstance(value, datetime):
        return value
    example = "2026-01-31T00:00:00"
    if isinstance(value, date):
        raise AmcValidationError(f"{field}: {value} is a date without a time. Write it like {example}.")
    if not isinstance(value, str):
        raise AmcValidationError(f"{field}: expected a datetime or a text like {example}, got {type(value).__name__}.")
    try:
        parsed = _parse(value)
    except ValueError as error:
        raise AmcValidationError(f"{field}: {value!r} is not a time ({error}). Write it like {example}.") from None
    if parsed is None:
        raise AmcValidationError(f"{field}: {value!r} is not a time. Write it like {example}.")
    moment, has_time = parsed
    if not has_time:
        raise AmcValidationError(f"{field}: {value!r} is a date without a time. Write it like {example}.")
    return moment


def _parse(text: str) -> tuple[datetime, bool] | None:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    has_time = match["hour"] is not None
    clock = f"{match['hour'] or '00'}:{match['minute'] or '00'}:{match['second'] or '00'}"
    moment = datetime.fromisoformat(f"{match['day']}T{clock}")
    if match["fraction"]:
        moment = moment.replace(microsecond=int(match["fraction"][:6].ljust(6, "0")))
    zone = match["zone"]
    if zone is None:
        return moment, has_time
    return moment.replace(tzinfo=_offset(zone)), has_time


def _offset(text: str) -> tzinfo:
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or "0"))
    return timezone(-delta if text[0] == "-" else delta)
