"""AMC SQL for sqlglot: a dialect named ``amc``.

Registered through the entry point ``sqlglot.dialects``, so ``sqlglot.parse_one(sql, read="amc")`` works where this package is
installed; importing this module registers it as well. ``sqlglot.transpile(sql, read="amc", write="duckdb")`` gives SQL that
runs in DuckDB and means the same: functions to which AMC gives a meaning of its own are nodes of
:mod:`airflow_provider_amc.sql.transpile`. The emulator's compiler, which knows tables, types, parameters and privacy, reads
the same text with :class:`AmcCalls`, where every function is a call by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import TokenType, exp, generator, parser, tokens
from sqlglot.dialects.dialect import Dialect

from airflow_provider_amc.sql import transpile
from airflow_provider_amc.sql.errors import AmcSqlError, Place
from airflow_provider_amc.sql.one_line import place_of, placed_tokens

# Words with a syntax of their own inside the parentheses; every other function is parsed as name(arguments).
_SPECIAL_SYNTAX = ("CAST", "EXTRACT", "POSITION", "SUBSTRING", "TRIM")

_BARE_WORDS = (exp.CurrentDate, exp.CurrentTimestamp, exp.Var, exp.Null, exp.Boolean, exp.Literal)

_FUNCTION_PARSERS = {
    name: function for name, function in parser.Parser.FUNCTION_PARSERS.items() if name in _SPECIAL_SYNTAX
}


def _extract(self: Any) -> Any:
    node = _FUNCTION_PARSERS["EXTRACT"](self)
    if isinstance(node, exp.Extract) and node.this.name.upper() in transpile.AMC_UNITS:
        return transpile.AmcExtract(this=node.this, expression=node.expression)
    return node


def _cast(self: Any) -> Any:
    node = _FUNCTION_PARSERS["CAST"](self)
    if not isinstance(node, exp.Cast):
        return node
    if transpile.needs_amc_cast(node):
        return transpile.AmcCast(this=node.this, to=node.args["to"])
    # What cannot be cast is NULL
    return exp.TryCast(this=node.this, to=node.args["to"])


def _similar(self: Any, this: Any) -> Any:
    return self._parse_escape(transpile.AmcSimilarTo(this=this, expression=self._parse_bitwise()))


def _cast_sql(self: Any, node: Any) -> str:
    moment = str(getattr(node.args["to"].this, "value", "")) in ("DATE", "TIMESTAMP")
    if type(node) is exp.Cast and moment and isinstance(node.this, exp.Literal) and node.this.is_string:
        return f"{self.sql(node, 'to')} {self.sql(node, 'this')}"
    return f"CAST({self.sql(node, 'this')} AS {self.sql(node, 'to')})"


def _if_sql(self: Any, node: exp.If) -> str:
    parts = (node.this, node.args.get("true"), node.args.get("false"))
    return f"IF({', '.join(self.sql(part) for part in parts if part is not None)})"


def _trim_sql(self: Any, node: exp.Trim) -> str:
    if not node.expression:
        return f"TRIM({self.sql(node, 'this')})"
    position = f"{node.args['position']} " if node.args.get("position") else ""
    return f"TRIM({position}{self.sql(node, 'expression')} FROM {self.sql(node, 'this')})"


class AMC(Dialect):
    """The dialect class that sqlglot registers under ``amc``."""

    NORMALIZE_FUNCTIONS: bool | str = False
    NULL_ORDERING = "nulls_are_large"
    INDEX_OFFSET = 1
    SAFE_DIVISION = True

    class Tokenizer(tokens.Tokenizer):
        IDENTIFIERS = ['"', "`"]
        QUOTES = ["'"]
        STRING_ESCAPES = ["'"]
        COMMENTS = ["--", ("/*", "*/")]
        NESTED_COMMENTS = False
        HINT_START = "/*+ "
        KEYWORDS = {key: value for key, value in tokens.Tokenizer.KEYWORDS.items() if not key.startswith("/*")}

    class Parser(parser.Parser):
        FUNCTIONS = {
            **{name: parser.Parser.FUNCTIONS[name] for name in transpile.CANONICAL},
            "ARRAY": lambda arguments: exp.Array(expressions=arguments),
            **{name: node.from_arg_list for name, node in transpile.CLASSES.items()},
        }
        FUNCTION_PARSERS = {**_FUNCTION_PARSERS, "EXTRACT": _extract, "CAST": _cast}
        RANGE_PARSERS = {**parser.Parser.RANGE_PARSERS, TokenType.SIMILAR_TO: _similar}
        NO_PAREN_FUNCTIONS = {
            TokenType.CURRENT_DATE: transpile.CLASSES["CURRENT_DATE"],
            TokenType.CURRENT_TIMESTAMP: transpile.CLASSES["CURRENT_TIMESTAMP"],
        }

        def _parse_lambda(self, *args: Any, **kwargs: Any) -> Any:
            # COUNT(ALL x) is COUNT(x); older versions of sqlglot do not know it
            if self._curr and self._curr.token_type == TokenType.ALL:
                self._advance()
            return super()._parse_lambda(*args, **kwargs)

    class Generator(generator.Generator):
        TRANSFORMS = {
            **generator.Generator.TRANSFORMS,
            exp.CurrentDate: lambda self, node: "CURRENT_DATE",
            exp.CurrentTimestamp: lambda self, node: "CURRENT_TIMESTAMP",
            transpile.CLASSES["CURRENT_DATE"]: lambda self, node: "CURRENT_DATE",
            transpile.CLASSES["CURRENT_TIMESTAMP"]: lambda self, node: "CURRENT_TIMESTAMP",
            transpile.AmcSimilarTo: lambda self, node: (
                f"{self.sql(node, 'this')} SIMILAR TO {self.sql(node, 'expression')}"
            ),
            transpile.AmcExtract: lambda self, node: (
                f"EXTRACT({self.sql(node, 'this')} FROM {self.sql(node, 'expression')})"
            ),
            transpile.AmcCast: _cast_sql,
            exp.Cast: _cast_sql,
            exp.TryCast: _cast_sql,
            exp.If: _if_sql,
            exp.Array: lambda self, node: f"ARRAY[{self.expressions(node, flat=True)}]",
            exp.Trim: _trim_sql,
            exp.StrPosition: lambda self, node: f"POSITION({self.sql(node, 'substr')} IN {self.sql(node, 'this')})",
        }


class AmcCalls(AMC):
    """AMC SQL for the compiler: every function stays a call by its name, and every node knows its place."""

    INDEX_OFFSET = 0

    class Parser(AMC.Parser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS = _FUNCTION_PARSERS
        RANGE_PARSERS = parser.Parser.RANGE_PARSERS
        NO_PAREN_FUNCTIONS = {
            TokenType.CURRENT_DATE: exp.CurrentDate,
            TokenType.CURRENT_TIMESTAMP: exp.CurrentTimestamp,
        }

        def expression(self, *args: Any, **kwargs: Any) -> Any:
            """Note the place of words without arguments, too; sqlglot notes those of names, literals and calls."""
            # The parameters of the method differ between the versions of sqlglot
            node = super().expression(*args, **kwargs)
            if isinstance(node, _BARE_WORDS) and "start" not in node.meta:
                node.update_positions(self._prev)
            return node

        def _parse_function(self, *args: Any, **kwargs: Any) -> Any:
            return self._placed(super()._parse_function, *args, **kwargs)

        def _parse_case(self, *args: Any, **kwargs: Any) -> Any:
            return self._placed(super()._parse_case, *args, **kwargs)

        def _parse_interval(self, *args: Any, **kwargs: Any) -> Any:
            return self._placed(super()._parse_interval, *args, **kwargs)

        def _parse_type(self, *args: Any, **kwargs: Any) -> Any:
            first = self._curr
            node = super()._parse_type(*args, **kwargs)
            if isinstance(node, exp.Cast) and "whole" not in node.meta:
                node.meta["whole"] = (first.start, self._prev.end)  # DATE '2026-01-31'
            return node

        def _placed(self, parse: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            """Note where a piece with a syntax of its own begins and ends, such as CAST(... AS ...)."""
            # CASE and NOT are behind the parser already when it gets here
            first = self._prev if parse.__name__ == "_parse_case" else self._curr
            node = parse(*args, **kwargs)
            if node is not None and "whole" not in node.meta:
                node.meta["whole"] = (first.start, self._prev.end)
            return node


def place_in(sql: str, node: exp.Expr) -> Place | None:
    """Where a node of the tree stands in the text.

    :param sql: the text that was parsed.
    :param node: a node of its tree.
    :returns: from the first to the last token known to belong to the node, ``None`` when no token is known.
    """
    starts: list[int] = []
    ends: list[int] = []
    for part in node.walk(prune=lambda part: "whole" in part.meta):
        start, end = part.meta.get("whole") or (part.meta.get("start"), part.meta.get("end"))
        if start is not None and end is not None:
            starts.append(start)
            ends.append(end)
    if not starts:
        return None
    last = max(ends)
    line, column = place_of(sql, min(starts))
    end_line, end_column = place_of(sql, last)
    return Place(line, column, end_line, end_column)


def word_before(sql: str, node: exp.Expr, word: str) -> Place | None:
    """Where a keyword stands that introduces a node, such as the LIMIT before its number.

    :param sql: the text that was parsed.
    :param node: the node.
    :param word: the keyword, or a symbol such as ``*``.
    :returns: the last place of the word before the node, or the place of the node.
    """
    place = place_in(sql, node)
    if place is None:
        return None
    before = [
        token
        for token in placed_tokens(sql)
        if token.token.text.upper() == word and (token.line, token.column) < (place.line, place.column)
    ]
    if not before:
        return place
    token = before[-1]
    return Place(token.line, token.column, token.line, token.column + len(word) - 1)


def error_at(sql: str, node: exp.Expr, what: str) -> AmcSqlError:
    """An error about a node of the tree.

    :param sql: the text that was parsed.
    :param node: the node that is wrong.
    :param what: what is wrong with it.
    :returns: the error, with the place of the node.
    """
    return AmcSqlError.at(place_in(sql, node), what)
