"""Expressions of AMC SQL become DuckDB expressions with a known type and role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from airflow_provider_amc.sql import operators
from airflow_provider_amc.sql.aggregates import AGGREGATES, WINDOW_FUNCTIONS
from airflow_provider_amc.sql.coerce import (
    Value,
    alike,
    cast,
    comparable,
    quote_name,
    quote_text,
    to_boolean,
    to_moment,
    to_number,
    to_string,
)
from airflow_provider_amc.sql.functions import EXTRACT_UNITS, FUNCTIONS, FunctionArgumentError
from airflow_provider_amc.sql.scopes import Relation, Scope
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
    TIMESTAMP,
    SqlType,
    parse_type,
)

if TYPE_CHECKING:
    from airflow_provider_amc.sql.queries import QueryBinder


@dataclass(frozen=True)
class Context:
    """How names and calls are understood at some place of a query.

    :param scope: the relations in reach.
    :param groups: DuckDB SQL of the GROUP BY expressions; ``None`` where columns may be used freely.
    :param aggregates: are aggregate functions allowed here?
    :param aliases: expressions that may be named by their alias (GROUP BY, HAVING).
    """

    scope: Scope
    groups: frozenset[str] | None = None
    aggregates: bool = False
    aliases: Mapping[str, exp.Expr] | None = None


_CAST_TYPES = {
    "BOOLEAN": "BOOLEAN", "TINYINT": "BYTE", "SMALLINT": "SHORT", "INT": "INTEGER", "BIGINT": "LONG", "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP", "TEXT": "STRING", "VARCHAR": "STRING",
    "CHAR": "STRING", "NCHAR": "STRING", "NVARCHAR": "STRING", "BINARY": "BINARY", "VARBINARY": "BINARY",
}  # fmt: skip


def is_aggregate_call(node: exp.Expr) -> bool:
    """Is this a call of an aggregate function?"""
    return isinstance(node, exp.Anonymous) and str(node.name).upper() in AGGREGATES


def has_aggregate(node: exp.Expr) -> bool:
    """Does an expression aggregate, itself or below, outside of windows and sub-queries?"""
    if isinstance(node, exp.Query | exp.Subquery):
        return False
    if isinstance(node, exp.Window):
        # SUM(x) OVER () does not aggregate, SUM(SUM(x)) OVER () does
        function = (
            node.this.this if isinstance(node.this, exp.Filter | exp.IgnoreNulls | exp.RespectNulls) else node.this
        )
        inner = [*function.iter_expressions(), *(part for part in node.iter_expressions() if part is not node.this)]
        return any(has_aggregate(part) for part in inner)
    return is_aggregate_call(node) or any(has_aggregate(part) for part in node.iter_expressions())


class ExpressionBinder:
    """Binds expressions for a :class:`~airflow_provider_amc.sql.queries.QueryBinder`.

    :param queries: the binder of the query around, which knows the text, the parameters and sub-queries.
    """

    def __init__(self, queries: QueryBinder) -> None:
        self._queries = queries
        self._handlers: dict[type[exp.Expr], Callable[..., Value]] = {
            exp.Paren: lambda node, context: self._paren(node, context),
            exp.Literal: self._literal,
            exp.Boolean: lambda node, context: Value("TRUE" if node.this else "FALSE", BOOLEAN),
            exp.Null: lambda node, context: Value("NULL", NULL),
            exp.Column: self._column,
            exp.Dot: self._dot,
            exp.Anonymous: self._call,
            exp.Window: self._window,
            exp.Filter: self._filter,
            exp.If: lambda node, context: self._named_call(node, "IF", [node.this, node.args.get("true"), node.args.get("false")], context),
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Extract: self._extract,
            exp.Trim: self._trim,
            exp.Substring: self._substring,
            exp.StrPosition: lambda node, context: self._named_call(node, "STRPOS", [node.this, node.args["substr"]], context),
            exp.CurrentDate: lambda node, context: self._named_call(node, "CURRENT_DATE", [], context),
            exp.CurrentTimestamp: lambda node, context: self._named_call(node, "CURRENT_TIMESTAMP", [], context),
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
            exp.Array: lambda node, context: self._named_call(node, "ARRAY", node.expressions, context),
            exp.DPipe: self._unsupported_pipe,
            exp.Star: self._star,
        }  # fmt: skip

    def bind(self, node: exp.Expr, context: Context) -> Value:
        """Bind an expression.

        :param node: the expression.
        :param context: where it stands.
        :returns: its DuckDB SQL with type and role.
        :raises AmcSqlError: it is not AMC SQL, or names something unknown.
        """
        grouped = self._as_group(node, context)
        if grouped is not None:
            return grouped
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
        if isinstance(node, exp.Query | exp.Exists) or has_aggregate(node) or node.find(exp.Window):
            return None
        if context.aliases and isinstance(node, exp.Column) and self._alias_of(node, context) is not None:
            return None
        value = self.bind(node, replace(context, groups=None, aliases=None))
        return replace(value, metric=False) if value.sql in context.groups else None

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
                return Value(quote_text(text), STRING, text=text)
            except ValueError as error:
                raise self._queries.error(node, f"{error}") from None
        if text.isdigit():
            number = int(text)
            if number > 2**63 - 1:
                raise self._queries.error(node, f"Numeric literal '{text}' out of range")
            return Value(text, INTEGER if number < 2**31 else LONG, text=text)
        if "e" in text.lower():
            return Value(f"CAST({quote_text(text)} AS DOUBLE)", DOUBLE, text=text)
        return Value(text, DECIMAL, text=text)

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

    # --- calls ---------------------------------------------------------------------------------------------------

    def _call(self, node: exp.Anonymous, context: Context) -> Value:
        name = str(node.name).upper()
        if name in AGGREGATES:
            return self._aggregate(node, name, context, "")
        if name in WINDOW_FUNCTIONS:
            raise self._queries.error(node, f"OVER clause is necessary for window functions: {name}")
        if name in ("BUILT_IN_PARAMETER", "CUSTOM_PARAMETER"):
            return self._parameter(node, name)
        if name == "EXPLODE":
            return self._explode(node, context)
        if name == "||":
            raise self._unsupported_pipe(node, context)
        return self._named_call(node, name, node.expressions, context)

    def _named_call(self, node: exp.Expr, name: str, arguments: list[exp.Expr | None], context: Context) -> Value:
        function = FUNCTIONS.get(name)
        given = [argument for argument in arguments if argument is not None]
        if function is None:
            shown = ", ".join("<ANY>" for _ in given)
            raise self._queries.error(node, f"No match found for function signature {name}({shown})")
        if len(given) < function.least or (function.most is not None and len(given) > function.most):
            count = str(function.least) if function.least == function.most else f"at least {function.least}"
            raise self._queries.error(
                node, f"Invalid number of arguments to function '{name}'. Was expecting {count} arguments"
            )
        try:
            return function.write([self.bind(argument, context) for argument in given])
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    def _parameter(self, node: exp.Anonymous, kind: str) -> Value:
        argument = node.expressions[0] if len(node.expressions) == 1 else None
        if not isinstance(argument, exp.Literal) or not argument.is_string:
            raise self._queries.error(node, f"{kind} needs the quoted name of a parameter")
        if kind == "CUSTOM_PARAMETER":
            return self._queries.custom_parameter(node, str(argument.this))
        if str(argument.this) not in ("TIME_WINDOW_START", "TIME_WINDOW_END"):
            raise self._queries.error(
                node, f"Unknown built-in parameter '{argument.this}': use TIME_WINDOW_START or TIME_WINDOW_END"
            )
        bound = "$window_start" if str(argument.this) == "TIME_WINDOW_START" else "$window_end"
        return Value(f"CAST({bound} AS TIMESTAMP)", TIMESTAMP)

    def _explode(self, node: exp.Anonymous, context: Context) -> Value:
        value = self.bind(node.expressions[0], context) if len(node.expressions) == 1 else None
        if value is None or value.type.kind != "ARRAY":
            raise self._queries.error(node, "Array expression is not an array data type")
        return value.of(f"unnest({value.sql})", value.type.element or ANY)

    def _aggregate(self, node: exp.Anonymous, name: str, context: Context, over: str) -> Value:
        if not context.aggregates and not over.lstrip().startswith("OVER"):
            raise self._queries.error(node, "Aggregate expression is illegal in this place")
        windowed = "OVER" in over
        inner = context if windowed else replace(context, groups=None, aggregates=False, aliases=None)
        arguments = list(node.expressions)
        distinct = bool(arguments) and isinstance(arguments[0], exp.Distinct)
        if distinct:
            arguments = list(arguments[0].expressions)
        if name == "COUNT" and len(arguments) == 1 and isinstance(arguments[0], exp.Star):
            arguments = []
        elif not arguments:
            raise self._queries.error(node, f"Invalid number of arguments to function '{name}'")
        try:
            return AGGREGATES[name]([self.bind(argument, inner) for argument in arguments], distinct, over)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    def _filter(self, node: exp.Filter, context: Context) -> Value:
        return self._with_filter(node, context, "")

    def _with_filter(self, node: exp.Filter, context: Context, over: str) -> Value:
        if not is_aggregate_call(node.this):
            raise self._queries.error(node, "FILTER must be applied to aggregate expression")
        inner = replace(context, groups=None, aggregates=False, aliases=None)
        condition = self._condition(node.expression.this, inner)
        return self._aggregate(node.this, str(node.this.name).upper(), context, f" FILTER (WHERE {condition}){over}")

    # --- windows -------------------------------------------------------------------------------------------------

    def window_definition(self, node: exp.Window, context: Context) -> str:
        """The text between the parentheses of OVER."""
        parts: list[str] = []
        if node.args.get("alias") is not None:
            parts.append(quote_name(node.args["alias"].name))
        partition = [self.bind(part, context).sql for part in node.args.get("partition_by") or []]
        if partition:
            parts.append(f"PARTITION BY {', '.join(partition)}")
        if node.args.get("order") is not None:
            parts.append(
                "ORDER BY " + ", ".join(self._ordered(part, context) for part in node.args["order"].expressions)
            )
        spec = node.args.get("spec")
        if spec is not None:
            parts.append(self._frame(spec, context))
        return " ".join(parts)

    def _ordered(self, node: exp.Expr, context: Context) -> str:
        value = self.bind(node.this if isinstance(node, exp.Ordered) else node, context)
        descending = bool(node.args.get("desc")) if isinstance(node, exp.Ordered) else False
        nulls_first = node.args.get("nulls_first") if isinstance(node, exp.Ordered) else None
        first = descending if nulls_first is None else bool(nulls_first)
        return f"{value.sql} {'DESC' if descending else 'ASC'} NULLS {'FIRST' if first else 'LAST'}"

    def _frame(self, spec: exp.Expr, context: Context) -> str:
        def bound(key: str) -> str:
            edge, side = spec.args.get(key), spec.args.get(f"{key}_side") or ""
            text = self.bind(edge, context).sql if isinstance(edge, exp.Expr) else str(edge)
            return f"{text} {side}".strip()

        start, end = bound("start"), spec.args.get("end")
        frame = f"BETWEEN {start} AND {bound('end')}" if end else start
        return f"{spec.args.get('kind') or 'ROWS'} {frame}"

    def _window(self, node: exp.Window, context: Context) -> Value:
        function = node.this
        nulls = ""
        if isinstance(function, exp.IgnoreNulls | exp.RespectNulls):
            nulls = " IGNORE NULLS" if isinstance(function, exp.IgnoreNulls) else ""
            function = function.this
        named = node.args.get("alias")
        plain = named is not None and not any(node.args.get(key) for key in ("partition_by", "order", "spec"))
        over = (
            f" OVER {quote_name(named.name)}"
            if plain and named is not None
            else f" OVER ({self.window_definition(node, context)})"
        )
        if isinstance(function, exp.Filter):
            return self._with_filter(function, context, over)
        name = str(function.name).upper() if isinstance(function, exp.Anonymous) else type(function).__name__.upper()
        if name in AGGREGATES:
            return self._aggregate(function, name, context, over)
        if name not in WINDOW_FUNCTIONS:
            raise self._queries.error(node, f"OVER must be applied to aggregate function, not to {name}")
        arguments = [self.bind(argument, context) for argument in function.expressions]
        if nulls and arguments:
            arguments[-1] = replace(arguments[-1], sql=arguments[-1].sql + nulls)
        try:
            return WINDOW_FUNCTIONS[name](arguments, False, over, name)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    # --- syntax of its own ---------------------------------------------------------------------------------------

    def _case(self, node: exp.Case, context: Context) -> Value:
        branches = list(node.args.get("ifs") or [])
        default = node.args.get("default")
        results = [self.bind(branch.args["true"], context) for branch in branches]
        results.append(self.bind(default, context) if default is not None else Value("NULL", NULL))
        found = alike(results)
        if found is None:
            raise self._queries.error(node, "Illegal mixing of types in CASE or COALESCE statement")
        values, together = found
        subject = self.bind(node.this, context) if node.this is not None else None
        parts = ["CASE"]
        for branch, value in zip(branches, values, strict=False):
            if subject is None:
                condition = self._condition(branch.this, context)
            else:
                left, right = comparable([subject, self.bind(branch.this, context)])
                condition = f"{left.sql} = {right.sql}"
            parts.append(f"WHEN {condition} THEN {value.sql}")
        metric = together.is_number and any(value.metric for value in results)
        return Value(" ".join([*parts, f"ELSE {values[-1].sql} END"]), together, metric)

    def _cast(self, node: exp.Cast, context: Context) -> Value:
        value = self.bind(node.this, context)
        wanted = self._cast_type(node)
        result = cast(value, wanted)
        size = node.args["to"].expressions
        if wanted.kind == "STRING" and size and str(size[0].name).isdigit():
            result = replace(result, sql=f'"left"({result.sql}, {int(size[0].name)})')
        return result if wanted.is_number else replace(result, metric=False)

    def _cast_type(self, node: exp.Cast) -> SqlType:
        target = node.args["to"]
        name = str(getattr(target.this, "value", target.this)).upper()
        if name == "DECIMAL":
            sizes = [int(str(size.name)) for size in target.expressions]
            precision, scale = (sizes + [38, 0])[:2] if len(sizes) != 1 else (sizes[0], 0)
            if not 1 <= precision <= 38 or scale > precision:
                raise self._queries.error(node, f"DECIMAL precision {precision} must be between 1 and 38")
            return SqlType("DECIMAL", precision, scale)
        if name in ("ARRAY", "LIST") and target.expressions:
            return parse_type(f"ARRAY<{_CAST_TYPES.get(str(target.expressions[0].this.value).upper(), 'STRING')}>")
        if name == "USERDEFINED" and str(target.args.get("kind", "")).upper() == "STRING":
            return STRING
        if name not in _CAST_TYPES:
            raise self._queries.error(node, f"Unknown datatype name '{name}'")
        return SqlType(_CAST_TYPES[name])

    def _extract(self, node: exp.Extract, context: Context) -> Value:
        unit = str(node.this.name).upper()
        if unit not in EXTRACT_UNITS:
            raise self._queries.error(node, f"'{unit}' is not a valid time frame")
        value = to_moment(self.bind(node.expression, context))
        result = LONG
        return Value(f"CAST({EXTRACT_UNITS[unit].format(value.sql)} AS BIGINT)", result)

    def _trim(self, node: exp.Trim, context: Context) -> Value:
        function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
        arguments = [to_string(self.bind(node.this, context)).sql]
        if node.expression:
            arguments.append(to_string(self.bind(node.expression, context)).sql)
        return Value(f"{function}({', '.join(arguments)})", STRING)

    def _substring(self, node: exp.Substring, context: Context) -> Value:
        parts = [to_string(self.bind(node.this, context)).sql]
        for key in ("start", "length"):
            if node.args.get(key) is not None:
                parts.append(f"CAST({to_number(self.bind(node.args[key], context), LONG).sql} AS BIGINT)")
        return Value(f"substring({', '.join(parts)})", STRING)

    def _bracket(self, node: exp.Bracket, context: Context) -> Value:
        value = self.bind(node.this, context)
        if value.type.kind not in ("ARRAY", "MAP") or len(node.expressions) != 1:
            raise self._queries.error(node, "Array expression is not an array data type")
        index = self.bind(node.expressions[0], context)
        if value.type.kind == "MAP":
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
        try:
            if kind in operators.COMPARISONS:
                return operators.compare(kind, left, right)
            return operators.calculate(kind, left, right)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    def _negative(self, node: exp.Neg, context: Context) -> Value:
        value = to_number(self.bind(node.this, context))
        if value.type.kind == "INTERVAL":
            return value
        return value.of(f"(-{value.sql})", value.type)

    def _condition(self, node: exp.Expr, context: Context) -> str:
        value = self.bind(node, context)
        if value.type.kind not in ("BOOLEAN", "NULL", "ANY", "STRING"):
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
            return Value(f"({to_boolean(value).sql} IS {word})", BOOLEAN)
        raise self._queries.error(node, "IS needs NULL, NOT NULL, TRUE or FALSE")

    def _in(self, node: exp.In, context: Context) -> Value:
        subject = self.bind(node.this, context)
        query = node.args.get("query")
        if query is not None:
            bound = self._queries.subquery(query, context.scope)
            if len(bound.fields) != 1 and not isinstance(node.this, exp.Tuple):
                raise self._queries.error(node, "Sub-query of IN must return one column")
            inner = Value(f"{bound.fields[0].name}", bound.fields[0].type)
            if len(bound.fields) == 1:
                left, right = comparable([subject, inner])
                if right is not inner and right.type != inner.type:
                    name = quote_name(bound.fields[0].column)
                    _, converted = comparable([subject, Value(name, bound.fields[0].type)])
                    return Value(f"({left.sql} IN (SELECT {converted.sql} FROM ({bound.sql}) AS q))", BOOLEAN)
                subject = left
            return Value(f"({subject.sql} IN ({bound.sql}))", BOOLEAN)
        options = [self.bind(option, context) for option in node.expressions]
        if not options:
            raise self._queries.error(node, "IN needs a list of values or a sub-query")
        subject, *others = comparable([subject, *options])
        return Value(f"({subject.sql} IN ({', '.join(other.sql for other in others)}))", BOOLEAN)

    def _between(self, node: exp.Between, context: Context) -> Value:
        parts = [self.bind(part, context) for part in (node.this, node.args["low"], node.args["high"])]
        value, low, high = comparable(parts)
        return Value(f"({value.sql} BETWEEN {low.sql} AND {high.sql})", BOOLEAN)

    def _like(self, node: exp.Expr, context: Context) -> Value:
        escape = ""
        if isinstance(node, exp.Escape):
            escape = f" ESCAPE {self.bind(node.expression, context).sql}"
            node = node.this
        if not isinstance(node, exp.Like):
            raise self._queries.error(node, "ESCAPE needs LIKE")
        value, pattern = (to_string(self.bind(part, context)).sql for part in (node.this, node.expression))
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        return Value(f"({value} {word} {pattern}{escape})", BOOLEAN)

    def _similar(self, node: exp.SimilarTo, context: Context) -> Value:
        value, pattern = (to_string(self.bind(part, context)).sql for part in (node.this, node.expression))
        return Value(f"amc_similar({value}, {pattern})", BOOLEAN)

    def _exists(self, node: exp.Exists, context: Context) -> Value:
        return Value(f"EXISTS ({self._queries.subquery(node.this, context.scope).sql})", BOOLEAN)

    def _scalar_query(self, node: exp.Subquery, context: Context) -> Value:
        bound = self._queries.subquery(node, context.scope)
        if len(bound.fields) != 1:
            raise self._queries.error(node, "Scalar sub-query must return one column")
        return Value(f"({bound.sql})", bound.fields[0].type, bound.fields[0].metric)

    def _unsupported_pipe(self, node: exp.Expr, context: Context) -> Value:
        raise self._queries.error(node, "Unsupported scalar operation type ||")
