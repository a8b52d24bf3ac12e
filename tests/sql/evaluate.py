"""Runs AMC SQL without tables of its own, for tests of what functions and operators mean."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pytest

from airflow_provider_amc.sql.compiler import compile_query
from airflow_provider_amc.sql.macros import add_python_functions, create_statements
from airflow_provider_amc.sql.sources import TableSource

NOW = dt.datetime(2026, 3, 5, 10, 30, 15)
WINDOW = (dt.datetime(2026, 1, 1), dt.datetime(2026, 2, 1))

_connection = duckdb.connect()
_connection.execute("SET TimeZone = 'UTC'")
for _statement in create_statements():
    _connection.execute(_statement)
add_python_functions(_connection)


def no_tables(schema: str | None, name: str) -> TableSource | None:
    return None


def rows(
    sql: str, *, parameters: Sequence[Mapping[str, Any]] = (), values: Mapping[str, Any] | None = None
) -> list[Any]:
    """The rows of a query, as tuples."""
    compiled = compile_query(sql, no_tables, input_parameters=parameters, parameter_values=values or {})
    cursor = _connection.cursor()
    names = cursor.extract_statements(compiled.sql)[0].named_parameters
    known = {"now": NOW, "window_start": WINDOW[0], "window_end": WINDOW[1]}
    return cursor.execute(compiled.sql, {name: known[name] for name in names}).fetchall()


def value(expression: str, **kwargs: Any) -> Any:
    """The value of one expression."""
    ((result,),) = rows(f"SELECT {expression} AS r", **kwargs)
    return result


def cases(
    names: str, *pairs: tuple[Any, ...], kind: str = "function", status: str = "supported", note: str = ""
) -> Iterator[Any]:
    """Parameters of a test, each marked with what of AMC it shows.

    :param names: what the pairs show, several separated by ``|``.
    :param pairs: inputs and the expected values.
    """
    marks = [pytest.mark.covers(kind, name, status=status, note=note) for name in names.split("|")]
    for number, pair in enumerate(pairs, 1):
        yield pytest.param(*pair, id=f"{names}-{number}", marks=marks)


def with_rows(columns: str, *tuples: str) -> str:
    """A WITH clause of one query ``t`` with these columns and rows."""
    return f"WITH t({columns}) AS (VALUES {', '.join(f'({row})' for row in tuples)}) "
