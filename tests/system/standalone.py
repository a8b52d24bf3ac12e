"""A real Airflow for tests: its components as processes, and its REST API.

They are what ``airflow standalone`` starts (API server, scheduler with the LocalExecutor, DAG processor and triggerer),
one by one here: ``standalone`` neither restarts a component nor stops them all when it is ended. Their database is a
PostgreSQL, as in production: over SQLite they lock each other out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psutil
import requests

from tests.conftest import REPOSITORY

T = TypeVar("T")

#: Seconds after which a condition counts as never fulfilled. A machine with other work to do is slow.
PATIENCE = 180.0

_ENDED = {"failed", "success", "skipped", "upstream_failed", "removed"}


def until(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Wait for a condition.

    :param condition: asked again and again until it gives something true, which is returned.
    :param what: what is waited for, for the error.
    :param patience: seconds.
    """
    deadline = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {patience:.0f} s: {what}")
        time.sleep(0.25)
    return found


class Airflow:
    """A running Airflow, as a context manager.

    :param home: folder for everything it writes.
    :param dags: folder of the DAG files.
    :param database: address of an empty database, as SQLAlchemy's.
    :param settings: further environment variables, such as connections.
    """

    def __init__(self, home: Path, dags: Path, database: str, settings: Mapping[str, str]) -> None:
        self.home = home
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        self.environment = {**inherited, **self._settings(dags, database), **settings}
        self._processes: dict[str, psutil.Popen] = {}
        self._token = ""

    def _settings(self, dags: Path, database: str) -> dict[str, str]:
        values = {
            "CORE__DAGS_FOLDER": dags,
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": 4,
            "CORE__FERNET_KEY": "",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            # Each component would make up its own.
            "API__SECRET_KEY": secrets.token_hex(16),
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "DATABASE__SQL_ALCHEMY_CONN": database,
            "LOGGING__BASE_LOG_FOLDER": self.home / "logs",
            "DAG_PROCESSOR__PARSING_PROCESSES": 1,
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
            # A task that was ended by a user is noticed with its next heartbeat.
            "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
            # The waits of a triggerer that died are taken over by the next one after this time.
            "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 5,
            "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
            "USAGE_DATA_COLLECTION__ENABLED": False,
            "AMC__POLL_INTERVAL": 1,
            "AMC__DEPLOYMENT_NAME": "system-test",
        }
        settings = {f"AIRFLOW__{name}": str(value) for name, value in values.items()}
        return {**settings, "AIRFLOW_HOME": str(self.home), "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"}

    def __enter__(self) -> Airflow:
        try:
            self.run("airflow", "db", "migrate")
            self._start("api-server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1")
            self._start("scheduler", "--skip-serve-logs")
            self._start("dag-processor")
            self.start_triggerer()
            until(self._is_healthy, "every component is healthy")
            self._token = requests.get(f"{self.url}/auth/token", timeout=60).json()["access_token"]
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- processes -----------------------------------------------------------------------------------------------

    def run(self, module: str, *arguments: str) -> str:
        """Run a command to its end, in the environment of this Airflow, and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{module} {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def _start(self, name: str, *arguments: str) -> None:
        with (self.home / f"{name}.out").open("ab") as output:
            self._processes[name] = psutil.Popen(
                [sys.executable, "-m", "airflow", name, *arguments],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_triggerer(self) -> None:
        """Start the triggerer."""
        self._start("triggerer", "--skip-serve-logs")

    def end_triggerer(self, how: signal.Signals) -> None:
        """End the triggerer and wait until it is gone.

        :param how: ``SIGTERM`` lets it put its things in order; ``SIGKILL`` ends it with all its processes at once.
        """
        triggerer = self._processes.pop("triggerer")
        if how == signal.SIGKILL:
            _kill(triggerer)
        else:
            triggerer.send_signal(how)
            triggerer.wait(PATIENCE)

    def stop(self) -> None:
        """End every process that was started, with what it has started itself."""
        for process in self._processes.values():
            _kill(process)
        self._processes.clear()

    def _is_healthy(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, f"{name} has ended: {self.output(name)}"
        try:
            components = requests.get(f"{self.url}/api/v2/monitor/health", timeout=60).json()
        except requests.RequestException:
            return False
        return all(
            components.get(name, {}).get("status") == "healthy"
            for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")
        )

    def output(self, name: str) -> str:
        """The end of what a component has printed."""
        return (self.home / f"{name}.out").read_text(errors="replace")[-4000:]

    # --- REST API ------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call the REST API.

        :param path: behind ``/api/v2/``.
        :returns: the answer.
        """
        answer = requests.request(
            method,
            f"{self.url}/api/v2/{path}",
            json=body,
            params=query,
            headers={"Authorization": f"Bearer {self._token}", "Accept": "application/json"},
            timeout=PATIENCE,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def has_dag(self, dag_id: str) -> bool:
        """Has the DAG been parsed?"""
        errors = self.call("GET", "importErrors")["import_errors"]
        assert not errors, errors
        return any(dag["dag_id"] == dag_id for dag in self.call("GET", "dags", limit=100)["dags"])

    def trigger(self, dag_id: str, logical_date: str | None = None) -> Task:
        """Start a run of a DAG whose only task is ``query``."""
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": logical_date})
        return Task(self, dag_id, run["dag_run_id"])


@dataclass(frozen=True)
class Task:
    """A task instance.

    :param map_index: its number among mapped ones.
    """

    airflow: Airflow
    dag_id: str
    run_id: str
    map_index: int = -1

    @property
    def _path(self) -> str:
        return f"dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/query"

    @property
    def _mapped(self) -> str:
        return self._path if self.map_index < 0 else f"{self._path}/{self.map_index}"

    def look(self) -> dict[str, Any]:
        """The task instance as it is."""
        found: dict[str, Any] = self.airflow.call("GET", self._mapped)
        return found

    def reaches(self, state: str) -> dict[str, Any]:
        """Wait for a state, and return the task instance."""

        def reached() -> dict[str, Any] | None:
            found = self.look()
            assert found["state"] == state or found["state"] not in _ENDED, f"{self}: {found['state']}, not {state}"
            return found if found["state"] == state else None

        return until(reached, f"{self} is {state}")

    def run_reaches(self, state: str) -> None:
        """Wait for a state of its run."""
        path = f"dags/{self.dag_id}/dagRuns/{self.run_id}"
        until(lambda: self.airflow.call("GET", path)["state"] == state, f"the run of {self} is {state}")

    def exists(self) -> bool:
        """Has a mapped task been expanded so far?"""
        listed = self.airflow.call("GET", f"{self._path}/listMapped")["task_instances"]
        return any(found["map_index"] == self.map_index for found in listed)

    def mark(self, state: str) -> None:
        """Set the state, as a user does."""
        self.airflow.call("PATCH", self._mapped, {"new_state": state})

    def clear(self) -> None:
        """Clear it, as a user does."""
        body = {"dry_run": False, "only_failed": False, "task_ids": ["query"], "dag_run_id": self.run_id}
        self.airflow.call("POST", f"dags/{self.dag_id}/clearTaskInstances", body)

    def result(self) -> Any:
        """What it has returned."""
        return self.airflow.call("GET", f"{self._path}/xcomEntries/return_value", map_index=self.map_index)["value"]

    def log(self, try_number: int = 1) -> list[str]:
        """What its log says, one event a line."""
        query = {"map_index": self.map_index, "full_content": True}
        content = self.airflow.call("GET", f"{self._path}/logs/{try_number}", **query)["content"]
        return [line if isinstance(line, str) else _line(line) for line in content]

    def __str__(self) -> str:
        return self.dag_id if self.map_index < 0 else f"{self.dag_id}[{self.map_index}]"


def _line(entry: Mapping[str, Any]) -> str:
    level, event = entry.get("level") or "", entry.get("event")
    detail = "".join(f" {error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ())
    return f"{level:7} {event}{detail}"


def _kill(process: psutil.Popen) -> None:
    """End a process and all that it has started, some of it in sessions of their own."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=30)
