"""Everything the coverage table has a row for, whether a test shows it or not.

Functions, statements, rules and endpoints are those of the AMC documentation ("AMC SQL functions", "Limitations",
"Aggregation threshold", "Create workflow", "Execute workflow", "Schedule workflow", "Get your results", and the OpenAPI
files); the rest is read from the emulator. A test may bring rules and data of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from airflow_provider_amc.emulator.app import OPERATIONS
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.faults import KINDS
from airflow_provider_amc.sql import catalogue
from airflow_provider_amc.sql.aggregates import AGGREGATES, WINDOW_FUNCTIONS
from airflow_provider_amc.sql.functions import FUNCTIONS

#: Kinds in the order of the table. A test may bring new names of the open ones, the others are complete.
KINDS_OF_ROWS = ("function", "statement", "rule", "endpoint", "fault", "data", "switch")
OPEN_KINDS = ("function", "statement", "rule", "data")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    :param kind: section.
    :param name: what tests call it.
    :param group: sub-section, may be empty.
    :param missing: why the emulator does not have it; empty when it should.
    :param shown: how the table writes it, when that is more than the name.
    """

    kind: str
    name: str
    group: str = ""
    missing: str = ""
    shown: str = ""


DOCUMENTED_FUNCTIONS = {
    "String": """CHARINDEX, LOCATE, POSITION, STRPOS, INSTR, CONCAT, FORMAT, LEFT, RIGHT, LENGTH, LIKE, LOWER, UPPER,
        TRIM, LTRIM, RTRIM, REGEXP_REPLACE, REGEXP_SUBSTR, REGEXP_SPLIT, REPLACE, SIMILAR TO, STR_TO_MAP,
        SUBSTRING""",
    "Math": "ABS, CEIL, FLOOR, E, EXP, LN, LOG, LOG10, POWER, RANDOM, ROUND, SQRT, TRUNC, GREATEST, LEAST",
    "Aggregate": """AVG, COUNT, MIN, MAX, SUM, COLLECT, STDDEV_POP, VAR_POP, STDDEV_SAMP, STDDEV, VAR_SAMP, VARIANCE,
        SKEWNESS, PERCENTILE, APPROX_PERCENTILE, MEDIAN""",
    "Date and time": """CONVERT_TIME_ZONE_FROM_UTC, CURRENT_DATE, CURRENT_TIMESTAMP, DATE_TRUNC, DAYOFMONTH, DAYOFWEEK,
        EPOCH_TO_UTC_TIMESTAMP, EXTRACT, HOUR, MINUTE, SECOND, WEEK, MONTH, YEAR, SECONDS_BETWEEN,
        EXTEND_TIME_WINDOW""",
    "Conditional": "CASE, COALESCE, IF, IFNULL, NULLIF, NVL, NVL2, IN, NOT IN, CONTAINED_IN",
    "Array": """ARRAY_CAT, ARRAY_CONTAINS, ARRAY_COMPLEMENT, ARRAY_DISTINCT, ARRAY_INTERSECT, ARRAY_REMOVE,
        ARRAY_SORT, ARRAY_TO_STRING, ARRAY_UNION, CARDINALITY, EXPLODE, FLATTEN""",
    "Window": "RANK, DENSE_RANK, ROW_NUMBER, OVER",
    "Hash, binary, JSON": "HASH64, MD5, SHA1, FROM_VARBINARY, TO_VARBINARY, JSON_EXTRACT, JSON_SERIALIZE",
    "Other": "CAST, NAMED_ROW, UUID, BUILT_IN_PARAMETER, CUSTOM_PARAMETER",
}
OTHER_FUNCTIONS = "Not in AMC's list, but in public queries or plain synonyms"

