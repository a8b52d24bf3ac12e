"""An event loop whose time passes only when nothing is left to do, and an AMC that lives in it."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow_provider_amc.client.models import Execution
from airflow_provider_amc.exceptions import AmcNotFoundError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.triggers import execution, history, listing, shared

#: Wall-clock time at the start of a loop.
START = 1_800_000_000.0


class Selector(selectors.SelectSelector):
    """Does not wait but lets the time pass."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("Everything waits, and nothing will ever happen.")
        self.now += max(0.0, timeout)
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """Blocking calls are made on the spot; their answers come after ``latency()`` seconds of this loop's time."""

    def __init__(self, latency: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = Selector()
        self._latency = latency
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *arguments: Any) -> Any:
        future = self.create_future()
        try:
            result, error = function(*arguments), None
        except Exception as raised:
            result, error = None, raised

        def answer() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.call_later(self._latency(), answer)
        return future


def run(main: Coroutine[Any, Any, Any], client: Any, latency: Callable[[], float] = lambda: 0.0) -> Any:
    """Run a coroutine in virtual time.

    :param client: what connections give; ``None`` for what they give otherwise.
    """

    async def aget_conn(hook: AmcHook) -> Any:
        return client

    with asyncio.Runner(loop_factory=lambda: Loop(latency)) as runner, contextlib.ExitStack() as stack:
        loop = runner.get_loop()
        clock = SimpleNamespace(time=lambda: START + loop.time(), strftime=time.strftime, gmtime=time.gmtime)
        for module in (shared, listing, execution, history):
            stack.enter_context(mock.patch.object(module, "time", clock))
        if client is not None:
            stack.enter_context(mock.patch.object(AmcHook, "aget_conn", aget_conn))
        return runner.run(main)


def text(seconds: float) -> str:
    """A moment of the loop as AMC writes it, on a clock that has nothing to do with ours."""
    return datetime.fromtimestamp(1_000_000_000 + seconds, UTC).isoformat()


@dataclass
class Run:
    """An execution of the AMC below; times are the loop's."""

    id: str
    created: float = 0.0
    ends: float = float("inf")
    status: str = "SUCCEEDED"
    visible: float = 0.0
    workflow: str = "reach"


class FakeAmc:
    """Executions that end when they should, and calls that fail when they should."""

    def __init__(self, runs: list[Run]) -> None:
        self.runs = {run.id: run for run in runs}
        self.requests: list[tuple[float, str, str]] = []
        self.trouble: Callable[[float, str], Exception | None] = lambda now, kind: None
        self.executions = self

    def with_patience(self, seconds: float) -> FakeAmc:
        return self

    def _ask(self, kind: str, what: str) -> float:
        now = asyncio.get_running_loop().time()
        self.requests.append((now, kind, what))
        error = self.trouble(now, kind)
        if error is not None:
            raise error
        return now

    def _show(self, run: Run, now: float) -> Execution:
        status = run.status if run.ends <= now else "RUNNING"
        shown = {
            "workflowExecutionId": run.id,
            "status": status,
            "createTime": text(run.created),
            "workflowId": run.workflow,
        }
        return Execution.from_api({**shown, "statusReason": "because"} if run.ends <= now else shown)

    def _find(self, execution_id: str, now: float) -> Run:
        run = self.runs.get(execution_id)
        if run is None or run.visible > now:
            raise AmcNotFoundError(f"Workflow execution with ID {execution_id} does not exist.")
        return run

    def get(self, execution_id: str) -> Execution:
        now = self._ask("get", execution_id)
        return self._show(self._find(execution_id, now), now)

    def cancel(self, execution_id: str) -> bool:
        now = self._ask("cancel", execution_id)
        run = self._find(execution_id, now)
        if run.ends <= now:
            return False
        run.ends, run.status = now, "CANCELLED"
        return True

    def list(
        self, *, min_creation_time: datetime, include_cancelled: bool, limit: int, workflow_id: str | None = None
    ) -> Iterator[Execution]:
        since = min_creation_time.timestamp() - 1_000_000_000
        listed = sorted(self.runs.values(), key=lambda run: -run.created)
        now = self._ask("list", text(since))
        listed = [run for run in listed if since <= run.created and run.visible <= now]
        listed = [run for run in listed if workflow_id in (None, run.workflow)]
        for number, run in enumerate(listed):
            if number and number % limit == 0:
                now = self._ask("list", text(since))
            if include_cancelled or run.status != "CANCELLED":
                yield self._show(run, now)

    def count(self, kind: str) -> int:
        return sum(1 for request in self.requests if request[1] == kind)
