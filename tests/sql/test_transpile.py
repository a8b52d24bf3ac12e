"""``sqlglot.transpile(sql, read="amc", write="duckdb")``: SQL that plain DuckDB runs, with AMC's meaning.

The expected values are those of the tables in ``tests/sql/semantics``, which follow from the documentation.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from airflow_provider_amc.sql import compiler, dialect, transpile
from airflow_provider_amc.sql.macros import MACROS
from tests.sql import test_compiler
from tests.sql.semantics import (
    test_arrays,
    test_conditions,
    test_dates,
    test_numbers,
    test_regular_expressions,
    test_text,
    test_undocumented,
)

_TABLES = (
    test_text,
    test_regular_expressions,
    test_numbers,
    test_dates,
    test_conditions,
    test_arrays,
    test_undocumented,
)

#: What needs to know the type of a column, the present of the emulator, or an engine of Java's expressions.
ELSEWHERE = {
    "FORMAT is not in DuckDB": [f"FORMAT-{number}" for number in range(1, 19)],
    "a number or date where DuckDB wants a text": ["TRIM-8", "SUBSTRING-14", "LIKE-19", "REGEXP_SUBSTR-16"],
    "a text where DuckDB wants a number or date": ["ABS-6", "arithmetic-19", "arithmetic-20", "EXTRACT-12", "EXTRACT-13",
                                                   "implicit casts-6", "implicit casts-14"],
    "branches or elements of several types": ["CASE-7", "COALESCE-4", "IF-6", "ARRAY[...]-5", "ARRAY-3"],
    "Java expressions beyond RE2": ["REGEXP_SUBSTR-5", "REGEXP_SUBSTR-6", "REGEXP_SUBSTR-9", "REGEXP_SUBSTR-12", "REGEXP_REPLACE-7",
                                    "REGEXP_REPLACE-8", "REGEXP_REPLACE-10", "REGEXP_SPLIT-5", "REGEXP_SPLIT-11"],
    "DuckDB's own arithmetic and negative lengths": ["arithmetic-7", "arithmetic-10", "SUBSTRING-8"],
    "a date with an interval is a timestamp in DuckDB": ["INTERVAL arithmetic-1", "INTERVAL arithmetic-2", "INTERVAL arithmetic-3"],
    "the present": ["CURRENT_DATE-1", "CURRENT_DATE-2", *(f"CURRENT_TIMESTAMP-{number}" for number in range(1, 5))],
    "parameters need values": ["BUILT_IN_PARAMETER-1", "BUILT_IN_PARAMETER-2"],
}  # fmt: skip
if "NULLIF" not in sqlglot.transpile("SELECT 1 / 0 AS r", read="amc", write="duckdb")[0].upper():
    ELSEWHERE["older versions of sqlglot leave a division by zero alone"] = ["arithmetic-4", "arithmetic-5"]
_ELSEWHERE = {name: reason for reason, names in ELSEWHERE.items() for name in names}


def _cases() -> Iterator[Any]:
    for module in _TABLES:
        for test in vars(module).values():
            for mark in getattr(test, "pytestmark", []):
                if mark.name == "parametrize" and mark.args[0] == ("expression", "expected"):
                    yield from (pytest.param(case.id, *case.values, id=case.id) for case in mark.args[1])


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.fixture(autouse=True)
def _no_warnings_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="sqlglot")


def duck(sql: str) -> str:
    (written,) = sqlglot.transpile(sql, read="amc", write="duckdb")
    return written


@pytest.mark.parametrize(("name", "expression", "expected"), list(_cases()))
def test_functions_mean_the_same_in_plain_duckdb(
    database: duckdb.DuckDBPyConnection, name: str, expression: str, expected: Any
) -> None:
    sql = duck(f"SELECT {expression} AS r")
    try:
        ((found,),) = database.execute(sql).fetchall()
    except duckdb.Error:
        assert name in _ELSEWHERE, sql
        return
    assert (found == expected) is (name not in _ELSEWHERE), sql


def test_the_list_of_what_differs_is_short() -> None:
    everything = [case.id for case in _cases()]
    assert set(_ELSEWHERE) <= set(everything)
    assert len(everything) > 700
    assert len(_ELSEWHERE) / len(everything) < 0.08


def test_expressions_are_written_back() -> None:
    for case in _cases():
        tree = sqlglot.parse_one(f"SELECT {case.values[1]} AS r", read="amc")
        written = tree.sql("amc")
        assert sqlglot.parse_one(written, read="amc") == tree, written
        compiler.parse(written)  # and the strict parser of the emulator takes it


def _queries() -> list[str]:
    (mark,) = (mark for mark in test_compiler.test_queries.pytestmark if mark.name == "parametrize")
    return [case[0] for case in mark.args[1]]


@pytest.mark.parametrize("sql", _queries())
def test_queries_are_written_back(sql: str) -> None:
    tree = sqlglot.parse_one(sql, read="amc")
    written = tree.sql("amc")
    assert sqlglot.parse_one(written, read="amc") == tree
    assert sqlglot.parse_one(tree.sql("amc", pretty=True), read="amc") == tree
    assert test_compiler.compiled(written).fields == test_compiler.compiled(sql).fields


def test_a_query_runs_in_plain_duckdb(database: duckdb.DuckDBPyConnection) -> None:
    database.execute(
        """CREATE OR REPLACE TABLE dsp_impressions AS FROM (VALUES
        ('u1', 'A', TIMESTAMP '2026-03-01 10:00:00', ['x', 'y']), ('u1', 'B', TIMESTAMP '2026-03-01 10:01:30', ['y']),
        ('u2', 'A', TIMESTAMP '2026-03-02 00:00:00', [])) AS t(user_id, campaign, impression_dt, tags)"""
    )
    sql = duck(
        """WITH paths AS (
            SELECT user_id, ARRAY_SORT(COLLECT(DISTINCT NAMED_ROW('c', campaign))) AS path, MIN(impression_dt) AS first,
              MAX(impression_dt) AS last, IF(COUNT(*) > 1, 'many', 'one') AS how
            FROM TABLE(EXTEND_TIME_WINDOW('dsp_impressions', 'P14D', 'P1D')) AS i
            WHERE campaign SIMILAR TO '(?i)[a-z&&[^x]]' AND ARRAY_CONTAINS(CUSTOM_PARAMETER('campaigns'), campaign)
            GROUP BY user_id)
        SELECT how, CARDINALITY(path) AS n, path[1].c AS c, SECONDS_BETWEEN(first, last) AS s, DAYOFWEEK(first) AS d,
          DATE_TRUNC('month', first) AS m, GREATEST(n, NULL) AS g, RANK() OVER (ORDER BY how) AS r
        FROM (SELECT p.*, CARDINALITY(path) AS n FROM paths p) q"""
    )
    found = database.execute(sql, {"campaigns": ["A", "B"]}).fetchall()
    march = dt.datetime(2026, 3, 1)
    assert sorted(found) == [("many", 2, "A", 90, 1, march, None, 1), ("one", 1, "A", 0, 2, march, None, 2)]
    exploded = duck("SELECT t, COUNT(*) AS n FROM (SELECT EXPLODE(tags) AS t FROM dsp_impressions) q GROUP BY t")
    assert sorted(database.execute(exploded).fetchall()) == [("x", 1), ("y", 2)]


def test_parameters_become_named_parameters(database: duckdb.DuckDBPyConnection) -> None:
    sql = duck("SELECT BUILT_IN_PARAMETER('TIME_WINDOW_START') AS a, CUSTOM_PARAMETER('my-p') AS b")
    assert sql == "SELECT $TIME_WINDOW_START AS a, $my_p AS b"
    assert database.execute(sql, {"TIME_WINDOW_START": 1, "my_p": 2}).fetchall() == [(1, 2)]


def test_the_present_is_utc(database: duckdb.DuckDBPyConnection) -> None:
    sql = duck(
        "SELECT CURRENT_TIMESTAMP AS a, CURRENT_DATE AS b, CAST('today' AS DATE) AS c, CAST('yesterday' AS DATE) AS d"
    )
    database.execute("SET TimeZone = 'Asia/Tokyo'")
    ((moment, day, today, yesterday),) = database.execute(sql).fetchall()
    ((now,),) = database.execute("SELECT epoch(now())").fetchall()
    database.execute("SET TimeZone = 'UTC'")
    assert abs(moment.replace(tzinfo=dt.UTC).timestamp() - now) < 60
    assert day == today
    assert yesterday == today - dt.timedelta(days=1)


def test_other_functions_and_dialects_keep_the_call() -> None:
    sql = "SELECT SECONDS_BETWEEN(a, b) AS s, NO_SUCH(1) AS n FROM t"
    assert sqlglot.transpile(sql, read="amc", write="snowflake") == [sql]
    assert duck("SELECT NO_SUCH(1) AS n FROM t") == "SELECT NO_SUCH(1) AS n FROM t"


def test_what_duckdb_cannot_do_is_said() -> None:
    with pytest.raises(sqlglot.UnsupportedError, match="Java pattern"):
        sqlglot.transpile(
            "SELECT a SIMILAR TO '(?=x)y' AS b", read="amc", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    with pytest.raises(sqlglot.UnsupportedError, match="FORMAT has no counterpart"):
        sqlglot.transpile(
            "SELECT FORMAT(a, 'yyyy') AS b", read="amc", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    with pytest.raises(sqlglot.UnsupportedError, match="Invalid number of arguments"):
        sqlglot.transpile(
            "SELECT UPPER(1) AS a, LOG(2) AS b", read="amc", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE
        )


def test_tools_that_read_trees_find_aggregates() -> None:
    tree = sqlglot.parse_one(
        "SELECT COUNT(DISTINCT u) AS n, SUM(x) AS s, COALESCE(a, b) AS c FROM t GROUP BY 3", read="amc"
    )
    assert len(list(tree.find_all(exp.AggFunc))) == 2
    assert tree.find(exp.Coalesce) is not None


def test_macros_are_spelled_out() -> None:
    for macro in MACROS:
        name, _, rest = macro.partition("(")
        names = [part.strip() for part in rest.partition(")")[0].split(",")]
        written = transpile.without_macros(f"{name}({', '.join(f'col_{part}' for part in names)})")
        assert "amc_" not in written.replace("amc_x", "").replace("amc_i", "").replace("amc_e", "").replace("amc_r", "")
        assert all(f"col_{part}" in written for part in names)
    assert transpile.without_macros("amc_ln(f(', ', \"a,b\") + [1, 2][1])") == (
        "(CASE WHEN (f(', ', \"a,b\") + [1, 2][1]) > 0 THEN ln((f(', ', \"a,b\") + [1, 2][1])) END)"
    )


# --- any tree of the grammar ---------------------------------------------------------------------------------------

# EXPLODE is a column of its own or refused
_NAMES = sorted({*transpile.CLASSES} - {"CURRENT_DATE", "CURRENT_TIMESTAMP", "TABLE", "EXTEND_TIME_WINDOW", "EXPLODE"})
_LEAVES = st.one_of(
    st.sampled_from(["a", "t.b", '"odd name"', "NULL", "TRUE", "1", "2.50", "1e3", "'it''s'", "''", "CURRENT_DATE",
                     "DATE '2026-01-31'", "TIMESTAMP '2026-01-31 10:00:00'", "CAST('today' AS DATE)", "INTERVAL '3' DAY"]),
)  # fmt: skip


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def form(text: str, count: int) -> st.SearchStrategy[str]:
        return st.tuples(*[inner] * count).map(lambda parts: text.format(*parts))

    calls = st.tuples(st.sampled_from(_NAMES), st.lists(inner, min_size=1, max_size=3)).map(
        lambda call: f"{call[0]}({', '.join(call[1])})"
    )
    return st.one_of(
        calls,
        st.sampled_from(["({0} + {1})", "({0} / {1})", "({0} - -{1})", "({0} = {1} AND {1} <> 3)", "({0} BETWEEN {1} AND 5)",
                         "({0} SIMILAR TO {1})", "({0} NOT SIMILAR TO {1})", "({0} LIKE {1} ESCAPE '^')", "({0} NOT IN ({1}, 2))",
                         "ARRAY[{0}, {1}]", "NULLIF({0}, {1})", "COALESCE({0}, {1})", "IF({0}, {1}, 'x')", "POSITION({0} IN {1})", "TRIM(BOTH {0} FROM {1})", "TRIM({0} FROM {1})",
                         "NAMED_ROW('x', {0}, 'y', {1})"]).flatmap(lambda text: form(text, 2)),
        st.sampled_from(["({0} IS NOT NULL)", "(NOT {0})", "CAST({0} AS BIGINT)", "CAST({0} AS VARCHAR(5))", "CAST({0} AS DATE)",
                         "CAST({0} AS DECIMAL(10, 2))", "EXTRACT(DOW FROM {0})", "EXTRACT(YEAR FROM {0})", "TRIM({0})", "SUM({0})", "MAX({0})", "ABS({0})",
                         "SUBSTRING({0} FROM 2 FOR 3)", "SUBSTRING({0}, 2)", "CASE WHEN {0} THEN 1 ELSE NULL END",
                         "CASE {0} WHEN 1 THEN 'a' END", "COUNT(DISTINCT {0})", "COLLECT(DISTINCT {0})", "ARRAY[{0}][1]",
                         "SUM({0}) OVER (PARTITION BY a ORDER BY b DESC)", "SUM({0}) FILTER (WHERE a > 1)"]).flatmap(lambda text: form(text, 1)),
    )  # fmt: skip


@given(st.lists(st.recursive(_LEAVES, _larger, max_leaves=6), min_size=1, max_size=3))
def test_any_expression_is_written_back(expressions: list[str]) -> None:
    sql = "SELECT " + ", ".join(f"{text} AS c{number}" for number, text in enumerate(expressions)) + " FROM t"
    tree = dialect.AMC().parse(sql)[0]
    assert tree is not None
    written = tree.sql("amc")
    assert sqlglot.parse_one(written, read="amc") == tree
    compiler.parse(written)
    tree.sql("duckdb")
