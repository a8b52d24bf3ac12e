"""The grammar of AMC SQL, over HTTP: what is taken, and what is refused as AMC refuses it.

Facts: AMC documentation, "AMC SQL overview", "Basics" and "Limitations". Every value has two users behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcExecutionRejectedError
from airflow_provider_amc.testing import AmcEmulator
from tests.evidence.inventory import STATEMENTS

WINDOW = {"start": "2026-03-02", "end": "2026-03-09"}
IMPRESSIONS = [
    {"user_id": user, "campaign": campaign, "campaign_id": number, "impressions": 1, "impression_dt_utc": f"2026-03-0{day}"}
    for user in ("u1", "u2")
    for campaign, number, day in (("Spring", 1, 2), ("Spring", 1, 3), ("Winter", 2, 4), ("Winter", 2, 4), ("Winter", 2, 5))
]  # fmt: skip
CLICKS = [
    {"user_id": user, "campaign": campaign, "clicks": 1, "click_dt_utc": f"2026-03-{day}"}
    for user in ("u1", "u2")
    for campaign, day in (("Spring", "05"), ("Autumn", "05"), ("Autumn", "12"))
]

TAKEN: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    ("SELECT with expressions and aliases", "SELECT UPPER(campaign) AS c, SUM(impressions) * 2 AS n FROM dsp_impressions GROUP BY UPPER(campaign)",
     [("SPRING", 8), ("WINTER", 12)]),
    ("SELECT DISTINCT", "SELECT DISTINCT campaign FROM dsp_impressions", [("Spring",), ("Winter",)]),
    ("WHERE", "SELECT campaign FROM dsp_impressions WHERE campaign <> 'Winter' AND impressions > 0 GROUP BY campaign", [("Spring",)]),
    ("GROUP BY columns", "SELECT campaign, campaign_id, SUM(impressions) AS n FROM dsp_impressions GROUP BY campaign, campaign_id",
     [("Spring", 1, 4), ("Winter", 2, 6)]),
    ("GROUP BY ordinals", "SELECT campaign, campaign_id, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1, 2",
     [("Spring", 1, 4), ("Winter", 2, 6)]),
    ("GROUP BY an alias", "SELECT LOWER(campaign) AS c, SUM(impressions) AS n FROM dsp_impressions GROUP BY c", [("spring", 4), ("winter", 6)]),
    ("HAVING", "SELECT campaign FROM dsp_impressions GROUP BY campaign HAVING SUM(impressions) > 5", [("Winter",)]),
    ("HAVING with an alias", "SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY campaign HAVING n > 5", [("Winter", 6)]),
    ("WITH", "WITH a AS (SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1), b AS (SELECT n FROM a) SELECT SUM(n) AS n FROM b",
     [(10,)]),
    ("WITH that names its columns", "WITH a(c, n) AS (SELECT campaign, SUM(impressions) FROM dsp_impressions GROUP BY 1) SELECT c, n FROM a",
     [("Spring", 4), ("Winter", 6)]),
    ("alias.* of a CTE", "WITH a AS (SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1) SELECT a.* FROM a",
     [("Spring", 4), ("Winter", 6)]),
    ("VALUES in a CTE", "WITH v(c, budget) AS (VALUES ('Spring', 10), ('Winter', 20)) SELECT v.c, MAX(budget) AS b FROM v "
     "JOIN dsp_impressions i ON i.campaign = v.c GROUP BY 1", [("Spring", 10), ("Winter", 20)]),
    ("sub-query in FROM", "SELECT MAX(q.n) AS n FROM (SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1) q", [(6,)]),
    ("sub-query in a condition", "SELECT campaign FROM dsp_impressions WHERE campaign IN (SELECT campaign FROM dsp_clicks) GROUP BY 1", [("Spring",)]),
    ("UNION", "SELECT campaign FROM dsp_impressions GROUP BY 1 UNION SELECT campaign FROM dsp_clicks GROUP BY 1",
     [("Autumn",), ("Spring",), ("Winter",)]),
    ("UNION ALL", "SELECT campaign FROM dsp_impressions GROUP BY 1 UNION ALL SELECT campaign FROM dsp_clicks GROUP BY 1",
     [("Autumn",), ("Spring",), ("Spring",), ("Winter",)]),
    ("UNION DISTINCT", "SELECT campaign FROM dsp_impressions GROUP BY 1 UNION DISTINCT SELECT campaign FROM dsp_clicks GROUP BY 1",
     [("Autumn",), ("Spring",), ("Winter",)]),
    ("INNER JOIN", "SELECT i.campaign, SUM(c.clicks) AS n FROM dsp_impressions i INNER JOIN dsp_clicks c ON i.campaign = c.campaign "
     "AND i.user_id = c.user_id GROUP BY 1", [("Spring", 4)]),
    ("LEFT JOIN", "SELECT i.campaign, COUNT(c.clicks) AS n FROM dsp_impressions i LEFT JOIN dsp_clicks c ON i.campaign = c.campaign "
     "AND i.user_id = c.user_id GROUP BY 1", [("Spring", 4), ("Winter", 0)]),
    ("FULL OUTER JOIN", "SELECT COALESCE(i.campaign, c.campaign) AS k FROM dsp_impressions i FULL OUTER JOIN dsp_clicks c "
     "ON i.campaign = c.campaign GROUP BY 1", [("Autumn",), ("Spring",), ("Winter",)]),
    ("CROSS JOIN", "SELECT COUNT(*) AS n FROM dsp_impressions CROSS JOIN dsp_clicks", [(40,)]),
    ("list of sources", "SELECT COUNT(*) AS n FROM dsp_impressions i, dsp_clicks c WHERE i.user_id = c.user_id", [(20,)]),
    ("JOIN on an inequality", "SELECT COUNT(*) AS n FROM dsp_impressions i JOIN dsp_clicks c ON i.impression_dt_utc < c.click_dt_utc", [(32,)]),
    ("TABLE(EXTEND_TIME_WINDOW(...))", "SELECT campaign, SUM(clicks) AS n FROM TABLE(EXTEND_TIME_WINDOW('dsp_clicks', 'P1D', 'P7D')) GROUP BY 1",
     [("Autumn", 4), ("Spring", 2)]),
    ("OVER (PARTITION BY ... ORDER BY ...)", "SELECT campaign, n, RANK() OVER (PARTITION BY k ORDER BY n DESC) AS r FROM "
     "(SELECT 1 AS k, campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY campaign)", [("Spring", 4, 2), ("Winter", 6, 1)]),
    ("WINDOW name AS (...)", "SELECT campaign, ROW_NUMBER() OVER w AS r FROM (SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1) "
     "WINDOW w AS (ORDER BY n)", [("Spring", 1), ("Winter", 2)]),
    ("frame of a window", "SELECT campaign, SUM(n) OVER (ORDER BY campaign ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM "
     "(SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY campaign)", [("Spring", 4), ("Winter", 10)]),
    ("FILTER (WHERE ...)", "SELECT SUM(impressions) FILTER (WHERE campaign = 'Spring') AS n FROM dsp_impressions", [(4,)]),
    ("comments", "SELECT campaign /* the\nname */ FROM dsp_impressions -- all of them\nGROUP BY campaign", [("Spring",), ("Winter",)]),
    ("names in any case", "select CAMPAIGN from DSP_Impressions group by Campaign", [("Spring",), ("Winter",)]),
    ("quoted names", 'SELECT campaign AS "the campaign" FROM dsp_impressions AS "my table" GROUP BY 1', [("Spring",), ("Winter",)]),
    ("semicolon at the end", "SELECT campaign FROM dsp_impressions GROUP BY 1;", [("Spring",), ("Winter",)]),
    ("date arithmetic with INTERVAL", "SELECT campaign FROM dsp_impressions WHERE impression_dt_utc + INTERVAL '1' DAY >= TIMESTAMP '2026-03-05 00:00:00' "
     "GROUP BY 1", [("Winter",)]),
    ("CAST('today' AS DATE) and CAST('now' AS TIMESTAMP)", "SELECT campaign, CAST('today' AS DATE) = CURRENT_DATE AS d, "
     "CAST('now' AS TIMESTAMP) = CURRENT_TIMESTAMP AS t FROM dsp_impressions GROUP BY campaign", [("Spring", True, True), ("Winter", True, True)]),
    ("string compared with a number", "SELECT campaign FROM dsp_impressions WHERE campaign_id = '2' GROUP BY campaign", [("Winter",)]),
    ("string compared with a date", "SELECT campaign FROM dsp_impressions WHERE impression_dt_utc < '2026-03-04' GROUP BY campaign", [("Spring",)]),
]  # fmt: skip

REFUSED = [
    ("SELECT * of a table", "SELECT * FROM dsp_impressions", r"SELECT \* is not supported"),
    ("LIMIT", "SELECT campaign FROM dsp_impressions GROUP BY 1\nLIMIT 5", "LIMIT is not supported"),
    ("ORDER BY outside of OVER", "SELECT campaign FROM dsp_impressions GROUP BY 1\nORDER BY 1", "ORDER BY is not supported outside of OVER"),
    ("RIGHT JOIN", "SELECT c.campaign FROM dsp_impressions i\nRIGHT JOIN dsp_clicks c ON i.user_id = c.user_id GROUP BY 1", "RIGHT JOIN is not supported"),
    ("GETDATE()", "SELECT MAX(GETDATE()) AS d FROM dsp_impressions", "No match found for function signature GETDATE"),
    ("DATE_ADD()", "SELECT MAX(DATE_ADD(impression_dt_utc, 1)) AS d FROM dsp_impressions", "No match found for function signature DATE_ADD"),
    ("||", "SELECT campaign || 'x' AS c FROM dsp_impressions GROUP BY 1", r"Unsupported scalar operation type \|\|"),
    ("DDL", "CREATE TABLE mine AS SELECT campaign FROM dsp_impressions GROUP BY 1", 'Encountered "CREATE" at line 1, column 1'),
    ("DML", "DELETE FROM dsp_impressions", 'Encountered "DELETE" at line 1, column 1'),
    ("several statements", "SELECT COUNT(*) AS n FROM dsp_clicks; SELECT COUNT(*) AS n FROM dsp_clicks", "Only one statement"),
    ("RANK alias in HAVING", "SELECT campaign, RANK() OVER (ORDER BY COUNT(*)) AS r FROM dsp_clicks GROUP BY campaign HAVING r < 2", "illegal in HAVING"),
    ("unknown table", "SELECT COUNT(*) AS n\nFROM nothing", "line 2, column 6.*Object 'nothing' not found"),
    ("unknown column", "SELECT COUNT(\n  nothing) AS n FROM dsp_clicks", "line 2, column 3.*Column 'nothing' not found"),
    ("unknown function", "SELECT MAX(SPLIT(campaign)) AS n FROM dsp_clicks", "No match found for function signature SPLIT"),
    ("undeclared parameter", "SELECT COUNT(*) AS n FROM dsp_clicks WHERE campaign = CUSTOM_PARAMETER('p')", "referenced an undeclared parameter p"),
    ("table of the retired ad server", "SELECT COUNT(*) AS n FROM adserver_traffic", "Object 'adserver_traffic' not found"),
    ("output that is not aggregated on a standard instance", "SELECT campaign FROM dsp_impressions", "final output of the query must be aggregated"),
]  # fmt: skip


def parameters(table: list[Any]) -> list[Any]:
    return [pytest.param(*case, id=name, marks=pytest.mark.covers("statement", name)) for name, *case in table]


@pytest.fixture
def amc(emulator: EmulatorServer) -> Iterator[AmcEmulator]:
    amc = AmcEmulator(emulator)
    amc.load_table("dsp_impressions", IMPRESSIONS)
    amc.load_table("dsp_clicks", CLICKS)
    yield amc
    amc.close()


@pytest.mark.parametrize(("sql", "result"), parameters(TAKEN))
def test_taken(amc: AmcEmulator, sql: str, result: list[tuple[Any, ...]]) -> None:
    assert [tuple(row.values()) for row in amc.query(sql, **WINDOW)] == result


@pytest.mark.covers("statement", "schema sandbox")
def test_schema_sandbox(amc: AmcEmulator) -> None:
    for options, table in (({}, "sandbox.dsp_impressions"), ({"input_schema": "sandbox"}, "dsp_impressions")):
        rows = amc.query(f"SELECT COUNT(*) AS n FROM {table}", instance_id="amcsandbox", **WINDOW, **options)
        assert rows == [{"n": 10}]


@pytest.mark.covers("statement", "tables for audiences")
def test_tables_for_audiences(amc: AmcEmulator, emulator: EmulatorServer) -> None:
    """Queries of audiences read them, others do not."""
    engine, sql = emulator.emulator.queries.engine(), "SELECT user_id FROM dsp_impressions_for_audiences"
    assert engine.compile(sql, privacy=None, for_audience=True).tables == ("dsp_impressions_for_audiences",)
    with pytest.raises(AmcExecutionRejectedError, match="Object 'dsp_impressions_for_audiences' not found"):
        amc.query(sql, **WINDOW)


@pytest.mark.parametrize(("sql", "message"), parameters(REFUSED))
def test_refused(amc: AmcEmulator, sql: str, message: str) -> None:
    with pytest.raises(AmcExecutionRejectedError, match=message):
        amc.query(sql)


def test_every_statement_of_the_inventory_is_here() -> None:
    taken = [name for name, *_ in TAKEN] + ["schema sandbox", "tables for audiences"]
    assert sorted(taken) == sorted(STATEMENTS["Taken"])
    assert [name for name, *_ in REFUSED] == list(STATEMENTS["Refused, as AMC does"])
