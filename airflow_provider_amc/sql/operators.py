"""Arithmetic and comparison in AMC SQL, written in DuckDB."""

from __future__ import annotations

from sqlglot import exp

from airflow_provider_amc.sql.coerce import Value, to_moment, to_number
from airflow_provider_amc.sql.signatures import FunctionArgumentError, check_comparable
from airflow_provider_amc.sql.types import (
    ANY,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    LONG,
    TIMESTAMP,
    SqlType,
    common_type,
    to_duckdb,
)

ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}


def compare(kind: type[exp.Expr], left: Value, right: Value) -> Value:
    """A comparison, with the casts that make its sides comparable.

    :raises FunctionArgumentError: the sides cannot be compared.
    """
    sides = [left, right]
    flag = "BOOLEAN" in (left.type.kind, right.type.kind)
    if flag and kind in (exp.EQ, exp.NEQ) and (left.type.is_number or right.type.is_number):
        sides = [to_number(left), to_number(right)]  # flag = 1, as AMC's own queries write
    first, second = check_comparable(COMPARISONS[kind], sides)
    return Value(f"({first.sql} {COMPARISONS[kind]} {second.sql})", BOOLEAN)


def _with_moments(sign: str, left: Value, right: Value) -> Value | None:
    """Dates and timestamps plus or minus intervals; ``None`` when no date or interval takes part."""
    kinds = (left.type.kind, right.type.kind)
    if "INTERVAL" in kinds:
        if kinds == ("INTERVAL", "INTERVAL") or sign not in ("+", "-") or (sign == "-" and kinds[0] == "INTERVAL"):
            raise FunctionArgumentError(
                f"Cannot apply '{sign}' to arguments of type '<{kinds[0]}> {sign} <{kinds[1]}>'"
            )
        moment, interval = (right, left) if kinds[0] == "INTERVAL" else (left, right)
        moment = to_moment(moment)
        if moment.type.is_number:
            raise FunctionArgumentError(
                f"Cannot apply '{sign}' to arguments of type '<{kinds[0]}> {sign} <{kinds[1]}>'"
            )
        result = f"({moment.sql} {sign} {interval.sql})"
        if moment.type.kind == "DATE" and interval.text not in ("HOUR", "MINUTE", "SECOND"):
            return Value(f"CAST({result} AS DATE)", DATE)
        return Value(result, TIMESTAMP)
    if left.type.is_moment and right.type.is_moment and sign == "-":
        # Days between, as in Spark; Calcite would want the unit of an interval
        return Value(f"date_diff('day', CAST({right.sql} AS DATE), CAST({left.sql} AS DATE))", INTEGER)
    if left.type.kind == "DATE" and right.type.is_integer and sign in ("+", "-"):
        return Value(f"({left.sql} {sign} CAST({right.sql} AS INTEGER))", DATE)
    if left.type.is_moment and right.type.kind == "NULL" and sign in ("+", "-"):
        return left.of(f"CAST(NULL AS {to_duckdb(left.type)})", left.type)
    if left.type.is_moment or right.type.is_moment:
        raise FunctionArgumentError(f"Cannot apply '{sign}' to arguments of type '<{left.type}> {sign} <{right.type}>'")
    return None


def calculate(kind: type[exp.Expr], left: Value, right: Value) -> Value:
    """An arithmetic expression.

    A division keeps its fraction also between whole numbers: the samples in AMC's function guide divide microcents by
    100000000 and show cents. Division by zero gives NULL.

    :raises FunctionArgumentError: the sides cannot be calculated with.
    """
    sign = ARITHMETIC[kind]
    moments = _with_moments(sign, left, right)
    if moments is not None:
        return moments
    first, second = to_number(left), to_number(right)
    for side in (first, second):
        if not (side.type.is_number or side.type.is_open):
            raise FunctionArgumentError(
                f"Cannot apply '{sign}' to arguments of type '<{left.type}> {sign} <{right.type}>'"
            )
    metric = left.metric or right.metric
    together = common_type((first.type, second.type)) or ANY
    if sign == "/":
        if together.kind == "DECIMAL":
            return Value(f"amc_decimal_division({first.sql}, {second.sql})", SqlType("DECIMAL", 38, 17), metric)
        return Value(f"(CAST({first.sql} AS DOUBLE) / nullif({second.sql}, 0))", DOUBLE, metric)
    if sign == "%":
        return Value(f"({first.sql} % nullif({second.sql}, 0))", together, metric)
    if sign == "*" and together.kind == "DECIMAL":
        return _decimal_product(first, second, metric)
    if together.is_integer:
        # 32-bit products such as 1000 * 60 * 60 * 24 * 30 must not overflow
        return Value(f"(CAST({first.sql} AS BIGINT) {sign} {second.sql})", LONG, metric)
    if together.kind == "DECIMAL" and (scale := _common_scale(first, second)) is not None:
        together = SqlType("DECIMAL", 38, scale)
    return Value(f"({first.sql} {sign} {second.sql})", together, metric)


def _common_scale(first: Value, second: Value) -> int | None:
    scales = [scale for scale in (_scale(first), _scale(second)) if scale is not None]
    return max(scales) if len(scales) == 2 else None


def _decimal_product(first: Value, second: Value, metric: bool) -> Value:
    """Products of decimals keep at most 17 digits after the point, so that 21 remain before it."""
    scales = [scale for scale in (_scale(first), _scale(second)) if scale is not None]
    if len(scales) == 2 and sum(scales) <= 10:
        return Value(f"({first.sql} * {second.sql})", SqlType("DECIMAL", 38, sum(scales)), metric)
    return Value(
        f"CAST(CAST(CAST({first.sql} AS DOUBLE) * CAST({second.sql} AS DOUBLE) AS VARCHAR) AS DECIMAL(38,17))",
        SqlType("DECIMAL", 38, 17),
        metric,
    )


def _scale(side: Value) -> int | None:
    if side.type.is_integer:
        return 0
    if side.text is not None and "." in side.text:
        return len(side.text.split(".")[1])
    return side.type.scale
