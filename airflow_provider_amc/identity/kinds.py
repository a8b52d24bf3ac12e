"""What AMC matches by, and the countries whose spelling Amazon publishes rules for."""

from __future__ import annotations

from enum import StrEnum

from airflow_provider_amc.exceptions import AmcValidationError

#: ISO 3166 codes of the countries with rules.
COUNTRIES = ("US", "CA", "GB", "DE", "FR", "IT", "ES", "JP", "IN")

#: What lists of customers hold besides; Amazon's own tools say UK.
_OTHER_NAMES = {"UK": "GB"}


class IdentityKind(StrEnum):
    """A kind of identifier, with the name that a column of an AMC data set has in ``hashedPii``."""

    EMAIL = "EMAIL"
    PHONE = "PHONE"
    FIRST_NAME = "FIRST_NAME"
    LAST_NAME = "LAST_NAME"
    ADDRESS = "ADDRESS"
    CITY = "CITY"
    STATE = "STATE"
    ZIP = "ZIP"

    @property
    def needs_country(self) -> bool:
        """Is it spelled in another way in each country?"""
        return self in _BY_COUNTRY

    @classmethod
    def of(cls, name: str) -> IdentityKind:
        """Return the kind of this name, in any case.

        :param name: as AMC writes it, for example ``EMAIL``, or a kind itself.
        :raises AmcValidationError: there is no such kind.
        """
        try:
            return cls(name.upper())
        except ValueError:
            known = ", ".join(kind.value for kind in cls)
            raise AmcValidationError(f"There is no kind of identifier {name!r}; AMC has {known}.") from None


_BY_COUNTRY = frozenset({IdentityKind.PHONE, IdentityKind.ADDRESS, IdentityKind.STATE, IdentityKind.ZIP})


def country_of(code: str | None) -> str | None:
    """Return the ISO code of a country with rules, ``None`` when there is none for it.

    :param code: two letters in any case, ``UK`` for Great Britain included.
    """
    found = (code or "").strip().upper()
    found = _OTHER_NAMES.get(found, found)
    return found if found in COUNTRIES else None