STATEMENTS = {
    "Taken": (
        "SELECT with expressions and aliases",
        "SELECT DISTINCT",
        "WHERE",
        "GROUP BY columns",
        "GROUP BY ordinals",
        "GROUP BY an alias",
        "HAVING",
        "HAVING with an alias",
        "WITH",
        "WITH that names its columns",
        "alias.* of a CTE",
        "VALUES in a CTE",
        "sub-query in FROM",
        "sub-query in a condition",
        "UNION",
        "UNION ALL",
        "UNION DISTINCT",
        "INNER JOIN",
        "LEFT JOIN",
        "FULL OUTER JOIN",
        "CROSS JOIN",
        "list of sources",
        "JOIN on an inequality",
        "TABLE(EXTEND_TIME_WINDOW(...))",
        "OVER (PARTITION BY ... ORDER BY ...)",
        "WINDOW name AS (...)",
        "frame of a window",
        "FILTER (WHERE ...)",
        "comments",
        "names in any case",
        "quoted names",
        "semicolon at the end",
        "date arithmetic with INTERVAL",
        "CAST('today' AS DATE) and CAST('now' AS TIMESTAMP)",
        "string compared with a number",
        "string compared with a date",
        "schema sandbox",
        "tables for audiences",
    ),
    "Refused, as AMC does": (
        "SELECT * of a table",
        "LIMIT",
        "ORDER BY outside of OVER",
        "RIGHT JOIN",
        "GETDATE()",
        "DATE_ADD()",
        "||",
        "DDL",
        "DML",
        "several statements",
        "RANK alias in HAVING",
        "unknown table",
        "unknown column",
        "unknown function",
        "undeclared parameter",
        "table of the retired ad server",
        "output that is not aggregated on a standard instance",
    ),
}

RULES = {
    "Privacy": (
        "Aggregation thresholds",
        "The level of an output column is that of the columns it is made of",
        "VERY_HIGH and INTERNAL columns are never shown",
        "Literals and parameters are not compared with HIGH and VERY_HIGH columns",
        "users are counted for each data source of a row",
        "effective users",
        "equivalent users",
        "privacyFilteringBehavior: REMOVE_ROWS",
        "privacyFilteringBehavior: REMOVE_VALUES",
        "filteredMetricsDiscriminatorColumn",
        "distinctUserCountColumn",
        "filteredReasonColumn",
        "Appended columns",
        "the worked example of the documentation",
        "disableAggregationControls",
    ),
    "Executions": (
        "a definition that is not valid is refused at create, an ad-hoc run is rejected later",
        "10 executions run at a time on an instance, the rest is PENDING",
        "200 executions run at a time on the account",
        "realistic durations in virtual time",
        "workflowExecutionTimeoutSeconds",
        "what is running can be cancelled, what has ended cannot",
        "dryRun compiles, takes no place in the queue and gives no output",
        "skipPublish",
        "ids of ad-hoc workflows begin with transient_",
        "requireSyntheticData on a sandbox, and only there",
        "parameterValues and default values",
        "outputColumns must fit the query",
        "too many queries over the same data and overlapping windows",
        "disableAggregationControls gives output over synthetic data only",
        "tables of a sandbox",
        "state is kept over a restart",
        "loaded rows and faults are kept over a restart",
    ),
    "Time windows": (
        "explicit windows",
        "relative windows",
        "time zones and daylight saving time",
        "EXTEND_TIME_WINDOW reads beyond the window",
        "13 months of data",
    ),
    "Schedules": (
        "schedules start executions",
        "a workflow with a schedule cannot be deleted",
    ),
    "Lists": (
        "limit and nextToken of every list",
        "workflowId or minCreationTime is required",
        "executions are listed by creation time, newest first or with sortAscending oldest first",
        "includeCancelled",
        "includeWorkflow gives the SQL back as it was sent",
        "creation times in a time zone",
    ),
    "Results": (
        "empty result is a file with only the header",
        "texts of a result file",
        "outputFormat",
        "several files above a number of rows",
        "metadata file of a result",
        "result addresses live ten minutes",
        "errors of the result store are S3's XML",
    ),
    "Access": (
        "consent, code and tokens of Login with Amazon",
        "PKCE",
        "access tokens live an hour",
        "required scope",
        "headers for client, account and marketplace",
        "media types of the answers",
    ),
}
#: What is planted in the synthetic data, or holds in all of it.
PLANTED = (
    "reach",
    "frequency histogram",
    "overlap of ad products",
    "path mix",
    "conversion lag",
    "new-to-brand",
    "skewed user activity",
    "13 months up to the virtual time",
    "equal rows for an equal seed",
)
DATA_GROUP = "What the rows have in common"

