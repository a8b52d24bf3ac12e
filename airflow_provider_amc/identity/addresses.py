"""Street addresses: words in Amazon's spelling, written together in lower case.

An address is cut into words at white space, commas, brackets, exclamation marks and ``c/o``. Words that Amazon's tables
have are replaced (``Street`` by ``st``, ``#`` by ``number``), and all are joined without anything in between.

Two rules concern single words. A house number is cut off the text that a dash joins to it (``12-B``), and ``#`` off what
is written on either side of it (``apt#5``). A full stop separates words as well, unless the table has the word with its
full stop (``V.le`` is ``viale`` in Italy).

Sources: Amazon's address SDK for the words and rules, its uploader for the full stop and the direction west. Some
words of Amazon's tables are misspelled (``bouled`` for boulevard, ``bule`` for bulevar); hashes only match when they
are left so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.identity.text import composed, looked_up, replaced

#: Which tables hold for a country; of two that have the same word, the later one counts.
_TABLES = {
    "US": ("everywhere", "US"),
    "CA": ("everywhere", "common"),
    "GB": ("everywhere", "GB"),
    "DE": ("everywhere", "common"),
    "FR": ("everywhere", "FR", "common"),
    "IT": ("everywhere", "common", "IT"),
    "ES": ("everywhere", "common", "ES"),
    "JP": ("everywhere", "common"),
    "IN": ("everywhere", "common"),
}

_BETWEEN_WORDS = r"(?:[\s\p{Z}\x{0B}\x{1C}-\x{1F}\x{85},!\[\](){}]|\bc/o\b)+"
_NUMBER_SIGN = re.compile(r"([a-z]*)#([0-9a-z/-]*)")


@cache
def _all_tables() -> dict[str, dict[str, str]]:
    text = resources.files(__package__).joinpath("streets.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


@cache
def _words(country: str) -> dict[str, str]:
    """What is written for each word."""
    words: dict[str, str] = {}
    for name in _TABLES[country]:
        for written, spellings in _all_tables()[name].items():
            words.update(dict.fromkeys(spellings.split(), written))
    return words


def addresses(values: pa.Array, country: str) -> pa.Array:
    """Street addresses: street and house number, without city, state and postal code.

    :param values: as people write them; no NULL.
    :param country: ISO code.
    """
    words = pc.split_pattern_regex(replaced(pc.utf8_lower(composed(values)), [("ß", "ss")]), _BETWEEN_WORDS)
    spelled = pa.ListArray.from_arrays(words.offsets, _spelled(words.values, _words(country)))
    return pc.binary_join(spelled, "")


def _spelled(words: pa.Array, table: Mapping[str, str]) -> pa.Array:
    known = looked_up(words, table)
    odd = pc.and_(pc.match_substring_regex(words, "[-#.]"), pc.is_null(known))
    if pc.any(odd).as_py():
        # There are few different ones, so they need no kernel.
        parts = pc.unique(words.filter(odd)).to_pylist()
        known = pc.coalesce(known, looked_up(words, {word: "".join(_parts(word, table)) for word in parts}))
    return pc.coalesce(known, words)


def _parts(word: str, table: Mapping[str, str]) -> Iterator[str]:
    number, dash, rest = word.rpartition("-")
    for part in (number, rest) if dash and number.isnumeric() and rest and not rest.isnumeric() else (word,):
        found = _NUMBER_SIGN.search(part)
        for piece in part.replace("#", " # ").split() if found and any(found.groups()) else (part,):
            if piece in table:
                yield table[piece]
            else:
                yield from (table.get(inner, inner) for inner in piece.split("."))
