"""The plugin in the project of a user: isolation, settings, mistakes, and nothing for those who do not use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.users import PLUGIN, pytest_of_a_user

HEAVY = ["airflow", "duckdb", "starlette", "numpy", "pandas", "pyarrow", "requests", "sqlglot", "uvicorn"]

CONFTEST = """
import json
import os
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def amc_emulator_settings():
    return {"now": "2026-03-11T06:00:00Z", "scale": "tiny"}


@pytest.fixture(autouse=True)
def note(request):
    emulator = request.getfixturevalue("amc_emulator")
    with (HERE / f"servers-{os.getpid()}").open("a") as file:
        print(json.dumps([emulator.server.config.seed, emulator.url]), file=file)


def pytest_unconfigure():
    (HERE / f"threads-{os.getpid()}").write_text(json.dumps([thread.name for thread in threading.enumerate()]))
"""

ISOLATION = """
import os

import pytest

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


@pytest.mark.parametrize("number", range(4))
def test_every_test_begins_with_nothing(amc_emulator, number):
    assert amc_emulator.requests == []
    assert amc_emulator.faults.list() == []
    assert f"{amc_emulator.clock.now():%Y-%m-%dT%H}" == "2026-03-11T06"
    assert list(amc_emulator.client.workflows.list()) == []
    assert list(amc_emulator.client.executions.list(min_creation_time="2020-01-01T00:00:00")) == []

    amc_emulator.client.workflows.create(workflow_id="mine", sql_query=SQL)
    rows = [{"user_id": user, "campaign": "Mine", "impressions": 1} for user in "abc"]
    amc_emulator.load_table("dsp_impressions", rows)
    assert amc_emulator.query(SQL) == [{"campaign": "Mine", "impressions": 3}]
    amc_emulator.faults.add(operation="getWorkflow", kind="status", status=503, times=None)
    amc_emulator.clock.advance(hours=5)


def test_rows_of_a_test_are_gone_in_the_next(amc_emulator):
    assert "Mine" not in {row["campaign"] for row in amc_emulator.query(SQL)}
    amc_emulator.load_table("dsp_impressions", [])
    assert amc_emulator.query(SQL) == []


def test_the_variable_is_set_on_request_only(amc_emulator):
    assert "AIRFLOW_CONN_AMC_DEFAULT" not in os.environ


def test_the_connection_of_airflow(amc_default, amc_emulator):
    assert amc_default is amc_emulator
    assert os.environ["AIRFLOW_CONN_AMC_DEFAULT"] == amc_emulator.airflow_connection


@pytest.mark.amc_emulator(seed=11, extra_instances=1)
class TestOther:
    def test_settings_of_a_class(self, amc_emulator):
        config = amc_emulator.server.config
        assert (config.seed, config.extra_instances, config.scale) == (11, 1, "tiny")

    @pytest.mark.amc_emulator(seed=12)
    def test_the_closest_marker_wins(self, amc_emulator):
        config = amc_emulator.server.config
        assert (config.seed, config.extra_instances, config.scale) == (12, 1, "tiny")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def outcome(run: subprocess.CompletedProcess[str]) -> str:
    """The last line of pytest's report."""
    lines = run.stdout.strip().splitlines()
    assert lines, run.stderr
    return lines[-1]


def test_tests_do_not_see_each_other(project: Path, tmp_path: Path) -> None:
    (project / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (project / "test_isolation.py").write_text(ISOLATION, encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    run = pytest_of_a_user(project, "-W", "error", "-p", "xdist", "-n", "2", TMPDIR=str(temporary))
    assert "9 passed" in outcome(run), run.stdout

    processes = list(project.glob("servers-*"))
    assert len(processes) == 2
    for process in processes:
        lines = {tuple(json.loads(line)) for line in process.read_text().splitlines()}
        # One server for each set of settings, however many tests there were.
        assert len(lines) == len({seed for seed, _ in lines}) == len({url for _, url in lines})
    for file in project.glob("threads-*"):
        mine = [name for name in json.loads(file.read_text()) if name.startswith(("amc", "asyncio", "ThreadPool"))]
        assert mine == []
    assert [path for path in temporary.iterdir() if not path.name.startswith("pytest-of")] == []


MISTAKES = """
import pytest


@pytest.mark.amc_emulator(sed=3)
def test_unknown(amc_emulator): ...


@pytest.mark.amc_emulator(speed="fast")
def test_wrong(amc_emulator): ...


@pytest.mark.amc_emulator(3)
def test_nameless(amc_emulator): ...


@pytest.mark.amc_emulator(state_dir="state")
def test_kept(amc_emulator): ...
"""


def test_mistakes_are_named(project: Path) -> None:
    (project / "test_mistakes.py").write_text(MISTAKES, encoding="utf-8")
    run = pytest_of_a_user(project, "--strict-markers")
    assert "4 errors" in outcome(run), run.stdout
    for message in (
        "'sed' is no setting of the AMC emulator; the settings are host, port, seed,",
        "Wrong settings of the AMC emulator: speed must be one of instant, realistic, not 'fast'.",
        "@pytest.mark.amc_emulator takes settings by name, such as seed=11; got (3,)",
        "start an EmulatorServer(port=0, state_dir=...) in the test instead",
    ):
        assert message in run.stdout
    assert "Traceback" not in run.stdout


def test_the_missing_extra_is_named(project: Path) -> None:
    (project / "conftest.py").write_text(
        "import sys\nsys.modules.update(dict.fromkeys(['duckdb', 'uvicorn']))\n", encoding="utf-8"
    )
    (project / "test_one.py").write_text("def test_one(amc_emulator): ...\n", encoding="utf-8")
    run = pytest_of_a_user(project)
    assert "1 error" in outcome(run)
    assert "The emulator needs duckdb, uvicorn: pip install 'airflow-provider-amc[emulator]'" in run.stdout


def test_a_run_that_does_not_use_it_loads_nothing(project: Path) -> None:
    (project / "test_nothing.py").write_text(
        f"import sys\n\ndef test_nothing():\n    heavy = {HEAVY!r}\n"
        "    assert [name for name in heavy if name in sys.modules] == []\n"
        "    ours = [name for name in sys.modules if name.startswith('airflow_provider_amc')]\n"
        f"    assert sorted(ours) == ['airflow_provider_amc', {PLUGIN!r}]\n",
        encoding="utf-8",
    )
    run = pytest_of_a_user(project)
    assert "1 passed" in outcome(run), run.stdout


def test_the_plugin_imports_nothing_beyond_pytest() -> None:
    script = (
        f"import sys, pytest\nbefore = set(sys.modules)\nimport {PLUGIN}\nprint(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert found == ["airflow_provider_amc", PLUGIN]
