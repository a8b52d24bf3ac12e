from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.shell import BIN, environment
from tests.services import aws_connection, moto_server

BUCKET = "amc-results"


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def aws_default(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A local AWS as ``aws_default``; gives its address."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(moto))
    return moto


@pytest.fixture
def s3(aws_default: str) -> Any:
    """The hook of a local S3 with the documents' bucket, empty."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook()
    if not hook.check_for_bucket(BUCKET):
        hook.create_bucket(BUCKET)
    if keys := hook.list_keys(BUCKET):
        hook.delete_objects(BUCKET, keys)
    return hook


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DuckDB file as the connection ``warehouse``."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(file)}))
    return file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_db: None) -> Path:
    """A user's project; Airflow finds DAGs in its folder ``dags``, which ``dag.test()`` needs."""
    folder = tmp_path / "project"
    (folder / "dags").mkdir(parents=True)
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(folder / "dags"))
    return folder


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """Starts ``amc`` with the words of a document on a free port; gives its address."""
    processes: list[subprocess.Popen[str]] = []

    def start(words: list[str]) -> str:
        program, *arguments = words
        assert program == "amc"
        if "--port" in arguments:
            at = arguments.index("--port")
            del arguments[at : at + 2]
        process = subprocess.Popen(
            [BIN / "amc", *arguments, "--port", "0"],
            cwd=tmp_path,
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if match := re.search(r"AMC emulator\s+(http://\S+)", line):
                return match[1]
        raise AssertionError(f"{words} did not start: {seen}")

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=60)
