"""E-mail addresses, names, cities and states: the kinds that are single words to Amazon.

E-mail addresses keep letters, digits and ``. _ - @``, names and cities the letters a to z and digits. In names the
German and Danish letters are written out before; in cities they are not, so that ``Köln`` becomes ``kln``: that is what
the hashes say that Amazon publishes with its uploader.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.identity.text import composed, looked_up, matching, narrow, replaced, without

_SHARP_S = ("ß", "ss")
_WRITTEN_OUT = (_SHARP_S, ("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ø", "o"), ("æ", "ae"))


def _lower(values: pa.Array) -> pa.Array:
    return pc.utf8_lower(composed(narrow(values)))


def emails(values: pa.Array) -> pa.Array:
    """E-mail addresses; NULL where there is nothing on one side of an ``@``."""
    kept = without(_lower(values), r"[^\p{L}\p{N}_.@-]+")
    return matching(kept, r"^[\p{L}\p{N}_.-]+@[\p{L}\p{N}_.-]")


def names(values: pa.Array) -> pa.Array:
    """First or last names."""
    return without(replaced(_lower(values), _WRITTEN_OUT), "[^a-z0-9]+")


def cities(values: pa.Array) -> pa.Array:
    """Cities."""
    return without(_lower(values), "[^a-z0-9]+")


@cache
def _regions() -> dict[str, dict[str, str]]:
    text = resources.files(__package__).joinpath("regions.json").read_text(encoding="utf-8")
    return {
        country: {name: code for code, names in codes.items() for name in names.split()}
        for country, codes in json.loads(text).items()
    }


def states(values: pa.Array, country: str) -> pa.Array:
    """States, provinces and regions: the code that Amazon has for the name, else the first two letters.

    :param values: codes or names; Amazon's table holds the English names, and the Spanish ones of Spain.
    :param country: ISO code; GB, JP and IN have no table.
    """
    letters = without(replaced(_lower(values), [_SHARP_S]), "[^a-z]+")
    return pc.coalesce(looked_up(letters, _regions().get(country, {})), pc.utf8_slice_codeunits(letters, 0, 2))
