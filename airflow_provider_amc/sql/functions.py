"""The scalar functions of AMC SQL, written in DuckDB.

Names and meanings are those of the AMC documentation, "AMC SQL functions" and "Supported expressions". A function that
is not in this table does not exist for a query, which also keeps DuckDB's own functions (files, settings) out of reach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_amc.sql.coerce import (
    NOW,
    Value,
    alike,
    comparable,
    quote_name,
    quote_text,
    to_boolean,
    to_moment,
    to_number,
    to_string,
    to_timestamp,
)
from airflow_provider_amc.sql.java_regex import PREFIX, needs_java
from airflow_provider_amc.sql.types import (
    ANY,
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    INTEGER,
    LONG,
    STRING,
    TIMESTAMP,
    SqlType,
    array_of,
    common_type,
)

Writer = Callable[[Sequence[Value]], Value]


class FunctionArgumentError(ValueError):
    """The arguments of a call do not fit. The message goes to the user, with the place of the call."""


@dataclass(frozen=True)
class Function:
    """A scalar function.

    :param least: number of arguments it needs.
    :param most: number of arguments it takes, ``None`` for any number.
    :param write: makes the result from the arguments.
    """

    least: int
    most: int | None
    write: Writer


FUNCTIONS: dict[str, Function] = {}


def _define(names: str, least: int, most: int | None) -> Callable[[Writer], Writer]:
    def add(write: Writer) -> Writer:
        for name in names.split():
            FUNCTIONS[name] = Function(least, most, write)
        return write

    return add


_READERS: dict[str, Callable[[Value], Value]] = {
    "s": to_string,
    "n": to_number,
    "i": lambda value: value.of(f"CAST({to_number(value, LONG).sql} AS BIGINT)", LONG),
    "t": to_timestamp,
    "m": to_moment,
    "b": to_boolean,
    "a": lambda value: value,
}


def _template(names: str, kinds: str, template: str, result: SqlType, optional: int = 0) -> None:
    """Define functions whose DuckDB SQL is a pattern with ``{0}``, ``{1}`` ... for the arguments.

    The values are numbers of the metric kind only when the result is a number and an argument is a metric.
    """

    def write(arguments: Sequence[Value]) -> Value:
        read = [_READERS[kind](value) for kind, value in zip(kinds, arguments, strict=False)]
        metric = result.is_number and any(value.metric for value in arguments)
        return Value(template.format(*(value.sql for value in read)), result, metric)

    for name in names.split():
        FUNCTIONS[name] = Function(len(kinds) - optional, len(kinds), write)


# --- strings -----------------------------------------------------------------------------------------------------

_template("LOWER", "s", "lower({0})", STRING)
_template("UPPER", "s", "upper({0})", STRING)
_template("LENGTH CHAR_LENGTH CHARACTER_LENGTH", "s", "CAST(length({0}) AS INTEGER)", INTEGER)
_template("LTRIM", "s", "ltrim({0})", STRING)
_template("RTRIM", "s", "rtrim({0})", STRING)
_template("LEFT", "si", '"left"({0}, greatest({1}, 0))', STRING)
_template("RIGHT", "si", '"right"({0}, greatest({1}, 0))', STRING)
_template("REPLACE", "sss", "replace({0}, {1}, {2})", STRING)
_template("INSTR STRPOS", "ss", "CAST(instr({0}, {1}) AS INTEGER)", INTEGER)
_template("MD5", "s", "md5({0})", STRING)
_template("SHA1", "s", "amc_sha1({0})", STRING)
_template("HASH64", "s", "amc_hash64({0})", LONG)
_template("UUID", "", "CAST(uuid() AS VARCHAR)", STRING)
_template(
    "STR_TO_MAP", "sss", "amc_str_to_map({0}, {1}, {2})", SqlType("MAP", fields=(("key", STRING), ("value", STRING)))
)


def regular_expression(function: str, arguments: Sequence[Value], result: SqlType) -> Value:
    """A call of a regular-expression function.

    :param function: its name after the prefix ``amc_`` (RE2) or ``java_`` (Python).
    :param arguments: the text, the pattern, and maybe a replacement.
    :param result: its type.
    """
    prefix = PREFIX if needs_java(arguments[1].text) else "amc_"
    return Value(f"{prefix}{function}({', '.join(to_string(value).sql for value in arguments)})", result)


def _regular(name: str, count: int, result: SqlType) -> None:
    @_define(name, count, count)
    def write(arguments: Sequence[Value]) -> Value:
        return regular_expression(name.lower(), arguments, result)


_regular("REGEXP_REPLACE", 3, STRING)
_regular("REGEXP_SUBSTR", 2, STRING)
_regular("REGEXP_SPLIT", 2, array_of(STRING))


@_define("CONCAT", 1, None)
def _concat(arguments: Sequence[Value]) -> Value:
    # DuckDB's concat() skips NULLs; in SQL, and in Spark below AMC, one NULL makes the whole NULL.
    return Value("(" + " || ".join(to_string(value).sql for value in arguments) + ")", STRING)


@_define("CHARINDEX LOCATE", 2, 3)
def _locate(arguments: Sequence[Value]) -> Value:
    sought, text = to_string(arguments[0]).sql, to_string(arguments[1]).sql
    if len(arguments) == 2:
        return Value(f"CAST(instr({text}, {sought}) AS INTEGER)", INTEGER)
    start = _READERS["i"](arguments[2]).sql
    return Value(f"amc_locate({sought}, {text}, {start})", INTEGER)


@_define("FORMAT", 2, 2)
def _format(arguments: Sequence[Value]) -> Value:
    value, pattern = arguments
    text = to_string(pattern).sql
    if value.type.is_moment:
        return Value(f"amc_format_moment({to_timestamp(value).sql}, {text})", STRING)
    if value.type.is_number:
        return Value(f"amc_format_number(CAST({value.sql} AS DOUBLE), {text})", STRING)
    return Value(f"amc_format_text({to_string(value).sql}, {text})", STRING)


# --- numbers -----------------------------------------------------------------------------------------------------

_template("E", "", "exp(1.0::DOUBLE)", DOUBLE)
_template("EXP", "n", "exp(CAST({0} AS DOUBLE))", DOUBLE)
_template("LN", "n", "amc_ln(CAST({0} AS DOUBLE))", DOUBLE)
_template("LOG10", "n", "amc_ln(CAST({0} AS DOUBLE)) / ln(10)", DOUBLE)
_template("LOG", "nn", "amc_ln(CAST({1} AS DOUBLE)) / nullif(amc_ln(CAST({0} AS DOUBLE)), 0)", DOUBLE)
_template("POWER POW", "nn", "pow(CAST({0} AS DOUBLE), CAST({1} AS DOUBLE))", DOUBLE)
_template("RANDOM RAND", "", "random()", DOUBLE)
_template("SQRT", "n", "CASE WHEN {0} >= 0 THEN sqrt(CAST({0} AS DOUBLE)) END", DOUBLE)


@_define("ABS", 1, 1)
def _abs(arguments: Sequence[Value]) -> Value:
    value = to_number(arguments[0])
    return value.of(f"abs({value.sql})", value.type)


def _to_whole(name: str, function: str) -> None:
    @_define(name, 1, 1)
    def write(arguments: Sequence[Value]) -> Value:
        value = to_number(arguments[0])
        if value.type.is_integer:
            return value
        return value.of(f"{function}({value.sql})", DECIMAL if value.type.kind == "DECIMAL" else DOUBLE)


_to_whole("CEIL", "ceil")
_to_whole("CEILING", "ceil")
_to_whole("FLOOR", "floor")


def _to_digits(names: str, function: str) -> None:
    @_define(names, 1, 2)
    def write(arguments: Sequence[Value]) -> Value:
        value = to_number(arguments[0])
        if value.type.is_integer and len(arguments) == 1:
            return value
        digits = to_number(arguments[1]) if len(arguments) == 2 else Value("0", INTEGER, text="0")
        if value.type.kind == "DECIMAL" and digits.text is not None and digits.text.isdigit():
            places = min(int(digits.text), 17)
            if function == "round":
                return value.of(f"round({value.sql}, {places})", DECIMAL)
            step = f"CAST({10**-places:.{places}f} AS DECIMAL(38,{places}))"
            return value.of(f"CAST({value.sql} - {value.sql} % {step} AS DECIMAL(38,{places}))", DECIMAL)
        result = f"amc_{function}(CAST({value.sql} AS DOUBLE), CAST({digits.sql} AS INTEGER))"
        if value.type.is_integer:
            return value.of(f"CAST({result} AS BIGINT)", LONG)
        return value.of(result, DOUBLE)


_to_digits("ROUND", "round")
_to_digits("TRUNC TRUNCATE", "trunc")


def _extreme(name: str, function: str) -> None:
    @_define(name, 1, None)
    def write(arguments: Sequence[Value]) -> Value:
        values = comparable(arguments)
        together = common_type(value.type for value in values) or values[0].type
        some_null = " OR ".join(f"{value.sql} IS NULL" for value in values)
        result = f"{function}({', '.join(value.sql for value in values)})"
        return Value(f"CASE WHEN {some_null} THEN NULL ELSE {result} END", together, any(v.metric for v in values))


_extreme("GREATEST", "greatest")
_extreme("LEAST", "least")


@_define("MOD", 2, 2)
def _mod(arguments: Sequence[Value]) -> Value:
    left, right = (to_number(value) for value in arguments)
    together = common_type((left.type, right.type)) or DOUBLE
    return Value(f"({left.sql} % nullif({right.sql}, 0))", together, left.metric or right.metric)


# --- dates and times ---------------------------------------------------------------------------------------------

_template("DAYOFMONTH", "m", "CAST(extract(day FROM {0}) AS INTEGER)", INTEGER)
_template("DAYOFWEEK", "m", "CAST(extract(dow FROM {0}) + 1 AS INTEGER)", INTEGER)
_template("DAYOFYEAR", "m", "CAST(extract(doy FROM {0}) AS INTEGER)", INTEGER)
_template("HOUR", "t", "CAST(extract(hour FROM {0}) AS INTEGER)", INTEGER)
_template("MINUTE", "t", "CAST(extract(minute FROM {0}) AS INTEGER)", INTEGER)
_template("SECOND", "t", "CAST(extract(second FROM {0}) AS INTEGER)", INTEGER)
_template("WEEK", "m", "CAST(extract(week FROM {0}) AS INTEGER)", INTEGER)
_template("MONTH", "m", "CAST(extract(month FROM {0}) AS INTEGER)", INTEGER)
_template("QUARTER", "m", "CAST(extract(quarter FROM {0}) AS INTEGER)", INTEGER)
_template("YEAR", "m", "CAST(extract(year FROM {0}) AS INTEGER)", INTEGER)
_template("CURRENT_DATE", "", f"CAST({NOW} AS DATE)", DATE)
_template("CURRENT_TIMESTAMP", "", f"CAST({NOW} AS TIMESTAMP)", TIMESTAMP)
_template("EPOCH_TO_UTC_TIMESTAMP", "n", "amc_epoch_to_timestamp({0})", TIMESTAMP)
# Whole seconds of the difference, cut off towards zero
_template("SECONDS_BETWEEN", "tt", "((epoch_us({1}) - epoch_us({0})) // 1000000)", LONG)

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


@_define("DATE_TRUNC", 2, 2)
def _date_trunc(arguments: Sequence[Value]) -> Value:
    unit = (arguments[0].text or "").strip().upper()
    if unit not in TRUNC_UNITS:
        raise FunctionArgumentError(
            f"DATE_TRUNC needs a quoted granularity as its first argument, one of {', '.join(TRUNC_UNITS)}"
        )
    value = to_moment(arguments[1])
    result = TIMESTAMP if value.type.kind != "DATE" or unit in ("SECOND", "MINUTE", "HOUR") else DATE
    target = "DATE" if result.kind == "DATE" else "TIMESTAMP"
    return Value(f"CAST(date_trunc({quote_text(unit.lower())}, {value.sql}) AS {target})", result)


@_define("CONVERT_TIME_ZONE_FROM_UTC", 2, 2)
def _convert_time_zone(arguments: Sequence[Value]) -> Value:
    value, zone = to_moment(arguments[0]), to_string(arguments[1])
    local = f"timezone({zone.sql}, timezone('UTC', CAST({value.sql} AS TIMESTAMP)))"
    if value.type.kind == "DATE":
        return Value(f"CAST({local} AS DATE)", DATE)
    return Value(local, TIMESTAMP)


# --- conditions --------------------------------------------------------------------------------------------------


def _together(arguments: Sequence[Value], name: str) -> tuple[list[Value], SqlType]:
    found = alike(arguments)
    if found is None:
        kinds = ", ".join(str(value.type) for value in arguments)
        raise FunctionArgumentError(f"Illegal mixing of types in {name}: {kinds}")
    return found


@_define("COALESCE IFNULL NVL", 1, None)
def _coalesce(arguments: Sequence[Value]) -> Value:
    values, together = _together(arguments, "COALESCE")
    return Value(f"coalesce({', '.join(value.sql for value in values)})", together, any(v.metric for v in values))


@_define("IF", 3, 3)
def _if(arguments: Sequence[Value]) -> Value:
    (yes, no), together = _together(arguments[1:], "IF")
    condition = to_boolean(arguments[0]).sql
    return Value(f"CASE WHEN {condition} THEN {yes.sql} ELSE {no.sql} END", together, yes.metric or no.metric)


@_define("NVL2", 3, 3)
def _nvl2(arguments: Sequence[Value]) -> Value:
    (yes, no), together = _together(arguments[1:], "NVL2")
    sql = f"CASE WHEN {arguments[0].sql} IS NOT NULL THEN {yes.sql} ELSE {no.sql} END"
    return Value(sql, together, yes.metric or no.metric)


@_define("NULLIF", 2, 2)
def _nullif(arguments: Sequence[Value]) -> Value:
    left, right = comparable(arguments)
    first = arguments[0]
    return first.of(f"CASE WHEN {left.sql} = {right.sql} THEN NULL ELSE {first.sql} END", first.type)


@_define("CONTAINED_IN", 2, None)
def _contained_in(arguments: Sequence[Value]) -> Value:
    tested, *others = comparable(arguments)
    among = ", ".join(other.sql for other in others)
    # "If no match is found, the function returns FALSE", so a NULL never makes the answer unknown
    return Value(f"coalesce({tested.sql} IN ({among}), FALSE)", BOOLEAN)


# --- arrays ------------------------------------------------------------------------------------------------------


def _needs_array(value: Value) -> Value:
    if value.type.kind not in ("ARRAY", "ANY", "NULL"):
        raise FunctionArgumentError("Array expression is not an array data type")
    return value


def _same_array(names: str, count: int, template: str) -> None:
    """Define functions from arrays to an array of the first one's type."""

    @_define(names, count, count)
    def write(arguments: Sequence[Value]) -> Value:
        values = [_needs_array(value) for value in arguments]
        together = common_type(value.type for value in values) or values[0].type
        return Value(template.format(*(value.sql for value in values)), together)


