"""Java's regular expressions in DuckDB (AMC documentation, "AMC SQL functions", SIMILAR TO).

DuckDB's RE2 is fast and covers most of what queries use; a pattern that it can express with Java's meaning is written
for it. Everything else runs in Python's ``re``: look-around, possessive and atomic groups, back-references, and patterns
that are known only when the query runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from airflow_provider_amc.sql import java_classes as classes
from airflow_provider_amc.sql.java_pattern import (
    Anchor,
    Atomic,
    Characters,
    Choice,
    Group,
    JavaPattern,
    JavaPatternError,
    Look,
    Node,
    Reference,
    Repeat,
    Sequence,
    read_pattern,
)

#: Begins the names of the functions that run in Python.
PREFIX = "java_"

_MOST_REPEATS = 1000  # what RE2 accepts
_MOST_BRANCHES = 200

_LAST = r"(?=(?:\r\n|(?<!\r)\n|[\r\x85\u2028\u2029])?\Z)"
_PYTHON_ANCHORS = {
    "start": r"\A",
    "end": r"\Z",
    "last": _LAST,
    "line start": r"(?:\A|(?<=[\n\x85\u2028\u2029])(?!\Z)|(?<=\r)(?!\n)(?!\Z))",
    "line end": r"(?=\r|(?<!\r)\n|[\x85\u2028\u2029]|\Z)",
    "word": r"\b",
    "not word": r"\B",
}
_RE2_ANCHORS = {"start": r"\A", "end": r"\z", "last": r"\z", "word": r"\b", "not word": r"\B"}


class _BeyondRe2Error(Exception):
    pass


def _characters(node: Characters, escape: Callable[[int], str], negate: bool = True) -> str:
    ranges = node.ranges
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return escape(ranges[0][0])
    sign = ""
    if negate and (others := classes.complement(ranges)) and len(others) < len(ranges):
        sign, ranges = "^", others
    parts = (escape(low) if low == high else f"{escape(low)}-{escape(high)}" for low, high in ranges)
    return f"[{sign}{''.join(parts)}]"


def _plain(code: int) -> bool:
    return code < 128 and (chr(code).isalnum() or chr(code) in "_ ")


def _re2_escape(code: int) -> str:
    return chr(code) if _plain(code) else f"\\x{{{code:x}}}"


def _python_escape(code: int) -> str:
    if _plain(code):
        return chr(code)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _counts(node: Repeat) -> str:
    short = {(0, 1): "?", (0, None): "*", (1, None): "+"}.get((node.least, node.most))
    if short is not None:
        return short
    if node.most == node.least:
        return f"{{{node.least}}}"
    return f"{{{node.least},{'' if node.most is None else node.most}}}"


def _re2(node: Node, repeats: int = 1) -> str:
    match node:
        case Characters():
            return _characters(node, _re2_escape) if node.ranges else r"[^\x00-\x{10FFFF}]"
        case Anchor(place) if place in _RE2_ANCHORS:
            return _RE2_ANCHORS[place]
        case Sequence(parts):
            return "".join(_re2(part, repeats) for part in parts) if parts else "(?:)"
        case Choice(options):
            return f"(?:{'|'.join(_re2(option, repeats) for option in options)})"
        case Group(_, inner):
            return f"({_re2(inner, repeats)})"
        case Repeat(inner, least, most, mode) if mode != "+":
            # An empty match inside a repetition is counted differently
            repeats *= max(most if most is not None else least, 1)
            if repeats <= _MOST_REPEATS and least_width(inner):
                return f"(?:{_re2(inner, repeats)}){_counts(node)}{mode}"
    raise _BeyondRe2Error


def _python(node: Node) -> str:
    match node:
        case Characters():
            return _characters(node, _python_escape) if node.ranges else "(?!)"
        case Anchor(place):
            return _PYTHON_ANCHORS[place]
        case Sequence(parts):
            return "".join(_python(part) for part in parts)
        case Choice(options):
            return f"(?:{'|'.join(_python(option) for option in options)})"
        case Group(_, inner):
            return f"({_python(inner)})"
        case Atomic(inner):
            return f"(?>{_python(inner)})"
        case Repeat(inner, _, _, mode):
            return f"(?:{_python(inner)}){_counts(node)}{mode}"
        case Reference(number, ignore_case):
            return f"(?i:(?:\\{number}))" if ignore_case else f"(?:\\{number})"
        case Look():
            return _python_look(node)


def _python_look(node: Look) -> str:
    sign = "=" if node.wanted else "!"
    if node.ahead:
        return f"(?{sign}{_python(node.inner)})"
    behind = [f"(?<{sign}{_python(branch)})" for branch in _fixed(node.inner)]
    # Any branch may precede, or none of them
    return f"(?:{'|'.join(behind)})" if node.wanted else "".join(behind)


def _fixed(node: Node) -> list[Node]:
    """The branches of a look-behind, each of one width, as Python needs them. Java bounds them as well."""
    found: list[Node]
    match node:
        case Sequence(parts):
            found = [Sequence(choice) for choice in _limited_product([_fixed(part) for part in parts])]
        case Choice(options):
            found = [branch for option in options for branch in _fixed(option)]
        case Repeat():
            found = _fixed_repeat(node)
        case Atomic(inner):
            found = _fixed(inner)
        case Group(_, inner):
            if len(_fixed(inner)) > 1:
                raise JavaPatternError("A group of varying length in a look-behind is not supported by the emulator")
            found = [node]
        case Reference():
            raise JavaPatternError("Look-behind group does not have an obvious maximum length")
        case _:
            found = [node]
    if len(found) > _MOST_BRANCHES:
        raise JavaPatternError("The look-behind has too many branches for the emulator")
    return found


def _fixed_repeat(node: Repeat) -> list[Node]:
    if node.most is None:
        raise JavaPatternError("Look-behind group does not have an obvious maximum length")
    branches = _fixed(node.inner)
    return [
        Sequence(choice)
        for count in range(node.least, node.most + 1)
        for choice in _limited_product([branches] * count)
    ]


def _limited_product(choices: list[list[Node]]) -> list[tuple[Node, ...]]:
    count = 1
    for one in choices:
        count *= len(one)
        if count > _MOST_BRANCHES:
            raise JavaPatternError("The look-behind has too many branches for the emulator")
    return list(product(*choices))


def least_width(node: Node) -> int:
    """Number of characters that a match has at least."""
    match node:
        case Characters():
            return 1
        case Sequence(parts):
            return sum(least_width(part) for part in parts)
        case Choice(options):
            return min(least_width(option) for option in options)
        case Group(_, inner) | Atomic(inner):
            return least_width(inner)
        case Repeat(inner, least, _, _):
            return least * least_width(inner)
        case _:
            return 0


def _anchors(node: Node) -> set[str]:
    match node:
        case Anchor(place):
            return {place}
        case Sequence(parts) | Choice(parts):
            return set().union(*(_anchors(part) for part in parts))
        case Group(_, inner) | Atomic(inner) | Repeat(inner) | Look(inner):
            return _anchors(inner)
        case _:
            return set()


@dataclass(frozen=True)
class Re2:
    """A pattern in the syntax of RE2.

    :param text: the pattern.
    :param replacement: the replacement, for RE2; ``None`` when none was given.
    :param ascii_only: does it agree with Java only on texts of ASCII characters?
    :param no_line_end: does it agree with Java only on texts that do not end in a line break?
    """

    text: str
    replacement: str | None
    ascii_only: bool
    no_line_end: bool


def for_re2(function: str, pattern: str, replacement: str | None = None) -> Re2 | None:
    """Write a pattern for RE2.

    :param function: what it is for: ``similar``, ``regexp_substr``, ``regexp_split`` or ``regexp_replace``.
    :param pattern: the Java pattern.
    :param replacement: Java's replacement, where there is one.
    :returns: the pattern, ``None`` when RE2 would not do what Java does.
    :raises JavaPatternError: it is no pattern, or no replacement, of Java.
    """
    compiled = _compiled(pattern)
    java = compiled.java
    filler = None
    if replacement is not None:
        filler = _re2_replacement(_replacement_parts(replacement, java))
        if filler is None:
            return None
    if function != "similar" and not least_width(java.tree):
        return None  # RE2 finds no empty match right after another one, and hides the difference to no match
    try:
        text = _re2(java.tree)
    except _BeyondRe2Error:
        return None
    anchors = _anchors(java.tree)
    return Re2(text, filler, bool(anchors & {"word", "not word"}), "last" in anchors)


@dataclass(frozen=True)
class _Compiled:
    java: JavaPattern
    python: re.Pattern[str]


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> _Compiled:
    java = read_pattern(pattern)
    try:
        return _Compiled(java, re.compile(_python(java.tree)))
    except (re.error, OverflowError, RecursionError) as error:
        raise JavaPatternError(f"The regular expression {pattern!r} cannot be used: {error}") from None


_IN_REPLACEMENT = re.compile(r"\\(.)|\$(\d)(\d*)|\$\{(\w+)\}|([\\$])", re.DOTALL)


@lru_cache(maxsize=512)
def _parts_for(replacement: str, pattern: str) -> tuple[str | int, ...]:
    return _replacement_parts(replacement, _compiled(pattern).java)


def _replacement_parts(replacement: str, java: JavaPattern) -> tuple[str | int, ...]:
    """Text and group numbers that a replacement consists of."""
    parts: list[str | int] = []
    end = 0
    for match in _IN_REPLACEMENT.finditer(replacement):
        parts.append(replacement[end : match.start()])
        end = match.end()
        if match[1] is not None:
            parts.append(match[1])
        elif match[5] is not None:
            raise JavaPatternError(f"Illegal group reference in the replacement {replacement!r}")
        elif match[4] is not None:
            if match[4] not in java.names:
                raise JavaPatternError(f"No group with name {{{match[4]}}}")
            parts.append(java.names[match[4]])
        else:
            number, rest = int(match[2]), match[3]
            while rest and number * 10 + int(rest[0]) <= java.groups:
                number, rest = number * 10 + int(rest[0]), rest[1:]
            if number > java.groups:
                raise JavaPatternError(f"No group {number}")
            parts += [number, rest]
    parts.append(replacement[end:])
    return tuple(part for part in parts if part != "")


def _re2_replacement(parts: tuple[str | int, ...]) -> str | None:
    if any(isinstance(part, int) and part > 9 for part in parts):
        return None
    return "".join(f"\\{part}" if isinstance(part, int) else part.replace("\\", "\\\\") for part in parts)


def java_similar(text: str, pattern: str) -> bool:
    """Does the whole text match?"""
    return _compiled(pattern).python.fullmatch(text) is not None


def java_regexp_substr(text: str, pattern: str) -> str | None:
    """The first match, ``None`` without one."""
    match = _compiled(pattern).python.search(text)
    return match.group() if match else None


def java_regexp_replace(text: str, pattern: str, replacement: str) -> str:
    """The text with every match replaced; ``$1`` in the replacement is the first group."""
    parts = _parts_for(replacement, pattern)

    def filled(match: re.Match[str]) -> str:
        return "".join((match.group(part) or "") if isinstance(part, int) else part for part in parts)

    return _compiled(pattern).python.sub(filled, text)


def java_regexp_split(text: str, pattern: str) -> list[str]:
    """The pieces between the matches."""
    pieces: list[str] = []
    start = 0
    for match in _compiled(pattern).python.finditer(text):
        if match.end() == 0:
            continue  # as in Java, an empty match at the start splits nothing off
        pieces.append(text[start : match.start()])
        start = match.end()
    return [*pieces, text[start:]]
