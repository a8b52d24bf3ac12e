"""Resident memory: at rest, and after many executions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from benchmarks.processes import NOW, Api, emulator, megabytes
from benchmarks.report import Figure

_CLIENTS = 4
#: Freed memory goes back to the system ten seconds later.
_SETTLED_SECONDS = 15.0


def measure(executions: int, warm_up: int) -> Iterator[Figure]:
    """Weigh the process before and after.

    :param executions: how many small executions to make in between.
    :param warm_up: how many to make before the first weighing, so that caches have their usual size.
    """
    with emulator("--now", NOW) as (process, port, _):
        Api(port).submit()
        Api(port).settle()
        time.sleep(_SETTLED_SECONDS)
        yield Figure("memory at rest", megabytes(process), "MB", most=250, note="small, after one execution")
        _execute(port, warm_up)
        time.sleep(_SETTLED_SECONDS)
        before, began = megabytes(process), time.perf_counter()
        _execute(port, executions)
        rate = executions / (time.perf_counter() - began)
        time.sleep(_SETTLED_SECONDS)
        after = megabytes(process)
        note = f"{before:.0f} MB after {warm_up:,} to {after:.0f} MB, {rate:.0f} executions a second"
        name = f"growth of memory over {executions:,} executions"
        yield Figure(name, 100 * (after - before) / before, "%", most=5, note=note)


def _execute(port: int, executions: int) -> None:
    share = -(-executions // _CLIENTS)

    def work() -> None:
        api = Api(port)
        for count in range(share):
            execution_id = api.submit()
            api.reporting("GET", f"workflowExecutions/{execution_id}")
            if count % 50 == 49:
                api.settle()

    threads = [threading.Thread(target=work) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Api(port).settle()
