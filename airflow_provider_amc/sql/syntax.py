"""The syntax of AMC SQL where sqlglot, which reads the SQL of thirty databases, is more generous.

An emulator that takes what the real service refuses teaches the wrong SQL, so everything here errs on the strict side.
The grammar is that of the AMC documentation, "AMC SQL reference", over the parser of Apache Calcite, whose words
``Encountered "..." at line ..., column ...`` the messages use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from sqlglot import exp

from airflow_provider_amc.sql.calls import is_aggregate_call
from airflow_provider_amc.sql.dialect import error_at, place_in, word_before
from airflow_provider_amc.sql.errors import AmcSqlError, Place
from airflow_provider_amc.sql.one_line import PlacedToken, TokenKind, placed_tokens


def encountered(token: PlacedToken, hint: str = "") -> AmcSqlError:
    """The parser's error about a token.

    :param token: what stands in the wrong place.
    :param hint: what to write instead.
    """
    return AmcSqlError(
        f'Encountered "{token.token.text}" at line {token.line}, column {token.column}.{f" {hint}" if hint else ""}',
        token.line,
        token.column,
    )


# --- tokens ------------------------------------------------------------------------------------------------------

#: ``||`` is understood, and refused with a message of its own.
_SYMBOLS = set("().,+-*/%=<>[];") | {"<=", ">=", "<>", "!=", "||"}
#: Pairs of symbols without a gap that would be an operator of another database.
_TWINS = {"**", "//", "<<", ">>", "==", "->", "<=>", ">=="}
#: Words that no name may be without quotes.
RESERVED = frozenset(
    [
        "ALL",
        "AND",
        "AS",
        "BETWEEN",
        "BY",
        "CASE",
        "CAST",
        "CROSS",
        "DISTINCT",
        "ELSE",
        "END",
        "EXCEPT",
        "EXISTS",
        "FROM",
        "FULL",
        "GROUP",
        "HAVING",
        "IN",
        "INNER",
        "INTERSECT",
        "IS",
        "JOIN",
        "LATERAL",
        "LIKE",
        "LIMIT",
        "NATURAL",
        "NOT",
        "NULL",
        "ON",
        "OR",
        "ORDER",
        "QUALIFY",
        "RIGHT",
        "SELECT",
        "THEN",
        "UNION",
        "USING",
        "WHEN",
        "WHERE",
        "WITH",
    ]
)
#: Words that cannot follow a comma, and words that a comma cannot follow; sqlglot forgives a comma too many.
_NOT_AFTER_COMMA = {"FROM", "WHERE", "GROUP", "HAVING", "UNION", "WINDOW", ")", ","}
_NOT_BEFORE_COMMA = {"SELECT", "DISTINCT", "(", "BY", "FROM", "WHERE"}
#: Operators of other databases that are words.
_FOREIGN_OPERATORS = {"ISNULL", "NOTNULL", "ILIKE", "RLIKE", "REGEXP", "GLOB", "DIV"}
#: Letters before a quote that start a literal of another kind.
_PREFIXES = {"B", "E", "N", "R", "U", "X"}
_UNITS = {"SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}
#: Calls whose arguments are parted by words, not by commas.
_WORDED_CALLS = {
    "CAST": "AS",
    "EXTRACT": "FROM",
    "POSITION": "IN",
    "TRIM": "FROM",
}


def _is_operand(token: PlacedToken | None) -> bool:
    """Can this be the end of a value?"""
    if token is None or token.token.kind is TokenKind.SYMBOL:
        return token is not None and token.token.text in (")", "]")
    return not (token.token.kind is TokenKind.WORD and token.token.text.upper() in RESERVED)


def _check_alone(token: PlacedToken) -> None:
    text = token.token.text
    if token.token.kind is TokenKind.SYMBOL and text not in _SYMBOLS:
        raise encountered(token)
    if token.token.kind is TokenKind.WORD and (text[0] == "$" or text[0].isdigit()):
        raise encountered(token)


def _check_adjacent(token: PlacedToken, following: PlacedToken) -> None:
    """Two tokens without a gap: operators and literals of other databases."""
    text, after = token.token.text, following.token.text
    if text + after in _TWINS and token.token.kind is following.token.kind is TokenKind.SYMBOL:
        raise encountered(token)
    if following.token.kind is TokenKind.TEXT and text.upper() in _PREFIXES:
        raise encountered(following)


def _follows(text: str, after: str) -> bool:
    """May a token follow another?"""
    if text == "," and after in _NOT_AFTER_COMMA:
        return False
    if after == "," and text in _NOT_BEFORE_COMMA:
        return False
    if text == "SELECT" and after == "FROM":
        return False
    return not (text in ("CURRENT_DATE", "CURRENT_TIMESTAMP") and after == "(")


def _check_pair(token: PlacedToken, following: PlacedToken) -> None:
    after = following.token.text.upper()
    if not following.after_gap:
        _check_adjacent(token, following)
    if token.token.kind is following.token.kind is TokenKind.TEXT or not _follows(token.token.text.upper(), after):
        raise encountered(following)
    if after == "[" and not _is_operand(token):
        raise encountered(following, "Write ARRAY[...] for an array.")
    if after in _FOREIGN_OPERATORS and following.token.kind is TokenKind.WORD and _is_operand(token):
        raise encountered(following)


def _check_interval(tokens: Sequence[PlacedToken], at: int) -> None:
    """After INTERVAL: a quoted number and a unit."""
    signed = tokens[at + 1].token.text in ("+", "-")
    rest = tokens[at + 1 + signed : at + 3 + signed]
    if not rest or rest[0].token.kind not in (TokenKind.TEXT, TokenKind.NUMBER):
        return  # a column named interval
    if rest[0].token.kind is TokenKind.NUMBER:
        raise encountered(rest[0], "Quote the number: INTERVAL '30' DAY.")
    unit = rest[1].token.text.upper().removesuffix("S") if len(rest) > 1 else ""
    if unit not in _UNITS:
        raise encountered(rest[1] if len(rest) > 1 else rest[0], "INTERVAL needs a unit, such as INTERVAL '30' DAY.")


def _check_worded_call(tokens: Sequence[PlacedToken], at: int) -> None:
    """EXTRACT(day FROM x) and the like take no commas, and EXTRACT no quoted unit."""
    name = tokens[at].token.text.upper()
    depth = 0
    for token in tokens[at + 1 :]:
        text = token.token.text
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text, 0) if token.token.kind is TokenKind.SYMBOL else 0
        if depth == 0:
            break
        if depth == 1 and text == ",":
            raise encountered(token, f'Was expecting: "{_WORDED_CALLS[name]}"')
    if name == "EXTRACT" and len(tokens) > at + 2 and tokens[at + 2].token.kind is TokenKind.TEXT:
        raise encountered(tokens[at + 2])


def check_tokens(tokens: Sequence[PlacedToken]) -> None:
    """Refuse, before parsing, syntax of other databases that sqlglot understands in any dialect.

    :param tokens: those of the query, at least one.
    :raises AmcSqlError: a token stands where AMC SQL has no place for it.
    """
    first = next((token for token in tokens if token.token.text != "("), tokens[0])
    if first.token.text.upper() not in ("SELECT", "WITH"):
        raise encountered(first, 'Was expecting one of: "SELECT" "WITH" "("')
    for token in tokens:
        if token.token.text == ";":
            raise encountered(token, "Only one statement is allowed.")
        _check_alone(token)
    for token, following in pairwise(tokens):
        _check_pair(token, following)
    for at, token in enumerate(tokens[:-1]):
        word = token.token.text.upper() if token.token.kind is TokenKind.WORD else ""
        if word == "INTERVAL":
            _check_interval(tokens, at)
        elif word in _WORDED_CALLS and tokens[at + 1].token.text == "(":
            _check_worded_call(tokens, at)
    last = tokens[-1]
    if last.token.text == ",":
        raise encountered(last)
    if last.token.kind is TokenKind.WORD and last.token.text.upper() in RESERVED - {"ALL", "END", "NULL"}:
        column = last.column + len(last.token.text) - 1
        raise AmcSqlError(f'Encountered "<EOF>" at line {last.line}, column {column}.', last.line, column)


# --- the tree ----------------------------------------------------------------------------------------------------

#: What a SELECT and a table in FROM may consist of; other databases know more, and so does sqlglot.
_SELECT_PARTS = {
    "with_", "with", "expressions", "distinct", "from_", "from", "joins", "where", "group", "having", "windows",
    "limit", "offset", "order",
}  # fmt: skip
_TABLE_PARTS = {"this", "alias", "db", "catalog", "joins"}

#: What nodes of these kinds may consist of.
_PARTS: dict[type[exp.Expr], set[str]] = {
    exp.Union: {"this", "expression", "distinct", "with", "with_", "limit", "offset", "order"},
    exp.Join: {"this", "side", "kind", "on", "using", "method"},
    exp.Cast: {"this", "to"},
    exp.Star: set(),
    exp.Window: {"this", "alias", "partition_by", "order", "spec", "over", "first"},
    exp.WindowSpec: {"kind", "start", "start_side", "end", "end_side"},
    exp.CTE: {"this", "alias"},
    exp.Like: {"this", "expression", "negate"},
    exp.In: {"this", "expressions", "query", "unnest"},
    exp.Between: {"this", "low", "high"},
}
_WORDS_OF_PARTS = {
    "by_name": "BY", "except_": "EXCEPT", "except": "EXCEPT", "replace": "REPLACE", "rename": "RENAME",
    "exclude": "EXCLUDE", "materialized": "MATERIALIZED", "format": "FORMAT", "symmetric": "SYMMETRIC",
}  # fmt: skip


def _found(sql: str, node: exp.Expr, *words: str) -> Place | None:
    """Where one of some words stands inside a node, or right before or after it."""
    place = place_in(sql, node)
    after = [
        token
        for token in placed_tokens(sql)
        if token.token.text.upper() in words
        and (place is None or (token.line, token.column) >= (place.line, place.column))
    ]
    if not after:
        return place
    return Place(after[0].line, after[0].column, after[0].line, after[0].column + len(after[0].token.text) - 1)


def _refusal(sql: str, node: exp.Expr, what: str, *words: str) -> AmcSqlError:
    """An error about a clause, at the word that begins it."""
    return AmcSqlError.at(_found(sql, node, *words), what)


def _check_parts(sql: str, node: exp.Expr) -> None:
    allowed = _PARTS.get(type(node))
    if allowed is None:
        return
    for key, value in node.args.items():
        if value and key not in allowed and not key.startswith("_"):
            word = _WORDS_OF_PARTS.get(key, key.strip("_").upper())
            raise _refusal(sql, node, f"{word} is not supported", word, "EXCLUDE", "EXCEPT", "NOT")


_CLAUSES = {
    "laterals": ("LATERAL",), "pivots": ("PIVOT", "UNPIVOT"), "qualify": ("QUALIFY",), "into": ("INTO",),
    "sample": ("TABLESAMPLE", "SAMPLE", "USING"), "locks": ("FOR",), "cluster": ("CLUSTER",), "sort": ("SORT",),
    "distribute": ("DISTRIBUTE",), "connect": ("START", "CONNECT"), "version": ("FOR",), "when": ("AT",),
    "kind": ("AS",), "ordinality": ("ORDINALITY",), "match": ("MATCH_RECOGNIZE",), "prewhere": ("PREWHERE",),
    "settings": ("SETTINGS",), "format": ("FORMAT",), "options": ("OPTION",), "hint": ("/*+",),
}  # fmt: skip


def _unknown_clause(sql: str, node: exp.Expr, key: str) -> AmcSqlError:
    """The error about a clause that AMC SQL does not have, by sqlglot's name of it."""
    words = _CLAUSES.get(key, (key.strip("_").upper(),))
    place = _found(sql, node, *words)
    text = _text_at(sql, place) or words[0]
    return AmcSqlError.at(place, f"{text if text.upper() in words else words[0]} is not supported")


