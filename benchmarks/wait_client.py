"""A process that holds deferred waits, as a triggerer does, and weighs itself.

``python -m benchmarks.wait_client shared|single INTERVAL PORT PLAN`` prints its figures as one line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from benchmarks.processes import get

#: As many as the shared poll has.
_THREADS = ThreadPoolExecutor(8)
_BEAT = 0.005


def _shared(interval: float, created: str) -> Callable[[str, str], Awaitable[None]]:
    async def wait(instance: str, execution_id: str) -> None:
        trigger = AmcWorkflowExecutionTrigger(
            workflow_execution_id=execution_id,
            instance_id=instance,
            poll_interval=interval,
            poll_interval_max=interval,
            created=created,
        )
        event = await anext(aiter(trigger.run()))
        if event.payload["status"] != "finished":
            raise RuntimeError(str(event.payload))

    return wait


def _single(interval: float, created: str) -> Callable[[str, str], Awaitable[None]]:
    """Every wait sleeps and asks for itself, which is what Airflow's Athena trigger does."""
    clients: dict[str, Any] = {}

    async def wait(instance: str, execution_id: str) -> None:
        if instance not in clients:
            clients[instance] = await AmcHook(instance_id=instance).aget_conn()
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(interval)
            execution = await loop.run_in_executor(_THREADS, clients[instance].executions.get, execution_id)
            if execution.is_finished:
                return

    return wait


class _Blocked:
    """The longest time for which the event loop did nothing else."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def watch(self) -> None:
        """Measure every callback from now on."""
        run = asyncio.Handle._run

        def measured(handle: Any) -> None:
            wall, cpu = time.perf_counter(), time.thread_time()
            run(handle)
            self.wall = max(self.wall, time.perf_counter() - wall)
            self.cpu = max(self.cpu, time.thread_time() - cpu)

        asyncio.Handle._run = measured  # type: ignore[method-assign]


async def _beat(late: list[float]) -> None:
    while True:
        due = time.perf_counter() + _BEAT
        await asyncio.sleep(_BEAT)
        late.append(time.perf_counter() - due)


async def _measure(
    wait: Callable[[str, str], Awaitable[None]], ends: dict[str, dict[str, float]], port: int
) -> dict[str, Any]:
    blocked, late = _Blocked(), [0.0]
    # A triggerer has loaded Airflow's own part of a connection long ago.
    await AmcHook(instance_id="amcother").aget_conn()
    # What Airflow itself has loaded is not searched for garbage again and again: its size is not what is measured.
    gc.collect()
    gc.freeze()
    started = json.loads(await asyncio.to_thread(get, port, "/start"))["at"]
    before, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.process_time()
    blocked.watch()
    delays: list[float] = []

    async def resumed(instance: str, execution_id: str, ends_after: float) -> None:
        await wait(instance, execution_id)
        delays.append(time.time() - (started + ends_after))

    beat = asyncio.ensure_future(_beat(late))
    every = [(instance, one, after) for instance, some in ends.items() for one, after in some.items()]
    await asyncio.gather(*(resumed(*one) for one in every))
    used = time.process_time() - cpu
    beat.cancel()
    return {
        "cpu": used,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "memory_before": before,
        "late": max(late),
        "blocked": blocked.wall,
        "blocked_cpu": blocked.cpu,
        "delays": delays,
        "asked": json.loads(await asyncio.to_thread(get, port, "/asked")),
    }


def main() -> None:
    """Wait, and print the figures."""
    kind, interval, port, file = sys.argv[1:]
    plan = json.loads(Path(file).read_text(encoding="utf-8"))
    wait = {"shared": _shared, "single": _single}[kind](float(interval), plan["created"])
    print(json.dumps(asyncio.run(_measure(wait, plan["ends"], int(port)))))


if __name__ == "__main__":
    main()
