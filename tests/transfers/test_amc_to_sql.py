from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError, AmcNotReadyError, AmcValidationError
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator
from airflow_provider_amc.windows import last_days
from tests.landing.loaders.catalogue import Catalogue
from tests.services import BUCKET, aws_connection, forget_everything, moto_server
from tests.tasks import task_context

SQL = """
SELECT campaign_id, campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign_id, campaign
"""


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[Any, ...]]]:
    """A DuckDB file behind the connection ``warehouse_default``; gives a function that queries it."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_DEFAULT", json.dumps({"conn_type": "duckdb", "host": str(file)}))

    def query(sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(str(file)) as connection:
            return connection.execute(sql).fetchall()

    return query


def run(window_days: int = 7, ti: dict[str, Any] | None = None, **arguments: Any) -> str:
    return AmcExecuteWorkflowOperator(
        task_id="run", sql=SQL, window=last_days(window_days), poll_interval=0.01, **arguments
    ).execute(task_context(ti=ti))


def load(execution_id: str, **arguments: Any) -> dict[str, Any]:
    return AmcToSqlOperator(
        **{
            "task_id": "load",
            "workflow_execution_id": execution_id,
            "conn_id": "warehouse_default",
            "table": "reach",
            **arguments,
        }
    ).execute(task_context())


def test_creates_the_table_and_fills_it(amc_default: EmulatorServer, warehouse: Any) -> None:
    execution_id = run()
    result = load(execution_id)
    assert result == {
        "table": "reach",
        "rows": result["rows"],
        "mode": "replace_window",
        "workflow_execution_id": execution_id,
    }
    assert result["rows"] > 0
    columns = {row[0]: row[1] for row in warehouse("DESCRIBE reach")}
    assert list(columns.items())[:3] == [("campaign_id", "BIGINT"), ("campaign", "VARCHAR"), ("impressions", "BIGINT")]
    assert list(columns)[3:] == [
        "_amc_instance_id",
        "_amc_workflow_id",
        "_amc_workflow_execution_id",
        "_amc_window_start",
        "_amc_window_end",
        "_amc_loaded_at",
    ]
    origins = warehouse(
        "SELECT DISTINCT _amc_instance_id, _amc_workflow_execution_id, CAST(_amc_window_start AS TEXT) FROM reach"
    )
    assert origins == [("amcemulator", execution_id, "2026-03-02 00:00:00")]


def test_new_run_of_the_window_replaces_the_old_rows(amc_default: EmulatorServer, warehouse: Any) -> None:
    rows = load(run())["rows"]
    load(run(window_days=14))
    other = load(run(window_days=14))["rows"]
    newest = run()
    assert load(newest)["rows"] == rows
    assert load(newest)["rows"] == rows
    assert warehouse("SELECT count(*) FROM reach") == [(rows + other,)]
    assert warehouse("SELECT count(*) FROM reach WHERE _amc_workflow_execution_id = '" + newest + "'") == [(rows,)]


def test_edited_query_replaces_the_rows_of_the_old_one(amc_default: EmulatorServer, warehouse: Any) -> None:
    load(run())
    edited = AmcExecuteWorkflowOperator(
        task_id="run", sql=SQL.replace("WHERE", "WHERE 1 = 1 AND"), window=last_days(7), poll_interval=0.01
    ).execute(task_context())
    load(edited)
    assert warehouse("SELECT DISTINCT _amc_workflow_execution_id FROM reach") == [(edited,)]


def test_append_and_replace_table(amc_default: EmulatorServer, warehouse: Any) -> None:
    first, second = run(), run(ti={"task_id": "again"})
    rows = load(first, mode="append")["rows"]
    for _ in range(2):
        load(second, mode="append")
    assert warehouse("SELECT count(*) FROM reach") == [(2 * rows,)]
    load(second, mode="replace_table")
    assert warehouse("SELECT count(*) FROM reach") == [(rows,)]


def test_upsert(amc_default: EmulatorServer, warehouse: Any) -> None:
    week, fortnight = run(), run(window_days=14)
    rows = load(week, mode="upsert", keys=["campaign_id", "campaign"])["rows"]
    more = load(fortnight, mode="upsert", keys=["campaign_id", "campaign"])["rows"]
    assert 0 < rows <= more
    assert warehouse("SELECT count(*), count(DISTINCT campaign_id) FROM reach") == [(more, more)]
    assert warehouse("SELECT DISTINCT _amc_workflow_execution_id FROM reach") == [(fortnight,)]


def test_columns_that_the_table_lacks(amc_default: EmulatorServer, warehouse: Any, caplog: Any) -> None:
    narrow = AmcExecuteWorkflowOperator(
        task_id="run", sql=SQL.replace("campaign,", ""), window=last_days(7), poll_interval=0.01
    ).execute(task_context())
    load(narrow)
    wide = run()
    with pytest.raises(AmcLoadError, match=r"the table lacks campaign TEXT \(schema_policy='fail'\)"):
        load(wide, schema_policy="fail")
    rows = load(wide, schema_policy="freeze")["rows"]
    assert "does not have the columns campaign: they are not loaded" in caplog.text
    assert "campaign" not in [row[0] for row in warehouse("DESCRIBE reach")]
    load(wide)
    assert warehouse("SELECT count(campaign) FROM reach") == [(rows,)]


def test_instances_share_a_table(emulator: EmulatorServer, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(emulator.connection))
    load(run())
    load(run(instance_id="amcsandbox", require_synthetic_data=True), instance_id="amcsandbox")
    assert sorted(warehouse("SELECT DISTINCT _amc_instance_id FROM reach")) == [("amcemulator",), ("amcsandbox",)]


def test_runs_with_other_parameters_do_not_replace_each_other(amc_default: EmulatorServer, warehouse: Any) -> None:
    sql = SQL.replace("GROUP BY", "WHERE device_type = CUSTOM_PARAMETER('device') GROUP BY")
    parameters = [{"name": "device", "dataType": "STRING"}]

    def run_for(device: str) -> str:
        return AmcExecuteWorkflowOperator(
            task_id="run",
            sql=sql,
            input_parameters=parameters,
            parameter_values={"device": device},
            window=last_days(7),
            poll_interval=0.01,
        ).execute(task_context())

    rows = load(run_for("TV"))["rows"] + load(run_for("Phone"))["rows"]
    load(run_for("Phone"))
    assert rows > 0
    assert warehouse("SELECT count(*) FROM reach") == [(rows,)]


def test_different_tasks_may_share_a_table(amc_default: EmulatorServer, warehouse: Any) -> None:
    execution_id = run()
    rows = load(execution_id)["rows"]
    load(execution_id, task_id="load_also")
    assert warehouse("SELECT count(*) FROM reach") == [(2 * rows,)]


def test_athena(amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    with moto_server() as url:
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(url))
        connection = {"conn_type": "athena", "schema": "lake", "extra": {"region_name": "us-east-1"}}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        forget_everything(url)
        s3, glue = S3Hook(), GlueCatalogHook().get_conn()
        s3.create_bucket(BUCKET)
        glue.create_database(DatabaseInput={"Name": "lake"})
        catalogue = Catalogue(glue, s3, "lake")
        execution_id = run()
        for mode in ("replace_window", "append", "replace_table"):
            rows = load(execution_id, conn_id="lake", mode=mode, s3_location=f"s3://{BUCKET}/tables")["rows"]
            assert rows > 0
            assert catalogue.execute(
                "SELECT count(*), count(DISTINCT campaign_id), min(_amc_workflow_execution_id) FROM reach"
            ) == [(rows, rows, execution_id)]
        assert all(key.startswith("tables/reach/") for key in s3.list_keys(BUCKET))


class TestBadInput:
    def test_unreachable_database(self, amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = {"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "login": "u", "password": "not-shown"}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_DEFAULT", json.dumps(connection))
        with pytest.raises(AmcLoadError, match="could not connect to load into reach") as caught:
            load(run())
        assert "not-shown" not in str(caught.value)

    @pytest.mark.parametrize("table", ["my table", 'my"table', "it's", "a.b.c.d", "", "drop;", "1st"])
    def test_table_names_that_need_quotes(self, amc_default: EmulatorServer, warehouse: Any, table: str) -> None:
        with pytest.raises(AmcValidationError, match=re.escape(f"Table name {table!r} does not work")):
            load("unused", table=table)

    def test_unknown_mode(self, amc_default: EmulatorServer, warehouse: Any) -> None:
        with pytest.raises(
            AmcValidationError, match="mode 'merge' is not one of replace_window, append, upsert, replace_table"
        ):
            load("unused", mode="merge")

    def test_table_that_does_not_fit(self, amc_default: EmulatorServer, warehouse: Any) -> None:
        warehouse("CREATE TABLE reach (campaign_id DATE, impressions BIGINT)")
        with pytest.raises(AmcLoadError) as caught:
            load(run())
        message = str(caught.value)
        assert "does not fit into the existing table reach" in message
        assert "campaign_id (table: DATE, result: BIGINT)" in message
        assert warehouse("SELECT count(*) FROM reach") == [(0,)]

    def test_connection_that_is_no_database(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcConfigurationError, match="AmcHook is not a SQL database hook"):
            load("unused", conn_id="amc_default")

    def test_upsert_into_athena_is_refused_before_anything_is_asked(
        self, amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = {"conn_type": "athena", "extra": {"region_name": "us-east-1"}}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
        with pytest.raises(AmcValidationError, match="mode='upsert' does not work with Athena"):
            load("unused", conn_id="lake", mode="upsert", keys=["campaign_id"])

    def test_what_redshift_needs_is_asked_before_anything_is_read(
        self, amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = {"conn_type": "redshift", "host": "127.0.0.1", "port": 9, "login": "u", "password": "not-shown"}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
        for given, missing in (({}, "s3_staging"), ({"s3_staging": "s3://bucket/x"}, "iam_role_arn")):
            with pytest.raises(AmcConfigurationError, match=f"{missing} is missing") as caught:
                load("unused", **given)
            assert "not-shown" not in str(caught.value)

    def test_running_execution(self, amc_default: EmulatorServer, warehouse: Any) -> None:
        amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
        with pytest.raises(AmcNotReadyError, match="has no result yet"):
            load(run(wait_for_completion=False))
