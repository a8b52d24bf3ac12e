"""``make demo``: does it end with rows, and does it leave nothing running, whatever happens?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

from tests.scripts.loading import SCRIPTS, load_script

pytestmark = [pytest.mark.packaging, pytest.mark.system]


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes through /proc")


def start_demo(work: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPTS / "demo.py", "--work-dir", work],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def processes_that_mention(path: Path) -> list[str]:
    """Command lines and environments of living processes that hold a path, as every child of a demo does."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if str(path).encode() in text and int(entry.name) != os.getpid():
                found.append(text.decode(errors="replace"))
        except OSError:
            continue  # ended meanwhile, or another user's
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    work = tmp_path_factory.mktemp("finished")
    process = start_demo(work)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return work, output


def test_the_steps_are_told_in_order(finished: tuple[Path, str]) -> None:
    steps = re.findall(r"^\S+  (\w+) +(running|deferred|done)", finished[1], re.MULTILINE)
    assert steps == [
        ("create_workflow", "running"),
        ("create_workflow", "done"),
        ("run_workflow", "running"),
        ("run_workflow", "deferred"),
        *([("run_workflow", "running")] if ("run_workflow", "running") in steps[3:] else []),
        ("run_workflow", "done"),
        ("land_in_s3", "running"),
        ("land_in_s3", "done"),
        ("load_into_table", "running"),
        ("load_into_table", "done"),
    ]


def test_the_results_are_shown(finished: tuple[Path, str]) -> None:
    work, output = finished
    assert re.search(r"amc/workflow=campaign_reach/window_start=\S+/window_end=\S+/part-00000-[0-9a-f]{8}\.csv", output)
    assert "_manifest.json" in output
    with duckdb.connect(str(work / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT campaign, reach FROM campaign_reach").fetchall()
    assert f"of {len(rows)} rows" in output
    assert sum(campaign in output for campaign, _ in rows) >= min(len(rows), 10)


@needs_proc
def test_nothing_is_left_running(finished: tuple[Path, str]) -> None:
    assert processes_that_mention(finished[0]) == []


@needs_proc
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_everything(tmp_path: Path, sign: signal.Signals, code: int) -> None:
    process = start_demo(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "S3 at" in line:
            break
    assert len(processes_that_mention(tmp_path)) >= 3
    process.send_signal(sign)
    rest, _ = process.communicate()
    assert process.returncode == code
    assert "nothing was left running" in rest
    assert processes_that_mention(tmp_path) == []


# --- the parts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo() -> ModuleType:
    return load_script("demo")


@pytest.fixture
def child_env() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}


def test_a_second_demo_in_the_same_place_is_refused(demo: ModuleType, tmp_path: Path) -> None:
    with (
        demo.Places(tmp_path).ours(),
        pytest.raises(demo.DemoError, match="Another demo is running"),
        demo.Places(tmp_path).ours(),
    ):
        pass


def test_a_program_that_ends_at_once_is_reported(demo: ModuleType, tmp_path: Path, child_env: dict[str, str]) -> None:
    command = ["sh", "-c", "echo 'OSError: port taken'; exit 3"]
    with demo.running(command, tmp_path / "server.log", child_env) as child, pytest.raises(demo.DemoError) as caught:
        child.wait_for("ready at (.*)")
    message = str(caught.value)
    assert "server ended with exit code 3 instead of starting" in message
    assert "OSError: port taken" in message
    assert str(tmp_path / "server.log") in message


def test_a_failed_task_ends_the_demo_with_its_error(
    demo: ModuleType, tmp_path: Path, child_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "task_states", lambda database: [("run_workflow", "up_for_retry")])
    script = "echo 'Traceback'; echo 'airflow_provider_amc.exceptions.AmcThrottledError: too fast'; exec sleep 600"
    with demo.running(["sh", "-c", script], tmp_path / "dag.log", child_env) as child:
        child.wait_for("(too fast)")
        with pytest.raises(demo.DemoError, match="the task run_workflow failed") as caught:
            demo.watch(child, tmp_path / "airflow.db", "http://unused.invalid")
    assert "AmcThrottledError: too fast" in str(caught.value)
    assert child.process.poll() is not None


def wait_for_end(process: int, deadline: float = 60.0) -> None:
    end = time.monotonic() + deadline
    while _runs(process):
        assert time.monotonic() < end, f"{process} goes on"
        time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_a_child_started_ends_with_it(demo: ModuleType, tmp_path: Path, child_env: dict[str, str]) -> None:
    script = "sleep 600 & echo child is $!; wait"
    with demo.running(["sh", "-c", script], tmp_path / "server.log", child_env) as child:
        grandchild = int(child.wait_for(r"child is (\d+)"))
    # It has been told to end, which takes the system a moment.
    wait_for_end(grandchild)


def test_the_environment_leads_to_no_other_airflow(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", "real")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production/airflow")
    monkeypatch.setenv("AWS_PROFILE", "production")
    env = demo.base_environment(demo.Places(tmp_path))
    assert "AIRFLOW_CONN_AMC_DEFAULT" not in env
    assert "AWS_PROFILE" not in env
    assert env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith(f"{tmp_path}/airflow/airflow.db")
    assert env["AIRFLOW_HOME"] == str(tmp_path / "airflow")
