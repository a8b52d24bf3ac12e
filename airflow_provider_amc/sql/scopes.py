"""What names mean inside a query: relations, their fields, and the scopes that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from airflow_provider_amc.sql.coerce import Value, quote_name
from airflow_provider_amc.sql.types import SqlType


@dataclass(frozen=True)
class Field:
    """A column of a relation.

    :param name: its name.
    :param type: its type.
    :param metric: is it, or does it come from, a metric?
    :param column: its name in DuckDB, which differs when two columns of a query have the same name.
    """

    name: str
    type: SqlType
    metric: bool
    column: str


@dataclass
class Relation:
    """Something in a FROM clause.

    :param alias: its name in the query.
    :param fields: its fields by name, lower case.
    :param is_table: is it a table of AMC, of which ``*`` may not be asked?
    :param used: names of the fields a query reads; tables are read with these columns only.
    """

    alias: str
    fields: Mapping[str, Field]
    is_table: bool = False
    used: set[str] = field(default_factory=set)

    def value(self, name: str) -> Value:
        """One of its fields as an expression, which counts as using it."""
        found = self.fields[name]
        self.used.add(name)
        return Value(f"{quote_name(self.alias)}.{quote_name(found.column)}", found.type, found.metric)

    def packed(self) -> str:
        """The fields in use as one DuckDB column named like the relation, so that references to them stay valid."""
        alias = quote_name(self.alias)
        columns = (quote_name(self.fields[name].column) for name in sorted(self.used))
        return f"struct_pack({', '.join(f'{column} := {alias}.{column}' for column in columns)}) AS {alias}"


@dataclass
class Scope:
    """The relations of one SELECT.

    :param relations: in the order of the FROM clause.
    :param parent: the scope around it, for correlated sub-queries.
    :param merged: columns that USING joined, which may be named without a relation.
    """

    relations: list[Relation] = field(default_factory=list)
    parent: Scope | None = None
    merged: set[str] = field(default_factory=set)

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
    """

    sql: str
    fields: tuple[Field, ...]
    aggregated: bool
