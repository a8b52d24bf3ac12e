"""How the scalar functions of AMC SQL are declared: names, arguments, and the DuckDB SQL they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_amc.sql.coerce import Value, comparable, to_moment, to_number, to_string, to_timestamp
from airflow_provider_amc.sql.types import DOUBLE, LONG, NULL, STRING, TIMESTAMP, SqlType, common_type, to_duckdb

Writer = Callable[[Sequence[Value]], Value]


class FunctionArgumentError(ValueError):
    """The arguments of a call do not fit. The message goes to the user, with the place of the call."""


@dataclass(frozen=True)
class Function:
    """A scalar function.

    :param least: number of arguments it needs.
    :param most: number of arguments it takes, ``None`` for any number.
    :param write: makes the result from the arguments.
    """

    least: int
    most: int | None
    write: Writer


FUNCTIONS: dict[str, Function] = {}


def define(names: str, least: int, most: int | None) -> Callable[[Writer], Writer]:
    """Declare a function, under one name or several, by how it is written.

    :param names: the names, separated by spaces.
    :param least: number of arguments it needs.
    :param most: number of arguments it takes, ``None`` for any number.
    """

    def add(write: Writer) -> Writer:
        for name in names.split():
            FUNCTIONS[name] = Function(least, most, write)
        return write

    return add


def _to_whole(value: Value) -> Value:
    return value.of(f"CAST({to_number(value, LONG).sql} AS BIGINT)", LONG)


_SCALARS = ("STRING", "BOOLEAN", "NULL", "ANY")

#: How arguments are read: the letter of the kind, the family in messages, the cast, and the type of a NULL.
_READERS: dict[str, tuple[str, Callable[[Value], Value], SqlType]] = {
    "s": ("STRING", to_string, STRING),
    "n": ("NUMERIC", to_number, DOUBLE),
    "i": ("INTEGER", _to_whole, LONG),
    "t": ("DATETIME", to_timestamp, TIMESTAMP),
    "m": ("DATETIME", to_moment, TIMESTAMP),
    "a": ("ANY", lambda value: value, NULL),
}


def _read_one(kind: str, value: Value) -> Value:
    _, cast, of_null = _READERS[kind]
    if value.type.kind == "NULL" and of_null.kind != "NULL":
        # DuckDB cannot tell which of its functions a bare NULL means
        return value.of(f"CAST(NULL AS {to_duckdb(of_null)})", of_null)
    return cast(value)


def _fits(kind: str, found: SqlType) -> bool:
    if found.is_open or kind == "a":
        return True
    if kind == "s":
        return found.kind in _SCALARS or found.is_number or found.is_moment
    if kind in "ni":
        return found.is_number or found.kind == "STRING"
    return found.is_moment or found.kind == "STRING"


def read(name: str, kinds: str, arguments: Sequence[Value]) -> list[Value]:
    """The arguments of a call with the casts that Calcite makes by itself.

    :param name: the function, for the message.
    :param kinds: a letter an argument: ``s`` string, ``n`` number, ``i`` whole number, ``t`` timestamp, ``m`` date or
        timestamp, ``a`` anything.
    :param arguments: as they were written; optional ones may be missing at the end.
    :raises FunctionArgumentError: an argument is of another type.
    """
    if not all(_fits(kind, value.type) for kind, value in zip(kinds, arguments, strict=False)):
        given = ", ".join(f"<{value.type}>" for value in arguments)
        wanted = ", ".join(f"<{_READERS[kind][0]}>" for kind in kinds[: len(arguments)])
        raise FunctionArgumentError(
            f"Cannot apply '{name}' to arguments of type '{name}({given})'. Supported form(s): '{name}({wanted})'"
        )
    return [_read_one(kind, value) for kind, value in zip(kinds, arguments, strict=False)]


def template(names: str, kinds: str, text: str, result: SqlType, optional: int = 0) -> None:
    """Declare functions whose DuckDB SQL is a pattern with ``{0}``, ``{1}`` ... for the arguments.

    The values are numbers of the metric kind only when the result is a number and an argument is a metric.

    :param names: the names, separated by spaces.
    :param kinds: the arguments, see :func:`read`.
    :param text: the pattern.
    :param result: the type of the result.
    :param optional: how many arguments at the end may be missing.
    """

    def define_one(name: str) -> None:
        def write(arguments: Sequence[Value]) -> Value:
            values = read(name, kinds, arguments)
            metric = result.is_number and any(value.metric for value in arguments)
            return Value(text.format(*(value.sql for value in values)), result, metric)

        FUNCTIONS[name] = Function(len(kinds) - optional, len(kinds), write)

    for name in names.split():
        define_one(name)


def check_comparable(sign: str, values: Sequence[Value]) -> list[Value]:
    """Values that an operator compares, with the casts that make them comparable.

    :param sign: the operator, for the message.
    :param values: two or more values.
    :raises FunctionArgumentError: they cannot be compared.
    """
    brought = comparable(values)
    known = [value.type for value in brought if not value.type.is_open]
    together = common_type(known) if known else None
    mixed = together is not None and together.kind == "STRING" and any(one.kind != "STRING" for one in known)
    if known and (together is None or mixed):
        others = ", ".join(f"<{value.type}>" for value in values[1:])
        raise FunctionArgumentError(f"Cannot apply '{sign}' to arguments of type '<{values[0].type}> {sign} {others}'")
    return brought