_same_array("ARRAY_CAT", 2, "amc_array_cat({0}, {1})")
_same_array("ARRAY_COMPLEMENT", 2, "amc_array_complement({0}, {1})")
_same_array("ARRAY_DISTINCT", 1, "amc_array_distinct({0})")
_same_array("ARRAY_INTERSECT", 2, "amc_array_intersect({0}, {1})")
_same_array("ARRAY_UNION", 2, "amc_array_union({0}, {1})")
_same_array("ARRAY_SORT", 1, "list_sort({0}, 'ASC', 'NULLS FIRST')")


@_define("ARRAY_CONTAINS", 2, 2)
def _array_contains(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    sought = arguments[1]
    if array.type.element is not None and array.type.element.kind == "STRING":
        sought = to_string(sought)
    elif array.type.element is not None and array.type.element.is_number:
        sought = to_number(sought, LONG if array.type.element.is_integer else DOUBLE)
    return Value(f"list_contains({array.sql}, {sought.sql})", BOOLEAN)


@_define("ARRAY_REMOVE", 2, 2)
def _array_remove(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    element = array.type.element or ANY
    sought = to_string(arguments[1]) if element.kind == "STRING" else arguments[1]
    return Value(f"amc_array_remove({array.sql}, {sought.sql})", array.type)


@_define("ARRAY_TO_STRING", 2, 2)
def _array_to_string(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    return Value(f"array_to_string(CAST({array.sql} AS VARCHAR[]), {to_string(arguments[1]).sql})", STRING)


@_define("CARDINALITY", 1, 1)
def _cardinality(arguments: Sequence[Value]) -> Value:
    if arguments[0].type.kind not in ("ARRAY", "MAP", "ANY", "NULL"):
        raise FunctionArgumentError("Array expression is not an array data type")
    return Value(f"CAST(len({arguments[0].sql}) AS INTEGER)", INTEGER)


@_define("FLATTEN", 1, 1)
def _flatten(arguments: Sequence[Value]) -> Value:
    array = _needs_array(arguments[0])
    return Value(f"flatten({array.sql})", array.type.element or ANY)


@_define("ARRAY", 0, None)
def _array(arguments: Sequence[Value]) -> Value:
    if not arguments:
        return Value("[]", array_of(ANY))
    values, together = _together(arguments, "ARRAY")
    return Value(f"[{', '.join(value.sql for value in values)}]", array_of(together))


@_define("NAMED_ROW", 2, None)
def _named_row(arguments: Sequence[Value]) -> Value:
    if len(arguments) % 2:
        raise FunctionArgumentError("NAMED_ROW needs pairs of a quoted label and a value")
    fields: list[tuple[str, SqlType]] = []
    parts: list[str] = []
    for label, value in zip(arguments[::2], arguments[1::2], strict=True):
        if label.text is None or label.type.kind != "STRING":
            raise FunctionArgumentError("NAMED_ROW needs a quoted label before each value")
        fields.append((label.text, value.type))
        parts.append(f"{quote_name(label.text)} := {value.sql}")
    return Value(f"struct_pack({', '.join(parts)})", SqlType("STRUCT", fields=tuple(fields)))


# --- binary and JSON ---------------------------------------------------------------------------------------------


def _encoding(value: Value, name: str) -> str:
    encoding = (value.text or "").lower()
    if encoding not in ("hex", "base64", "utf-8"):
        raise FunctionArgumentError(f"{name} needs 'hex', 'base64' or 'utf-8' as its second argument")
    return encoding


@_define("TO_VARBINARY", 2, 2)
def _to_varbinary(arguments: Sequence[Value]) -> Value:
    text = to_string(arguments[0]).sql
    encoding = _encoding(arguments[1], "TO_VARBINARY")
    function = {"hex": "unhex", "base64": "from_base64", "utf-8": "encode"}[encoding]
    return Value(f"{function}({text})", BINARY)


@_define("FROM_VARBINARY", 2, 2)
def _from_varbinary(arguments: Sequence[Value]) -> Value:
    encoding = _encoding(arguments[1], "FROM_VARBINARY")
    template = {"hex": "lower(hex({0}))", "base64": "to_base64({0})", "utf-8": "decode({0})"}[encoding]
    return Value(template.format(arguments[0].sql), STRING)


_template("JSON_EXTRACT", "ss", "amc_json_extract({0}, {1})", STRING)
_template("JSON_SERIALIZE", "a", "CAST(to_json({0}) AS VARCHAR)", STRING)
