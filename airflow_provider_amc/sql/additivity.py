"""Which values of a query AMC cannot add up when it merges rows.

With ``filteredMetricsDiscriminatorColumn``, AMC empties the values that too few users stand behind and puts the rows that
became equal together with SUM (AMC API documentation, "Create workflow"). A sum of sums is the sum of all, and so is a sum
of counts; a sum of averages is nothing. Which expressions stay right is this module's reading of that one rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from sqlglot import exp

from airflow_provider_amc.sql.calls import has_aggregate, is_aggregate_call
from airflow_provider_amc.sql.catalogue import get_table
from airflow_provider_amc.sql.outputs import Output, Select

#: Aggregates of which a sum over groups is the value of all of them, unless they are DISTINCT.
_SUMS = ("SUM", "COUNT")
_KINDS = {
    "AVG": "an average",
    "MIN": "an extreme value",
    "MAX": "an extreme value",
    "MEDIAN": "a percentile",
    "PERCENTILE": "a percentile",
    "APPROX_PERCENTILE": "a percentile",
    **dict.fromkeys(
        ("STDDEV", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE", "VAR_POP", "VAR_SAMP", "SKEWNESS"), "a statistic"
    ),
}
_COMPUTED = "computed from aggregates"

#: Functions that give their first argument, nearly: whoever rounds lives with the rounding.
_LIKE_FIRST = frozenset({"ROUND", "TRUNC", "TRUNCATE", "CEIL", "CEILING", "FLOOR", "NULLIF"})
_LIKE_ANY = frozenset({"COALESCE", "IFNULL", "NVL"})
#: Functions whose result is a number made of their arguments.
_OF_NUMBERS = frozenset({"ABS", "EXP", "LN", "LOG", "LOG10", "MOD", "POW", "POWER", "SQRT", "GREATEST", "LEAST"})

_NUMBERS = ("BYTE", "SHORT", "INTEGER", "LONG", "FLOAT", "DOUBLE", "DECIMAL")
_TEXTS = ("VARCHAR", "TEXT", "CHAR", "NCHAR", "NVARCHAR", "DATE", "TIMESTAMP", "BOOLEAN")


def not_additive(output: Output) -> tuple[str, exp.Expr] | None:
    """Why the sum of an output column over rows is not its value over their union.

    :param output: an output column of a query.
    :returns: what it is, such as ``an average``, and the expression that makes it so; ``None`` for sums and counts, and for
        what is no number, which AMC does not add up.
    """
    return _In(output.select).judge(output.expression)


class _In:
    """Judges the expressions of one SELECT."""

    def __init__(self, select: Select) -> None:
        self._select = select

    @cached_property
    def _groups(self) -> bool:
        node = self._select.node
        return node.args.get("group") is not None or any(has_aggregate(item) for item in node.selects)

    def judge(self, node: exp.Expr | None) -> tuple[str, exp.Expr] | None:
        if node is None or isinstance(node, exp.Literal | exp.Null | exp.Boolean | exp.Connector | exp.Predicate):
            return None
        if isinstance(node, exp.Paren | exp.Neg | exp.Filter | exp.Alias):
            return self.judge(node.this)
        if isinstance(node, exp.Cast):
            return None if node.to.this.name in _TEXTS else self.judge(node.this)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Window):
            return ("a value of a window", node) if self._is_number(node.this) else None
        if isinstance(node, exp.Binary):
            return self._binary(node)
        if isinstance(node, exp.If | exp.Case):
            return self._choice(node)
        return self._call(node) if isinstance(node, exp.Anonymous) else None

    def _column(self, column: exp.Column) -> tuple[str, exp.Expr] | None:
        # In a SELECT that groups, what stands outside of aggregates is a key, and rows with other keys are not merged.
        if self._groups:
            return None
        origins = (_In(origin.select).judge(origin.expression) for origin in self._select.origins(column))
        return next(((found[0], column) for found in origins if found is not None), None)

    def _binary(self, node: exp.Binary) -> tuple[str, exp.Expr] | None:
        left, right = node.this, node.expression
        if isinstance(node, exp.Div):
            return ("a ratio", node) if self._aggregates(right) else self.judge(left)
        if isinstance(node, exp.Mul):
            if self._aggregates(left) and self._aggregates(right):
                return ("a product", node)
            return self._first(left, right)
        if isinstance(node, exp.Add | exp.Sub):
            if self._aggregates(left) != self._aggregates(right):
                # What is added to the sum of a row is added once for each row that is merged.
                return (_COMPUTED, node)
            return self._first(left, right)
        return (_COMPUTED, node) if isinstance(node, exp.Mod) and self._aggregates(node) else None

    def _choice(self, node: exp.If | exp.Case) -> tuple[str, exp.Expr] | None:
        whens = [node] if isinstance(node, exp.If) else node.args["ifs"]
        results = [*(when.args.get("true") for when in whens), node.args.get("false"), node.args.get("default")]
        present = [result for result in results if result is not None]
        if not any(self._is_number(result) for result in present):
            return None
        if any(self._aggregates(when.this) for when in whens):
            return self._first(*present) or (_COMPUTED, node)
        return self._first(*present)

    def _call(self, node: exp.Anonymous) -> tuple[str, exp.Expr] | None:
        name = str(node.name).upper()
        if is_aggregate_call(node):
            if any(isinstance(argument, exp.Distinct) for argument in node.expressions) and name in _SUMS:
                return ("a distinct count" if name == "COUNT" else "a sum of distinct values", node)
            kind = _KINDS.get(name)
            return (kind, node) if kind is not None and self._is_number(node) else None
        if name in _LIKE_FIRST:
            return self.judge(node.expressions[0]) if node.expressions else None
        if name in _LIKE_ANY:
            return self._first(*node.expressions)
        if name == "NVL2":
            return self._first(*node.expressions[1:])
        return (_COMPUTED, node) if name in _OF_NUMBERS and self._aggregates(node) else None

    def _first(self, *nodes: exp.Expr) -> tuple[str, exp.Expr] | None:
        return next((found for node in nodes if (found := self.judge(node)) is not None), None)

    def _aggregates(self, node: exp.Expr) -> bool:
        """Is it made of the result of an aggregate, here or in the query that it comes from?"""
        if has_aggregate(node) or node.find(exp.Window):
            return True
        if self._groups:
            return False
        origins = (origin for column in node.find_all(exp.Column) for origin in self._select.origins(column))
        return any(_In(origin.select)._aggregates(origin.expression) for origin in origins)

    def _is_number(self, node: exp.Expr) -> bool:
        """Can it be a number? What nobody knows can."""
        if isinstance(node, exp.Literal):
            return not node.is_string
        if isinstance(node, exp.Null | exp.Boolean | exp.DPipe | exp.Predicate):
            return False
        if isinstance(node, exp.Column):
            return all(self._number_types(node))
        if is_aggregate_call(node) and str(node.name).upper() in ("MIN", "MAX") and node.expressions:
            return self._is_number(node.expressions[0])
        return not (is_aggregate_call(node) and str(node.name).upper() == "COLLECT")

    def _number_types(self, column: exp.Column) -> Iterable[bool]:
        for origin in self._select.origins(column):
            yield _In(origin.select)._is_number(origin.expression)
        for alias, derived in self._select.sources.items():
            if derived.table and column.table.lower() in ("", alias):
                try:
                    found = get_table(derived.table).columns.get(column.name.lower())
                except KeyError:
                    continue
                if found is not None:
                    yield found.data_type.startswith(_NUMBERS)
