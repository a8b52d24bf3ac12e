"""Executions that schedules start as virtual time passes.

A schedule cuts time at its hour, every day or on its weekday, and runs its workflow over the period that ended there
(AMC API documentation, "Schedule workflow"). Parameter values cannot be set on a schedule, so defaults apply.
"""

from __future__ import annotations

import heapq
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
            # At once or not at all: a crash in between must not make the same runs again
            with self._store.transaction():
                self._next = self._follow(datetime.fromtimestamp(now, UTC))
        return self._next

    def _follow(self, until: datetime) -> float | None:
        """Start what all schedules have due, in order of time, since the order of creation is that of the queue."""
        coming: list[tuple[datetime, int]] = []
        enabled = [(one, schedule) for one, schedule in self._store.all_documents("schedule") if _enabled(schedule)]
        for number, (_, schedule) in enumerate(enabled):
            since = datetime.fromtimestamp(schedule[FOLLOWED], UTC)
            coming.append((_first_cut(schedule, max(since, until - _period(schedule) * _MOST_RUNS)), number))
        heapq.heapify(coming)
        changed = set()
        while coming and coming[0][0] <= until:
            cut, number = coming[0]
            instance_id, schedule = enabled[number]
            self._start(instance_id, schedule, cut)
            schedule[FOLLOWED] = cut.timestamp()
            changed.add(number)
            heapq.heapreplace(coming, (cut + _period(schedule), number))
        for number in changed:
            instance_id, schedule = enabled[number]
            self._store.replace_document("schedule", instance_id, schedule["scheduleId"], schedule)
        return coming[0][0].timestamp() if coming else None

    def _start(self, instance_id: str, schedule: dict[str, Any], cut: datetime) -> None:
        workflow = self._store.get_document("workflow", instance_id, schedule["workflowId"])
        if workflow is None:
            return
        start = cut - _period(schedule)
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


def _enabled(schedule: dict[str, Any]) -> bool:
    return bool(schedule["scheduleEnabled"])


def _period(schedule: dict[str, Any]) -> timedelta:
    return timedelta(days=1 if schedule["aggregationPeriod"] == "Daily" else 7)


def _first_cut(schedule: dict[str, Any], after: datetime) -> datetime:
    cut = after.replace(hour=schedule["aggregationHourUtc"], minute=0, second=0, microsecond=0)
    if schedule["aggregationPeriod"] == "Weekly":
        cut += timedelta(days=(DAYS.index(schedule["aggregationStartDay"]) - cut.weekday()) % 7)
    return cut if cut > after else cut + _period(schedule)
