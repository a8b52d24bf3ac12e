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
import shutil
import signal
import sqlite3
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from children import START_PATIENCE, Child, DemoError, running, ticks
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

DAG_ID = "example_amc_to_s3_and_warehouse"
TABLE = "campaign_reach"
BUCKET = "amc-results"
ROWS_SHOWN = 10
#: Seconds the run may take; it should take half a minute.
RUN_PATIENCE = 240.0
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

#: A file or a pipe has no width; in a terminal, long values are folded to fit.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


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
    def migrated(self) -> Path:
        """A copy of the database as migration leaves it, which spares the next demo the migration."""
        return self.work / f"migrated-{version('apache-airflow')}.db"

    def restore_migrated(self) -> bool:
        """Use the copy, if there is one."""
        if self.migrated.exists():
            shutil.copy(self.migrated, self.database)
            return True
        return False

    def keep_migrated(self) -> None:
        """Make the copy."""
        copy = self.migrated.with_suffix(".new")
        shutil.copy(self.database, copy)
        copy.replace(self.migrated)

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
    # "airflow dags test" has no triggerer: it runs a deferred task's trigger itself, and calls the task queued meanwhile.
    query = (
        "SELECT task_id, CASE WHEN state = 'queued' AND next_method IS NOT NULL THEN 'deferred' ELSE state END "
        "FROM task_instance WHERE dag_id = ? AND state IS NOT NULL ORDER BY start_date IS NULL, start_date"
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
        for task, state in task_states(database):
            if told.get(task) != state and state in STORIES:
                if task not in told and state != "running":
                    step(f"{task:16} {STORIES['running']}")  # between two looks
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
    with contextlib.ExitStack() as started:
        emulator = started.enter_context(running(emulate, places.logs / "emulator.log", env))
        s3 = started.enter_context(running([BIN / "moto_server", "--port", "0"], places.logs / "s3.log", env))
        migrate = None
        if not places.restore_migrated():
            migrate = started.enter_context(running([*airflow, "db", "migrate"], places.logs / "migrate.log", env))
        amc_url = emulator.wait_for(r"AMC emulator\s+(http://\S+)")
        step(f"AMC emulator at {amc_url}")
        s3_url = s3.wait_for(r"Running on (http://\S+)")
        client = s3_client(s3_url)
        client.create_bucket(Bucket=BUCKET)
        step(f"S3 at {s3_url}, bucket {BUCKET}")
        if migrate:
            migrate.finish(START_PATIENCE)
            places.keep_migrated()
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
