from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from airflow_provider_amc.sql import dialect, transpile

SQL = """SELECT a.campaign AS c, COUNT(DISTINCT user_id) AS users, CURRENT_DATE AS d
FROM TABLE(EXTEND_TIME_WINDOW('dsp_impressions', 'P14D', 'P1D')) AS a
WHERE SECONDS_BETWEEN(x, y) > 3 -- why
GROUP BY 1"""


def test_the_dialect_is_known_by_its_name() -> None:
    tree = sqlglot.parse_one(SQL, dialect="amc")
    assert isinstance(tree, exp.Select)
    assert isinstance(tree.expressions[1].this, exp.Count)
    assert tree.find(transpile.CLASSES["SECONDS_BETWEEN"]) is not None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.campaign AS c, COUNT(DISTINCT user_id) AS users FROM TABLE(EXTEND_TIME_WINDOW('t', 'P14D', 'P1D')) AS a GROUP BY 1",
        "SELECT SECONDS_BETWEEN(a, b) AS s, CURRENT_DATE AS d, ROW_NUMBER() OVER (PARTITION BY c ORDER BY d) AS r FROM t",
        "WITH x(a, b) AS (SELECT c, d FROM t) SELECT a FROM x UNION ALL SELECT b FROM x",
        "SELECT \"odd name\", 'it''s' AS q, a SIMILAR TO '^x.*' AS s FROM t WHERE a IN (1, 2)",
    ],
)  # fmt: skip
def test_queries_are_written_back_as_they_were(sql: str) -> None:
    assert sqlglot.parse_one(sql, dialect="amc").sql(dialect="amc") == sql


def test_comments_do_not_nest_and_backslashes_are_characters() -> None:
    tree = sqlglot.parse_one("SELECT /* a /* b */ 'C:\\' AS x FROM t", dialect="amc")
    assert tree.expressions[0].this.this == "C:\\"


def test_places_are_those_of_the_text() -> None:
    tree = dialect.AmcCalls().parse(SQL)[0]
    assert tree is not None
    call = next(node for node in tree.find_all(exp.Anonymous) if node.name == "SECONDS_BETWEEN")
    assert str(dialect.place_in(SQL, call)) == "From line 3, column 7 to line 3, column 27"
    today = tree.find(exp.CurrentDate)
    assert today is not None
    assert str(dialect.place_in(SQL, today)) == "From line 1, column 59 to line 1, column 70"
    assert str(dialect.word_before(SQL, call, "WHERE")) == "From line 3, column 1 to line 3, column 5"
