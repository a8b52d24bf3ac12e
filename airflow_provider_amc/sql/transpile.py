"""AMC's functions in sqlglot trees, and their DuckDB SQL.

A function with a meaning of AMC's own is a node of a class of its own, such as ``AmcSecondsBetween``. Written in the dialect
``duckdb`` it becomes what :mod:`airflow_provider_amc.sql.functions` writes for the emulator, with the macros spelled out, so
that the SQL runs in any DuckDB; in every other dialect it stays a call by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from airflow_provider_amc.sql.aggregates import AGGREGATES
from airflow_provider_amc.sql.coerce import NOW, Value, cast, quote_name, quote_text
from airflow_provider_amc.sql.functions import EXTRACT_UNITS, FUNCTIONS, FunctionArgumentError
from airflow_provider_amc.sql.java_pattern import JavaPatternError
from airflow_provider_amc.sql.java_regex import PREFIX, for_re2
from airflow_provider_amc.sql.macros import MACROS
from airflow_provider_amc.sql.text_functions import RE2_CALLS
from airflow_provider_amc.sql.types import (
    ANY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    INTEGER,
    LONG,
    NULL,
    STRING,
    TIMESTAMP,
    SqlType,
    array_of,
    to_duckdb,
)


class AmcFunction(exp.Anonymous):
    """A call of a function that AMC SQL has and sqlglot has not, or not with AMC's meaning."""

    arg_types = {"expressions": False}
    is_var_len_args = True
    _sql_names = ["AMC_FUNCTION"]

    @property
    def name(self) -> str:
        return str(self.sql_name())


class AmcSimilarTo(exp.Anonymous):
    """``this SIMILAR TO expression``: a Java regular expression matches the whole text."""

    arg_types = {"this": True, "expression": True}
    is_var_len_args = False
    _sql_names = ["SIMILAR_TO"]


class AmcExtract(exp.Anonymous):
    """``EXTRACT(this FROM expression)`` of a unit that other databases count differently."""

    arg_types = {"this": True, "expression": True}
    is_var_len_args = False
    _sql_names = ["AMC_EXTRACT"]


class AmcCast(exp.Anonymous):
    """``CAST(this AS to)`` where AMC and other databases part: fractions are cut off, texts shortened, ``'today'`` is a day."""

    arg_types = {"this": True, "to": True}
    is_var_len_args = False
    _sql_names = ["AMC_CAST"]


#: Functions that mean in sqlglot what they mean in AMC; tools that read trees know these.
CANONICAL = ("COUNT", "SUM", "AVG", "MIN", "MAX", "COALESCE", "NULLIF", "ABS", "ROW_NUMBER")
#: Calls that are no functions of rows but have a meaning in AMC.
_FRAMES = ("EXPLODE", "BUILT_IN_PARAMETER", "CUSTOM_PARAMETER", "TABLE", "EXTEND_TIME_WINDOW")
#: Words that EXTRACT counts in AMC's way.
AMC_UNITS = ("DOW", "DAYOFWEEK", "EPOCH")
#: Words that a CAST turns into a date or timestamp.
_MOMENT_WORDS = ("now", "today", "yesterday", "tomorrow")


def _class_for(name: str) -> type[AmcFunction]:
    title = "Amc" + "".join(part.capitalize() for part in name.split("_"))
    made: type[AmcFunction] = type(
        title,
        (AmcFunction,),
        {"_sql_names": [name], "__doc__": f"The function {name} of AMC SQL.", "__module__": __name__},
    )
    return made


#: The classes by the name of the function.
CLASSES: dict[str, type[AmcFunction]] = {
    name: _class_for(name) for name in sorted({*FUNCTIONS, *AGGREGATES, *_FRAMES} - {*CANONICAL, "IF", "ARRAY"})
}


# --- macros ------------------------------------------------------------------------------------------------------

_DEFINITION = re.compile(r"(amc_\w+)\(([^)]*)\) AS (.*)", re.DOTALL)
_CALL = re.compile(r"\b(amc_\w+)\(")
_ATOM = re.compile(r"[\w.$\"]+|'(?:[^']|'')*'|\w+\([^()]*\)")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


def _bodies() -> dict[str, tuple[list[str], str]]:
    found = {}
    for macro in MACROS:
        match = _DEFINITION.fullmatch(macro)
        if match is None:
            raise AssertionError(macro)
        found[match[1]] = ([name.strip() for name in match[2].split(",")], " ".join(match[3].split()))
    return found


_BODIES = _bodies()


def _arguments(sql: str, start: int) -> tuple[list[str], int]:
    """The arguments of the call whose parenthesis was opened right before a position, and where it ends."""
    parts, depth, begin, at = [], 1, start, start
    while depth:
        if quoted := _QUOTED.match(sql, at):
            at = quoted.end()
            continue
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(sql[at], 0)
        if depth == 0 or (depth == 1 and sql[at] == ","):
            parts.append(sql[begin:at].strip())
            begin = at + 1
        at += 1
    return parts, at


