"""What values are, and what users put into them: the expressions of :mod:`tests.sql.privacy.evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from tests.sql.privacy.query import (
    Agg,
    Among,
    Calc,
    Case,
    Coalesce,
    Col,
    Compare,
    Condition,
    IsNull,
    Null,
    Num,
    Over,
    Value,
    columns_in,
)
from tests.sql.privacy.rows import Cell, Field, Parts, Relation, Row, added, highest, share


@dataclass(frozen=True)
class Scope:
    """What the values of one SELECT are made of.

    :param places: where each column stands in the relation.
    :param relation: all of FROM as one wide relation.
    :param known: relations by name, for sub-queries in conditions.
    :param windows: results of window functions by partition, filled as they are asked for.
    """

    places: dict[Col, int]
    relation: Relation
    known: Mapping[str, Relation] = field(default_factory=dict)
    windows: dict[Over, dict[object, object]] = field(default_factory=dict)

    def field(self, column: Col) -> Field:
        """The field that a column names."""
        return self.relation.fields[self.places[column]]


def meaning(value: Value, scope: Scope, keys: Sequence[Value] = ()) -> Field:
    """The field that a value makes.

    :param keys: what its SELECT groups by.
    """
    if value in keys:
        return replace(meaning(value, scope), metric=False, aggregated=False, components=())
    match value:
        case Col():
            return scope.field(value)
        case Num():
            return Field("")
        case Calc(operator, left, right):
            return _combined([left, right], value, scope, keys, kind="real" if operator == "/" else None)
        case Coalesce(values):
            return _combined(values, value, scope, keys)
        case Case(_, then, otherwise):
            return _combined([then, otherwise], value, scope, keys)
        case Agg():
            return _aggregate_meaning(value, scope)
        case Over(function, argument):
            inner = meaning(argument, scope)
            counts = function == "COUNT"
            return replace(
                inner,
                level="NONE" if counts else inner.level,
                kind="integer" if counts else inner.kind,
                metric=counts or inner.metric,
                components=(),
            )
        case Null():
            return Field("", kind="null")


def _combined(
    values: Sequence[Value], whole: Value, scope: Scope, keys: Sequence[Value], kind: str | None = None
) -> Field:
    fields = [meaning(value, scope, keys) for value in values]
    kinds = {field.kind for field in fields} - {"null"}
    conditions = [scope.field(column).paths for column in columns_in(whole, conditions=True)]
    return Field(
        "",
        level=highest(field.level for field in fields),
        kind=kind or ("real" if "real" in kinds else next(iter(kinds), "null")),
        metric=any(field.metric for field in fields),
        aggregated=any(field.aggregated for field in fields),
        paths=frozenset().union(*conditions, *(field.paths for field in fields)),
        components=tuple(component for field in fields for component in field.components),
    )


def _aggregate_meaning(agg: Agg, scope: Scope) -> Field:
    everything = frozenset(range(len(scope.relation.paths)))
    inner = Field("") if agg.argument is None else meaning(agg.argument, scope)
    paths = inner.paths
    components: tuple[frozenset[int], ...] = ()
    if agg.function in ("SUM", "COUNT") and not agg.distinct:
        paths = paths or everything
        components = (paths,)
    counts = agg.function == "COUNT"
    return Field(
        "",
        level="NONE" if counts else inner.level,
        kind="integer" if counts else "real" if agg.function == "AVG" else inner.kind,
        metric=not agg.distinct if counts else inner.metric,
        aggregated=True,
        paths=paths,
        components=components,
    )


# --- values of one row -------------------------------------------------------------------------------------------


def row_holds(condition: Condition, row: Row, scope: Scope) -> bool:
    """Is a condition true of a row?"""
    return _holds(condition, lambda value: row_cell(value, row, scope), scope)


def row_cell(value: Value, row: Row, scope: Scope) -> Cell:
    """A value of a row that is not grouped."""
    match value:
        case Col():
            return row.cells[scope.places[value]]
        case Over():
            return Cell(_over(value, row, scope))
    return _made_of(value, lambda inner: row_cell(inner, row, scope), scope)


def _over(over: Over, row: Row, scope: Scope) -> object:
    """A window function, which is calculated once for each value of its partition."""
    if over not in scope.windows:
        partitions: dict[object, list[Row]] = {}
        for one in scope.relation.rows:
            partitions.setdefault(row_cell(over.partition, one, scope).value, []).append(one)
        agg = Agg(over.function, over.argument)
        scope.windows[over] = {key: _aggregated(agg, rows, scope) for key, rows in partitions.items()}
    return scope.windows[over][row_cell(over.partition, row, scope).value]


def _holds(condition: Condition, cell: Callable[[Value], Cell], scope: Scope) -> bool:
    match condition:
        case IsNull(value, negated):
            return (cell(value).value is None) != negated
        case Among(value, relation, column):
            one = cell(value).value
            return one is not None and one in scope.known[relation].values(column)
        case Compare(operator, left_value, right_value):
            left, right = cell(left_value).value, cell(right_value).value
    if left is None or right is None:
        return False
    if operator == "=":
        return left == right
    if operator == "<>":
        return left != right
    assert isinstance(left, int | Fraction)
    assert isinstance(right, int | Fraction)
    return left < right if operator == "<" else left > right


def _made_of(value: Value, cell: Callable[[Value], Cell], scope: Scope) -> Cell:
    match value:
        case Num(number):
            return Cell(number)
        case Calc(operator, left, right):
            cells = [cell(left), cell(right)]
            return Cell(_calculated(operator, cells[0].value, cells[1].value), _all_parts(cells))
        case Coalesce(values):
            cells = [cell(one) for one in values]
            return Cell(next((one.value for one in cells if one.value is not None), None), _all_parts(cells))
        case Case(when, then, otherwise):
            cells = [cell(then), cell(otherwise)]
            return Cell(cells[0 if _holds(when, cell, scope) else 1].value, _all_parts(cells))
        case Null():
            return Cell(None)
    raise AssertionError(f"{value.sql()} is neither grouped nor aggregated")


def _all_parts(cells: Sequence[Cell]) -> tuple[Parts, ...]:
    return tuple(part for cell in cells for part in cell.parts)


def _calculated(operator: str, left: object, right: object) -> object:
    if left is None or right is None:
        return None
    assert isinstance(left, int | Fraction)
    assert isinstance(right, int | Fraction)
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return Fraction(left) / right if right else None


# --- values of a group -------------------------------------------------------------------------------------------


def group_holds(condition: Condition, group: Sequence[Row], keys: Mapping[Value, object], scope: Scope) -> bool:
    """Is a condition true of a group (HAVING)?"""
    return _holds(condition, lambda value: group_cell(value, group, keys, scope), scope)


def group_cell(value: Value, group: Sequence[Row], keys: Mapping[Value, object], scope: Scope) -> Cell:
    """A value of a group: a key, an aggregate, or made of these."""
    if value in keys:
        return Cell(keys[value])
    if isinstance(value, Agg):
        return Cell(_aggregated(value, group, scope), _contributions(value, group, scope))
    return _made_of(value, lambda inner: group_cell(inner, group, keys, scope), scope)


def _values(agg: Agg, group: Sequence[Row], scope: Scope) -> list[tuple[Row, Cell]]:
    """The rows that an aggregate takes, with its argument on each. COUNT counts ones."""
    taken = [row for row in group if agg.where is None or row_holds(agg.where, row, scope)]
    if agg.argument is None:
        return [(row, Cell(1)) for row in taken]
    cells = [(row, row_cell(agg.argument, row, scope)) for row in taken]
    return [(row, cell) for row, cell in cells if cell.value is not None]


def _aggregated(agg: Agg, group: Sequence[Row], scope: Scope) -> object:
    values = [cell.value for _, cell in _values(agg, group, scope)]
    if agg.distinct:
        values = list(dict.fromkeys(values))
    if agg.function == "COUNT":
        return len(values)
    if not values:
        return None
    match agg.function:
        case "MIN":
            return min(values)  # type: ignore[type-var]
        case "MAX":
            return max(values)  # type: ignore[type-var]
        case "SUM":
            return sum(values)  # type: ignore[arg-type]
    return Fraction(sum(values)) / len(values)  # type: ignore[arg-type]


def _contributions(agg: Agg, group: Sequence[Row], scope: Scope) -> tuple[Parts, ...]:
    """What each user put into a SUM or COUNT, on each path that it reads."""
    components = _aggregate_meaning(agg, scope).components
    if not components:
        return ()
    inner = () if agg.argument is None else meaning(agg.argument, scope).components
    parts: Parts = {}
    for path in components[0]:
        # An argument made of metrics of a query below hands on the shares of the first of them
        first = next((place for place, component in enumerate(inner) if path in component), None)
        shares: list[Parts] = []
        for row, cell in _values(agg, group, scope):
            users = row.owners[path]
            if users:
                basis = {} if first is None else cell.parts[first].get(path, {})
                amount = 1 if agg.function == "COUNT" else cell.value
                assert isinstance(amount, int | Fraction)
                shares.append({path: share(amount, users, basis)})
        parts |= added(shares)
    return (parts,)
