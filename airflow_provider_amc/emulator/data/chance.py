"""Repeatable chance: 32-bit integer hashes, the same in Python and in DuckDB SQL.

DuckDB's own ``hash()`` may change with its version and floating-point functions with the machine, so neither decides
anything here.
"""

from __future__ import annotations

import hashlib

MASK = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9


def mix(value: int) -> int:
    """Scramble 32 bits (the finalizer of MurmurHash3); different inputs give different outputs."""
    value &= MASK
    value ^= value >> 16
    value = (value * 0x85EBCA6B) & MASK
    value ^= value >> 13
    value = (value * 0xC2B2AE35) & MASK
    return value ^ (value >> 16)


def draw(key: int, salt: int) -> int:
    """A number below 2**32 for a key; each salt is an independent draw."""
    return mix(key + salt * _GOLDEN)


#: The same as DuckDB macros. ``chance_pick`` chooses one of n, ``chance_hits`` is true in so many of 10,000 cases.
MACROS = (
    "chance_m1(x) AS xor(x, x >> 16)",
    "chance_m2(x) AS xor(x, x >> 13)",
    f"chance_mix(x) AS chance_m1((chance_m2((chance_m1(CAST(x AS UBIGINT) & {MASK}) * {0x85EBCA6B}) & {MASK})"
    f" * {0xC2B2AE35}) & {MASK})",
    f"chance_draw(k, salt) AS chance_mix(CAST(k AS UBIGINT) + CAST(salt AS UBIGINT) * {_GOLDEN})",
    "chance_pick(k, salt, n) AS CAST((chance_draw(k, salt) * CAST(n AS UBIGINT)) >> 32 AS INTEGER)",
    "chance_hits(k, salt, share) AS chance_pick(k, salt, 10000) < share",
)


def long_id(*parts: object) -> int:
    """An 18-digit id, as AMC's campaigns and advertisers have, made of some parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return 10**17 + int.from_bytes(digest[:8], "big") % (9 * 10**17)


def code(length: int, *parts: object) -> str:
    """An id of capital letters and digits made of some parts."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    number = int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest(), "big")
    letters = []
    for _ in range(length):
        number, index = divmod(number, len(alphabet))
        letters.append(alphabet[index])
    return "".join(letters)
