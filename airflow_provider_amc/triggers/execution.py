"""Waits for a workflow execution in the triggerer, without holding a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_amc.client.times import parse_time
from airflow_provider_amc.triggers.connecting import call, connect, describe
from airflow_provider_amc.triggers.history import History
from airflow_provider_amc.triggers.shared import Seen, Wait, looked_after

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient

#: Seconds that a cancel may take when a user ends the task: Airflow gives ``on_kill`` of a trigger 30.
_KILL_SECONDS = 20.0

#: Seconds for the last calls of a wait that ran out of time. Airflow's own time-out comes later.
_LAST_SECONDS = 120.0

# Apart from the threads that poll: a cancel does not wait for polls.
_CANCELS = ThreadPoolExecutor(16, thread_name_prefix="amc-cancel")


class AmcWorkflowExecutionTrigger(BaseTrigger):
    """Wait until a workflow execution has finished, or the deadline has passed.

    All waits of a triggerer on one instance share their polls, see :mod:`airflow_provider_amc.triggers.shared`. A poll
    that fails never ends the wait: AMC being away, throttling, or a refresh token that has to be renewed in the
    connection only delay the next look. The event is a dictionary with ``status`` (``finished``, ``deadline``, or
    ``missing`` when AMC says for two minutes that there is no such execution), ``workflow_execution_id``,
    ``execution_status``, ``status_reason``, ``history``, the status changes seen, and ``problem``, why the last look
    failed.

    A triggerer that stops or dies leaves the execution running: the next one makes the trigger again, with the same
    deadline.

    :param workflow_execution_id: the execution.
    :param instance_id: its AMC instance; ``None`` takes the connection's.
    :param amc_conn_id: Airflow connection of type ``amc``.
    :param poll_interval: seconds until the first look, and shortest interval.
    :param poll_interval_max: longest interval in seconds.
    :param deadline: wall-clock end of the wait, seconds since the epoch; ``None`` waits forever.
    :param cancel_on_kill: cancel the execution at the deadline, and when a user ends the deferred task
        (Airflow 3.3 and later).
    :param started: wall-clock start of the wait, seconds since the epoch; kept when the trigger moves to another
        triggerer.
    :param created: when AMC says that the execution was created (``createTime``), ISO 8601. Without it the first look
        has to ask for this execution alone.
    """

    def __init__(
        self,
        *,
        workflow_execution_id: str,
        instance_id: str | None = None,
        amc_conn_id: str = "amc_default",
        poll_interval: float = 15.0,
        poll_interval_max: float = 120.0,
        deadline: float | None = None,
        cancel_on_kill: bool = True,
        started: float | None = None,
        created: str | None = None,
    ) -> None:
        super().__init__()
        self.workflow_execution_id = workflow_execution_id
        self.instance_id = instance_id
        self.amc_conn_id = amc_conn_id
        self.poll_interval = poll_interval
        self.poll_interval_max = poll_interval_max
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.started = time.time() if started is None else started
        self.created = created

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give Airflow what it needs to make the trigger again; plain values only, no secrets."""
        return (
            "airflow_provider_amc.triggers.execution.AmcWorkflowExecutionTrigger",
            {
                "workflow_execution_id": self.workflow_execution_id,
                "instance_id": self.instance_id,
                "amc_conn_id": self.amc_conn_id,
                "poll_interval": self.poll_interval,
                "poll_interval_max": self.poll_interval_max,
                "deadline": self.deadline,
                "cancel_on_kill": self.cancel_on_kill,
                "started": self.started,
                "created": self.created,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait until the execution has finished or the deadline has passed, then give one event."""
        yield TriggerEvent(await self._outcome())

    async def on_kill(self) -> None:
        """Cancel the execution when a user ends the deferred task (called by Airflow 3.3 and later)."""
        if self.cancel_on_kill:
            await self._cancel("the task was ended by a user", _KILL_SECONDS)

    async def _outcome(self) -> dict[str, Any]:
        history = History(self.workflow_execution_id)
        wait = Wait(
            self.workflow_execution_id,
            created=parse_time(self.created),
            started=self.started,
            shortest=self.poll_interval,
            longest=self.poll_interval_max,
        )
        with looked_after(wait, self.amc_conn_id, self.instance_id):
            while (left := self._time_left()) is None or left > 0:
                try:
                    async with asyncio.timeout(left):
                        await wait.change()
                except TimeoutError:
                    # The clock of the loop and that of the wall may differ: ask the latter again.
                    continue
                self._note(history, wait.seen)
                if wait.seen is not None and wait.seen.finished:
                    return self._event("finished", history, wait.seen)
                if wait.missing:
                    break
        if wait.missing:
            if self.cancel_on_kill:
                await self._cancel("AMC does not show it", _KILL_SECONDS)
            return self._event("missing", history, problem=wait.problem)
        return await self._last_look(history, wait.problem)

    async def _last_look(self, history: History, problem: str) -> dict[str, Any]:
        """Cancel at the deadline; an execution that finished just before it has won."""
        if (
            self.cancel_on_kill
            and await self._cancel("the deadline of the task has passed", _LAST_SECONDS) is not False
        ):
            return self._event("deadline", history, problem=problem)
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                client = await self._client(_LAST_SECONDS)
                seen = Seen.of(await call(_CANCELS, client.executions.get, self.workflow_execution_id))
        except Exception as error:
            return self._event("deadline", history, problem=problem or describe(error))
        self._note(history, seen)
        return self._event("finished" if seen.finished else "deadline", history, seen)

    def _time_left(self) -> float | None:
        return None if self.deadline is None else self.deadline - time.time()

    async def _client(self, patience: float) -> AmcClient:
        client = await connect(_CANCELS, self.amc_conn_id, self.instance_id)
        return client.with_patience(patience)

    def _note(self, history: History, seen: Seen | None) -> None:
        if seen is not None and (line := history.note(seen.status, seen.reason)):
            self.log.info(line)

    def _event(self, status: str, history: History, seen: Seen | None = None, problem: str = "") -> dict[str, Any]:
        return {
            "status": status,
            "workflow_execution_id": self.workflow_execution_id,
            "execution_status": seen.status if seen else history.status,
            "status_reason": seen.reason if seen else None,
            "history": history.told(),
            "problem": problem or None,
        }

    async def _cancel(self, why: str, seconds: float) -> bool | None:
        """Cancel the execution.

        :returns: ``False`` when it had finished already, ``None`` when AMC could not be told.
        """
        try:
            async with asyncio.timeout(seconds):
                client = await self._client(seconds)
                done = await call(_CANCELS, client.executions.cancel, self.workflow_execution_id)
        except Exception as error:
            self.log.warning("Could not cancel AMC execution %s: %s", self.workflow_execution_id, describe(error))
            return None
        result = "cancelled" if done else "had finished already"
        self.log.info("AMC execution %s %s: %s", self.workflow_execution_id, result, why)
        return done
