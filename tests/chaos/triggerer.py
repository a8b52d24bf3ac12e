"""The triggerer: a process with an event loop that stands still between two moves of a history."""

from __future__ import annotations

import asyncio
import importlib
import json
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

from airflow.triggers.base import BaseTrigger

from airflow_provider_amc.triggers import shared
from tests.chaos.process import Died, Process
from tests.chaos.world import START, World

#: Seconds that Airflow gives to ``on_kill`` of a trigger.
_KILL_SECONDS = 30.0
_USER_ACTION = "user action"


class _Selector(selectors.SelectSelector):
    """Lets the time of the world pass instead of waiting."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.frozen = False

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("Everything in the triggerer waits, and nothing will ever happen.")
        if timeout > 0 and not self.frozen:
            # At least as much as a clock can tell
            self._world.pass_time(max(timeout, 0.001))
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """Makes blocking calls on the spot."""

    def __init__(self, world: World) -> None:
        self.clock = _Selector(world)
        super().__init__(self.clock)

    def time(self) -> float:
        return time.time() - START

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *arguments: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(function(*arguments))
        except Died as died:
            # Nothing of what this process still does has an effect.
            if self.clock.frozen:
                future.set_exception(OSError(str(died)))
            else:
                self.stop()
        except Exception as error:
            future.set_exception(error)
        return future


class Triggerer:
    """One triggerer, until it stops or dies.

    :param world: where.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.process = Process("the triggerer")
        self._loop = _Loop(world)
        self._waits: dict[Any, asyncio.Task[None]] = {}

    def watch(self, owner: Any, serialized: str, on_event: Callable[[Any], None]) -> None:
        """Make a trigger from what Airflow's database holds, and run it.

        :param owner: whose wait it is.
        :param serialized: path of the class and arguments, as JSON.
        :param on_event: takes the payload of the event.
        """
        path, arguments = json.loads(serialized)
        module, name = path.rsplit(".", 1)
        trigger: BaseTrigger = getattr(importlib.import_module(module), name)(**arguments)
        self._waits[owner] = self._loop.create_task(self._watch(trigger, on_event))
        # A task that is cancelled before it began would not even hear of it.
        self._run(asyncio.sleep(0))

    async def _watch(self, trigger: BaseTrigger, on_event: Callable[[Any], None]) -> None:
        try:
            async for event in trigger.run():
                on_event(json.loads(json.dumps(event.payload)))
                return
            raise AssertionError("The trigger ended without an event.")
        except asyncio.CancelledError as error:
            if error.args and error.args[0] == _USER_ACTION:
                await asyncio.wait_for(trigger.on_kill(), _KILL_SECONDS)  # type: ignore[attr-defined]
            raise
        finally:
            await trigger.cleanup()

    def work(self, seconds: float) -> None:
        """Work for some time."""
        self._run(asyncio.sleep(seconds))

    def end(self, owner: Any, *, by_user: bool) -> None:
        """End a wait that is no longer wanted."""
        wait = self._waits.pop(owner, None)
        if wait is None or wait.done():
            return
        wait.cancel(_USER_ACTION if by_user else None)
        self._run(asyncio.wait([wait]))

    def stop(self) -> None:
        """End in good order."""
        self._run(self._end_all())
        self._close()

    def crash(self) -> None:
        """End at once. What Python still does to tidy up reaches nobody."""
        self.process.alive = False
        self._loop.clock.frozen = True
        self._run(self._end_all())
        self._close()

    async def _end_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _close(self) -> None:
        self._loop.close()
        for key in [key for key in shared._pollers if key[0] is self._loop]:
            del shared._pollers[key]

    def _run(self, main: Coroutine[Any, Any, Any]) -> None:
        before, self._world.process = self._world.process, self.process
        alive = self.process.alive
        task = self._loop.create_task(main)
        try:
            self._loop.run_until_complete(task)
        except RuntimeError:
            # It was stopped because the process has just died.
            if not alive or self.process.alive:
                raise
            self.crash()
        else:
            for wait in [wait for wait in self._waits.values() if wait.done() and not wait.cancelled()]:
                wait.result()
        finally:
            self._world.process = before
