"""What deferred waits cost, with the shared poll and with one call per wait: ``make bench-wait``.

The emulator would be the bottleneck of one call per wait, so both poll a small server that gives answers of the
emulator. Nothing here is a test, and no test asserts a duration.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.processes import NOW, ROOT, free_port, get, private_directory, stopped_at_the_end, wait_for
from benchmarks.report import Figure, show

_NAME = "one call per wait"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-wait", description="Measure deferred waits.")
    parser.add_argument("--waits", type=int, default=1_000, help="deferred waits")
    parser.add_argument("--instances", type=int, default=10, help="instances they are spread over")
    parser.add_argument("--intervals", type=int, default=20, help="polling intervals until the last one ends")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds of a polling interval")
    return parser.parse_args()


def _plan(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the server tells, and the connection."""
    from airflow_provider_amc.emulator.server import EmulatorServer
    from benchmarks.processes import Api

    with EmulatorServer(port=0, now=NOW) as server:
        connection = server.connection
        api = Api(int(server.url.rsplit(":", 1)[1]))
        execution_id = api.submit()
        api.settle()
        succeeded = api.reporting("GET", f"workflowExecutions/{execution_id}")
    chance = random.Random(7)
    ends: dict[str, dict[str, float]] = {}
    for number in range(options.waits):
        # All of them are open for three quarters of the time, and end at any moment of the rest.
        after = options.interval * options.intervals * chance.uniform(0.75, 1.0)
        ends.setdefault(f"amcbench{number % options.instances:02d}", {})[f"execution-{number:05d}"] = after
    running = {**succeeded, "status": "RUNNING"}
    token = {"access_token": "Atza|benchmark", "token_type": "bearer", "expires_in": 3600}
    plan = {"running": running, "succeeded": succeeded, "token": token, "ends": ends}
    return {**plan, "created": succeeded["createTime"]}, connection


def _measured(kind: str, options: argparse.Namespace, connection: dict[str, Any], folder: Path) -> dict[str, Any]:
    port, plan = free_port(), str(folder / "plan.json")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONN_AMC_DEFAULT": json.dumps({**connection, "host": f"http://127.0.0.1:{port}"}),
    }
    command = [sys.executable, "-m", "benchmarks.wait_server", str(port), plan]
    server = subprocess.Popen(command, env=environment, cwd=ROOT)
    with stopped_at_the_end(server):
        wait_for(lambda: get(port, "/asked") == b"{}", server)
        command = [sys.executable, "-m", "benchmarks.wait_client", kind, str(options.interval), str(port), plan]
        told = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return figures


def _figures(options: argparse.Namespace) -> Iterator[Figure]:
    with private_directory() as folder:
        plan, connection = _plan(options)
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        shared, single = (_measured(kind, options, connection, folder) for kind in ("shared", "single"))
    peer = {"peer_name": _NAME}
    asked = [sum(count for name, count in one["asked"].items() if name != "token") for one in (shared, single)]
    note = f"{options.waits:,} waits on {options.instances} instances over {options.intervals} intervals"
    note += f" of {options.interval:g} s; {shared['asked']}"
    yield Figure("requests", asked[0], "", most=0.02 * asked[1], peer=asked[1], note=note, **peer)
    yield Figure("CPU of the process", shared["cpu"], "s", most=0.2 * single["cpu"], peer=single["cpu"], **peer)
    grown = shared["memory"] - shared["memory_before"]
    note = f"{shared['memory_before']:.0f} MB before the waits, {grown:.0f} MB for them"
    yield Figure("peak memory of the process", shared["memory"], "MB", peer=single["memory"], note=note, **peer)
    note = f"longest callback; {1000 * shared['blocked_cpu']:.0f} ms of it on the CPU at most"
    note += f"; a timer was late by {1000 * shared['late']:.0f} ms at most"
    blocked = [1000 * one["blocked"] for one in (shared, single)]
    yield Figure("event loop blocked", blocked[0], "ms", most=50, peer=blocked[1], note=note, **peer)
    slowest = [max(one["delays"]) for one in (shared, single)]
    middle = [median(one["delays"]) for one in (shared, single)]
    yield Figure("from SUCCEEDED to resume, median", middle[0], "s", peer=middle[1], **peer)
    note = "one interval"
    yield Figure(
        "from SUCCEEDED to resume, slowest", slowest[0], "s", most=options.interval, peer=slowest[1], note=note, **peer
    )


def main() -> None:
    """Measure, print the table, and end with 1 if a figure is not reached."""
    raise SystemExit(not show(list(_figures(_options())), title="Deferred waits"))


if __name__ == "__main__":
    main()
