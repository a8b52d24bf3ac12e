"""Date and time functions: inputs and expected values follow from the AMC documentation, "AMC SQL functions", and the
calendar. The window of the run is January 2026, the present 5 March 2026 10:30:15, a Thursday."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_provider_amc.sql.errors import AmcSqlError
from tests.sql.evaluate import cases, rows, value, with_rows

T = dt.datetime
D = dt.date
_TS = "TIMESTAMP '2026-03-04 13:14:15.678'"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        *cases(
            "SECONDS_BETWEEN",
            ("SECONDS_BETWEEN(TIMESTAMP '2026-01-01 00:00:00', TIMESTAMP '2026-01-01 00:01:30')", 90),
            ("SECONDS_BETWEEN(TIMESTAMP '2026-01-02 00:00:00', TIMESTAMP '2026-01-01 00:00:00')", -86400),
            ("SECONDS_BETWEEN(DATE '2026-01-01', TIMESTAMP '2026-01-01 01:00:00')", 3600),
            ("SECONDS_BETWEEN(DATE '2024-02-28', DATE '2024-03-01')", 2 * 86400),
            ("SECONDS_BETWEEN('2026-01-01 00:00:00', '2026-01-01 00:00:05')", 5),
            ("SECONDS_BETWEEN(TIMESTAMP '2026-01-01 00:00:00', TIMESTAMP '2026-01-01 00:00:00.999')", 0),
            ("SECONDS_BETWEEN(TIMESTAMP '2026-01-01 00:00:00.999', TIMESTAMP '2026-01-01 00:00:00')", 0),
            ("SECONDS_BETWEEN(TIMESTAMP '1900-01-01 00:00:00', TIMESTAMP '2000-01-01 00:00:00')", 36524 * 86400),
            ("SECONDS_BETWEEN(NULL, DATE '2026-01-01')", None),
            ("SECONDS_BETWEEN(DATE '2026-01-01', NULL)", None),
        ),
        *cases(
            "DAYOFWEEK",
            *((f"DAYOFWEEK(DATE '2026-03-0{day}')", day) for day in range(1, 8)),  # 1 March 2026 is a Sunday
            ("DAYOFWEEK(TIMESTAMP '2026-03-07 23:59:59')", 7),
            ("DAYOFWEEK('2026-03-01')", 1),
            ("DAYOFWEEK(NULL)", None),
        ),
        *cases(
            "DAYOFMONTH",
            ("DAYOFMONTH(DATE '2026-03-07')", 7),
            ("DAYOFMONTH(TIMESTAMP '2024-02-29 12:00:00')", 29),
            ("DAYOFMONTH('2026-12-31')", 31),
            ("DAYOFMONTH(NULL)", None),
        ),
        *cases("HOUR", (f"HOUR({_TS})", 13), ("HOUR(DATE '2026-01-01')", 0), ("HOUR('2026-01-01 23:00:00')", 23), ("HOUR(NULL)", None)),
        *cases("MINUTE", (f"MINUTE({_TS})", 14), ("MINUTE(DATE '2026-01-01')", 0), ("MINUTE(NULL)", None)),
        *cases("SECOND", (f"SECOND({_TS})", 15), ("SECOND(TIMESTAMP '2026-01-01 00:00:59.999')", 59), ("SECOND(NULL)", None)),
        *cases(
            "WEEK",
            ("WEEK(DATE '2026-01-01')", 1),
            ("WEEK(DATE '2026-01-05')", 2),
            ("WEEK(DATE '2026-12-31')", 53),
            ("WEEK(DATE '2027-01-01')", 53),  # ISO 8601
            ("WEEK(NULL)", None),
        ),
        *cases("MONTH", ("MONTH(DATE '2026-12-31')", 12), ("MONTH('2026-01-31')", 1), ("MONTH(NULL)", None)),
        *cases("YEAR", ("YEAR(DATE '2026-12-31')", 2026), (f"YEAR({_TS})", 2026), ("YEAR(NULL)", None)),
        *cases(
            "EXTRACT",
            (f"EXTRACT(SECOND FROM {_TS})", 15),
            (f"EXTRACT(MINUTE FROM {_TS})", 14),
            (f"EXTRACT(HOUR FROM {_TS})", 13),
            (f"EXTRACT(DAY FROM {_TS})", 4),
            ("EXTRACT(DOW FROM DATE '2026-03-01')", 1),
            ("EXTRACT(DOW FROM DATE '2026-03-07')", 7),
            (f"EXTRACT(WEEK FROM {_TS})", 10),
            (f"EXTRACT(MONTH FROM {_TS})", 3),
            ("EXTRACT(QUARTER FROM DATE '2026-05-01')", 2),
            (f"EXTRACT(YEAR FROM {_TS})", 2026),
            ("EXTRACT(HOUR FROM DATE '2026-12-31')", 0),
            ("EXTRACT(day FROM '2026-12-31')", 31),
            ("EXTRACT(YEAR FROM NULL)", None),
        ),
        *cases(
            "DATE_TRUNC",
            (f"DATE_TRUNC('SECOND', {_TS})", T(2026, 3, 4, 13, 14, 15)),
            (f"DATE_TRUNC('minute', {_TS})", T(2026, 3, 4, 13, 14)),
            (f"DATE_TRUNC('HOUR', {_TS})", T(2026, 3, 4, 13)),
            (f"DATE_TRUNC('DAY', {_TS})", T(2026, 3, 4)),
            (f"DATE_TRUNC('WEEK', {_TS})", T(2026, 3, 2)),  # Monday
            (f"DATE_TRUNC('MONTH', {_TS})", T(2026, 3, 1)),
            ("DATE_TRUNC('QUARTER', TIMESTAMP '2026-06-30 10:00:00')", T(2026, 4, 1)),
            (f"DATE_TRUNC('YEAR', {_TS})", T(2026, 1, 1)),
            ("DATE_TRUNC('month', DATE '2026-03-04')", D(2026, 3, 1)),
            ("DATE_TRUNC('week', DATE '2026-03-01')", D(2026, 2, 23)),
            ("DATE_TRUNC('hour', DATE '2026-03-01')", T(2026, 3, 1)),
            ("DATE_TRUNC('day', '2026-03-04 13:14:15')", T(2026, 3, 4)),
            ("DATE_TRUNC('day', NULL)", None),
        ),
        *cases(
            "EPOCH_TO_UTC_TIMESTAMP",
            ("EPOCH_TO_UTC_TIMESTAMP(1767225600)", T(2026, 1, 1)),
            ("EPOCH_TO_UTC_TIMESTAMP(1767225600123)", T(2026, 1, 1, 0, 0, 0, 123000)),
            ("EPOCH_TO_UTC_TIMESTAMP(0)", T(1970, 1, 1)),
            ("EPOCH_TO_UTC_TIMESTAMP(-1)", T(1969, 12, 31, 23, 59, 59)),
            ("EPOCH_TO_UTC_TIMESTAMP('1767225600')", T(2026, 1, 1)),
            ("EPOCH_TO_UTC_TIMESTAMP(1767225600.5)", T(2026, 1, 1, 0, 0, 0, 500000)),
            ("EPOCH_TO_UTC_TIMESTAMP(99999999999)", T(5138, 11, 16, 9, 46, 39)),
            ("EPOCH_TO_UTC_TIMESTAMP(100000000000)", T(1973, 3, 3, 9, 46, 40)),
            ("EPOCH_TO_UTC_TIMESTAMP(1e30)", None),
            ("EPOCH_TO_UTC_TIMESTAMP(NULL)", None),
            note="from 100 000 000 000 on (the year 5138 in seconds) a number counts milliseconds",
        ),
        *cases(
            "CONVERT_TIME_ZONE_FROM_UTC",
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-01-01 03:00:00', 'America/New_York')", T(2025, 12, 31, 22)),
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-07-01 03:00:00', 'America/New_York')", T(2026, 6, 30, 23)),
            # The clocks change on 8 March 2026 at 07:00 UTC and on 1 November at 06:00 UTC
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-03-08 06:59:59', 'America/New_York')", T(2026, 3, 8, 1, 59, 59)),
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-03-08 07:00:00', 'America/New_York')", T(2026, 3, 8, 3)),
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-11-01 05:30:00', 'America/New_York')", T(2026, 11, 1, 1, 30)),
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-11-01 06:30:00', 'America/New_York')", T(2026, 11, 1, 1, 30)),
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-01-01 00:00:00', 'Asia/Kolkata')", T(2026, 1, 1, 5, 30)),
            ("CONVERT_TIME_ZONE_FROM_UTC(TIMESTAMP '2026-01-01 00:00:00', 'UTC')", T(2026, 1, 1)),
            ("CONVERT_TIME_ZONE_FROM_UTC(DATE '2026-01-01', 'America/New_York')", D(2025, 12, 31)),
            ("CONVERT_TIME_ZONE_FROM_UTC(DATE '2026-01-01', 'Asia/Tokyo')", D(2026, 1, 1)),
            ("CONVERT_TIME_ZONE_FROM_UTC('2026-01-01 00:00:00', 'Asia/Tokyo')", T(2026, 1, 1, 9)),
            ("CONVERT_TIME_ZONE_FROM_UTC(NULL, 'Asia/Tokyo')", None),
        ),
        *cases("CURRENT_DATE", ("CURRENT_DATE", D(2026, 3, 5)), ("CAST('today' AS DATE)", D(2026, 3, 5))),
        *cases(
            "CURRENT_TIMESTAMP",
            ("CURRENT_TIMESTAMP", T(2026, 3, 5, 10, 30, 15)),
            ("CAST('now' AS TIMESTAMP)", T(2026, 3, 5, 10, 30, 15)),
            ("CAST('today' AS TIMESTAMP)", T(2026, 3, 5)),
            ("CAST('now' AS DATE)", D(2026, 3, 5)),
        ),
        *cases(
            "BUILT_IN_PARAMETER",
            ("BUILT_IN_PARAMETER('TIME_WINDOW_START')", T(2026, 1, 1)),
            ("BUILT_IN_PARAMETER('TIME_WINDOW_END')", T(2026, 2, 1)),
        ),
        *cases(
            "INTERVAL arithmetic",
            ("CURRENT_DATE - INTERVAL '30' DAY", D(2026, 2, 3)),
            ("DATE '2026-01-31' + INTERVAL '1' MONTH", D(2026, 2, 28)),
            ("INTERVAL '1' YEAR + DATE '2024-02-29'", D(2025, 2, 28)),
            ("TIMESTAMP '2026-01-01 00:00:00' - INTERVAL '90' MINUTE", T(2025, 12, 31, 22, 30)),
            ("TIMESTAMP '2026-01-01 00:00:00' + INTERVAL '1.5' SECOND", T(2026, 1, 1, 0, 0, 1, 500000)),
            ("TIMESTAMP '2026-01-01 00:00:00' + INTERVAL '-2' DAY", T(2025, 12, 30)),
            ("DATE '2026-01-01' + INTERVAL '2' HOUR", T(2026, 1, 1, 2)),
            ("DATE '2026-03-05' - DATE '2026-03-01'", 4),
            ("CURRENT_DATE - NULL", None),
            kind="rule",
        ),
    ],
)  # fmt: skip
def test_date_functions(expression: str, expected: Any) -> None:
    assert value(expression) == expected
    assert type(value(expression)) is type(expected)


def test_functions_take_columns_as_they_take_literals() -> None:
    data = with_rows(
        "a, b, z",
        "TIMESTAMP '2026-01-01 00:00:00', DATE '2026-01-02', 'Asia/Tokyo'",
        "TIMESTAMP '2026-07-01 00:00:00', NULL, 'America/New_York'",
    )
    sql = "SELECT SECONDS_BETWEEN(a, b) AS s, DAYOFWEEK(b) AS d, CONVERT_TIME_ZONE_FROM_UTC(a, z) AS l FROM t"
    assert rows(data + sql) == [(86400, 6, T(2026, 1, 1, 9)), (None, None, T(2026, 6, 30, 20))]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("HOUR(5)", r"Cannot apply 'HOUR' to arguments of type 'HOUR\(<INTEGER>\)'. Supported form\(s\): 'HOUR\(<DATETIME>\)'"),
        ("SECONDS_BETWEEN(1, 2)", r"Cannot apply 'SECONDS_BETWEEN'.*'SECONDS_BETWEEN\(<DATETIME>, <DATETIME>\)'"),
        ("SECONDS_BETWEEN(CURRENT_DATE)", "Invalid number of arguments to function 'SECONDS_BETWEEN'. Was expecting 2"),
        ("DATE_TRUNC('fortnight', CURRENT_DATE)", "DATE_TRUNC needs a quoted granularity"),
        ("DATE_TRUNC('day', 5)", "Cannot apply 'DATE_TRUNC'"),
        ("EXTRACT(EON FROM CURRENT_DATE)", "'EON' is not a valid time frame"),
        ("EXTRACT(DAY FROM 5)", "Cannot apply 'EXTRACT'"),
        ("CONVERT_TIME_ZONE_FROM_UTC(CURRENT_TIMESTAMP, 'Mars/Olympus')", "'Mars/Olympus' is not a time zone"),
        ("EPOCH_TO_UTC_TIMESTAMP(CURRENT_DATE)", "Cannot apply 'EPOCH_TO_UTC_TIMESTAMP'"),
        ("BUILT_IN_PARAMETER('TIME_ZONE')", "Unknown built-in parameter 'TIME_ZONE'"),
        ("CURRENT_DATE + CURRENT_DATE", r"Cannot apply '\+' to arguments of type '<DATE> \+ <DATE>'"),
        ("TIMESTAMP '2026-01-01 00:00:00' + 'x'", r"Cannot apply '\+'"),
        ("INTERVAL 'x' DAY + CURRENT_DATE", "Illegal interval literal"),
        ("GETDATE()", r"No match found for function signature GETDATE\(\)"),
        ("DATE_ADD(CURRENT_DATE, 1)", "No match found for function signature DATE_ADD"),
        ("DATEDIFF(CURRENT_DATE, CURRENT_DATE)", "No match found for function signature DATEDIFF"),
        ("NOW()", "No match found for function signature NOW"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused(expression: str, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message) as caught:
        value(expression)
    assert (caught.value.line, caught.value.column) == (1, 8)
