"""DuckDB macros and Python functions behind the functions of AMC SQL that need more than one DuckDB call.

They are created once in the database that runs the compiled SQL; :mod:`airflow_provider_amc.sql.functions` writes calls
to them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from airflow_provider_amc.sql import java_format, java_regex

#: Statements to run once in a DuckDB database.
MACROS = (
    "amc_hash64(s) AS CAST(md5_number_lower(s) & 9223372036854775807 AS BIGINT)",
    # 'a=' has the empty value, 'a' has none; the last of equal keys counts
    """amc_str_to_map(s, pair, kv) AS map_from_entries(list_transform(list_filter(string_split(s, pair),
        lambda amc_e, amc_i: NOT list_contains(list_transform(string_split(s, pair)[amc_i + 1:], lambda amc_r: string_split(amc_r, kv)[1]), string_split(amc_e, kv)[1])),
        lambda amc_e: {'k': string_split(amc_e, kv)[1],
                   'v': CASE WHEN len(string_split(amc_e, kv)) > 1 THEN array_to_string(string_split(amc_e, kv)[2:], kv) END}))""",
    """amc_locate(sought, s, start) AS CASE WHEN start < 1 THEN 0
        WHEN instr(substr(s, start), sought) = 0 THEN 0 ELSE instr(substr(s, start), sought) + start - 1 END""",
    """amc_substring(s, start, size) AS CASE WHEN size <= 0 THEN left(s, 0) ELSE substring(s, start, size) END""",
    "amc_ln(x) AS CASE WHEN x > 0 THEN ln(x) END",
    "amc_log10(x) AS CASE WHEN x > 0 THEN log10(x) END",
    """amc_log(b, x) AS CASE WHEN x <= 0 OR b <= 0 OR b = 1 THEN NULL
        WHEN b = 2 THEN log2(x) WHEN b = 10 THEN log10(x) ELSE ln(x) / ln(b) END""",
    "amc_sqrt(x) AS CASE WHEN x >= 0 THEN sqrt(x) END",
    # Half up, away from zero, as in Java; the string keeps 2.675 from becoming 2.67
    """amc_round(x, d) AS CASE WHEN isfinite(x) AND abs(x) < 1e15
        THEN sign(x) * floor(CAST(abs(x) * pow(10, d) AS DECIMAL(38, 10)) + 0.5) / pow(10, d) ELSE x END""",
    """amc_trunc(x, d) AS CASE WHEN isfinite(x) AND abs(x) < 1e15
        THEN sign(x) * floor(CAST(abs(x) * pow(10, d) AS DECIMAL(38, 10))) / pow(10, d) ELSE x END""",
    # Up to the year 5138 in seconds; larger numbers are milliseconds
    """amc_epoch_to_timestamp(x) AS CASE WHEN abs(x) < 100000000000
        THEN make_timestamp(CAST(CAST(x AS DECIMAL(38, 6)) * 1000000 AS BIGINT))
        WHEN abs(x) < 200000000000000 THEN make_timestamp(CAST(CAST(x AS DECIMAL(38, 3)) * 1000 AS BIGINT)) END""",
    "amc_array_cat(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE list_concat(a, b) END",
    # list_contains(list, NULL) is NULL, so NULLs have to be looked for by position
    "amc_array_distinct(a) AS list_filter(a, lambda amc_x, amc_i: list_position(a, amc_x) = amc_i)",
    "amc_array_complement(a, b) AS CASE WHEN b IS NULL THEN NULL ELSE list_filter(a, lambda amc_x: list_position(b, amc_x) IS NULL) END",
    """amc_array_intersect(a, b) AS CASE WHEN b IS NULL THEN NULL
        ELSE list_filter(a, lambda amc_x, amc_i: list_position(b, amc_x) IS NOT NULL AND list_position(a, amc_x) = amc_i) END""",
    "amc_array_union(a, b) AS amc_array_distinct(amc_array_cat(a, b))",
    # DuckDB takes a NULL between the elements for nothing
    "amc_array_to_string(a, s) AS CASE WHEN s IS NOT NULL THEN array_to_string(a, s) END",
    "amc_array_remove(a, e) AS list_filter(a, lambda amc_x: amc_x IS DISTINCT FROM e)",
    """amc_json_extract(j, p) AS CASE WHEN NOT json_valid(j) THEN NULL
        WHEN json_type(j, p) = 'NULL' THEN NULL
        WHEN json_type(j, p) = 'VARCHAR' THEN json_extract_string(j, p) ELSE CAST(json_extract(j, p) AS VARCHAR) END""",
    # A path with a wildcard finds several values, which become a JSON array
    "amc_json_extract_all(j, p) AS CASE WHEN json_valid(j) THEN CAST(to_json(json_extract(j, p)) AS VARCHAR) END",
    # JSON stays JSON; any other text becomes a JSON string
    "amc_json_serialize(s) AS CASE WHEN json_valid(s) THEN CAST(json(s) AS VARCHAR) ELSE CAST(to_json(s) AS VARCHAR) END",
    # Fractions of decimals keep 17 digits after the point; the text form avoids digits that doubles make up
    "amc_decimal_division(a, b) AS TRY_CAST(CAST(CAST(a AS DOUBLE) / nullif(b, 0) AS VARCHAR) AS DECIMAL(38, 17))",
)


#: Functions in Python with the DuckDB types of their arguments and result.
PYTHON_FUNCTIONS: tuple[tuple[Callable[..., Any], tuple[str, ...], str], ...] = (
    (java_regex.java_similar, ("VARCHAR", "VARCHAR"), "BOOLEAN"),
    (java_regex.java_regexp_substr, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    (java_regex.java_regexp_replace, ("VARCHAR", "VARCHAR", "VARCHAR"), "VARCHAR"),
    (java_regex.java_regexp_split, ("VARCHAR", "VARCHAR"), "VARCHAR[]"),
    (java_format.java_format_moment, ("TIMESTAMP", "VARCHAR"), "VARCHAR"),
    (java_format.java_format_number, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    (java_format.java_format_text, ("VARCHAR", "VARCHAR"), "VARCHAR"),
)


def create_statements() -> list[str]:
    """The statements that create all macros, in an order that works."""
    return [f"CREATE OR REPLACE MACRO {macro}" for macro in MACROS]


def needs_python(sql: str) -> bool:
    """Does DuckDB SQL call any of the functions in Python?"""
    return java_regex.PREFIX in sql


def add_python_functions(connection: Any) -> None:
    """Add the functions in Python to a database.

    :param connection: a connection of DuckDB to it. DuckDB loads numpy for them.
    """

    def null_for_null(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def called(*arguments: Any) -> Any:
            return None if None in arguments else function(*arguments)

        return called

    for function, arguments, result in PYTHON_FUNCTIONS:
        # DuckDB's own handling of NULL refuses functions that return it for other arguments
        connection.create_function(
            function.__name__, null_for_null(function), list(arguments), result, null_handling="special"
        )
