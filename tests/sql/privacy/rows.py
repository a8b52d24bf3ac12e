"""Rows that know who is behind them.

A relation has *paths*: one for every use of a table that has a ``user_id``. A row has for each path the set of its
users (empty: no row of that table is behind it), and for each of its values what every user put into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

#: The user of rows without ``user_id``.
ANONYMOUS = None

#: Distinct users that a level asks for (AMC documentation, "Aggregation threshold"). ``None``: never shown.
USERS_REQUIRED: dict[str, int | None] = {
    "NONE": 1,
    "LOW": 2,
    "MEDIUM": 100,
    "HIGH": 100,
    "VERY_HIGH": None,
    "INTERNAL": None,
}
_LEVELS = list(USERS_REQUIRED)

Users = frozenset[str | None]
#: What users put into a metric: path, then user, then amount.
Parts = dict[int, dict[str | None, Fraction | int]]


def highest(levels: Iterable[str]) -> str:
    """The strictest of some levels."""
    return max(levels, key=_LEVELS.index, default="NONE")


@dataclass(frozen=True)
class Field:
    """What is known of a column before any row is seen.

    :param level: the strictest level of the values in it.
    :param kind: ``text``, ``integer`` or ``real``.
    :param metric: would ``outputColumns`` call it a METRIC?
    :param aggregated: is it made of an aggregate that has not become a group key?
    :param paths: the paths whose columns it was read from.
    :param components: for every SUM and COUNT it is made of, the paths on which users contribute to it.
    """

    name: str
    level: str = "NONE"
    kind: str = "integer"
    metric: bool = False
    aggregated: bool = False
    paths: frozenset[int] = frozenset()
    components: tuple[frozenset[int], ...] = ()

    @property
    def additive(self) -> bool:
        """Does a merge of rows add it up? Otherwise it merges only equal values."""
        return self.metric or (self.aggregated and self.kind != "text")

    @property
    def required(self) -> int:
        """The users it needs."""
        users = USERS_REQUIRED[self.level]
        assert users is not None, f"{self.name} is {self.level} and may not be shown"
        return users

    def shifted(self, places: Sequence[int]) -> Field:
        """The field in a relation where path ``n`` has the number ``places[n]``."""
        return replace(
            self,
            paths=frozenset(places[path] for path in self.paths),
            components=tuple(frozenset(places[path] for path in component) for component in self.components),
        )


@dataclass(frozen=True)
class Cell:
    """A value of a row, with the parts of each component of its field."""

    value: object = None
    parts: tuple[Parts, ...] = ()

    def shifted(self, places: Sequence[int]) -> Cell:
        """See :meth:`Field.shifted`."""
        return Cell(
            self.value, tuple({places[path]: dict(users) for path, users in part.items()} for part in self.parts)
        )


@dataclass(frozen=True)
class Row:
    """Values, and for each path the users behind them."""

    cells: tuple[Cell, ...]
    owners: tuple[Users, ...]


@dataclass(frozen=True)
class Relation:
    """Fields, the table of each path, and rows."""

    fields: tuple[Field, ...]
    paths: tuple[str, ...]
    rows: tuple[Row, ...]

    def values(self, column: str) -> set[object]:
        """The distinct values of a column."""
        (place,) = (place for place, field in enumerate(self.fields) if field.name == column)
        return {row.cells[place].value for row in self.rows}


def joined_owners(rows: Sequence[Row]) -> tuple[Users, ...]:
    """For each path, the users of some rows together."""
    return tuple(frozenset().union(*users) for users in zip(*(row.owners for row in rows), strict=True))


def added(many: Iterable[Parts]) -> Parts:
    """Parts of the same component on several rows, user by user."""
    total: Parts = {}
    for parts in many:
        for path, users in parts.items():
            into = total.setdefault(path, {})
            for user, amount in users.items():
                into[user] = into.get(user, 0) + amount
    return total


def share(
    amount: Fraction | int, users: Users, basis: dict[str | None, Fraction | int]
) -> dict[str | None, Fraction | int]:
    """Divide what a row gives to a metric between the row's users.

    In proportion to what they put into the metric it was made of, or in equal parts where that says nothing.
    """
    if len(users) == 1:
        return dict.fromkeys(users, amount)
    whole = sum(basis.values())
    if whole:
        return {user: Fraction(amount * part) / whole for user, part in basis.items()}
    return dict.fromkeys(users, Fraction(amount) / len(users))
