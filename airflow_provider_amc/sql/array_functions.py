"""Array and row functions (AMC documentation, "AMC SQL functions")."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_amc.sql.coerce import Value, alike, quote_name, to_number, to_string
from airflow_provider_amc.sql.signatures import FunctionArgumentError, define, read
from airflow_provider_amc.sql.types import (
    ANY,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    SqlType,
    array_of,
    common_type,
    to_duckdb,
)

_NO_ARRAY = "Array expression is not an array data type"


def _needs_array(value: Value) -> Value:
    if value.type.kind == "NULL":
        return value.of("CAST(NULL AS VARCHAR[])", array_of(ANY))
    if value.type.kind not in ("ARRAY", "ANY"):
        raise FunctionArgumentError(_NO_ARRAY)
    return value


def _arrays(name: str, arguments: Sequence[Value]) -> list[Value]:
    """The arguments as arrays with elements of one type."""
    values = [_needs_array(value) for value in arguments]
    together = common_type(value.type for value in values)
    if together is None:
        given = ", ".join(f"<{value.type}>" for value in arguments)
        raise FunctionArgumentError(f"Cannot apply '{name}' to arguments of type '{name}({given})'")
    if together.element is not None and together.element.kind != "ANY":
        values = [value if value.type == together else value.of(_as(value, together), together) for value in values]
    return values


def _as(value: Value, wanted: SqlType) -> str:
    if wanted.element is not None and wanted.element.kind == "DECIMAL" and wanted.element.scale is None:
        return value.sql  # the database finds the common precision
    return f"CAST({value.sql} AS {to_duckdb(wanted)})"


def _from_arrays(name: str, count: int, text: str) -> None:
    """Declare a function from arrays to an array of their common type."""

    @define(name, count, count)
    def write(arguments: Sequence[Value]) -> Value:
        values = _arrays(name, arguments)
        return Value(text.format(*(value.sql for value in values)), values[0].type)


_from_arrays("ARRAY_CAT", 2, "amc_array_cat({0}, {1})")
_from_arrays("ARRAY_COMPLEMENT", 2, "amc_array_complement({0}, {1})")
_from_arrays("ARRAY_DISTINCT", 1, "amc_array_distinct({0})")
_from_arrays("ARRAY_INTERSECT", 2, "amc_array_intersect({0}, {1})")
_from_arrays("ARRAY_UNION", 2, "amc_array_union({0}, {1})")
# NULLs last, as everywhere in AMC's order
_from_arrays("ARRAY_SORT", 1, "list_sort({0}, 'ASC', 'NULLS LAST')")


def _element(array: Value, sought: Value, name: str) -> Value:
    """A value brought to the type of an array's elements."""
    element = array.type.element or ANY
    if common_type((element, sought.type)) is None:
        raise FunctionArgumentError(
            f"Cannot apply '{name}' to arguments of type '{name}(<{array.type}>, <{sought.type}>)'"
        )
    if element.kind == "STRING":
        return to_string(sought)
    if element.is_number and sought.type.kind == "STRING":
        return to_number(sought, LONG if element.is_integer else DOUBLE)
    if element.is_moment and sought.type.kind == "STRING":
        return sought.of(f"TRY_CAST({sought.sql} AS {to_duckdb(element)})", element)
    return sought


@define("ARRAY_CONTAINS", 2, 2)
def _array_contains(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    sought = _element(array, arguments[1], "ARRAY_CONTAINS")
    return Value(f"list_contains({array.sql}, {sought.sql})", BOOLEAN)


@define("ARRAY_REMOVE", 2, 2)
def _array_remove(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    sought = _element(array, arguments[1], "ARRAY_REMOVE")
    return Value(f"amc_array_remove({array.sql}, {sought.sql})", array.type)


@define("ARRAY_TO_STRING", 2, 2)
def _array_to_string(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    separator = read("ARRAY_TO_STRING", "as", arguments)[1].sql
    return Value(f"amc_array_to_string(CAST({array.sql} AS VARCHAR[]), {separator})", STRING)


@define("CARDINALITY", 1, 1)
def _cardinality(arguments: Sequence[Value]) -> Value:
    if arguments[0].type.kind == "MAP":
        return Value(f"CAST(cardinality({arguments[0].sql}) AS INTEGER)", INTEGER)
    return Value(f"CAST(len({_needs_array(arguments[0]).sql}) AS INTEGER)", INTEGER)


@define("FLATTEN", 1, 1)
def _flatten(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    if array.type.element is not None and array.type.element.kind not in ("ARRAY", "ANY", "NULL"):
        raise FunctionArgumentError(_NO_ARRAY)
    return Value(f"flatten({array.sql})", array.type.element or ANY)


@define("ARRAY", 0, None)
def _array(arguments: Sequence[Value]) -> Value:
    if not arguments:
        return Value("[]", array_of(ANY))
    found = alike(arguments)
    if found is None:
        raise FunctionArgumentError("Parameters must be of the same type")
    values, together = found
    return Value(f"[{', '.join(value.sql for value in values)}]", array_of(together))


@define("NAMED_ROW", 2, None)
def _named_row(arguments: Sequence[Value]) -> Value:
    if len(arguments) % 2:
        raise FunctionArgumentError("NAMED_ROW needs pairs of a quoted label and a value")
    fields: list[tuple[str, SqlType]] = []
    parts: list[str] = []
    for label, value in zip(arguments[::2], arguments[1::2], strict=True):
        if label.text is None or label.type.kind != "STRING" or not label.text:
            raise FunctionArgumentError("NAMED_ROW needs a quoted label before each value")
        if label.text.lower() in {name.lower() for name, _ in fields}:
            raise FunctionArgumentError(f"NAMED_ROW has the label '{label.text}' twice")
        fields.append((label.text, value.type))
        parts.append(f"{quote_name(label.text)} := {value.sql}")
    return Value(f"struct_pack({', '.join(parts)})", SqlType("STRUCT", fields=tuple(fields)))
