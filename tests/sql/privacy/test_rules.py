"""What may be compared with literals, and what may be shown (AMC documentation, "Aggregation threshold")."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_amc.emulator.engine import AmcSqlError, Engine
from tests.sql.privacy import emulated
from tests.sql.privacy.decision import Mode

PARAMETERS: dict[str, Any] = {
    "input_parameters": [
        {"name": "place", "dataType": "STRING", "columnType": "DIMENSION"},
        {"name": "places", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}, "columnType": "DIMENSION"},
    ],
    "parameter_values": {"place": "10001", "places": ["10001", "10002"]},
}

#: Conditions on a row of dsp_impressions ``i`` or dsp_clicks ``c``.
REFUSED_CONDITIONS = [
    "i.postal_code = '10001'",
    "'10001' = i.postal_code",
    "i.postal_code <> '10001'",
    "i.postal_code < '2'",
    "i.postal_code >= '2'",
    "i.postal_code IN ('10001', '10011')",
    "i.postal_code NOT IN ('10001')",
    "'10001' IN (i.postal_code, c.postal_code)",
    "i.postal_code BETWEEN '1' AND '2'",
    "'1' BETWEEN i.postal_code AND c.postal_code",
    "i.postal_code LIKE '1%'",
    "i.postal_code NOT LIKE '1%'",
    "i.postal_code SIMILAR TO '1.*'",
    "i.user_id = 'abc'",
    "i.user_id IN ('111', '222')",
    "i.city_name = 'Leeds'",
    "NOT (i.postal_code = '1')",
    "i.device_type = 'TV' OR (i.postal_code = '1' AND c.clicks > 0)",
    # literals that are made of others
    "i.postal_code = UPPER('x')",
    "i.postal_code = CONCAT('100', '01')",
    "CAST(i.postal_code AS INTEGER) > 5000 + 5001",
    "i.postal_code = CASE WHEN i.device_type = 'TV' THEN '1' END",
    "i.postal_code = COALESCE(c.device_type, '1')",
    "i.postal_code = NVL(c.device_type, '1')",
    "i.postal_code = IF(c.clicks > 0, c.device_type, '1')",
    "i.postal_code = CUSTOM_PARAMETER('place')",
    "ARRAY_CONTAINS(CUSTOM_PARAMETER('places'), i.postal_code)",
    "ARRAY_CONTAINS(ARRAY['1', '2'], i.postal_code)",
    "CONTAINED_IN(i.postal_code, '1', '2')",
    # values that are made of a protected one
    "UPPER(i.postal_code) = '1'",
    "SUBSTRING(i.postal_code, 1, 3) = '100'",
    "LENGTH(i.user_id) = 5",
    "CAST(i.postal_code AS INTEGER) + 1 = 5",
    "COALESCE(i.postal_code, c.postal_code) = '1'",
    "CASE WHEN c.clicks > 0 THEN i.postal_code END = '1'",
    "CASE i.postal_code WHEN '1' THEN TRUE ELSE FALSE END",
    "IF(i.postal_code = '1', TRUE, FALSE)",
    "HASH64(i.postal_code) = 5",
    "NAMED_ROW('p', i.postal_code) = NAMED_ROW('p', '1')",
    "(i.postal_code, i.device_type) IN (('1', 'TV'))",
    "i.postal_code IS NOT DISTINCT FROM '1'",
    "i.postal_code BETWEEN c.city_name AND 'z'",
    "i.postal_code = CUSTOM_PARAMETER('places')[1]",
    "i.postal_code = CAST(BUILT_IN_PARAMETER('TIME_WINDOW_START') AS VARCHAR)",
    "i.postal_code = CAST(c.clicks + 10000 AS VARCHAR)",
    "i.postal_code = LOWER(COALESCE(c.city_name, 'x'))",
    # functions that compare
    "NULLIF(i.postal_code, '1') IS NULL",
    "GREATEST(CAST(i.postal_code AS INTEGER), 5) IS NULL",
    "LEAST(5, LENGTH(i.user_id)) IS NULL",
    "REGEXP_SUBSTR(i.postal_code, '1.') IS NULL",
    "REGEXP_REPLACE(i.postal_code, '1', '') IS NULL",
    "REGEXP_SUBSTR('10001,10002', i.postal_code) IS NOT NULL",
    "LENGTH(REPLACE(i.postal_code, '1', '')) < LENGTH(i.postal_code)",
    "POSITION('1' IN i.postal_code) > 0",
    "POSITION(i.postal_code IN '10001,10002') > 0",
    "STRPOS(i.postal_code, '1') > 0",
    "CHARINDEX('1', i.postal_code) > 0",
    "LOCATE('1', i.postal_code) > 0",
    "INSTR(i.postal_code, '1') > 0",
    "STR_TO_MAP('10001=1', ',', '=')[i.postal_code] IS NOT NULL",
    "CARDINALITY(ARRAY_INTERSECT(ARRAY[i.postal_code], CUSTOM_PARAMETER('places'))) > 0",
    "CARDINALITY(ARRAY_REMOVE(ARRAY[i.postal_code], '1')) = 0",
    # sub-queries
    "i.postal_code IN (SELECT '1' AS x FROM dsp_clicks GROUP BY 1)",
    "i.postal_code = (SELECT MAX('1') FROM dsp_clicks)",
    "(SELECT MAX(k.postal_code) FROM dsp_clicks k) = '1'",
    "EXISTS (SELECT k.clicks FROM dsp_clicks k WHERE k.postal_code = '1')",
    # both at once: a comparison with anything could be one with the literal
    "COALESCE(i.postal_code, '1') = c.postal_code",
]

REFUSED_QUERIES = [
    # through queries with names
    "WITH q AS (SELECT postal_code AS place, user_id FROM dsp_impressions) SELECT COUNT(*) AS n FROM q WHERE place = '1'",
    "WITH q AS (SELECT LOWER(postal_code) AS p FROM dsp_impressions), r AS (SELECT p AS x FROM q)"
    " SELECT COUNT(*) AS n FROM r WHERE x LIKE '1%'",
    "SELECT COUNT(*) AS n FROM (SELECT postal_code AS p FROM dsp_impressions) q WHERE q.p IN ('1')",
    "WITH q AS (SELECT device_type, MIN(user_id) AS first FROM dsp_impressions GROUP BY 1)"
    " SELECT COUNT(*) AS n FROM q WHERE first = 'a'",
    "WITH q AS (SELECT postal_code AS x FROM dsp_impressions UNION ALL SELECT device_type FROM dsp_clicks)"
    " SELECT COUNT(*) AS n FROM q WHERE x = '1'",
    "WITH q AS (SELECT device_type AS x FROM dsp_impressions UNION ALL SELECT postal_code FROM dsp_clicks)"
    " SELECT COUNT(*) AS n FROM q WHERE x = '1'",
    # joins with lists of literals
    "WITH v(p) AS (VALUES ('1'), ('2')) SELECT COUNT(*) AS n FROM dsp_impressions i JOIN v ON i.postal_code = v.p",
    "WITH v(p) AS (VALUES ('1')) SELECT COUNT(*) AS n FROM dsp_impressions i LEFT JOIN v ON v.p = i.postal_code AND i.impressions > 0",
    "WITH v(p) AS (VALUES ('1')) SELECT COUNT(*) AS n FROM dsp_impressions i, v WHERE i.postal_code = v.p",
    "WITH v(p) AS (VALUES ('1')) SELECT COUNT(*) AS n FROM dsp_impressions WHERE postal_code IN (SELECT p FROM v)",
    "WITH v(p) AS (VALUES ('1')) SELECT COUNT(*) AS n FROM dsp_impressions i"
    " WHERE EXISTS (SELECT v.p FROM v WHERE v.p = i.postal_code)",
    "WITH v(postal_code) AS (VALUES ('1')) SELECT COUNT(*) AS n FROM dsp_impressions JOIN v USING (postal_code)",
    "WITH v AS (SELECT 'a' AS u FROM dsp_clicks GROUP BY 1)"
    " SELECT COUNT(*) AS n FROM dsp_impressions i JOIN v ON i.user_id = v.u",
    "WITH v AS (SELECT device_type AS x FROM dsp_clicks UNION ALL SELECT '1')"
    " SELECT COUNT(*) AS n FROM dsp_impressions i JOIN v ON i.postal_code = v.x",
    "WITH v AS (SELECT CUSTOM_PARAMETER('place') AS x FROM dsp_clicks GROUP BY 1)"
    " SELECT COUNT(*) AS n FROM dsp_impressions i JOIN v ON i.postal_code = v.x",
    "SELECT COUNT(*) AS n FROM dsp_impressions i JOIN dsp_clicks c ON i.user_id = c.user_id AND i.postal_code = '1'",
    # comparisons at other places of a query
    "SELECT SUM(CASE WHEN postal_code = '1' THEN impressions END) AS n FROM dsp_impressions",
    "SELECT SUM(impressions) FILTER (WHERE postal_code = '1') AS n FROM dsp_impressions",
    "SELECT COUNT(DISTINCT CASE WHEN postal_code IN ('1') THEN user_id END) AS n FROM dsp_impressions",
    "SELECT device_type, COUNT(*) AS n FROM dsp_impressions GROUP BY 1 HAVING MAX(postal_code) = '1'",
    "SELECT device_type, COUNT(*) AS n FROM dsp_impressions GROUP BY device_type, postal_code = '1'",
    "SELECT MAX(postal_code) = '1' AS x, COUNT(*) AS n FROM dsp_impressions",
    # values that may be the literal, where they are compared with each other
    "SELECT COALESCE(postal_code, 'x') AS p, COUNT(*) AS n FROM dsp_impressions GROUP BY 1",
    "SELECT NVL(postal_code, 'x') AS p, COUNT(*) AS n FROM dsp_impressions GROUP BY NVL(postal_code, 'x')",
    "SELECT CASE WHEN device_type = 'TV' THEN postal_code ELSE '1' END AS p, COUNT(*) AS n FROM dsp_impressions GROUP BY 1",
    "SELECT IF(device_type = 'TV', postal_code, '1') AS p, COUNT(*) AS n FROM dsp_impressions GROUP BY 1",
    "SELECT MIN(COALESCE(postal_code, '1')) AS p FROM dsp_impressions",
    "SELECT MAX(COALESCE(postal_code, CUSTOM_PARAMETER('place'))) AS p FROM dsp_impressions",
    "SELECT DISTINCT COALESCE(postal_code, '1') AS p FROM dsp_impressions",
    "WITH q AS (SELECT postal_code AS p FROM dsp_impressions UNION ALL SELECT '1') SELECT p, COUNT(*) AS n FROM q GROUP BY p",
    "WITH q AS (SELECT '1' AS p UNION ALL SELECT postal_code FROM dsp_impressions) SELECT MAX(p) AS n FROM q",
    "SELECT postal_code AS p FROM dsp_impressions GROUP BY 1 UNION SELECT '1' AS p",
    "WITH q AS (SELECT LAG(postal_code, 1, '1') OVER (ORDER BY device_type) AS p FROM dsp_impressions)"
    " SELECT p, COUNT(*) AS n FROM q GROUP BY 1",
    "WITH q AS (SELECT impressions, ROW_NUMBER() OVER (ORDER BY COALESCE(postal_code, '1')) AS r FROM dsp_impressions)"
    " SELECT COUNT(*) AS n FROM q WHERE r = 1",
    "WITH q AS (SELECT COUNT(*) OVER (PARTITION BY NVL(postal_code, '1')) AS r FROM dsp_impressions)"
    " SELECT COUNT(*) AS n FROM q WHERE r = 1",
    "WITH q AS (SELECT COLLECT(postal_code) AS ps FROM dsp_impressions)"
    " SELECT COUNT(*) AS n FROM q WHERE ARRAY_CONTAINS(ps, '1')",
    "WITH q AS (SELECT COLLECT(postal_code) AS ps FROM dsp_impressions) SELECT COUNT(*) AS n FROM q WHERE ps[1] = '1'",
    "SELECT COUNT(*) AS n FROM dsp_impressions i, UNNEST(CUSTOM_PARAMETER('places')) AS t(p) WHERE i.postal_code = t.p",
    "WITH q AS (SELECT NAMED_ROW('p', postal_code) AS r FROM dsp_impressions) SELECT COUNT(*) AS n FROM q WHERE q.r.p = '1'",
    "SELECT SUM(CASE WHEN marketplace_id = 1 THEN conversions END) AS n FROM conversions_all",
]

ACCEPTED_CONDITIONS = [
    "i.postal_code IS NULL",
    "i.user_id IS NOT NULL",
    "COALESCE(i.postal_code, '1') IS NOT NULL",
    "i.device_type = 'TV'",
    "i.campaign LIKE 'x%' AND i.campaign IN ('xa', 'xb')",
    "i.campaign = CUSTOM_PARAMETER('place')",
    "ARRAY_CONTAINS(CUSTOM_PARAMETER('places'), i.campaign)",
    "i.bid_price > 5 AND i.impressions = 1",
    "i.postal_code = c.postal_code",
    "i.user_id <> c.user_id",
    "i.postal_code = COALESCE(c.postal_code, NULL)",
    "LOWER(i.postal_code) = LOWER(c.postal_code)",
    "i.postal_code > c.city_name",
    "i.user_id IN (SELECT k.user_id FROM dsp_clicks k WHERE k.device_type = 'TV')",
    "EXISTS (SELECT k.clicks FROM dsp_clicks k WHERE k.user_id = i.user_id AND k.clicks > 1)",
    # conditions say nothing of the value they were made of
    "CASE WHEN i.user_id IS NULL THEN 'x' ELSE 'y' END = 'x'",
    "(i.user_id = c.user_id) = TRUE",
    "(SELECT COUNT(DISTINCT k.user_id) FROM dsp_clicks k) > 5",
]

ACCEPTED_QUERIES = [
    "SELECT COUNT(user_id) AS a, COUNT(DISTINCT user_id) AS b, COUNT(COALESCE(postal_code, 'x')) AS c FROM dsp_impressions",
    "SELECT device_type, COUNT(*) AS n FROM dsp_impressions GROUP BY 1 HAVING COUNT(DISTINCT user_id) > 3",
    "WITH q AS (SELECT user_id, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1)"
    " SELECT n AS frequency, COUNT(DISTINCT user_id) AS users FROM q WHERE n > 1 GROUP BY 1",
    "WITH q AS (SELECT user_id, MAX(user_id) AS m FROM dsp_impressions GROUP BY 1) SELECT COUNT(m) AS n FROM q",
    "WITH q AS (SELECT DISTINCT user_id FROM dsp_impressions UNION SELECT user_id FROM dsp_clicks) SELECT COUNT(*) AS n FROM q",
    "SELECT postal_code, COUNT(*) AS n FROM dsp_impressions GROUP BY 1",
    "SELECT MIN(postal_code) AS a, MAX(city_name) AS b FROM dsp_impressions",
    "SELECT CASE WHEN device_type = 'TV' THEN postal_code END AS p, COUNT(*) AS n FROM dsp_impressions GROUP BY 1",
    "SELECT COALESCE(i.postal_code, c.postal_code) AS p, COUNT(*) AS n FROM dsp_impressions i"
    " FULL JOIN dsp_clicks c ON i.user_id = c.user_id AND i.device_type = 'TV' GROUP BY 1",
    "SELECT COUNT(*) AS n FROM dsp_impressions JOIN dsp_clicks USING (user_id, postal_code)",
    "WITH q AS (SELECT user_id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY impression_dt_utc) AS r,"
    " SUM(impressions) OVER (PARTITION BY user_id) AS s FROM dsp_impressions)"
    " SELECT COUNT(*) AS n FROM q WHERE r = 1 AND s > 2",
    "WITH q AS (SELECT user_id, 'seen' AS what FROM dsp_impressions UNION ALL SELECT user_id, 'clicked' FROM dsp_clicks)"
    " SELECT what, COUNT(DISTINCT user_id) AS n FROM q WHERE what = 'seen' GROUP BY 1",
    "WITH v(d) AS (VALUES ('TV'), ('PC')) SELECT v.d, COUNT(*) AS n FROM dsp_impressions i JOIN v ON i.device_type = v.d GROUP BY 1",
    "SELECT SUM(IF(user_id IS NULL, 1, 0)) AS anonymous FROM dsp_impressions",
    "SELECT SUBSTRING(postal_code, 1, 3) AS area, COUNT(*) AS n FROM dsp_impressions GROUP BY 1",
    "WITH q AS (SELECT LAG(user_id, 1) OVER (PARTITION BY postal_code ORDER BY user_id) AS u, user_id FROM dsp_impressions)"
    " SELECT COUNT(*) AS n FROM q WHERE u = user_id",
]

NEVER_SHOWN = [
    ("SELECT user_id, COUNT(*) AS n FROM dsp_impressions GROUP BY 1", "user_id"),
    ("SELECT device_type AS d, user_id AS who FROM dsp_impressions GROUP BY 1, 2", "who"),
    ("SELECT MIN(user_id) AS m FROM dsp_impressions", "m"),
    ("SELECT UPPER(user_id) AS u FROM dsp_impressions GROUP BY 1", "u"),
    ("SELECT LENGTH(user_id) AS l FROM dsp_impressions GROUP BY 1", "l"),
    ("SELECT CARDINALITY(COLLECT(user_id)) AS many FROM dsp_impressions", "many"),
    ("SELECT device_type, COALESCE(campaign, user_id) AS u FROM dsp_impressions GROUP BY 1, 2", "u"),
    ("SELECT CASE WHEN device_type = 'TV' THEN user_id END AS u FROM dsp_impressions GROUP BY 1", "u"),
    ("SELECT MAX(CONCAT(campaign, user_id)) AS u FROM dsp_impressions", "u"),
    ("WITH q AS (SELECT user_id AS u FROM dsp_impressions GROUP BY 1), r AS (SELECT u AS v FROM q) SELECT v FROM r", "v"),
    ("WITH q AS (SELECT user_id AS u, COUNT(*) AS n FROM dsp_impressions GROUP BY 1) SELECT * FROM q", "u"),
    ("SELECT device_type AS d FROM dsp_impressions GROUP BY 1 UNION ALL SELECT user_id FROM dsp_clicks GROUP BY 1", "d"),
    ("SELECT (SELECT MAX(user_id) FROM dsp_clicks) AS u, COUNT(*) AS n FROM dsp_impressions", "u"),
    ("SELECT COLLECT(user_id) AS u FROM dsp_impressions", "u"),
    ("SELECT HASH64(user_id) AS h, COUNT(*) AS n FROM dsp_impressions GROUP BY 1", "h"),
    ("SELECT SUM(LENGTH(user_id)) AS s FROM dsp_impressions", "s"),
    ("SELECT NVL2(user_id, user_id, 'x') AS u FROM dsp_impressions GROUP BY 1", "u"),
    ("WITH q AS (SELECT COLLECT(user_id) AS us FROM dsp_impressions) SELECT t.u, COUNT(*) AS n FROM q, UNNEST(q.us) AS t(u)"
     " GROUP BY 1", "u"),
    ("WITH q AS (SELECT NAMED_ROW('u', user_id) AS r FROM dsp_impressions) SELECT q.r.u AS v, COUNT(*) AS n FROM q GROUP BY 1", "v"),
    ("SELECT request_tag, COUNT(*) AS n FROM dsp_impressions GROUP BY 1", "request_tag"),
    ("SELECT marketplace_id, SUM(conversions) AS n FROM conversions_all GROUP BY 1", "marketplace_id"),
    ("WITH q AS (SELECT device_type, LAG(user_id) OVER (ORDER BY device_type) AS u FROM dsp_impressions)"
     " SELECT u, COUNT(*) AS n FROM q GROUP BY 1", "u"),
]  # fmt: skip


def with_condition(condition: str) -> str:
    return (
        "SELECT i.campaign, COUNT(*) AS n FROM dsp_impressions i\n"
        f"JOIN dsp_clicks c ON i.user_id = c.user_id\nWHERE {condition}\nGROUP BY 1"
    )


def refused(engine: Engine, sql: str) -> AmcSqlError:
    with pytest.raises(AmcSqlError) as caught:
        emulated.compiled(engine, sql, Mode(), **PARAMETERS)
    return caught.value


def assert_placed(error: AmcSqlError) -> None:
    assert re.match(rf"(At|From) line {error.line}, column {error.column}\b", error.message), error.message


@pytest.mark.parametrize("condition", REFUSED_CONDITIONS)
@pytest.mark.covers("rule", "Literals and parameters are not compared with HIGH and VERY_HIGH columns")
def test_refused_comparisons(engine: Engine, condition: str) -> None:
    error = refused(engine, with_condition(condition))
    assert_placed(error)
    assert error.line == 3
    assert error.column is not None
    assert 7 <= error.column < 7 + len(condition)
    # It is this rule that refuses them
    emulated.compiled(engine, with_condition(condition), None, **PARAMETERS)


@pytest.mark.parametrize("sql", REFUSED_QUERIES)
@pytest.mark.covers("rule", "Literals and parameters are not compared with HIGH and VERY_HIGH columns")
def test_refused_queries(engine: Engine, sql: str) -> None:
    error = refused(engine, sql)
    assert_placed(error)
    emulated.compiled(engine, sql, None, **PARAMETERS)


@pytest.mark.parametrize("sql", [*map(with_condition, ACCEPTED_CONDITIONS), *ACCEPTED_QUERIES])
@pytest.mark.covers("rule", "Literals and parameters are not compared with HIGH and VERY_HIGH columns")
def test_accepted(engine: Engine, sql: str) -> None:
    emulated.compiled(engine, sql, Mode(), **PARAMETERS)


@pytest.mark.parametrize(("sql", "column"), NEVER_SHOWN)
@pytest.mark.covers("rule", "VERY_HIGH and INTERNAL columns are never shown")
def test_never_shown(engine: Engine, sql: str, column: str) -> None:
    error = refused(engine, sql)
    assert column in error.message
    assert_placed(error)
    emulated.compiled(engine, sql, None)
