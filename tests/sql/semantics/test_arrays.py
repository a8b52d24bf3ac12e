"""Array and row functions: inputs and expected values follow from the AMC documentation, "AMC SQL functions"."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_amc.sql.errors import AmcSqlError
from tests.sql.evaluate import cases, rows, value, with_rows

_NONE = "CAST(NULL AS ARRAY<INTEGER>)"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        *cases(
            "ARRAY_CAT",
            ("ARRAY_CAT(ARRAY[1, 2], ARRAY[2, 3])", [1, 2, 2, 3]),
            ("ARRAY_CAT(ARRAY['b'], ARRAY['a'])", ["b", "a"]),
            ("ARRAY_CAT(ARRAY[1, NULL], ARRAY[NULL])", [1, None, None]),
            ("ARRAY_CAT(ARRAY[1], ARRAY['a'])", ["1", "a"]),
            ("ARRAY_CAT(ARRAY[1], ARRAY[1.5])", [Decimal("1.0"), Decimal("1.5")]),
            (f"ARRAY_CAT(ARRAY[1], {_NONE})", None),
            ("ARRAY_CAT(ARRAY[1], NULL)", None),
        ),
        *cases(
            "ARRAY_CONTAINS",
            ("ARRAY_CONTAINS(ARRAY['a', 'b'], 'b')", True),
            ("ARRAY_CONTAINS(ARRAY['a'], 'z')", False),
            ("ARRAY_CONTAINS(ARRAY['a'], 'A')", False),
            ("ARRAY_CONTAINS(ARRAY['a', NULL], 'z')", False),
            ("ARRAY_CONTAINS(ARRAY[1, 2], 2)", True),
            ("ARRAY_CONTAINS(ARRAY[1, 2], '2')", True),
            ("ARRAY_CONTAINS(ARRAY['1', '2'], 2)", True),
            ("ARRAY_CONTAINS(ARRAY[1.5], 1.5)", True),
            ("ARRAY_CONTAINS(ARRAY[DATE '2026-01-01'], '2026-01-01')", True),
            ("ARRAY_CONTAINS(ARRAY['ö'], 'ö')", True),
            ("ARRAY_CONTAINS(ARRAY[''], '')", True),
            (f"ARRAY_CONTAINS({_NONE}, 1)", None),
        ),
        *cases(
            "ARRAY_COMPLEMENT",
            ("ARRAY_COMPLEMENT(ARRAY[1, 2, 3], ARRAY[2])", [1, 3]),
            ("ARRAY_COMPLEMENT(ARRAY[1], ARRAY[1])", []),
            ("ARRAY_COMPLEMENT(ARRAY[1, 2], ARRAY[3])", [1, 2]),
            ("ARRAY_COMPLEMENT(ARRAY['a', 'b'], ARRAY['A'])", ["a", "b"]),
            ("ARRAY_COMPLEMENT(ARRAY[1, NULL], ARRAY[1])", [None]),
            ("ARRAY_COMPLEMENT(ARRAY[1, NULL], ARRAY[NULL, 2])", [1]),
            (f"ARRAY_COMPLEMENT(ARRAY[1], {_NONE})", None),
        ),
        *cases(
            "ARRAY_DISTINCT",
            ("ARRAY_DISTINCT(ARRAY[2, 1, 2, 3, 1])", [2, 1, 3]),
            ("ARRAY_DISTINCT(ARRAY['a', 'A', 'a'])", ["a", "A"]),
            ("ARRAY_DISTINCT(ARRAY[NULL, 1, NULL])", [None, 1]),
            (f"ARRAY_DISTINCT({_NONE})", None),
        ),
        *cases(
            "ARRAY_INTERSECT",
            ("ARRAY_INTERSECT(ARRAY[1, 2, 3], ARRAY[3, 2])", [2, 3]),
            ("ARRAY_INTERSECT(ARRAY[1, 1, 2], ARRAY[1])", [1]),
            ("ARRAY_INTERSECT(ARRAY['a'], ARRAY['b'])", []),
            ("ARRAY_INTERSECT(ARRAY[1, NULL], ARRAY[NULL])", [None]),
            (f"ARRAY_INTERSECT({_NONE}, ARRAY[1])", None),
        ),
        *cases(
            "ARRAY_REMOVE",
            ("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", [2]),
            ("ARRAY_REMOVE(ARRAY['a', 'b'], 'x')", ["a", "b"]),
            ("ARRAY_REMOVE(ARRAY['a', NULL], 'a')", [None]),
            ("ARRAY_REMOVE(ARRAY[1, 2], '2')", [1]),
            ("ARRAY_REMOVE(ARRAY[1], 1)", []),
            (f"ARRAY_REMOVE({_NONE}, 1)", None),
        ),
        *cases(
            "ARRAY_SORT",
            ("ARRAY_SORT(ARRAY['b', 'a', 'C'])", ["C", "a", "b"]),
            ("ARRAY_SORT(ARRAY[3, -1, 2])", [-1, 2, 3]),
            ("ARRAY_SORT(ARRAY[2, NULL, 1])", [1, 2, None]),
            ("ARRAY_SORT(ARRAY[DATE '2026-02-01', DATE '2026-01-01'])", [dt.date(2026, 1, 1), dt.date(2026, 2, 1)]),
            ("ARRAY_SORT(ARRAY['10', '9'])", ["10", "9"]),
            (f"ARRAY_SORT({_NONE})", None),
            note="NULLs come last",
        ),
        *cases(
            "ARRAY_TO_STRING",
            ("ARRAY_TO_STRING(ARRAY[1, 2], ' > ')", "1 > 2"),
            ("ARRAY_TO_STRING(ARRAY['a', 'b', 'c'], ',')", "a,b,c"),
            ("ARRAY_TO_STRING(ARRAY['a', NULL, 'c'], ',')", "a,c"),
            ("ARRAY_TO_STRING(ARRAY['a'], ',')", "a"),
            ("ARRAY_TO_STRING(ARRAY['a', 'b'], '')", "ab"),
            ("ARRAY_TO_STRING(ARRAY['ä', 'ö'], '→')", "ä→ö"),
            ("ARRAY_TO_STRING(ARRAY[1.50, 2], ',')", "1.50,2.00"),
            ("ARRAY_TO_STRING(ARRAY[DATE '2026-01-01'], ',')", "2026-01-01"),
            (f"ARRAY_TO_STRING({_NONE}, ',')", None),
            ("ARRAY_TO_STRING(ARRAY['a'], NULL)", None),
        ),
        *cases(
            "ARRAY_UNION",
            ("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", [1, 2, 3]),
            ("ARRAY_UNION(ARRAY[1, 1], ARRAY[1])", [1]),
            ("ARRAY_UNION(ARRAY['b'], ARRAY['a', NULL, NULL])", ["b", "a", None]),
            (f"ARRAY_UNION({_NONE}, ARRAY[1])", None),
        ),
        *cases(
            "CARDINALITY",
            ("CARDINALITY(ARRAY[5, 6, 7])", 3),
            ("CARDINALITY(ARRAY[NULL, 1])", 2),
            ("CARDINALITY(ARRAY_REMOVE(ARRAY[1], 1))", 0),
            ("CARDINALITY(REGEXP_SPLIT('a,b', ','))", 2),
            (f"CARDINALITY({_NONE})", None),
        ),
        *cases(
            "FLATTEN",
            ("FLATTEN(ARRAY[ARRAY[1], ARRAY[2, 3]])", [1, 2, 3]),
            ("FLATTEN(ARRAY[ARRAY['a'], ARRAY_REMOVE(ARRAY['b'], 'b')])", ["a"]),
            ("FLATTEN(ARRAY[ARRAY[ARRAY[1], ARRAY[2]], ARRAY[ARRAY[3]]])", [[1], [2], [3]]),
            ("FLATTEN(ARRAY[ARRAY[1, NULL]])", [1, None]),
        ),
        *cases(
            "NAMED_ROW",
            ("NAMED_ROW('order', 1, 'name', 'a')", {"order": 1, "name": "a"}),
            ("NAMED_ROW('a b', NULL)", {"a b": None}),
            ("NAMED_ROW('x', ARRAY[1], 'y', NAMED_ROW('z', TRUE))", {"x": [1], "y": {"z": True}}),
            ("ARRAY_SORT(ARRAY[NAMED_ROW('n', 2, 'c', 'a'), NAMED_ROW('n', 1, 'c', 'b')])", [{"n": 1, "c": "b"}, {"n": 2, "c": "a"}]),
        ),
        *cases(
            "ARRAY[...]",
            ("ARRAY['x', 'y'][1]", "x"),
            ("ARRAY['x', 'y'][2]", "y"),
            ("ARRAY['x'][5]", None),
            ("ARRAY[1, 2.5]", [Decimal("1.0"), Decimal("2.5")]),
            ("ARRAY[1, 'a']", ["1", "a"]),
            kind="rule",
        ),
    ],
)  # fmt: skip
def test_array_functions(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.covers("function", "EXPLODE")
def test_explode_makes_a_row_of_each_element() -> None:
    data = with_rows(
        "k, a", "'x', ARRAY[1, 2]", "'y', ARRAY[3]", f"'none', {_NONE}", "'empty', ARRAY_REMOVE(ARRAY[1], 1)"
    )
    assert sorted(rows(data + "SELECT k, EXPLODE(a) AS e FROM t")) == [("x", 1), ("x", 2), ("y", 3)]
    again = "SELECT e, COUNT(*) AS n FROM (SELECT EXPLODE(a) AS e FROM t) q GROUP BY e"
    assert sorted(rows(data + again)) == [(1, 1), (2, 1), (3, 1)]
    split = "SELECT EXPLODE(REGEXP_SPLIT(CONCAT(k, '-', k), '-')) AS e FROM t WHERE k IN ('x', 'none')"
    assert sorted(rows(data + split)) == [("none",), ("none",), ("x",), ("x",)]


@pytest.mark.covers("function", "NAMED_ROW")
def test_fields_of_a_row_are_named_with_a_dot() -> None:
    data = with_rows("g, x", "'a', 1", "'b', 2")
    sql = "SELECT q.r.campaign AS c, q.r.n + 1 AS m FROM (SELECT NAMED_ROW('n', x, 'campaign', g) AS r FROM t) q"
    assert sorted(rows(data + sql)) == [("a", 2), ("b", 3)]


@pytest.mark.covers("function", "NAMED_ROW")
def test_paths_are_collected_as_rows_and_sorted() -> None:
    data = with_rows("u, n, c", "'u', 2, 'DSP'", "'u', 1, 'SP'", "'v', 1, 'SP'")
    sql = "SELECT u, ARRAY_SORT(COLLECT(DISTINCT NAMED_ROW('order', n, 'campaign', c))) AS path FROM t GROUP BY u"
    first = {"order": 1, "campaign": "SP"}
    assert sorted(rows(data + sql)) == [("u", [first, {"order": 2, "campaign": "DSP"}]), ("v", [first])]


def test_functions_take_columns_as_they_take_literals() -> None:
    data = with_rows("a, b, e", "ARRAY[1, 2], ARRAY[2, 3], 2", f"ARRAY[5], {_NONE}, 5", "ARRAY[7], ARRAY[7], NULL")
    sql = "SELECT ARRAY_UNION(a, b) AS u, ARRAY_INTERSECT(a, b) AS i, ARRAY_CONTAINS(a, e) AS c, ARRAY_REMOVE(a, e) AS r FROM t"
    assert rows(data + sql) == [
        ([1, 2, 3], [2], True, [1]),
        (None, None, True, []),
        ([7], [7], None, [7]),
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("CARDINALITY('a')", "Array expression is not an array data type"),
        ("ARRAY_SORT('a')", "Array expression is not an array data type"),
        ("ARRAY_CONTAINS('a', 'a')", "Array expression is not an array data type"),
        ("FLATTEN(ARRAY[1])", "Array expression is not an array data type"),
        ("ARRAY_CAT(ARRAY[1], ARRAY[ARRAY[1]])", "Cannot apply 'ARRAY_CAT'"),
        ("ARRAY_CONTAINS(ARRAY[DATE '2026-01-01'], 5)", "Cannot apply 'ARRAY_CONTAINS'"),
        ("ARRAY_SORT(ARRAY[1], ARRAY[2])", "Invalid number of arguments to function 'ARRAY_SORT'. Was expecting 1"),
        ("NAMED_ROW('a')", "NAMED_ROW"),
        ("NAMED_ROW(1, 2)", "NAMED_ROW needs a quoted label before each value"),
        ("NAMED_ROW('a', 1, 'A', 2)", "NAMED_ROW has the label 'A' twice"),
        ("ARRAY_APPEND(ARRAY[1], 2)", "No match found for function signature ARRAY_APPEND"),
    ],
)
def test_wrong_calls_are_refused(expression: str, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message) as caught:
        value(expression)
    assert (caught.value.line, caught.value.column) == (1, 8)
