"""When AMC's data of a time window is whole.

Facts: AMC FAQ and "Execute workflow" (data is complete 48 hours after the event); AMC documentation of the data sources
of attributed events and of conversions (what is attributed later changes the results of older windows); practitioners
saw new instances still being filled with the past after two to three days.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from airflow_provider_amc.windows import TimeWindow, moments_of, zone_of

#: After the end of a window its events are all there.
COMPLETE = timedelta(hours=48)

#: After the end of a window the results from these data sources do not change any more.
SETTLED = {
    "amazon_attributed_events_by_conversion_time": timedelta(days=14),
    "amazon_attributed_events_by_traffic_time": timedelta(days=30),
    "conversions_all": timedelta(days=28),
}

#: For so long a new instance may still be filled with the events before its creation.
BACKFILL = timedelta(hours=72)

#: Ways to ask.
STATES = ("complete", "settled")


def end_of(window: TimeWindow, now: datetime) -> datetime | None:
    """The first moment after a window.

    :param window: the window.
    :param now: an aware time; it decides which month PREVIOUS_MONTH is.
    :returns: an aware time, or ``None`` for a window that AMC itself ends where its data does.
    """
    if window.start is not None:
        return moments_of(window)[1]
    if window.type != "PREVIOUS_MONTH":
        return None
    zone = zone_of(window.time_zone)
    return datetime.combine(now.astimezone(zone).date().replace(day=1), time(), zone).astimezone(UTC)


def lag(data_sources: Iterable[str], state: str) -> timedelta:
    """How long after the end of a window its data is as asked for.

    :param data_sources: Amazon's tables that the query reads, also as ``..._for_audiences`` or with a schema before.
    :param state: ``complete`` or ``settled``.
    """
    if state == "complete":
        return COMPLETE
    names = (name.rpartition(".")[2].removesuffix("_for_audiences") for name in data_sources)
    return max((SETTLED.get(name, COMPLETE) for name in names), default=COMPLETE)
