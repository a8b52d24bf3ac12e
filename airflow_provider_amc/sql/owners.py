"""Who is behind the rows of an aggregating query: DuckDB SQL that counts users and keeps what each of them added.

A row of a table has one user. After GROUP BY a row has, per use of a table, either one user still (when the query
groups by the user id) or a set of them. Every SUM and COUNT is added up per user as well, so that in the end "effective"
and "equivalent" users can be told (AMC documentation, "Workflow management service", filtered reason).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_provider_amc.sql.coerce import quote_name
from airflow_provider_amc.sql.lineage import Carried, Measured
from airflow_provider_amc.sql.scopes import Bound, Check, Field, Owner

#: The column of a table that holds the key of the user; see :func:`with_user_keys`.
USER_COLUMN = "$user"
#: The key of rows that have no user id.
_NOBODY = "0"
#: Sums of fractions that should be equal differ in the last digits.
_TOLERANCE = "1.000000001"


def with_user_keys(read: str) -> str:
    """A query of a table with a number for each user in place of the user's id, 0 for none.

    :param read: a query that returns the user as ``$user``.
    """
    column = quote_name(USER_COLUMN)
    key = f"CASE WHEN {column} IS NULL THEN CAST({_NOBODY} AS UBIGINT) ELSE hash({column}) END"
    return f"SELECT * REPLACE ({key} AS {column}) FROM ({read}) AS t"  # noqa: S608 (made of bound parts)


@dataclass(frozen=True)
class _Part:
    """A sub-query with one row a group, joined to the groups."""

    sql: str
    columns: tuple[str, ...]


def _identified(users: str) -> str:
    return f"len(list_filter({users}, lambda u: u <> {_NOBODY}))"


def _all_users(reference: str) -> str:
    """The users of several sets together, NULL where no row has a set."""
    return f"list_distinct(flatten(list({reference}) FILTER (WHERE {reference} IS NOT NULL)))"


def _shares(measure: Measured, owner: int, reference: str) -> str:
    """What each user of a row added to a measure, as a list; for rows with a set of users."""
    column = next((found for one in measure.carried if (found := one.column(owner)) is not None), None)
    if not measure.value:
        return column or "NULL"
    value = f"CAST({measure.value} AS DOUBLE)"
    shares = f"list_transform({reference}, lambda u: {{'u': u, 'v': {value} / len({reference})}})"
    if column is not None:
        total = f"list_sum(list_transform({column}, lambda e: e.v))"
        divided = f"list_transform({column}, lambda e: {{'u': e.u, 'v': {value} * e.v / {total}}})"
        shares = f"CASE WHEN {total} <> 0 THEN {divided} ELSE {shares} END"
    condition = f"{measure.value} IS NOT NULL" + (f" AND {measure.condition}" if measure.condition else "")
    return f"CASE WHEN {condition} THEN {shares} END"


def _effective(total: str) -> str:
    """How many users' sums are not zero, NULL where the whole is zero. Over a group of rows ``u, <total>``."""
    return f"CASE WHEN sum({total}) <> 0 THEN count(*) FILTER (WHERE u <> {_NOBODY} AND {total} <> 0) END"


def _equivalent(total: str) -> str:
    """The whole as a multiple of the largest sum of a user, cut to an integer."""
    largest = f"max(abs({total})) FILTER (WHERE u <> {_NOBODY})"
    ratio = f"abs(CAST(sum({total}) AS DOUBLE)) / {largest} * {_TOLERANCE}"
    return f"CASE WHEN sum({total}) <> 0 AND {largest} > 0 THEN CAST(floor(least({ratio}, 1e9)) AS BIGINT) END"


def _listed(total: str) -> str:
    """All sums as a list of ``{u, v}``."""
    return f"list({{'u': u, 'v': CAST({total} AS DOUBLE)}}) FILTER (WHERE {total} IS NOT NULL)"


def measures_of(fields: Sequence[Field]) -> list[Measured]:
    """The sums and counts that output columns are made of, each once."""
    found = [one for field in fields for one in field.lineage.components if isinstance(one, Measured)]
    return list(dict.fromkeys(found))


def _with_shares(field: Field, carried: Mapping[Measured, tuple[tuple[int, str], ...]]) -> Field:
    """An output column that knows where the shares of its measures are kept; of a single user's there are none."""
    components = [Carried(carried.get(one, ())) for one in field.lineage.components if isinstance(one, Measured)]
    return replace(field, lineage=replace(field.lineage, components=tuple(components)))


