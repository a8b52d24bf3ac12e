"""Aggregate, statistical and window functions: expected values follow from the AMC documentation, "AMC SQL functions"."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from airflow_provider_amc.sql.errors import AmcSqlError
from tests.sql.evaluate import cases, rows, with_rows

near = pytest.approx

_DATA = with_rows(
    "g, x, s, f",
    "'a', 1, 'p', TRUE",
    "'a', 2, 'q', FALSE",
    "'a', 2, NULL, NULL",
    "'b', 10, 'p', TRUE",
    "'b', NULL, 'p', TRUE",
    "'c', NULL, NULL, NULL",
    "'d', -5, '', FALSE",
)
# The values 20, 45, ... are those of the sample data in AMC's function guide; 1000 stands out
_NUMBERS = (20, 45, 30, 66, 50, 60, 85, 70)
_SAMPLE = with_rows("x", *map(str, _NUMBERS))


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        *cases("COUNT", ("COUNT(*)", (3, 2, 1, 1)), ("COUNT(x)", (3, 1, 0, 1)), ("COUNT(ALL x)", (3, 1, 0, 1)),
               ("COUNT(DISTINCT x)", (2, 1, 0, 1)), ("COUNT(DISTINCT s)", (2, 1, 0, 1)), ("COUNT(1)", (3, 2, 1, 1)),
               ("COUNT(DISTINCT x, s)", (2, 1, 0, 1))),
        *cases("SUM", ("SUM(x)", (5, 10, None, -5)), ("SUM(DISTINCT x)", (3, 10, None, -5)), ("SUM(x * 0.5)", (2.5, 5, None, -2.5)),
               ("SUM(CASE WHEN s = 'p' THEN x END)", (1, 10, None, None)), ("SUM(IF(x > 1, x, 0))", (4, 10, 0, 0))),
        *cases("AVG", ("AVG(x)", (near(5 / 3), 10, None, -5)), ("AVG(DISTINCT x)", (1.5, 10, None, -5))),
        *cases("MIN", ("MIN(x)", (1, 10, None, -5)), ("MIN(s)", ("p", "p", None, ""))),
        *cases("MAX", ("MAX(x)", (2, 10, None, -5)), ("MAX(s)", ("q", "p", None, "")), ("MAX(x) - MIN(x)", (1, 0, None, 0))),
        *cases("COLLECT", ("ARRAY_SORT(COLLECT(x))", ([1, 2, 2], [10, None], [None], [-5])),
               ("ARRAY_SORT(COLLECT(ALL x))", ([1, 2, 2], [10, None], [None], [-5])),
               ("ARRAY_SORT(COLLECT(DISTINCT x))", ([1, 2], [10, None], [None], [-5])),
               ("ARRAY_SORT(COLLECT(DISTINCT s))", (["p", "q", None], ["p"], [None], [""])),
               ("CARDINALITY(COLLECT(s))", (3, 2, 1, 1))),
        *cases("MEDIAN", ("MEDIAN(x)", (2, 10, None, -5))),
        *cases("PERCENTILE", ("PERCENTILE(x, 0.5)", (2, 10, None, -5)), ("PERCENTILE(x, 0.25)", (1.5, 10, None, -5)),
               ("PERCENTILE(x, 0)", (1, 10, None, -5)), ("PERCENTILE(x, 1)", (2, 10, None, -5))),
        *cases("APPROX_PERCENTILE", ("APPROX_PERCENTILE(x, .9)", (2, 10, None, -5)), ("APPROX_PERCENTILE(x, 0)", (1, 10, None, -5)),
               note="exact, so that it is the same on every machine"),
        *cases("STDDEV_POP", ("STDDEV_POP(x)", (near((2 / 9) ** 0.5), 0, None, 0))),
        *cases("VAR_POP", ("VAR_POP(x)", (near(2 / 9), 0, None, 0))),
        *cases("STDDEV_SAMP", ("STDDEV_SAMP(x)", (near((1 / 3) ** 0.5), None, None, None))),
        *cases("STDDEV", ("STDDEV(x)", (near((1 / 3) ** 0.5), None, None, None))),
        *cases("VAR_SAMP", ("VAR_SAMP(x)", (near(1 / 3), None, None, None))),
        *cases("VARIANCE", ("VARIANCE(x)", (near(1 / 3), None, None, None))),
        *cases("FILTER", ("SUM(x) FILTER (WHERE s = 'p')", (1, 10, None, None)), ("COUNT(*) FILTER (WHERE f)", (1, 2, 0, 0)), kind="rule"),
    ],
)  # fmt: skip
def test_aggregates_of_groups(aggregate: str, expected: tuple[Any, ...]) -> None:
    found = dict(rows(f"{_DATA} SELECT g, {aggregate} AS r FROM t GROUP BY g"))
    assert found == dict(zip("abcd", expected, strict=True))


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        *cases("STDDEV", ("STDDEV(x)", near(21.45261, abs=1e-5))),  # as printed in AMC's function guide
        *cases("VARIANCE", ("VARIANCE(x)", near(460.2142, abs=1e-4))),
        *cases("STDDEV_POP", ("STDDEV_POP(x)", near(statistics.pstdev(_NUMBERS)))),
        *cases("VAR_POP", ("VAR_POP(x)", near(statistics.pvariance(_NUMBERS)))),
        *cases("STDDEV_SAMP", ("STDDEV_SAMP(x)", near(statistics.stdev(_NUMBERS)))),
        *cases("VAR_SAMP", ("VAR_SAMP(x)", near(statistics.variance(_NUMBERS)))),
        *cases("MEDIAN", ("MEDIAN(x)", 55.0)),
        *cases("PERCENTILE", ("PERCENTILE(x, .5)", 55.0), ("PERCENTILE(x, 0.1)", near(27.0))),
        *cases("APPROX_PERCENTILE", ("APPROX_PERCENTILE(x, 0.5)", 50.0), ("APPROX_PERCENTILE(x, 1)", 85.0)),
        *cases("SKEWNESS", ("SKEWNESS(1)", None)),
        *cases("SUM", ("SUM(x)", 426)),
        *cases("AVG", ("AVG(x)", 53.25)),
    ],
)  # fmt: skip
def test_statistics_of_the_sample_in_the_guide(aggregate: str, expected: Any) -> None:
    assert rows(f"{_SAMPLE} SELECT {aggregate} AS r FROM t") == [(expected,)]


@pytest.mark.covers("function", "SKEWNESS")
def test_skewness_tells_the_longer_tail() -> None:
    """Above 0.5 skewed to the right, below -0.5 to the left, about 0 symmetrical."""
    for numbers, right in (((1, 1, 2, 2, 3, 50), 1), ((-1, -1, -2, -2, -3, -50), -1), ((1, 2, 3, 4, 5), 0)):
        ((found,),) = rows(with_rows("x", *map(str, numbers)) + "SELECT SKEWNESS(x) AS r FROM t")
        assert (found > 0.5) - (found < -0.5) == right


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("COUNT(*)", 0), ("COUNT(x)", 0), ("SUM(x)", None), ("AVG(x)", None), ("MIN(s)", None), ("MAX(x)", None),
        ("MEDIAN(x)", None), ("STDDEV(x)", None), ("COLLECT(x)", []),
    ],
)  # fmt: skip
def test_aggregates_of_no_rows(aggregate: str, expected: Any) -> None:
    assert rows(f"{_DATA} SELECT {aggregate} AS r FROM t WHERE g = 'nobody'") == [(expected,)]


@pytest.mark.covers("function", "RANK")
@pytest.mark.covers("function", "DENSE_RANK")
@pytest.mark.covers("function", "ROW_NUMBER")
@pytest.mark.covers("rule", "OVER (PARTITION BY ... ORDER BY ...)")
def test_windows() -> None:
    sql = """SELECT g, x, RANK() OVER (PARTITION BY g ORDER BY x DESC) AS r, DENSE_RANK() OVER (ORDER BY x) AS d,
        RANK() OVER (ORDER BY x) AS k, ROW_NUMBER() OVER w AS n, SUM(x) OVER (PARTITION BY g) AS total FROM t
        WHERE x > 0 WINDOW w AS (PARTITION BY g ORDER BY x, s)"""
    assert sorted(rows(_DATA + sql)) == [
        ("a", 1, 3, 1, 1, 1, 5),
        ("a", 2, 1, 2, 2, 2, 5),
        ("a", 2, 1, 2, 2, 3, 5),
        ("b", 10, 1, 3, 4, 1, 10),
    ]


@pytest.mark.covers("rule", "OVER (PARTITION BY ... ORDER BY ...)")
def test_a_window_with_an_order_runs_up_to_the_row_and_its_equals() -> None:
    sql = "SELECT x, SUM(x) OVER (ORDER BY x) AS s, SUM(x) OVER (ORDER BY x ROWS UNBOUNDED PRECEDING) AS r FROM t WHERE g = 'a'"
    assert sorted(rows(_DATA + sql)) == [(1, 1, 1), (2, 5, 3), (2, 5, 5)]


@pytest.mark.covers("rule", "window functions over aggregates")
def test_rank_over_an_aggregate() -> None:
    sql = (
        "SELECT g, RANK() OVER (ORDER BY SUM(x) DESC) AS r, SUM(SUM(x)) OVER () AS all_x FROM t WHERE x > 0 GROUP BY g"
    )
    assert sorted(rows(_DATA + sql)) == [("a", 2, 15), ("b", 1, 15)]


@pytest.mark.covers("rule", "RANK in a sub-query in place of LIMIT")
def test_the_documented_way_round_limit() -> None:
    sql = "SELECT g, s FROM (SELECT g, SUM(x) AS s, RANK() OVER (ORDER BY SUM(x) DESC) AS r FROM t WHERE x > 0 GROUP BY g) q WHERE r = 1"
    assert rows(_DATA + sql) == [("b", 10)]


@pytest.mark.covers("rule", "NULLs are high when ordered")
def test_nulls_are_high_when_ordered() -> None:
    sql = "SELECT x, ROW_NUMBER() OVER (ORDER BY x) AS up, ROW_NUMBER() OVER (ORDER BY x DESC) AS down FROM t WHERE g = 'b'"
    assert sorted(rows(_DATA + sql), key=str) == [(10, 1, 2), (None, 2, 1)]


@pytest.mark.parametrize(
    ("aggregate", "message"),
    [
        ("SUM(s)", r"Cannot apply 'SUM' to arguments of type 'SUM\(<STRING>\)'"),
        ("AVG(f)", "Cannot apply 'AVG'"),
        ("STDDEV(s)", "Cannot apply 'STDDEV'"),
        ("SUM(x, x)", "Invalid number of arguments to function 'SUM'. Was expecting 1"),
        ("PERCENTILE(x)", "Invalid number of arguments to function 'PERCENTILE'. Was expecting 2"),
        ("PERCENTILE(x, 2)", "PERCENTILE needs a number between 0 and 1"),
        ("PERCENTILE(x, -0.1)", "PERCENTILE needs a number between 0 and 1"),
        ("APPROX_PERCENTILE(x, 50)", "APPROX_PERCENTILE needs a number between 0 and 1"),
        ("RANK()", "OVER clause is necessary for window functions: RANK"),
        ("RANK(x) OVER (ORDER BY x)", "Invalid number of arguments to function 'RANK'. Was expecting 0"),
        ("COLLECT(x, s)", "Invalid number of arguments to function 'COLLECT'. Was expecting 1"),
    ],
)
def test_wrong_calls_are_refused(aggregate: str, message: str) -> None:
    sql = f"{_DATA}SELECT {aggregate} AS r FROM t"
    with pytest.raises(AmcSqlError, match=message) as caught:
        rows(sql)
    assert (caught.value.line, caught.value.column) == (1, sql.index(aggregate) + 1)
