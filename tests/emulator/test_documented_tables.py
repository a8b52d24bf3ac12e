"""Every table of AMC's documentation: can it be queried, and has it rows?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_amc.emulator.data.tables import TABLES
from airflow_provider_amc.emulator.engine import AmcSqlError, Engine
from airflow_provider_amc.sql import catalogue

NOW = dt.datetime(2026, 3, 11, 6)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(scale="tiny", now=NOW)
    yield engine
    engine.close()


def _parameter(table: catalogue.Table) -> Any:
    if table.retired:
        return pytest.param(table, id=table.name, marks=pytest.mark.covers("data", table.name, "unsupported"))
    claim = () if table.name in TABLES else ("partial", "no rows; load your own")
    return pytest.param(table, id=table.name, marks=pytest.mark.covers("data", table.name, *claim))


@pytest.mark.parametrize("table", [_parameter(table) for table in catalogue.tables().values()])
def test_table(engine: Engine, table: catalogue.Table) -> None:
    numbers = [f"COUNT({name}) AS c{position}" for position, name in enumerate(table.columns)]
    sql = f"SELECT COUNT(1) AS rows_there, {', '.join(numbers)} FROM {table.name}"
    if table.retired:
        with pytest.raises(AmcSqlError, match=f"Object '{table.name}' not found"):
            engine.compile(sql)
        return
    batches = engine.run(engine.compile(sql), window_start=NOW - dt.timedelta(days=390), window_end=NOW)
    (row,) = [row for batch in batches for row in batch.to_pylist()]
    assert (row["rows_there"] > 0) == (table.name in TABLES)
