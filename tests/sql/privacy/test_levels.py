"""The level of a value follows from the columns that can be in it (AMC documentation, "Aggregation threshold").

One campaign has 1 user, one 2, one 99 and one 100, and each row knows by the count ``n`` of which it is: so it shows
how many users a value asks for.
"""

from __future__ import annotations

import pytest

from airflow_provider_amc.emulator.engine import Engine
from tests.sql.privacy import emulated
from tests.sql.privacy.decision import Mode

SIZES = (1, 2, 99, 100)

#: Expressions over one campaign of dsp_impressions, and the users they need.
EXPRESSIONS = [
    ("SUM(impressions)", 1),
    ("COUNT(DISTINCT user_id)", 1),
    ("COUNT(postal_code)", 1),
    ("AVG(total_cost)", 1),
    ("'text'", 1),
    ("MAX('text')", 1),
    ("SUM(impressions) > 5", 1),
    ("MAX(postal_code) IS NULL", 1),
    ("MIN(device_type) = MIN(postal_code)", 1),
    ("MAX(CASE WHEN postal_code IS NULL THEN 1 ELSE 2 END)", 1),
    ("MAX(IF(bid_price > 1, 1, 2))", 1),
    ("(SELECT COUNT(DISTINCT k.user_id) FROM dsp_clicks k)", 1),
    ("campaign", 2),
    ("MIN(device_type)", 2),
    ("UPPER(campaign)", 2),
    ("CONCAT(campaign, '-', MAX(device_type))", 2),
    ("LENGTH(campaign)", 2),
    ("SUM(impressions) + MAX(campaign_id)", 2),
    ("COALESCE(MIN(device_type), 'none')", 2),
    ("CASE WHEN SUM(impressions) > 0 THEN campaign ELSE 'x' END", 2),
    ("COLLECT(device_type)", 2),
    ("SUM(impressions) / SUM(campaign_id)", 2),
    ("SUM(bid_price)", 100),
    ("SUM(impressions) / SUM(bid_price)", 100),
    ("MAX(impression_dt_utc)", 100),
    ("MAX(postal_code)", 100),
    ("COALESCE(MIN(device_type), MIN(postal_code))", 100),
    ("CASE WHEN COUNT(*) > 0 THEN MAX(city_name) END", 100),
    ("NAMED_ROW('a', 1, 'b', MIN(postal_code))", 100),
    ("PERCENTILE(bid_price, 0.5)", 100),
    ("SUBSTRING(MIN(postal_code), 1, 1)", 100),
    ("(SELECT MAX(k.postal_code) FROM dsp_clicks k)", 100),
]

#: Whole queries with a value ``v`` and the count ``n``.
QUERIES = [
    ("WITH q AS (SELECT campaign, UPPER(postal_code) AS p FROM dsp_impressions)"
     " SELECT MAX(p) AS v, COUNT(*) AS n FROM q GROUP BY campaign", 100),
    ("WITH q AS (SELECT campaign, COUNT(DISTINCT postal_code) AS p, COUNT(*) AS n FROM dsp_impressions GROUP BY 1)"
     " SELECT p AS v, n FROM q", 1),
    ("WITH q AS (SELECT campaign, device_type AS d FROM dsp_impressions UNION ALL"
     " SELECT NULL, postal_code FROM dsp_clicks)"
     " SELECT MAX(d) AS v, COUNT(*) AS n FROM q WHERE campaign IS NOT NULL GROUP BY campaign", 100),
    ("WITH v(x) AS (VALUES (7)) SELECT MAX(v.x) AS v, COUNT(*) AS n FROM dsp_impressions i CROSS JOIN v GROUP BY i.campaign", 1),
    ("WITH q AS (SELECT campaign, user_id, MAX(bid_price) OVER (PARTITION BY campaign) AS b FROM dsp_impressions)"
     " SELECT MAX(b) AS v, COUNT(*) AS n FROM q GROUP BY campaign", 100),
    ("WITH q AS (SELECT campaign, ROW_NUMBER() OVER (PARTITION BY campaign ORDER BY postal_code) AS r FROM dsp_impressions)"
     " SELECT MIN(r) AS v, COUNT(*) AS n FROM q GROUP BY campaign", 1),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def data(engine: Engine) -> None:
    engine.load_table("dsp_impressions", [
        {
            "user_id": f"{size}-{number}", "campaign": f"c{size}", "campaign_id": size, "device_type": "TV", "impressions": 1,
            "bid_price": 3, "total_cost": 1.5, "postal_code": "10001", "city_name": "Leeds",
            "impression_dt_utc": "2026-03-05T00:00:00",
        }
        for size in SIZES for number in range(size)
    ])  # fmt: skip
    engine.load_table("dsp_clicks", [{"user_id": "u", "postal_code": "1"}])


def users_needed(engine: Engine, sql: str) -> int:
    """The smallest campaign whose value is shown. All larger ones have to be, and the count by itself always is."""
    found = {row[1]: row[0] for row in emulated.rows(engine, sql, Mode("REMOVE_VALUES"))}
    assert set(found) == set(SIZES)
    shown = sorted(size for size, value in found.items() if value is not None)
    assert shown == sorted(SIZES)[-len(shown) :]
    return shown[0]


@pytest.mark.parametrize(("expression", "users"), EXPRESSIONS)
@pytest.mark.covers("rule", "The level of an output column is that of the columns it is made of")
def test_levels_of_expressions(engine: Engine, expression: str, users: int) -> None:
    sql = f"SELECT {expression} AS v, COUNT(*) AS n FROM dsp_impressions GROUP BY campaign"
    assert users_needed(engine, sql) == users


@pytest.mark.parametrize(("sql", "users"), QUERIES)
@pytest.mark.covers("rule", "The level of an output column is that of the columns it is made of")
def test_levels_through_queries(engine: Engine, sql: str, users: int) -> None:
    assert users_needed(engine, sql) == users
