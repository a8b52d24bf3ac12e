"""Conditional functions, operators and casts: expected values follow from the AMC documentation, "AMC SQL functions",
"Supported expressions" and "Overview", and from Calcite's implicit type coercion."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_amc.sql.errors import AmcSqlError
from tests.sql.evaluate import cases, rows, value, with_rows

T = dt.datetime
D = dt.date


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        *cases(
            "CASE",
            ("CASE WHEN 1 > 2 THEN 'a' WHEN NULL THEN 'b' ELSE 'c' END", "c"),
            ("CASE WHEN 1 > 2 THEN 'a' END", None),
            ("CASE WHEN 1 = 1 THEN 'first' WHEN 2 = 2 THEN 'second' END", "first"),
            ("CASE 'x' WHEN 'x' THEN 1 ELSE 0 END", 1),
            ("CASE NULL WHEN NULL THEN 1 ELSE 0 END", 0),
            ("CASE 10 WHEN '10' THEN 1 ELSE 0 END", 1),
            ("CASE WHEN 1 = 1 THEN 1 ELSE 'none' END", "1"),
            ("CASE WHEN 1 = 1 THEN 1 ELSE 2.5 END", 1),
            ("CASE WHEN 1 = 2 THEN NULL ELSE DATE '2026-01-01' END", D(2026, 1, 1)),
            ("CASE WHEN 1 = 1 THEN CASE WHEN 1 = 2 THEN 'x' ELSE 'inner' END END", "inner"),
        ),
        *cases(
            "COALESCE",
            ("COALESCE(NULL, NULL, 3)", 3),
            ("COALESCE(NULL, 'a', 'b')", "a"),
            ("COALESCE('', 'b')", ""),
            ("COALESCE(1, 'none')", "1"),
            ("COALESCE(NULL, NULL)", None),
            ("COALESCE(7)", 7),
            ("COALESCE(NULL, DATE '2026-01-01')", D(2026, 1, 1)),
        ),
        *cases("IFNULL", ("IFNULL(NULL, 2)", 2), ("IFNULL(1, 2)", 1), ("IFNULL(NULL, NULL)", None), ("IFNULL('', 'x')", "")),
        *cases("NVL", ("NVL(NULL, 'x')", "x"), ("NVL('y', 'x')", "y"), ("NVL(0, 1)", 0)),
        *cases("NVL2", ("NVL2(1, 'set', 'unset')", "set"), ("NVL2(NULL, 'set', 'unset')", "unset"), ("NVL2('', 1, 2)", 1), ("NVL2(1, NULL, 'x')", None)),
        *cases(
            "IF",
            ("IF(1 > 2, 'a', 'b')", "b"),
            ("IF(1 < 2, 'a', 'b')", "a"),
            ("IF(NULL, 'a', 'b')", "b"),
            ("IF(NULL = 1, 'a', 'b')", "b"),
            ("IF(TRUE, NULL, 'b')", None),
            ("IF(TRUE, 1, 'b')", "1"),
            ("IF(NOT TRUE, 1, 2)", 2),
        ),
        *cases(
            "NULLIF",
            ("NULLIF(3, 3)", None),
            ("NULLIF(3, 4)", 3),
            ("NULLIF('a', 'a')", None),
            ("NULLIF('a', 'A')", "a"),
            ("NULLIF(3, '3')", None),
            ("NULLIF(NULL, 3)", None),
            ("NULLIF(3, NULL)", 3),
            ("NULLIF('', '')", None),
        ),
        *cases(
            "CONTAINED_IN",
            ("CONTAINED_IN('b', 'a', 'b')", True),
            ("CONTAINED_IN('z', 'a', 'b')", False),
            ("CONTAINED_IN('z', 'a', NULL)", False),
            ("CONTAINED_IN('a', 'a', NULL)", True),
            ("CONTAINED_IN(NULL, 'a')", False),
            ("CONTAINED_IN(2, 1, 2, 3)", True),
            ("CONTAINED_IN(2, '2')", True),
            ("CONTAINED_IN('A', 'a')", False),
        ),
        *cases(
            "IN",
            ("2 IN (1, 2)", True),
            ("3 IN (1, 2)", False),
            ("3 NOT IN (1, 2)", True),
            ("'a' IN ('a')", True),
            ("2 IN ('1', '2')", True),
            ("DATE '2026-01-02' IN ('2026-01-02')", True),
            ("NULL IN (1)", None),
            ("1 IN (2, NULL)", None),
            ("1 NOT IN (2, NULL)", None),
            ("1 IN (1, NULL)", True),
        ),
        *cases("NOT IN", ("3 NOT IN (1, 2)", True), ("1 NOT IN (1, 2)", False), ("NULL NOT IN (1)", None), ("'b' NOT IN ('a')", True)),
        *cases(
            "logical operators",
            ("TRUE AND FALSE", False),
            ("TRUE AND NULL", None),
            ("FALSE AND NULL", False),
            ("TRUE OR NULL", True),
            ("FALSE OR NULL", None),
            ("NOT NULL", None),
            ("NOT FALSE", True),
            ("NULL IS NULL", True),
            ("'' IS NULL", False),
            ("1 IS NOT NULL", True),
            ("(1 = 2) IS NOT TRUE", True),
            ("(NULL = 2) IS FALSE", False),
            ("1 = 1 AND 2 = 2 OR 1 = 2", True),
            kind="rule",
        ),
        *cases(
            "comparisons",
            ("1 = 1", True),
            ("1 != 2", True),
            ("1 <> 1", False),
            ("2 >= 2", True),
            ("-1 < 0", True),
            ("'a' < 'b'", True),
            ("'a' = 'A'", False),
            ("'a' = 'a '", False),
            ("NULL = NULL", None),
            ("1 <> NULL", None),
            ("5 BETWEEN 1 AND 5", True),
            ("5 NOT BETWEEN 1 AND 4", True),
            ("'b' BETWEEN 'a' AND 'c'", True),
            ("NULL BETWEEN 1 AND 2", None),
            ("1 IS DISTINCT FROM NULL", True),
            ("NULL IS NOT DISTINCT FROM NULL", True),
            kind="rule",
        ),
        *cases(
            "implicit casts",
            ("'10' > 9", True),
            ("10 = '10.0'", True),
            ("10 = '10.5'", False),
            ("923984950695711350 = '923984950695711350'", True),
            ("923984950695711350 = '923984950695711351'", False),
            ("'abc' = 5", None),
            ("1.5 = '1.50'", True),
            ("DATE '2026-01-02' > '2026-01-01'", True),
            ("'2026-01-01' < DATE '2026-01-02'", True),
            ("DATE '2026-01-02' BETWEEN '2026-01-01' AND '2026-01-03'", True),
            ("TIMESTAMP '2026-01-02 10:00:00' >= '2026-01-02'", True),
            ("TIMESTAMP '2026-01-02 10:00:00' > DATE '2026-01-02'", True),
            ("DATE '2026-01-02' = '2026-01-02 00:00:00'", True),
            ("DATE '2026-01-02' = 'no date'", None),
            ("TRUE = 'true'", True),
            ("1 = 1.0", True),
            ("(5 > 4) = 1", True),
            ("0 <> (5 > 4)", True),
            kind="rule",
        ),
        *cases(
            "CAST",
            ("CAST('12' AS INTEGER)", 12),
            ("CAST(' 12 ' AS INTEGER)", 12),
            ("CAST('-12' AS BIGINT)", -12),
            ("CAST('923984950695711350' AS BIGINT)", 923984950695711350),
            ("CAST('1.9' AS INTEGER)", 1),
            ("CAST(1.9 AS INTEGER)", 1),
            ("CAST(-1.9 AS BIGINT)", -1),
            ("CAST(CAST(2.5 AS DOUBLE) AS INTEGER)", 2),
            ("CAST('abc' AS INTEGER)", None),
            ("CAST('' AS INTEGER)", None),
            ("CAST(127 AS TINYINT)", 127),
            ("CAST('300' AS TINYINT)", None),
            ("CAST(-32768 AS SMALLINT)", -32768),
            ("CAST(5 AS VARCHAR)", "5"),
            ("CAST(5 AS CHAR)", "5"),
            ("CAST(-1.50 AS VARCHAR)", "-1.50"),
            ("CAST(TRUE AS VARCHAR)", "true"),
            ("CAST('abcdef' AS VARCHAR(3))", "abc"),
            ("CAST('ab' AS VARCHAR(3))", "ab"),
            ("CAST('2026-01-05' AS DATE)", D(2026, 1, 5)),
            ("CAST('2026-01-05 10:00:00' AS DATE)", D(2026, 1, 5)),
            ("CAST('no date' AS DATE)", None),
            ("CAST('2026-02-30' AS DATE)", None),
            ("CAST('2026-01-05T10:00:00' AS TIMESTAMP)", T(2026, 1, 5, 10)),
            ("CAST('2026-01-05' AS TIMESTAMP)", T(2026, 1, 5)),
            ("CAST(DATE '2026-01-05' AS TIMESTAMP)", T(2026, 1, 5)),
            ("CAST(TIMESTAMP '2026-01-05 10:00:00' AS DATE)", D(2026, 1, 5)),
            ("CAST(DATE '2026-01-05' AS VARCHAR)", "2026-01-05"),
            ("CAST(TIMESTAMP '2026-01-05 10:00:00' AS VARCHAR)", "2026-01-05 10:00:00"),
            ("CAST(1 AS DECIMAL(10,2))", Decimal("1.00")),
            ("CAST('1.005' AS DECIMAL(10,2))", Decimal("1.01")),
            ("CAST('1.5' AS DOUBLE)", 1.5),
            ("CAST('1e3' AS DOUBLE)", 1000.0),
            ("CAST(1 AS FLOAT)", 1.0),
            ("CAST(1 AS REAL)", 1.0),
            ("CAST('true' AS BOOLEAN)", True),
            ("CAST('FALSE' AS BOOLEAN)", False),
            ("CAST('maybe' AS BOOLEAN)", None),
            ("CAST('hi' AS BINARY)", b"hi"),
            ("CAST(NULL AS BIGINT)", None),
            ("CAST(ARRAY['1', '2'] AS ARRAY<BIGINT>)", [1, 2]),
        ),
    ],
)  # fmt: skip
def test_conditions_and_casts(expression: str, expected: Any) -> None:
    found = value(expression)
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)


def test_columns_are_cast_as_literals_are() -> None:
    data = with_rows("n, s", "10, '10'", "10, '10.5'", "9, 'x'", "NULL, '1'")
    assert rows(data + "SELECT n = s AS a, n IN (s, '9') AS b, COALESCE(n, s) AS c, NULLIF(n, s) AS d FROM t") == [
        (True, True, "10", None),
        (False, False, "10", 10),
        (None, True, "9", 9),
        (None, None, "1", None),
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("CASE WHEN 1 THEN 2 END", "Condition must be of type BOOLEAN, not INTEGER"),
        ("CASE WHEN 1 = 1 THEN 1 ELSE ARRAY[1] END", "Illegal mixing of types in CASE"),
        ("IF('x', 1, 2)", "Condition must be of type BOOLEAN, not STRING"),
        ("IF(1 = 1, 1)", "Invalid number of arguments to function 'IF'. Was expecting 3 arguments"),
        ("COALESCE(1, ARRAY[1])", "Illegal mixing of types in COALESCE"),
        ("IFNULL(1)", "Invalid number of arguments to function 'IFNULL'"),
        ("NVL2(1, 2)", "Invalid number of arguments to function 'NVL2'. Was expecting 3 arguments"),
        ("NULLIF(DATE '2026-01-01', 5)", "Cannot apply 'NULLIF'"),
        ("CONTAINED_IN('a')", "Invalid number of arguments to function 'CONTAINED_IN'"),
        ("DATE '2026-01-01' IN (5)", "Cannot apply 'IN' to arguments of type '<DATE> IN <INTEGER>'"),
        ("DATE '2026-01-01' BETWEEN 1 AND 2", "Cannot apply 'BETWEEN'"),
        ("DATE '2026-01-01' = 5", "Cannot apply '=' to arguments of type '<DATE> = <INTEGER>'"),
        ("ARRAY[1] = 1", "Cannot apply '='"),
        ("(5 > 4) > 0", "Cannot apply '>'"),
        ("'true' IS TRUE", "Cannot apply 'IS TRUE' to arguments of type '<STRING> IS TRUE'"),
        ("'a' AND TRUE", "Condition must be of type BOOLEAN, not STRING"),
        ("NOT 5", "Condition must be of type BOOLEAN, not INTEGER"),
        ("CAST(1 AS GEOMETRY)", "Unknown datatype name 'GEOMETRY'"),
        ("CAST(DATE '2026-01-01' AS BIGINT)", "Cast function cannot convert value of type DATE to type LONG"),
        ("CAST(ARRAY[1] AS BIGINT)", "Cast function cannot convert value of type ARRAY<INTEGER> to type LONG"),
        ("CAST(TRUE AS DATE)", "Cast function cannot convert value of type BOOLEAN to type DATE"),
        ("CAST(1 AS DECIMAL(50, 2))", "DECIMAL precision 50 must be between 1 and 38"),
        ("99999999999999999999", "out of range"),
        ("-DATE '2026-01-01'", "Cannot apply '-' to arguments of type '-<DATE>'"),
    ],
)  # fmt: skip
def test_wrong_types_are_refused(expression: str, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message) as caught:
        value(expression)
    assert caught.value.line == 1
    assert caught.value.column is not None
    assert caught.value.column >= 8
