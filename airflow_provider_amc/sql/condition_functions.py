"""Conditional functions (AMC documentation, "AMC SQL functions" and "Supported expressions")."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_amc.sql.coerce import Value, alike, to_boolean
from airflow_provider_amc.sql.signatures import FunctionArgumentError, check_comparable, define
from airflow_provider_amc.sql.types import BOOLEAN, SqlType


def _together(arguments: Sequence[Value], name: str) -> tuple[list[Value], SqlType]:
    found = alike(arguments)
    if found is None:
        kinds = ", ".join(str(value.type) for value in arguments)
        raise FunctionArgumentError(f"Illegal mixing of types in {name}: {kinds}")
    return found


def _choose(name: str, condition: str, arguments: Sequence[Value]) -> Value:
    (yes, no), together = _together(arguments, name)
    return Value(f"CASE WHEN {condition} THEN {yes.sql} ELSE {no.sql} END", together, yes.metric or no.metric)


def _coalesce_like(name: str, least: int) -> None:
    @define(name, least, None)
    def write(arguments: Sequence[Value]) -> Value:
        values, together = _together(arguments, name)
        return Value(f"coalesce({', '.join(value.sql for value in values)})", together, any(v.metric for v in values))


_coalesce_like("COALESCE", 1)
_coalesce_like("IFNULL", 2)
_coalesce_like("NVL", 2)


@define("IF", 3, 3)
def _if(arguments: Sequence[Value]) -> Value:
    if arguments[0].type.kind not in ("BOOLEAN", "NULL", "ANY"):
        raise FunctionArgumentError(f"Condition must be of type BOOLEAN, not {arguments[0].type}")
    return _choose("IF", to_boolean(arguments[0]).sql, arguments[1:])


@define("NVL2", 3, 3)
def _nvl2(arguments: Sequence[Value]) -> Value:
    return _choose("NVL2", f"{arguments[0].sql} IS NOT NULL", arguments[1:])


@define("NULLIF", 2, 2)
def _nullif(arguments: Sequence[Value]) -> Value:
    left, right = check_comparable("NULLIF", arguments)
    first = arguments[0]
    return first.of(f"CASE WHEN {left.sql} = {right.sql} THEN NULL ELSE {first.sql} END", first.type)


@define("CONTAINED_IN", 2, None)
def _contained_in(arguments: Sequence[Value]) -> Value:
    tested, *others = check_comparable("CONTAINED_IN", arguments)
    among = ", ".join(other.sql for other in others)
    # "If no match is found, the function returns FALSE", so a NULL never makes the answer unknown
    return Value(f"coalesce({tested.sql} IN ({among}), FALSE)", BOOLEAN)
