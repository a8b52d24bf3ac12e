"""The slow, obvious evaluator: queries of :mod:`tests.sql.privacy.query` over lists of rows, in plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tests.sql.privacy.query import (
    Agg,
    Body,
    Calc,
    Case,
    Coalesce,
    Col,
    Compare,
    Condition,
    IsNull,
    Join,
    Null,
    Num,
    Query,
    Select,
    Union,
    Value,
    columns_in,
    has_aggregate,
)
from tests.sql.privacy.rows import (
    ANONYMOUS,
    Cell,
    Field,
    Parts,
    Relation,
    Row,
    added,
    highest,
    joined_owners,
    share,
)


class TooManyRows(Exception):
    """A join made more rows than this evaluator wants to go through."""


MOST_ROWS = 1500


def table(name: str, columns: Mapping[str, tuple[str, str, bool]], rows: Sequence[Mapping[str, object]]) -> Relation:
    """A table of the catalogue.

    :param columns: level, kind and whether it is a metric, by name. With ``user_id``, the table has a path.
    """
    owned = "user_id" in columns
    paths = frozenset({0} if owned else ())
    fields = [Field(key, level, kind, metric, False, paths) for key, (level, kind, metric) in columns.items()]
    made = []
    for row in rows:
        user = row.get("user_id", ANONYMOUS)
        assert user is None or isinstance(user, str)
        owners = (frozenset({user}),) if owned else ()
        made.append(Row(tuple(Cell(row.get(key)) for key in columns), owners))
    return Relation(tuple(fields), (name,) if owned else (), tuple(made))


def evaluate(query: Query, tables: Mapping[str, Relation]) -> Relation:
    """The rows of a query, before the thresholds."""
    known = dict(tables)
    for name, body in query.ctes:
        known[name] = _body(body, known)
    return _body(query.body, known)


def _body(body: Body, known: Mapping[str, Relation]) -> Relation:
    if isinstance(body, Union):
        union = _union(_body(body.left, known), _body(body.right, known))
        return union if body.all else _distinct(union)
    return _select(body, known)


# --- FROM --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scope:
    """What FROM offers: one wide relation, and where each column stands in it."""

    places: dict[Col, int]
    relation: Relation

    def field(self, column: Col) -> Field:
        return self.relation.fields[self.places[column]]


def _scope(relation: Relation, alias: str) -> _Scope:
    return _Scope({Col(alias, field.name): place for place, field in enumerate(relation.fields)}, relation)


def _absent(relation: Relation) -> Row:
    """The missing side of an outer join."""
    cells = tuple(Cell(None, tuple({} for _ in field.components)) for field in relation.fields)
    return Row(cells, tuple(frozenset() for _ in relation.paths))


def _join(left: _Scope, join: Join, right: _Scope) -> _Scope:
    before = len(left.relation.paths)
    moved = range(before, before + len(right.relation.paths))
    width = len(left.relation.fields)
    places = left.places | {column: place + width for column, place in right.places.items()}
    pairs = [(places[one], places[other]) for one, other in join.on]
    pairs = [(min(pair), max(pair) - width) for pair in pairs]

    partners_of: dict[tuple[object, ...], list[int]] = {}
    for place, other in enumerate(right.relation.rows):
        partners_of.setdefault(tuple(other.cells[column].value for _, column in pairs), []).append(place)

    def together(one: Row, other: Row) -> Row:
        return Row(one.cells + tuple(cell.shifted(moved) for cell in other.cells), one.owners + other.owners)

    rows: list[Row] = []
    found: set[int] = set()
    for one in left.relation.rows:
        wanted = tuple(one.cells[column].value for column, _ in pairs)
        partners = [] if None in wanted else partners_of.get(wanted, [])
        found.update(partners)
        rows += [together(one, right.relation.rows[place]) for place in partners]
        if not partners and join.kind in ("LEFT", "FULL"):
            rows.append(together(one, _absent(right.relation)))
        if len(rows) > MOST_ROWS:
            raise TooManyRows
    if join.kind == "FULL":
        alone = [other for place, other in enumerate(right.relation.rows) if place not in found]
        rows += [together(_absent(left.relation), other) for other in alone]
    fields = left.relation.fields + tuple(field.shifted(moved) for field in right.relation.fields)
    return _Scope(places, Relation(fields, left.relation.paths + right.relation.paths, tuple(rows)))


# --- UNION and DISTINCT ------------------------------------------------------------------------------------------


def _union(left: Relation, right: Relation) -> Relation:
    """The n-th use of a table on one side and the n-th on the other become one path."""
    paths = list(left.paths)
    places: list[int] = []
    for number, source in enumerate(right.paths):
        nth = right.paths[:number].count(source)
        same = [place for place, other in enumerate(left.paths) if other == source]
        if nth < len(same):
            places.append(same[nth])
        else:
            places.append(len(paths))
            paths.append(source)
    fields = tuple(_either(one, other.shifted(places)) for one, other in zip(left.fields, right.fields, strict=True))
    rows = [_widened(row, range(len(left.paths)), fields, len(paths)) for row in left.rows]
    rows += [_widened(row, places, fields, len(paths)) for row in right.rows]
    return Relation(fields, tuple(paths), tuple(rows))


def _either(one: Field, other: Field) -> Field:
    components = itertools.zip_longest(one.components, other.components, fillvalue=frozenset[int]())
    return replace(
        one,
        level=highest((one.level, other.level)),
        kind="real" if "real" in (one.kind, other.kind) else one.kind,
        metric=one.metric or other.metric,
        aggregated=one.aggregated or other.aggregated,
        paths=one.paths | other.paths,
        components=tuple(a | b for a, b in components),
    )


def _widened(row: Row, places: Sequence[int], fields: Sequence[Field], paths: int) -> Row:
    owners = [frozenset[str | None]()] * paths
    for path, users in zip(places, row.owners, strict=True):
        owners[path] = users
    cells = []
    for cell, field in zip(row.cells, fields, strict=True):
        parts = cell.shifted(places).parts
        cells.append(Cell(cell.value, parts + tuple({} for _ in field.components[len(parts) :])))
    return Row(tuple(cells), tuple(owners))


def _distinct(relation: Relation) -> Relation:
    """Equal rows become one, which has the users and the contributions of all."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in relation.rows:
        groups.setdefault(tuple(cell.value for cell in row.cells), []).append(row)
    rows = []
    for values, group in groups.items():
        parts = zip(*([cell.parts for cell in row.cells] for row in group), strict=True)
        cells = [
            Cell(value, tuple(added(same) for same in zip(*many, strict=True)))
            for value, many in zip(values, parts, strict=True)
        ]
        rows.append(Row(tuple(cells), joined_owners(group)))
    return replace(relation, rows=tuple(rows))


