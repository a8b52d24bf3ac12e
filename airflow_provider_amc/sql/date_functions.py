"""Date and time functions (AMC documentation, "AMC SQL functions")."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence

from airflow_provider_amc.sql.coerce import NOW, Value, quote_text
from airflow_provider_amc.sql.signatures import FunctionArgumentError, define, read, template
from airflow_provider_amc.sql.types import DATE, INTEGER, LONG, TIMESTAMP

template("DAYOFMONTH", "m", "CAST(extract(day FROM {0}) AS INTEGER)", INTEGER)
# "1 is Sunday"; DuckDB counts from 0
template("DAYOFWEEK", "m", "CAST(extract(dow FROM {0}) + 1 AS INTEGER)", INTEGER)
template("DAYOFYEAR", "m", "CAST(extract(doy FROM {0}) AS INTEGER)", INTEGER)
template("HOUR", "t", "CAST(extract(hour FROM {0}) AS INTEGER)", INTEGER)
template("MINUTE", "t", "CAST(extract(minute FROM {0}) AS INTEGER)", INTEGER)
template("SECOND", "t", "CAST(extract(second FROM {0}) AS INTEGER)", INTEGER)
template("WEEK", "m", "CAST(extract(week FROM {0}) AS INTEGER)", INTEGER)
template("MONTH", "m", "CAST(extract(month FROM {0}) AS INTEGER)", INTEGER)
template("QUARTER", "m", "CAST(extract(quarter FROM {0}) AS INTEGER)", INTEGER)
template("YEAR", "m", "CAST(extract(year FROM {0}) AS INTEGER)", INTEGER)
template("CURRENT_DATE", "", f"CAST({NOW} AS DATE)", DATE)
template("CURRENT_TIMESTAMP", "", f"CAST({NOW} AS TIMESTAMP)", TIMESTAMP)
template("EPOCH_TO_UTC_TIMESTAMP", "n", "amc_epoch_to_timestamp({0})", TIMESTAMP)
# Second minus first, in whole seconds, cut off towards zero
template("SECONDS_BETWEEN", "tt", "((epoch_us({1}) - epoch_us({0})) // 1000000)", LONG)

#: The units of DATE_TRUNC and EXTRACT, by the words queries use for them.
TRUNC_UNITS = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
EXTRACT_UNITS = {
    **{unit: f"extract({unit.lower()} FROM {{0}})" for unit in TRUNC_UNITS},
    "DOW": "extract(dow FROM {0}) + 1",
    "DAYOFWEEK": "extract(dow FROM {0}) + 1",
    "DOY": "extract(doy FROM {0})",
    "DAYOFYEAR": "extract(doy FROM {0})",
    "EPOCH": "floor(epoch({0}))",
}


@define("DATE_TRUNC", 2, 2)
def _date_trunc(arguments: Sequence[Value]) -> Value:
    unit = (arguments[0].text or "").strip().upper()
    if unit not in TRUNC_UNITS:
        raise FunctionArgumentError(
            f"DATE_TRUNC needs a quoted granularity as its first argument, one of {', '.join(TRUNC_UNITS)}"
        )
    value = read("DATE_TRUNC", "sm", arguments)[1]
    result = TIMESTAMP if value.type.kind != "DATE" or unit in ("SECOND", "MINUTE", "HOUR") else DATE
    target = "DATE" if result.kind == "DATE" else "TIMESTAMP"
    return Value(f"CAST(date_trunc({quote_text(unit.lower())}, {value.sql}) AS {target})", result)


def _is_time_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        # Without a tz database on this machine nothing can be said; the query itself will tell
        return not zoneinfo.available_timezones()
    return True


@define("CONVERT_TIME_ZONE_FROM_UTC", 2, 2)
def _convert_time_zone(arguments: Sequence[Value]) -> Value:
    value, zone = read("CONVERT_TIME_ZONE_FROM_UTC", "ms", arguments)
    name = arguments[1].text
    if name is not None and not _is_time_zone(name):
        raise FunctionArgumentError(f"'{name}' is not a time zone: use a name such as 'America/New_York'")
    local = f"timezone({zone.sql}, timezone('UTC', CAST({value.sql} AS TIMESTAMP)))"
    if value.type.kind == "DATE":
        return Value(f"CAST({local} AS DATE)", DATE)
    return Value(local, TIMESTAMP)
