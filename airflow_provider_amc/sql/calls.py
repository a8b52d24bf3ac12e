"""Calls in AMC SQL: functions, parameters, aggregates, windows, and the calls with a syntax of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from airflow_provider_amc.sql.aggregates import AGGREGATES, WINDOW_FUNCTIONS
from airflow_provider_amc.sql.coerce import (
    Value,
    alike,
    can_cast,
    cast,
    quote_name,
    to_number,
)
from airflow_provider_amc.sql.functions import EXTRACT_UNITS, FUNCTIONS, FunctionArgumentError
from airflow_provider_amc.sql.lineage import (
    COMPARING,
    FREE,
    LITERAL,
    REFUSAL,
    Carried,
    Lineage,
    Measured,
    computed,
    merged,
    of_call,
)
from airflow_provider_amc.sql.scopes import Context
from airflow_provider_amc.sql.signatures import check_comparable, read
from airflow_provider_amc.sql.types import ANY, LONG, NULL, STRING, TIMESTAMP, SqlType, parse_type

if TYPE_CHECKING:
    from airflow_provider_amc.sql.expressions import ExpressionBinder
    from airflow_provider_amc.sql.queries import QueryBinder


_CAST_TYPES = {
    "BOOLEAN": "BOOLEAN", "TINYINT": "BYTE", "SMALLINT": "SHORT", "INT": "INTEGER", "BIGINT": "LONG", "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP", "TEXT": "STRING", "VARCHAR": "STRING",
    "CHAR": "STRING", "NCHAR": "STRING", "NVARCHAR": "STRING", "BINARY": "BINARY", "VARBINARY": "BINARY",
}  # fmt: skip


#: The words for them, as AMC's table of data types and Calcite's parser have them, and STRING of the API.
_TYPE_WORDS = frozenset(
    [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "INTEGER",
        "BIGINT",
        "DECIMAL",
        "DEC",
        "NUMERIC",
        "FLOAT",
        "REAL",
        "DOUBLE",
        "DATE",
        "TIMESTAMP",
        "CHAR",
        "CHARACTER",
        "VARCHAR",
        "STRING",
        "SYMBOL",
        "BINARY",
        "VARBINARY",
        "ARRAY",
    ]
)
_AFTER_AS = re.compile(r"(?is)CAST\b.*\bAS\s+(\w+)")


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


def _measured(name: str, values: Sequence[Value], condition: str) -> Measured:
    """What a row adds to a sum or a count."""
    lineage = merged(value.lineage or FREE for value in values)
    carried = tuple(one for one in lineage.components if isinstance(one, Carried))
    if name == "SUM":
        text = to_number(values[0]).sql
    else:
        known = " AND ".join(f"{value.sql} IS NOT NULL" for value in values)
        text = f"CASE WHEN {known} THEN 1 END" if known else "1"
    return Measured(text, condition, lineage.owners, carried)


class CallBinder:
    """Binds calls for an :class:`~airflow_provider_amc.sql.expressions.ExpressionBinder`.

    :param expressions: the binder of the arguments.
    :param queries: the binder of the query around, which knows the text and the parameters.
    """

    def __init__(self, expressions: ExpressionBinder, queries: QueryBinder) -> None:
        self._expressions = expressions
        self._queries = queries

    # --- calls ---------------------------------------------------------------------------------------------------

    def call(self, node: exp.Anonymous, context: Context) -> Value:
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
            raise self._queries.error(node, "Unsupported scalar operation type ||")
        return self.named_call(node, name, node.expressions, context)

    def named_call(self, node: exp.Expr, name: str, arguments: list[exp.Expr | None], context: Context) -> Value:
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
        values = [self._expressions.bind(argument, context) for argument in given]
        if name in COMPARING:
            self._expressions.guard(node, values)
        try:
            result = function.write(values)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None
        return replace(result, lineage=of_call(name, [value.lineage or FREE for value in values]))

    def _parameter(self, node: exp.Anonymous, kind: str) -> Value:
        argument = node.expressions[0] if len(node.expressions) == 1 else None
        if not isinstance(argument, exp.Literal) or not argument.is_string:
            raise self._queries.error(node, f"{kind} needs the quoted name of a parameter")
        if kind == "CUSTOM_PARAMETER":
            return replace(self._queries.custom_parameter(node, str(argument.this)), lineage=LITERAL)
        if str(argument.this) not in ("TIME_WINDOW_START", "TIME_WINDOW_END"):
            raise self._queries.error(
                node, f"Unknown built-in parameter '{argument.this}': use TIME_WINDOW_START or TIME_WINDOW_END"
            )
        bound = "$window_start" if str(argument.this) == "TIME_WINDOW_START" else "$window_end"
        return Value(f"CAST({bound} AS TIMESTAMP)", TIMESTAMP, lineage=LITERAL)

    def _explode(self, node: exp.Anonymous, context: Context) -> Value:
        value = self._expressions.bind(node.expressions[0], context) if len(node.expressions) == 1 else None
        if value is None or value.type.kind != "ARRAY":
            raise self._queries.error(node, "Array expression is not an array data type")
        return value.of(f"unnest({value.sql})", value.type.element or ANY)

    def _aggregate(self, node: exp.Anonymous, name: str, context: Context, over: str, condition: str = "") -> Value:
        windowed = bool(over)
        if not context.aggregates and not windowed:
            raise self._queries.error(node, "Aggregate expression is illegal in this place")
        inner = context if windowed else replace(context, groups=None, aggregates=False, aliases=None)
        arguments = list(node.expressions)
        distinct = bool(arguments) and isinstance(arguments[0], exp.Distinct)
        if distinct:
            arguments = list(arguments[0].expressions)
        if name == "COUNT" and len(arguments) == 1 and isinstance(arguments[0], exp.Star):
            arguments = []
        elif not arguments:
            raise self._queries.error(node, f"Invalid number of arguments to function '{name}'")
        values = [self._expressions.bind(argument, inner) for argument in arguments]
        lineages = [value.lineage or FREE for value in values]
        if name in ("MIN", "MAX") and self._queries.controls and any(one.mixed for one in lineages):
            raise self._queries.error(node, REFUSAL)
        if condition:
            over = f" FILTER (WHERE {condition}){over}"
        try:
            result = AGGREGATES[name](values, distinct, over)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None
        if windowed:
            return replace(result, lineage=FREE if name == "COUNT" else merged(lineages))
        return replace(result, lineage=self._aggregate_lineage(name, values, distinct, condition, context))

    @staticmethod
    def _aggregate_lineage(
        name: str, values: Sequence[Value], distinct: bool, condition: str, context: Context
    ) -> Lineage:
        of_argument = computed(value.lineage or FREE for value in values[: None if name == "COUNT" else 1])
        owners = of_argument.owners or frozenset(range(len(context.scope.owners())))
        components = () if distinct or name not in ("SUM", "COUNT") else (_measured(name, values, condition),)
        if name == "COUNT":
            return Lineage(aggregate=True, owners=owners, components=components)
        return Lineage(of_argument.level, of_argument.literal, True, owners, components=components)

    def filter(self, node: exp.Filter, context: Context) -> Value:
        return self._with_filter(node, context, "")

    def _with_filter(self, node: exp.Filter, context: Context, over: str) -> Value:
        if not is_aggregate_call(node.this):
            raise self._queries.error(node, "FILTER must be applied to aggregate expression")
        inner = replace(context, groups=None, aggregates=False, aliases=None)
        condition = self._expressions.condition(node.expression.this, inner)
        return self._aggregate(node.this, str(node.this.name).upper(), context, over, condition)

    # --- windows -------------------------------------------------------------------------------------------------

    def window_definition(self, node: exp.Window, context: Context) -> str:
        """The text between the parentheses of OVER."""
        parts: list[str] = []
        if node.args.get("alias") is not None:
            parts.append(quote_name(node.args["alias"].name))
        partition = [self._key(part, context).sql for part in node.args.get("partition_by") or []]
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

    def _key(self, node: exp.Expr, context: Context) -> Value:
        """What the rows of a window are grouped or ordered by, that is compared with each other."""
        value = self._expressions.bind(node, context)
        self._expressions.guard(node, [value])
        return value

    def _ordered(self, node: exp.Expr, context: Context) -> str:
        value = self._key(node.this if isinstance(node, exp.Ordered) else node, context)
        descending = bool(node.args.get("desc")) if isinstance(node, exp.Ordered) else False
        nulls_first = node.args.get("nulls_first") if isinstance(node, exp.Ordered) else None
        first = descending if nulls_first is None else bool(nulls_first)
        return f"{value.sql} {'DESC' if descending else 'ASC'} NULLS {'FIRST' if first else 'LAST'}"

    def _frame(self, spec: exp.Expr, context: Context) -> str:
        def bound(key: str) -> str:
            edge, side = spec.args.get(key), spec.args.get(f"{key}_side") or ""
            text = self._expressions.bind(edge, context).sql if isinstance(edge, exp.Expression) else str(edge)
            return f"{text} {side}".strip()

        start, end = bound("start"), spec.args.get("end")
        frame = f"BETWEEN {start} AND {bound('end')}" if end else start
        return f"{spec.args.get('kind') or 'ROWS'} {frame}"

    def window(self, node: exp.Window, context: Context) -> Value:
        function = node.this
        nulls = ""
        if isinstance(function, exp.IgnoreNulls | exp.RespectNulls):
            nulls = " IGNORE NULLS" if isinstance(function, exp.IgnoreNulls) else ""
            function = function.this
        named = node.args.get("alias")
        if named is not None and named.name.lower() not in context.windows:
            raise self._queries.error(node, f"Window '{named.name}' not found")
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
        arguments = [self._expressions.bind(argument, context) for argument in function.expressions]
        if nulls and arguments:
            arguments[-1] = replace(arguments[-1], sql=arguments[-1].sql + nulls)
        # The third argument of LEAD and LAG is the value where there is no row
        lineage = merged(argument.lineage or FREE for argument in (*arguments[:1], *arguments[2:]))
        try:
            return replace(WINDOW_FUNCTIONS[name](arguments, False, over, name), lineage=lineage)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    # --- syntax of its own ---------------------------------------------------------------------------------------

    def case(self, node: exp.Case, context: Context) -> Value:
        branches = list(node.args.get("ifs") or [])
        default = node.args.get("default")
        results = [self._expressions.bind(branch.args["true"], context) for branch in branches]
        results.append(self._expressions.bind(default, context) if default is not None else Value("NULL", NULL))
        found = alike(results)
        if found is None:
            raise self._queries.error(node, "Illegal mixing of types in CASE or COALESCE statement")
        values, together = found
        subject = self._expressions.bind(node.this, context) if node.this is not None else None
        parts = ["CASE"]
        for branch, value in zip(branches, values, strict=False):
            if subject is None:
                condition = self._expressions.condition(branch.this, context)
            else:
                compared = [subject, self._expressions.bind(branch.this, context)]
                self._expressions.guard(branch, compared)
                left, right = self._comparable(node, compared)
                condition = f"{left.sql} = {right.sql}"
            parts.append(f"WHEN {condition} THEN {value.sql}")
        metric = together.is_number and any(value.metric for value in results)
        lineage = merged(value.lineage or FREE for value in results)
        return Value(" ".join([*parts, f"ELSE {values[-1].sql} END"]), together, metric, lineage=lineage)

    def _comparable(self, node: exp.Expr, values: list[Value]) -> list[Value]:
        try:
            return check_comparable("=", values)
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None

    def cast(self, node: exp.Cast, context: Context) -> Value:
        value = self._expressions.bind(node.this, context)
        wanted = self._cast_type(node)
        if not can_cast(value.type, wanted):
            raise self._queries.error(node, f"Cast function cannot convert value of type {value.type} to type {wanted}")
        result = cast(value, wanted)
        size = node.args["to"].expressions
        if wanted.kind == "STRING" and size and str(size[0].name).isdigit():
            result = replace(result, sql=f'"left"({result.sql}, {int(size[0].name)})')
        return result if wanted.is_number else replace(result, metric=False)

    def _cast_type(self, node: exp.Cast) -> SqlType:
        target = node.args["to"]
        name = str(getattr(target.this, "value", target.this)).upper()
        written = _AFTER_AS.match(self._queries.text(node))
        if written is not None and written[1].upper() not in _TYPE_WORDS:
            raise self._queries.error(node, f"Unknown datatype name '{written[1]}'")
        if name == "DECIMAL":
            if not all(str(size.name).isdigit() for size in target.expressions):
                raise self._queries.error(node, "DECIMAL needs whole numbers as precision and scale")
            sizes = [int(str(size.name)) for size in target.expressions]
            precision, scale = [*sizes, 38, 0][:2] if len(sizes) != 1 else (sizes[0], 0)
            if not 1 <= precision <= 38 or scale > precision:
                raise self._queries.error(node, f"DECIMAL precision {precision} must be between 1 and 38")
            return SqlType("DECIMAL", precision, scale)
        if name in ("ARRAY", "LIST") and target.expressions:
            return parse_type(f"ARRAY<{_CAST_TYPES.get(str(target.expressions[0].this.value).upper(), 'STRING')}>")
        if name == "USERDEFINED":
            return STRING  # SYMBOL, and STRING of the API
        if name not in _CAST_TYPES:
            raise self._queries.error(node, f"Unknown datatype name '{name}'")
        return SqlType(_CAST_TYPES[name])

    def extract(self, node: exp.Extract, context: Context) -> Value:
        unit = str(node.this.name).upper()
        if unit not in EXTRACT_UNITS:
            raise self._queries.error(node, f"'{unit}' is not a valid time frame")
        (moment,) = self._read(node, "EXTRACT", "m", [self._expressions.bind(node.expression, context)])
        return Value(f"CAST({EXTRACT_UNITS[unit].format(moment)} AS BIGINT)", LONG)

    def trim(self, node: exp.Trim, context: Context) -> Value:
        function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
        parts = [self._expressions.bind(part, context) for part in (node.this, node.expression) if part]
        return Value(f"{function}({', '.join(self._read(node, 'TRIM', 's' * len(parts), parts))})", STRING)

    def substring(self, node: exp.Substring, context: Context) -> Value:
        given = (node.this, node.args.get("start"), node.args.get("length"))
        parts = [self._expressions.bind(part, context) for part in given if part is not None]
        if len(parts) < 2:
            what = "Invalid number of arguments to function 'SUBSTRING'. Was expecting at least 2 arguments"
            raise self._queries.error(node, what)
        function = "amc_substring" if len(parts) == 3 else "substring"
        return Value(f"{function}({', '.join(self._read(node, 'SUBSTRING', 'sii', parts))})", STRING)

    def _read(self, node: exp.Expr, name: str, kinds: str, arguments: list[Value]) -> list[str]:
        try:
            return [value.sql for value in read(name, kinds, arguments)]
        except FunctionArgumentError as error:
            raise self._queries.error(node, str(error)) from None
