from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from airflow_provider_amc.sql import additivity
from airflow_provider_amc.sql.aggregates import AGGREGATES
from airflow_provider_amc.sql.lint import Finding, merged_rows
from airflow_provider_amc.sql.outputs import Select, parsed, selects


def kinds(expression: str, source: str = "dsp_impressions") -> list[str]:
    return [
        finding.what for finding in merged_rows(f"SELECT campaign, {expression} AS m FROM {source} GROUP BY campaign")
    ]


SUMS = [
    "SUM(impressions)",
    "COUNT(*)",
    "COUNT(user_id)",
    "SUM(impressions) FILTER (WHERE device_type = 'TV')",
    "SUM(total_cost) / 100000",
    "1000 * SUM(impressions)",
    "SUM(impressions) - SUM(impressions) FILTER (WHERE device_type = 'TV')",
    "COALESCE(SUM(impressions), 0)",
    "ROUND(SUM(total_cost), 2)",
    "CAST(SUM(impressions) AS DOUBLE)",
    "IF(campaign = 'a', SUM(impressions), 0)",
    "CASE WHEN campaign = 'a' THEN SUM(impressions) END",
    "SUM(IF(device_type = 'TV', impressions, 0) / 2)",
    "NULLIF(SUM(impressions), 0)",
]
NO_NUMBERS = [
    # What is no number makes rows differ, and is not added up.
    "MAX(campaign_id_string)",
    "MIN(impression_dt_utc)",
    "CASE WHEN SUM(impressions) > 10 THEN 'often' ELSE 'seldom' END",
    "SUM(impressions) > 10",
    "CAST(AVG(impressions) AS VARCHAR)",
    "COLLECT(DISTINCT device_type)",
    "'2026'",
    "1",
]


@pytest.mark.parametrize("expression", SUMS + NO_NUMBERS)
def test_what_can_be_added_up(expression: str) -> None:
    assert kinds(expression) == []


OTHERS = [
    ("COUNT(DISTINCT user_id)", "a distinct count"),
    ("SUM(DISTINCT impressions)", "a sum of distinct values"),
    ("AVG(impressions)", "an average"),
    ("MAX(impressions)", "an extreme value"),
    ("MIN(uploaded_column)", "an extreme value"),
    ("MEDIAN(impressions)", "a percentile"),
    ("APPROX_PERCENTILE(impressions, 0.5)", "a percentile"),
    ("STDDEV(impressions)", "a statistic"),
    ("SUM(total_cost) / SUM(impressions)", "a ratio"),
    ("ROUND(100.0 * COUNT(*) / NULLIF(SUM(impressions), 0), 2)", "a ratio"),
    ("COALESCE(AVG(impressions), 0)", "an average"),
    ("-MAX(impressions)", "an extreme value"),
    ("SUM(impressions) * COUNT(*)", "a product"),
    ("SUM(impressions) + 1", "computed from aggregates"),
    ("SQRT(SUM(impressions))", "computed from aggregates"),
    ("GREATEST(SUM(impressions), 4 * COUNT(*))", "computed from aggregates"),
    ("IF(SUM(impressions) > 0, SUM(total_cost) / SUM(impressions), 0)", "a ratio"),
    ("CASE WHEN COUNT(*) > 5 THEN SUM(impressions) ELSE 0 END", "computed from aggregates"),
    ("SUM(SUM(impressions)) OVER (ORDER BY campaign)", "a value of a window"),
    ("SUM(impressions) / SUM(SUM(impressions)) OVER ()", "a ratio"),
]


@pytest.mark.parametrize(("expression", "kind"), OTHERS)
def test_what_cannot(expression: str, kind: str) -> None:
    assert kinds(expression) == [kind]


def test_every_aggregate_is_judged() -> None:
    assert {*additivity._KINDS, *additivity._SUMS, "COLLECT"} == set(AGGREGATES)


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("""
            CREATE TABLE dsp_impressions AS
            SELECT i // 4 AS campaign, i % 5 AS user_id, i % 7 + 1 AS impressions, i % 7 + 1 AS uploaded_column,
                100 * i + 1 AS total_cost, CASE WHEN i % 3 = 0 THEN 'TV' ELSE 'PC' END AS device_type
            FROM range(20) AS t(i)
        """)
        yield connection


