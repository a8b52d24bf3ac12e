"""The queries of audiences on the real engine: which tables they read, whom they count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from airflow_provider_amc.emulator.engine import AmcSqlError, Engine
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.sql import catalogue
from tests.emulator.api import Api
from tests.emulator.test_query_audiences import REQUEST, Audiences

NOW = dt.datetime(2026, 3, 1, 12)
YEAR = {"window_start": dt.datetime(2025, 2, 1), "window_end": NOW}
DOCUMENTED = "Invalid tables in the SQL query: Use audience-specific tables in the query."


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(scale="tiny", now=NOW)
    yield engine
    engine.close()


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    engine = Engine(scale="tiny", now=NOW)
    yield engine
    engine.close()


def users(engine: Engine, sql: str) -> int:
    compiled = engine.compile(sql, privacy=None, for_audience=True, **YEAR)
    return engine.count_users(compiled, **YEAR)


@pytest.mark.parametrize("twin", sorted(catalogue.audience_tables()))
@pytest.mark.covers("rule", "audiences read the tables ..._for_audiences, reporting does not")
def test_every_twin_is_for_audiences_only(engine, twin):
    table = catalogue.get_table(twin)
    sql = f"SELECT COUNT(1) AS n FROM {twin}"
    if table.retired:
        with pytest.raises(AmcSqlError, match="not found"):
            engine.compile(sql, for_audience=True)
        return
    assert engine.compile(sql, for_audience=True).tables == (twin,)
    with pytest.raises(AmcSqlError, match=f"Object '{twin}' not found"):
        engine.compile(sql)


@pytest.mark.parametrize("name", sorted(catalogue.tables()))
def test_no_other_table_of_amc_is_for_audiences(engine, name):
    with pytest.raises(AmcSqlError) as refused:
        engine.compile(f"SELECT COUNT(1) AS n FROM {name}", for_audience=True)
    assert str(refused.value) == DOCUMENTED


def test_a_join_with_an_ordinary_table_is_refused(engine):
    sql = "SELECT i.user_id FROM dsp_impressions_for_audiences i JOIN dsp_clicks c ON i.user_id = c.user_id"
    with pytest.raises(AmcSqlError) as refused:
        engine.compile(sql, for_audience=True)
    assert str(refused.value) == DOCUMENTED


@pytest.mark.covers("rule", "ads reach users by adUserId only")
def test_only_users_that_ads_reach_count(engine):
    reached = users(engine, "SELECT user_id FROM dsp_impressions_for_audiences WHERE user_id_type = 'adUserId'")
    others = users(engine, "SELECT user_id FROM dsp_impressions_for_audiences WHERE user_id_type <> 'adUserId'")
    assert (others, reached > 100) == (0, True)
    assert users(engine, "SELECT user_id, campaign FROM dsp_impressions_for_audiences") == reached
    counted = engine.compile(
        "SELECT COUNT(DISTINCT user_id) AS n FROM dsp_impressions WHERE user_id_type = 'adUserId' AND deal_id IS NULL"
    )
    (batch,) = engine.run(counted, **YEAR)
    assert batch.to_pydict() == {"n": [reached]}


def test_the_window_limits_the_audience(engine):
    sql = "SELECT user_id FROM conversions_for_audiences"
    compiled = engine.compile(sql, privacy=None, for_audience=True, **YEAR)
    week = {"window_start": dt.datetime(2026, 2, 1), "window_end": dt.datetime(2026, 2, 8)}
    assert 0 < engine.count_users(compiled, **week) < engine.count_users(compiled, **YEAR)


def test_loaded_rows_count_all(own_engine):
    rows = [{"user_id": name, "campaign": "Spring"} for name in ("a", "b", "b", None)]
    own_engine.load_table("dsp_impressions", rows)
    own_engine.load_table("crm", [{"user_id": "a"}, {"user_id": "c"}])
    assert users(own_engine, "SELECT user_id FROM dsp_impressions_for_audiences") == 2
    assert users(own_engine, "SELECT user_id FROM crm UNION SELECT user_id FROM dsp_impressions_for_audiences") == 3


# -- over HTTP -------------------------------------------------------------------------------------------------------
ALL_YEAR = {"timeWindowStart": "2025-02-01T00:00:00Z", "timeWindowEnd": "2026-03-01T00:00:00Z"}


@pytest.fixture(scope="module")
def small() -> Iterator[EmulatorServer]:
    """The default scale: the smallest one with enough users for an audience."""
    with EmulatorServer(port=0, scale="small", now="2026-03-01T12:00:00Z") as server:
        yield server


@pytest.mark.covers("data", "audiences of 2,000 users and lookalike seeds from the scale small on")
def test_the_default_scale_has_enough_users(small):
    audiences = Audiences(Api(small.url))
    for table in ("dsp_impressions", "sponsored_ads_traffic"):
        query = f"SELECT user_id FROM {table}_for_audiences WHERE CUSTOM_PARAMETER('kind') = user_id_type"
        found = audiences.ended(
            audiences.create(
                query=query,
                **ALL_YEAR,
                inputParameters=[{"name": "kind", "dataType": "STRING"}],
                parameterValues={"kind": "adUserId"},
            )
        )
        assert (found["status"], found["audienceCount"] >= 2000) == ("SUCCEEDED", True)
        # The size that a count on the table's own name tells before
        sql = f"SELECT COUNT(DISTINCT user_id) AS n FROM {table} WHERE user_id_type = 'adUserId'"
        if table == "dsp_impressions":
            sql += " AND deal_id IS NULL"
        run = audiences.api.finished(
            sql, timeWindowStart=ALL_YEAR["timeWindowStart"][:-1], timeWindowEnd=ALL_YEAR["timeWindowEnd"][:-1]
        )
        assert audiences.api.rows(run["workflowExecutionId"]) == [["n"], [str(found["audienceCount"])]]
    seed = audiences.create("lookalike", query="SELECT user_id FROM conversions_for_audiences", **ALL_YEAR)
    assert audiences.ended(seed)["status"] == "SUCCEEDED"


def test_reasons(small):
    audiences = Audiences(Api(small.url))
    assert REQUEST["query"] != "SELECT user_id FROM dsp_impressions"
    for query, reason in (
        ("SELECT user_id FROM dsp_impressions", DOCUMENTED),
        ("SELECT campaign FROM dsp_impressions_for_audiences", "Invalid columns in the SQL query: The query must select user_id."),
        ("SELECT user_id FROM nowhere_for_audiences", "From line 1, column 21 to line 1, column 41: Object 'nowhere_for_audiences' not found"),
    ):  # fmt: skip
        found = audiences.ended(audiences.create(query=query))
        assert (found["status"], found["statusReason"]) == ("FAILED", reason)


@pytest.mark.covers("rule", "a workflow for audiences can be saved, but not executed")
def test_reporting_does_not_run_a_workflow_for_audiences(small):
    api = Api(small.url)
    sql = "SELECT user_id FROM dsp_impressions_for_audiences"
    answer = api.reporting("POST", "workflows", {"workflowId": "twins", "sqlQuery": sql})
    assert answer.status_code == 200, answer.text
    wrong = api.reporting(
        "POST", "workflows", {"workflowId": "mixed", "sqlQuery": f"{sql} i JOIN dsp_clicks c ON TRUE"}
    )
    assert (wrong.status_code, wrong.json()["details"].endswith(DOCUMENTED)) == (400, True)
    run = api.finished(None, workflow=None, workflowId="twins")
    assert run["status"] == "REJECTED"
    assert "Object 'dsp_impressions_for_audiences' not found" in run["statusReason"]
    audiences = Audiences(api)
    found = audiences.ended(audiences.create(query=None, workflowId="twins", **ALL_YEAR))
    assert (found["status"], found["query"]) == ("SUCCEEDED", sql)
