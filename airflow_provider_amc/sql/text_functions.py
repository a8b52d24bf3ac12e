"""String, hash, binary and JSON functions (AMC documentation, "AMC SQL functions")."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_amc.sql.coerce import Value, quote_text, to_string, to_timestamp
from airflow_provider_amc.sql.java_pattern import JavaPatternError
from airflow_provider_amc.sql.java_regex import PREFIX, for_re2
from airflow_provider_amc.sql.signatures import FunctionArgumentError, define, read, template
from airflow_provider_amc.sql.types import BINARY, BOOLEAN, INTEGER, LONG, STRING, SqlType, array_of

template("LOWER", "s", "lower({0})", STRING)
template("UPPER", "s", "upper({0})", STRING)
template("LENGTH CHAR_LENGTH CHARACTER_LENGTH", "s", "CAST(length({0}) AS INTEGER)", INTEGER)
# "Removes leading whitespace characters", whereas TRIM "removes the space character"
_WHITE_SPACE = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)"
template("LTRIM", "s", f"ltrim({{0}}, {_WHITE_SPACE})", STRING)
template("RTRIM", "s", f"rtrim({{0}}, {_WHITE_SPACE})", STRING)
template(
    "LEFT", "si", '"left"({0}, CASE WHEN {1} < 0 THEN 0 WHEN {1} > 2147483647 THEN 2147483647 ELSE {1} END)', STRING
)
template(
    "RIGHT", "si", '"right"({0}, CASE WHEN {1} < 0 THEN 0 WHEN {1} > 2147483647 THEN 2147483647 ELSE {1} END)', STRING
)
template("REPLACE", "sss", "replace({0}, {1}, {2})", STRING)
template("INSTR STRPOS", "ss", "CAST(instr({0}, {1}) AS INTEGER)", INTEGER)
template("MD5", "s", "md5({0})", STRING)
template("SHA1", "s", "sha1({0})", STRING)
template("UUID", "", "CAST(uuid() AS VARCHAR)", STRING)
template(
    "STR_TO_MAP", "sss", "amc_str_to_map({0}, {1}, {2})", SqlType("MAP", fields=(("key", STRING), ("value", STRING)))
)

#: The DuckDB SQL of a regular-expression function, with {0} for the text, {1} for the pattern and {2} the replacement.
RE2_CALLS = {
    "similar": "regexp_full_match({0}, {1})",
    "regexp_substr": "nullif(regexp_extract({0}, {1}), '')",
    "regexp_split": "string_split_regex({0}, {1})",
    "regexp_replace": "regexp_replace({0}, {1}, {2}, 'g')",
}
#: Longer texts are not written several times, so that nested calls do not grow without bound.
_SHORT = 200


def regular_expression(function: str, arguments: Sequence[Value], result: SqlType) -> Value:
    """A call of a regular-expression function.

    :param function: ``similar``, ``regexp_substr``, ``regexp_split`` or ``regexp_replace``.
    :param arguments: the text, the pattern, and maybe a replacement.
    :param result: its type.
    :raises FunctionArgumentError: the pattern or the replacement is not one of Java's.
    """
    texts = [to_string(value).sql for value in arguments]
    java = f"{PREFIX}{function}({', '.join(texts)})"
    known = [value.text for value in arguments[1:]]
    if known[0] is None or None in known:
        return Value(java, result)
    try:
        re2 = for_re2(function, *(text for text in known if text is not None))
    except JavaPatternError as error:
        raise FunctionArgumentError(f"Invalid regular expression: {error}") from None
    if re2 is None:
        return Value(java, result)
    patterns = [quote_text(text) for text in (re2.text, re2.replacement) if text is not None]

    def fast(text: str) -> str:
        return RE2_CALLS[function].format(text, *patterns)

    def careful(text: str) -> str:
        doubts = [f"strlen({text}) <> length({text})"] if re2.ascii_only else []
        if re2.no_line_end:
            doubts.append(f'"right"({text}, 1) IN (chr(10), chr(13), chr(133), chr(8232), chr(8233))')
        if not doubts:
            return fast(text)
        slow = f"{PREFIX}{function}({', '.join([text, *texts[1:]])})"
        return f"CASE WHEN {' OR '.join(doubts)} THEN {slow} ELSE {fast(text)} END"

    if (re2.ascii_only or re2.no_line_end) and len(texts[0]) > _SHORT:
        return Value(f"list_transform([{texts[0]}], lambda x: {careful('x')})[1]", result)
    return Value(careful(texts[0]), result)


def _regular(name: str, count: int, result: SqlType) -> None:
    @define(name, count, count)
    def write(arguments: Sequence[Value]) -> Value:
        read(name, "s" * count, arguments)
        return regular_expression(name.lower(), arguments, result)


_regular("REGEXP_REPLACE", 3, STRING)
_regular("REGEXP_SUBSTR", 2, STRING)
_regular("REGEXP_SPLIT", 2, array_of(STRING))


def similar(arguments: Sequence[Value]) -> Value:
    """``value SIMILAR TO pattern``: does the whole value match? "Both inputs must be strings".

    :raises FunctionArgumentError: they are not, or the pattern is not one of Java's.
    """
    if any(value.type.kind not in ("STRING", "NULL", "ANY") for value in arguments):
        left, right = (value.type for value in arguments)
        raise FunctionArgumentError(
            f"Cannot apply 'SIMILAR TO' to arguments of type '<{left}> SIMILAR TO <{right}>'. "
            "Supported form(s): '<STRING> SIMILAR TO <STRING>'"
        )
    return regular_expression("similar", arguments, BOOLEAN)


@define("CONCAT", 1, None)
def _concat(arguments: Sequence[Value]) -> Value:
    # DuckDB's concat() skips NULLs; in SQL, and in Spark below AMC, one NULL makes the whole NULL.
    values = read("CONCAT", "s" * len(arguments), arguments)
    return Value("(" + " || ".join(value.sql for value in values) + ")", STRING)


@define("CHARINDEX LOCATE", 2, 3)
def _locate(arguments: Sequence[Value]) -> Value:
    values = [value.sql for value in read("CHARINDEX", "ssi", arguments)]
    if len(values) == 2:
        return Value(f"CAST(instr({values[1]}, {values[0]}) AS INTEGER)", INTEGER)
    return Value(f"amc_locate({', '.join(values)})", INTEGER)


@define("FORMAT", 2, 2)
def _format(arguments: Sequence[Value]) -> Value:
    value, pattern = arguments[0], read("FORMAT", "ss", arguments)[1].sql
    if value.type.is_moment:
        return Value(f"{PREFIX}format_moment({to_timestamp(value).sql}, {pattern})", STRING)
    kind = "number" if value.type.is_number else "text"
    return Value(f"{PREFIX}format_{kind}({to_string(value).sql}, {pattern})", STRING)


@define("HASH64", 1, 1)
def _hash64(arguments: Sequence[Value]) -> Value:
    return Value(f"amc_hash64({to_string(arguments[0]).sql})", LONG)


# --- binary and JSON ---------------------------------------------------------------------------------------------


def _encoding(value: Value, name: str) -> str:
    encoding = (value.text or "").lower()
    if encoding not in ("hex", "base64", "utf-8"):
        raise FunctionArgumentError(f"{name} needs 'hex', 'base64' or 'utf-8' as its second argument")
    return encoding


@define("TO_VARBINARY", 2, 2)
def _to_varbinary(arguments: Sequence[Value]) -> Value:
    text = read("TO_VARBINARY", "ss", arguments)[0].sql
    encoding = _encoding(arguments[1], "TO_VARBINARY")
    return Value(
        {"hex": "TRY(unhex({0}))", "base64": "TRY(from_base64({0}))", "utf-8": "encode({0})"}[encoding].format(text),
        BINARY,
    )


@define("FROM_VARBINARY", 2, 2)
def _from_varbinary(arguments: Sequence[Value]) -> Value:
    encoding = _encoding(arguments[1], "FROM_VARBINARY")
    if arguments[0].type.kind not in ("BINARY", "NULL", "ANY"):
        given = f"<{arguments[0].type}>, <STRING>"
        raise FunctionArgumentError(
            f"Cannot apply 'FROM_VARBINARY' to arguments of type 'FROM_VARBINARY({given})'. "
            "Supported form(s): 'FROM_VARBINARY(<BINARY>, <STRING>)'"
        )
    pattern = {"hex": "lower(hex({0}))", "base64": "to_base64({0})", "utf-8": "TRY(decode({0}))"}[encoding]
    return Value(pattern.format(arguments[0].sql), STRING)


_JSON_PATH = re.compile(r"""\$(?:\.(?:"[^"]+"|[^.\[\]"]+)|\[(?:\d+|\*)\])*""")


@define("JSON_EXTRACT", 2, 2)
def _json_extract(arguments: Sequence[Value]) -> Value:
    text, path = read("JSON_EXTRACT", "ss", arguments)
    known = arguments[1].text
    if known is not None and not _JSON_PATH.fullmatch(known):
        raise FunctionArgumentError(f"'{known}' is not a JSON path such as '$.name' or '$.list[0]'")
    function = "amc_json_extract_all" if known is not None and "*" in known else "amc_json_extract"
    return Value(f"{function}({text.sql}, {path.sql})", STRING)


@define("JSON_SERIALIZE", 1, 1)
def _json_serialize(arguments: Sequence[Value]) -> Value:
    (value,) = arguments
    if value.type.kind == "STRING":
        return Value(f"amc_json_serialize({value.sql})", STRING)
    return Value(f"CAST(to_json({value.sql}) AS VARCHAR)", STRING)
