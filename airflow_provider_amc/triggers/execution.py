"""Waits for a workflow execution in the triggerer, without holding a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_amc.exceptions import AmcNotFoundError
from airflow_provider_amc.triggers.polling import next_interval

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution

T = TypeVar("T")

#: Seconds a cancel may take: Airflow gives ``on_kill`` of a trigger 30.
_CANCEL_SECONDS = 20.0

#: Seconds for which AMC may not show a new execution yet (seen by practitioners: up to 45).
_INVISIBLE_SECONDS = 120.0

# Threads of their own: a triggerer's default ones are shared with everything else in it. Cancels do not wait for polls.
_POLLS = ThreadPoolExecutor(8, thread_name_prefix="amc-poll")
_CANCELS = ThreadPoolExecutor(4, thread_name_prefix="amc-cancel")


class AmcWorkflowExecutionTrigger(BaseTrigger):
    """Wait until a workflow execution has finished, or the deadline has passed.

    A poll that fails never ends the wait: AMC being away, throttling, or a refresh token that has to be renewed in the
    connection only delay the next look. The event is a dictionary with ``status`` (``finished``, ``deadline``, or
    ``missing`` when AMC says for two minutes that there is no such execution), ``workflow_execution_id``,
    ``execution_status``, ``status_reason``, ``history``, the status changes seen, and ``problem``, why the last look
    failed.

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
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the execution until it has finished or the deadline has passed, then give one event."""
        client: AmcClient | None = None
        history: list[dict[str, str]] = []
        last_problem = ""
        while True:
            await asyncio.sleep(self._delay())
            try:
                client = client or await self._client()
                execution = await self._in_thread(_POLLS, client.executions.get, self.workflow_execution_id)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                if problem != last_problem:
                    self.log.warning(
                        "Could not look at AMC execution %s, will try again: %s", self.workflow_execution_id, problem
                    )
                # A new client reads the connection again, where someone may have put new credentials.
                last_problem, client = problem, None
                if isinstance(error, AmcNotFoundError) and time.time() - self.started > _INVISIBLE_SECONDS:
                    yield TriggerEvent(self._event("missing", history, problem=problem))
                    return
            else:
                last_problem = ""
                self._note(execution, history)
                if execution.is_finished:
                    yield TriggerEvent(self._event("finished", history, execution))
                    return
            if self.deadline is not None and time.time() >= self.deadline:
                if self.cancel_on_kill:
                    await self._cancel("the deadline of the task has passed")
                yield TriggerEvent(self._event("deadline", history, problem=last_problem))
                return

    async def on_kill(self) -> None:
        """Cancel the execution when a user ends the deferred task (called by Airflow 3.3 and later)."""
        if self.cancel_on_kill:
            await self._cancel("the task was ended by a user")

    def _delay(self) -> float:
        now = time.time()
        delay = next_interval(now - self.started, self.poll_interval, self.poll_interval_max)
        return delay if self.deadline is None else max(0.0, min(delay, self.deadline - now))

    async def _client(self) -> AmcClient:
        from airflow_provider_amc.hooks.amc import AmcHook

        return await AmcHook(self.amc_conn_id, instance_id=self.instance_id).aget_conn()

    @staticmethod
    async def _in_thread(threads: ThreadPoolExecutor, call: Callable[[str], T], argument: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, call, argument)

    def _note(self, execution: Execution, history: list[dict[str, str]]) -> None:
        if not history or history[-1]["status"] != execution.raw_status:
            history.append({"status": execution.raw_status, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
            self.log.info("AMC execution %s is %s", self.workflow_execution_id, execution.raw_status)

    def _event(
        self, status: str, history: list[dict[str, str]], execution: Execution | None = None, problem: str = ""
    ) -> dict[str, Any]:
        return {
            "status": status,
            "workflow_execution_id": self.workflow_execution_id,
            "execution_status": execution.raw_status if execution else (history[-1]["status"] if history else None),
            "status_reason": execution.status_reason if execution else None,
            "history": history,
            "problem": problem or None,
        }

    async def _cancel(self, why: str) -> None:
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                client = (await self._client()).with_patience(_CANCEL_SECONDS)
                done = await self._in_thread(_CANCELS, client.executions.cancel, self.workflow_execution_id)
        except Exception as error:
            self.log.warning("Could not cancel AMC execution %s: %s", self.workflow_execution_id, error)
        else:
            result = "cancelled" if done else "had finished already"
            self.log.info("AMC execution %s %s: %s", self.workflow_execution_id, result, why)