def _text_at(sql: str, place: Place | None) -> str:
    if place is None:
        return ""
    lines = re.split(r"\r\n|\r|\n", sql)
    return lines[place.line - 1][place.column - 1 : place.end_column].upper()


def _check_select(sql: str, node: exp.Select) -> None:
    _check_query(sql, node)
    for key, value in node.args.items():
        if value and key not in _SELECT_PARTS:
            raise _unknown_clause(sql, node, key)
    if not node.expressions:
        raise AmcSqlError.at(word_before(sql, node, "FROM"), 'Encountered "FROM" where columns should be')


def _check_table(sql: str, node: exp.Table) -> None:
    for key, value in node.args.items():
        if value and key not in _TABLE_PARTS:
            raise _unknown_clause(sql, node, key)


def _check_subquery(sql: str, node: exp.Subquery) -> None:
    _check_query(sql, node)
    for key in ("pivots", "sample"):
        if node.args.get(key):
            raise _unknown_clause(sql, node, key)


def _check_query(sql: str, node: exp.Expr) -> None:
    for key, word in (("limit", "LIMIT"), ("offset", "OFFSET"), ("order", "ORDER")):
        clause = node.args.get(key)
        if clause is not None:
            word = "FETCH" if isinstance(clause, exp.Fetch) else word
            what = "ORDER BY is not supported outside of OVER" if key == "order" else f"{word} is not supported"
            raise AmcSqlError.at(word_before(sql, clause, word) or _found(sql, node, word), what)
    clause = node.args.get("with_") or node.args.get("with")
    if clause is not None and clause.args.get("recursive"):
        place = word_before(sql, clause.expressions[0], "RECURSIVE")
        raise AmcSqlError.at(place, "WITH RECURSIVE is not supported")
    distinct = node.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None:
        raise AmcSqlError.at(word_before(sql, distinct, "ON"), "DISTINCT ON is not supported")


