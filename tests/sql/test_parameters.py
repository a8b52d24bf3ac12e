from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.sql.compiler import compile_query
from airflow_provider_amc.sql.errors import AmcSqlError

_database = duckdb.connect()


def evaluate(data_type: Any, given_value: object, default: object = None) -> Any:
    compiled = compile_query(
        "SELECT CUSTOM_PARAMETER('p') AS r",
        lambda schema, name: None,
        input_parameters=[{"name": "p", "dataType": data_type, "defaultValue": default}],
        parameter_values={} if given_value is None else {"p": given_value},
    )
    ((result,),) = _database.cursor().execute(compiled.sql).fetchall()
    return result


@pytest.mark.parametrize(
    ("data_type", "value", "expected"),
    [
        ("STRING", "it's; DROP TABLE x --", "it's; DROP TABLE x --"),
        ("INTEGER", "42", 42),
        ("LONG", 923984950695711350, 923984950695711350),
        ("DECIMAL", "1.25", Decimal("1.2500")),
        ("DOUBLE", 1.5, 1.5),
        ("BOOLEAN", True, True),
        ("BOOLEAN", "false", False),
        ("DATE", "2026-01-05", dt.date(2026, 1, 5)),
        ("TIMESTAMP", "2026-01-05T10:00:00Z", dt.datetime(2026, 1, 5, 10)),
        ({"type": "ARRAY", "elementDataType": "STRING"}, ["a", "it's"], ["a", "it's"]),
        ({"type": "ARRAY", "elementDataType": "LONG"}, ["1", 2], [1, 2]),
        ({"type": "ARRAY", "elementDataType": "STRING"}, [], []),
        (None, "x", "x"),
    ],
)
def test_values_get_their_declared_type(data_type: Any, value: object, expected: object) -> None:
    assert evaluate(data_type, value) == expected


def test_a_missing_value_takes_the_default() -> None:
    assert evaluate("INTEGER", None, default="7") == 7
    assert evaluate("INTEGER", 3, default="7") == 3


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30))
def test_no_text_becomes_sql(text: str) -> None:
    assert evaluate("STRING", text) == text


@pytest.mark.parametrize(
    ("data_type", "value", "message"),
    [
        ("INTEGER", "four", "The value of the parameter p is not of its data type INTEGER"),
        ("INTEGER", "1) OR (1=1", "is not of its data type INTEGER"),
        ("DATE", "yesterday", "is not of its data type DATE"),
        ("DOUBLE", float("nan"), "is not of its data type DOUBLE"),
        ("BOOLEAN", "maybe", "is not of its data type BOOLEAN"),
        ("STRING", ["a"], "is not of its data type STRING"),
        ("STRING", "a\x00b", "is not of its data type STRING"),
        ("GEOMETRY", "x", "has the unknown data type GEOMETRY"),
        ("STRING", None, "No value was provided for the parameter p"),
    ],
)
def test_wrong_values_are_refused(data_type: str, value: object, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message):
        evaluate(data_type, value)


def test_a_parameter_is_declared_once_and_with_a_name() -> None:
    with pytest.raises(AmcSqlError, match="The workflow parameter p is defined multiple times"):
        compile_query("SELECT 1 AS a", lambda s, n: None, input_parameters=[{"name": "p"}, {"name": "p"}])
    with pytest.raises(AmcSqlError, match="has no name"):
        compile_query("SELECT 1 AS a", lambda s, n: None, input_parameters=[{"dataType": "STRING"}])


def test_a_definition_is_checked_without_values() -> None:
    compiled = compile_query(
        "SELECT CUSTOM_PARAMETER('p') AS r",
        lambda schema, name: None,
        input_parameters=[{"name": "p", "dataType": "LONG"}],
        parameter_values=None,
    )
    assert compiled.fields[0].type.kind == "LONG"
