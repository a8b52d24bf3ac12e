"""The decision about every row of a result: which values are too sensitive, and what is shown instead.

(AMC documentation, "Aggregation threshold" and "Append aggregation threshold columns".)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.sql.privacy.rows import ANONYMOUS, Field, Relation, Row

Rows = list[tuple[object, ...]]

#: The kinds of user count, the least restrictive first, with their words in the text of the reason.
_PLAIN, _EFFECTIVE, _EQUIVALENT = 0, 1, 2
_WORDS = ["users", "effective users", "equivalent users"]


@dataclass(frozen=True)
class Mode:
    """What a workflow asks for.

    :param filtering: ``REMOVE_ROWS`` or ``REMOVE_VALUES``.
    :param discriminator: null sensitive values and merge equal rows, whatever ``filtering`` says?
    :param user_count: append the user count?
    :param reason: append the reason?
    """

    filtering: str = "REMOVE_ROWS"
    discriminator: bool = False
    user_count: bool = False
    reason: bool = False


@dataclass(frozen=True, order=True)
class Count:
    """A number of users that a row has on a path."""

    kind: int
    number: int
    path: int


@dataclass(frozen=True)
class Judged:
    """A row after the decision.

    :param values: its values, ``None`` for those that are too sensitive.
    :param filtered: was one?
    :param users: the count that is shown; ``None`` where nothing belongs to users.
    :param missed: the counts that were too small, the one to be told first.
    """

    values: tuple[object, ...]
    filtered: bool
    users: int | None
    missed: tuple[Count, ...]


def shown(relation: Relation, mode: Mode) -> Rows:
    """The rows that a workflow gives back.

    :param relation: its rows before the thresholds.
    :param mode: what it asks for.
    """
    cap = 100 if any(field.required == 100 for field in relation.fields) else 2
    judged = [_judged(row, relation.fields, cap) for row in relation.rows]
    if mode.discriminator:
        judged = _merged(judged, relation.fields, cap)
    elif mode.filtering == "REMOVE_ROWS":
        judged = [row for row in judged if not row.filtered]
    result: Rows = []
    for row in judged:
        values = row.values
        values += (row.filtered,) if mode.discriminator else ()
        values += (row.users,) if mode.user_count else ()
        values += (_reason(row, relation),) if mode.reason else ()
        result.append(values)
    return result


def counts(row: Row, fields: Sequence[Field]) -> list[Count]:
    """All user counts of a row. A path that the row does not have is not counted."""
    found = []
    for path, users in enumerate(row.owners):
        if users:
            found.append(Count(_PLAIN, len(users - {ANONYMOUS}), path))
    for cell, field in zip(row.cells, fields, strict=True):
        if not field.metric:
            continue
        for parts in cell.parts:
            for path, amounts in parts.items():
                found += _metric_counts(amounts, path)
    return found


def _metric_counts(amounts: dict[str | None, Fraction | int], path: int) -> list[Count]:
    total = sum(amounts.values())
    if total == 0:
        return []
    known = [abs(amount) for user, amount in amounts.items() if user is not ANONYMOUS and amount != 0]
    found = [Count(_EFFECTIVE, len(known), path)]
    if known:
        found.append(Count(_EQUIVALENT, int(Fraction(abs(total)) / max(known)), path))
    return found


def _judged(row: Row, fields: Sequence[Field], cap: int) -> Judged:
    values = tuple(cell.value for cell in row.cells)
    found = counts(row, fields)
    if not found:
        return Judged(values, False, None, ())
    users = min(count.number for count in found if count.kind != _EQUIVALENT)
    one_user_dominates = any(count.kind == _EQUIVALENT and count.number < 2 for count in found)
    sensitive = [users < field.required or (field.required >= 2 and one_user_dominates) for field in fields]
    strictest = max(field.required for field in fields)
    limits = {_PLAIN: strictest, _EFFECTIVE: strictest, _EQUIVALENT: 2 if strictest >= 2 else 0}
    missed = sorted(count for count in found if count.number < limits[count.kind])
    values = tuple(None if hide else value for value, hide in zip(values, sensitive, strict=True))
    return Judged(values, any(sensitive), min(users, cap), tuple(missed) if any(sensitive) else ())


def _merged(rows: Sequence[Judged], fields: Sequence[Field], cap: int) -> list[Judged]:
    """Rows that have become equal, but for what can be added up, become one."""
    groups: dict[tuple[object, ...], list[Judged]] = {}
    for row in rows:
        kept = [value for value, field in zip(row.values, fields, strict=True) if not field.additive]
        groups.setdefault((row.filtered, *kept), []).append(row)
    merged = []
    for group in groups.values():
        values = [
            _sum([row.values[place] for row in group]) if field.additive else group[0].values[place]
            for place, field in enumerate(fields)
        ]
        users = _sum([row.users for row in group])
        assert users is None or isinstance(users, int)
        missed = sorted(count for row in group for count in row.missed)
        capped = None if users is None else min(users, cap)
        merged.append(Judged(tuple(values), group[0].filtered, capped, tuple(missed)))
    return merged


def _sum(values: Sequence[object]) -> object:
    numbers = [value for value in values if value is not None]
    return sum(numbers) if numbers else None  # type: ignore[arg-type]


def _reason(row: Judged, relation: Relation) -> str | None:
    if not row.missed:
        return None
    count = row.missed[0]
    source = relation.paths[count.path]
    uses = [path for path, other in enumerate(relation.paths) if other == source]
    place = f" (path {uses.index(count.path) + 1} of {len(uses)})" if len(uses) > 1 else ""
    required = 2 if count.kind == _EQUIVALENT else max(field.required for field in relation.fields)
    return f"{count.number} '{source}'{place} {_WORDS[count.kind]} < {required} required"
