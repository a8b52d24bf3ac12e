"""AMC's privacy controls over the rows of a finished query.

Facts: AMC documentation, "Aggregation threshold" (levels, comparisons) and "Workflow management service" (the three
appended columns, effective and equivalent users). Where they are silent, this module decides:

- The number of users behind a row is the smallest of the numbers of distinct users per use of a table, and of the
  effective users per metric. A value is too sensitive when its column asks for more; from two users on, also when one
  user alone makes more than half of a metric.
- A table that has no part in a row is not asked. Rows without a user id have a part but add no user.
- The discriminator column takes precedence over ``privacyFilteringBehavior``. Merged rows add up their user counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_amc.sql.coerce import quote_name, quote_text
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.lineage import FREE
from airflow_provider_amc.sql.scopes import Bound, Check, Field
from airflow_provider_amc.sql.types import BOOLEAN, LONG, STRING, to_duckdb

REMOVE_ROWS = "REMOVE_ROWS"
REMOVE_VALUES = "REMOVE_VALUES"

#: Equivalent users are counted up to two, so more cannot be asked for.
_EQUIVALENT_REQUIRED = 2
_KINDS = {"plain": "users", "effective": "effective users", "equivalent": "equivalent users"}


@dataclass(frozen=True)
class Privacy:
    """How AMC treats rows that too few users stand behind (fields of a workflow).

    :param filtering: ``REMOVE_ROWS`` or ``REMOVE_VALUES`` (``privacyFilteringBehavior``).
    :param discriminator: name of the boolean column that tells rows with removed values
        (``filteredMetricsDiscriminatorColumn``); rows that became equal are then added up. ``None`` for none.
    :param user_count: name of the column with the number of users (``distinctUserCountColumn``).
    :param reason: name of the column that tells why values were removed (``filteredReasonColumn``).
    :raises ValueError: ``filtering`` is neither.
    """

    filtering: str = REMOVE_ROWS
    discriminator: str | None = None
    user_count: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.filtering not in (REMOVE_ROWS, REMOVE_VALUES):
            raise ValueError(f"filtering is {REMOVE_ROWS} or {REMOVE_VALUES}, not {self.filtering!r}")


def controlled(bound: Bound, privacy: Privacy) -> Bound:
    """A query whose output obeys the privacy controls.

    :param bound: the query with numbers of users.
    :param privacy: what to do with rows of too few users.
    :returns: the query, with the columns that were asked for behind its own.
    :raises AmcSqlError: an appended column has the name of another one.
    """
    return _Decision(bound, privacy).bound()


class _Decision:
    def __init__(self, bound: Bound, privacy: Privacy) -> None:
        self._bound = bound
        self._privacy = privacy
        self._required = max((field.lineage.required for field in bound.fields), default=1)
        self._added = self._added_fields()

    def _added_fields(self) -> dict[str, Field]:
        taken = {field.name.lower() for field in self._bound.fields}
        added: dict[str, Field] = {}
        for key, kind in (("discriminator", BOOLEAN), ("user_count", LONG), ("reason", STRING)):
            name = getattr(self._privacy, key)
            if name is None:
                continue
            if name.lower() in taken:
                raise AmcSqlError(
                    f"The query already has an output column '{name}': name the appended column otherwise."
                )
            taken.add(name.lower())
            added[key] = Field(name, kind, False, name)
        return added

    # --- numbers ---------------------------------------------------------------------------------------------------

    def _checks(self, *kinds: str) -> list[Check]:
        return [check for check in self._bound.checks or () if check.kind in kinds]

    def _smallest(self, *kinds: str) -> str:
        columns = [quote_name(check.column) for check in self._checks(*kinds)]
        # Two arguments at least; NULL is ignored
        return f"least({', '.join([*columns, 'NULL', 'NULL'])})" if columns else "CAST(NULL AS BIGINT)"

    def _too_sensitive(self, required: int) -> str:
        text = f'"$count" < {required}'
        if required >= _EQUIVALENT_REQUIRED:
            text += f' OR "$equal" < {_EQUIVALENT_REQUIRED}'
        return f"coalesce({text}, FALSE)"

    @property
    def _cap(self) -> int:
        return 100 if self._required >= 100 else 2

    def _capped(self, count: str) -> str:
        """A user count up to the cap; NULL, which DuckDB's ``least`` would skip, stays."""
        return f"CASE WHEN {count} > {self._cap} THEN {self._cap} ELSE {count} END"

    def _reasons(self) -> str:
        """DuckDB SQL of the first reason, as ``{k, n, p, t}``: kind, number, place, text. NULL without one."""
        branches: list[str] = []
        for rank, kind in enumerate(_KINDS):
            checks = self._checks(kind)
            if not checks:
                continue
            required = self._required if kind != "equivalent" else min(self._required, _EQUIVALENT_REQUIRED)
            if kind == "equivalent" and self._required < _EQUIVALENT_REQUIRED:
                continue
            smallest = self._smallest(kind)
            texts = " ".join(
                f"WHEN {quote_name(check.column)} = {smallest} THEN {{'k': {rank}, 'n': {smallest}, 'p': {place},"
                f" 't': {smallest} || {quote_text(self._reason(check, required))}}}"
                for place, check in enumerate(checks)
            )
            branches.append(f"WHEN {smallest} < {required} THEN CASE {texts} END")
        return f"CASE {' '.join(branches)} END" if branches else "NULL"

    def _reason(self, check: Check, required: int) -> str:
        owners = self._bound.owners
        source = owners[check.owner].source
        paths = [number for number, owner in enumerate(owners) if owner.source == source]
        path = f" (path {paths.index(check.owner) + 1} of {len(paths)})" if len(paths) > 1 else ""
        return f" '{source}'{path} {_KINDS[check.kind]} < {required} required"

    # --- the query -------------------------------------------------------------------------------------------------

    def bound(self) -> Bound:
        bound, privacy = self._bound, self._privacy
        fields = (*bound.fields, *self._added.values())
        if not bound.checks:
            # Nothing about users in it: no control applies
            values = {"discriminator": "FALSE", "user_count": "CAST(NULL AS BIGINT)", "reason": "CAST(NULL AS VARCHAR)"}
            items = [quote_name(field.column) for field in bound.fields]
            items += [f"{values[key]} AS {quote_name(field.column)}" for key, field in self._added.items()]
            sql = f"SELECT {', '.join(items)} FROM ({bound.sql}) AS q"  # noqa: S608 (made of bound parts)
            return Bound(self._merged(sql, True) if privacy.discriminator else sql, fields, bound.aggregated)
        counts = f'{self._smallest("plain", "effective")} AS "$count", {self._smallest("equivalent")} AS "$equal"'
        known = f"SELECT *, {counts} FROM ({bound.sql}) AS q"  # noqa: S608 (made of bound parts)
        removes_rows = privacy.discriminator is None and privacy.filtering == REMOVE_ROWS
        items = []
        for field in bound.fields:
            column = quote_name(field.column)
            text = column
            if not removes_rows:
                text = f"CASE WHEN NOT {self._too_sensitive(field.lineage.required)} THEN {column} END"
            items.append(f"{text} AS {column}")
        added = {
            "discriminator": self._too_sensitive(self._required),
            "user_count": self._capped('"$count"'),
            "reason": self._reasons() if not removes_rows else "NULL",
        }
        if "reason" in self._added and privacy.discriminator is None:
            added["reason"] = f"({added['reason']}).t" if added["reason"] != "NULL" else "CAST(NULL AS VARCHAR)"
        items += [f"{added[key]} AS {quote_name(field.column)}" for key, field in self._added.items()]
        sql = f"SELECT {', '.join(items)} FROM ({known}) AS q"  # noqa: S608 (made of bound parts)
        if removes_rows:
            sql += f" WHERE NOT {self._too_sensitive(self._required)}"
        elif privacy.discriminator is not None:
            sql = self._merged(sql, added["reason"] == "NULL")
        return Bound(sql, tuple(replace(field, lineage=FREE) for field in fields), bound.aggregated)

    def _merged(self, sql: str, no_reason: bool) -> str:
        """Rows that became equal added up."""
        items: list[str] = []
        keys: list[str] = []
        for field in (*self._bound.fields, self._added["discriminator"]):
            column = quote_name(field.column)
            if field.type.is_number and (field.metric or field.lineage.aggregate):
                kind = to_duckdb(field.type) if field.type.is_integer or field.type.precision else None
                items.append(f"CAST(sum({column}) AS {kind}) AS {column}" if kind else f"sum({column}) AS {column}")
            else:
                keys.append(column)
                items.append(column)
        if "user_count" in self._added:
            column = quote_name(self._added["user_count"].column)
            items.append(f"CAST({self._capped(f'sum({column})')} AS BIGINT) AS {column}")
        if "reason" in self._added:
            column = quote_name(self._added["reason"].column)
            items.append(f"{'CAST(NULL AS VARCHAR)' if no_reason else f'min({column}).t'} AS {column}")
        return f"SELECT {', '.join(items)} FROM ({sql}) AS q GROUP BY {', '.join(keys)}"  # noqa: S608 (bound parts)