# --- SELECT ------------------------------------------------------------------------------------------------------


def _select(select: Select, known: Mapping[str, Relation]) -> Relation:
    scope = _scope(known[select.source.relation], select.source.alias)
    for join in select.joins:
        scope = _join(scope, join, _scope(known[join.source.relation], join.source.alias))
    rows = [row for row in scope.relation.rows if all(_holds(one, row, scope) for one in select.where)]
    keys = select.group or ()
    fields = [replace(_meaning(item.value, scope, keys), name=item.name) for item in select.items]
    if select.group is None and not any(has_aggregate(item.value) for item in select.items):
        made = [Row(tuple(_cell(item.value, row, scope) for item in select.items), row.owners) for row in rows]
    else:
        groups: dict[tuple[object, ...], list[Row]] = {} if keys else {(): []}
        for row in rows:
            groups.setdefault(tuple(_cell(key, row, scope).value for key in keys), []).append(row)
        nobody = tuple(frozenset[str | None]() for _ in scope.relation.paths)
        made = [
            Row(
                tuple(
                    _group_cell(item.value, group, dict(zip(keys, values, strict=True)), scope) for item in select.items
                ),
                joined_owners(group) if group else nobody,
            )
            for values, group in groups.items()
        ]
    result = Relation(tuple(fields), scope.relation.paths, tuple(made))
    return _distinct(result) if select.distinct else result