class Groups:
    """The rows of an aggregating query and who is behind them.

    :param source: the FROM of the query, with its WHERE if no shares are asked for.
    :param keys: DuckDB SQL of what it groups by.
    :param owners: who is behind a row of the source, with the SQL of the columns.
    :param single: numbers of the owners that have one user at most in each group.
    :param final: is this the last aggregation, after which only numbers of users matter?
    """

    def __init__(
        self, source: str, keys: Sequence[str], owners: Sequence[tuple[Owner, str]], single: frozenset[int], final: bool
    ) -> None:
        self._source = source
        self._keys = keys
        self._owners = owners
        self._single = frozenset(
            number for number, (owner, _) in enumerate(owners) if number in single and not owner.many
        )
        self._final = final

    def measured_owners(self, measure: Measured) -> list[int]:
        """The owners whose users' shares of a measure are worth to know: those with several users in a group."""
        asked = measure.owners or frozenset(range(len(self._owners)))
        return sorted(asked - self._single)

    def bound(
        self, columns: str, tail: str, fields: Sequence[Field], measures: Sequence[Measured], aggregated: bool = True
    ) -> Bound:
        """The query with its users.

        :param columns: DuckDB SQL of the select list.
        :param tail: GROUP BY, HAVING and WINDOW.
        :param fields: the output columns.
        :param measures: the sums and counts whose shares are asked for.
        :param aggregated: see :class:`~airflow_provider_amc.sql.scopes.Bound`.
        """
        numbered = list(enumerate(measures))
        wanted = [(number, owner) for number, one in numbered for owner in self.measured_owners(one)]
        parts = self._parts(measures, wanted)
        users = [self._users(number) for number in range(len(self._owners))]
        keys = [f'{key} AS "$k{number}"' for number, key in enumerate(self._keys)] if parts else []
        main = f"SELECT {', '.join([columns, *users, *keys])}{self._source}{tail}"
        extras = [f"${'n' if self._final else 'u'}{number}" for number in range(len(self._owners))]
        if parts:
            listed = [*(f"m.{quote_name(field.column)}" for field in fields), *(f'm."{name}"' for name in extras)]
            listed += [f'p{number}."{name}"' for number, part in enumerate(parts) for name in part.columns]
            joins = "".join(f" {self._join(number, part)}" for number, part in enumerate(parts))
            main = f"SELECT {', '.join(listed)} FROM ({main}) AS m{joins}"  # noqa: S608 (bound parts)
            extras += [name for part in parts for name in part.columns]
        if self._final:
            checks = [Check("plain", number, f"$n{number}") for number in range(len(self._owners))]
            for kind, letter in (("effective", "e"), ("equivalent", "q")):
                checks += [Check(kind, owner, f"${letter}{number}_{owner}") for number, owner in wanted]
            return Bound(main, tuple(fields), aggregated, self._owners_after(), tuple(extras), tuple(checks))
        carried = {
            measure: tuple((owner, f'"$c{number}_{owner}"') for other, owner in wanted if other == number)
            for number, measure in enumerate(measures)
        }
        shown = tuple(_with_shares(field, carried) for field in fields)
        return Bound(main, shown, aggregated, self._owners_after(), tuple(extras))

    def _owners_after(self) -> tuple[Owner, ...]:
        return tuple(
            Owner(owner.source, f"$u{number}", number not in self._single)
            for number, (owner, _) in enumerate(self._owners)
        )

    def _users(self, number: int) -> str:
        """The column that tells an owner's users of a group, or their number."""
        owner, reference = self._owners[number]
        if number in self._single:
            text = f"max({reference})"
            if self._final:
                text = f"CASE WHEN {text} IS NOT NULL THEN CAST({text} <> {_NOBODY} AS BIGINT) END"
        elif owner.many:
            text = _all_users(reference)
            if self._final:
                text = f"CASE WHEN {text} IS NOT NULL THEN {_identified(text)} END"
        elif self._final:
            users = f"count(DISTINCT {reference}) FILTER (WHERE {reference} <> {_NOBODY})"
            text = f"CASE WHEN count({reference}) > 0 THEN {users} END"
        else:
            text = f"list(DISTINCT {reference}) FILTER (WHERE {reference} IS NOT NULL)"
        return f'{text} AS "${"n" if self._final else "u"}{number}"'

    def _join(self, number: int, part: _Part) -> str:
        if not self._keys:
            return f"CROSS JOIN ({part.sql}) AS p{number}"
        same = " AND ".join(f'm."$k{key}" IS NOT DISTINCT FROM p{number}."$k{key}"' for key in range(len(self._keys)))
        return f"LEFT JOIN ({part.sql}) AS p{number} ON {same}"

    # --- shares --------------------------------------------------------------------------------------------------

    def _parts(self, measures: Sequence[Measured], wanted: Sequence[tuple[int, int]]) -> list[_Part]:
        parts: list[_Part] = []
        for owner in sorted({owner for _, owner in wanted}):
            numbers = [number for number, other in wanted if other == owner]
            if self._owners[owner][0].many:
                parts += [self._from_sets(measures[number], number, owner) for number in numbers]
            else:
                parts.append(self._from_users([(number, measures[number]) for number in numbers], owner))
        return parts

    def _results(self, total: str, number: int, owner: int) -> list[tuple[str, str]]:
        if self._final:
            return [(_effective(total), f"$e{number}_{owner}"), (_equivalent(total), f"$q{number}_{owner}")]
        return [(_listed(total), f"$c{number}_{owner}")]

    def _outer(self, results: Sequence[tuple[str, str]], inner: str) -> _Part:
        keys = [f'"$k{number}"' for number in range(len(self._keys))]
        items = [*keys, *(f'{text} AS "{name}"' for text, name in results)]
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        sql = f"SELECT {', '.join(items)} FROM ({inner}) AS s{group}"  # noqa: S608 (bound parts)
        return _Part(sql, tuple(name for _, name in results))

    def _from_users(self, measures: Sequence[tuple[int, Measured]], owner: int) -> _Part:
        """One pass for all measures over rows with one user each."""
        reference = self._owners[owner][1]
        items = [f'{key} AS "$k{number}"' for number, key in enumerate(self._keys)]
        items.append(f"{reference} AS u")
        results: list[tuple[str, str]] = []
        for number, measure in measures:
            condition = f" FILTER (WHERE {measure.condition})" if measure.condition else ""
            items.append(f"sum({measure.value}){condition} AS s{number}")
            results += self._results(f"s{number}", number, owner)
        inner = f"SELECT {', '.join(items)}{self._source} WHERE {reference} IS NOT NULL"
        return self._outer(results, f"{inner} GROUP BY {', '.join([*self._keys, reference])}")

    def _from_sets(self, measure: Measured, number: int, owner: int) -> _Part:
        """A pass for one measure over rows with a set of users each."""
        reference = self._owners[owner][1]
        keys = [f'{key} AS "$k{position}"' for position, key in enumerate(self._keys)]
        names = [f'"$k{position}"' for position in range(len(self._keys))]
        shares = f"unnest({_shares(measure, owner, reference)}) AS e"
        rows = f"SELECT {', '.join([*keys, shares])}{self._source}"
        inner = f"SELECT {', '.join([*names, 'e.u AS u', 'round(sum(e.v), 9) AS s'])} FROM ({rows}) AS r"  # noqa: S608
        return self._outer(self._results("s", number, owner), f"{inner} GROUP BY {', '.join([*names, 'e.u'])}")


