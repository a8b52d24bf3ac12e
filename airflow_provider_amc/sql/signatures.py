"""How the scalar functions of AMC SQL are declared: names, arguments, and the DuckDB SQL they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_amc.sql.coerce import Value, to_boolean, to_moment, to_number, to_string, to_timestamp
from airflow_provider_amc.sql.types import LONG, SqlType

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

#: How arguments are read: the letter of the kind, the family in messages, and the cast.
_READERS: dict[str, tuple[str, Callable[[Value], Value]]] = {
    "s": ("STRING", to_string),
    "n": ("NUMERIC", to_number),
    "i": ("INTEGER", _to_whole),
    "t": ("DATETIME", to_timestamp),
    "m": ("DATETIME", to_moment),
    "b": ("BOOLEAN", to_boolean),
    "a": ("ANY", lambda value: value),
}


def _fits(kind: str, found: SqlType) -> bool:
    if found.is_open or kind == "a":
        return True
    if kind == "s":
        return found.kind in _SCALARS or found.is_number or found.is_moment
    if kind in "ni":
        return found.is_number or found.kind == "STRING"
    if kind in "tm":
        return found.is_moment or found.kind == "STRING"
    return found.kind == "BOOLEAN"


def read(name: str, kinds: str, arguments: Sequence[Value]) -> list[Value]:
    """The arguments of a call with the casts that Calcite makes by itself.

    :param name: the function, for the message.
    :param kinds: a letter an argument: ``s`` string, ``n`` number, ``i`` whole number, ``t`` timestamp, ``m`` date or
        timestamp, ``b`` boolean, ``a`` anything.
    :param arguments: as they were written; optional ones may be missing at the end.
    :raises FunctionArgumentError: an argument is of another type.
    """
    if not all(_fits(kind, value.type) for kind, value in zip(kinds, arguments, strict=False)):
        given = ", ".join(f"<{value.type}>" for value in arguments)
        wanted = ", ".join(f"<{_READERS[kind][0]}>" for kind in kinds[: len(arguments)])
        raise FunctionArgumentError(
            f"Cannot apply '{name}' to arguments of type '{name}({given})'. Supported form(s): '{name}({wanted})'"
        )
    return [_READERS[kind][1](value) for kind, value in zip(kinds, arguments, strict=False)]


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
