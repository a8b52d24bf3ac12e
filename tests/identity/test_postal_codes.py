"""Postal codes of each country."""

from __future__ import annotations

import pytest

from airflow_provider_amc.identity import COUNTRIES, IdentityKind
from tests.identity.vectors import Vectors, check

FIVE_DIGITS: Vectors = [
    ("80331", "80331"),
    (" 80331 ", "80331"),
    ("D-80331", "80331"),
    ("80 331", "80331"),
    ("06357 CEDEX 4", "06357"),
    ("８０３３１", "80331"),
    # Its leading zero is lost, and nobody can tell that for sure.
    ("1462", None),
    ("", None),
    ("unknown", None),
]
VECTORS: dict[str, Vectors] = {
    "US": [*FIVE_DIGITS, ("75236-9599", "75236"), ("75236 9599", "75236"), ("752369599", "75236"), ("07505", "07505")],
    "DE": FIVE_DIGITS,
    "FR": [*FIVE_DIGITS, ("77304 CEDEX", "77304"), ("F-75008", "75008")],
    "IT": [*FIVE_DIGITS, ("00118", "00118"), ("I-00118", "00118")],
    "ES": [*FIVE_DIGITS, ("08075", "08075"), ("8075", None)],
    "CA": [
        ("K1A 0B1", "K1A0B1"),
        ("k1a 0b1", "K1A0B1"),
        ("K1A-0B1", "K1A0B1"),
        ("K1A0B1", "K1A0B1"),
        ("K1A 0B1 Ottawa", "K1A0B1"),
        ("Ｋ１Ａ　０Ｂ１", "K1A0B1"),
        ("K1A", None),
        ("KIA 0B1", None),
        ("K1A 081", None),
        ("", None),
    ],
    "GB": [
        ("M1 1AA", "M11AA"),
        ("M60 1NW", "M601NW"),
        ("CR2 6XH", "CR26XH"),
        ("DN55 1PT", "DN551PT"),
        ("W1A 1HQ", "W1A1HQ"),
        ("EC1A 1BB", "EC1A1BB"),
        ("ec1a1bb", "EC1A1BB"),
        ("EC1A-1BB", "EC1A1BB"),
        ("DN55 1PT, UK", "DN551PT"),
        ("WF9", None),
        ("EC1A", None),
        ("AA11AA6", None),
        ("GIR 0AA", None),
        ("", None),
    ],
    "JP": [
        ("787-0150", "7870150"),
        ("7870150", "7870150"),
        ("〒787-0150", "7870150"),
        ("〒１２３−４５６７", "1234567"),
        ("787", None),
        ("", None),
    ],
    "IN": [("395003", "395003"), ("395 003", "395003"), ("PIN 395003", "395003"), ("39500", None), ("", None)],
}


@pytest.mark.parametrize("country", COUNTRIES)
def test_postal_codes(country: str) -> None:
    check(IdentityKind.ZIP, VECTORS[country], country)


def test_great_britain_has_two_codes() -> None:
    check(IdentityKind.ZIP, VECTORS["GB"], "UK")
    check(IdentityKind.ZIP, VECTORS["GB"], " uk ")
