"""The slow, obvious evaluator: queries of :mod:`tests.sql.privacy.query` over lists of rows, in plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.sql.privacy.query import Body, Col, Join, Query, Select, Union, has_aggregate
from tests.sql.privacy.rows import ANONYMOUS, Cell, Field, Relation, Row, added, highest, joined_owners
from tests.sql.privacy.values import Scope, group_cell, group_holds, meaning, row_cell, row_holds


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


def _scope(relation: Relation, alias: str) -> Scope:
    return Scope({Col(alias, field.name): place for place, field in enumerate(relation.fields)}, relation)


def _absent(relation: Relation) -> Row:
    """The missing side of an outer join."""
    cells = tuple(Cell(None, tuple({} for _ in field.components)) for field in relation.fields)
    return Row(cells, tuple(frozenset() for _ in relation.paths))


def _join(left: Scope, join: Join, right: Scope) -> Scope:
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
    return Scope(places, Relation(fields, left.relation.paths + right.relation.paths, tuple(rows)))


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
    scope = replace(scope, known=known)
    rows = tuple(row for row in scope.relation.rows if all(row_holds(one, row, scope) for one in select.where))
    scope = replace(scope, relation=replace(scope.relation, rows=rows))
    grouped = select.group is not None or any(has_aggregate(item.value) for item in select.items)
    made = _grouped_rows(select, scope) if grouped else _plain_rows(select, scope)
    fields = [replace(meaning(item.value, scope, select.group or ()), name=item.name) for item in select.items]
    result = Relation(tuple(fields), scope.relation.paths, tuple(made))
    return _distinct(result) if select.distinct else result


def _plain_rows(select: Select, scope: Scope) -> list[Row]:
    return [
        Row(tuple(row_cell(item.value, row, scope) for item in select.items), row.owners) for row in scope.relation.rows
    ]


def _grouped_rows(select: Select, scope: Scope) -> list[Row]:
    keys = select.group or ()
    # Without GROUP BY there is one group, even of no rows
    groups: dict[tuple[object, ...], list[Row]] = {} if keys else {(): []}
    for row in scope.relation.rows:
        groups.setdefault(tuple(row_cell(key, row, scope).value for key in keys), []).append(row)
    nobody = tuple(frozenset[str | None]() for _ in scope.relation.paths)
    made = []
    for values, group in groups.items():
        known = dict(zip(keys, values, strict=True))
        if all(group_holds(condition, group, known, scope) for condition in select.having):
            cells = tuple(group_cell(item.value, group, known, scope) for item in select.items)
            made.append(Row(cells, joined_owners(group) if group else nobody))
    return made
