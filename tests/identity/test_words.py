"""E-mail addresses, names, cities and states."""

from __future__ import annotations

import pytest

from airflow_provider_amc.identity import COUNTRIES, IdentityKind
from tests.identity.vectors import Vectors, check

EMAILS: Vectors = [
    ("abc@example.com", "abc@example.com"),
    ("  ABC@Example.COM\t", "abc@example.com"),
    ("first.last@example.co.uk", "first.last@example.co.uk"),
    ("first_last-2@sub-domain.example.com", "first_last-2@sub-domain.example.com"),
    # Dots stay for every provider, and what stands behind a plus sign does too: Amazon only drops the sign.
    ("j.o.h.n+news@gmail.com", "j.o.h.nnews@gmail.com"),
    ("anna o'neill@example.com", "annaoneill@example.com"),
    ("<anna@example.com>;", "anna@example.com"),
    ("anna@\u00a0example.com", "anna@example.com"),
    ("Jörg@Müller.example", "jörg@müller.example"),
    ("Jo\u0308rg@example.com", "jörg@example.com"),
    ("ΑΝΝΑ@example.gr", "αννα@example.gr"),
    ("田中@example.jp", "田中@example.jp"),
    ("ｔａｎａｋａ＠ｅｘａｍｐｌｅ．ｊｐ", "tanaka@example.jp"),
    ("1@2", "1@2"),
    ("nobody", None),
    ("@example.com", None),
    ("anna@", None),
    ("anna@+", None),
    ("n/a", None),
    ("", None),
    ("   ", None),
]
NAMES: Vectors = [
    ("Anna", "anna"),
    (" ANNA  Maria ", "annamaria"),
    ("O'Brien", "obrien"),
    ("O’Brien", "obrien"),
    ("Le - Count", "lecount"),
    ("St. John-Smythe, Jr.", "stjohnsmythejr"),
    ("Henry 8", "henry8"),
    ("Müller", "mueller"),
    ("MÜLLER", "mueller"),
    ("Mu\u0308ller", "mueller"),
    ("Jäger", "jaeger"),
    ("Löwe", "loewe"),
    ("Strauß", "strauss"),
    ("STRAUẞ", "strauss"),
    ("Sørensen", "sorensen"),
    ("Ægir", "aegir"),
    # Other accented letters are no letters a to z, and are dropped.
    ("José", "jos"),
    ("Jose\u0301", "jos"),
    ("Françoise", "franoise"),
    ("Núñez", "nez"),
    ("Åsa", "sa"),
    ("Mª Carmen", "mcarmen"),
    ("Ｔａｎａｋａ", "tanaka"),
    ("Tanaka　Tarō", "tanakatar"),
    ("田中", None),
    ("タナカ", None),
    ("Дмитрий", None),
    ("---", None),
    ("", None),
]
CITIES: Vectors = [
    ("New York", "newyork"),
    ("SAN FRANCISCO", "sanfrancisco"),
    ("Winston-Salem", "winstonsalem"),
    ("St. Louis", "stlouis"),
    ("Val-d'Or", "valdor"),
    ("Paris 13", "paris13"),
    ("Frankfurt am Main", "frankfurtammain"),
    # In cities no letter is written out.
    ("München", "mnchen"),
    ("Mu\u0308nchen", "mnchen"),
    ("Köln", "kln"),
    ("Saint-Étienne", "sainttienne"),
    ("Fécamp", "fcamp"),
    ("Pamplona/Iruña", "pamplonairua"),
    ("L'Aquila", "laquila"),
    ("Mitsukaidō", "mitsukaid"),
    ("Ｏｓａｋａ", "osaka"),
    ("大阪", None),
    ("मुंबई", None),
    ("", None),
]
STATES: dict[str, Vectors] = {
    "US": [
        ("California", "ca"),
        ("NEW YORK", "ny"),
        ("west virginia", "wv"),
        ("N.Y.", "ny"),
        ("tx", "tx"),
        (" WA ", "wa"),
        ("Washington, D.C.", "wa"),
        ("District of Columbia", "di"),
        ("Ｔｅｘａｓ", "tx"),
        ("12", None),
        ("", None),
    ],
    "CA": [
        ("Ontario", "on"),
        ("British Columbia", "bc"),
        ("Newfoundland and Labrador", "nl"),
        ("Quebec", "qc"),
        ("Québec", "qu"),
        ("QC", "qc"),
    ],
    "GB": [("England", "en"), ("Greater London", "gr"), ("Yorks.", "yo")],
    "DE": [
        ("Bavaria", "by"),
        ("Lower Saxony", "ni"),
        ("North Rhine-Westphalia", "nw"),
        ("Baden-Wuerttemberg", "bw"),
        ("Mecklenburg-Vorpommern", "mv"),
        ("Berlin", "be"),
        ("BY", "by"),
        # Amazon's table has the English names, so of others the first two letters are left.
        ("Bayern", "ba"),
        ("Baden-Württemberg", "ba"),
        ("Nordrhein-Westfalen", "no"),
        ("Hessen", "he"),
        ("Thüringen", "th"),
    ],
    "FR": [
        ("Provence-Alpes-Cote d'Azur", "pr"),
        ("Nord-Pas-de-Calais", "np"),
        ("Lorraine", "le"),
        ("Corsica", "ce"),
        ("Ile-de-France", "if"),
        ("Île-de-France", "le"),
        ("Rhône-Alpes", "rh"),
        ("Bretagne", "br"),
    ],
    "IT": [
        ("Rome", "rm"),
        ("Reggio Emilia", "re"),
        ("Forli-Cesena", "fc"),
        ("L'Aquila", "aq"),
        ("Massa and Carrara", "ms"),
        ("Roma", "ro"),
        ("MI", "mi"),
    ],
    "ES": [
        ("Madrid", "m"),
        ("Barcelona", "b"),
        ("A Coruna", "c"),
        ("Vizcaya", "bi"),
        ("Bizkaia", "bi"),
        ("Santa Cruz de Tenerife", "tf"),
        ("La Rioja", "lo"),
        ("Cataluna", "ca"),
        ("A Coruña", "ac"),
        ("M", "m"),
    ],
    "JP": [("Tokyo", "to"), ("Ｏｓａｋａ-fu", "os"), ("東京都", None), ("13", None)],
    "IN": [("Gujarat", "gu"), ("Uttar Pradesh", "ut"), ("MH", "mh"), ("महाराष्ट्र", None)],
}


def test_emails() -> None:
    check(IdentityKind.EMAIL, EMAILS)


@pytest.mark.parametrize("kind", [IdentityKind.FIRST_NAME, IdentityKind.LAST_NAME])
def test_names(kind: IdentityKind) -> None:
    check(kind, NAMES)


def test_cities() -> None:
    check(IdentityKind.CITY, CITIES)


@pytest.mark.parametrize("country", COUNTRIES)
def test_states(country: str) -> None:
    check(IdentityKind.STATE, STATES[country], country)


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize(
    ("kind", "vectors"), [(IdentityKind.EMAIL, EMAILS), (IdentityKind.LAST_NAME, NAMES), (IdentityKind.CITY, CITIES)]
)
def test_kinds_with_one_rule_do_not_ask_for_the_country(kind: IdentityKind, vectors: Vectors, country: str) -> None:
    assert not kind.needs_country
    check(kind, vectors, country)