def without_macros(sql: str) -> str:
    """DuckDB SQL with the calls of macros replaced by what they stand for."""
    while (call := _CALL.search(sql)) is not None:
        names, body = _BODIES[call[1]]
        given, end = _arguments(sql, call.end())
        values = {
            name: value if _ATOM.fullmatch(value) else f"({value})" for name, value in zip(names, given, strict=True)
        }

        def filled(match: re.Match[str], values: dict[str, str] = values) -> str:
            return match[0] if match[0][0] in "'\"" else values.get(match[0], match[0])

        body = re.sub(rf"{_QUOTED.pattern}|\b[A-Za-z_]\w*\b", filled, body)
        sql = f"{sql[: call.start()]}({body}){sql[end:]}"
    return sql


# --- values ------------------------------------------------------------------------------------------------------

_TYPES = {
    "BOOLEAN": BOOLEAN, "TINYINT": INTEGER, "SMALLINT": INTEGER, "INT": INTEGER, "BIGINT": LONG, "DECIMAL": DECIMAL,
    "FLOAT": DOUBLE, "DOUBLE": DOUBLE, "DATE": DATE, "TIMESTAMP": TIMESTAMP, "VARCHAR": STRING, "TEXT": STRING, "CHAR": STRING,
    "BINARY": SqlType("BINARY"), "VARBINARY": SqlType("BINARY"),
}  # fmt: skip
#: Nodes whose SQL needs no parentheses inside an expression.
_CLOSED = (
    exp.Column,
    exp.Literal,
    exp.Func,
    exp.Paren,
    exp.Boolean,
    exp.Null,
    exp.Array,
    exp.Bracket,
    exp.Subquery,
    exp.Star,
)


def _type_of(target: exp.Expr) -> SqlType:
    name = str(getattr(target.this, "value", target.this)).upper()
    if name in ("ARRAY", "LIST"):
        return array_of(_type_of(target.expressions[0]) if target.expressions else ANY)
    return _TYPES.get(name, ANY)


def _literal(node: exp.Literal) -> Value:
    text = str(node.this)
    if node.is_string:
        return Value(quote_text(text), STRING, text=text)
    if text.isdigit():
        return Value(text, INTEGER if int(text) < 2**31 else LONG, text=text)
    return Value(text, DOUBLE if "e" in text.lower() else DECIMAL, text=text)


def _value(generator: Any, node: exp.Expr) -> Value:
    """An argument with what is known about it; columns have no type here."""
    if isinstance(node, exp.Literal):
        return _literal(node)
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        inner = _literal(node.this)
        return Value(f"(-{inner.sql})", inner.type, text=f"-{inner.text}")
    if type(node) in _WRITERS:
        return _written(generator, node)
    sql = generator.sql(node)
    if not isinstance(node, _CLOSED):
        sql = f"({sql})"
    known: dict[type[exp.Expr], SqlType] = {exp.Null: NULL, exp.Boolean: BOOLEAN, exp.Count: LONG}
    kind = known.get(type(node), ANY)
    if isinstance(node, exp.Cast):
        kind = _type_of(node.args["to"])
    elif isinstance(node, exp.Array):
        elements = {_value(generator, part).type for part in node.expressions}
        kind = array_of(elements.pop() if len(elements) == 1 else ANY)
    return Value(sql, kind)


# --- DuckDB ------------------------------------------------------------------------------------------------------


def _regular(generator: Any, function: str, arguments: Sequence[exp.Expr], result: SqlType) -> Value:
    values = [_value(generator, node) for node in arguments]
    texts = [value.text for value in values[1:]]
    written = [value.sql for value in values]
    if None not in texts:
        re2 = for_re2(function, *(text for text in texts if text is not None))
        if re2 is None:
            generator.unsupported("DuckDB's regular expressions cannot do what this Java pattern asks for")
        else:
            written[1:] = [quote_text(text) for text in (re2.text, re2.replacement) if text is not None]
    return Value(RE2_CALLS[function].format(*written), result)


def _similar(generator: Any, node: exp.Expr) -> Value:
    return _regular(generator, "similar", [node.this, node.expression], BOOLEAN)


def _extract(generator: Any, node: exp.Expr) -> Value:
    moment = _value(generator, node.expression).sql
    return Value(f"CAST({EXTRACT_UNITS[node.this.name.upper()].format(moment)} AS BIGINT)", LONG)


def needs_amc_cast(node: exp.Cast) -> bool:
    """Does a CAST mean in AMC what TRY_CAST does not mean elsewhere?"""
    wanted, this = _type_of(node.args["to"]), node.this
    if isinstance(this, exp.Literal) and this.is_string and str(this.this).strip().lower() in _MOMENT_WORDS:
        return wanted.is_moment
    return wanted.is_integer or (wanted.kind == "STRING" and bool(node.args["to"].expressions))


