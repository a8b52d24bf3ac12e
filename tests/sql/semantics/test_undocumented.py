"""Functions that AMC's list does not name but Calcite has and public AMC queries use: they mean what Calcite says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sql.evaluate import cases, rows, value, with_rows

_NOTE = "not in AMC's list of functions; Calcite has it"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        *cases("CHAR_LENGTH", ("CHAR_LENGTH('größe')", 5), ("CHAR_LENGTH(NULL)", None), note=_NOTE),
        *cases("CHARACTER_LENGTH", ("CHARACTER_LENGTH('')", 0), note=_NOTE),
        *cases("CEILING", ("CEILING(1.2)", 2), ("CEILING(-1.2)", -1), note=_NOTE),
        *cases("POW", ("POW(2, 3)", 8.0), ("POW(NULL, 3)", None), note=_NOTE),
        *cases("RAND", ("RAND() >= 0 AND RAND() < 1", True), note=_NOTE),
        *cases("MOD", ("MOD(7, 3)", 1), ("MOD(-7, 3)", -1), ("MOD(7, 0)", None), ("MOD(7.5, 2)", Decimal("1.5")), note=_NOTE),
        *cases("TRUNCATE", ("TRUNCATE(1.99, 1)", Decimal("1.9")), ("TRUNCATE(-1.99)", -1), note=_NOTE),
        *cases("QUARTER", ("QUARTER(DATE '2026-03-31')", 1), ("QUARTER(DATE '2026-04-01')", 2), ("QUARTER(NULL)", None), note=_NOTE),
        *cases("DAYOFYEAR", ("DAYOFYEAR(DATE '2024-12-31')", 366), ("DAYOFYEAR('2026-01-01')", 1), note=_NOTE),
        *cases("ARRAY", ("ARRAY(1, 2)", [1, 2]), ("ARRAY['a', NULL]", ["a", None]), ("ARRAY('a', 1)", ["a", "1"]), note=_NOTE),
    ],
)  # fmt: skip
def test_functions_of_calcite(expression: str, expected: Any) -> None:
    assert value(expression) == expected


_DATA = with_rows("x", "1", "2", "2", "4")


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        *cases("LAG", ("LAG(x) OVER (ORDER BY x)", [None, 1, 2, 2]), ("LAG(x, 2, 0) OVER (ORDER BY x)", [0, 0, 1, 2]), note=_NOTE),
        *cases("LEAD", ("LEAD(x) OVER (ORDER BY x)", [2, 2, 4, None]), note=_NOTE),
        *cases("FIRST_VALUE", ("FIRST_VALUE(x) OVER (ORDER BY x)", [1, 1, 1, 1]), note=_NOTE),
        *cases("LAST_VALUE", ("LAST_VALUE(x) OVER (ORDER BY x)", [1, 2, 2, 4]), note=_NOTE),
        *cases("NTILE", ("NTILE(2) OVER (ORDER BY x)", [1, 1, 2, 2]), note=_NOTE),
        *cases("PERCENT_RANK", ("PERCENT_RANK() OVER (ORDER BY x)", [0, pytest.approx(1 / 3), pytest.approx(1 / 3), 1]), note=_NOTE),
        *cases("CUME_DIST", ("CUME_DIST() OVER (ORDER BY x)", [0.25, 0.75, 0.75, 1]), note=_NOTE),
        *cases("OVER", ("COUNT(*) OVER (PARTITION BY x)", [1, 2, 2, 1]), ("MAX(x) OVER ()", [4, 4, 4, 4])),
    ],
)  # fmt: skip
def test_window_functions(aggregate: str, expected: list[Any]) -> None:
    found = rows(f"{_DATA}SELECT x, ROW_NUMBER() OVER (ORDER BY x) AS n, {aggregate} AS r FROM t")
    assert [row[2] for row in sorted(found)] == expected
