"""Expressions of AMC SQL become DuckDB expressions with a known type and role."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from airflow_provider_amc.sql import operators
from airflow_provider_amc.sql.calls import CallBinder, has_aggregate
from airflow_provider_amc.sql.coerce import (
    Value,
    comparable,
    quote_name,
    quote_text,
    to_boolean,
    to_number,
)
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.functions import FunctionArgumentError, similar
from airflow_provider_amc.sql.lineage import FREE, LITERAL, REFUSAL, Lineage, computed, is_refused
from airflow_provider_amc.sql.scopes import Context, Relation
from airflow_provider_amc.sql.signatures import check_comparable, read
from airflow_provider_amc.sql.types import (
    ANY,
    BOOLEAN,
    DECIMAL,
    DOUBLE,
    INTEGER,
    INTERVAL,
    LONG,
    NULL,
    STRING,
    SqlType,
)

if TYPE_CHECKING:
    from airflow_provider_amc.sql.queries import QueryBinder


#: Nodes that are true or false and show nothing of what they look at.
_CONDITIONS: tuple[type[exp.Expr], ...] = (
    exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Like, exp.Escape, exp.SimilarTo, exp.Exists,
    *operators.COMPARISONS,
)  # fmt: skip
#: Nodes whose binder decides about the lineage itself; that of others is calculated from the parts.
_DECIDED = (
    exp.Paren, exp.Literal, exp.Boolean, exp.Column, exp.Anonymous, exp.Window, exp.Filter, exp.If, exp.Case,
    exp.Subquery, exp.StrPosition,
)  # fmt: skip

_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


class ExpressionBinder:
    """Binds expressions for a :class:`~airflow_provider_amc.sql.queries.QueryBinder`.

    :param queries: the binder of the query around, which knows the text, the parameters and sub-queries.
    """

    def __init__(self, queries: QueryBinder) -> None:
        self._queries = queries
        self.calls = CallBinder(self, queries)
        self._parts_found: list[list[Lineage]] = []
        self._handlers: dict[type[exp.Expr], Callable[..., Value]] = {
            exp.Paren: lambda node, context: self._paren(node, context),
            exp.Literal: self._literal,
            exp.Boolean: lambda node, context: Value("TRUE" if node.this else "FALSE", BOOLEAN, lineage=LITERAL),
            exp.Null: lambda node, context: Value("NULL", NULL),
            exp.Column: self._column,
            exp.Dot: self._dot,
            exp.Anonymous: self.calls.call,
            exp.Window: self.calls.window,
            exp.Filter: self.calls.filter,
            exp.If: lambda node, context: self.calls.named_call(node, "IF", [node.this, node.args.get("true"), node.args.get("false")], context),
            exp.Case: self.calls.case,
            exp.Cast: self.calls.cast,
            exp.Extract: self.calls.extract,
            exp.Trim: self.calls.trim,
            exp.Substring: self.calls.substring,
            exp.StrPosition: lambda node, context: self.calls.named_call(node, "STRPOS", [node.this, node.args["substr"]], context),
            exp.CurrentDate: lambda node, context: self.calls.named_call(node, "CURRENT_DATE", [], context),
            exp.CurrentTimestamp: lambda node, context: self.calls.named_call(node, "CURRENT_TIMESTAMP", [], context),
            exp.Interval: self._interval,
            exp.Neg: self._negative,
            exp.Not: lambda node, context: Value(f"(NOT {self._condition(node.this, context)})", BOOLEAN),
            exp.And: lambda node, context: self._logic(node, "AND", context),
            exp.Or: lambda node, context: self._logic(node, "OR", context),
            exp.Is: self._is,
            exp.In: self._in,
            exp.Between: self._between,
            exp.Like: self._like,
            exp.Escape: self._like,
            exp.SimilarTo: self._similar,
            exp.Exists: self._exists,
            exp.Subquery: self._scalar_query,
            exp.Tuple: self._tuple,
            exp.Bracket: self._bracket,
            exp.Array: lambda node, context: self.calls.named_call(node, "ARRAY", node.expressions, context),
            exp.DPipe: self._unsupported_pipe,
            exp.Star: self._star,
        }  # fmt: skip

    def bind(self, node: exp.Expr, context: Context) -> Value:
        """Bind an expression.

        :param node: the expression.
        :param context: where it stands.
        :returns: its DuckDB SQL with type, role and lineage.
        :raises AmcSqlError: it is not AMC SQL, or names something unknown.
        """
        parts: list[Lineage] = []
        self._parts_found.append(parts)
        try:
            grouped = self._as_group(node, context)
            value = self._bound(node, context) if grouped is None else grouped
        finally:
            self._parts_found.pop()
        if isinstance(node, _CONDITIONS):
            lineage = Lineage(owners=computed(parts).owners)
        elif value.lineage is None or (grouped is None and not isinstance(node, _DECIDED)):
            lineage = computed(parts)
        elif isinstance(node, exp.Case):
            lineage = replace(value.lineage, owners=computed(parts).owners)
        else:
            lineage = value.lineage
        if self._parts_found:
            self._parts_found[-1].append(lineage)
        return replace(value, lineage=lineage)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """While a sub-query is bound: its columns are not part of the expression around it."""
        parts_found, self._parts_found = self._parts_found, []
        try:
            yield
        finally:
            self._parts_found = parts_found

    def guard(self, node: exp.Expr, values: Sequence[Value]) -> None:
        """Refuse to compare literals with sensitive values.

        :param node: the comparison.
        :param values: what it compares.
        :raises AmcSqlError: AMC's privacy controls do not allow it.
        """
        if self._queries.controls and is_refused(value.lineage or FREE for value in values):
            raise self._queries.error(node, REFUSAL)

    def _bound(self, node: exp.Expr, context: Context) -> Value:
        for kind in type(node).__mro__:
            if kind in self._handlers:
                return self._handlers[kind](node, context)
            if kind in operators.ARITHMETIC or kind in operators.COMPARISONS:
                return self._operator(node, kind, context)
        raise self._queries.error(node, f"Unsupported scalar operation type {type(node).__name__.upper()}")

    def condition(self, node: exp.Expr, context: Context) -> str:
        """Bind an expression that must be true or false and return its SQL."""
        return self._condition(node, context)

    # --- names ---------------------------------------------------------------------------------------------------

    def _as_group(self, node: exp.Expr, context: Context) -> Value | None:
        """The expression itself when the query groups by it."""
        if context.groups is None or isinstance(node, exp.Literal | exp.Null | exp.Boolean | exp.Interval):
            return None
        if isinstance(node, exp.Query | exp.Exists) or has_aggregate(node):
            return None
        if context.aliases and isinstance(node, exp.Column) and self._alias_of(node, context) is not None:
            return None
        try:
            value = self.bind(node, replace(context, groups=None, aliases=None))
        except AmcSqlError:
            return None  # an alias inside, or an error that binding it in its place tells better
        if value.sql not in context.groups:
            return None
        return replace(value, metric=False, lineage=(value.lineage or FREE).as_group())

    def _alias_of(self, node: exp.Column, context: Context) -> exp.Expr | None:
        if not context.aliases or node.args.get("table") is not None:
            return None
        return context.aliases.get(node.name.lower())

    def _column(self, node: exp.Column, context: Context) -> Value:
        if isinstance(node.this, exp.Star):
            return self._star(node, context)
        alias = self._alias_of(node, context)
        if alias is not None:
            return self.bind(alias, replace(context, aliases=None))
        value = self._resolve(node, [part.name for part in node.parts], context)
        if context.groups is not None and value.sql not in context.groups:
            shown = ".".join(part.name for part in node.parts)
            raise self._queries.error(node, f"Expression '{shown}' is not being grouped")
        return value

    def _resolve(self, node: exp.Expr, names: list[str], context: Context) -> Value:
        if len(names) == 1:
            return self._unqualified(node, names[0], context)
        if len(names) > 2 and context.scope.named(names[0]) is None and context.scope.named(names[1]) is not None:
            names = names[1:]  # sandbox.table.column
        relation = context.scope.named(names[0])
        if relation is None:
            if context.scope.holding(names[0]):
                return self._parts(node, self._unqualified(node, names[0], context), names[1:])
            raise self._queries.error(node, f"Table '{names[0]}' not found")
        if names[1].lower() not in relation.fields:
            raise self._queries.error(node, f"Column '{names[1]}' not found in table '{names[0]}'")
        return self._parts(node, relation.value(names[1].lower()), names[2:])

    def _unqualified(self, node: exp.Expr, name: str, context: Context) -> Value:
        holders: list[Relation] = context.scope.holding(name)
        if not holders:
            raise self._queries.error(node, f"Column '{name}' not found in any table")
        if len(holders) > 1:
            raise self._queries.error(node, f"Column '{name}' is ambiguous")
        return holders[0].value(name.lower())

    def _parts(self, node: exp.Expr, value: Value, labels: list[str]) -> Value:
        for label in labels:
            types = {name.lower(): (name, part) for name, part in value.type.fields}
            if label.lower() not in types:
                raise self._queries.error(node, f"Column '{label}' not found in any table")
            name, part = types[label.lower()]
            value = value.of(f"struct_extract({value.sql}, {quote_text(name)})", part)
        return value

    def _dot(self, node: exp.Dot, context: Context) -> Value:
        return self._parts(node, self.bind(node.this, context), [node.expression.name])

    def _star(self, node: exp.Expr, context: Context) -> Value:
        raise self._queries.error(node, "Unknown identifier '*'")

    # --- literals ------------------------------------------------------------------------------------------------

    def _paren(self, node: exp.Paren, context: Context) -> Value:
        return self.bind(node.this, context)

    def _literal(self, node: exp.Literal, context: Context) -> Value:
        text = str(node.this)
        if node.is_string:
            try:
                return Value(quote_text(text), STRING, text=text, lineage=LITERAL)
            except ValueError as error:
                raise self._queries.error(node, f"{error}") from None
        if text.isdigit():
            number = int(text)
            if number > 2**63 - 1:
                raise self._queries.error(node, f"Numeric literal '{text}' out of range")
            return Value(text, INTEGER if number < 2**31 else LONG, text=text, lineage=LITERAL)
        if not _NUMBER.fullmatch(text):
            raise self._queries.error(node, f"Illegal numeric literal '{text}'")
        if "e" in text.lower():
            if math.isinf(float(text)):
                raise self._queries.error(node, f"Numeric literal '{text}' out of range")
            return Value(f"CAST({quote_text(text)} AS DOUBLE)", DOUBLE, text=text, lineage=LITERAL)
        return Value(text, DECIMAL, text=text, lineage=LITERAL)

    def _interval(self, node: exp.Interval, context: Context) -> Value:
        unit = node.args.get("unit")
        amount = node.this
        negative = isinstance(amount, exp.Neg)
        amount = amount.this if negative else amount
        name = unit.name.upper().removesuffix("S") if isinstance(unit, exp.Var) else ""
        if name not in ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR") or amount is None:
            raise self._queries.error(node, "Illegal interval literal format")
        text = str(amount.name)
        try:
            number = float(text) if name == "SECOND" else int(text)
        except ValueError:
            raise self._queries.error(node, f"Illegal interval literal format '{text}' for INTERVAL {name}") from None
        number = -number if negative else number
        return Value(
            f"(INTERVAL 1 {name} * {number})" if name != "SECOND" else f"to_seconds({number})", INTERVAL, text=name
        )

    def _bracket(self, node: exp.Bracket, context: Context) -> Value:
        value = self.bind(node.this, context)
        if value.type.kind not in ("ARRAY", "MAP") or len(node.expressions) != 1:
            raise self._queries.error(node, "Array expression is not an array data type")
        index = self.bind(node.expressions[0], context)
        if value.type.kind == "MAP":
            self.guard(node, [value, index])
            return value.of(f"{value.sql}[{index.sql}]", value.type.fields[1][1] if value.type.fields else STRING)
        # sqlglot counts from 0 inside the tree; AMC SQL, like Calcite and DuckDB, counts from 1
        offset = 1 if node.args.get("offset") == 0 else 0
        return value.of(f"{value.sql}[{index.sql} + {offset}]", value.type.element or ANY)

    def _tuple(self, node: exp.Tuple, context: Context) -> Value:
        values = [self.bind(part, context) for part in node.expressions]
        return Value(f"row({', '.join(value.sql for value in values)})", SqlType("STRUCT"))

    # --- operators and conditions --------------------------------------------------------------------------------

    def _operator(self, node: exp.Expr, kind: type[exp.Expr], context: Context) -> Value:
        left, right = self.bind(node.this, context), self.bind(node.expression, context)
        if kind in operators.COMPARISONS:
            self.guard(node, (left, right))
        try:
            if kind in operators.COMPARISONS:
                return operators.compare(kind, left, right)
            return operators.calculate(kind, left, right)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    def _checked(self, node: exp.Expr, sign: str, values: list[Value]) -> list[Value]:
        try:
            return check_comparable(sign, values)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    def _negative(self, node: exp.Neg, context: Context) -> Value:
        value = to_number(self.bind(node.this, context))
        if value.type.kind == "INTERVAL":
            return value.of(f"(-{value.sql})", value.type)
        if not (value.type.is_number or value.type.is_open):
            raise self._queries.error(node, f"Cannot apply '-' to arguments of type '-<{value.type}>'")
        if value.text is not None:
            return replace(value, sql=f"(-{value.sql})", text=f"-{value.text}")
        return value.of(f"(-{value.sql})", value.type)

    def _condition(self, node: exp.Expr, context: Context) -> str:
        value = self.bind(node, context)
        if value.type.kind not in ("BOOLEAN", "NULL", "ANY"):
            raise self._queries.error(node, f"Condition must be of type BOOLEAN, not {value.type}")
        return to_boolean(value).sql

    def _logic(self, node: exp.Expr, word: str, context: Context) -> Value:
        # Long chains of AND or OR nest to the left; walking them in a loop keeps the stack short.
        parts: list[exp.Expr] = []
        rest: exp.Expr = node
        while type(rest) is type(node):
            parts.append(rest.expression)
            rest = rest.this
        parts.append(rest)
        return Value("(" + f" {word} ".join(self._condition(part, context) for part in reversed(parts)) + ")", BOOLEAN)

    def _is(self, node: exp.Is, context: Context) -> Value:
        value = self.bind(node.this, context)
        right = node.expression
        negated = isinstance(right, exp.Not)
        right = right.this if negated else right
        if isinstance(right, exp.Null):
            return Value(f"({value.sql} IS {'NOT ' if negated else ''}NULL)", BOOLEAN)
        if isinstance(right, exp.Boolean):
            word = ("NOT " if negated else "") + ("TRUE" if right.this else "FALSE")
            if value.type.kind != "BOOLEAN" and not value.type.is_open:
                what = f"Cannot apply 'IS {word}' to arguments of type '<{value.type}> IS {word}'"
                raise self._queries.error(node, what)
            return Value(f"({to_boolean(value).sql} IS {word})", BOOLEAN)
        raise self._queries.error(node, "IS needs NULL, NOT NULL, TRUE or FALSE")

    def _in(self, node: exp.In, context: Context) -> Value:
        subject = self.bind(node.this, context)
        query = node.args.get("query")
        if query is not None:
            bound = self._queries.subquery(query, context.scope)
            if len(bound.fields) != 1 and not isinstance(node.this, exp.Tuple):
                raise self._queries.error(node, "Sub-query of IN must return one column")
            inner = Value(f"{bound.fields[0].name}", bound.fields[0].type, lineage=bound.fields[0].lineage)
            self.guard(node, (subject, inner))
            if len(bound.fields) == 1:
                left, right = self._checked(node, "IN", [subject, inner])
                if right is not inner and right.type != inner.type:
                    name = quote_name(bound.fields[0].column)
                    _, converted = comparable([subject, Value(name, bound.fields[0].type)])
                    return Value(f"({left.sql} IN (SELECT {converted.sql} FROM ({bound.sql}) AS q))", BOOLEAN)  # noqa: S608
                subject = left
            return Value(f"({subject.sql} IN ({bound.sql}))", BOOLEAN)
        options = [self.bind(option, context) for option in node.expressions]
        if not options:
            raise self._queries.error(node, "IN needs a list of values or a sub-query")
        self.guard(node, (subject, *options))
        subject, *others = self._checked(node, "IN", [subject, *options])
        return Value(f"({subject.sql} IN ({', '.join(other.sql for other in others)}))", BOOLEAN)

    def _between(self, node: exp.Between, context: Context) -> Value:
        parts = [self.bind(part, context) for part in (node.this, node.args["low"], node.args["high"])]
        self.guard(node, parts)
        value, low, high = self._checked(node, "BETWEEN", parts)
        return Value(f"({value.sql} BETWEEN {low.sql} AND {high.sql})", BOOLEAN)

    def _like(self, node: exp.Expr, context: Context) -> Value:
        escape = ""
        if isinstance(node, exp.Escape):
            escape = f" ESCAPE {self.bind(node.expression, context).sql}"
            node = node.this
        if not isinstance(node, exp.Like):
            raise self._queries.error(node, "ESCAPE needs LIKE")
        sides = [self.bind(part, context) for part in (node.this, node.expression)]
        self.guard(node, sides)
        try:
            value, pattern = (side.sql for side in read("LIKE", "ss", sides))
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        return Value(f"({value} {word} {pattern}{escape})", BOOLEAN)

    def _similar(self, node: exp.SimilarTo, context: Context) -> Value:
        arguments = [self.bind(part, context) for part in (node.this, node.expression)]
        self.guard(node, arguments)
        try:
            return similar(arguments)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    def _exists(self, node: exp.Exists, context: Context) -> Value:
        return Value(f"EXISTS ({self._queries.subquery(node.this, context.scope).sql})", BOOLEAN)

    def _scalar_query(self, node: exp.Subquery, context: Context) -> Value:
        bound = self._queries.subquery(node, context.scope)
        if len(bound.fields) != 1:
            raise self._queries.error(node, "Scalar sub-query must return one column")
        field = bound.fields[0]
        return Value(f"({bound.sql})", field.type, field.metric, lineage=field.lineage.shown_outside())

    def _unsupported_pipe(self, node: exp.Expr, context: Context) -> Value:
        raise self._queries.error(node, "Unsupported scalar operation type ||")
