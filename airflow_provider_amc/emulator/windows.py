"""Time windows of executions: what AMC makes of ``timeWindowType``, its times and its zone.

Facts: AMC API documentation, "Create workflow execution"; recorded responses in Amazon's Postman collection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from airflow_provider_amc.emulator.errors import bad_request

WINDOW_TYPES = ("ALL", "CURRENT_MONTH", "EXPLICIT", "MOST_RECENT_DAY", "MOST_RECENT_WEEK", "PREVIOUS_MONTH")
#: Data is guaranteed to be there after this time (AMC FAQ).
DATA_DELAY = timedelta(hours=48)
#: Months of event data AMC keeps (AMC FAQ).
RETENTION_MONTHS = 13

_LOCAL_FORMAT = "%Y-%m-%dT%H:%M:%S"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z?)")


@dataclass(frozen=True)
class Window:
    """A resolved window.

    :param start: first moment, UTC.
    :param end: first moment after it, UTC.
    :param zone: name of the time zone of the request.
    :param explicit: were start and end given by the caller?
    """

    start: datetime
    end: datetime
    zone: str
    explicit: bool

    def local(self, moment: datetime) -> str:
        """A border in the zone of the request, without suffix."""
        return moment.astimezone(ZoneInfo(self.zone)).strftime(_LOCAL_FORMAT)


def zone_of(name: object, field: str = "timeWindowTimeZone") -> ZoneInfo:
    """The time zone of a request; UTC when it names none.

    :param name: name from the tz database.
    :param field: where it stood, for the error.
    :raises ApiError: 400 for a name that the tz database does not know.
    """
    if name is None or name == "":
        return ZoneInfo("UTC")
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise bad_request(f"Invalid value '{name}' for {field}: it is not a known time zone ID.") from None


def parse_local(value: object, zone: ZoneInfo, field: str, *, z_suffix: bool = True) -> datetime:
    """A time of a request as UTC.

    A time that a change to summer time skips moves forward by the length of the gap; one that happens twice means
    the first.

    :param value: ``yyyy-MM-dd'T'HH:mm:ss``; a trailing ``Z`` makes it UTC.
    :param zone: zone of a time without suffix.
    :param field: name of the field, for the error.
    :param z_suffix: accept the trailing ``Z``.
    :raises ApiError: 400 for anything else.
    """
    text = value if isinstance(value, str) else ""
    match = _TIME.fullmatch(text)
    if match is None or (match[1] and not z_suffix):
        raise bad_request(f"Invalid value '{value}' for {field}: expected a time in the format yyyy-MM-dd'T'HH:mm:ss.")
    try:
        parsed = datetime.strptime(text.removesuffix("Z"), _LOCAL_FORMAT)
        return parsed.replace(tzinfo=UTC if match[1] else zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_request(f"Invalid value '{value}' for {field}: there is no such date or time.") from None


def resolve(request: dict[str, object], now: datetime, *, z_suffix: bool = True) -> Window:
    """The window of an execution request.

    :param request: body of the create call.
    :param now: virtual time.
    :param z_suffix: accept ``Z`` behind the times.
    :raises ApiError: 400 for an unknown type or zone, a missing or malformed time, or a start not before the end.
    """
    kind = request.get("timeWindowType") or "MOST_RECENT_DAY"
    if kind not in WINDOW_TYPES:
        raise bad_request(f"Invalid value '{kind}' for timeWindowType: expected one of {', '.join(WINDOW_TYPES)}.")
    zone = zone_of(request.get("timeWindowTimeZone"))
    given = {name: request.get(name) for name in ("timeWindowStart", "timeWindowEnd")}
    if kind != "EXPLICIT":
        for name, value in given.items():
            if value is not None:
                raise bad_request(f"{name} can only be specified for the timeWindowType EXPLICIT, not {kind}.")
        start, end = _relative(str(kind), now, zone)
        return Window(start, end, zone.key, explicit=False)
    for name, value in given.items():
        if value is None:
            raise bad_request(f"{name} must be specified for the timeWindowType EXPLICIT.")
    start, end = (parse_local(value, zone, name, z_suffix=z_suffix) for name, value in given.items())
    if start >= end:
        raise bad_request(
            f"timeWindowStart {given['timeWindowStart']} must be before timeWindowEnd {given['timeWindowEnd']}."
        )
    return Window(start, end, zone.key, explicit=True)


def _relative(kind: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    latest = (now - DATA_DELAY).astimezone(zone)
    today = latest.date()
    if kind == "MOST_RECENT_DAY":
        borders = today - timedelta(days=1), today
    elif kind == "MOST_RECENT_WEEK":
        borders = today - timedelta(days=7), today
    elif kind == "PREVIOUS_MONTH":
        end = now.astimezone(zone).date().replace(day=1)
        borders = (end - timedelta(days=1)).replace(day=1), end
    else:
        hour = latest.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        months = RETENTION_MONTHS if kind == "ALL" else 0
        year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
        first = datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC)
        return first, hour if hour > first else first + timedelta(hours=1)
    start, stop = (datetime.combine(day, time(), tzinfo=zone).astimezone(UTC) for day in borders)
    return start, stop
