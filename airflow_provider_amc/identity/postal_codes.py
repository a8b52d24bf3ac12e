"""Postal codes: letters and digits without what stands between them, cut to the length that the country has.

A code that is too short, such as one that has lost its leading zero, is none. Letters are upper-case, as in the hashes
that Amazon publishes with its uploader.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.identity.text import matching, narrow, without


@dataclass(frozen=True)
class _Form:
    length: int
    pattern: str
    drop: str = "[^0-9]+"


_LETTERS_TOO = "[^0-9A-Z]+"
_FIVE_DIGITS = _Form(5, r"^[0-9]{5}$")
_FORMS = {
    "CA": _Form(6, r"^([A-Z][0-9]){3}$", _LETTERS_TOO),
    # A9 9AA, A99 9AA, AA9 9AA, AA99 9AA, A9A 9AA and AA9A 9AA
    "GB": _Form(7, r"^[A-Z]{1,2}([0-9]{2,3}|[0-9][A-Z][0-9])[A-Z]{2}$", _LETTERS_TOO),
    "IN": _Form(6, r"^[0-9]{6}$"),
    "JP": _Form(7, r"^[0-9]{7}$"),
}


def postal_codes(values: pa.Array, country: str) -> pa.Array:
    """Postal codes; NULL where the country has no such code.

    :param values: as people write them.
    :param country: ISO code.
    """
    form = _FORMS.get(country, _FIVE_DIGITS)
    kept = without(pc.utf8_upper(narrow(values)), form.drop)
    return matching(pc.utf8_slice_codeunits(kept, 0, form.length), form.pattern)
