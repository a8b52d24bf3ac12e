"""What queries mean and which are refused; the tables are two small ones of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import duckdb
import pytest

from airflow_provider_amc.sql.compiler import Compiled, compile_query
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.macros import create_statements
from airflow_provider_amc.sql.scopes import Field
from airflow_provider_amc.sql.types import parse_type

_ROWS = {
    "impressions": (
        {"campaign": "STRING", "campaign_id": "LONG", "user_id": "STRING", "day": "DATE", "impressions": "LONG", "sales": "DECIMAL(38,4)"},
        """VALUES ('A', 1, 'u1', DATE '2026-01-01', 2, 1.5), ('A', 1, 'u2', DATE '2026-01-02', 1, 0),
            ('B', 2, 'u1', DATE '2026-01-03', 5, 2.25), ('B', 2, NULL, DATE '2026-01-03', 7, NULL)""",
    ),
    "clicks": (
        {"campaign": "STRING", "user_id": "STRING", "clicks": "LONG", "tags": "ARRAY<STRING>"},
        "VALUES ('A', 'u1', 1, ['x', 'y']), ('C', 'u9', 1, [])",
    ),
}  # fmt: skip
_METRICS = {"impressions", "clicks", "sales"}


@dataclass(frozen=True)
class SmallTable:
    name: str

    @property
    def fields(self) -> MappingProxyType[str, Field]:
        columns, _ = _ROWS[self.name]
        return MappingProxyType({n: Field(n, parse_type(t), n in _METRICS, n) for n, t in columns.items()})

    @property
    def user_column(self) -> str | None:
        return "user_id" if "user_id" in self.fields else None

    def read(self, columns: Sequence[str], start: str, end: str) -> str:
        names, rows = _ROWS[self.name]
        listed = ", ".join(f'"{column}"' for column in columns) or "1 AS one"
        return f"SELECT {listed} FROM ({rows}) AS t({', '.join(names)})"


def find(schema: str | None, name: str) -> SmallTable | None:
    return SmallTable(name.lower()) if schema in (None, "sandbox") and name.lower() in _ROWS else None


def compiled(sql: str, **kwargs: Any) -> Compiled:
    return compile_query(sql, find, parameter_values=kwargs.pop("values", {}), **kwargs)


@pytest.fixture(scope="module")
def database() -> Any:
    connection = duckdb.connect()
    for statement in create_statements():
        connection.execute(statement)
    yield connection
    connection.close()


def run(database: Any, sql: str, **kwargs: Any) -> list[tuple[Any, ...]]:
    result: list[tuple[Any, ...]] = database.execute(compiled(sql, **kwargs).sql).fetchall()
    return sorted(result, key=str)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT CAMPAIGN, Sum(Impressions) AS i FROM Impressions GROUP BY Campaign", [("A", 3), ("B", 12)]),
        ("SELECT campaign AS c, COUNT(*) AS n FROM impressions GROUP BY 1", [("A", 2), ("B", 2)]),
        ("SELECT UPPER(campaign) AS c, 'x' AS k, COUNT(*) AS n FROM impressions GROUP BY c, 2", [("A", "x", 2), ("B", "x", 2)]),
        # a constant is no ordinal, whatever its sign
        ("SELECT campaign, -1 AS k, COUNT(*) AS n FROM impressions GROUP BY 1, 2", [("A", -1, 2), ("B", -1, 2)]),
        ("SELECT COUNT(*) AS n, (1) AS k, -7 AS z FROM impressions GROUP BY k, 3", [(4, 1, -7)]),
        # an alias wins over a column of the same name
        ("SELECT IF(campaign = 'A', 'one', 'one') AS campaign, COUNT(*) AS n FROM impressions GROUP BY campaign", [("one", 4)]),
        ("SELECT IF(campaign IN (SELECT campaign FROM clicks), 'both', 'one') AS k, COUNT(*) AS n FROM impressions GROUP BY 1",
         [("both", 2), ("one", 2)]),
        # but inside an expression the column does
        ("SELECT LOWER(campaign) AS campaign, COUNT(*) AS n FROM impressions GROUP BY LOWER(campaign)", [("a", 2), ("b", 2)]),
        ("SELECT UPPER(c.campaign) AS k, MAX(clicks) AS m FROM clicks c GROUP BY CONCAT(k, '!'), UPPER(campaign)", [("A", 1), ("C", 1)]),
        ("SELECT CONCAT(campaign, '') AS campaign, MAX(clicks) AS m FROM clicks GROUP BY (campaign)", [("A", 1), ("C", 1)]),
        # a name with its table is no alias
        ("SELECT SUM(i.impressions) AS campaign FROM impressions i GROUP BY i.campaign", [(12,), (3,)]),
        ("SELECT campaign, SUM(impressions) AS i FROM impressions GROUP BY campaign HAVING i > 5", [("B", 12)]),
        ("SELECT campaign, SUM(impressions) AS i FROM impressions GROUP BY campaign HAVING SUM(impressions) < 5", [("A", 3)]),
        ("SELECT DISTINCT campaign FROM impressions WHERE user_id IS NOT NULL", [("A",), ("B",)]),
        ("SELECT COUNT(*) AS n FROM impressions WHERE day >= '2026-01-02' AND campaign_id = '2'", [(2,)]),
        ("SELECT SUM(impressions) / COUNT(DISTINCT campaign) AS r FROM impressions", [(7.5,)]),
        ("SELECT i.campaign FROM impressions i LEFT JOIN clicks c ON i.campaign = c.campaign WHERE c.campaign IS NULL GROUP BY 1", [("B",)]),
        ("SELECT COALESCE(i.campaign, c.campaign) AS k FROM impressions i FULL OUTER JOIN clicks c ON i.campaign = c.campaign GROUP BY 1",
         [("A",), ("B",), ("C",)]),
        ("SELECT COUNT(*) AS n FROM impressions CROSS JOIN clicks", [(8,)]),
        ("SELECT COUNT(*) AS n FROM impressions i, clicks c WHERE i.user_id = c.user_id", [(2,)]),
        ("SELECT campaign, COUNT(*) AS n FROM impressions JOIN clicks USING (campaign) GROUP BY campaign", [("A", 2)]),
        ("SELECT COUNT(*) AS n FROM impressions i JOIN clicks c ON i.impressions > c.clicks", [(6,)]),
        ("WITH a AS (SELECT campaign, SUM(impressions) AS i FROM impressions GROUP BY 1) SELECT * FROM a", [("A", 3), ("B", 12)]),
        ("WITH a AS (SELECT campaign AS c FROM impressions GROUP BY 1), b AS (SELECT c FROM a) SELECT b.* FROM b", [("A",), ("B",)]),
        ("WITH v(a, b) AS (VALUES (1, 'x'), (2, 'y')) SELECT a, b FROM v", [(1, "x"), (2, "y")]),
        ("SELECT q.n FROM (SELECT COUNT(*) AS n FROM impressions) q", [(4,)]),
        ("SELECT x.a FROM (VALUES (1), (2)) AS x(a) WHERE x.a > 1", [(2,)]),
        # parentheses around a column keep its name
        ("SELECT k, COUNT(campaign) AS n FROM (SELECT DISTINCT(campaign), 1 AS k FROM clicks) GROUP BY k", [(1, 2)]),
        ("SELECT (campaign), MAX((clicks)) AS m FROM clicks GROUP BY (campaign)", [("A", 1), ("C", 1)]),
        ("SELECT (campaign) FROM clicks GROUP BY campaign", [("A",), ("C",)]),
        ("SELECT campaign FROM impressions GROUP BY 1 UNION ALL SELECT campaign FROM clicks GROUP BY 1", [("A",), ("A",), ("B",), ("C",)]),
        ("SELECT campaign FROM impressions GROUP BY 1 UNION SELECT campaign FROM clicks GROUP BY 1", [("A",), ("B",), ("C",)]),
        ("SELECT IF(i.impressions > AVG(impressions) OVER (), 'many', 'few') AS k, COUNT(*) AS n, SUM(impressions) AS s FROM impressions i "
         "WHERE i.impressions < 7 GROUP BY 1", [("few", 2, 3), ("many", 1, 5)]),
        ("SELECT RANK() OVER (ORDER BY clicks.campaign) AS r, impressions.campaign, SUM(clicks) + SUM(impressions) AS s FROM impressions "
         "JOIN clicks ON impressions.user_id = clicks.user_id GROUP BY r, 2 HAVING r < 2", [(1, "A", 3), (1, "B", 6)]),
        ("SELECT DENSE_RANK() OVER (ORDER BY c.campaign) AS r, COUNT(*) AS n FROM impressions i CROSS JOIN clicks c GROUP BY r", [(1, 4), (2, 4)]),
        ("SELECT 1 AS a UNION ALL SELECT 'x'", [("1",), ("x",)]),
        ("SELECT NULL AS a UNION ALL SELECT COUNT(*) FROM clicks", [(2,), (None,)]),
        ("SELECT COUNT(*) AS n FROM impressions WHERE campaign IN (SELECT campaign FROM clicks)", [(2,)]),
        ("SELECT COUNT(*) AS n FROM impressions i WHERE NOT EXISTS (SELECT 1 FROM clicks c WHERE c.campaign = i.campaign)", [(2,)]),
        ("SELECT campaign, (SELECT MAX(clicks) FROM clicks) AS m FROM impressions GROUP BY campaign", [("A", 1), ("B", 1)]),
        ("SELECT t.tag, COUNT(*) AS n FROM clicks c, UNNEST(c.tags) AS t(tag) GROUP BY t.tag", [("x", 1), ("y", 1)]),
        ("SELECT COUNT(*) AS n FROM sandbox.impressions", [(4,)]),
        ("SELECT sandbox.impressions.campaign FROM sandbox.impressions GROUP BY 1", [("A",), ("B",)]),
        ("SELECT SUM(sales) AS s, SUM(sales) * 100 AS p FROM impressions", [(3.75, 375)]),
        ("SELECT campaign AS \"my -- name\" FROM clicks -- the end\n GROUP BY 1", [("A",), ("C",)]),
        ("(SELECT COUNT(*) AS n FROM clicks)", [(2,)]),
        ("SELECT COUNT(*) AS n FROM TABLE(EXTEND_TIME_WINDOW('clicks', 'P14D', 'PT12H')) AS c", [(2,)]),
        ("SELECT campaign, campaign FROM clicks GROUP BY 1", [("A", "A"), ("C", "C")]),
        ("SELECT MAX(n) AS n FROM (SELECT campaign, COUNT(*) AS n, COUNT(*) AS n FROM clicks GROUP BY 1)", [(1,)]),
    ],
)  # fmt: skip
def test_queries(database: Any, sql: str, expected: list[tuple[Any, ...]]) -> None:
    if "TABLE(" in sql:
        sql = compiled(sql).sql
        assert "$window_start" not in sql  # the small tables have no time
        assert sorted(database.execute(sql).fetchall()) == expected
        return
    assert run(database, sql) == expected


@pytest.mark.covers("function", "EXTEND_TIME_WINDOW")
def test_an_extended_table_is_read_over_a_longer_window() -> None:
    seen: list[tuple[str, str]] = []

    class Spy(SmallTable):
        def read(self, columns: Sequence[str], start: str, end: str) -> str:
            seen.append((start, end))
            return super().read(columns, start, end)

    compile_query(
        "SELECT COUNT(*) AS n FROM clicks a, TABLE(EXTEND_TIME_WINDOW('clicks', 'P14D', 'P1DT6H')) b",
        lambda schema, name: Spy(name),
    )
    assert seen == [
        ("CAST($window_start AS TIMESTAMP)", "CAST($window_end AS TIMESTAMP)"),
        ("CAST($window_start AS TIMESTAMP) - INTERVAL '14 days'", "CAST($window_end AS TIMESTAMP) + INTERVAL '1 days 6 hours'"),
    ]  # fmt: skip


def test_only_the_columns_a_query_needs_are_read() -> None:
    seen: list[list[str]] = []

    class Spy(SmallTable):
        def read(self, columns: Sequence[str], start: str, end: str) -> str:
            seen.append(list(columns))
            return super().read(columns, start, end)

    compile_query(
        "SELECT campaign FROM impressions WHERE day > '2026-01-01' GROUP BY 1", lambda schema, name: Spy(name)
    )
    assert seen == [["campaign", "day"]]


_TYPES = [
    ("campaign", "STRING", False),
    ("SUM(impressions) AS x", "LONG", True),
    ("SUM(sales) AS x", "DECIMAL", True),
    ("SUM(impressions) / 2 AS x", "DOUBLE", True),
    ("COUNT(DISTINCT user_id) AS x", "LONG", False),
    ("COUNT(*) AS x", "LONG", True),
    ("MAX(day) AS x", "DATE", False),
    ("IF(SUM(impressions) > 3, 'many', 'few') AS x", "STRING", False),
    ("CAST(SUM(impressions) AS VARCHAR) AS x", "STRING", True),
    ("COLLECT(DISTINCT user_id) AS x", "ARRAY", False),
    ("5 AS x", "INTEGER", False),
]


@pytest.mark.parametrize(("item", "kind", "metric"), _TYPES)
def test_columns_have_type_and_role(item: str, kind: str, metric: bool) -> None:
    (field,) = compiled(f"SELECT {item} FROM impressions GROUP BY campaign").fields
    assert field.type.kind == kind
    if kind != "STRING":
        assert field.metric is metric


def test_what_is_grouped_by_is_a_dimension() -> None:
    sql = "SELECT i, COUNT(DISTINCT u) AS n FROM (SELECT user_id AS u, SUM(impressions) AS i FROM impressions GROUP BY 1) GROUP BY i"
    assert [(field.name, field.metric) for field in compiled(sql).fields] == [("i", False), ("n", False)]


def test_names_of_columns_are_kept_as_written() -> None:
    fields = compiled("SELECT Campaign, MAX(day), COUNT(*) AS N FROM impressions GROUP BY 1").fields
    assert [field.name for field in fields] == ["Campaign", "EXPR$1", "N"]


@pytest.mark.parametrize(
    ("sql", "aggregated"),
    [
        ("SELECT campaign FROM impressions", False),
        ("SELECT campaign FROM impressions GROUP BY 1", True),
        ("SELECT COUNT(*) AS n FROM impressions", True),
        ("SELECT DISTINCT campaign FROM impressions", True),
        ("WITH a AS (SELECT campaign, COUNT(*) AS n FROM impressions GROUP BY 1) SELECT campaign FROM a", True),
        ("WITH a AS (SELECT campaign FROM impressions) SELECT campaign FROM a", False),
        ("SELECT campaign FROM impressions GROUP BY 1 UNION ALL SELECT campaign FROM clicks", False),
        ("SELECT SUM(impressions) OVER () AS s FROM impressions", False),
    ],
)
def test_it_is_known_whether_the_output_is_aggregated(sql: str, aggregated: bool) -> None:
    assert compiled(sql).aggregated is aggregated


@pytest.mark.parametrize(
    ("sql", "message", "place"),
    [
        ("", "The SQL query is empty", None),
        ("-- nothing", "The SQL query is empty", None),
        ("DROP TABLE clicks", 'Encountered "DROP" at line 1, column 1', (1, 1)),
        ("INSERT INTO clicks VALUES (1)", 'Encountered "INSERT"', (1, 1)),
        ("UPDATE clicks SET clicks = 1", 'Encountered "UPDATE"', (1, 1)),
        ("COPY clicks TO 'x'", 'Encountered "COPY"', (1, 1)),
        ("ATTACH 'x'", 'Encountered "ATTACH"', (1, 1)),
        ("SET threads = 1", 'Encountered "SET"', (1, 1)),
        ("SELECT 1 AS a; SELECT 2 AS b", 'Encountered ";".*Only one statement', (1, 14)),
        ("SELECT *\nFROM impressions", "SELECT \\* is not supported on table 'impressions'", (1, 8)),
        ("SELECT i.* FROM impressions i", "SELECT \\* is not supported on table 'i'", (1, 8)),
        ("SELECT campaign FROM impressions\nLIMIT 5", "LIMIT is not supported", (2, 1)),
        ("SELECT campaign FROM impressions OFFSET 5", "OFFSET is not supported", (1, 34)),
        ("SELECT campaign FROM impressions FETCH FIRST 5 ROWS ONLY", "FETCH is not supported", (1, 34)),
        ("SELECT campaign FROM impressions ORDER BY campaign", "ORDER BY is not supported outside of OVER", (1, 34)),
        ("SELECT n FROM (SELECT campaign AS n FROM clicks ORDER BY 1)", "ORDER BY is not supported", (1, 49)),
        ("SELECT c.campaign FROM impressions i RIGHT JOIN clicks c ON i.campaign = c.campaign", "RIGHT JOIN is not supported", (1, 38)),
        ("SELECT c.campaign FROM impressions i NATURAL JOIN clicks c", "NATURAL JOIN is not supported", (1, 38)),
        ("SELECT c.campaign FROM impressions i LEFT JOIN clicks c", "join requires a condition", (1, 48)),
        ("SELECT GETDATE() AS g FROM clicks", r"No match found for function signature GETDATE\(\)", (1, 8)),
        ("SELECT campaign || 'x' AS y FROM clicks", r"Unsupported scalar operation type \|\|", (1, 8)),
        ("SELECT campaign\nFROM\n  nothing", "Object 'nothing' not found", (3, 3)),
        ("SELECT campaign FROM other.clicks", "Object 'clicks' not found", (1, 22)),
        ("SELECT a FROM TABLE(EXTEND_TIME_WINDOW('nothing', 'P1D', 'P1D'))", "Object 'nothing' not found", (1, 40)),
        ("SELECT a FROM TABLE(EXTEND_TIME_WINDOW('clicks', '14', 'P1D'))", "'14' is not an ISO-8601 duration", (1, 50)),
        ("SELECT a FROM TABLE(EXTEND_TIME_WINDOW('clicks'))", "three quoted strings", (1, 21)),
        ("SELECT a FROM READ_CSV('/etc/passwd')", "No match found for function signature READ_CSV", (1, 15)),
        ("SELECT a FROM '/etc/passwd'", "Object '/etc/passwd' not found", (1, 15)),
        ("SELECT\n  nothing\nFROM clicks", "Column 'nothing' not found in any table", (2, 3)),
        ("SELECT c.nothing FROM clicks c", "Column 'nothing' not found in table 'c'", (1, 8)),
        ("SELECT z.campaign FROM clicks c", "Table 'z' not found", (1, 8)),
        ("SELECT campaign FROM clicks c, impressions i", "Column 'campaign' is ambiguous", (1, 8)),
        ("SELECT 1 AS a FROM clicks c, impressions c", "Duplicate relation name 'c'", (1, 30)),
        ("SELECT campaign, user_id FROM clicks GROUP BY campaign", "Expression 'user_id' is not being grouped", (1, 18)),
        ("SELECT campaign, COUNT(*) AS n FROM clicks", "Expression 'campaign' is not being grouped", (1, 8)),
        ("SELECT campaign FROM clicks WHERE COUNT(*) > 1 GROUP BY 1", "Aggregate expression is illegal", (1, 35)),
        ("SELECT MAX(SUM(clicks)) AS m FROM clicks", "Aggregate expression is illegal", (1, 12)),
        ("SELECT campaign, SUM(clicks) AS s FROM clicks GROUP BY 1, s", "illegal in GROUP BY", (1, 59)),
        ("SELECT RANK() OVER (ORDER BY SUM(clicks)) AS r FROM clicks GROUP BY 1", "illegal in GROUP BY", (1, 69)),
        ("SELECT campaign FROM clicks GROUP BY 2", "Ordinal out of range", (1, 38)),
        ("SELECT campaign FROM clicks GROUP BY ROLLUP (campaign)", "GROUP BY ROLLUP is not supported", None),
        ("SELECT RANK() AS r FROM clicks", "OVER clause is necessary", (1, 8)),
        ("SELECT UPPER(campaign) OVER () AS r FROM clicks", "OVER must be applied to aggregate function", (1, 8)),
        ("SELECT SUM(clicks) OVER w AS r FROM clicks WINDOW v AS (ORDER BY clicks)", "Window 'w' not found", (1, 8)),
        ("SELECT CAST(clicks AS DECIMAL(a)) AS r FROM clicks", "DECIMAL needs whole numbers", (1, 8)),
        ("SELECT 1 AS a\0 FROM clicks", "Lexical error: the SQL holds a NUL", None),
        ("SELECT CUSTOM_PARAMETER('p') AS p FROM clicks", "referenced an undeclared parameter p", (1, 8)),
        ("SELECT SUM(campaign) AS s FROM clicks", "Cannot apply 'SUM' to arguments of type", (1, 8)),
        ("SELECT 1 AS a FROM clicks WHERE clicks", "Condition must be of type BOOLEAN, not LONG", (1, 33)),
        ("SELECT campaign FROM clicks UNION ALL SELECT campaign, clicks FROM clicks", "Column count mismatch in UNION", (1, 46)),
        ("SELECT campaign FROM clicks EXCEPT SELECT campaign FROM impressions", "EXCEPT is not supported", (1, 29)),
        ("WITH x(a, b) AS (SELECT campaign FROM clicks) SELECT a FROM x", "Number of columns must match", (1, 6)),
        ("WITH RECURSIVE x AS (SELECT campaign FROM clicks) SELECT campaign FROM x", "RECURSIVE is not supported", None),
        ("SELECT campaign FROM clicks WHERE (campaign = 'A'", 'Encountered "<EOF>".*expecting: "\\)"', (1, 49)),
        ("SELECT campaign, FROM clicks", 'Encountered "FROM" at line 1, column 18', (1, 18)),
        ("SELECT campaign FROM clicks WHERE", 'Encountered "<EOF>"', (1, 33)),
        ("SELECT campaign FROM clicks x y", 'Encountered "y" at line 1, column 31', (1, 31)),
        ("SELECT campaign FROM clicks WHERE campaign == 'A'", 'Encountered "="', (1, 44)),
        ("SELECT campaign FROM clicks WHERE campaign ILIKE 'a'", 'Encountered "ILIKE"', (1, 44)),
        ("SELECT campaign FROM clicks QUALIFY ROW_NUMBER() OVER (ORDER BY clicks) = 1", "QUALIFY is not supported", None),
        ("SELECT campaign FROM clicks TABLESAMPLE (10 PERCENT)", "is not supported", None),
        ("SELECT 'abc FROM clicks", "Lexical error.*line 1, column 8", None),
    ],
)  # fmt: skip
def test_what_amc_does_not_take_is_refused_with_its_place(
    sql: str, message: str, place: tuple[int, int] | None
) -> None:
    with pytest.raises(AmcSqlError, match=message) as caught:
        compiled(sql)
    if place is not None:
        assert (caught.value.line, caught.value.column) == place
        assert f"line {place[0]}, column {place[1]}" in str(caught.value)


def test_deep_nesting_is_refused_or_compiled_but_never_crashes() -> None:
    deep = "SELECT " + "(" * 3000 + "1" + ")" * 3000 + " AS a"
    with pytest.raises(AmcSqlError, match="nested too deeply"):
        compiled(deep)
    wide = "SELECT COUNT(*) AS n FROM clicks WHERE " + " OR ".join(f"clicks = {n}" for n in range(700))
    assert compiled(wide).aggregated