def counted(bound: Bound) -> Bound:
    """A query that does not aggregate itself, with numbers in place of its users."""
    items = [quote_name(field.column) for field in bound.fields]
    checks: list[Check] = []

    def add(kind: str, owner: int, name: str, text: str) -> None:
        items.append(f'{text} AS "{name}"')
        checks.append(Check(kind, owner, name))

    for number, owner in enumerate(bound.owners):
        column = quote_name(owner.column)
        count = _identified(column) if owner.many else f"CAST({column} <> {_NOBODY} AS BIGINT)"
        add("plain", number, f"$n{number}", f"CASE WHEN {column} IS NOT NULL THEN {count} END")
    shares = {
        (number, column)
        for field in bound.fields
        if field.metric
        for component in field.lineage.components
        for number, column in getattr(component, "columns", ())
    }
    for position, (number, column) in enumerate(sorted(shares)):
        total = f"list_sum(list_transform({column}, lambda e: e.v))"
        given = f"list_filter({column}, lambda e: e.u <> {_NOBODY} AND e.v <> 0)"
        largest = f"list_max(list_transform({given}, lambda e: abs(e.v)))"
        ratio = f"CAST(floor(least(abs({total}) / {largest} * {_TOLERANCE}, 1e9)) AS BIGINT)"
        add("effective", number, f"$e{position}", f"CASE WHEN {total} <> 0 THEN len({given}) END")
        add("equivalent", number, f"$q{position}", f"CASE WHEN {total} <> 0 THEN {ratio} END")
    sql = f"SELECT {', '.join(items)} FROM ({bound.sql}) AS q"  # noqa: S608 (bound parts)
    extras = tuple(check.column for check in checks)
    return replace(bound, sql=sql, extras=extras, checks=tuple(checks))
