from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from tests.services import BUCKET, aws_connection, forget_everything, moto_server, new_database, postgres_server


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as connection:
        yield connection


@pytest.fixture
def airflow_database(postgres: str) -> Iterator[str]:
    """Address of an empty database for an Airflow, as SQLAlchemy's."""
    with new_database(postgres) as address:
        yield address


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hook of an S3 with an empty bucket, as ``aws_default``."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(moto))
    forget_everything(moto)
    hook = S3Hook()
    hook.create_bucket(BUCKET)
    return hook


@pytest.fixture
def many_instances(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """An AMC account with five instances that hold data, as ``amc_default``."""
    with EmulatorServer(port=0, extra_instances=4) as server:
        monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
        yield server


@pytest.fixture
def duckdb_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DuckDB file behind ``warehouse_default``."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_DEFAULT", json.dumps({"conn_type": "duckdb", "host": str(file)}))
    return file


@pytest.fixture
def emulator_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., EmulatorServer]]:
    """Starts a local AMC with settings, as ``amc_default``."""
    with ExitStack() as stack:

        def start(**settings: Any) -> EmulatorServer:
            server = stack.enter_context(EmulatorServer(port=0, **settings))
            monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
            return server

        yield start
