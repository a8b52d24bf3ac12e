"""Run the first example DAG on this machine alone, and show what happens.

Starts a local AMC (``amc emulator``) and a local S3 (``moto_server``) on free ports, makes an Airflow metadata database
(SQLite), runs the DAG with deferral, and prints the S3 objects and the first rows of the DuckDB table. Everything it
makes is in ``.demo/``; everything it starts is stopped at the end, also after Ctrl-C or a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

DAG_ID = "example_amc_to_s3_and_warehouse"
TABLE = "campaign_reach"
BUCKET = "amc-results"
ROWS_SHOWN = 10
#: Seconds; each wait ends earlier, as soon as there is an answer.
START_PATIENCE, RUN_PATIENCE, STOP_PATIENCE = 90.0, 240.0, 10.0
#: While the run waits for AMC: every so many seconds, move AMC's clock on by so many seconds.
ADVANCE_EVERY, ADVANCE_BY = 4.0, 900

#: What a task's state says to somebody who does not know Airflow. Other states pass in a moment and are not shown.
STORIES = {
    "running": "running on a worker",
    "deferred": "deferred: it waits for AMC and holds no worker",
    "success": "[green]done[/green]",
    "failed": "[red]failed[/red]",
    "up_for_retry": "[red]failed[/red]",
}
FAILURES = ("failed", "up_for_retry")

#: Lines of Airflow's log that name an error, as Python ends a traceback.
ERROR_LINE = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Failure)\b.*", re.MULTILINE)

#: A file or a pipe has no width; in a terminal, long values are folded to fit.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


class DemoError(Exception):
    """What went wrong, and where to read more."""


def step(text: str) -> None:
    """Show a step as it happens."""
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim]  {text}")


@dataclass(frozen=True)
class Places:
    """Where the demo keeps things.

    :param work: directory for everything it makes.
    """

    work: Path

    @property
    def airflow_home(self) -> Path:
        """Airflow's configuration and logs."""
        return self.work / "airflow"

    @property
    def database(self) -> Path:
        """Airflow's metadata database."""
        return self.airflow_home / "airflow.db"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file with the loaded table; stays after the demo."""
        return self.work / "warehouse.duckdb"

    @property
    def logs(self) -> Path:
        """What the processes print."""
        return self.work / "logs"

    def clean(self) -> None:
        """Begin with nothing of an earlier run."""
        for path in (self.airflow_home, self.logs):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        for path in self.work.glob(f"{self.warehouse.name}*"):
            path.unlink()

    @contextlib.contextmanager
    def ours(self) -> Iterator[None]:
        """Refuse a second demo in the same directory, which would delete the files of the first."""
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DemoError(f"Another demo is running in {self.work}.") from error
            yield


# --- processes -------------------------------------------------------------------------------------------------------


@dataclass
class Child:
    """A process of the demo, in a process group of its own, so that Ctrl-C reaches the demo alone.

    :param command: program and arguments.
    :param log: where its output goes; the file's name is the process's in messages.
    :param env: its environment.
    """

    command: list[str | Path]
    log: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask it to end, then make it end, together with what it started."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_PATIENCE)

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def fail(self, what: str) -> NoReturn:
        """Raise with what its log says about it: its last error, or else its last lines."""
        output = self.output()
        errors = ERROR_LINE.findall(output)
        words = errors[-1:] or output.splitlines()[-10:]
        raise DemoError("\n".join([f"{self.log.stem} {what}.", *words, f"The whole log is {self.log}"]))

    def finish(self, patience: float) -> None:
        """Wait until it has ended well."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.fail(f"took longer than {patience:.0f} seconds")
        if code:
            self.fail(f"ended with exit code {code}")

    def wait_for(self, pattern: str) -> str:
        """Wait until its output has a match.

        :param pattern: regular expression with one group.
        :returns: what the group matched.
        """
        for _ in ticks(START_PATIENCE):
            if match := re.search(pattern, self.output()):
                return match.group(1)
            if self.process.poll() is not None:
                self.fail(f"ended with exit code {self.process.returncode} instead of starting")
        self.fail(f"did not start within {START_PATIENCE:.0f} seconds")


