"""The rule of each kind, on Arrow arrays."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.identity.addresses import addresses
from airflow_provider_amc.identity.kinds import COUNTRIES, IdentityKind, country_of
from airflow_provider_amc.identity.phones import phones
from airflow_provider_amc.identity.postal_codes import postal_codes
from airflow_provider_amc.identity.text import are_hashes, as_text, only
from airflow_provider_amc.identity.words import cities, emails, names, states

_ONE_RULE: dict[IdentityKind, Callable[[pa.Array], pa.Array]] = {
    IdentityKind.EMAIL: emails,
    IdentityKind.FIRST_NAME: names,
    IdentityKind.LAST_NAME: names,
    IdentityKind.CITY: cities,
}
_RULE_OF_A_COUNTRY: dict[IdentityKind, Callable[[pa.Array, str], pa.Array]] = {
    IdentityKind.PHONE: phones,
    IdentityKind.ADDRESS: addresses,
    IdentityKind.STATE: states,
    IdentityKind.ZIP: postal_codes,
}

_BLANKS = r"^[\s\p{Z}\x{85}]+|[\s\p{Z}\x{85}]+$"


def normalize(kind: IdentityKind | str, values: pa.Array | pa.ChunkedArray, *, country: str | None = None) -> pa.Array:
    """Bring identifiers into the form that Amazon hashes.

    What already is a hash (64 hexadecimal digits) is written in lower case and otherwise left as it is. What has nothing
    in it for Amazon to match by, such as an e-mail address without ``@`` or a phone number of six digits, becomes NULL.

    :param kind: what the values are, for example ``EMAIL``.
    :param values: text, with NULL where there is none.
    :param country: country of the people, needed for ADDRESS, PHONE, STATE and ZIP: a two-letter code of
        :data:`COUNTRIES`, or ``UK``.
    :returns: as many values, as strings; a chunked array for a chunked array.
    :raises AmcValidationError: the values are no text, or the kind needs a country that has rules.
    """
    kind = IdentityKind.of(kind)
    iso = country_of(country)
    if kind.needs_country and iso is None:
        raise AmcValidationError(
            f"{kind.value} is written in another way in each country: name the country as one of {', '.join(COUNTRIES)}."
        )
    if isinstance(values, pa.ChunkedArray):
        return pa.chunked_array([normalize(kind, chunk, country=iso) for chunk in values.chunks], pa.string())
    distinct = as_text(values).dictionary_encode()
    return normalized(kind, distinct.dictionary, iso or "").take(distinct.indices)


def normalized(kind: IdentityKind, values: pa.Array, country: str) -> pa.Array:
    """Normalise values of which none is NULL.

    :param kind: what they are.
    :param values: strings.
    :param country: ISO code.
    """
    values = pc.replace_substring_regex(values, _BLANKS, "")
    lower = pc.ascii_lower(values)
    rule = _ONE_RULE.get(kind)
    found = rule(values) if rule else _RULE_OF_A_COUNTRY[kind](values, country)
    return pc.if_else(are_hashes(lower), lower, only(found, pc.not_equal(found, "")))