def _meaning(value: Value, scope: _Scope, keys: Sequence[Value] = ()) -> Field:
    """The field that a value makes."""
    if value in keys:
        return replace(_meaning(value, scope), metric=False, aggregated=False, components=())
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
        case Null():
            return Field("", kind="null")


def _combined(
    values: Sequence[Value], whole: Value, scope: _Scope, keys: Sequence[Value], kind: str | None = None
) -> Field:
    fields = [_meaning(value, scope, keys) for value in values]
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


def _aggregate_meaning(agg: Agg, scope: _Scope) -> Field:
    everything = frozenset(range(len(scope.relation.paths)))
    inner = Field("") if agg.argument is None else _meaning(agg.argument, scope)
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


def _holds(condition: Condition, row: Row, scope: _Scope) -> bool:
    if isinstance(condition, IsNull):
        return (_cell(condition.value, row, scope).value is None) != condition.negated
    return _compared(condition, lambda value: _cell(value, row, scope))


def _compared(condition: Compare, cell: Callable[[Value], Cell]) -> bool:
    left, right = cell(condition.left).value, cell(condition.right).value
    if left is None or right is None:
        return False
    if condition.operator == "=":
        return left == right
    if condition.operator == "<>":
        return left != right
    assert isinstance(left, int | Fraction)
    assert isinstance(right, int | Fraction)
    return left < right if condition.operator == "<" else left > right


def _cell(value: Value, row: Row, scope: _Scope) -> Cell:
    """A value of a row that is not grouped."""
    if isinstance(value, Col):
        return row.cells[scope.places[value]]
    return _made_of(value, lambda inner: _cell(inner, row, scope), lambda condition: _holds(condition, row, scope))


def _made_of(value: Value, cell: Callable[[Value], Cell], holds: Callable[[Condition], bool]) -> Cell:
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
            return Cell((cells[0] if holds(when) else cells[1]).value, _all_parts(cells))
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


def _group_cell(value: Value, group: Sequence[Row], keys: Mapping[Value, object], scope: _Scope) -> Cell:
    if value in keys:
        return Cell(keys[value])
    if isinstance(value, Agg):
        return Cell(_aggregated(value, group, scope), _contributions(value, group, scope))

    def cell(inner: Value) -> Cell:
        return _group_cell(inner, group, keys, scope)

    def holds(condition: Condition) -> bool:
        if isinstance(condition, IsNull):
            return (cell(condition.value).value is None) != condition.negated
        return _compared(condition, cell)

    return _made_of(value, cell, holds)


def _values(agg: Agg, group: Sequence[Row], scope: _Scope) -> list[tuple[Row, Cell]]:
    """The rows that an aggregate takes, with its argument on each. COUNT counts ones."""
    taken = [row for row in group if agg.where is None or _holds(agg.where, row, scope)]
    if agg.argument is None:
        return [(row, Cell(1)) for row in taken]
    cells = [(row, _cell(agg.argument, row, scope)) for row in taken]
    return [(row, cell) for row, cell in cells if cell.value is not None]


def _aggregated(agg: Agg, group: Sequence[Row], scope: _Scope) -> object:
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


def _contributions(agg: Agg, group: Sequence[Row], scope: _Scope) -> tuple[Parts, ...]:
    """What each user put into a SUM or COUNT, on each path that it reads."""
    components = _aggregate_meaning(agg, scope).components
    if not components:
        return ()
    inner = () if agg.argument is None else _meaning(agg.argument, scope).components
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
