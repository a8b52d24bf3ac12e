from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from airflow_provider_amc.cli import app
from airflow_provider_amc.emulator.server import EmulatorServer
from tests.services import BUCKET, aws_connection, forget_everything, moto_server


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def lines(result: Result) -> dict[str, str]:
    return {line[7:21].strip(): line[:7].strip() for line in result.stdout.splitlines()}


def test_everything_works(amc_default: EmulatorServer) -> None:
    result = doctor()
    assert result.exit_code == 0, result.output
    steps = ("token", "terms", "account", "instance", "data sources", "dry run", "S3 bucket")
    assert lines(result) == dict.fromkeys(steps, "ok")
    runs = [one for one in amc_default.requests if one["method"] == "POST" and "Executions" in one["path"]]
    assert len(runs) == 1


def test_a_sandbox_is_asked_for_synthetic_data(amc_default: EmulatorServer) -> None:
    result = doctor("--instance", "amcsandbox")
    assert result.exit_code == 0, result.output


def test_the_first_failure_says_what_to_do_and_the_rest_is_not_tried(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = emulator.connection
    connection["password"] = "wrong"
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(connection))
    result = doctor("--no-dry-run")
    assert result.exit_code == 1
    assert set(lines(result).values()) == {"FAILED", "-"}
    assert result.stdout.startswith("FAILED token")
    assert "wrong" not in result.output.replace("is wrong", "")
    assert "dry run" not in result.stdout


def test_a_query_that_amc_refuses(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="fail", reason="No data in this instance.")
    result = doctor()
    assert (result.exit_code, lines(result)["dry run"]) == (1, "FAILED")
    assert "No data in this instance." in result.stdout


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    with moto_server() as url:
        forget_everything(url)
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(url))
        S3Hook().create_bucket(BUCKET)
        yield


@pytest.mark.parametrize(("bucket", "mark"), [(BUCKET, "ok"), ("not-there", "FAILED")])
def test_the_bucket(amc_default: EmulatorServer, s3: None, bucket: str, mark: str) -> None:
    result = doctor("--no-dry-run", "--s3-bucket", bucket)
    assert lines(result)["S3 bucket"] == mark
    assert bucket in result.stdout


def test_no_connection(airflow_db: None) -> None:
    result = doctor("--conn-id", "amc_nowhere")
    assert (result.exit_code, "amc_nowhere" in result.output) == (1, True)
