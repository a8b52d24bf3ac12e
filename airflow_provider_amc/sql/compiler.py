"""AMC SQL to DuckDB SQL: parse, check, bind."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.sql import parameters
from airflow_provider_amc.sql.coerce import Value
from airflow_provider_amc.sql.dialect import AmcCalls
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.one_line import PlacedToken, placed_tokens
from airflow_provider_amc.sql.privacy import Privacy, controlled
from airflow_provider_amc.sql.queries import QueryBinder
from airflow_provider_amc.sql.scopes import Field
from airflow_provider_amc.sql.sources import TableFinder
from airflow_provider_amc.sql.syntax import check_tokens, check_tree, encountered


@dataclass(frozen=True)
class Compiled:
    """A query in DuckDB SQL.

    :param sql: the SQL, with the named parameters ``$window_start``, ``$window_end`` and ``$now`` where it needs them.
    :param fields: the output columns.
    :param tables: names of the tables it reads.
    :param aggregated: is every output row an aggregate?
    """

    sql: str
    fields: tuple[Field, ...]
    tables: tuple[str, ...]
    aggregated: bool


def _checked_tokens(sql: str) -> list[PlacedToken]:
    if "\x00" in sql:
        raise AmcSqlError("Lexical error: the SQL holds a NUL character.")
    try:
        tokens = placed_tokens(sql)
    except AmcValidationError as error:
        raise AmcSqlError(f"Lexical error: {error.message}") from None
    while tokens and tokens[-1].token.text == ";":
        tokens.pop()
    if not tokens:
        raise AmcSqlError("The SQL query is empty.")
    return tokens


def parse(sql: str) -> exp.Expr:
    """Parse one AMC SQL query.

    :param sql: the query.
    :returns: its tree.
    :raises AmcSqlError: it is no query of AMC SQL, or more than one.
    """
    tokens = _checked_tokens(sql)
    check_tokens(tokens)
    try:
        trees = AmcCalls().parse(sql)
    except (ParseError, TokenError) as error:
        raise _from_sqlglot(error, tokens) from None
    except RecursionError:
        raise AmcSqlError("The SQL query is nested too deeply.") from None
    tree = trees[0] if trees else None
    if tree is None:
        raise AmcSqlError("The SQL query is empty.")
    check_tree(sql, tree)
    return tree


_EXPECTED = re.compile(r"Expect(?:ing|ed) (.+?)(?: after .*| but got .*)?\.?")


def _from_sqlglot(error: ParseError | TokenError, tokens: Sequence[PlacedToken]) -> AmcSqlError:
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    line, end_column = details.get("line"), details.get("col")
    if line is None or end_column is None:
        return AmcSqlError(f"The SQL query could not be parsed: {error}")
    description = str(details.get("description") or "")
    match = _EXPECTED.fullmatch(description)
    expecting = f'Was expecting: "{match[1]}"' if match else ""
    last = tokens[-1]
    at_end = (last.line, last.column + len(last.token.text) - 1) <= (line, end_column)
    if at_end and (match or description.startswith("Required keyword")):
        # What the parser names is the last token it understood
        hint = f" {expecting}" if expecting else ""
        return AmcSqlError(f'Encountered "<EOF>" at line {line}, column {end_column}.{hint}', line, end_column)
    for token in tokens:
        if token.line == line and token.column <= end_column < token.column + max(len(token.token.text), 1):
            return encountered(token, expecting)
    return encountered(last, expecting)


def compile_query(
    sql: str,
    find_table: TableFinder,
    *,
    input_parameters: Sequence[Mapping[str, object]] = (),
    parameter_values: Mapping[str, object] | None = None,
    privacy: Privacy | None = None,
) -> Compiled:
    """Compile a query.

    :param sql: the query.
    :param find_table: finds the tables it may read.
    :param input_parameters: the declared parameters of the workflow.
    :param parameter_values: their values; ``None`` only checks the query.
    :param privacy: how rows of too few users are treated; ``None`` switches the privacy controls off.
    :returns: the DuckDB SQL and the output columns.
    :raises AmcSqlError: the query, a parameter or a value is not acceptable, or the privacy controls forbid it.
    """
    declared = parameters.declared(input_parameters)

    def value(name: str) -> Value:
        parameter = declared[name]
        if parameter_values is None:
            return parameters.unknown_value_of(parameter)
        return parameters.value_of(parameter, parameter_values)

    tree = parse(sql)
    binder = QueryBinder(sql, find_table, value, controls=privacy is not None)
    try:
        bound = binder.final(tree)
    except RecursionError:
        raise AmcSqlError("The SQL query is nested too deeply.") from None
    if privacy is not None:
        if not bound.aggregated:
            items = tree.selects if isinstance(tree, exp.Query) else []
            what = "The final output of the query must be aggregated: use GROUP BY or aggregate functions."
            raise binder.error(items[0] if items else tree, what)
        bound = controlled(bound, privacy)
    return Compiled(binder.sources.with_reads(bound.sql), bound.fields, tuple(binder.sources.tables), bound.aggregated)
