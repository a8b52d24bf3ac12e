"""What functions mean: expected values follow from the AMC documentation and Java's rules, not from our output."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.sql.errors import AmcSqlError

_spec = importlib.util.spec_from_file_location("amc_sql_evaluate", Path(__file__).with_name("evaluate.py"))
assert _spec is not None
assert _spec.loader is not None
evaluate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(evaluate)
value, rows = evaluate.value, evaluate.rows

T = dt.datetime
D = dt.date


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CONCAT('a', 1, NULL)", None),
        ("CONCAT('frequency_', 3)", "frequency_3"),
        ("CONCAT('a', TRUE, DATE '2026-01-02')", "atrue2026-01-02"),
        ("CHARINDEX('b', 'abcb')", 2),
        ("CHARINDEX('b', 'abcb', 3)", 4),
        ("LOCATE('z', 'abc')", 0),
        ("POSITION('c' IN 'abc')", 3),
        ("STRPOS('abc', 'b')", 2),
        ("INSTR('abc', 'x')", 0),
        ("LEFT('campaign', 4)", "camp"),
        ("RIGHT('campaign', 4)", "aign"),
        ("LENGTH('größe ')", 6),
        ("LOWER('AbC')", "abc"),
        ("UPPER('AbC')", "ABC"),
        ("TRIM('  a ')", "a"),
        ("TRIM(BOTH 'x' FROM 'xxaxx')", "a"),
        ("TRIM(LEADING 'x' FROM 'xxaxx')", "axx"),
        ("TRIM(TRAILING 'x' FROM 'xxaxx')", "xxa"),
        ("LTRIM('  a ')", "a "),
        ("RTRIM('  a ')", "  a"),
        ("REPLACE('a-b-c', '-', '+')", "a+b+c"),
        ("SUBSTRING('campaign' FROM 2 FOR 3)", "amp"),
        ("SUBSTRING('campaign', 5)", "aign"),
        ("REGEXP_REPLACE('a1b22', '[0-9]+', '#')", "a#b#"),
        ("REGEXP_REPLACE('2026-01', '(\\d+)-(\\d+)', '$2/$1')", "01/2026"),
        ("REGEXP_REPLACE('abc', '(?<=a)b', 'X')", "aXc"),
        ("REGEXP_SUBSTR('Q3 2026', '\\d{4}')", "2026"),
        ("REGEXP_SUBSTR('none', '\\d')", None),
        ("REGEXP_SUBSTR('price 20 EUR', '\\d+(?= EUR)')", "20"),
        ("REGEXP_SPLIT('a,b;c', '[,;]')", ["a", "b", "c"]),
        ("REGEXP_SPLIT('aXbX', '(?<=X)')", ["aX", "bX", ""]),
        ("'Brand_A video' SIMILAR TO '^Brand_A.*'", True),
        ("'my Brand_A' SIMILAR TO 'Brand_A'", False),
        ("'BRAND' SIMILAR TO '(?i)brand'", True),
        ("'other' SIMILAR TO '(?!brand).*'", True),
        ("'brand x' NOT SIMILAR TO '(?!brand).*'", True),
        ("'50%' LIKE '50^%' ESCAPE '^'", True),
        ("'Campaign' LIKE 'camp%'", False),
        ("'Campaign' NOT LIKE '%x%'", True),
        ("STR_TO_MAP('a=1,b=2', ',', '=')['b']", "2"),
        ("FORMAT(DATE '2026-01-02', 'yyyy/MM/dd')", "2026/01/02"),
        ("FORMAT(1234.5, '#,##0.00')", "1,234.50"),
    ],
)
def test_strings(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ABS(-5)", 5),
        ("CEIL(1.2)", 2),
        ("FLOOR(-1.2)", -2),
        ("ROUND(2.5)", 3),
        ("ROUND(-2.5)", -3),
        ("ROUND(2.675, 2)", Decimal("2.68")),
        ("ROUND(CAST(2.675 AS DOUBLE), 2)", 2.68),
        ("ROUND(1234, -2)", 1200),
        ("TRUNC(1.79, 1)", Decimal("1.7")),
        ("TRUNC(-1.79)", -1),
        ("POWER(2, 10)", 1024.0),
        ("LOG(2, 8)", pytest.approx(3.0)),
        ("LOG10(1000)", pytest.approx(3.0)),
        ("LN(E())", pytest.approx(1.0)),
        ("EXP(0)", 1.0),
        ("SQRT(9)", 3.0),
        ("SQRT(-1)", None),
        ("GREATEST(1, 3, 2)", 3),
        ("GREATEST(1, NULL, 2)", None),
        ("LEAST(1, 3, 2)", 1),
        ("LEAST(1, NULL)", None),
        ("7 / 2", 3.5),
        ("18000000 / 100000000", 0.18),
        ("1 / 0", None),
        ("7 % 3", 1),
        ("MOD(-7, 3)", -1),
        ("1.5 / 2", Decimal("0.75")),
        ("1000 * 60 * 60 * 24 * 30", 2592000000),
        ("100000 * 1e5", 1e10),
        ("0.1 + 0.2", Decimal("0.3")),
        ("-5 + 2", -3),
        ("RANDOM() >= 0 AND RANDOM() < 1", True),
    ],
)
def test_numbers(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SECONDS_BETWEEN(TIMESTAMP '2026-01-01 00:00:00', TIMESTAMP '2026-01-01 00:01:30')", 90),
        ("SECONDS_BETWEEN(TIMESTAMP '2026-01-02 00:00:00', TIMESTAMP '2026-01-01 00:00:00')", -86400),
        ("DAYOFWEEK(DATE '2026-03-01')", 1),  # a Sunday
        ("DAYOFWEEK(DATE '2026-03-07')", 7),
        ("EXTRACT(DOW FROM DATE '2026-03-02')", 2),
        ("DAYOFMONTH(DATE '2026-03-07')", 7),
        ("HOUR(TIMESTAMP '2026-03-01 13:14:15')", 13),
        ("MINUTE(TIMESTAMP '2026-03-01 13:14:15')", 14),
        ("SECOND(TIMESTAMP '2026-03-01 13:14:15')", 15),
        ("WEEK(DATE '2026-01-01')", 1),
        ("MONTH(DATE '2026-12-31')", 12),
        ("YEAR(DATE '2026-12-31')", 2026),
        ("EXTRACT(HOUR FROM DATE '2026-12-31')", 0),
        ("EXTRACT(DAY FROM TIMESTAMP '2026-12-31 10:00:00')", 31),
        ("DATE_TRUNC('hour', TIMESTAMP '2026-03-04 13:14:15')", T(2026, 3, 4, 13)),
        ("DATE_TRUNC('WEEK', TIMESTAMP '2026-03-04 13:14:15')", T(2026, 3, 2)),
        ("DATE_TRUNC('month', DATE '2026-03-04')", D(2026, 3, 1)),
        ("DATE_TRUNC('quarter', DATE '2026-05-04')", D(2026, 4, 1)),
        ("EPOCH_TO_UTC_TIMESTAMP(1767225600)", T(2026, 1, 1)),
        ("EPOCH_TO_UTC_TIMESTAMP(1767225600123)", T(2026, 1, 1, 0, 0, 0, 123000)),
        ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-01-01 03:00:00', 'America/New_York')", T(2025, 12, 31, 22)),
        ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-07-01 03:00:00', 'America/New_York')", T(2026, 6, 30, 23)),
        ("CONVERT_TIME_ZONE_FROM_UTC(DATE '2026-01-01', 'America/New_York')", D(2025, 12, 31)),
        ("CAST('today' AS DATE)", D(2026, 3, 5)),
        ("CAST('now' AS TIMESTAMP)", T(2026, 3, 5, 10, 30, 15)),
        ("CURRENT_DATE", D(2026, 3, 5)),
        ("CURRENT_TIMESTAMP", T(2026, 3, 5, 10, 30, 15)),
        ("CURRENT_DATE - INTERVAL '30' DAY", D(2026, 2, 3)),
        ("DATE '2026-01-31' + INTERVAL '1' MONTH", D(2026, 2, 28)),
        ("TIMESTAMP '2026-01-01 00:00:00' - INTERVAL '90' MINUTE", T(2025, 12, 31, 22, 30)),
        ("DATE '2026-01-01' + INTERVAL '2' HOUR", T(2026, 1, 1, 2)),
        ("BUILT_IN_PARAMETER('TIME_WINDOW_START')", T(2026, 1, 1)),
        ("BUILT_IN_PARAMETER('TIME_WINDOW_END')", T(2026, 2, 1)),
    ],
)
def test_dates(expression: str, expected: Any) -> None:
    assert value(expression) == expected
    assert type(value(expression)) is type(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CASE WHEN 1 > 2 THEN 'a' WHEN NULL THEN 'b' ELSE 'c' END", "c"),
        ("CASE WHEN 1 > 2 THEN 'a' END", None),
        ("CASE 'x' WHEN 'x' THEN 1 ELSE 0 END", 1),
        ("CASE WHEN 1 = 1 THEN 1 ELSE 'none' END", "1"),
        ("COALESCE(NULL, NULL, 3)", 3),
        ("COALESCE(NULL, 'a')", "a"),
        ("COALESCE(1, 'none')", "1"),
        ("IF(1 > 2, 'a', 'b')", "b"),
        ("IF(NULL, 'a', 'b')", "b"),
        ("IFNULL(NULL, 2)", 2),
        ("NULLIF(3, 3)", None),
        ("NULLIF(3, 4)", 3),
        ("NVL(NULL, 'x')", "x"),
        ("NVL2(1, 'set', 'unset')", "set"),
        ("NVL2(NULL, 'set', 'unset')", "unset"),
        ("CONTAINED_IN('b', 'a', 'b')", True),
        ("CONTAINED_IN('z', 'a', NULL)", False),
        ("2 IN (1, 2)", True),
        ("3 NOT IN (1, 2)", True),
        ("NULL IS NULL", True),
        ("(1 = 2) IS NOT TRUE", True),
        ("5 BETWEEN 1 AND 5", True),
    ],
)
def test_conditions(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # a string against a number is compared as a number, against a date as a date
        ("'10' > 9", True),
        ("10 = '10.0'", True),
        ("923984950695711350 = '923984950695711350'", True),
        ("923984950695711350 = '923984950695711351'", False),
        ("DATE '2026-01-02' > '2026-01-01'", True),
        ("DATE '2026-01-02' BETWEEN '2026-01-01' AND '2026-01-03'", True),
        ("TIMESTAMP '2026-01-02 10:00:00' >= '2026-01-02'", True),
        ("DATE '2026-01-02' IN ('2026-01-02')", True),
        ("TRUE = 'true'", True),
        ("'5' + 1", 6),
        ("(5 > 4) = 1", True),
        ("0 <> (5 > 4)", True),
        ("'abc' = 5", None),
        ("CAST('12' AS INTEGER)", 12),
        ("CAST('923984950695711350' AS BIGINT)", 923984950695711350),
        ("CAST('1.9' AS INTEGER)", 1),
        ("CAST(1.9 AS INTEGER)", 1),
        ("CAST(-1.9 AS BIGINT)", -1),
        ("CAST('abc' AS INTEGER)", None),
        ("CAST(5 AS VARCHAR)", "5"),
        ("CAST('abcdef' AS VARCHAR(3))", "abc"),
        ("CAST('2026-01-05' AS DATE)", D(2026, 1, 5)),
        ("CAST('2026-01-05T10:00:00' AS TIMESTAMP)", T(2026, 1, 5, 10)),
        ("CAST(TIMESTAMP '2026-01-05 10:00:00' AS DATE)", D(2026, 1, 5)),
        ("CAST(1 AS DECIMAL(10,2))", Decimal("1.00")),
        ("CAST('true' AS BOOLEAN)", True),
    ],
)
def test_casts(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ARRAY_CAT(ARRAY[1, 2], ARRAY[2, 3])", [1, 2, 2, 3]),
        ("ARRAY_CONTAINS(ARRAY['a', 'b'], 'b')", True),
        ("ARRAY_CONTAINS(ARRAY[1, 2], '2')", True),
        ("ARRAY_CONTAINS(ARRAY['a'], 'z')", False),
        ("ARRAY_COMPLEMENT(ARRAY[1, 2, 3], ARRAY[2])", [1, 3]),
        ("ARRAY_DISTINCT(ARRAY[2, 1, 2])", [2, 1]),
        ("ARRAY_INTERSECT(ARRAY[1, 2, 3], ARRAY[3, 2])", [2, 3]),
        ("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", [2]),
        ("ARRAY_SORT(ARRAY['b', 'a'])", ["a", "b"]),
        ("ARRAY_TO_STRING(ARRAY[1, 2], ' > ')", "1 > 2"),
        ("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", [1, 2, 3]),
        ("CARDINALITY(ARRAY[5, 6, 7])", 3),
        ("FLATTEN(ARRAY[ARRAY[1], ARRAY[2, 3]])", [1, 2, 3]),
        ("ARRAY['x', 'y'][1]", "x"),
        ("NAMED_ROW('order', 1, 'name', 'a')", {"order": 1, "name": "a"}),
        ("FROM_VARBINARY(TO_VARBINARY('hi', 'utf-8'), 'hex')", "6869"),
        ("FROM_VARBINARY(TO_VARBINARY('aGk=', 'base64'), 'utf-8')", "hi"),
        ('JSON_EXTRACT(\'{"a": {"b": "x"}}\', \'$.a.b\')', "x"),
        ("JSON_EXTRACT('{\"a\": [1, 2]}', '$.a[1]')", "2"),
        ("MD5('abc')", hashlib.md5(b"abc", usedforsecurity=False).hexdigest()),
        ("SHA1('abc')", hashlib.sha1(b"abc", usedforsecurity=False).hexdigest()),
        ("HASH64('abc') = HASH64('abc') AND HASH64('abc') <> HASH64('abd')", True),
        ("LENGTH(UUID())", 36),
    ],
)
def test_arrays_rows_and_hashes(expression: str, expected: Any) -> None:
    assert value(expression) == expected


_DATA = "WITH t(g, x, s) AS (VALUES ('a', 1, 'p'), ('a', 2, 'q'), ('a', 2, NULL), ('b', 10, 'p'), ('b', NULL, 'p')) "


@pytest.mark.parametrize(
    ("aggregate", "of_a", "of_b"),
    [
        ("COUNT(*)", 3, 2),
        ("COUNT(x)", 3, 1),
        ("COUNT(DISTINCT x)", 2, 1),
        ("COUNT(DISTINCT s)", 2, 1),
        ("SUM(x)", 5, 10),
        ("AVG(x)", pytest.approx(5 / 3), 10.0),
        ("MIN(x)", 1, 10),
        ("MAX(s)", "q", "p"),
        ("MEDIAN(x)", 2.0, 10.0),
        ("PERCENTILE(x, 0.5)", 2.0, 10.0),
        ("PERCENTILE(x, 0.25)", 1.5, 10.0),
        ("APPROX_PERCENTILE(x, .9)", 2.0, 10.0),
        ("VAR_POP(x)", pytest.approx(2 / 9), 0.0),
        ("VARIANCE(x)", pytest.approx(1 / 3), None),
        ("STDDEV_SAMP(x)", pytest.approx((1 / 3) ** 0.5), None),
        ("STDDEV_POP(x)", pytest.approx((2 / 9) ** 0.5), 0.0),
        ("ARRAY_SORT(COLLECT(x))", [1, 2, 2], [10, None]),
        ("CARDINALITY(COLLECT(DISTINCT x))", 2, 2),
        ("SUM(x) FILTER (WHERE s = 'p')", 1, 10),
        ("SUM(IF(x > 1, x, 0))", 4, 10),
        ("MAX(x) - MIN(x)", 1, 0),
    ],
)
def test_aggregates(aggregate: str, of_a: Any, of_b: Any) -> None:
    found = dict(rows(f"{_DATA} SELECT g, {aggregate} AS r FROM t GROUP BY g"))
    assert found == {"a": of_a, "b": of_b}


def test_windows() -> None:
    sql = """SELECT g, x, RANK() OVER (PARTITION BY g ORDER BY x DESC) AS r, DENSE_RANK() OVER (ORDER BY x) AS d,
        ROW_NUMBER() OVER w AS n, SUM(x) OVER (PARTITION BY g) AS total FROM t WHERE x IS NOT NULL
        WINDOW w AS (PARTITION BY g ORDER BY x, s)"""
    assert sorted(rows(_DATA + sql)) == [
        ("a", 1, 3, 1, 1, 5),
        ("a", 2, 1, 2, 2, 5),
        ("a", 2, 1, 2, 3, 5),
        ("b", 10, 1, 3, 1, 10),
    ]


def test_rank_over_an_aggregate() -> None:
    sql = "SELECT g, RANK() OVER (ORDER BY SUM(x) DESC) AS r, SUM(SUM(x)) OVER () AS all_x FROM t GROUP BY g"
    assert sorted(rows(_DATA + sql)) == [("a", 2, 15), ("b", 1, 15)]


def test_nulls_are_high_when_ordered() -> None:
    sql = "SELECT x, ROW_NUMBER() OVER (ORDER BY x) AS up, ROW_NUMBER() OVER (ORDER BY x DESC) AS down FROM t WHERE g = 'b'"
    assert sorted(rows(_DATA + sql), key=str) == [(10, 1, 2), (None, 2, 1)]


def test_explode_makes_a_row_of_each_element() -> None:
    assert sorted(rows("WITH t(a) AS (VALUES (ARRAY[1, 2]), (ARRAY[3])) SELECT EXPLODE(a) AS e FROM t")) == [
        (1,),
        (2,),
        (3,),
    ]
    assert sorted(rows("WITH t(a) AS (VALUES (ARRAY[1, 2])) SELECT x.e FROM t, UNNEST(t.a) AS x(e)")) == [(1,), (2,)]


def test_fields_of_a_row_are_named_with_a_dot() -> None:
    sql = "SELECT q.r.campaign AS c FROM (SELECT NAMED_ROW('n', 1, 'campaign', g) AS r FROM t WHERE x = 10) q"
    assert rows(_DATA + sql) == [("b",)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("NO_SUCH(1, 2)", r"No match found for function signature NO_SUCH\(<ANY>, <ANY>\)"),
        ("READ_TEXT('/etc/hosts')", "No match found for function signature READ_TEXT"),
        ("UPPER('a', 'b')", "Invalid number of arguments to function 'UPPER'. Was expecting 1 arguments"),
        ("CARDINALITY('a')", "Array expression is not an array data type"),
        ("DATE_TRUNC('fortnight', CURRENT_DATE)", "DATE_TRUNC needs a quoted granularity"),
        ("NAMED_ROW('a')", "NAMED_ROW"),
        ("TO_VARBINARY('a', 'rot13')", "'hex', 'base64' or 'utf-8'"),
        ("BUILT_IN_PARAMETER('TIME_ZONE')", "Unknown built-in parameter 'TIME_ZONE'"),
        ("CAST(1 AS GEOMETRY)", "Unknown datatype name"),
        ("CURRENT_DATE + CURRENT_DATE", "Cannot apply '\\+'"),
        ("TIMESTAMP '2026-01-01 00:00:00' + 'x'", "Cannot apply '\\+'"),
        ("ARRAY[1] = 1", "Cannot apply '='"),
        ("(5 > 4) > 0", "Cannot apply '>'"),
        ("INTERVAL 'x' DAY + CURRENT_DATE", "Illegal interval literal"),
        ("EXTRACT(EON FROM CURRENT_DATE)", "'EON' is not a valid time frame"),
        ("PERCENTILE(1, 2)", "between 0 and 1"),
        ("99999999999999999999", "out of range"),
        ("'a' || 'b'", r"Unsupported scalar operation type \|\|"),
        ("1::BIGINT", 'Encountered "::"'),
    ],
)
def test_wrong_calls_are_refused(expression: str, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message) as caught:
        value(expression)
    assert caught.value.line == 1
    assert caught.value.column is not None
    assert caught.value.column >= 8
