"""Character classes of Java's regular expressions as sets of code points.

A class is a sorted tuple of ranges that neither touch nor overlap. With classes spelled out, a pattern means the same in
every engine: ``\\s``, ``.`` and ``(?i)`` differ between Java, RE2 and Python. Names and contents are those of the Java
API documentation, ``java.util.regex.Pattern``.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from functools import cache

Ranges = tuple[tuple[int, int], ...]

#: Surrogates stand for no character of their own.
_SURROGATES = (0xD800, 0xDFFF)


def union(*parts: Iterable[tuple[int, int]]) -> Ranges:
    """The code points of any of the classes."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(one for part in parts for one in part):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """The code points that are not in a class."""
    found: list[tuple[int, int]] = []
    start = 0
    for low, high in union(ranges, [_SURROGATES]):
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    if start <= sys.maxunicode:
        found.append((start, sys.maxunicode))
    return tuple(found)


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """The code points that both classes have."""
    return complement(union(complement(left), complement(right)))


def of(text: str) -> Ranges:
    """The class of some characters; ``a-z`` is a range."""
    found: list[tuple[int, int]] = []
    position = 0
    while position < len(text):
        low = high = ord(text[position])
        if text[position + 1 : position + 2] == "-" and position + 2 < len(text):
            high = ord(text[position + 2])
            position += 2
        found.append((low, high))
        position += 1
    return union(found)


def size(ranges: Ranges) -> int:
    """How many code points a class has."""
    return sum(high - low + 1 for low, high in ranges)


_LOWER, _UPPER = of("a-z"), of("A-Z")


def without_case(ranges: Ranges, *, unicode: bool) -> Ranges:
    """The class when upper and lower case do not matter.

    :param ranges: the class.
    :param unicode: of all letters, not only of those of ASCII, as Java's flag ``u`` asks for.
    """
    if unicode and size(ranges) < 0x10000:
        letters = {
            ord(other)
            for low, high in ranges
            for letter in map(chr, range(low, high + 1))
            for other in (letter.lower(), letter.upper())
            if len(other) == 1
        }
        return union(ranges, [(letter, letter) for letter in letters])
    added = [(low - 32, high - 32) for low, high in intersection(ranges, _LOWER)]
    added += [(low + 32, high + 32) for low, high in intersection(ranges, _UPPER)]
    return union(ranges, added)


DIGIT = of("0-9")
WORD = of("0-9A-Z_a-z")
SPACE = of("\t-\r ")
HORIZONTAL = of("\t \xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000")
VERTICAL = of("\n-\r\x85\u2028\u2029")
LINE_ENDS = of("\n\r\x85\u2028\u2029")
ALL = complement(())

#: ``\d`` and the like; the capital letter is the complement.
ESCAPES = {"d": DIGIT, "w": WORD, "s": SPACE, "h": HORIZONTAL, "v": VERTICAL}

_GRAPH = of("!-~")
_POSIX = {
    "lower": _LOWER,
    "upper": _UPPER,
    "ascii": of("\0-\x7f"),
    "alpha": of("A-Za-z"),
    "digit": DIGIT,
    "alnum": of("0-9A-Za-z"),
    "punct": intersection(_GRAPH, complement(of("0-9A-Za-z"))),
    "graph": _GRAPH,
    "print": of(" -~"),
    "blank": of(" \t"),
    "cntrl": of("\0-\x1f\x7f"),
    "xdigit": of("0-9A-Fa-f"),
    "space": SPACE,
}

_BINARY = {
    "alphabetic": ("L", "Nl"),
    "letter": ("L",),
    "lowercase": ("Ll",),
    "uppercase": ("Lu",),
    "titlecase": ("Lt",),
    "punctuation": ("P",),
    "control": ("Cc",),
    "digit": ("Nd",),
    "javalowercase": ("Ll",),
    "javauppercase": ("Lu",),
    "javaalphabetic": ("L", "Nl"),
    "javaletter": ("L",),
    "javadigit": ("Nd",),
    "javaletterordigit": ("L", "Nd"),
}
_SPACES = {
    "white_space": union(SPACE, of("\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000")),
    "whitespace": union(SPACE, of("\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000")),
    "javawhitespace": union(SPACE, of("\x1c-\x1f\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000")),
}
#: Scripts by the first word of their characters' Unicode names.
_SCRIPTS = {
    "latin": "LATIN", "greek": "GREEK", "cyrillic": "CYRILLIC", "han": "CJK", "hiragana": "HIRAGANA",
    "katakana": "KATAKANA", "arabic": "ARABIC", "hebrew": "HEBREW", "thai": "THAI", "hangul": "HANGUL",
    "devanagari": "DEVANAGARI", "armenian": "ARMENIAN", "georgian": "GEORGIAN", "bengali": "BENGALI", "tamil": "TAMIL",
}  # fmt: skip
_BLOCKS = {
    "basiclatin": of("\0-\x7f"), "latin1supplement": of("\x80-\xff"), "latinextendeda": of("\u0100-\u017f"),
    "latinextendedb": of("\u0180-\u024f"), "greek": of("\u0370-\u03ff"), "cyrillic": of("\u0400-\u04ff"),
    "hebrew": of("\u0590-\u05ff"), "arabic": of("\u0600-\u06ff"), "devanagari": of("\u0900-\u097f"),
    "thai": of("\u0e00-\u0e7f"), "hiragana": of("\u3040-\u309f"), "katakana": of("\u30a0-\u30ff"),
    "cjkunifiedideographs": of("\u4e00-\u9fff"), "hangulsyllables": of("\uac00-\ud7af"),
    "generalpunctuation": of("\u2000-\u206f"), "currencysymbols": of("\u20a0-\u20cf"),
}  # fmt: skip


@cache
def _categories() -> dict[str, Ranges]:
    """All general categories; reading them takes a part of a second, so only patterns that name one pay."""
    found: dict[str, list[tuple[int, int]]] = {}
    last, start = "", 0
    for code in range(sys.maxunicode + 2):
        category = unicodedata.category(chr(code)) if code <= sys.maxunicode else ""
        if category != last:
            if last and last != "Cs":
                found.setdefault(last, []).append((start, code - 1))
            last, start = category, code
    return {category: tuple(ranges) for category, ranges in found.items()}


@cache
def _script(word: str) -> Ranges:
    letters = [ranges for category, ranges in _categories().items() if category[0] in "LM" or category in ("Nl", "So")]
    codes = (code for part in letters for low, high in part for code in range(low, high + 1))
    return union(
        (code, code) for code in codes if unicodedata.name(chr(code), "").partition(" ")[0].partition("-")[0] == word
    )


def named(name: str) -> Ranges | None:
    """The class that ``\\p{name}`` means, ``None`` when Java knows no such class."""
    if (posix := _POSIX.get(name.lower())) is not None and name[0].isupper():
        return posix
    kind, equals, rest = name.partition("=")
    wanted = rest if equals else name
    if equals and kind.lower() in ("script", "sc"):
        return _script(_SCRIPTS[wanted.lower()]) if wanted.lower() in _SCRIPTS else None
    if name.startswith("In") or (equals and kind.lower() in ("block", "blk")):
        return _BLOCKS.get(wanted.removeprefix("In").lower().replace("_", "").replace("-", "").replace(" ", ""))
    if wanted.startswith("Is") and not equals:
        wanted = wanted[2:]
        if wanted.lower() in _SCRIPTS:
            return _script(_SCRIPTS[wanted.lower()])
    lower = wanted.lower()
    if lower in _SPACES:
        return _SPACES[lower]
    if lower in _BINARY and (name.startswith(("Is", "java"))):
        return union(*(_category(one) for one in _BINARY[lower]))
    if lower == "assigned":
        return complement(_category("Cn"))
    if wanted in ("LC", "L1"):
        return union(*(_category(one) for one in ("Lu", "Ll", "Lt"))) if wanted == "LC" else of("\0-\xff")
    return _category(wanted) or None


def _category(name: str) -> Ranges:
    return union(*(ranges for category, ranges in _categories().items() if name in (category, category[0])))
