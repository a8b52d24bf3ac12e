"""The landing of what a service sends, instead of bytes of our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.models import Execution
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.landing.frame import read_frame
from airflow_provider_amc.landing.load import loader_for
from airflow_provider_amc.landing.s3 import land_in_s3
from airflow_provider_amc.landing.schema import arrow_schema
from airflow_provider_amc.landing.source import ResultSource
from airflow_provider_amc.landing.table import Audit, Load, TableName

SQL = """
SELECT campaign_id, campaign, SUM(impressions) AS impressions, SUM(impression_cost) AS cost
FROM dsp_impressions GROUP BY campaign_id, campaign
"""


@pytest.fixture
def client(amc_default: EmulatorServer) -> Iterator[AmcClient]:
    with AmcHook().get_conn() as client:
        yield client


@pytest.fixture
def execution(client: AmcClient, emulator: EmulatorServer) -> Execution:
    client.workflows.create("landing", sql_query=SQL)
    started = client.executions.create(
        workflow_id="landing",
        time_window_type="EXPLICIT",
        time_window_start="2026-03-02T00:00:00",
        time_window_end="2026-03-09T00:00:00",
    )
    for _ in range(600):
        found = client.executions.get(started.workflow_execution_id)
        if found.is_finished:
            break
        emulator.advance_clock(seconds=60)
    assert found.is_succeeded, found.status_reason
    return found


def load_of(execution: Execution, table: str) -> Load:
    return Load(
        TableName.parse(table),
        arrow_schema(execution.output_columns),
        Audit(
            instance_id="amcemulator",
            workflow_id="landing",
            workflow_execution_id=execution.workflow_execution_id,
            window_start=execution.time_window_start,
            window_end=execution.time_window_end,
            loaded_at=datetime.now(UTC),
        ),
    )


def test_every_sink_gets_the_same_rows(
    client: AmcClient,
    execution: Execution,
    emulator: EmulatorServer,
    postgres: Any,
    duckdb_hook: Any,
    s3: Any,
    bucket: str,
    new_table: Callable[[], str],
) -> None:
    def results() -> Any:
        return client.executions.results(execution.workflow_execution_id)

    frame = read_frame(execution.output_columns, results())
    rows = Counter(
        tuple(None if value is None or value != value else value for value in row)
        for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
    )
    assert rows.total() > 0
    names = ", ".join(f'"{name}"' for name in frame.columns)

    for hook in (postgres, duckdb_hook):
        table = new_table()
        # The first download is cut in the middle.
        emulator.add_fault(operation="results", kind="truncate")
        for _ in range(2):
            assert loader_for(hook).load(load_of(execution, table), results()) == rows.total()
        with closing(hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"SELECT {names} FROM {table}")
            assert Counter(cursor.fetchall()) == rows

    landing = land_in_s3(
        s3,
        ResultSource(execution, results(), "landing", "amcemulator", None),
        bucket=bucket,
        prefix="",
        file_format="csv",
    )
    assert landing.rows == rows.total()
    assert all(isinstance(value, (int, str, float, Decimal, type(None))) for row in rows for value in row)
