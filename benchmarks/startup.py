"""How long until the emulator answers: as a process, inside a process, as a pytest fixture."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.processes import ROOT, emulator, free_port, get, private_directory, stopped_at_the_end, wait_for
from benchmarks.report import Figure

_PROCESS_STARTS = 5
_INSIDE_STARTS = 20


def measure() -> Iterator[Figure]:
    """Starts, first and later ones."""
    with private_directory() as cache, private_directory() as state:
        # No compiled modules: the start after an installation.
        with emulator("--state-dir", str(state), PYTHONPYCACHEPREFIX=str(cache)) as (_, _, first):
            pass
        later = []
        for _ in range(_PROCESS_STARTS):
            with emulator("--state-dir", str(state)) as (_, _, seconds):
                later.append(seconds)
    yield Figure("amc emulator until healthy, first start", first, "s", note="small, no compiled modules")
    peer = {"peer": _moto_process(), "peer_name": "moto_server"}
    note = f"small, median of {_PROCESS_STARTS}"
    yield Figure("amc emulator until healthy, second start", median(later), "s", most=1.5, note=note, **peer)
    first, again, query = _inside()
    peer = {"peer": _moto_inside(), "peer_name": "ThreadedMotoServer"}
    note = f"median of {_INSIDE_STARTS}; the first took {first:,.0f} ms"
    yield Figure("server inside a process until it answers, after the first", again, "ms", most=150, note=note, **peer)
    yield Figure("the same until the first query has its result", query, "ms", note="small")
    yield from _fixture()


def _moto_process() -> float:
    taken = []
    for _ in range(_PROCESS_STARTS):
        port = free_port()
        began = time.perf_counter()
        command = [sys.executable, "-c", "from moto.server import main; main()", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with stopped_at_the_end(process):
            wait_for(lambda port=port: bool(get(port, "/moto-api/data.json")), process)
            taken.append(time.perf_counter() - began)
    return median(taken)


def _inside() -> tuple[float, float, float]:
    """Milliseconds: the first start, a later one, a later one until a query is done."""
    from airflow_provider_amc.emulator.server import EmulatorServer
    from benchmarks.processes import NOW, Api

    starts, queries = [], []
    for _ in range(_INSIDE_STARTS):
        began = time.perf_counter()
        with EmulatorServer(port=0, now=NOW) as server:
            port = int(server.url.rsplit(":", 1)[1])
            get(port, "/_emulator/health")
            starts.append(1000 * (time.perf_counter() - began))
            api = Api(port)
            api.submit()
            api.settle()
            queries.append(1000 * (time.perf_counter() - began))
    return starts[0], median(starts[1:]), median(queries[1:])


def _moto_inside() -> float:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    starts = []
    for _ in range(_INSIDE_STARTS):
        port = free_port()
        began = time.perf_counter()
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        get(port, "/moto-api/data.json")
        starts.append(1000 * (time.perf_counter() - began))
        server.stop()
    return median(starts[1:])


_TESTS = """
import pytest

@pytest.mark.parametrize("n", range(12))
def test_answers(amc_emulator, n):
    amc_emulator.query("SELECT COUNT(*) AS n FROM dsp_impressions")

@pytest.mark.amc_emulator(seed=11)
def test_other_settings(amc_emulator):
    pass
"""
_HOOK = """
def pytest_runtest_logreport(report):
    if report.when == "setup":
        print(f"\\nsetup {report.duration} {report.outcome}")
"""


def _fixture() -> Iterator[Figure]:
    with private_directory() as directory:
        (directory / "test_setup.py").write_text(_TESTS, encoding="utf-8")
        (directory / "conftest.py").write_text(_HOOK, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "--rootdir", str(directory)]
        plugin = [] if _installed() else ["-p", "airflow_provider_amc.pytest_plugin"]
        told = subprocess.run(
            [*command, *plugin, str(directory)], capture_output=True, text=True, cwd=ROOT, check=False
        )
    taken = [1000 * float(line.split()[1]) for line in told.stdout.splitlines() if line.startswith("setup ")]
    if told.returncode or len(taken) != 13:
        raise RuntimeError(told.stdout + told.stderr)
    note = f"median of {len(taken) - 2} tests that ran a query; the first took {taken[0]:,.0f} ms"
    yield Figure("fixture amc_emulator, after the first", median(taken[1:-1]), "ms", most=150, note=note)
    yield Figure("fixture amc_emulator with other settings", taken[-1], "ms", most=150, note="another server")


def _installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.value == "airflow_provider_amc.pytest_plugin" for point in entry_points(group="pytest11"))
