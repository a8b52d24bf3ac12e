"""Regular expressions that DuckDB's engine lacks: look-around, possessive and atomic groups, back-references.

AMC's regular expressions are Java's (AMC documentation, "AMC SQL functions", SIMILAR TO). DuckDB's RE2 covers what most
queries use and is fast; patterns with more than that run in Python's ``re``, which agrees with Java on these.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Begins the names of the functions that run in Python.
PREFIX = "java_"

_BEYOND_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|>)|[+*?}]\+|\\[1-9]")
_GROUP_REFERENCE = re.compile(r"\\(.)|\$(\d)|\$\{(\w+)\}", re.DOTALL)


def needs_java(pattern: str | None) -> bool:
    """Does a pattern need more than RE2? ``None`` stands for a pattern that is not known before the query runs."""
    return pattern is not None and _BEYOND_RE2.search(pattern) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def java_similar(text: str, pattern: str) -> bool:
    """Does the whole text match?"""
    return _compiled(pattern).fullmatch(text) is not None


def java_regexp_substr(text: str, pattern: str) -> str | None:
    """The first match, ``None`` without one."""
    match = _compiled(pattern).search(text)
    return match.group() if match else None


def java_regexp_replace(text: str, pattern: str, replacement: str) -> str:
    """The text with every match replaced; ``$1`` in the replacement is the first group."""

    def filled(match: re.Match[str]) -> str:
        def part(reference: re.Match[str]) -> str:
            if reference[1] is not None:
                return reference[1]
            group = int(reference[2]) if reference[2] is not None else reference[3]
            return match.group(group) or ""

        return _GROUP_REFERENCE.sub(part, replacement)

    return _compiled(pattern).sub(filled, text)


def java_regexp_split(text: str, pattern: str) -> list[str]:
    """The pieces between the matches."""
    pieces: list[str] = []
    start = 0
    for match in _compiled(pattern).finditer(text):
        if match.end() == 0:
            continue  # as in Java, an empty match at the start splits nothing off
        pieces.append(text[start : match.start()])
        start = match.end()
    return [*pieces, text[start:]]


#: The functions with the DuckDB types of their arguments and result.
PYTHON_FUNCTIONS = (
    (java_similar, ("VARCHAR", "VARCHAR"), "BOOLEAN"),
    (java_regexp_substr, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    (java_regexp_replace, ("VARCHAR", "VARCHAR", "VARCHAR"), "VARCHAR"),
    (java_regexp_split, ("VARCHAR", "VARCHAR"), "VARCHAR[]"),
)
