"""Where the values of an expression come from: sensitivity, literals, users, and the metrics inside.

Levels and their meaning: AMC documentation, "Aggregation threshold". That literals must not be compared with values of
HIGH and higher columns, directly or derived, is stated there as well; which expressions count as derived is this
project's reading of it, written down in :class:`Lineage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

#: Aggregation thresholds of columns, from free to never shown.
LEVELS = ("NONE", "LOW", "MEDIUM", "HIGH", "VERY_HIGH", "INTERNAL")
_PROTECTED = LEVELS.index("HIGH")
_HIDDEN = LEVELS.index("VERY_HIGH")
#: Distinct users that must stand behind a row for a value of the level to be shown.
REQUIRED_USERS = (1, 2, 100, 100)

#: Functions that return one of their arguments: a literal among them can be the value.
_SELECTING = frozenset({"COALESCE", "IFNULL", "NVL", "NVL2", "IF", "NULLIF", "GREATEST", "LEAST"})
#: Functions whose first argument decides and is not part of the value.
_DECIDED_BY_FIRST = frozenset({"IF", "NVL2"})
#: Functions that compare their arguments with each other.
COMPARING = frozenset({
    "NULLIF", "GREATEST", "LEAST", "CONTAINED_IN", "ARRAY_CONTAINS", "ARRAY_COMPLEMENT", "ARRAY_INTERSECT",
    "ARRAY_REMOVE", "ARRAY_UNION", "REGEXP_REPLACE", "REGEXP_SUBSTR", "REGEXP_SPLIT", "REPLACE", "CHARINDEX", "LOCATE",
    "POSITION", "STRPOS", "INSTR",
})  # fmt: skip


@dataclass(frozen=True)
class Carried:
    """A metric that was added up over several users below; a column holds what each of them added.

    :param columns: by number of the owner, DuckDB SQL of a list of ``{u, v}``: a user's key and share.
    """

    columns: tuple[tuple[int, str], ...]

    def column(self, owner: int) -> str | None:
        """The column with the shares of an owner's users."""
        return dict(self.columns).get(owner)


@dataclass(frozen=True)
class Measured:
    """A SUM or COUNT over the rows of the present query.

    :param value: DuckDB SQL of what a row adds; empty for what its users added to a single carried metric.
    :param condition: DuckDB SQL of the rows that count (FILTER), empty for all.
    :param owners: owners whose columns the argument reads.
    :param carried: the metrics in the argument whose shares are known; the first with an owner divides the value among
        the owner's users.
    """

    value: str
    condition: str
    owners: frozenset[int]
    carried: tuple[Carried, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """What is known about the origin of a value.

    :param level: highest aggregation threshold of the columns whose values can appear in it, index of ``LEVELS``.
    :param literal: can a literal or parameter be the value, or a part of it?
    :param aggregate: is it made of the result of an aggregate function?
    :param owners: numbers of the owners (uses of tables with users) whose columns it reads.
    :param user: number of the owner whose user id it is, if it is one.
    :param components: the sums and counts it is made of.
    """

    level: int = 0
    literal: bool = False
    aggregate: bool = False
    owners: frozenset[int] = frozenset()
    user: int | None = None
    components: tuple[Carried | Measured, ...] = ()

    @property
    def protected(self) -> bool:
        """Must it not be compared with literals?"""
        return self.level >= _PROTECTED

    @property
    def hidden(self) -> bool:
        """May it never be shown?"""
        return self.level >= _HIDDEN

    @property
    def mixed(self) -> bool:
        """Can it be a literal as well as a protected value?"""
        return self.protected and self.literal

    @property
    def required(self) -> int:
        """Distinct users needed to show it."""
        return REQUIRED_USERS[min(self.level, len(REQUIRED_USERS) - 1)]

    def as_group(self) -> Lineage:
        """The same value as a key of GROUP BY: no longer a metric to be divided among users."""
        return replace(self, aggregate=False, components=())

    def shown_outside(self) -> Lineage:
        """What of it matters outside of a sub-query in an expression: rows there are not rows here."""
        return replace(self, owners=frozenset(), user=None, components=())

    def moved(self, offset: int, alias: str) -> Lineage:
        """The lineage of a column, seen by a query that reads it.

        :param offset: number of the relation's first owner in that query.
        :param alias: the relation's alias as a DuckDB identifier.
        """
        components = tuple(
            replace(
                component,
                columns=tuple((owner + offset, f"{alias}.{column}") for owner, column in component.columns),
            )
            for component in self.components
            if isinstance(component, Carried)
        )
        return replace(
            self,
            owners=frozenset(owner + offset for owner in self.owners),
            user=None if self.user is None else self.user + offset,
            components=components,
        )


#: The lineage of conditions and of everything else that shows no value of a column.
FREE = Lineage()
LITERAL = Lineage(literal=True)


def merged(parts: Iterable[Lineage]) -> Lineage:
    """The lineage of a value made of others."""
    found = list(parts)
    components: dict[Carried | Measured, None] = {}
    for part in found:
        components.update(dict.fromkeys(part.components))
    return Lineage(
        level=max((part.level for part in found), default=0),
        literal=any(part.literal for part in found),
        aggregate=any(part.aggregate for part in found),
        owners=frozenset().union(*(part.owners for part in found)),
        components=tuple(components),
    )


def computed(parts: Iterable[Lineage]) -> Lineage:
    """The lineage of a value calculated from others: a literal that helps to change a protected value is not one."""
    found = list(parts)
    together = merged(found)
    if together.protected and not any(part.mixed for part in found):
        return replace(together, literal=False)
    return together


def of_call(name: str, arguments: Iterable[Lineage]) -> Lineage:
    """The lineage of a call of a scalar function.

    :param name: its name, upper case.
    :param arguments: of its arguments.
    """
    found = list(arguments)
    owners = merged(found).owners
    if name in ("CONTAINED_IN", "ARRAY_CONTAINS"):
        return Lineage(owners=owners)
    if name in _DECIDED_BY_FIRST:
        found = found[1:]
    return replace(merged(found) if name in _SELECTING else computed(found), owners=owners)


def is_refused(compared: Iterable[Lineage]) -> bool:
    """Does comparing these with each other compare a literal with a protected value?"""
    found = list(compared)
    return any(part.protected for part in found) and any(part.literal for part in found)


#: Said about every refused comparison.
REFUSAL = (
    "Values of columns with the aggregation threshold HIGH, VERY_HIGH or INTERNAL cannot be compared with literals or "
    "parameters, neither directly nor through values derived from them"
)

#: Said about an output column with values that are never shown; holds its name.
HIDDEN = (
    "Output column '{}' contains values of a column with the aggregation threshold VERY_HIGH or INTERNAL, which cannot "
    "be part of the output: drop it, or aggregate it with COUNT or COUNT(DISTINCT)"
)


def level_of(threshold: str) -> int:
    """The level of a column by the name of its aggregation threshold.

    :raises ValueError: there is no such threshold.
    """
    return LEVELS.index(threshold)
