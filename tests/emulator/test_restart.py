"""What survives: a state directory over kill -9, a port over a restart; and what is left behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_amc.emulator.store import Store
from tests.emulator.api import Api, wait_for

MAIN = """
import sys
from airflow_provider_amc.emulator.server import EmulatorServer
def make(now):
    from tests.emulator.standin import StandIn
    engine = StandIn(now)
    if sys.argv[3] == "open":
        engine.gate.set()
    return engine
server = EmulatorServer(port=int(sys.argv[1]), state_dir=sys.argv[2] or None, make_engine=make)
server.run(lambda started: print(started.url, flush=True))
print("stopped", flush=True)
"""
ROOT = Path(__file__).parents[2]
Launch = Callable[..., tuple[subprocess.Popen[str], Api]]


@pytest.fixture
def launch(tmp_path) -> Iterator[Launch]:
    """Starts emulators as programs; ``gate`` says whether gated queries may end."""
    started: list[subprocess.Popen[str]] = []

    def start(state_dir: Path | str = "", port: int = 0, gate: str = "shut") -> tuple[subprocess.Popen[str], Api]:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, str(port), str(state_dir), gate],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the emulator did not start"
        return process, Api(url)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.covers("rule", "state is kept over a restart")
def test_everything_survives_kill(launch, tmp_path):
    state = tmp_path / "state"
    process, api = launch(state)
    workflow = {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_3"}
    api.reporting("POST", "workflows", workflow)
    schedule = {"scheduleId": "s", "workflowId": "wf", "aggregationPeriod": "Daily", "scheduleEnabled": "false"}
    api.reporting("POST", "schedules", schedule)
    done = api.finished(workflow=None, workflowId="wf")
    running = api.run("SELECT gated FROM rows_4")["workflowExecutionId"]
    api.until(running, "RUNNING")
    queued = [api.run("SELECT gated FROM rows_5")["workflowExecutionId"] for _ in range(2)]
    cancelled = api.run("SELECT gated FROM rows_6")["workflowExecutionId"]
    api.reporting("DELETE", f"workflowExecutions/{cancelled}")
    api.control("POST", "clock", {"now": "2027-01-01T00:00:00Z"})
    api._headers = None
    token = dict(api.headers)
    url = api.urls(done["workflowExecutionId"])["downloadUrls"][0]
    content = api.download(url).content
    port = urlsplit(api.url).port

    process.send_signal(signal.SIGKILL)
    process.wait(30)
    with pytest.raises(requests.ConnectionError):
        api.session.get(f"{api.url}/_emulator/health")
    _, again = launch(state, port=port, gate="open")

    assert again.control("GET", "clock")["now"].startswith("2027-01-01T00:")
    assert again.session.get(f"{again.url}/amc/instances", headers=token).status_code == 200, "the token still works"
    assert again.reporting("GET", "workflows").json() == {"workflows": [workflow]}
    assert again.reporting("GET", "schedules/s").json()["workflowId"] == "wf"
    assert again.execution(done["workflowExecutionId"]) == done
    assert again.download(url).content == content, "the signed URL still works"
    assert again.until(running)["status"] == "SUCCEEDED", "a running execution is resumed"
    assert [again.until(one)["status"] for one in queued] == ["SUCCEEDED"] * 2
    assert len(again.rows(running)) == 5
    assert again.execution(cancelled)["status"] == "CANCELLED"


def test_grants_survive(launch, tmp_path):
    from tests.emulator.test_lwa import consent, exchange, returned

    state = tmp_path / "state"
    process, api = launch(state)
    refresh_token = exchange(api, returned(consent(api))["code"]).json()["refresh_token"]
    code = returned(consent(api))["code"]
    process.kill()
    process.wait(30)
    _, again = launch(state)
    assert again.refresh(refresh_token).startswith("Atza|")
    assert exchange(again, code).status_code == 200
    assert exchange(again, code).status_code == 400


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop_leaves_nothing_behind(launch, tmp_path, number):
    process, api = launch()
    api.finished()
    execution_id = api.run("SELECT gated FROM rows_4")["workflowExecutionId"]
    api.until(execution_id, "RUNNING")
    assert len(list(tmp_path.glob("amc-emulator-*"))) == 1
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "stopped\n")
    assert list(tmp_path.glob("amc-emulator-*")) == []


def test_state_directory_is_for_one_emulator_at_a_time(launch, tmp_path):
    from airflow_provider_amc.emulator.server import EmulatorServer
    from airflow_provider_amc.emulator.store import StateDirectoryInUseError

    state = tmp_path / "state"
    launch(state)
    with pytest.raises(StateDirectoryInUseError, match="another emulator"):
        EmulatorServer(port=0, state_dir=state).start()


def test_server_starts_again_on_its_port(served):
    api = served.api
    url = served.server.url
    served.server.stop()
    with pytest.raises(requests.ConnectionError):
        api.session.get(f"{url}/_emulator/health")
    served.server.start()
    assert served.server.url == url
    assert api.control("GET", "health")["status"] == "ok"


def test_port_that_is_taken(served):
    from airflow_provider_amc.emulator.server import EmulatorServer

    port = urlsplit(served.server.url).port
    with pytest.raises(OSError, match=f"Cannot listen on 127.0.0.1:{port}"):
        EmulatorServer(port=port).start()


def test_result_that_was_being_written_is_written_again(serve, tmp_path):
    """A crash between two files must not leave half a result that looks whole."""
    state = tmp_path / "state"
    served = serve(state_dir=state, rows_per_file=2)
    execution_id = served.api.run("SELECT gated FROM rows_3")["workflowExecutionId"]
    served.api.until(execution_id, "RUNNING")
    served.server.stop()
    for name in (execution_id, f"{execution_id}.partial"):
        (state / "results" / name).mkdir(exist_ok=True)
        (state / "results" / name / "stale.csv").write_text("half")
    again = serve(state_dir=state, rows_per_file=2)
    again.engine.gate.set()
    again.api.until(execution_id)
    assert sorted(path.suffix for path in (state / "results" / execution_id).iterdir()) == [".csv", ".csv", ".json"]
    assert not (state / "results" / f"{execution_id}.partial").exists()


@pytest.mark.covers("rule", "loaded rows and faults are kept over a restart")
def test_loaded_rows_and_faults_survive(serve, tmp_path):
    first = serve(state_dir=tmp_path / "state")
    first.server.load_table("dsp_clicks", [{"n": 1}])
    first.server.load_table("dsp_views", [{"n": 1, "t": "2026-01-01T00:00:00"}, {"n": None, "t": None}])
    first.server.load_table("dsp_clicks", [{"n": 2}])
    fault = {"operation": "listWorkflows", "kind": "status", "times": 3, "skip": 2, "probability": 0.9}
    first.server.add_fault(**fault)
    first.api.reporting("GET", "workflows")
    ordered = first.api.control("GET", "faults")["faults"]
    first.server.stop()
    second = serve(state_dir=tmp_path / "state")
    assert second.api.control("GET", "faults")["faults"] == ordered
    assert [(one["kind"], one["calls"]) for one in ordered] == [("status", 1)]
    assert {name: rows.to_pylist() for name, rows in second.engine.tables.items()} == {
        "dsp_clicks": [{"n": 2}],
        "dsp_views": [{"n": 1, "t": "2026-01-01T00:00:00"}, {"n": None, "t": None}],
    }
    second.server.reset()
    second.server.stop()
    third = serve(state_dir=tmp_path / "state")
    assert third.engine.tables == {}
    assert third.api.control("GET", "faults")["faults"] == []


def test_loaded_rows_survive_with_the_real_engine(tmp_path):
    from airflow_provider_amc.emulator.server import EmulatorServer

    settings = {"port": 0, "scale": "tiny", "state_dir": tmp_path / "state", "now": "2026-03-15T10:00:00Z"}
    with EmulatorServer(**settings) as server:
        rows = [{"user_id": user, "impressions": 7} for user in ("a", "b")]
        server.load_table("dsp_impressions", rows)
        server.load_table("my_stores", [{"store": "a", "sales": 1.5}])
    with EmulatorServer(**settings) as server:
        api = Api(server.url)
        done = api.finished("SELECT SUM(impressions) AS n FROM dsp_impressions")
        assert api.rows(done["workflowExecutionId"]) == [["n"], ["14"]]
        done = api.finished("SELECT SUM(sales) AS s FROM my_stores")
        assert api.rows(done["workflowExecutionId"]) == [["s"], ["1.5"]]
        server.reset()
    with EmulatorServer(**settings) as server:
        api = Api(server.url)
        assert api.finished("SELECT SUM(sales) AS s FROM my_stores")["status"] == "REJECTED"


def test_store_reads_records_of_other_versions(tmp_path):
    from airflow_provider_amc.emulator.record import ExecutionRecord

    store = Store(tmp_path / "state.sqlite")
    record = ExecutionRecord("id", "amcemulator", "wf", 1.0, {"sqlQuery": "SELECT 1"}, 0.0, 1.0, "", "", "UTC", True)
    store.add_execution({**record.dump(), "field_of_a_later_version": 1})
    found = store.get_execution("id")
    assert found is not None
    assert ExecutionRecord.load(json.loads(json.dumps(found[1]))) == record
    store.close()


def test_many_executions_leave_little_in_memory(served):
    api = served.api
    ids = [api.run()["workflowExecutionId"] for _ in range(40)]
    wait_for(lambda: api.control("GET", "health")["executions"].get("SUCCEEDED") == len(ids), "all to end")
    assert served.server.emulator.the_runner()._live == {}
