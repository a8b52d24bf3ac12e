"""What OpenLineage, Airflow's hook lineage and outlets learn about a transfer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.assets import Asset

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.transfers.amc_to_object_storage import AmcToObjectStorageOperator
from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator
from tests.operators.test_lineage import Events, extracted, names, query
from tests.services import BUCKET, aws_connection, forget_everything, moto_server
from tests.tasks import task_context

FOLDER = "amc/workflow=reach"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def to_s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> AmcToS3Operator:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(moto))
    forget_everything(moto)
    S3Hook().create_bucket(BUCKET)
    return AmcToS3Operator(
        task_id="to_s3", workflow_execution_id="", s3_bucket=BUCKET, s3_prefix="amc", workflow_name="reach"
    )


@pytest.fixture
def to_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AmcToSqlOperator:
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(file)}))
    return AmcToSqlOperator(
        task_id="to_table", workflow_execution_id="", conn_id="warehouse", table="reach", workflow_name="reach"
    )


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Airflow's own collector, as it is when somebody reads it."""
    from airflow.providers.common.compat import sdk
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    try:
        from airflow.sdk.lineage import HookLineageCollector
    except ImportError:
        from airflow.lineage.hook import HookLineageCollector  # Airflow before 3.2
    collector = HookLineageCollector()
    monkeypatch.setattr(sdk, "get_hook_lineage_collector", lambda: collector, raising=False)
    return get_hook_lineage_collector()


def after(operator: Any, **context: Any) -> Any:
    """Land a result with an operator; give the task that ran the query, and what was returned."""
    run = query(filtered_metrics_discriminator_column="filtered")
    operator.workflow_execution_id = run.execute(task_context())
    return run, operator.execute(task_context(**context))


def test_s3(amc_default: EmulatorServer, to_s3: AmcToS3Operator) -> None:
    run, landed = after(to_s3)
    lineage = extracted(to_s3, "SUCCESS")
    # What one task gives, the other one takes.
    assert names(lineage.inputs) == names(extracted(run, "SUCCESS").outputs)
    (folder,) = lineage.outputs
    assert (folder.namespace, folder.name) == (f"s3://{BUCKET}", FOLDER)
    assert [field.name for field in folder.facets["schema"].fields] == ["campaign", "impressions", "filtered"]
    statistics = folder.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.size) == (landed["rows"], landed["bytes"])
    assert lineage.run_facets["externalQuery"].externalQueryId == to_s3.workflow_execution_id
    assert lineage.run_facets["amcExecution"].hiddenShare == landed["privacy"]["hidden_share"]


def test_table(amc_default: EmulatorServer, to_table: AmcToSqlOperator, tmp_path: Path) -> None:
    _, landed = after(to_table)
    (table,) = extracted(to_table, "SUCCESS").outputs
    assert (table.namespace, table.name) == (f"duckdb://{tmp_path}/warehouse.duckdb", "reach")
    assert table.outputFacets["outputStatistics"].rowCount == landed["rows"]


def test_table_of_athena(
    amc_default: EmulatorServer, to_s3: AmcToS3Operator, to_table: AmcToSqlOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook

    GlueCatalogHook().get_conn().create_database(DatabaseInput={"Name": "lake", "LocationUri": f"s3://{BUCKET}/lake"})
    connection = {"conn_type": "athena", "schema": "lake", "extra": {"region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    _, landed = after(to_table)
    (table,) = extracted(to_table, "SUCCESS").outputs
    assert (table.namespace, table.name) == ("awsathena://athena.us-east-1.amazonaws.com", "AwsDataCatalog.lake.reach")
    assert table.outputFacets["outputStatistics"].rowCount == landed["rows"]


def test_object_storage(amc_default: EmulatorServer, tmp_path: Path) -> None:
    operator = AmcToObjectStorageOperator(
        task_id="to_disk", workflow_execution_id="", path=f"file://{tmp_path}", workflow_name="reach"
    )
    after(operator)
    assert names(extracted(operator, "SUCCESS").outputs) == [("file", f"{tmp_path}/workflow=reach")]


def test_transfer_that_failed(amc_default: EmulatorServer, to_s3: AmcToS3Operator) -> None:
    lineage = extracted(to_s3, "FAILED")
    assert (lineage.inputs, lineage.outputs, lineage.run_facets) == ([], [], {})


def uris(found: Any) -> list[str]:
    return [info.asset.uri for info in found]


def test_collector_of_hooks(amc_default: EmulatorServer, to_table: AmcToSqlOperator, collector: Any) -> None:
    after(to_table)
    collected = collector.collected_assets
    assert uris(collected.inputs)[0].startswith("amc://NA/amcemulator/query/")
    assert [info.context for info in collected.inputs] == [to_table.hook]
    (table,) = collected.outputs
    assert table.asset.uri.startswith("duckdb:")
    assert table.asset.uri.endswith("/warehouse.duckdb/reach")
    assert type(table.context).__name__ == "DuckDBHook"


def test_lineage_that_fails_stops_nothing(
    amc_default: EmulatorServer, to_table: AmcToSqlOperator, collector: Any, mocker: Any
) -> None:
    mocker.patch.object(to_table, "targets", side_effect=ZeroDivisionError)
    assert after(to_table)[1]["rows"] > 0


def test_outlets(amc_default: EmulatorServer, to_s3: AmcToS3Operator) -> None:
    asset = Asset(f"s3://{BUCKET}/{FOLDER}")
    to_s3.outlets = [asset]
    events = Events()
    _, landed = after(to_s3, outlet_events=events)
    described = events[asset.uri].extra["amc"]
    assert described == {
        "instance_id": "amcemulator",
        "workflow_execution_id": to_s3.workflow_execution_id,
        "time_window_start": "2026-03-02T00:00:00+00:00",
        "time_window_end": "2026-03-09T00:00:00+00:00",
        "manifest": landed["manifest"],
        "s3_prefix": landed["s3_prefix"],
        "files": 1,
        "rows": landed["rows"],
        "bytes": landed["bytes"],
        "hidden_share": landed["privacy"]["hidden_share"],
    }
