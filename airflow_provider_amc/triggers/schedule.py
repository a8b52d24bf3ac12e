"""Waits in the triggerer for the execution that a schedule of AMC's own starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_amc.triggers.history import History
from airflow_provider_amc.triggers.listing import Watch
from airflow_provider_amc.triggers.periods import Period, run_of
from airflow_provider_amc.triggers.shared import looked_after

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import Execution

#: Executions may be created before the period ends: AMC tells a ``waitUntil`` with each of them.
BEFORE = timedelta(days=1)


class AmcScheduledExecutionTrigger(BaseTrigger):
    """Wait until the execution of a schedule for one period has finished, or the deadline has passed.

    The list it reads is that of all waits on the instance, see :mod:`airflow_provider_amc.triggers.shared`; nothing is
    asked before the period has ended. The event is a dictionary with ``status`` (``finished`` or ``deadline``),
    ``workflow_execution_id``, ``execution_status``, ``status_reason``, ``history`` and ``problem``.

    :param workflow_id: workflow of the schedule.
    :param period_start: first moment of the period, ISO 8601 with an offset.
    :param period_end: first moment after it.
    :param instance_id: AMC instance; ``None`` takes the connection's.
    :param amc_conn_id: Airflow connection of type ``amc``.
    :param poll_interval: shortest interval between two looks in seconds.
    :param poll_interval_max: longest interval in seconds.
    :param deadline: wall-clock end of the wait, seconds since the epoch; ``None`` waits forever.
    :param started: wall-clock start of the wait, seconds since the epoch; kept when the trigger moves.
    """

    def __init__(
        self,
        *,
        workflow_id: str,
        period_start: str,
        period_end: str,
        instance_id: str | None = None,
        amc_conn_id: str = "amc_default",
        poll_interval: float = 15.0,
        poll_interval_max: float = 120.0,
        deadline: float | None = None,
        started: float | None = None,
    ) -> None:
        super().__init__()
        self.workflow_id = workflow_id
        self.period_start = period_start
        self.period_end = period_end
        self.instance_id = instance_id
        self.amc_conn_id = amc_conn_id
        self.poll_interval = poll_interval
        self.poll_interval_max = poll_interval_max
        self.deadline = deadline
        self.started = time.time() if started is None else started

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give Airflow what it needs to make the trigger again; plain values only, no secrets."""
        fields = (
            "workflow_id", "period_start", "period_end", "instance_id", "amc_conn_id", "poll_interval",
            "poll_interval_max", "deadline", "started",
        )  # fmt: skip
        return (
            "airflow_provider_amc.triggers.schedule.AmcScheduledExecutionTrigger",
            {name: getattr(self, name) for name in fields},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then give one event."""
        yield TriggerEvent(await self._outcome())

    async def _outcome(self) -> dict[str, Any]:
        period = Period(_utc(self.period_start), _utc(self.period_end))
        early = period.end.timestamp() - time.time()
        await asyncio.sleep(max(0.0, min(early, self._left(early))))
        watch = Watch(
            period.end - BEFORE,
            workflow_id=self.workflow_id,
            shortest=self.poll_interval,
            longest=self.poll_interval_max,
            started=max(self.started, period.end.timestamp()),
        )
        run: Execution | None = None
        history: History | None = None
        with looked_after(watch, self.amc_conn_id, self.instance_id):
            while self._left(1.0) > 0:
                try:
                    async with asyncio.timeout(None if self.deadline is None else self._left(0.0)):
                        run = run_of(await watch.look(), self.workflow_id, period)
                except TimeoutError:
                    continue
                if run is None:
                    continue
                history = history or History(run.workflow_execution_id)
                if line := history.note(run.raw_status, run.status_reason):
                    self.log.info(line)
                if run.is_finished:
                    return _event("finished", run, history)
        return _event("deadline", run, history, watch.problem)

    def _left(self, otherwise: float) -> float:
        """Seconds until the deadline, if there is one."""
        return otherwise if self.deadline is None else self.deadline - time.time()


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _event(status: str, run: Execution | None, history: History | None, problem: str = "") -> dict[str, Any]:
    return {
        "status": status,
        "workflow_execution_id": run.workflow_execution_id if run else None,
        "execution_status": run.raw_status if run else None,
        "status_reason": run.status_reason if run else None,
        "history": history.told() if history else [],
        "problem": problem or None,
    }
