"""DuckDB macros behind the functions of AMC SQL that need more than one DuckDB call.

They are created once in the database that runs the compiled SQL; :mod:`airflow_provider_amc.sql.functions` writes calls
to them.
"""

from __future__ import annotations

#: Statements to run once in a DuckDB database.
MACROS = (
    "amc_regexp_replace(s, p, r) AS regexp_replace(s, p, regexp_replace(r, '\\$(\\d)', '\\\\\\1', 'g'), 'g')",
    # No match gives NULL, as Calcite's and Snowflake's REGEXP_SUBSTR
    "amc_regexp_substr(s, p) AS CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p) END",
    "amc_similar(s, p) AS regexp_full_match(s, p)",
    "amc_regexp_split(s, p) AS string_split_regex(s, p)",
    "amc_sha1(s) AS sha1(s)",
    "amc_hash64(s) AS CAST(md5_number_lower(s) & 9223372036854775807 AS BIGINT)",
    """amc_str_to_map(s, pair, kv) AS map_from_entries(list_transform(string_split(s, pair),
        lambda e: {'k': string_split(e, kv)[1], 'v': nullif(array_to_string(string_split(e, kv)[2:], kv), '')}))""",
    """amc_locate(sought, s, start) AS CASE WHEN start < 1 THEN 0
        WHEN instr(substr(s, start), sought) = 0 THEN 0 ELSE instr(substr(s, start), sought) + start - 1 END""",
    """amc_format_moment(t, f) AS strftime(t, replace(replace(replace(replace(replace(replace(replace(replace(replace(
        replace(f, 'yyyy', '%Y'), 'MMMM', '%B'), 'MMM', '%b'), 'MM', '%m'), 'dd', '%d'), 'HH', '%H'), 'mm', '%M'),
        'ss', '%S'), 'SSS', '%g'), 'EEEE', '%A'))""",
    # '#,##0.00' and the like: grouping if there is a comma, as many decimals as characters after the point
    """amc_format_number(x, f) AS format(
        '{:' || CASE WHEN contains(f, ',') THEN ',' ELSE '' END || '.'
        || CASE WHEN contains(f, '.') THEN length(f) - instr(f, '.') ELSE 0 END || 'f}', x)""",
    "amc_format_text(s, f) AS replace(f, '%s', s)",
    "amc_ln(x) AS CASE WHEN x > 0 THEN ln(x) END",
    # Half up, away from zero, as in Java; the string keeps 2.675 from becoming 2.67
    """amc_round(x, d) AS CASE WHEN isfinite(x) AND abs(x) < 1e15
        THEN sign(x) * floor(CAST(abs(x) * pow(10, d) AS DECIMAL(38, 10)) + 0.5) / pow(10, d) ELSE x END""",
    """amc_trunc(x, d) AS CASE WHEN isfinite(x) AND abs(x) < 1e15
        THEN sign(x) * floor(CAST(abs(x) * pow(10, d) AS DECIMAL(38, 10))) / pow(10, d) ELSE x END""",
    # Up to the year 5138 in seconds; larger numbers are milliseconds
    """amc_epoch_to_timestamp(x) AS CASE WHEN abs(x) < 100000000000
        THEN make_timestamp(CAST(CAST(x AS DECIMAL(38, 6)) * 1000000 AS BIGINT)) ELSE make_timestamp(CAST(CAST(x AS DECIMAL(38, 3)) * 1000 AS BIGINT)) END""",
    "amc_array_cat(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE list_concat(a, b) END",
    "amc_array_distinct(a) AS list_filter(a, lambda x, i: list_position(a, x) = i)",
    "amc_array_complement(a, b) AS CASE WHEN b IS NULL THEN NULL ELSE list_filter(a, lambda x: NOT list_contains(b, x)) END",
    """amc_array_intersect(a, b) AS CASE WHEN b IS NULL THEN NULL
        ELSE list_filter(a, lambda x, i: list_contains(b, x) AND list_position(a, x) = i) END""",
    "amc_array_union(a, b) AS amc_array_distinct(amc_array_cat(a, b))",
    "amc_array_remove(a, e) AS list_filter(a, lambda x: x IS DISTINCT FROM e)",
    """amc_json_extract(j, p) AS CASE WHEN NOT json_valid(j) THEN NULL
        WHEN json_type(j, p) = 'VARCHAR' THEN json_extract_string(j, p) ELSE CAST(json_extract(j, p) AS VARCHAR) END""",
    # Fractions of decimals keep 17 digits after the point; the text form avoids digits that doubles make up
    "amc_decimal_division(a, b) AS TRY_CAST(CAST(CAST(a AS DOUBLE) / nullif(b, 0) AS VARCHAR) AS DECIMAL(38, 17))",
)


def create_statements() -> list[str]:
    """The statements that create all macros, in an order that works."""
    return [f"CREATE OR REPLACE MACRO {macro}" for macro in MACROS]
