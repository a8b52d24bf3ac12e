"""Arrays of text, and the steps that several rules share. All of them leave NULL alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.exceptions import AmcValidationError

#: Characters of a SHA-256 in hexadecimal digits.
HASH_LENGTH = 64

#: The full-width forms of Japanese keyboards and the characters they stand for.
_NARROW = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def as_text(values: pa.Array, first_row: int = 1) -> pa.Array:
    """Return an array of strings.

    :param values: text in any of Arrow's layouts, or nothing but NULL.
    :param first_row: number of the first value, for errors that name a row.
    :raises AmcValidationError: numbers, which have lost their leading zeros, other types, and text that is not UTF-8.
    """
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise AmcValidationError(f"Identifiers have to be text, and these are {kind}: read the column as strings.")
    texts = values.cast(pa.string())
    if not _is_valid(texts):
        raise AmcValidationError(f"Row {first_row + _first_broken(texts)} is not UTF-8.")
    return texts


def _is_valid(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _first_broken(texts: pa.Array) -> int:
    """Position of the first text that is not UTF-8, by halving."""
    start, length = 0, len(texts)
    while length > 1:
        half = length // 2
        if _is_valid(texts.slice(start, half)):
            start, length = start + half, length - half
        else:
            length = half
    return start


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def are_hashes(values: pa.Array) -> pa.Array:
    """Tell which values are hashes already: 64 hexadecimal digits in lower case."""
    as_long = pc.equal(pc.binary_length(values), HASH_LENGTH)
    if not pc.any(as_long).as_py():
        return as_long
    return pc.and_(as_long, pc.match_substring_regex(values, "^[0-9a-f]+$"))


def _rewritten(values: pa.Array, which: pa.Array, rewrite: Callable[[str], str]) -> pa.Array:
    """Rewrite some of the values in Python."""
    which = pc.fill_null(which, False)
    if not pc.any(which).as_py():
        return values
    texts = [rewrite(text) for text in values.filter(which).to_numpy(zero_copy_only=False)]
    return pc.replace_with_mask(values, which, pa.array(texts, values.type))


def composed(values: pa.Array) -> pa.Array:
    """Write every accented letter as one character, so that one spelling of a word has one hash."""
    # Arrow has a kernel for it, but up to 23.0 that decomposes when asked to compose.
    return _rewritten(values, pc.invert(pc.string_is_ascii(values)), partial(unicodedata.normalize, "NFC"))


def narrow(values: pa.Array) -> pa.Array:
    """Replace full-width letters, digits and signs by the plain ones."""
    wide = pc.match_substring_regex(values, "[\uff01-\uff5e\u3000]")
    return _rewritten(values, wide, lambda text: text.translate(_NARROW))


def replaced(values: pa.Array, pairs: Iterable[tuple[str, str]]) -> pa.Array:
    """Replace each first text of the pairs by the second."""
    for old, new in pairs:
        values = pc.replace_substring(values, old, new)
    return values


def without(values: pa.Array, pattern: str) -> pa.Array:
    """Remove whatever matches a regular expression (RE2)."""
    return pc.replace_substring_regex(values, pattern, "")


def only(values: pa.Array, keep: Any) -> pa.Array:
    """Turn the values for which ``keep`` does not hold into NULL."""
    return pc.if_else(keep, values, pa.scalar(None, values.type))


def matching(values: pa.Array, pattern: str) -> pa.Array:
    """Turn the values that a regular expression (RE2) does not find anything in into NULL."""
    return only(values, pc.match_substring_regex(values, pattern))


def looked_up(values: pa.Array, table: Mapping[str, str]) -> pa.Array:
    """Return what a table says for each value, NULL for those it does not have."""
    if not table:
        return pa.nulls(len(values), values.type)
    found = pc.index_in(values, value_set=pa.array(table, values.type))
    return pa.array(table.values(), values.type).take(found)
