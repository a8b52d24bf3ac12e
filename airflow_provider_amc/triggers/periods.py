"""The periods of AMC's own schedules, and the executions that belong to them.

A schedule cuts time at its hour (UTC), every day or on its weekday, and runs its workflow over the period that ended
there (AMC API documentation, "Schedule workflow"). AMC's answers do not name the schedule that started an execution, so
it is known by workflow, window and category.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import Execution, Schedule

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Period:
    """The window of one run of a schedule.

    :param start: first moment.
    :param end: first moment after it, when AMC queues the run.
    """

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%S} to {self.end:%Y-%m-%dT%H:%M:%S} (UTC)"


def period_at(schedule: Schedule, moment: datetime) -> Period:
    """The last period of a schedule that has ended at a moment.

    :param schedule: the schedule.
    :param moment: an aware time.
    :raises AmcConfigurationError: AMC does not say when the schedule cuts.
    """
    length = _length(schedule)
    cut = moment.astimezone(UTC).replace(hour=schedule.aggregation_hour_utc or 0, minute=0, second=0, microsecond=0)
    if length.days == 7:
        if schedule.aggregation_start_day not in _DAYS:
            raise AmcConfigurationError(
                f"AMC does not say on which day the weekly schedule {schedule.schedule_id} begins "
                f"(aggregationStartDay is {schedule.aggregation_start_day!r}). Set it on the schedule."
            )
        cut -= timedelta(days=(cut.weekday() - _DAYS.index(schedule.aggregation_start_day)) % 7)
    if cut > moment:
        cut -= length
    return Period(cut - length, cut)


def period_of(schedule: Schedule, start: datetime, end: datetime) -> Period:
    """Check that a window is a period of a schedule.

    :param schedule: the schedule.
    :param start: an aware time.
    :param end: an aware time.
    :raises AmcValidationError: it is none.
    """
    found = period_at(schedule, end)
    if (found.start, found.end) != (start, end):
        wanted = Period(start.astimezone(UTC), end.astimezone(UTC))
        raise AmcValidationError(
            f"The schedule {schedule.schedule_id} never runs over {wanted}; the last of its periods before the end of that "
            f"window is {found}. Pass as_of= for the last period that has ended at some time."
        )
    return found


def check_identity(schedule: Schedule, others: Iterable[Schedule]) -> None:
    """Check that executions of a schedule can be told from those of all others.

    :param schedule: the schedule.
    :param others: all schedules of the instance.
    :raises AmcConfigurationError: another one runs the same workflow over the same periods.
    """
    same = [
        other.schedule_id
        for other in others
        if other.schedule_id != schedule.schedule_id
        and other.schedule_enabled is not False
        and other.workflow_id == schedule.workflow_id
        and _cadence(other) == _cadence(schedule)
    ]
    if same:
        raise AmcConfigurationError(
            f"The schedules {', '.join((schedule.schedule_id, *same))} run the workflow {schedule.workflow_id} over the same "
            "periods, and AMC does not say which of them started an execution. Disable or delete all but one, or give them "
            "different hours."
        )


def run_of(executions: Sequence[Execution], workflow_id: str | None, period: Period) -> Execution | None:
    """Find the execution of a schedule for one period; what people or DAGs have started is none.

    :param executions: executions of the instance.
    :param workflow_id: workflow of the schedule.
    :param period: the period.
    :returns: one that has succeeded if there is any; else the newest that is on its way; else the newest.
    """
    runs = [
        one
        for one in executions
        if one.workflow_id == workflow_id
        and (one.time_window_start, one.time_window_end) == (period.start, period.end)
        and _is_scheduled(one)
    ]
    epoch = datetime.fromtimestamp(0, UTC)
    return max(runs, key=lambda one: (one.is_succeeded, not one.is_finished, one.create_time or epoch), default=None)


def _is_scheduled(execution: Execution) -> bool:
    category = str(execution.raw.get("executionCategory") or "").upper()
    if category:
        return category != "AD_HOC"
    # The address of the result has a part schedule=daily, schedule=weekly or schedule=adhoc.
    uri = execution.output_s3_uri or ""
    return "/schedule=daily/" in uri or "/schedule=weekly/" in uri


def _length(schedule: Schedule) -> timedelta:
    days = {"daily": 1, "weekly": 7}.get((schedule.aggregation_period or "").lower())
    if days is None:
        raise AmcConfigurationError(
            f"The schedule {schedule.schedule_id} has the period {schedule.aggregation_period!r}, which is not one of AMC's: "
            "Daily, Weekly."
        )
    return timedelta(days=days)


def _cadence(schedule: Schedule) -> tuple[timedelta, int, str | None]:
    length = _length(schedule)
    return length, schedule.aggregation_hour_utc or 0, schedule.aggregation_start_day if length.days == 7 else None
