"""One way to land a result, in a process of its own: ``python -m benchmarks.landing_ways WAY TASK``.

The task is a JSON object: ``url`` of the server, ``columns`` of the result, ``folder`` to write to, ``files``, the results
as local files by execution id, ``psql``, the program, and ``database``, the address of a PostgreSQL server. Each way is taken twice, first with a result of a few
rows, so that what it imports and connects to is there, then with the real one, timed and weighed. Prints ``seconds`` and
``memory``, the megabytes that the process grew by at its peak, as one line of JSON.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

BUCKET = "landing"
TABLE = "landed"
#: What databases call the types of the columns.
SQL = {"LONG": "BIGINT", "DECIMAL": "DECIMAL(38,17)", "DOUBLE": "DOUBLE PRECISION", "STRING": "TEXT", "DATE": "DATE"}


class Ways:
    """The ways, each a method that lands one execution.

    :param task: see the module's text.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self._url = task["url"]
        self._columns = task["columns"]
        self._folder = Path(task["folder"])
        self._files = {name: [Path(path) for path in paths] for name, paths in task["files"].items()}
        self._psql = task["psql"]
        self._database = task["database"]

    def amc_to_s3(self, execution: str) -> None:
        """Ours: CSV to S3."""
        from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator

        AmcToS3Operator(
            task_id="land", workflow_execution_id=execution, s3_bucket=BUCKET, s3_prefix=f"ours/{execution}"
        ).execute({})

    def http_to_s3(self, execution: str) -> None:
        """Airflow's own operator, for the first file."""
        from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator

        HttpToS3Operator(
            task_id="land", endpoint=f"files/{execution}/0.csv", method="GET", s3_bucket=BUCKET,
            s3_key=f"http/{execution}.csv", replace=True,
        ).execute({})  # fmt: skip

    def copy_loop(self, execution: str) -> None:
        """One file after another, from requests into boto3, without a check."""
        import requests
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        client = S3Hook().get_conn()
        for number in range(len(self._files[execution])):
            with requests.get(f"{self._url}/files/{execution}/{number}.csv", stream=True, timeout=60) as response:
                client.upload_fileobj(response.raw, BUCKET, f"loop/{execution}/{number}.csv")

    def amc_to_parquet(self, execution: str) -> None:
        """Ours: Parquet to a folder."""
        from airflow_provider_amc.transfers.amc_to_object_storage import AmcToObjectStorageOperator

        AmcToObjectStorageOperator(
            task_id="land",
            workflow_execution_id=execution,
            path=f"file://{self._folder}/{execution}",
            file_format="parquet",
        ).execute({})

    def pandas_to_parquet(self, execution: str) -> None:
        """The address into pandas, and from there into Parquet."""
        self._frame(execution).to_parquet(self._folder / f"{execution}.parquet", compression="zstd", index=False)

    def pyarrow_to_parquet(self, execution: str) -> None:
        """pyarrow from end to end, batch after batch, without a check."""
        import pyarrow.csv as pa_csv
        import pyarrow.parquet as pq
        import requests

        with requests.get(f"{self._url}/files/{execution}/0.csv", stream=True, timeout=60) as response:
            options = pa_csv.ConvertOptions(column_types=self._arrow_types())
            with (
                pa_csv.open_csv(response.raw, convert_options=options) as reader,
                pq.ParquetWriter(self._folder / f"{execution}.parquet", reader.schema, compression="zstd") as writer,
            ):
                for batch in reader:
                    writer.write_batch(batch)

    def amc_to_postgres(self, execution: str) -> None:
        """Ours: a new table of PostgreSQL."""
        self._load(execution, "postgres_default", f"{TABLE}_{uuid4().hex}")

    def amc_to_existing(self, execution: str) -> None:
        """Ours: a table of PostgreSQL that others may be reading."""
        self._load(execution, "postgres_default")

    def pandas_to_postgres(self, execution: str) -> None:
        """The address into pandas, and from there into the table."""
        from sqlalchemy import create_engine

        engine = create_engine(self._database)
        self._frame(execution).to_sql(f"{TABLE}_by_pandas", engine, if_exists="replace", index=False)
        engine.dispose()

    def psql(self, execution: str) -> None:
        r"""``\copy`` of a local file into the table."""
        names = ", ".join(f"{column['name']} {SQL[column['dataType']]}" for column in self._columns)
        copy = rf"\copy {TABLE}_by_psql FROM '{self._files[execution][0]}' WITH (FORMAT csv, HEADER)"
        create = f"CREATE TABLE IF NOT EXISTS {TABLE}_by_psql ({names})"
        subprocess.run([self._psql, self._database, "-q", "-c", create, "-c", copy], check=True)

    def amc_to_duckdb(self, execution: str) -> None:
        """Ours: a table of DuckDB."""
        self._load(execution, "duckdb_default")

    def duckdb_read_csv(self, execution: str) -> None:
        """DuckDB's own reader of a local file, with the types."""
        import duckdb

        types = {column["name"]: SQL[column["dataType"]] for column in self._columns}
        with duckdb.connect(str(self._folder / "peer.duckdb")) as connection:
            names = ", ".join(f"{name} {kind}" for name, kind in types.items())
            connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({names})")
            path = self._files[execution][0]
            connection.execute(f"INSERT INTO {TABLE} SELECT * FROM read_csv('{path}', header=true, columns={types})")

    def _load(self, execution: str, conn_id: str, table: str = TABLE) -> None:
        from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator

        AmcToSqlOperator(
            task_id="load", workflow_execution_id=execution, conn_id=conn_id, table=table, mode="append"
        ).execute({})

    def _frame(self, execution: str) -> Any:
        import pandas as pd

        return pd.read_csv(f"{self._url}/files/{execution}/0.csv")

    def _arrow_types(self) -> dict[str, Any]:
        from airflow_provider_amc.client.models import OutputColumn
        from airflow_provider_amc.landing.schema import arrow_schema

        schema = arrow_schema(OutputColumn.from_api(column) for column in self._columns)
        return dict(zip(schema.names, schema.types, strict=True))


def measured(land: Callable[[str], None]) -> dict[str, float]:
    """Land the small result, then the real one: its seconds, and the megabytes of memory that it took."""
    land("warm")
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status("VmRSS")
    began, busy = time.perf_counter(), _processor()
    land("full")
    seconds, cpu = time.perf_counter() - began, _processor() - busy
    return {"seconds": seconds, "cpu": cpu, "memory": (_status("VmHWM") - before) / 1024}


def _processor() -> float:
    """Processor seconds of this process and of the programs that it has run."""
    return sum(os.times()[:4])


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"Linux tells no {name}.")


def main() -> None:
    """Take the way and print what it cost."""
    import logging

    logging.disable(logging.INFO)
    ways = Ways(json.loads(sys.argv[2]))
    print(json.dumps(measured(getattr(ways, sys.argv[1]))))


if __name__ == "__main__":
    main()
