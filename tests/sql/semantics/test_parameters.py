"""Parameters in queries: typed values, arrays, defaults, and what is no value of a type (AMC documentation, "CUSTOM
PARAMETER" and "Create workflow")."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_amc.sql.errors import AmcSqlError
from tests.sql.evaluate import rows, value, with_rows

pytestmark = pytest.mark.covers("function", "CUSTOM_PARAMETER")

_P = "CUSTOM_PARAMETER('p')"


def _array(element: str) -> dict[str, str]:
    return {"type": "ARRAY", "elementDataType": element}


@pytest.mark.parametrize(
    ("data_type", "given", "expression", "expected"),
    [
        ("STRING", "it's", _P, "it's"),
        ("STRING", "'; DROP TABLE x; --", _P, "'; DROP TABLE x; --"),
        ("STRING", "", _P, ""),
        ("STRING", "größe", f"LENGTH({_P})", 5),
        ("STRING", "10", f"{_P} = 10", True),
        ("INTEGER", "5", f"{_P} + 1", 6),
        ("INTEGER", 5, f"{_P} * 2", 10),
        ("LONG", "923984950695711350", _P, 923984950695711350),
        ("DECIMAL", "1.5", f"{_P} * 2", Decimal(3)),
        ("DOUBLE", "1.5", _P, 1.5),
        ("BOOLEAN", "true", f"IF({_P}, 'y', 'n')", "y"),
        ("BOOLEAN", False, f"IF({_P}, 'y', 'n')", "n"),
        ("DATE", "2026-01-05", f"{_P} - INTERVAL '5' DAY", dt.date(2025, 12, 31)),
        ("DATE", "2026-01-05", f"DAYOFWEEK({_P})", 2),
        ("TIMESTAMP", "2026-01-05T10:00:00", f"HOUR({_P})", 10),
        ("STRING", "2026-01-05", f"DATE '2026-01-05' = {_P}", True),
        (_array("STRING"), ["a", "b"], f"ARRAY_CONTAINS({_P}, 'b')", True),
        (_array("STRING"), ["a", "b"], f"ARRAY_CONTAINS({_P}, 'c')", False),
        (_array("STRING"), ["it's"], f"{_P}[1]", "it's"),
        (_array("LONG"), ["1", "2"], f"ARRAY_CONTAINS({_P}, 2)", True),
        (_array("LONG"), [1, 2], f"CARDINALITY({_P})", 2),
        (_array("DATE"), ["2026-01-05"], f"ARRAY_CONTAINS({_P}, DATE '2026-01-05')", True),
        (_array("STRING"), "a,b", f"ARRAY_TO_STRING({_P}, '+')", "a+b"),
        (_array("STRING"), [], f"CARDINALITY({_P})", 0),
        # a default serves while no value is given
        ("STRING", None, _P, "the default"),
    ],
)
def test_values_have_the_declared_type(data_type: Any, given: Any, expression: str, expected: Any) -> None:
    declared = [{"name": "p", "dataType": data_type, "defaultValue": "the default"}]
    found = value(expression, parameters=declared, values={} if given is None else {"p": given})
    assert found == expected


@pytest.mark.parametrize("function", ["REGEXP_SUBSTR('a1b22', CUSTOM_PARAMETER('p'))", "SUBSTRING('22' FROM 1)"])
def test_functions_take_parameters_where_they_take_literals(function: str) -> None:
    assert value(function, parameters=[{"name": "p", "dataType": "STRING"}], values={"p": "\\d{2}"}) == "22"


def test_arrays_choose_rows() -> None:
    data = with_rows("c, n", "'A', 1", "'B', 2", "'C', 3")
    sql = "SELECT c FROM t WHERE ARRAY_CONTAINS(CUSTOM_PARAMETER('names'), c) AND n >= CUSTOM_PARAMETER('least')"
    declared: list[dict[str, Any]] = [
        {"name": "names", "dataType": _array("STRING")},
        {"name": "least", "dataType": "INTEGER"},
    ]
    assert rows(data + sql, parameters=declared, values={"names": ["A", "C"], "least": "2"}) == [("C",)]


@pytest.mark.parametrize(
    ("data_type", "given"),
    [
        ("INTEGER", "five"), ("INTEGER", "1.5"), ("LONG", ""), ("DECIMAL", "NaN"), ("DOUBLE", float("inf")), ("DATE", "today"),
        ("TIMESTAMP", "noon"), ("BOOLEAN", "yes"), ("STRING", ["a"]), (_array("LONG"), ["a"]), ("INTEGER", {"a": 1}),
    ],
)  # fmt: skip
def test_what_is_no_value_of_the_type_is_refused(data_type: Any, given: Any) -> None:
    with pytest.raises(AmcSqlError, match="The value of the parameter p is not of its data type"):
        value(_P, parameters=[{"name": "p", "dataType": data_type}], values={"p": given})


def test_names_are_case_sensitive_and_have_to_be_declared() -> None:
    with pytest.raises(AmcSqlError, match="referenced an undeclared parameter P"):
        value("CUSTOM_PARAMETER('P')", parameters=[{"name": "p", "dataType": "STRING"}], values={"p": "x"})
    with pytest.raises(AmcSqlError, match="No value was provided for the parameter p"):
        value(_P, parameters=[{"name": "p", "dataType": "STRING"}])


@pytest.mark.parametrize(
    ("data_type", "expression", "message"),
    [
        ("STRING", f"ARRAY_CONTAINS({_P}, 'a')", "Array expression is not an array data type"),
        (_array("STRING"), f"UPPER({_P})", "Cannot apply 'UPPER'"),
        ("DATE", f"{_P} = 5", "Cannot apply '='"),
    ],
)
def test_a_parameter_of_another_type_is_refused(data_type: Any, expression: str, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message):
        value(expression, parameters=[{"name": "p", "dataType": data_type}], values={"p": "2026-01-01"})
