"""Phone numbers: calling code and number in digits (E.164 without its plus sign).

A number that begins with ``+``, or with what one dials before a foreign number, keeps its own calling code; any other
one is a number of the row's country. Numbers of a length that does not exist are NULL. The lengths and prefixes are
those of the national numbering plans (ITU-T E.164 and its list of dialling procedures).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.identity.text import matching, narrow, only, without


@dataclass(frozen=True)
class _Plan:
    """How a country writes its numbers.

    :param code: calling code.
    :param abroad: dialled before a foreign number.
    :param trunk: dialled before a national number, and no part of it.
    :param national: regular expression of a national number.
    :param bare: the same of one behind the calling code when nothing else tells that the code is there.
    """

    code: str
    abroad: str
    trunk: str
    national: str
    bare: str = ""


_PLANS = {
    "US": _Plan("1", "011", "", "[0-9]{10}"),
    "GB": _Plan("44", "00", "0", "[1-9](?:[0-9]{6}|[0-9]{8,9})"),
    # A number of ten digits or fewer may be a national one: area codes of East Frisia begin with 49 too.
    "DE": _Plan("49", "00", "0", "[1-9][0-9]{3,12}", bare="[1-9][0-9]{8,12}"),
    "FR": _Plan("33", "00", "0", "[1-9][0-9]{8}"),
    # The zero of an area code is a part of the number. Mobile numbers have up to ten digits; some begin with 39.
    "IT": _Plan("39", "00", "", "[0-9]{6,12}", bare="[0-9]{9,12}"),
    "ES": _Plan("34", "00", "", "[0-9]{9}"),
    "JP": _Plan("81", "010", "0", "[1-9][0-9]{8,9}"),
    "IN": _Plan("91", "00", "0", "[1-9][0-9]{9}"),
}
_CODES = "|".join(plan.code for plan in _PLANS.values())
_PLANS["CA"] = _PLANS["US"]

#: Extensions are not a part of the number.
_EXTENSION = r"(?i)([0-9)])\s*(?:;|,|x|ext|extension|#).*$"
#: The zero that some put in brackets behind the calling code.
_TRUNK = f"^({'|'.join(plan.code for plan in _PLANS.values() if plan.trunk)})0"
_INTERNATIONAL = "^(?:" + "|".join(f"{plan.code}(?:{plan.national})" for plan in _PLANS.values()) + ")$"
_OTHER_COUNTRY = "^[1-9][0-9]{6,14}$"


def phones(values: pa.Array, country: str) -> pa.Array:
    """Phone numbers.

    :param values: as people write them.
    :param country: ISO code of the country in which a number without calling code is dialled.
    """
    plan = _PLANS[country]
    written = pc.replace_substring_regex(narrow(values), _EXTENSION, r"\1")
    digits = without(written, "[^0-9]+")
    plus = pc.match_substring_regex(written, r"^[^0-9]*\+")
    foreign = pc.or_(plus, pc.starts_with(digits, plan.abroad))
    dialled = pc.if_else(plus, digits, without(digits, f"^{plan.abroad}"))
    return pc.if_else(foreign, _international(dialled), _of_the_country(digits, plan))


def _international(digits: pa.Array) -> pa.Array:
    digits = pc.replace_substring_regex(digits, _TRUNK, r"\1")
    of_a_plan = pc.match_substring_regex(digits, f"^(?:{_CODES})")
    return pc.if_else(of_a_plan, matching(digits, _INTERNATIONAL), matching(digits, _OTHER_COUNTRY))


def _of_the_country(digits: pa.Array, plan: _Plan) -> pa.Array:
    coded = pc.match_substring_regex(digits, f"^{plan.code}(?:{plan.bare or plan.national})$")
    trunk = f"{plan.trunk}?" if plan.trunk else ""
    national = f"^{trunk}({plan.national})$"
    completed = pc.replace_substring_regex(digits, national, rf"{plan.code}\1")
    return pc.if_else(coded, digits, only(completed, pc.match_substring_regex(digits, national)))
