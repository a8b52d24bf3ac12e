"""Shared by all tests: an Airflow home of their own, an emulator, and a database only where a test needs one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_amc.emulator.server import EmulatorServer

pytest_plugins = ["tests.evidence.plugin"]

REPOSITORY = Path(__file__).resolve().parent.parent

# Before anything imports Airflow, which reads its settings once. One home per test process.
_HOME = tempfile.TemporaryDirectory(prefix="amc-tests-")
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "example_dags")
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_HOME.name}/airflow.db"
os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] = f"{_HOME.name}/logs"
# Short, so that a deferred example is looked at soon.
os.environ["AIRFLOW__AMC__POLL_INTERVAL"] = "1"
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_CONN_", "AWS_"))]:
    if _name != "AWS_CA_BUNDLE":
        del os.environ[_name]


def pytest_unconfigure() -> None:
    _HOME.cleanup()


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """The Airflow home of this test process."""
    return Path(_HOME.name)


@pytest.fixture(scope="session")
def airflow_db(airflow_home: Path) -> None:
    """An Airflow metadata database, migrated once a test process."""
    from airflow.utils import db

    db.initdb()


@pytest.fixture(scope="session")
def _emulator() -> Iterator[EmulatorServer]:
    from airflow_provider_amc.emulator.server import EmulatorServer

    with EmulatorServer(port=0) as server:
        yield server


@pytest.fixture
def emulator(_emulator: EmulatorServer) -> EmulatorServer:
    """A fresh local AMC: the server is shared by the tests of a process, its state is not."""
    _emulator.reset()
    return _emulator


@pytest.fixture
def amc_default(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    """The emulator, as the Airflow connection ``amc_default``."""
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(emulator.connection))
    return emulator


@pytest.fixture(scope="session")
def _s3_and_emulator() -> Iterator[tuple[str, EmulatorServer]]:
    """A local S3, and a small AMC that reads uploads from it."""
    from airflow_provider_amc.emulator.server import EmulatorServer
    from tests.services import moto_server

    with moto_server() as url, EmulatorServer(port=0, scale="tiny", s3_endpoint_url=url) as server:
        yield url, server


@pytest.fixture
def customers_amc(_s3_and_emulator: tuple[str, EmulatorServer], monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    """The AMC that reads uploads, as ``amc_default``."""
    server = _s3_and_emulator[1]
    server.reset()
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
    return server


@pytest.fixture
def customers_s3(_s3_and_emulator: tuple[str, EmulatorServer], monkeypatch: pytest.MonkeyPatch) -> S3Hook:
    """The S3 that it reads from, with an empty bucket, as ``aws_default``."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from tests.services import BUCKET, aws_connection, forget_everything

    url = _s3_and_emulator[0]
    forget_everything(url)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(url))
    # The emulator's own, as AMC has its own.
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    hook = S3Hook()
    hook.create_bucket(BUCKET)
    return hook