def _check_group(sql: str, node: exp.Group) -> None:
    for key, words in (("all", "ALL"), ("cube", "CUBE"), ("rollup", "ROLLUP"), ("grouping_sets", "GROUPING SETS")):
        if node.args.get(key) or any(
            type(part).__name__.upper() == words.replace(" ", "") for part in node.expressions
        ):
            place = _found(sql, node.parent or node, words.split()[0])
            raise AmcSqlError.at(place, f"GROUP BY {words} is not supported")


def _check_order(sql: str, node: exp.Order) -> None:
    if not isinstance(node.parent, exp.Window):
        raise _refusal(sql, node, "ORDER BY is not supported outside of OVER", "ORDER")


def _check_cte(sql: str, node: exp.CTE) -> None:
    if not isinstance(node.this, exp.Query | exp.Values):
        word = type(node.this).__name__.upper()
        place = word_before(sql, node.this, word)
        raise AmcSqlError.at(place, f'Encountered "{word}" in WITH. Was expecting one of: "SELECT" "WITH" "VALUES"')


def _check_quantifier(sql: str, node: exp.Expr) -> None:
    word = type(node).__name__.upper()
    raise _refusal(sql, node, f"{word} is not supported", word)


def _check_within(sql: str, node: exp.WithinGroup) -> None:
    raise _refusal(sql, node.this, "WITHIN GROUP is not supported", "WITHIN")


