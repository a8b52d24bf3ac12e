"""What names mean inside a query: relations, their fields, and the scopes that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from airflow_provider_amc.sql.coerce import Value, quote_name
from airflow_provider_amc.sql.lineage import FREE, Lineage
from airflow_provider_amc.sql.types import SqlType


@dataclass(frozen=True)
class Field:
    """A column of a relation.

    :param name: its name.
    :param type: its type.
    :param metric: is it, or does it come from, a metric?
    :param column: its name in DuckDB, which differs when two columns of a query have the same name.
    :param lineage: where its values come from, seen from the query that makes the relation.
    """

    name: str
    type: SqlType
    metric: bool
    column: str
    lineage: Lineage = FREE


@dataclass(frozen=True)
class Owner:
    """The users behind the rows of a relation, through one use of one table.

    :param source: name of the table.
    :param column: the column that tells them: the key of a user (0 for rows without a user id), or a list of keys, and
        NULL where the table has no part in a row.
    :param many: is it a list?
    """

    source: str
    column: str
    many: bool = False


@dataclass(frozen=True)
class Check:
    """A number of users that every output row of a query has.

    :param kind: ``plain``, ``effective`` or ``equivalent``.
    :param owner: number of the owner.
    :param column: the column that holds it, NULL where it does not apply.
    """

    kind: str
    owner: int
    column: str


@dataclass
class Relation:
    """Something in a FROM clause.

    :param alias: its name in the query.
    :param fields: its fields by name, lower case.
    :param is_table: is it a table of AMC, of which ``*`` may not be asked?
    :param used: names of the fields a query reads; tables are read with these columns only.
    :param owners: who is behind its rows.
    :param offset: number of its first owner within the scope.
    """

    alias: str
    fields: Mapping[str, Field]
    is_table: bool = False
    used: set[str] = field(default_factory=set)
    owners: tuple[Owner, ...] = ()
    offset: int = 0

    def value(self, name: str) -> Value:
        """One of its fields as an expression, which counts as using it."""
        found = self.fields[name]
        self.used.add(name)
        alias = quote_name(self.alias)
        lineage = found.lineage.moved(self.offset, alias)
        return Value(f"{alias}.{quote_name(found.column)}", found.type, found.metric, lineage=lineage)

    def packed(self) -> str:
        """The columns in use as one DuckDB column named like the relation, so that references to them stay valid."""
        alias = quote_name(self.alias)
        columns = [quote_name(self.fields[name].column) for name in sorted(self.used)]
        columns += [quote_name(owner.column) for owner in self.owners]
        for name in sorted(self.used):
            for component in self.fields[name].lineage.components:
                columns += [column for _, column in getattr(component, "columns", ())]
        items = ", ".join(f"{column} := {alias}.{column}" for column in dict.fromkeys(columns))
        return f"struct_pack({items}) AS {alias}"


@dataclass
class Scope:
    """The relations of one SELECT.

    :param relations: in the order of the FROM clause.
    :param parent: the scope around it, for correlated sub-queries.
    :param merged: columns that USING joined, which may be named without a relation.
    :param same_user: pairs of owners: in a row, the user of the first is that of the second, if the second has one.
    """

    relations: list[Relation] = field(default_factory=list)
    parent: Scope | None = None
    merged: set[str] = field(default_factory=set)
    same_user: set[tuple[int, int]] = field(default_factory=set)

    def add(self, relation: Relation) -> None:
        """Add a relation behind the others."""
        relation.offset = sum(len(other.owners) for other in self.relations)
        self.relations.append(relation)

    def owners(self) -> list[tuple[Owner, str]]:
        """Who is behind a row: the owners of all relations in order, each with the SQL of its column."""
        return [
            (owner, f"{quote_name(relation.alias)}.{quote_name(owner.column)}")
            for relation in self.relations
            for owner in relation.owners
        ]

    def determined_by(self, owners: set[int]) -> frozenset[int]:
        """The owners that have one user at most where each of the given ones has one."""
        found, size = set(owners), -1
        while len(found) != size:
            size = len(found)
            found |= {second for first, second in self.same_user if first in found}
        return frozenset(found)

    def named(self, alias: str) -> Relation | None:
        """The relation with an alias, also of the scopes around."""
        for scope in self._outward():
            for relation in scope.relations:
                if relation.alias.lower() == alias.lower():
                    return relation
        return None

    def holding(self, column: str) -> list[Relation]:
        """The relations that have a column, from the innermost scope that has it."""
        for scope in self._outward():
            found = [relation for relation in scope.relations if column.lower() in relation.fields]
            if found:
                return found[:1] if column.lower() in scope.merged else found
        return []

    def _outward(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass(frozen=True)
class Context:
    """How names and calls are understood at some place of a query.

    :param scope: the relations in reach.
    :param groups: DuckDB SQL of the GROUP BY expressions; ``None`` where columns may be used freely.
    :param aggregates: are aggregate functions allowed here?
    :param aliases: expressions that may be named by their alias (GROUP BY, HAVING).
    :param windows: names of the WINDOW clause, lower case.
    """

    scope: Scope
    groups: frozenset[str] | None = None
    aggregates: bool = False
    aliases: Mapping[str, exp.Expr] | None = None
    windows: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Bound:
    """A bound query.

    :param sql: its DuckDB SQL.
    :param fields: its output columns, in order.
    :param aggregated: is every row an aggregate of rows, not a row of a table?
    :param owners: who is behind its rows; empty where nobody asks.
    :param extras: names of further DuckDB columns behind those of the fields: owners, shares of users, checks.
    :param checks: numbers of users, of a query that ends in them.
    """

    sql: str
    fields: tuple[Field, ...]
    aggregated: bool
    owners: tuple[Owner, ...] = ()
    extras: tuple[str, ...] = ()
    checks: tuple[Check, ...] | None = None

    @property
    def columns(self) -> list[str]:
        """All DuckDB columns, quoted."""
        return [*(quote_name(field.column) for field in self.fields), *(quote_name(name) for name in self.extras)]
