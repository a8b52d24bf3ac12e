"""What AMC hides, through every way into S3 and tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcPrivacyLossError, AmcValidationError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator
from airflow_provider_amc.windows import explicit
from tests.services import BUCKET, aws_connection, forget_everything, moto_server, postgres_server
from tests.tasks import task_context

SQL = """
SELECT device_type, postal_code, SUM(impressions) AS impressions
FROM dsp_impressions GROUP BY device_type, postal_code
"""
#: Device, postal code (HIGH: a hundred users), users with one impression each.
GROUPS = [("Phone", "11111", 50), ("TV", "22222", 30), ("TV", "33333", 20), ("TV", "44444", 100)]
WINDOW = explicit("2026-03-01T00:00:00", "2026-03-08T00:00:00")

DISCRIMINATOR = {"filtered_metrics_discriminator_column": "filtered"}
REASON = {"privacy_filtering_behavior": "REMOVE_VALUES", "filtered_reason_column": "why"}

#: The two groups of TV without a hundred users are one row with the discriminator.
MERGED = {
    "rows": 3,
    "hidden_rows": 2,
    "hidden_share": 0.5,
    "metrics": {"impressions": 0.5},
    "removed_values": {"postal_code": 2},
    "reasons": {},
}
EMPTIED = {
    "rows": 4,
    "hidden_rows": 3,
    "hidden_share": 0.5,
    "metrics": {"impressions": 0.5},
    "removed_values": {"postal_code": 3},
    "reasons": {"'dsp_impressions' users < 100 required": 3},
}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(moto))
    forget_everything(moto)
    hook = S3Hook()
    hook.create_bucket(BUCKET)
    return hook


@pytest.fixture(autouse=True)
def impressions(amc_default: EmulatorServer) -> None:
    amc_default.load_table(
        "dsp_impressions",
        [
            {"user_id": f"{postal}-{user}", "device_type": device, "postal_code": postal, "impressions": 1}
            for device, postal, users in GROUPS
            for user in range(users)
        ],
    )


@pytest.fixture
def warehouse(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(file)}))

    def query(sql: str) -> list[Any]:
        import duckdb

        with duckdb.connect(str(file)) as connection:
            return connection.execute(sql).fetchall()

    return query


def run(**workflow: Any) -> str:
    return AmcExecuteWorkflowOperator(task_id="run", sql=SQL, window=WINDOW, poll_interval=0.01, **workflow).execute(
        task_context()
    )


def to_s3(execution_id: str, **arguments: Any) -> dict[str, Any]:
    return AmcToS3Operator(
        task_id="land", workflow_execution_id=execution_id, s3_bucket=BUCKET, workflow_name="reach", **arguments
    ).execute(task_context())


def to_table(execution_id: str, **arguments: Any) -> dict[str, Any]:
    return AmcToSqlOperator(
        task_id="load", workflow_execution_id=execution_id, conn_id="warehouse", table="reach", **arguments
    ).execute(task_context())


def manifests(s3: Any) -> list[dict[str, Any]]:
    keys = [key for key in s3.list_keys(BUCKET) or () if key.endswith("_manifest.json")]
    return [json.loads(s3.read_key(key, BUCKET)) for key in keys]


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
def test_in_s3(s3: Any, file_format: str) -> None:
    execution_id = run(**DISCRIMINATOR)
    assert to_s3(execution_id, file_format=file_format)["privacy"] == MERGED
    (manifest,) = manifests(s3)
    assert (manifest["privacy"], manifest["rows"]) == (MERGED, 3)


@pytest.mark.parametrize(("workflow", "loss"), [(DISCRIMINATOR, MERGED), (REASON, EMPTIED)])
def test_in_a_table(warehouse: Any, workflow: dict[str, str], loss: dict[str, Any]) -> None:
    assert to_table(run(**workflow))["privacy"] == loss
    assert warehouse("SELECT count(*), sum(impressions) FROM reach") == [(loss["rows"], 200)]


def test_of_a_saved_workflow(warehouse: Any) -> None:
    AmcHook().get_conn().workflows.create("reach", sql_query=" ".join(SQL.split()), **REASON)
    execution_id = AmcExecuteWorkflowOperator(
        task_id="run", workflow_id="reach", window=WINDOW, poll_interval=0.01
    ).execute(task_context())
    assert to_table(execution_id)["privacy"] == EMPTIED
    AmcHook().get_conn().workflows.delete("reach")
    assert to_table(execution_id)["privacy"] == EMPTIED


def test_in_the_log(s3: Any, mocker: Any) -> None:
    execution_id = run(**DISCRIMINATOR, filtered_reason_column="why")
    told = []
    # Airflow writes the logs of a task in another way in each version.
    log = mocker.patch.object(AmcToS3Operator, "log")
    log.info.side_effect = lambda text, *values: told.append(text % values)
    to_s3(execution_id)
    assert "44444" not in "".join(told)
    assert [text for text in told if text.startswith("Privacy")] == [
        "Privacy: AMC has hidden values in 2 of 3 rows (66.67%)",
        "Privacy: impressions: 50.00% of its sum stands in hidden rows",
        "Privacy: Dimensions removed, by rows: postal_code in 2",
        "Privacy: 2 rows: 'dsp_impressions' users < 100 required",
    ]


def test_result_that_does_not_tell(s3: Any, warehouse: Any) -> None:
    """Nothing is counted, and no call is made to find out."""
    execution_id = run()
    assert "privacy" not in to_s3(execution_id)
    assert "privacy" not in to_table(execution_id)
    assert "privacy" not in manifests(s3)[0]


class TestLimit:
    def test_kept(self, s3: Any, warehouse: Any) -> None:
        execution_id = run(**DISCRIMINATOR)
        assert to_s3(execution_id, max_hidden_share="0.5")["rows"] == 3
        assert to_table(execution_id, max_hidden_share=0.5)["rows"] == 3

    @pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
    def test_passed_in_s3(self, s3: Any, file_format: str) -> None:
        with pytest.raises(AmcPrivacyLossError, match=r"max_hidden_share=0.4 allows: 50.00% of impressions"):
            to_s3(run(**DISCRIMINATOR), max_hidden_share=0.4, file_format=file_format)
        assert manifests(s3) == []

    def test_passed_in_duckdb(self, warehouse: Any) -> None:
        to_table(run())
        before = warehouse("FROM reach")
        result = run(**REASON)
        warehouse("ALTER TABLE reach ADD COLUMN why TEXT")
        with pytest.raises(AmcPrivacyLossError):
            to_table(result, max_hidden_share=0)
        assert warehouse("SELECT * EXCLUDE (why) FROM reach") == before

    def test_passed_in_postgres(self, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        with postgres_server() as connection:
            monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", connection)
            from airflow.providers.postgres.hooks.postgres import PostgresHook

            hook = PostgresHook(postgres_conn_id="warehouse")
            execution_id = run(**DISCRIMINATOR)
            with pytest.raises(AmcPrivacyLossError):
                to_table(execution_id, max_hidden_share=0.49)
            assert hook.get_first("SELECT to_regclass('reach')") == (None,)
            assert to_table(execution_id, max_hidden_share=0.5)["privacy"] == MERGED
            with pytest.raises(AirflowSkipException, match="AMC has hidden more"):
                to_table(execution_id, max_hidden_share=0.49, mode="replace_table", on_hidden="skip")
            assert hook.get_first("SELECT count(*), sum(impressions) FROM reach") == (3, 200)

    def test_skip(self, s3: Any) -> None:
        with pytest.raises(AirflowSkipException, match=r"AMC has hidden more of the result than max_hidden_share=0\.1"):
            to_s3(run(**DISCRIMINATOR), max_hidden_share=0.1, on_hidden="skip")
        assert manifests(s3) == []

    @pytest.mark.parametrize("workflow", [{}, {"filtered_reason_column": "why"}])
    def test_nothing_tells(self, s3: Any, amc_default: EmulatorServer, workflow: dict[str, str]) -> None:
        AmcHook().get_conn().workflows.create("reach", sql_query=" ".join(SQL.split()), **workflow)
        execution_id = AmcExecuteWorkflowOperator(
            task_id="run", workflow_id="reach", window=WINDOW, poll_interval=0.01
        ).execute(task_context())
        with pytest.raises(AmcConfigurationError, match="max_hidden_share is set, but"):
            to_s3(execution_id, max_hidden_share=0.5)
        assert amc_default.requests_of("results") == []
        assert not s3.list_keys(BUCKET)

    def test_wrong_arguments(self, s3: Any, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcValidationError, match="max_hidden_share must be a number from 0 to 1"):
            to_s3("unused", max_hidden_share="5%")
        with pytest.raises(AmcValidationError, match="Task land: on_hidden must be one of fail, skip, got 'warn'"):
            to_s3("unused", on_hidden="warn")
        assert amc_default.requests_of("getWorkflowExecution") == []
