"""Executions that schedules start as virtual time passes.

A schedule cuts time at its hour, every day or on its weekday, and runs its workflow over the period that ended there
(AMC API documentation, "Schedule workflow"). Parameter values cannot be set on a schedule, so defaults apply.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_amc.emulator.record import ExecutionRecord
from airflow_provider_amc.emulator.store import Store

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Where a schedule's document keeps up to when it was followed; not a field of the API.
FOLLOWED = "_followed"
#: Runs of one schedule that are made up for when the clock jumps: more than a year of days.
_MOST_RUNS = 400


class Scheduler:
    """Follows the schedules of all instances.

    :param store: where schedules and workflows are.
    :param submit: queues an execution.
    """

    def __init__(self, store: Store, submit: Callable[[ExecutionRecord], None]) -> None:
        self._store = store
        self._submit = submit
        self._next: float | None = 0.0

    def changed(self) -> None:
        """A schedule was created, replaced or deleted, or the clock was moved."""
        self._next = 0.0

    def step(self, now: float) -> float | None:
        """Start what is due, and tell when the next run will be; ``None`` when there is none."""
        if self._next is not None and now >= self._next:
            upcoming = [
                self._follow(instance_id, schedule, now)
                for instance_id, schedule in self._store.all_documents("schedule")
                if schedule["scheduleEnabled"]
            ]
            self._next = min(upcoming, default=None)
        return self._next

    def _follow(self, instance_id: str, schedule: dict[str, Any], now: float) -> float:
        period = timedelta(days=1 if schedule["aggregationPeriod"] == "Daily" else 7)
        since = datetime.fromtimestamp(schedule[FOLLOWED], UTC)
        until = datetime.fromtimestamp(now, UTC)
        cut = _first_cut(schedule, max(since, until - period * _MOST_RUNS), period)
        while cut <= until:
            self._start(instance_id, schedule, cut, period)
            schedule[FOLLOWED] = cut.timestamp()
            cut += period
        if schedule[FOLLOWED] > since.timestamp():
            self._store.replace_document("schedule", instance_id, schedule["scheduleId"], schedule)
        return cut.timestamp()

    def _start(self, instance_id: str, schedule: dict[str, Any], cut: datetime, period: timedelta) -> None:
        workflow = self._store.get_document("workflow", instance_id, schedule["workflowId"])
        if workflow is None:
            return
        start = cut - period
        self._submit(
            ExecutionRecord(
                id=str(uuid.uuid4()),
                instance_id=instance_id,
                workflow_id=schedule["workflowId"],
                created=cut.timestamp(),
                definition=workflow,
                window_start=start.timestamp(),
                window_end=cut.timestamp(),
                window_start_original=f"{start:%Y-%m-%dT%H:%M:%S}",
                window_end_original=f"{cut:%Y-%m-%dT%H:%M:%S}",
                window_zone="UTC",
                window_explicit=True,
                require_synthetic_data=schedule["requireSyntheticData"],
                disable_aggregation_controls=schedule["disableAggregationControls"],
                category="SCHEDULED",
            )
        )


def _first_cut(schedule: dict[str, Any], after: datetime, period: timedelta) -> datetime:
    cut = after.replace(hour=schedule["aggregationHourUtc"], minute=0, second=0, microsecond=0)
    if period.days == 7:
        cut += timedelta(days=(DAYS.index(schedule["aggregationStartDay"]) - cut.weekday()) % 7)
    return cut if cut > after else cut + period
