"""The FROM clause: tables, WITH queries, sub-queries, joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from airflow_provider_amc.sql.coerce import Value, quote_name
from airflow_provider_amc.sql.lineage import FREE
from airflow_provider_amc.sql.owners import USER_COLUMN, with_user_keys
from airflow_provider_amc.sql.scopes import Bound, Context, Field, Owner, Relation, Scope
from airflow_provider_amc.sql.sources import Extension, TableSource, interval_of

if TYPE_CHECKING:
    from airflow_provider_amc.sql.queries import QueryBinder


@dataclass(frozen=True)
class _Read:
    """A use of a table, whose columns are known only at the end."""

    relation: Relation
    source: TableSource
    extension: Extension | None


#: Marks the place of a table in SQL until its columns are known; no literal can hold it.
_MARK = "\x00{}\x00"

_JOINS = {"": "INNER JOIN", "INNER": "INNER JOIN", "LEFT": "LEFT JOIN", "FULL": "FULL JOIN", "CROSS": "CROSS JOIN"}


class FromBinder:
    """Binds FROM clauses for a :class:`~airflow_provider_amc.sql.queries.QueryBinder`.

    :param queries: the binder of the query around.
    """

    def __init__(self, queries: QueryBinder) -> None:
        self._queries = queries
        self._reads: list[_Read] = []
        self.tables: list[str] = []

    def with_reads(self, sql: str) -> str:
        """Put the reads of the tables into the SQL of a query, now that the columns are known."""
        for number, read in enumerate(self._reads):
            start, end = "CAST($window_start AS TIMESTAMP)", "CAST($window_end AS TIMESTAMP)"
            if read.extension is not None:
                start, end = f"{start} - {read.extension.before}", f"{end} + {read.extension.after}"
            columns = sorted(read.relation.used)
            text = read.source.read([*columns, USER_COLUMN] if read.relation.owners else columns, start, end)
            sql = sql.replace(_MARK.format(number), f"({with_user_keys(text) if read.relation.owners else text})")
        return sql

    def bind(self, source: exp.Expr | None, joins: Sequence[exp.Expr], scope: Scope) -> tuple[str, bool]:
        if source is None:
            return "", True
        sql, aggregated = self._relation(source.this, scope)
        for join in self._all_joins(source.this, joins):
            text, join_aggregated = self._join(join, scope)
            sql += text
            aggregated = aggregated and join_aggregated
        return f" FROM {sql}", aggregated

    @staticmethod
    def _all_joins(first: exp.Expr, joins: Sequence[exp.Expr]) -> list[exp.Expr]:
        return [*(first.args.get("joins") or []), *joins]

    def _join(self, join: exp.Expr, scope: Scope) -> tuple[str, bool]:
        side = str(join.args.get("side") or join.args.get("kind") or "").upper()
        if str(join.args.get("kind") or "").upper() == "CROSS":
            side = "CROSS"
        method = str(join.args.get("method") or "").upper()
        if side not in _JOINS or method:
            raise self._queries.error(join, f"{method or side} JOIN is not supported")
        relation, aggregated = self._relation(join.this, scope)
        condition, using = join.args.get("on"), join.args.get("using")
        if not using and condition is None:
            explicit = join.args.get("side") or str(join.args.get("kind") or "").upper() in ("INNER",)
            if explicit:
                raise self._queries.error(
                    join, "INNER, LEFT, RIGHT or FULL join requires a condition (NATURAL keyword or ON or USING clause)"
                )
            return f" CROSS JOIN {relation}", aggregated
        if condition is None:
            return f" {_JOINS[side]} {relation} {self._using(join, using or (), side, scope)}", aggregated
        return f" {_JOINS[side]} {relation} {self._on(join, condition, side, scope)}", aggregated

    def _using(self, join: exp.Expr, using: Sequence[exp.Expr], side: str, scope: Scope) -> str:
        names = [column.name for column in using]
        for column in using:
            if len(scope.holding(column.name)) < 2:
                raise self._queries.error(column, f"Column '{column.name}' not found in any table")
            self._compare(
                join, [holder.value(column.name.lower()) for holder in scope.holding(column.name)], side, scope
            )
        scope.merged.update(name.lower() for name in names)
        return f"USING ({', '.join(quote_name(name) for name in names)})"

    def _on(self, join: exp.Expr, condition: exp.Expr, side: str, scope: Scope) -> str:
        context = Context(scope)
        text = self._queries.expressions.condition(condition, context)
        for part in condition.flatten() if isinstance(condition, exp.And) else (condition,):
            if isinstance(part, exp.EQ):
                values = [self._queries.expressions.bind(value, context) for value in (part.this, part.expression)]
                self._compare(join, values, side, scope)
        return f"ON {text}"

    def _compare(self, join: exp.Expr, values: Sequence[Value], side: str, scope: Scope) -> None:
        """Check columns that a join compares, and note whose users are the same in a joined row."""
        self._queries.expressions.guard(join, values)
        users = sorted(value.lineage.user for value in values if value.lineage and value.lineage.user is not None)
        if len(users) == 2 and len(values) == 2 and side in ("", "INNER", "LEFT"):
            scope.same_user.add((users[0], users[1]))
            if side != "LEFT":
                scope.same_user.add((users[1], users[0]))

    def _relation(self, node: exp.Expr, scope: Scope) -> tuple[str, bool]:
        alias_node = node.args.get("alias")
        alias = alias_node.name if alias_node is not None else ""
        if isinstance(node, exp.Table):
            return self._table(node, alias, scope)
        if isinstance(node, exp.Unnest):
            return self._unnest(node, alias, scope)
        if isinstance(node, exp.Subquery | exp.Values):
            if node.args.get("joins"):
                raise self._queries.error(node, "Joins in parentheses are not supported")
            bound = self._queries.query(node.this if isinstance(node, exp.Subquery) else node)
            if alias_node is not None:
                bound = self._queries.renamed(node, bound)
            return self._derived(alias or f"$q{len(scope.relations)}", bound, scope), bound.aggregated
        raise self._queries.error(node, f"Encountered {type(node).__name__.upper()} in FROM")

    def _derived(self, alias: str, bound: Bound, scope: Scope) -> str:
        self._add(node_alias=alias, bound=bound, scope=scope)
        return f"({bound.sql}) AS {quote_name(alias)}({', '.join(bound.columns)})"

    def _add(self, node_alias: str, bound: Bound, scope: Scope) -> None:
        fields: dict[str, Field] = {}
        for field in bound.fields:
            fields.setdefault(field.name.lower(), field)
        scope.add(Relation(node_alias, fields, owners=bound.owners if self._queries.tracking else ()))

    def _table(self, node: exp.Table, alias: str, scope: Scope) -> tuple[str, bool]:
        if isinstance(node.this, exp.Anonymous):
            return self._extended_table(node, alias, scope)
        if node.args.get("joins") and not isinstance(node.parent, exp.From):
            raise self._queries.error(node, "Joins in parentheses are not supported")
        name, schema = node.name, node.db or None
        if schema is None:
            for level in reversed(self._queries.ctes):
                if name.lower() in level:
                    bound = level[name.lower()]
                    self._check_alias(node, alias or name, scope)
                    self._add(alias or name, bound, scope)
                    columns = ""
                    if node.args.get("alias") is not None and node.args["alias"].args.get("columns"):
                        scope.relations.pop()
                        bound = self._queries.renamed(node, bound)
                        self._add(alias, bound, scope)
                        columns = f"({', '.join(bound.columns)})"
                    return f"{quote_name(name)} AS {quote_name(alias or name)}{columns}", bound.aggregated
        source = self._queries.find_table(schema, name)
        if source is None or node.args.get("catalog") is not None:
            raise self._queries.error(node.args.get("db") or node.this, f"Object '{name}' not found")
        self._check_alias(node, alias or name, scope)
        if node.args.get("alias") is not None and node.args["alias"].args.get("columns"):
            raise self._queries.error(
                node.args["alias"], "Names of columns behind the alias of a table are not supported"
            )
        return self._read(source, alias or name, scope, None), False

    def _refuse_columns(self, alias: exp.Expr | None) -> None:
        if alias is not None and alias.args.get("columns"):
            raise self._queries.error(alias, "Names of columns behind the alias of a table are not supported")

    def _check_alias(self, node: exp.Expr, alias: str, scope: Scope) -> None:
        if any(relation.alias.lower() == alias.lower() for relation in scope.relations):
            raise self._queries.error(node, f"Duplicate relation name '{alias}' in FROM clause")

    def _read(self, source: TableSource, alias: str, scope: Scope, extension: Extension | None) -> str:
        relation = Relation(alias, self._fields_of(source), is_table=True)
        if self._queries.tracking and source.user_column is not None:
            relation.owners = (Owner(source.name, USER_COLUMN),)
        scope.add(relation)
        self._reads.append(_Read(relation, source, extension))
        if source.name not in self.tables:
            self.tables.append(source.name)
        return f"{_MARK.format(len(self._reads) - 1)} AS {quote_name(alias)}"

    def _fields_of(self, source: TableSource) -> Mapping[str, Field]:
        """The fields of a table, each with the users of the table behind it."""
        if not self._queries.tracking or source.user_column is None:
            return source.fields
        return {
            name: replace(
                field,
                lineage=replace(field.lineage, owners=frozenset({0}), user=0 if name == source.user_column else None),
            )
            for name, field in source.fields.items()
        }

    def _extended_table(self, node: exp.Table, alias: str, scope: Scope) -> tuple[str, bool]:
        call = node.this
        if str(call.name).upper() == "TABLE" and len(call.expressions) == 1:
            call = call.expressions[0]
        if not isinstance(call, exp.Anonymous) or str(call.name).upper() != "EXTEND_TIME_WINDOW":
            raise self._queries.error(node, f"No match found for function signature {str(call.name).upper()}")
        arguments = [
            argument.this for argument in call.expressions if isinstance(argument, exp.Literal) and argument.is_string
        ]
        if len(arguments) != 3 or len(call.expressions) != 3:
            raise self._queries.error(
                call, "EXTEND_TIME_WINDOW needs three quoted strings: table, duration before, duration after"
            )
        schema, _, name = str(arguments[0]).rpartition(".")
        source = self._queries.find_table(schema or None, name)
        if source is None:
            raise self._queries.error(call.expressions[0], f"Object '{arguments[0]}' not found")
        durations = []
        for argument in call.expressions[1:]:
            try:
                durations.append(interval_of(str(argument.this)))
            except ValueError:
                raise self._queries.error(
                    argument, f"'{argument.this}' is not an ISO-8601 duration such as P14D"
                ) from None
        self._check_alias(node, alias or name, scope)
        return self._read(source, alias or name, scope, Extension(*durations)), False

    def _unnest(self, node: exp.Unnest, alias: str, scope: Scope) -> tuple[str, bool]:
        values = [self._queries.expressions.bind(part, Context(scope)) for part in node.expressions]
        if len(values) != 1 or values[0].type.kind != "ARRAY" or values[0].type.element is None:
            raise self._queries.error(node, "Array expression is not an array data type")
        alias_node = node.args.get("alias")
        columns = (alias_node.args.get("columns") or []) if alias_node is not None else []
        name = columns[0].name if columns else (alias or "EXPR$0")
        lineage = (values[0].lineage or FREE).shown_outside()
        field = Field(name, values[0].type.element, values[0].metric, name, lineage)
        shown = alias or f"$x{len(scope.relations)}"
        scope.add(Relation(shown, {name.lower(): field}))
        return f"unnest({values[0].sql}) AS {quote_name(shown)}({quote_name(name)})", True