#: Where rules go that only tests bring: by the beginning of the test's file name.
RULES_BY_FILE = {
    "emulator/test_privacy": "Privacy",
    "sql/privacy": "Privacy",
    "sql/test_privacy": "Privacy",
    "emulator/test_window": "Time windows",
    "emulator/test_schedule": "Schedules",
    "emulator/test_list": "Lists",
    "emulator/test_result": "Results",
    "emulator/test_csv": "Results",
    "emulator/test_real_runs": "Results",
    "emulator/test_lwa": "Access",
    "emulator/test_connections": "Audiences and uploads",
    "emulator/test_advertiser_audiences": "Audiences and uploads",
    "emulator/test_audience_members": "Audiences and uploads",
    "emulator/test_datasets": "Audiences and uploads",
    "emulator/test_uploads": "Audiences and uploads",
    "emulator/test_deletions": "Audiences and uploads",
    "emulator/test_rowfiles": "Audiences and uploads",
    "emulator/test_background": "Audiences and uploads",
    "emulator/test_advertiser_tables": "Audiences and uploads",
    "emulator/test_access": "Access",
    "emulator/test_query_audiences": "Audiences of queries",
    "emulator/test_audience_sql": "Audiences of queries",
    "emulator/test_instances": "Administration",
    "emulator/test_advertisers": "Administration",
    "emulator/test_collaborations": "Administration",
    "emulator/test_idmapping": "Administration",
    "emulator/": "Executions",
    "sql/": "Expressions",
    "": "Other",
}

#: Documented endpoints that the emulator does not have, by Amazon's names.
_ABSENT = {
    "Audiences and uploads": ("custom models: POST /amc/models/v1/trainedModels",),
}
_NOT_EMULATED = "answered like any unknown path"

#: Settings that decide between readings of the sources, or how the emulator behaves; the others are plain addresses.
_NO_SWITCHES = ("host", "port", "state_dir", "s3_endpoint_url")


def _functions() -> list[Row]:
    documented = [
        Row("function", name, group)
        for group, names in DOCUMENTED_FUNCTIONS.items()
        for name in re.split(r",\s+", names)
    ]
    known = {row.name for row in documented}
    others = sorted({*FUNCTIONS, *AGGREGATES, *WINDOW_FUNCTIONS} - known)
    return [*documented, *(Row("function", name, OTHER_FUNCTIONS) for name in others)]


def _endpoints() -> list[Row]:
    groups = {"/_emulator": "Control", "/amc/reporting": "Reporting"}
    groups |= {"/amc/audiences": "Audiences and uploads", "/amc/advertiserData": "Audiences and uploads"}
    groups |= {"/amc": "Administration"}
    rows = [
        Row(
            "endpoint",
            operation.id,
            next((group for start, group in groups.items() if operation.path.startswith(start)), "Login and downloads"),
            shown=f"{operation.method} {operation.path}",
        )
        for operation in OPERATIONS
    ]
    for group, texts in _ABSENT.items():
        for text in texts:
            name, _, shown = text.partition(": ")
            rows.append(Row("endpoint", name, group, _NOT_EMULATED, shown))
    order = ["Login and downloads", "Administration", "Reporting", "Audiences and uploads", "Control"]
    return sorted(rows, key=lambda row: order.index(row.group))


def _data() -> list[Row]:
    tables = [
        Row("data", name, "Tables", "removed by Amazon on 2025-06-30" if table.retired else "")
        for name, table in sorted(catalogue.tables().items())
    ]
    return [*tables, *(Row("data", name, DATA_GROUP) for name in PLANTED)]


@cache
def rows() -> tuple[Row, ...]:
    """All rows that are known without any test."""
    return (
        *_functions(),
        *(Row("statement", name, group) for group, names in STATEMENTS.items() for name in names),
        *(Row("rule", name, group) for group, names in RULES.items() for name in names),
        *_endpoints(),
        *(Row("fault", kind) for kind in KINDS),
        *_data(),
        *(Row("switch", name) for name in EmulatorConfig.__dataclass_fields__ if name not in _NO_SWITCHES),
    )


def absent_endpoints() -> list[tuple[str, str, str]]:
    """Documented endpoints that the emulator does not have: name, method and path."""
    return [(row.name, *row.shown.split(" ", 1)) for row in rows() if row.kind == "endpoint" and row.missing]  # type: ignore[misc]