@pytest.mark.parametrize(
    ("expression", "adds_up"),
    [
        *((expression, True) for expression in SUMS if "campaign" not in expression),
        *((expression, False) for expression, _ in OTHERS if "OVER" not in expression),
    ],
)
def test_the_sum_of_the_parts(rows: duckdb.DuckDBPyConnection, expression: str, adds_up: bool) -> None:
    """The judgement holds for real rows: campaigns merged, and all rows at once."""

    def value(sql: str) -> float:
        ((found,),) = rows.execute(sqlglot.transpile(sql, read="amc", write="duckdb")[0]).fetchall()
        return float(found)

    parts = value(f"SELECT SUM(m) FROM (SELECT {expression} AS m FROM dsp_impressions GROUP BY campaign) AS q")
    whole = value(f"SELECT {expression} AS m FROM dsp_impressions")
    assert (abs(parts - whole) < 1e-6) == adds_up


def test_through_queries_within_the_query() -> None:
    sql = """
    WITH by_campaign AS (
        SELECT campaign, SUM(clicks) AS clicks, SUM(impressions) AS impressions, AVG(impressions) AS depth,
            COUNT(DISTINCT user_id) AS reach, MAX(campaign_id_string) AS name
        FROM sponsored_ads_traffic GROUP BY campaign
    )
    SELECT campaign, clicks, clicks / impressions AS ctr, depth, reach, reach AS again, name FROM by_campaign
    """
    assert [(finding.column, finding.what) for finding in merged_rows(sql)] == [
        ("ctr", "a ratio"),
        ("depth", "an average"),
        ("reach", "a distinct count"),
        ("again", "a distinct count"),
    ]


def test_a_sum_makes_parts_whole() -> None:
    """Whatever the inner query gives: each of its rows is in one of the groups that are merged."""
    sql = """
    SELECT frequency, SUM(reach) AS reach, COUNT(*) AS users FROM (
        SELECT user_id, COUNT(*) AS frequency, COUNT(DISTINCT campaign) AS reach FROM dsp_impressions GROUP BY user_id
    ) AS u GROUP BY frequency
    """
    assert merged_rows(sql) == []


def test_union_and_star() -> None:
    sql = "SELECT * FROM (SELECT a, COUNT(*) AS n FROM t GROUP BY a UNION ALL SELECT a, AVG(x) FROM t GROUP BY a) q"
    assert [str(finding) for finding in merged_rows(sql)] == ["n is an average"]
    sql = "SELECT a, COUNT(*) AS n FROM t GROUP BY a UNION ALL SELECT a, AVG(x) AS m FROM t GROUP BY a"
    assert [str(finding) for finding in merged_rows(sql)] == ["m is an average (line 1, column 63)"]


def test_places() -> None:
    sql = "SELECT campaign,\n  SUM(clicks) /\n    SUM(impressions),\n  AVG(x) AS depth\nFROM dsp_clicks\nGROUP BY campaign"
    assert [str(finding) for finding in merged_rows(sql)] == [
        "column 2 is a ratio (line 2, column 3)",
        "depth is an average (line 4, column 3)",
    ]


@pytest.mark.parametrize("sql", ["", "SELEC", "SELECT * FROM t", "DELETE FROM t", "SELECT (", "SELECT 1; SELECT 2"])
def test_what_cannot_be_read(sql: str) -> None:
    assert merged_rows(sql) == []


def test_deep_nesting() -> None:
    assert merged_rows("SELECT " + "(" * 3000 + "1" + ")" * 3000) == []
    assert str(Finding("m", "a ratio", None)) == "m is a ratio"


def test_origins_of_renamed_columns() -> None:
    tree = parsed("WITH q (x, y) AS (SELECT a, AVG(b) FROM t GROUP BY a) SELECT x, y AS z FROM q")
    assert tree is not None
    (select,) = selects(tree)
    assert isinstance(select, Select)
    (origin,) = select.origins(exp.column("y"))
    assert origin.name == ""
    assert [finding.column for finding in merged_rows(tree.sql("amc"))] == ["z"]
