from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_amc.client.models import Execution
from airflow_provider_amc.landing.lineage import amc_namespace, data_sources, folder_of, result_of, table_of

NAMESPACE = amc_namespace("NA", "amcone")
SQL = "SELECT campaign, SUM(clicks) / SUM(impressions) AS ctr FROM sponsored_ads_traffic GROUP BY campaign"


def execution(workflow_id: str, *columns: str) -> Execution:
    listed = [{"name": name, "dataType": "STRING"} for name in columns]
    return Execution.from_api(
        {"workflowExecutionId": "e", "workflowId": workflow_id, "outputColumns": listed, "sqlQuery": SQL}
    )


def test_sources() -> None:
    assert NAMESPACE == "amc://NA/amcone"
    assert [found.uri for found in data_sources(NAMESPACE, SQL)] == ["amc://NA/amcone/sponsored_ads_traffic"]
    assert data_sources(NAMESPACE, None) == []


def test_result_of_a_saved_workflow() -> None:
    result = result_of(NAMESPACE, execution("reach", "campaign", "ctr", "filtered"), None)
    assert (result.name, result.uri) == ("workflow/reach", "amc://NA/amcone/workflow/reach")
    assert list(result.columns) == ["campaign", "ctr", "filtered"]
    assert result.sources == {
        "campaign": [("sponsored_ads_traffic", "campaign")],
        "ctr": [("sponsored_ads_traffic", "clicks"), ("sponsored_ads_traffic", "impressions")],
    }


def test_result_of_a_query_is_the_same_for_every_run() -> None:
    names = {
        result_of(NAMESPACE, execution("transient_1"), SQL).name,
        result_of(NAMESPACE, execution("transient_2"), f"{SQL} /* airflow_provider_amc key=abc1 */").name,
        result_of(NAMESPACE, execution("transient_3"), None).name,
    }
    assert len(names) == 1
    assert names.pop().startswith("query/")
    assert result_of(NAMESPACE, execution("transient_1"), "SELECT 1 AS one").name not in names


@pytest.mark.parametrize(
    ("place", "namespace", "name"),
    [
        ("s3://bucket/amc/workflow=reach", "s3://bucket", "amc/workflow=reach"),
        ("s3://aws_default@bucket/workflow=reach", "s3://bucket", "workflow=reach"),
        ("gcs://bucket/amc/workflow=reach", "gs://bucket", "amc/workflow=reach"),
        ("abfss://box@host/amc/workflow=reach", "abfss://box@host", "amc/workflow=reach"),
        ("file:///data/amc/workflow=reach", "file", "/data/amc/workflow=reach"),
    ],
)
def test_folder(place: str, namespace: str, name: str) -> None:
    window = "/window_start=2026-03-02T00-00-00/window_end=2026-03-09T00-00-00/_manifest.json"
    found = folder_of(place + window, rows=3)
    assert (found.namespace, found.name, found.rows) == (namespace, name, 3)


class Hook:
    """A hook of a database, with or without an answer for OpenLineage."""

    def __init__(self, info: Any = None, schema: Any = "public") -> None:
        self._info, self._schema = info, schema

    def get_openlineage_database_info(self, connection: Any) -> Any:
        if isinstance(self._info, Exception):
            raise self._info
        return self._info

    def get_openlineage_default_schema(self) -> Any:
        if isinstance(self._schema, Exception):
            raise self._schema
        return self._schema


def connection(kind: str, host: str | None = "db", port: int | None = None, schema: str | None = "sales") -> Any:
    return SimpleNamespace(conn_type=kind, host=host, port=port, schema=schema)


@pytest.mark.parametrize(
    ("parts", "name"),
    [(["reach"], "sales.public.reach"), (["amc", "reach"], "sales.amc.reach"), (["x", "amc", "reach"], "x.amc.reach")],
)
def test_table(parts: list[str], name: str) -> None:
    for hook in (
        Hook(SimpleNamespace(scheme="postgres", authority="db:5432", database="sales")),
        # OpenLineage is not installed, or the hook does not know it.
        Hook(ImportError()),
        Hook(None),
    ):
        found = table_of(hook, connection("postgres"), parts, rows=1)
        assert (found.namespace, found.name) == ("postgres://db:5432", name)
        assert found.uri == f"postgres://db:5432/{name.replace('.', '/')}"


def test_table_of_a_database_that_cannot_be_asked() -> None:
    found = table_of(Hook(None, RuntimeError()), connection("mysql", port=3306), ["reach"])
    assert (found.namespace, found.name) == ("mysql://db:3306", "sales.reach")
    scheme_alone = SimpleNamespace(scheme="snowflake", authority=None, database=None)
    assert table_of(Hook(scheme_alone, None), connection("snowflake"), ["reach"]).namespace == "snowflake"


def test_table_in_a_file() -> None:
    found = table_of(Hook(RuntimeError()), connection("duckdb", "/data/w.duckdb", schema=None), ["main", "reach"])
    assert (found.namespace, found.name) == ("duckdb:///data/w.duckdb", "main.reach")


def test_real_hook_of_postgres(postgres: Any, postgres_environment: dict[str, Any]) -> None:
    """The address is a socket here, which has no port of its own."""
    found = table_of(postgres, postgres.get_connection("amc_postgres"), ["reach"])
    assert found.name == "postgres.public.reach"
    assert found.namespace.startswith("postgres://")
    assert found.namespace.endswith(":5432")
