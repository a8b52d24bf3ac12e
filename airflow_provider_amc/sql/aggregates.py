"""The aggregate and window functions of AMC SQL, written in DuckDB (AMC documentation, "AMC SQL functions")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from airflow_provider_amc.sql.coerce import Value, to_number, to_string
from airflow_provider_amc.sql.functions import FunctionArgumentError
from airflow_provider_amc.sql.types import ANY, DOUBLE, LONG, array_of

#: Gets the arguments and whether DISTINCT was written, and a text to append inside the call's window or filter.
AggregateWriter = Callable[[Sequence[Value], bool, str], Value]


def _numbers(arguments: Sequence[Value], count: int, name: str) -> list[Value]:
    if len(arguments) != count:
        raise FunctionArgumentError(
            f"Invalid number of arguments to function '{name}'. Was expecting {count} arguments"
        )
    if not (arguments[0].type.is_number or arguments[0].type.is_open):
        raise FunctionArgumentError(f"Cannot apply '{name}' to arguments of type '{name}(<{arguments[0].type}>)'")
    values = [to_number(value) for value in arguments]
    return values


def _sum(arguments: Sequence[Value], distinct: bool, over: str) -> Value:
    (value,) = _numbers(arguments, 1, "SUM")
    call = f"sum({'DISTINCT ' if distinct else ''}{value.sql}){over}"
    if value.type.is_integer or value.type.is_open:
        return value.of(f"CAST({call} AS BIGINT)", LONG)
    if value.type.kind == "DECIMAL":
        return value.of(call, replace(value.type, precision=38 if value.type.precision else None))
    return value.of(call, DOUBLE)


def _average(arguments: Sequence[Value], distinct: bool, over: str) -> Value:
    (value,) = _numbers(arguments, 1, "AVG")
    return value.of(f"avg({'DISTINCT ' if distinct else ''}{value.sql}){over}", DOUBLE)


def _count(arguments: Sequence[Value], distinct: bool, over: str) -> Value:
    # The recorded responses show COUNT(DISTINCT ...) as a DIMENSION: unlike a plain count it cannot be added up.
    if not arguments:
        return Value(f"count(*){over}", LONG, not distinct)
    if len(arguments) == 1:
        return Value(f"count({'DISTINCT ' if distinct else ''}{arguments[0].sql}){over}", LONG, not distinct)
    known = " AND ".join(f"{value.sql} IS NOT NULL" for value in arguments)
    row = f"CASE WHEN {known} THEN row({', '.join(value.sql for value in arguments)}) END"
    return Value(f"count({'DISTINCT ' if distinct else ''}{row}){over}", LONG, not distinct)


def _extreme(name: str) -> AggregateWriter:
    def write(arguments: Sequence[Value], distinct: bool, over: str) -> Value:
        if len(arguments) != 1:
            raise FunctionArgumentError(f"Invalid number of arguments to function '{name}'. Was expecting 1 arguments")
        return arguments[0].of(f"{name.lower()}({arguments[0].sql}){over}", arguments[0].type)

    return write


def _collect(arguments: Sequence[Value], distinct: bool, over: str) -> Value:
    if len(arguments) != 1:
        raise FunctionArgumentError("Invalid number of arguments to function 'COLLECT'. Was expecting 1 arguments")
    (value,) = arguments
    call = f"list({'DISTINCT ' if distinct else ''}{value.sql}){over}"
    return Value(f"coalesce({call}, [])", array_of(value.type if value.type.kind != "NULL" else ANY))


def _statistic(name: str, function: str) -> AggregateWriter:
    def write(arguments: Sequence[Value], distinct: bool, over: str) -> Value:
        (value,) = _numbers(arguments, 1, name)
        return value.of(f"{function}({'DISTINCT ' if distinct else ''}CAST({value.sql} AS DOUBLE)){over}", DOUBLE)

    return write


def _percentile(name: str, function: str) -> AggregateWriter:
    def write(arguments: Sequence[Value], distinct: bool, over: str) -> Value:
        value, share = _numbers(arguments, 2, name)
        if share.text is None or not 0 <= float(share.text) <= 1:
            raise FunctionArgumentError(f"{name} needs a number between 0 and 1 as its second argument")
        # An approximation that is exact is the same on every machine
        return value.of(f"{function}(CAST({value.sql} AS DOUBLE), {float(share.text)!r}){over}", DOUBLE)

    return write


AGGREGATES: dict[str, AggregateWriter] = {
    "SUM": _sum,
    "AVG": _average,
    "COUNT": _count,
    "MIN": _extreme("MIN"),
    "MAX": _extreme("MAX"),
    "COLLECT": _collect,
    "STDDEV_POP": _statistic("STDDEV_POP", "stddev_pop"),
    "STDDEV_SAMP": _statistic("STDDEV_SAMP", "stddev_samp"),
    "STDDEV": _statistic("STDDEV", "stddev_samp"),
    "VAR_POP": _statistic("VAR_POP", "var_pop"),
    "VAR_SAMP": _statistic("VAR_SAMP", "var_samp"),
    "VARIANCE": _statistic("VARIANCE", "var_samp"),
    "SKEWNESS": _statistic("SKEWNESS", "skewness"),
    "MEDIAN": _statistic("MEDIAN", "median"),
    "PERCENTILE": _percentile("PERCENTILE", "quantile_cont"),
    "APPROX_PERCENTILE": _percentile("APPROX_PERCENTILE", "quantile_disc"),
}


def _ranking(arguments: Sequence[Value], distinct: bool, over: str, name: str) -> Value:
    if arguments:
        raise FunctionArgumentError(f"Invalid number of arguments to function '{name}'. Was expecting 0 arguments")
    return Value(f"{name.lower()}(){over}", LONG)


def _neighbour(arguments: Sequence[Value], distinct: bool, over: str, name: str) -> Value:
    if not 1 <= len(arguments) <= 3:
        raise FunctionArgumentError(f"Invalid number of arguments to function '{name}'")
    first, *others = arguments
    if len(others) == 2 and first.type.kind == "STRING":
        others[1] = to_string(others[1])
    return first.of(f"{name.lower()}({', '.join(value.sql for value in (first, *others))}){over}", first.type)


def _bucket(arguments: Sequence[Value], distinct: bool, over: str, name: str) -> Value:
    (value,) = _numbers(arguments, 1, name)
    return Value(f"ntile({value.sql}){over}", LONG)


WindowWriter = Callable[[Sequence[Value], bool, str, str], Value]

#: Functions that need OVER. LEAD, LAG, FIRST_VALUE, LAST_VALUE and NTILE are not in AMC's list but in public queries.
WINDOW_FUNCTIONS: dict[str, WindowWriter] = {
    "RANK": _ranking,
    "DENSE_RANK": _ranking,
    "ROW_NUMBER": _ranking,
    "PERCENT_RANK": lambda a, d, o, n: replace(_ranking(a, d, o, n), type=DOUBLE),
    "CUME_DIST": lambda a, d, o, n: replace(_ranking(a, d, o, n), type=DOUBLE),
    "LEAD": _neighbour,
    "LAG": _neighbour,
    "FIRST_VALUE": _neighbour,
    "LAST_VALUE": _neighbour,
    "NTILE": _bucket,
}