def _cast(generator: Any, node: exp.Expr) -> Value:
    target = node.args["to"]
    wanted = _type_of(target)
    value = _value(generator, node.this)
    if wanted.is_integer:
        # Of an unknown type it is read as text is, which serves numbers as well
        known = value if value.type.kind != "ANY" else value.of(value.sql, STRING)
        sql = cast(known, wanted).sql.replace(f" AS {to_duckdb(wanted)})", f" AS {generator.sql(target)})")
        return Value(sql, wanted)
    found = cast(value, wanted)
    size = target.expressions[0].name if wanted.kind == "STRING" and target.expressions else ""
    return found.of(f'"left"({found.sql}, {int(size)})', STRING) if size.isdigit() else found


def _parameter(generator: Any, node: exp.Expr) -> Value:
    name = re.sub(r"\W", "_", str(node.expressions[0].name)) if node.expressions else ""
    return Value(f"${name}", ANY)


def _explode(generator: Any, node: exp.Expr) -> Value:
    return Value(f"unnest({_value(generator, node.expressions[0]).sql})", ANY)


def _table(generator: Any, node: exp.Expr) -> Value:
    return Value(generator.sql(node.expressions[0]), ANY)


def _extended(generator: Any, node: exp.Expr) -> Value:
    # A DuckDB table has no window of a run, so all its rows are read anyway
    return Value(".".join(quote_name(part) for part in str(node.expressions[0].name).split(".")), ANY)


def _aggregate(generator: Any, node: exp.Expr) -> Value:
    arguments = list(node.expressions)
    distinct = bool(arguments) and isinstance(arguments[0], exp.Distinct)
    if distinct:
        arguments = [*arguments[0].expressions, *arguments[1:]]
    written = AGGREGATES[_name_of(node)]([_value(generator, part) for part in arguments], distinct, "")
    if isinstance(node.parent, exp.Window | exp.Filter) and (
        call := re.fullmatch(r"coalesce\((.*), \[\]\)", written.sql)
    ):
        return written.of(call[1], written.type)  # OVER and FILTER stand right behind the aggregate
    return written


def _scalar(generator: Any, node: exp.Expr) -> Value:
    name = _name_of(node)
    function = FUNCTIONS[name]
    values = [_value(generator, part) for part in node.expressions]
    if len(values) < function.least or (function.most is not None and len(values) > function.most):
        raise FunctionArgumentError(f"Invalid number of arguments to function '{name}'")
    return function.write(values)


def _regular_call(generator: Any, node: exp.Expr) -> Value:
    name = _name_of(node)
    return _regular(generator, name.lower(), node.expressions, _REGULAR[name])


_REGULAR = {"REGEXP_REPLACE": STRING, "REGEXP_SUBSTR": STRING, "REGEXP_SPLIT": array_of(STRING)}
_WRITERS: dict[type[exp.Expr], Callable[[Any, exp.Expr], Value]] = {
    AmcSimilarTo: _similar,
    AmcExtract: _extract,
    AmcCast: _cast,
}
for _name, _class in CLASSES.items():
    _WRITERS[_class] = _aggregate if _name in AGGREGATES else _scalar
_WRITERS |= {CLASSES[_name]: _regular_call for _name in _REGULAR}
_WRITERS |= {
    CLASSES["EXPLODE"]: _explode,
    CLASSES["BUILT_IN_PARAMETER"]: _parameter,
    CLASSES["CUSTOM_PARAMETER"]: _parameter,
    CLASSES["TABLE"]: _table,
    CLASSES["EXTEND_TIME_WINDOW"]: _extended,
}


def _name_of(node: exp.Expr) -> str:
    return str(type(node).sql_name()) if isinstance(node, exp.Func) else type(node).__name__


def _written(generator: Any, node: exp.Expr) -> Value:
    return _WRITERS[type(node)](generator, node)


def _in_duckdb(generator: Any, node: exp.Expr) -> str:
    try:
        sql = without_macros(_written(generator, node).sql)
    except (FunctionArgumentError, JavaPatternError) as error:
        generator.unsupported(str(error))
        return str(generator.function_fallback_sql(node))
    if PREFIX in sql:
        generator.unsupported(f"{_name_of(node)} has no counterpart in DuckDB")
        return str(generator.function_fallback_sql(node))
    return sql.replace(NOW, "timezone('UTC', now())")


def _register() -> None:
    """Teach sqlglot's DuckDB to write AMC's nodes; nothing else of it changes."""
    writer = getattr(DuckDB, "generator_class", None) or DuckDB.Generator
    for node in _WRITERS:
        writer.TRANSFORMS[node] = _in_duckdb
    # Newer versions of sqlglot remember what a generator can write
    from sqlglot import generator

    getattr(generator, "_DISPATCH_CACHE", {}).pop(writer, None)


_register()
