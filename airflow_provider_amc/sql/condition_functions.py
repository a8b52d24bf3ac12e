"""Conditional functions (AMC documentation, "AMC SQL functions" and "Supported expressions")."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_amc.sql.coerce import Value, alike, comparable, to_boolean
from airflow_provider_amc.sql.signatures import FunctionArgumentError, define
from airflow_provider_amc.sql.types import BOOLEAN, SqlType, common_type


def _together(arguments: Sequence[Value], name: str) -> tuple[list[Value], SqlType]:
    found = alike(arguments)
    if found is None:
        kinds = ", ".join(str(value.type) for value in arguments)
        raise FunctionArgumentError(f"Illegal mixing of types in {name}: {kinds}")
    return found


def _choose(name: str, condition: str, arguments: Sequence[Value]) -> Value:
    (yes, no), together = _together(arguments, name)
    return Value(f"CASE WHEN {condition} THEN {yes.sql} ELSE {no.sql} END", together, yes.metric or no.metric)


def check_comparable(sign: str, values: Sequence[Value]) -> list[Value]:
    """Values that an operator compares, with the casts that make them comparable.

    :param sign: the operator, for the message.
    :param values: two or more values.
    :raises FunctionArgumentError: they cannot be compared.
    """
    brought = comparable(values)
    first = brought[0]
    for value in brought[1:]:
        together = common_type((first.type, value.type))
        if together is None or (
            together.kind == "STRING" and first.type.kind != value.type.kind and not _open(first, value)
        ):
            shown = f"<{values[0].type}> {sign} " + ", ".join(f"<{other.type}>" for other in values[1:])
            raise FunctionArgumentError(f"Cannot apply '{sign}' to arguments of type '{shown}'")
        if first.type.is_open:
            first = value
    return brought


def _open(*values: Value) -> bool:
    return any(value.type.is_open for value in values)


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