@contextlib.contextmanager
def running(command: list[str | Path], log: Path, env: dict[str, str]) -> Iterator[Child]:
    """Run a process for as long as the block lasts."""
    child = Child(command, log, env)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def ticks(patience: float) -> Iterator[float]:
    """Look again and again, five times a second, for so many seconds."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < patience:
        yield passed
        time.sleep(0.2)


# --- the environment of the run --------------------------------------------------------------------------------------


def base_environment(places: Places) -> dict[str, str]:
    """The caller's environment without what could lead to another Airflow, another AWS account or through a proxy."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "AWS_")) and name not in ("PYTHONPATH", "MOTO_PORT")
    }
    env["PATH"] = os.pathsep.join([str(BIN), env.get("PATH", "")])
    env["NO_PROXY"] = env["no_proxy"] = "127.0.0.1,localhost"
    return env | {
        "AIRFLOW_HOME": str(places.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{places.database}",
        "AIRFLOW__AMC__POLL_INTERVAL": "2",
        "PYTHONUNBUFFERED": "1",
    }


def control(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call a control endpoint of the emulator: GET, or POST when there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - our own server
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def s3_connection(url: str) -> dict[str, Any]:
    """The local S3 as an Airflow connection; it takes any credentials."""
    extra = {"endpoint_url": url, "region_name": "us-east-1", "config_kwargs": {"s3": {"addressing_style": "path"}}}
    return {"conn_type": "aws", "login": "local", "password": "local-secret", "extra": extra}


def s3_client(url: str) -> Any:
    """A client of the local S3."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local-secret",  # noqa: S106 - the local S3 takes anything
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


# --- watching and reporting ------------------------------------------------------------------------------------------


def task_states(database: Path) -> list[tuple[str, str]]:
    """State of every task of the run, from Airflow's database, in the order they began."""
    query = (
        "SELECT task_id, state FROM task_instance WHERE dag_id = ? AND state IS NOT NULL "
        "ORDER BY start_date IS NULL, start_date"
    )
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return [(str(task), str(state)) for task, state in connection.execute(query, (DAG_ID,))]


def watch(dag: Child, database: Path, amc_url: str) -> None:
    """Tell the story of the run until it ends.

    AMC takes minutes for a run, and so does the emulator. It has a clock of its own, so the demo need not wait.

    :raises DemoError: a task failed. Airflow would try it again after some minutes, a demo does not wait for that.
    """
    told: dict[str, str] = {}
    advance_at = 0.0
    for passed in ticks(RUN_PATIENCE):
        ended = dag.process.poll() is not None
        for task, found in task_states(database):
            # "airflow dags test" has no triggerer: it runs the trigger itself, and calls the task queued meanwhile.
            state = "deferred" if found == "queued" and told.get(task) in ("running", "deferred") else found
            if told.get(task) != state and state in STORIES:
                told[task] = state
                step(f"{task:16} {STORIES[state]}")
            if state in FAILURES:
                dag.fail(f"stopped, because the task {task} failed")
            if state == "deferred" and passed >= advance_at:
                advance_at = passed + ADVANCE_EVERY
                control(f"{amc_url}/_emulator/clock", {"advance_seconds": ADVANCE_BY})
                step(f"{'':16} [dim]moved the clock of the local AMC on by {ADVANCE_BY // 60} minutes[/dim]")
        if ended:
            dag.finish(0)
            return
    dag.fail(f"took longer than {RUN_PATIENCE:.0f} seconds")


def show_requests(emulator: str) -> None:
    """What the provider asked of AMC."""
    entries = control(f"{emulator}/_emulator/requests")["requests"]
    counts = Counter((entry.get("operation") or entry["path"], entry["status"]) for entry in entries)
    table = Table(title="Requests that AMC received", title_justify="left")
    for column in ("operation", "HTTP status", "times"):
        table.add_column(column)
    for (operation, status), times in counts.items():
        table.add_row(str(operation), str(status), str(times))
    console.print(table)


def show_objects(client: Any) -> None:
    """What landed in S3."""
    objects = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    if not objects:
        raise DemoError(f"No object is in the bucket {BUCKET}.")
    table = Table(title=f"Objects in s3://{BUCKET}", title_justify="left")
    table.add_column("key", overflow="fold")
    table.add_column("bytes", justify="right")
    for item in objects:
        table.add_row(item["Key"], f"{item['Size']:,}")
    console.print(table)


def show_rows(warehouse: Path) -> None:
    """What was loaded into the table."""
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True) as connection:
        (total,) = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone() or (0,)  # noqa: S608 - a constant
        rows = connection.execute(f"SELECT * FROM {TABLE} LIMIT {ROWS_SHOWN}")  # noqa: S608
        names = [column[0] for column in rows.description or []]
        values = rows.fetchall()
    own = [index for index, name in enumerate(names) if not name.startswith("_")]
    added = [name for name in names if name.startswith("_")]
    if not total:
        raise DemoError(f"The table {TABLE} is empty.")
    table = Table(title=f"Table {TABLE}: the first {len(values)} of {total} rows", title_justify="left")
    table.caption, table.caption_justify = f"and {', '.join(added)}: where the row comes from", "left"
    for index in own:
        numeric = all(isinstance(row[index], (int, float, Decimal)) for row in values)
        table.add_column(names[index], justify="right" if numeric else "left")
    for row in values:
        table.add_row(*("NULL" if row[index] is None else str(row[index]) for index in own))
    console.print(table)


# --- the demo --------------------------------------------------------------------------------------------------------


def demo(places: Places) -> None:
    """Run the demo.

    :param places: where to keep things.
    :raises DemoError: something did not work.
    """
    places.clean()
    env = base_environment(places)
    airflow: list[str | Path] = [sys.executable, "-m", "airflow"]
    emulate: list[str | Path] = [BIN / "amc", "emulator", "--port", "0", "--speed", "realistic"]
    step("starting a local AMC and a local S3, and making Airflow's database")
    with (
        running([*airflow, "db", "migrate"], places.logs / "migrate.log", env) as migrate,
        running(emulate, places.logs / "emulator.log", env) as emulator,
        running([BIN / "moto_server", "--port", "0"], places.logs / "s3.log", env) as s3,
    ):
        amc_url = emulator.wait_for(r"AMC emulator\s+(http://\S+)")
        step(f"AMC emulator at {amc_url}")
        s3_url = s3.wait_for(r"Running on (http://\S+)")
        client = s3_client(s3_url)
        client.create_bucket(Bucket=BUCKET)
        step(f"S3 at {s3_url}, bucket {BUCKET}")
        migrate.finish(START_PATIENCE)
        step("Airflow's database is ready")

        env |= {
            "AIRFLOW_CONN_AMC_DEFAULT": json.dumps(control(f"{amc_url}/_emulator/connection")),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(s3_connection(s3_url)),
            "AIRFLOW_CONN_WAREHOUSE_DEFAULT": json.dumps({"conn_type": "duckdb", "host": str(places.warehouse)}),
            "AMC_EXAMPLE_BUCKET": BUCKET,
        }
        with running([*airflow, "dags", "test", DAG_ID], places.logs / "dag.log", env) as dag:
            step(f"running the DAG {DAG_ID}; Airflow's log is {dag.log}")
            watch(dag, places.database, amc_url)
        console.print()
        show_requests(amc_url)
        show_objects(client)
        show_rows(places.warehouse)


def leave(signum: int, frame: FrameType | None) -> NoReturn:
    """On a signal: leave through every ``finally``, so that nothing stays behind."""
    raise SystemExit(128 + signum)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line.

    :param argv: arguments, ``None`` for the process's own.
    :returns: exit code: 0 when the rows are in the table.
    """
    parser = argparse.ArgumentParser(description="Run the first example DAG on this machine alone.")
    parser.add_argument("--work-dir", type=Path, default=ROOT / ".demo", help="where to keep things; default .demo")
    places = Places(parser.parse_args(argv).work_dir.absolute())
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, leave)
    start = time.monotonic()
    try:
        with places.ours():
            demo(places)
    except DemoError as error:
        console.print("[red]The demo failed:[/red]", end=" ")
        console.print(str(error), markup=False)
        return 1
    except SystemExit as stop:
        console.print("Stopped; nothing was left running.")
        return int(stop.code or 0)
    console.print(f"\nDone in {time.monotonic() - start:.0f} seconds; everything that was started is stopped.")
    console.print(f"The table stays in {places.warehouse}, the logs are in {places.logs}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