def _check_identifier(sql: str, node: exp.Identifier) -> None:
    start = node.meta.get("start")
    if start is not None and sql[start] == "'" and not isinstance(node.parent, exp.Table):
        raise _encountered_node(sql, node, sql[start : node.meta["end"] + 1])
    if not node.args.get("quoted") and str(node.this).upper() in RESERVED:
        raise _encountered_node(sql, node, str(node.this))


def _encountered_node(sql: str, node: exp.Expr, text: str) -> AmcSqlError:
    place = place_in(sql, node)
    if place is None:
        return AmcSqlError(f'Encountered "{text}".')
    where = f"at line {place.line}, column {place.column}"
    return AmcSqlError(f'Encountered "{text}" {where}.', place.line, place.column)


def _check_join(sql: str, node: exp.Join) -> None:
    side, kind, method = (str(node.args.get(key) or "").upper() for key in ("side", "kind", "method"))
    for word in (method, side if side == "RIGHT" else "", kind if kind not in ("", "INNER", "CROSS", "OUTER") else ""):
        if word:
            raise AmcSqlError.at(word_before(sql, node.this, word), f"{word} JOIN is not supported")
    if kind == "CROSS" and (node.args.get("on") is not None or node.args.get("using")):
        raise error_at(sql, node, "CROSS JOIN takes no condition")
    if isinstance(node.this, exp.Lateral):
        raise AmcSqlError.at(word_before(sql, node.this, "LATERAL"), "LATERAL is not supported")


