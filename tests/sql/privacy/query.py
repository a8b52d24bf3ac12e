"""A small query language of its own for the privacy tests: each node knows its AMC SQL, and no more.

What the nodes mean is in :mod:`tests.sql.privacy.evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

# --- values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Col:
    """A column of something in FROM."""

    source: str
    name: str

    def sql(self) -> str:
        return f"{self.source}.{self.name}"


@dataclass(frozen=True)
class Num:
    """A whole number."""

    value: int

    def sql(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Null:
    """NULL."""

    def sql(self) -> str:
        return "NULL"


@dataclass(frozen=True)
class Calc:
    """Arithmetic: ``+``, ``-``, ``*`` or ``/``."""

    operator: str
    left: Value
    right: Value

    def sql(self) -> str:
        return f"({self.left.sql()} {self.operator} {self.right.sql()})"


@dataclass(frozen=True)
class Coalesce:
    """The first value that is not NULL."""

    values: tuple[Value, ...]

    def sql(self) -> str:
        return f"COALESCE({', '.join(value.sql() for value in self.values)})"


@dataclass(frozen=True)
class Case:
    """One of two values."""

    when: Condition
    then: Value
    otherwise: Value

    def sql(self) -> str:
        return f"CASE WHEN {self.when.sql()} THEN {self.then.sql()} ELSE {self.otherwise.sql()} END"


@dataclass(frozen=True)
class Agg:
    """SUM, COUNT, MIN, MAX or AVG; COUNT without argument counts rows."""

    function: str
    argument: Value | None = None
    distinct: bool = False
    where: Condition | None = None

    def sql(self) -> str:
        inside = "*" if self.argument is None else self.argument.sql()
        text = f"{self.function}({'DISTINCT ' if self.distinct else ''}{inside})"
        return text if self.where is None else f"{text} FILTER (WHERE {self.where.sql()})"


@dataclass(frozen=True)
class Over:
    """SUM, COUNT or MAX over the rows that have the same value in a column, for each of them."""

    function: str
    argument: Value
    partition: Col

    def sql(self) -> str:
        return f"{self.function}({self.argument.sql()}) OVER (PARTITION BY {self.partition.sql()})"


# --- conditions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IsNull:
    """``value IS [NOT] NULL``."""

    value: Value
    negated: bool = False

    def sql(self) -> str:
        return f"{self.value.sql()} IS {'NOT ' if self.negated else ''}NULL"


@dataclass(frozen=True)
class Compare:
    """``=``, ``<>``, ``<`` or ``>`` with a value that is not sensitive."""

    operator: str
    left: Value
    right: Value

    def sql(self) -> str:
        return f"{self.left.sql()} {self.operator} {self.right.sql()}"


@dataclass(frozen=True)
class Among:
    """``value IN (SELECT column FROM relation)``."""

    value: Value
    relation: str
    column: str

    def sql(self) -> str:
        return f"{self.value.sql()} IN (SELECT {self.column} FROM {self.relation})"


Value = Col | Num | Null | Calc | Coalesce | Case | Agg | Over
Condition = IsNull | Compare | Among


# --- queries -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A value of the select list and its name."""

    name: str
    value: Value

    def sql(self) -> str:
        return f"{self.value.sql()} AS {self.name}"


@dataclass(frozen=True)
class Source:
    """A table or an earlier query in FROM."""

    relation: str
    alias: str

    def sql(self) -> str:
        return f"{self.relation} {self.alias}"


@dataclass(frozen=True)
class Join:
    """A join (``INNER``, ``LEFT``, ``FULL`` or ``CROSS``) on equal columns."""

    kind: str
    source: Source
    on: tuple[tuple[Col, Col], ...] = ()

    def sql(self) -> str:
        condition = " AND ".join(f"{left.sql()} = {right.sql()}" for left, right in self.on)
        return f"{self.kind} JOIN {self.source.sql()}" + (f" ON {condition}" if self.on else "")


@dataclass(frozen=True)
class Select:
    """A SELECT. ``group=None``: no GROUP BY; with aggregates in its items it then makes one row of everything."""

    items: tuple[Item, ...]
    source: Source
    joins: tuple[Join, ...] = ()
    where: tuple[Condition, ...] = ()
    group: tuple[Value, ...] | None = None
    having: tuple[Condition, ...] = ()
    distinct: bool = False

    def sql(self) -> str:
        parts = ["SELECT DISTINCT" if self.distinct else "SELECT"]
        parts += [", ".join(item.sql() for item in self.items), "FROM", self.source.sql()]
        parts += [join.sql() for join in self.joins]
        if self.where:
            parts += ["WHERE", " AND ".join(condition.sql() for condition in self.where)]
        if self.group:
            parts += ["GROUP BY", ", ".join(key.sql() for key in self.group)]
        if self.having:
            parts += ["HAVING", " AND ".join(condition.sql() for condition in self.having)]
        return " ".join(parts)


@dataclass(frozen=True)
class Union:
    """``UNION ALL``, or ``UNION`` without it."""

    left: Body
    right: Body
    all: bool = True

    def sql(self) -> str:
        return f"{self.left.sql()} UNION {'ALL ' if self.all else ''}{self.right.sql()}"


Body = Select | Union


@dataclass(frozen=True)
class Query:
    """Queries with names, and one that uses them."""

    ctes: tuple[tuple[str, Body], ...]
    body: Body

    def sql(self) -> str:
        if not self.ctes:
            return self.body.sql()
        return "WITH " + ", ".join(f"{name} AS ({body.sql()})" for name, body in self.ctes) + " " + self.body.sql()

    def nested(self) -> str:
        """The same in another form: sub-queries instead of names, longer windows, groups by their place."""
        texts: dict[str, str] = {}
        for name, body in self.ctes:
            texts[name] = f"({_nested(body, texts).sql()})"
        return _nested(self.body, texts).sql()


def _nested(body: Body, texts: Mapping[str, str]) -> Body:
    if isinstance(body, Union):
        return replace(body, left=_nested(body.left, texts), right=_nested(body.right, texts))

    def source(one: Source) -> Source:
        extended = f"TABLE(EXTEND_TIME_WINDOW('{one.relation}', 'P1D', 'PT1H'))"
        return replace(one, relation=texts.get(one.relation, extended))

    places = {item.value: Num(place) for place, item in enumerate(body.items, 1)}
    return replace(
        body,
        source=source(body.source),
        joins=tuple(replace(join, source=source(join.source)) for join in body.joins),
        group=body.group and tuple(places.get(key, key) for key in body.group),
    )


def columns_in(value: Value | Condition | None, *, conditions: bool) -> list[Col]:
    """The columns in a value, in the order they stand in it.

    :param value: the value.
    :param conditions: also those in the conditions of CASE?
    """
    parts: list[Value | Condition]
    match value:
        case Col():
            return [value]
        case Calc(_, left, right) | Compare(_, left, right):
            parts = [left, right]
        case Coalesce(values):
            parts = list(values)
        case Case(when, then, otherwise):
            parts = [when, then, otherwise] if conditions else [then, otherwise]
        case IsNull(inner) | Among(inner):
            parts = [inner]
        case Over(_, argument):
            parts = [argument]
        case _:
            return []
    return [column for part in parts for column in columns_in(part, conditions=conditions)]


def has_aggregate(value: Value) -> bool:
    """Is a value made of an aggregate?"""
    match value:
        case Agg():
            return True
        case Calc(_, left, right) | Case(_, left, right):
            return has_aggregate(left) or has_aggregate(right)
        case Coalesce(values):
            return any(has_aggregate(one) for one in values)
        case _:
            return False
