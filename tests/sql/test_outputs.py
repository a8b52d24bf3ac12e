from __future__ import annotations

import pytest

from airflow_provider_amc.sql.outputs import column_sources, output_names, tables

UNION = "SELECT a, COUNT(*) AS n FROM t GROUP BY a UNION ALL SELECT b, MAX(c) FROM u GROUP BY b"


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT campaign, SUM(x) AS total, COUNT(*), t.y FROM t GROUP BY 1, 4", ["campaign", "total", "", "y"]),
        ('SELECT "My Name" FROM t', ["My Name"]),
        (UNION, ["a", "n"]),
        (f"SELECT * FROM ({UNION}) q", ["a", "n"]),
        (f"WITH q AS ({UNION}) SELECT q.*, 1 AS one FROM q", ["a", "n", "one"]),
        ("WITH q (x, y) AS (SELECT a, b FROM t) SELECT * FROM q", ["x", "y"]),
        ("WITH q AS (SELECT a FROM t) SELECT * FROM q JOIN q AS r ON q.a = r.a", ["a", "a"]),
        ("WITH q AS (SELECT a FROM t) SELECT * FROM q JOIN q AS r USING (a)", None),
        ("SELECT d.* FROM (VALUES ('a', 1)) AS d(n, m)", ["n", "m"]),
        ("SELECT * FROM t", None),
        ("SELECT q.*, t.* FROM (SELECT 1 AS a) q CROSS JOIN t", None),
        ("(SELECT a FROM t)", ["a"]),
        ("not a query (", None),
        ("", None),
    ],
)
def test_names(sql: str, names: list[str] | None) -> None:
    assert output_names(sql) == names


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT 1 AS one", []),
        (
            "SELECT a FROM DSP_Impressions i JOIN dsp_clicks ON 1 = 1 JOIN dsp_impressions ON 1 = 1",
            ["dsp_clicks", "dsp_impressions"],
        ),
        ("WITH q AS (SELECT a FROM t) SELECT a FROM q JOIN (SELECT b FROM u) v ON 1 = 1", ["t", "u"]),
        ("SELECT a FROM t WHERE a IN (SELECT a FROM u) UNION ALL SELECT a FROM sandbox.v", ["sandbox.v", "t", "u"]),
        ("SELECT a FROM TABLE(EXTEND_TIME_WINDOW('dsp_views', 'P7D', 'P0D')) v", ["dsp_views"]),
        ("SELECT x FROM t, UNNEST(t.xs) AS x", ["t"]),
        ("not a query (", []),
    ],
)
def test_tables(sql: str, names: list[str]) -> None:
    assert tables(sql) == names


@pytest.mark.parametrize(
    ("sql", "sources"),
    [
        ("SELECT t.a, b AS c, 1 AS one, COUNT(*) AS n FROM t GROUP BY t.a, b", [[("t", "a")], [("t", "b")], [], []]),
        ("SELECT SUM(i.x) / SUM(c.y) AS r FROM i JOIN c ON i.k = c.k", [[("c", "y"), ("i", "x")]]),
        # Whose column it is, only the tables tell.
        ("SELECT SUM(x) AS s FROM i JOIN c ON i.k = c.k", [[]]),
        (
            "WITH q AS (SELECT a, SUM(b) AS s FROM t GROUP BY a) SELECT a, s / 2 AS h FROM q",
            [[("t", "a")], [("t", "b")]],
        ),
        ("SELECT a FROM t UNION ALL SELECT b FROM u", [[("t", "a"), ("u", "b")]]),
        ("SELECT q.* FROM (SELECT a AS x FROM t) q", [[("t", "a")]]),
        ("SELECT v.A FROM TABLE(EXTEND_TIME_WINDOW('dsp_views', 'P7D', 'P0D')) v", [[("dsp_views", "a")]]),
        ("SELECT * FROM t", None),
        ("not a query (", None),
    ],
)
def test_column_sources(sql: str, sources: list[list[tuple[str, str]]] | None) -> None:
    assert column_sources(sql) == sources