def _check_window_spec(sql: str, node: exp.WindowSpec) -> None:
    if str(node.args.get("kind") or "").upper() == "GROUPS":
        raise _refusal(sql, node.parent or node, "GROUPS is not supported", "GROUPS")


def _check_window(sql: str, node: exp.Window) -> None:
    """Refuse window functions where rows are joined or inside other functions over rows."""
    around = node.parent
    while around is not None and not isinstance(around, exp.Query):
        if isinstance(around, exp.Join):
            raise error_at(sql, node, "Windowed aggregate expression is illegal in ON clause")
        if isinstance(around, exp.Window) or is_aggregate_call(around):
            raise error_at(sql, node, "Aggregate expressions cannot be nested")
        around = around.parent


def _check_filter(sql: str, node: exp.Filter) -> None:
    place = place_in(sql, node.expression)
    if place is not None and word_before(sql, node.expression, "WHERE") == place:
        raise error_at(sql, node.expression, "FILTER needs WHERE: FILTER (WHERE ...)")


def _check_row(sql: str, node: exp.Tuple) -> None:
    if not isinstance(node.parent, exp.In | exp.Values | exp.Group):
        raise error_at(sql, node, "ROW expression encountered in illegal context")


def _check_call(sql: str, node: exp.Anonymous) -> None:
    name = str(node.name).upper()
    if name == "EXPLODE" and not isinstance(node.parent, exp.Alias | exp.Select | exp.Table):
        raise error_at(sql, node, "EXPLODE must be a column of its own in the select list")
    if name == "COUNT" and isinstance(node.expressions[0] if node.expressions else None, exp.Distinct):
        star = next((part for part in node.expressions[0].expressions if isinstance(part, exp.Star)), None)
        if star is not None:
            raise _refusal(sql, node, "COUNT(DISTINCT *) is not supported", "DISTINCT")


_CHECKS: dict[type[exp.Expr], Callable[[str, Any], None]] = {
    exp.Select: _check_select,
    exp.Table: _check_table,
    exp.Union: _check_query,
    exp.Subquery: _check_subquery,
    exp.Group: _check_group,
    exp.Order: _check_order,
    exp.CTE: _check_cte,
    exp.Any: _check_quantifier,
    exp.All: _check_quantifier,
    exp.WithinGroup: _check_within,
    exp.Identifier: _check_identifier,
    exp.Join: _check_join,
    exp.Window: _check_window,
    exp.WindowSpec: _check_window_spec,
    exp.Filter: _check_filter,
    exp.Anonymous: _check_call,
    exp.Tuple: _check_row,
}


def check_tree(sql: str, tree: exp.Expr) -> None:
    """Refuse what sqlglot parsed but AMC SQL does not have.

    :param sql: the query.
    :param tree: its tree.
    :raises AmcSqlError: with the place of what is wrong.
    """
    for node in tree.walk(bfs=False):
        if isinstance(node, exp.SetOperation) and not isinstance(node, exp.Union):
            word = type(node).__name__.upper()
            raise AmcSqlError.at(word_before(sql, node.expression, word), f"{word} is not supported")
        _check_parts(sql, node)
        if (check := _CHECKS.get(type(node))) is not None:
            check(sql, node)
