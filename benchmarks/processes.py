"""Servers as processes of their own, what they weigh, and plain calls to them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"
WINDOW = {
    "timeWindowType": "EXPLICIT",
    "timeWindowStart": "2026-01-01T00:00:00",
    "timeWindowEnd": "2026-01-02T00:00:00",
}
#: The virtual time of all servers, so that they hold the same rows every day.
NOW = "2026-03-01T00:00:00Z"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def get(port: int, path: str) -> bytes:
    """The body of a GET, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def wait_for(probe: Callable[[], bool], process: subprocess.Popen[bytes], deadline: float = 300.0) -> None:
    """Ask every few milliseconds until the answer is yes."""
    end = time.monotonic() + deadline
    while not _quiet(probe):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args} did not come up; it ended with {process.poll()}.")
        time.sleep(0.003)


def _quiet(probe: Callable[[], bool]) -> bool:
    try:
        return probe()
    except OSError:
        return False


@contextlib.contextmanager
def stopped_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def emulator(*options: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """``amc emulator`` as a process: the process, its port, and the seconds until it was healthy."""
    port = free_port()
    command = [sys.executable, "-m", "airflow_provider_amc.cli", "emulator", "--port", str(port), *options]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": paths, **env})
    with stopped_at_the_end(process):
        wait_for(lambda: b'"status": "ok"' in get(port, "/_emulator/health"), process)
        yield process, port, time.perf_counter() - began


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """A directory that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="amc-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def megabytes(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of a process."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024


class Api:
    """Calls to AMC over one open connection.

    :param port: port of the emulator.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        made = json.loads(get(port, "/_emulator/connection"))
        extra = made["extra"]
        form = f"grant_type=refresh_token&client_id={made['login']}&client_secret={made['password']}"
        token = self._ask("POST", "/auth/o2/token", f"{form}&refresh_token={extra['refresh_token']}", {})
        self._headers = {
            "Authorization": f"Bearer {token['access_token']}",
            "Amazon-Advertising-API-ClientId": made["login"],
            "Amazon-Advertising-API-AdvertiserId": extra["account_id"],
            "Amazon-Advertising-API-MarketplaceId": extra["marketplace_id"],
        }

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Any:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text)

    def reporting(self, method: str, path: str, body: object = None) -> Any:
        """A call to the reporting API of the usual instance."""
        text = None if body is None else json.dumps(body)
        return self._ask(method, f"/amc/reporting/amcemulator/{path}", text, self._headers)

    def submit(self, sql: str = SQL, **fields: object) -> str:
        """Start an execution and tell its id."""
        body = {"workflow": {"sqlQuery": sql}, **WINDOW, **fields}
        return str(self.reporting("POST", "workflowExecutions", body)["workflowExecutionId"])

    def executions(self) -> dict[str, int]:
        """Number of executions by status."""
        return dict(self._ask("GET", "/_emulator/health", None, {})["executions"])

    def settle(self, deadline: float = 600.0) -> None:
        """Wait until every execution has ended, and see that all of them succeeded."""
        end = time.monotonic() + deadline
        while (counts := self.executions()).keys() & {"PENDING", "RUNNING"}:
            if time.monotonic() > end:
                raise RuntimeError(f"Executions do not end: {counts}")
            time.sleep(0.05)
        if counts.keys() != {"SUCCEEDED"}:
            raise RuntimeError(f"Executions failed: {counts}")
