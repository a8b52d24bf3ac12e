"""Math and comparison functions: inputs and expected values follow from the AMC documentation, "AMC SQL functions"."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_amc.sql.errors import AmcSqlError
from tests.sql.evaluate import cases, rows, value, with_rows

near = pytest.approx


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        *cases(
            "ABS",
            ("ABS(-5)", 5),
            ("ABS(5)", 5),
            ("ABS(0)", 0),
            ("ABS(-1.25)", Decimal("1.25")),
            ("ABS(CAST(-1.5 AS DOUBLE))", 1.5),
            ("ABS('-3')", 3),
            ("ABS(-9223372036854775807)", 9223372036854775807),
            ("ABS(NULL)", None),
        ),
        *cases(
            "CEIL",
            ("CEIL(1.2)", 2),
            ("CEIL(-1.2)", -1),
            ("CEIL(2.0)", 2),
            ("CEIL(7)", 7),
            ("CEIL(CAST(0.1 AS DOUBLE))", 1.0),
            ("CEIL('1.5')", 2),
            ("CEIL(NULL)", None),
        ),
        *cases(
            "FLOOR",
            ("FLOOR(1.8)", 1),
            ("FLOOR(-1.2)", -2),
            ("FLOOR(7)", 7),
            ("FLOOR(CAST(-0.1 AS DOUBLE))", -1.0),
            ("FLOOR(NULL)", None),
        ),
        *cases("E", ("E()", near(math.e)), ("LN(E())", near(1))),
        *cases("EXP", ("EXP(0)", 1.0), ("EXP(1)", near(math.e)), ("EXP(-1)", near(1 / math.e)), ("EXP(NULL)", None)),
        *cases(
            "LN",
            ("LN(1)", 0.0),
            ("LN(10)", near(math.log(10))),
            ("LN(0.5)", near(math.log(0.5))),
            ("LN(0)", None),
            ("LN(-1)", None),
            ("LN(NULL)", None),
        ),
        *cases(
            "LOG",
            ("LOG(2, 8)", near(3)),
            ("LOG(10, 0.001)", near(-3)),
            ("LOG(3, 81)", near(4)),
            ("LOG(0.5, 4)", near(-2)),
            ("LOG(2, 1)", 0.0),
            ("LOG(2, 0)", None),
            ("LOG(-2, 8)", None),
            ("LOG(1, 8)", None),
            ("LOG(NULL, 8)", None),
            ("LOG(2, NULL)", None),
        ),
        *cases(
            "LOG10",
            ("LOG10(1000)", 3.0),
            ("LOG10(0.01)", near(-2)),
            ("LOG10(0)", None),
            ("LOG10(-10)", None),
            ("LOG10(NULL)", None),
        ),
        *cases(
            "POWER",
            ("POWER(2, 10)", 1024.0),
            ("POWER(2, -1)", 0.5),
            ("POWER(4, 0.5)", 2.0),
            ("POWER(-2, 3)", -8.0),
            ("POWER(0, 0)", 1.0),
            ("POWER(NULL, 2)", None),
            ("POWER(2, NULL)", None),
        ),
        *cases(
            "RANDOM",
            ("RANDOM() >= 0 AND RANDOM() < 1", True),
            ("RANDOM() = RANDOM()", False),
        ),
        *cases(
            "ROUND",
            ("ROUND(2.5)", 3),
            ("ROUND(-2.5)", -3),
            ("ROUND(2.4)", 2),
            ("ROUND(0.5)", 1),
            ("ROUND(1.005, 2)", Decimal("1.01")),
            ("ROUND(2.675, 2)", Decimal("2.68")),
            ("ROUND(-2.675, 2)", Decimal("-2.68")),
            ("ROUND(CAST(2.675 AS DOUBLE), 2)", 2.68),
            ("ROUND(CAST(-1.005 AS DOUBLE), 2)", -1.01),
            ("ROUND(1.1, 5)", Decimal("1.1")),
            ("ROUND(1234, -2)", 1200),
            ("ROUND(1250, -2)", 1300),
            ("ROUND(1234.5, -2)", 1200),
            ("ROUND(5)", 5),
            ("ROUND(5, 2)", 5),
            ("ROUND('2.5')", 3),
            ("ROUND(NULL)", None),
            ("ROUND(1.5, NULL)", None),
        ),
        *cases(
            "SQRT",
            ("SQRT(9)", 3.0),
            ("SQRT(2.25)", 1.5),
            ("SQRT(0)", 0.0),
            ("SQRT(-1)", None),
            ("SQRT(NULL)", None),
        ),
        *cases(
            "TRUNC",
            ("TRUNC(1.79, 1)", Decimal("1.7")),
            ("TRUNC(-1.79, 1)", Decimal("-1.7")),
            ("TRUNC(1.99)", 1),
            ("TRUNC(-1.99)", -1),
            ("TRUNC(CAST(1.99 AS DOUBLE))", 1.0),
            ("TRUNC(CAST(2.567 AS DOUBLE), 2)", 2.56),
            ("TRUNC(CAST(4.35 AS DOUBLE), 2)", 4.35),
            ("TRUNC(1299, -2)", 1200),
            ("TRUNC(-1299, -2)", -1200),
            ("TRUNC(7)", 7),
            ("TRUNC(NULL, 1)", None),
        ),
        *cases(
            "GREATEST",
            ("GREATEST(1, 3, 2)", 3),
            ("GREATEST(-1, -3)", -1),
            ("GREATEST(1, 2.5)", 2.5),
            ("GREATEST(5)", 5),
            ("GREATEST('10', 9)", 10),
            ("GREATEST(1, NULL, 2)", None),
            ("GREATEST(NULL)", None),
            ("GREATEST(COALESCE(NULL, 0), 2)", 2),
        ),
        *cases(
            "LEAST",
            ("LEAST(1, 3, 2)", 1),
            ("LEAST(-1, -3)", -3),
            ("LEAST(1, 0.5)", 0.5),
            ("LEAST('10', 9)", 9),
            ("LEAST(1, NULL)", None),
        ),
        *cases(
            "arithmetic",
            ("7 / 2", 3.5),
            ("18000000 / 100000000", 0.18),
            ("-7 / 2", -3.5),
            ("1 / 0", None),
            ("1.5 / 0", None),
            ("7 % 3", 1),
            ("7 % 0", None),
            ("MOD(-7, 3)", -1),
            ("1.5 / 2", Decimal("0.75")),
            ("1000 * 60 * 60 * 24 * 30", 2592000000),
            ("100000 * 1e5", 1e10),
            ("0.1 + 0.2", Decimal("0.3")),
            ("0.1 * 0.2", Decimal("0.02")),
            ("-5 + 2", -3),
            ("- -5", 5),
            ("2 + 3 * 4", 14),
            ("(2 + 3) * 4", 20),
            ("1 + NULL", None),
            ("'5' + 1", 6),
            ("'x' + 1", None),
            kind="rule",
        ),
    ],
)  # fmt: skip
def test_math_functions(expression: str, expected: Any) -> None:
    assert value(expression) == expected


def test_functions_take_columns_as_they_take_literals() -> None:
    data = with_rows("n, d", "-1.555, 2", "NULL, 1", "4, NULL", "2.5, 0")
    sql = "SELECT ROUND(n, d) AS a, TRUNC(n, d) AS b, GREATEST(n, d) AS c, LEAST(n, d) AS e, SQRT(n) AS f FROM t"
    found = [tuple(None if cell is None else float(cell) for cell in row) for row in rows(data + sql)]
    assert found == [
        (-1.56, -1.55, 2, near(-1.555), None),
        (None, None, None, None, None),
        (None, None, None, None, 2.0),
        (3.0, 2.0, 2.5, 0, near(2.5**0.5)),
    ]


def test_each_row_has_its_random_number() -> None:
    data = with_rows("x", *map(str, range(100)))
    assert rows(data + "SELECT COUNT(DISTINCT r) AS n FROM (SELECT RANDOM() AS r FROM t)")[0][0] > 90
    assert rows(data + "SELECT COUNT(DISTINCT r) AS n FROM (SELECT UUID() AS r FROM t)") == [(100,)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ABS(DATE '2026-01-01')", r"Cannot apply 'ABS' to arguments of type 'ABS\(<DATE>\)'. Supported form\(s\): 'ABS\(<NUMERIC>\)'"),
        ("ABS(TRUE)", "Cannot apply 'ABS'"),
        ("POWER(2)", "Invalid number of arguments to function 'POWER'. Was expecting 2 arguments"),
        ("LOG(8)", "Invalid number of arguments to function 'LOG'. Was expecting 2 arguments"),
        ("ROUND(1, 2, 3)", "Invalid number of arguments to function 'ROUND'"),
        ("GREATEST('a', 'b')", r"Cannot apply 'GREATEST' to arguments of type 'GREATEST\(<STRING>, <STRING>\)'"),
        ("LEAST(1, DATE '2026-01-01')", "Cannot apply 'LEAST'"),
        ("GREATEST()", "Invalid number of arguments to function 'GREATEST'"),
    ],
)  # fmt: skip
def test_arguments_of_another_kind_are_refused(expression: str, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message) as caught:
        value(expression)
    assert (caught.value.line, caught.value.column) == (1, 8)
