"""SELECT, DISTINCT and UNION as DuckDB SQL, with the users behind their rows where they are asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from airflow_provider_amc.sql.coerce import Value, quote_name, to_string
from airflow_provider_amc.sql.lineage import Carried, Measured, merged
from airflow_provider_amc.sql.owners import Groups, measures_of
from airflow_provider_amc.sql.scopes import Bound, Field, Owner, Scope
from airflow_provider_amc.sql.types import SqlType

#: A window function in DuckDB SQL. Text in quotes that looks like one does no harm.
_WINDOWED = re.compile(r" OVER [(\"]")


@dataclass(frozen=True)
class SelectParts:
    """The bound clauses of a SELECT.

    :param scope: the relations it reads.
    :param source: FROM and WHERE.
    :param columns: the select list.
    :param having: HAVING, or nothing.
    :param windows: WINDOW, or nothing.
    :param name: a name for the rows of the source, should they be needed more than once.
    """

    scope: Scope
    source: str
    columns: str
    having: str
    windows: str
    name: str

    def plain(self, fields: Sequence[Field], aggregated: bool) -> Bound:
        """The query without GROUP BY: the users behind a row are those behind the joined rows."""
        owners: list[Owner] = []
        items = [self.columns]
        for number, (owner, reference) in enumerate(self.scope.owners()):
            owners.append(Owner(owner.source, f"$u{number}", owner.many))
            items.append(f'{reference} AS "$u{number}"')
        extras = [owner.column for owner in owners]
        names: dict[str, str] = {}
        shown: list[Field] = []
        for field in fields:
            components: list[Carried | Measured] = []
            for one in field.lineage.components:
                if not isinstance(one, Carried) or not owners:
                    continue
                for _, column in one.columns:
                    if column not in names:
                        names[column] = f"$c{len(names)}"
                        extras.append(names[column])
                        items.append(f'{column} AS "{names[column]}"')
                columns = tuple((owner, f'"{names[column]}"') for owner, column in one.columns)
                components.append(replace(one, columns=columns))
            shown.append(replace(field, lineage=replace(field.lineage, components=tuple(components))))
        sql = f"SELECT {', '.join(items)}{self.source}{self.windows}"
        return Bound(sql, tuple(shown), aggregated, tuple(owners), tuple(extras))

    def grouped(self, fields: Sequence[Field], keys: Sequence[str], users: set[int], *, final: bool) -> Bound:
        """The query with GROUP BY or over all rows.

        :param fields: its output columns.
        :param keys: what it groups by.
        :param users: numbers of the owners whose user id is one of the keys.
        :param final: is this the last query?
        """
        owners = self.scope.owners()
        single = self.scope.determined_by(users)
        measures = measures_of([field for field in fields if field.metric or not final]) if owners else []
        groups = Groups(self.source, keys, owners, single, final)
        prefix, source, columns, having = "", self.source, self.columns, self.having
        if any(groups.measured_owners(measure) for measure in measures):
            prefix = f"WITH {quote_name(self.name)} AS MATERIALIZED (SELECT {self._packed()}{source}) "
            source = f" FROM {quote_name(self.name)}"
        windowed = {sql: f'"$g{number}"' for number, sql in enumerate(keys) if _WINDOWED.search(sql)}
        if windowed:
            # DuckDB does not group by window functions: a query below computes them
            computed = [f"{sql} AS {name}" for sql, name in windowed.items()]
            source = f' FROM (SELECT {", ".join([self._packed(), *computed])}{source}) AS "$windowed"'
            for sql in sorted(windowed, key=len, reverse=True):
                columns, having = columns.replace(sql, windowed[sql]), having.replace(sql, windowed[sql])
            keys = [windowed.get(key, key) for key in keys]
        tail = f" GROUP BY {', '.join(keys)}" if keys else ""
        bound = Groups(source, keys, owners, single, final).bound(
            columns, tail + having + self.windows, fields, measures
        )
        return replace(bound, sql=prefix + bound.sql)

    def _packed(self) -> str:
        packed = [one.packed() for one in self.scope.relations if one.used or one.owners]
        return ", ".join(packed) or "TRUE AS row"


def distinct_rows(bound: Bound, final: bool) -> Bound:
    """Equal rows of a query made one, behind which stand the users of all of them.

    :param bound: the query, with its users.
    :param final: is this the last query?
    """
    columns = [quote_name(field.column) for field in bound.fields]
    owners = [(owner, quote_name(owner.column)) for owner in bound.owners]
    single = frozenset(field.lineage.user for field in bound.fields if field.lineage.user is not None)
    measured: list[Field] = []
    for field, column in zip(bound.fields, columns, strict=True):
        carried = [one for one in field.lineage.components if isinstance(one, Carried)]
        measures = [
            Measured("", "", frozenset(owner for owner, _ in one.columns), (one,)) for one in carried if one.columns
        ]
        alone = frozenset(number for number in field.lineage.owners if not bound.owners[number].many)
        if len(carried) == 1 and alone and field.type.is_number:
            # A single user added all of it
            measures.append(Measured(column, "", alone))
        measured.append(replace(field, lineage=replace(field.lineage, components=tuple(measures))))
    groups = Groups(f" FROM ({bound.sql}) AS q", columns, owners, single, final)
    wanted = measures_of([field for field in measured if field.metric or not final])
    return groups.bound(", ".join(columns), f" GROUP BY {', '.join(columns)}", measured, wanted)


# --- UNION -----------------------------------------------------------------------------------------------------------


def _pairs(left: Sequence[Owner], right: Sequence[Owner]) -> list[tuple[int | None, int | None]]:
    """Owners of both sides that become one: the n-th use of a table on the left with the n-th on the right."""
    rest = list(range(len(right)))
    pairs: list[tuple[int | None, int | None]] = []
    for number, owner in enumerate(left):
        match = next((other for other in rest if right[other].source == owner.source), None)
        if match is not None:
            rest.remove(match)
        pairs.append((number, match))
    return [*pairs, *((None, other) for other in rest)]


def united(left: Bound, right: Bound, types: Sequence[SqlType]) -> Bound:
    """UNION ALL of two queries.

    :param left: the first, whose names the columns get.
    :param right: the second.
    :param types: the common types of the columns.
    """
    pairs = _pairs(left.owners, right.owners)
    owners: list[Owner] = []
    for number, pair in enumerate(pairs):
        both = [side.owners[one] for side, one in zip((left, right), pair, strict=True) if one is not None]
        owners.append(Owner(both[0].source, f"$u{number}", any(owner.many for owner in both)))
    sides = []
    fields: list[Field] = []
    names: list[str] = []
    shared: list[list[list[int]]] = []
    for one, other, kind in zip(left.fields, right.fields, types, strict=True):
        moved = [
            replace(field.lineage, owners=frozenset(_new_numbers(field.lineage.owners, pairs, side)), components=())
            for side, field in enumerate((one, other))
        ]
        shared.append(_shared_columns(one, other, owners, pairs))
        components = []
        for numbers in shared[-1]:
            components.append(Carried(tuple((n, f'"$c{len(names) + place}"') for place, n in enumerate(numbers))))
            names += [f"$c{len(names) + place}" for place in range(len(numbers))]
        user = _same_user(one.lineage.user, other.lineage.user, pairs)
        lineage = replace(merged(moved), user=user, components=tuple(components))
        fields.append(replace(one, type=kind, metric=one.metric or other.metric, lineage=lineage))
    for side, bound in enumerate((left, right)):
        items = [_as_type(field, target) for field, target in zip(bound.fields, fields, strict=True)]
        changed = any(item is not None for item in items)
        if not owners and not changed:
            sides.append(bound.sql)
            continue
        texts = [item or quote_name(field.column) for item, field in zip(items, bound.fields, strict=True)]
        texts = [f"{text} AS {quote_name(field.column)}" for text, field in zip(texts, fields, strict=True)]
        texts += [_owner_item(bound, pair[side], owner) for pair, owner in zip(pairs, owners, strict=True)]
        shares = [
            _share_item(bound, field, place, pairs[number][side])
            for field, components in zip(bound.fields, shared, strict=True)
            for place, numbers in enumerate(components)
            for number in numbers
        ]
        texts += [f'{text} AS "$c{position}"' for position, text in enumerate(shares)]
        sides.append(f"SELECT {', '.join(texts)} FROM ({bound.sql}) AS q")  # noqa: S608 (made of bound parts)
    extras = [*(owner.column for owner in owners), *names]
    sql = f"({sides[0]}) UNION ALL ({sides[1]})"
    return Bound(sql, tuple(fields), left.aggregated and right.aggregated, tuple(owners), tuple(extras))


def _new_numbers(owners: frozenset[int], pairs: Sequence[tuple[int | None, int | None]], side: int) -> list[int]:
    return [number for number, pair in enumerate(pairs) if pair[side] in owners]


def _same_user(one: int | None, other: int | None, pairs: Sequence[tuple[int | None, int | None]]) -> int | None:
    """The owner whose user id a column is on both sides."""
    return next((number for number, pair in enumerate(pairs) if one is not None and pair == (one, other)), None)


def _shared_columns(
    one: Field, other: Field, owners: Sequence[Owner], pairs: Sequence[tuple[int | None, int | None]]
) -> list[list[int]]:
    """For each metric in a column, the n-th of the left with the n-th of the right, the owners whose shares are known."""
    found: list[list[int]] = []
    for components in zip_longest(one.lineage.components, other.lineage.components):
        numbers: set[int] = set()
        for side, component in enumerate(components):
            old = frozenset(owner for owner, _ in getattr(component, "columns", ()))
            numbers.update(_new_numbers(old, pairs, side))
        found.append(sorted(number for number in numbers if owners[number].many))
    return found


def _as_type(field: Field, target: Field) -> str | None:
    """The column as string where the other side has strings; numbers DuckDB widens itself."""
    if field.type == target.type or field.type.is_open or target.type.kind != "STRING":
        return None
    return to_string(Value(quote_name(field.column), field.type)).sql


def _owner_item(bound: Bound, number: int | None, owner: Owner) -> str:
    if number is None:
        text = "NULL"
    else:
        text = quote_name(bound.owners[number].column)
        if owner.many and not bound.owners[number].many:
            text = f"CASE WHEN {text} IS NOT NULL THEN [{text}] END"
    return f"{text} AS {quote_name(owner.column)}"


def _share_item(bound: Bound, field: Field, place: int, number: int | None) -> str:
    """What the users of one side added to a metric of a column: a list as on the other side."""
    if number is None:
        return "NULL"
    components = field.lineage.components[place : place + 1]
    carried = components[0].column(number) if components and isinstance(components[0], Carried) else None
    owner, value = bound.owners[number], quote_name(field.column)
    known = components and not owner.many and number in field.lineage.owners and field.type.is_number
    if carried is not None or not known:
        return carried or "NULL"
    user = quote_name(owner.column)
    share = f"[{{'u': {user}, 'v': CAST({value} AS DOUBLE)}}]"
    return f"CASE WHEN {user} IS NOT NULL AND {value} IS NOT NULL THEN {share} END"


def unique_names(names: Sequence[str]) -> list[str]:
    """Names for DuckDB columns: equal names, whatever their case, get a number."""
    seen: dict[str, int] = {}
    unique: list[str] = []
    for name in names:
        count = seen.get(name.lower(), 0)
        seen[name.lower()] = count + 1
        unique.append(name if count == 0 else f"{name}${count}")
    return unique
