"""Math and comparison functions (AMC documentation, "AMC SQL functions")."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_amc.sql.coerce import Value, comparable
from airflow_provider_amc.sql.signatures import FunctionArgumentError, define, read, template
from airflow_provider_amc.sql.types import DECIMAL, DOUBLE, LONG, common_type

template("E", "", "exp(1.0::DOUBLE)", DOUBLE)
template("EXP", "n", "exp(CAST({0} AS DOUBLE))", DOUBLE)
template("LN", "n", "amc_ln(CAST({0} AS DOUBLE))", DOUBLE)
template("LOG10", "n", "amc_log10(CAST({0} AS DOUBLE))", DOUBLE)
template("LOG", "nn", "amc_log(CAST({0} AS DOUBLE), CAST({1} AS DOUBLE))", DOUBLE)
template("POWER POW", "nn", "pow(CAST({0} AS DOUBLE), CAST({1} AS DOUBLE))", DOUBLE)
template("RANDOM RAND", "", "random()", DOUBLE)
template("SQRT", "n", "amc_sqrt(CAST({0} AS DOUBLE))", DOUBLE)


@define("ABS", 1, 1)
def _abs(arguments: Sequence[Value]) -> Value:
    (value,) = read("ABS", "n", arguments)
    return value.of(f"abs({value.sql})", value.type)


def _to_whole(name: str, function: str) -> None:
    @define(name, 1, 1)
    def write(arguments: Sequence[Value]) -> Value:
        (value,) = read(name, "n", arguments)
        if value.type.is_integer:
            return value
        return value.of(f"{function}({value.sql})", DECIMAL if value.type.kind == "DECIMAL" else DOUBLE)


_to_whole("CEIL", "ceil")
_to_whole("CEILING", "ceil")
_to_whole("FLOOR", "floor")


def _to_digits(name: str, function: str) -> None:
    @define(name, 1, 2)
    def write(arguments: Sequence[Value]) -> Value:
        value, *given = read(name, "ni", arguments)
        if value.type.is_integer and len(arguments) == 1:
            return value
        text = arguments[1].text if len(arguments) == 2 else "0"
        if value.type.kind == "DECIMAL" and text is not None and text.isdigit():
            places = min(int(text), 17)
            if function == "round":
                return value.of(f"round({value.sql}, {places})", DECIMAL)
            step = f"CAST({10**-places:.{places}f} AS DECIMAL(38,{places}))"
            return value.of(f"CAST({value.sql} - {value.sql} % {step} AS DECIMAL(38,{places}))", DECIMAL)
        digits = given[0].sql if given else "0"
        result = f"amc_{function}(CAST({value.sql} AS DOUBLE), CAST({digits} AS INTEGER))"
        if value.type.is_integer:
            return value.of(f"CAST({result} AS BIGINT)", LONG)
        return value.of(result, DOUBLE)


_to_digits("ROUND", "round")
_to_digits("TRUNC", "trunc")
_to_digits("TRUNCATE", "trunc")


def _extreme(name: str, function: str) -> None:
    @define(name, 1, None)
    def write(arguments: Sequence[Value]) -> Value:
        # "All expressions must evaluate to numerical data types"; dates compare as well, as in Calcite
        values = comparable(arguments)
        together = common_type(value.type for value in values)
        if together is None or not (together.is_number or together.is_moment or together.is_open):
            given = ", ".join(f"<{value.type}>" for value in arguments)
            raise FunctionArgumentError(
                f"Cannot apply '{name}' to arguments of type '{name}({given})'. Supported form(s): '{name}(<NUMERIC>, ...)'"
            )
        # "Result will be null if any input columns value is null"; DuckDB's functions skip NULLs
        some_null = " OR ".join(f"{value.sql} IS NULL" for value in values)
        result = f"{function}({', '.join(value.sql for value in values)})"
        return Value(f"CASE WHEN {some_null} THEN NULL ELSE {result} END", together, any(v.metric for v in values))


_extreme("GREATEST", "greatest")
_extreme("LEAST", "least")


@define("MOD", 2, 2)
def _mod(arguments: Sequence[Value]) -> Value:
    left, right = read("MOD", "nn", arguments)
    together = common_type((left.type, right.type)) or DOUBLE
    return Value(f"({left.sql} % nullif({right.sql}, 0))", together, left.metric or right.metric)
