"""Queries of AMC SQL become DuckDB queries: WITH, SELECT, UNION, VALUES, FROM, GROUP BY."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count

from sqlglot import exp

from airflow_provider_amc.sql.calls import has_aggregate
from airflow_provider_amc.sql.coerce import Value, quote_name, to_string
from airflow_provider_amc.sql.dialect import error_at, place_in, word_before
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.expressions import ExpressionBinder
from airflow_provider_amc.sql.lineage import FREE, HIDDEN, REFUSAL, merged
from airflow_provider_amc.sql.owners import counted
from airflow_provider_amc.sql.relations import FromBinder
from airflow_provider_amc.sql.scopes import Bound, Context, Field, Scope
from airflow_provider_amc.sql.selects import SelectParts, distinct_rows, unique_names, united
from airflow_provider_amc.sql.sources import TableFinder
from airflow_provider_amc.sql.types import STRING, SqlType, common_type

#: DuckDB SQL that GROUP BY would read as the number of an output column.
_READ_AS_ORDINAL = re.compile(r"[(-]*\d+\)*")


class QueryBinder:
    """Binds one query and everything in it.

    :param sql: the text that was parsed, for places in messages.
    :param find_table: finds tables by name.
    :param parameter: gives the value of ``CUSTOM_PARAMETER`` by name; raises KeyError for an undeclared one.
    :param controls: are AMC's privacy controls on? Then comparisons of literals with sensitive values are refused, and
        every row knows the users behind it.
    """

    def __init__(
        self, sql: str, find_table: TableFinder, parameter: Callable[[str], Value], *, controls: bool = False
    ) -> None:
        self._sql = sql
        self.find_table = find_table
        self._parameter = parameter
        self.controls = controls
        #: Are the users behind the rows of the present query asked for? Not within expressions.
        self.tracking = controls
        self.ctes: list[dict[str, Bound]] = []
        self._numbers = count()
        #: Queries inside expressions by the id of their scope, which is kept for that, and their node.
        self._subqueries: dict[tuple[int, exp.Expr], tuple[Scope, Bound]] = {}
        #: Items and columns of each SELECT, by the id of its node.
        self._selected: dict[int, tuple[Sequence[exp.Expr], Sequence[Field]]] = {}
        self.expressions = ExpressionBinder(self)
        self.sources = FromBinder(self)

    def error(self, node: exp.Expr, what: str) -> AmcSqlError:
        """An error about a node, with its place."""
        return error_at(self._sql, node, what)

    def text(self, node: exp.Expr) -> str:
        """A node as it was written; empty when its place is not known."""
        start, end = node.meta.get("whole") or (0, -1)
        return self._sql[start : end + 1]

    def custom_parameter(self, node: exp.Expr, name: str) -> Value:
        """The value of a parameter that a query names."""
        try:
            return self._parameter(name)
        except KeyError:
            raise self.error(node, f"The query referenced an undeclared parameter {name}.") from None

    # --- queries -------------------------------------------------------------------------------------------------

    def subquery(self, node: exp.Expr, scope: Scope) -> Bound:
        """Bind a query inside an expression; it may use the columns around it.

        The same text at two places gives the same SQL, so that a GROUP BY is recognised in the select list.
        """
        key = id(scope), node
        if key not in self._subqueries:
            tracking, self.tracking = self.tracking, False
            try:
                with self.expressions.apart():
                    self._subqueries[key] = scope, self.query(node, scope)
            finally:
                self.tracking = tracking
        return self._subqueries[key][1]

    def final(self, node: exp.Expr) -> Bound:
        """Bind a whole query; with privacy controls on, its rows know the numbers of users behind them.

        :raises AmcSqlError: it is not AMC SQL, or the controls are on and a column may never be shown.
        """
        bound = self.query(node, final=self.tracking)
        for number, field in enumerate(bound.fields):
            if self.controls and field.lineage.hidden:
                raise self.error(self._hidden_item(node, number) or node, HIDDEN.format(field.name))
        return counted(bound) if self.tracking and bound.checks is None else bound

    def _hidden_item(self, node: exp.Expr, number: int) -> exp.Expr | None:
        """What in the text makes an output column one that may not be shown."""
        if isinstance(node, exp.Subquery):
            return self._hidden_item(node.this, number)
        if isinstance(node, exp.Union):
            return self._hidden_item(node.this, number) or self._hidden_item(node.expression, number)
        items, fields = self._selected.get(id(node), ((), ()))
        return self._placed(items[number], node) if items and fields[number].lineage.hidden else None

    def _placed(self, item: exp.Expr, query: exp.Expr) -> exp.Expr:
        """An item of a select list, or its query where the item stands for a ``*``."""
        return item if place_in(self._sql, item) else query

    def query(self, node: exp.Expr, parent: Scope | None = None, *, final: bool = False) -> Bound:
        """Bind a query.

        :param node: SELECT, UNION, VALUES, or one of them in parentheses.
        :param parent: the scope around a correlated sub-query.
        :param final: is this the last query, of whose users only the numbers matter?
        :returns: the bound query.
        :raises AmcSqlError: it is not AMC SQL.
        """
        with_clause = node.args.get("with_") or node.args.get("with")
        if with_clause is None:
            return self._body(node, parent, final)
        self.ctes.append({})
        parts: list[str] = []
        for cte in with_clause.expressions:
            if cte.alias.lower() in self.ctes[-1]:
                raise self.error(cte.args["alias"], f"Duplicate name '{cte.alias}' in WITH")
            bound = self.renamed(cte, self.query(cte.this))
            self.ctes[-1][cte.alias.lower()] = bound
            parts.append(f"{quote_name(cte.alias)}({', '.join(bound.columns)}) AS ({bound.sql})")
        body = self._body(node, parent, final)
        self.ctes.pop()
        # DuckDB reads no second WITH right behind the first
        text = f"SELECT * FROM ({body.sql}) AS q" if body.sql.startswith("WITH ") else body.sql  # noqa: S608
        return replace(body, sql=f"WITH {', '.join(parts)} {text}")

    def _body(self, node: exp.Expr, parent: Scope | None, final: bool) -> Bound:
        if isinstance(node, exp.Subquery):
            return self.query(node.this, parent, final=final)
        if isinstance(node, exp.Union):
            return self._union(node, parent)
        if isinstance(node, exp.Values):
            return self._values(node)
        if isinstance(node, exp.Select):
            return self._select(node, parent, final)
        raise self.error(node, f"Encountered {type(node).__name__.upper()}. Was expecting SELECT, WITH or VALUES")

    def renamed(self, cte: exp.Expr, bound: Bound) -> Bound:
        """A query with the column names that stand behind its alias, if any do."""
        columns = cte.args["alias"].args.get("columns") or []
        if not columns:
            return bound
        if len(columns) != len(bound.fields):
            raise self.error(cte.args["alias"], "Number of columns must match number of query columns")
        names = unique_names([column.name for column in columns])
        fields = [
            replace(field, name=column.name, column=name)
            for field, column, name in zip(bound.fields, columns, names, strict=True)
        ]
        return replace(bound, fields=tuple(fields))

    def _union(self, node: exp.Union, parent: Scope | None) -> Bound:
        left, right = self.query(node.this, parent), self.query(node.expression, parent)
        if len(left.fields) != len(right.fields):
            raise self.error(node.expression, "Column count mismatch in UNION")
        types: list[SqlType] = []
        for one, other in zip(left.fields, right.fields, strict=True):
            together = common_type((one.type, other.type))
            if together is None:
                raise self.error(node, f"Type mismatch in column {len(types) + 1} of UNION")
            types.append(together)
        bound = united(left, right, types)
        return self._distinct([node] * len(types), bound, final=False) if node.args.get("distinct") else bound

    def _distinct(self, places: Sequence[exp.Expr], bound: Bound, *, final: bool) -> Bound:
        """Equal rows made one.

        :param places: where its columns stand in the text.
        """
        for place, field in zip(places, bound.fields, strict=True):
            if self.controls and field.lineage.mixed:
                raise self.error(place, REFUSAL)
        columns = ", ".join(quote_name(field.column) for field in bound.fields)
        if not bound.owners:
            return replace(bound, sql=f"SELECT DISTINCT {columns} FROM ({bound.sql}) AS q")  # noqa: S608 (bound parts)
        return distinct_rows(bound, final)

    def _values(self, node: exp.Values) -> Bound:
        context = Context(Scope())
        rows = []
        for row in node.expressions:
            parts = row.expressions if isinstance(row, exp.Tuple) else [row.this if isinstance(row, exp.Paren) else row]
            rows.append([self.expressions.bind(part, context) for part in parts])
        if len({len(row) for row in rows}) != 1:
            raise self.error(node, "Values passed to VALUES operator must have compatible types")
        fields: list[Field] = []
        for number in range(len(rows[0])):
            together = common_type(row[number].type for row in rows)
            if together is None:
                raise self.error(node, "Values passed to VALUES operator must have compatible types")
            name = f"EXPR${number}"
            lineage = merged(row[number].lineage or FREE for row in rows)
            fields.append(Field(name, together, False, name, lineage))
        texts = [
            "(" + ", ".join(
                to_string(value).sql if field.type == STRING and not value.type.is_open else value.sql
                for value, field in zip(row, fields, strict=True)
            ) + ")"
            for row in rows
        ]  # fmt: skip
        names = ", ".join(quote_name(field.column) for field in fields)
        return Bound(f"SELECT {names} FROM (VALUES {', '.join(texts)}) AS v({names})", tuple(fields), True)  # noqa: S608 (bound parts)

    # --- SELECT --------------------------------------------------------------------------------------------------

    def _select(self, node: exp.Select, parent: Scope | None, final: bool) -> Bound:
        scope = Scope(parent=parent)
        source = node.args.get("from_") or node.args.get("from")
        from_sql, aggregated = self.sources.bind(source, node.args.get("joins") or [], scope)
        windows = frozenset(window.this.name.lower() for window in node.args.get("windows") or [])
        free = Context(scope, windows=windows)
        where = node.args.get("where")
        if where is not None:
            self._refuse_windows(where.this, "WHERE", {}, free, ())
        where_sql = f" WHERE {self.expressions.condition(where.this, free)}" if where is not None else ""
        items = self._items(node, scope)
        aliases = {item.alias.lower(): item.this for item in items if isinstance(item, exp.Alias)}
        groups = self._groups(node, items, replace(free, aliases=aliases))
        having = node.args.get("having")
        if groups is None and (having is not None or any(has_aggregate(item) for item in items)):
            groups = []
        keys = None if groups is None else [group.sql for group in groups]
        context = free if keys is None else replace(free, groups=frozenset(keys), aggregates=True)
        window_sql = self._named_windows(node, context)
        fields, texts = self._outputs(items, context)
        self._selected[id(node)] = items, fields
        having_sql = ""
        if having is not None:
            self._refuse_windows(having.this, "HAVING", aliases, free, [group.sql for group in groups or ()])
            having_sql = f" HAVING {self.expressions.condition(having.this, replace(context, aliases=aliases))}"
        distinct = node.args.get("distinct")
        rows = SelectParts(
            scope, from_sql + where_sql, ", ".join(texts), having_sql, window_sql, f"$s{next(self._numbers)}"
        )
        if groups is None:
            bound = rows.plain(fields, aggregated)
        else:
            users = {group.lineage.user for group in groups if group.lineage and group.lineage.user is not None}
            bound = rows.grouped(fields, keys or [], users, final=final and distinct is None)
        if distinct is None:
            return bound
        places = [self._placed(item, node) for item in items]
        return replace(self._distinct(places, bound, final=final), aggregated=True)

    def _refuse_windows(
        self, clause: exp.Expr, word: str, aliases: Mapping[str, exp.Expr], context: Context, groups: Sequence[str]
    ) -> None:
        """Refuse window functions where rows are chosen, also by their alias, unless the query groups by them."""
        for part in clause.walk(prune=lambda part: isinstance(part, exp.Query)):
            named = isinstance(part, exp.Column) and not part.args.get("table")
            found = aliases.get(part.name.lower()) if named else part
            if found is None or not (isinstance(part, exp.Window) or (named and found.find(exp.Window))):
                continue
            if not has_aggregate(found) and self.expressions.bind(found, context).sql in groups:
                continue
            raise self.error(part, f"Windowed aggregate expression is illegal in {word} clause")

    def _items(self, node: exp.Select, scope: Scope) -> list[exp.Expr]:
        """The select list with ``*`` of sub-queries and WITH queries written out."""
        items: list[exp.Expr] = []
        for item in node.expressions:
            is_star = isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))
            if not is_star:
                items.append(item)
                continue
            named = item.args.get("table") if isinstance(item, exp.Column) else None
            relations = scope.relations
            if named is not None:
                relations = [relation for relation in relations if relation.alias.lower() == named.name.lower()]
                if not relations:
                    raise self.error(item, f"Table '{named.name}' not found")
            for relation in relations:
                if relation.is_table:
                    source = node.args.get("from_") or node.args.get("from") or node
                    place = place_in(self._sql, item) or word_before(self._sql, source, "*")
                    what = f"SELECT * is not supported on table '{relation.alias}': name the columns"
                    raise AmcSqlError.at(place, what)
                items += [
                    exp.column(
                        exp.to_identifier(field.name, quoted=True), table=exp.to_identifier(relation.alias, quoted=True)
                    )
                    for field in relation.fields.values()
                ]
        return items

    def _outputs(self, items: Sequence[exp.Expr], context: Context) -> tuple[list[Field], list[str]]:
        names = [self._output_name(item, number) for number, item in enumerate(items)]
        fields: list[Field] = []
        texts: list[str] = []
        for item, name, column in zip(items, names, unique_names(names), strict=True):
            value = self.expressions.bind(item.this if isinstance(item, exp.Alias) else item, context)
            fields.append(Field(name, value.type, value.metric, column, value.lineage or FREE))
            texts.append(f"{value.sql} AS {quote_name(column)}")
        return fields, texts

    @staticmethod
    def _output_name(item: exp.Expr, number: int) -> str:
        if isinstance(item, exp.Alias):
            return str(item.alias)
        while isinstance(item, exp.Paren):  # DISTINCT(x) looks like a call, yet only is x in parentheses
            item = item.this
        if isinstance(item, exp.Column | exp.Dot):
            return str(item.name)
        return f"EXPR${number}"

    def _groups(self, node: exp.Select, items: Sequence[exp.Expr], context: Context) -> list[Value] | None:
        group = node.args.get("group")
        if group is None:
            return None
        groups: dict[str, Value] = {}
        for part in group.expressions:
            value = self._group(part, items, context)
            if self.controls and value.lineage is not None and value.lineage.mixed:
                raise self.error(part, REFUSAL)
            groups.setdefault(value.sql, value)
        return list(groups.values())

    def _group(self, part: exp.Expr, items: Sequence[exp.Expr], context: Context) -> Value:
        target = part
        if isinstance(part, exp.Literal) and not part.is_string:
            position = int(part.this) if str(part.this).isdigit() else 0
            if not 1 <= position <= len(items):
                raise self.error(part, "Ordinal out of range")
            target = items[position - 1]
            target = target.this if isinstance(target, exp.Alias) else target
            context = replace(context, aliases=None)
        bare = isinstance(part.unnest(), exp.Column) and part.unnest().args.get("table") is None
        named = context.aliases.get(part.unnest().name.lower()) if context.aliases and bare else None
        if context.aliases and not bare:
            # Inside an expression a column wins over an alias
            hidden = {name: item for name, item in context.aliases.items() if not context.scope.holding(name)}
            context = replace(context, aliases=hidden)
        if has_aggregate(target) or (named is not None and has_aggregate(named)):
            raise self.error(part, "Aggregate expression is illegal in GROUP BY clause")
        value = self.expressions.bind(target, context)
        if _READ_AS_ORDINAL.fullmatch(value.sql):
            return replace(value, sql=f"CAST({value.sql} AS VARCHAR)")
        return value

    def _named_windows(self, node: exp.Select, context: Context) -> str:
        parts = []
        for window in node.args.get("windows") or []:
            definition = self.expressions.calls.window_definition(
                exp.Window(**{key: value for key, value in window.args.items() if key not in ("this", "alias")}),
                context,
            )
            parts.append(f"{quote_name(window.this.name)} AS ({definition})")
        return f" WINDOW {', '.join(parts)}" if parts else ""
