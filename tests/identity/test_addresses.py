"""Street addresses of each country."""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_provider_amc.identity import COUNTRIES, IdentityKind, normalize
from airflow_provider_amc.identity.addresses import _TABLES, _all_tables
from tests.identity.vectors import Vectors, check

#: The same in every country.
EVERYWHERE: Vectors = [
    ("12 Aspen", "12aspen"),
    ("  12   ASPEN\t", "12aspen"),
    ("12, Aspen", "12aspen"),
    ("12 ,, Aspen ,", "12aspen"),
    ("12 Aspen (rear) [left] {top}!", "12aspenrearlefttop"),
    ("c/o Aspen, 12", "aspen12"),
    ("Aspen C/O 12", "aspen12"),
    ("North 12", "n12"),
    ("12 Southwest Aspen", "12swaspen"),
    ("309 WEST END", "309wend"),
    ("N. 12", "n12"),
    ("N.W. 12", "nw12"),
    ("Aspen No 12", "aspennumber12"),
    ("Aspen No.12", "aspennumber12"),
    ("Aspen # 12", "aspennumber12"),
    ("Aspen #12", "aspennumber12"),
    ("Aspen Num. 12", "aspennumber12"),
    ("Aspen número 12", "aspennumber12"),
    ("Block#7-2", "blocknumber7-2"),
    ("5#", "5#"),
    # A dash stays within a word, unless it joins a house number to something else.
    ("12-B Aspen", "12baspen"),
    ("12-North Aspen", "12naspen"),
    ("12-14 Aspen", "12-14aspen"),
    ("Aspen-Hof 1", "aspen-hof1"),
    ("A-12", "a-12"),
    ("-12", "-12"),
    ("12-A-3", "12-a-3"),
    ("Aspen 1/2", "aspen1/2"),
    ("O'Aspen 1", "o'aspen1"),
    ("Große Weg 3", "grosseweg3"),
    ("GROSSE WEG 3", "grosseweg3"),
    ("Ün\u0308ter 3", "ün\u0308ter3"),
    ("A\u0308hren 3", "ähren3"),
    ("12\u3000Aspen\u00a01", "12aspen1"),
    ("一丁目２−３", "一丁目２−３"),
    ("मार्ग 5", "मार्ग5"),
    ("!", None),
    ("c/o", None),
    ("", None),
]
#: Where Amazon has no table of the country itself.
COMMON: Vectors = [
    ("1 Aspen Street", "1aspenst"),
    ("1 Aspen St.", "1aspenst"),
    ("1 Aspen Str.", "1aspenst"),
    ("1 Aspen Avenue", "1aspenave"),
    ("1 Aspen Parkway", "1aspenpkwy"),
    ("1 Aspen Plaza", "1aspenplz"),
    ("1 Aspen Place", "1aspenpl"),
    ("1 Aspen Centre", "1aspenctr"),
    ("1 Aspen Square", "1aspensq"),
    ("1 Aspen Terrace", "1aspenterrace"),
    ("1 Aspen Junction", "1aspenjunction"),
    ("1 Aspen Boulevard", "1aspenboulevard"),
    ("1 Aspen Blvd", "1aspenblvd"),
]
VECTORS: dict[str, Vectors] = {
    "US": [
        ("123 N. Main Street, Apt #5", "123nmainstaptnumber5"),
        ("123 north main st apartment no 5", "123nmainstaptnumber5"),
        ("123 N Main St Apt#5", "123nmainstaptnumber5"),
        ("45-B Elm Rd.", "45belmrd"),
        ("03646 Aspen Stravenue Mooretown", "03646aspenstramooretown"),
        ("1 Aspen Terrace", "1aspenter"),
        ("1 Aspen Junction", "1aspenjct"),
        ("1 Aspen Crossing", "1aspenxing"),
        ("1 Aspen Expressway", "1aspenexpy"),
        ("1 Aspen Hill", "1aspenhl"),
        ("1 Aspen Av", "1aspenave"),
        ("1 Aspen Boulv", "1aspenblvd"),
        ("1 Aspen Boulevard", "1aspenboulevard"),
        ("1 Aspen Meadow", "1aspenmdw"),
        ("1 Aspen Mdw", "1aspenmdws"),
        ("1 Key West", "1keyw"),
        ("1 Aspen Suite 200", "1aspenste200"),
        ("1 Aspen Penthouse", "1aspenph"),
        ("1 Aspen Trailer 4", "1aspentrlr4"),
        ("PO Box 12-34", "pobox12-34"),
        # Amazon's SDK loses the 12 here. Nothing of an address is lost.
        ("12#4 Elm", "12number4elm"),
    ],
    "CA": [*COMMON, ("10 rue de l'Église", "10ruedel'église"), ("1 Aspen Highway North", "1aspenhwyn")],
    "GB": [
        ("Flat 2, 10 Aspen Road", "flat210aspenrd"),
        ("Apartment 2, 10 Aspen Sq", "apt210aspensquare"),
        ("1 Aspen Center", "1aspencentre"),
        ("1 Aspen Cl", "1aspenclose"),
        ("1 Aspen Terrace", "1aspenterrace"),
        ("1 Aspen Str", "1aspenstr"),
        ("Aspen Limited, 1 High Street", "aspenltd1highst"),
        ("Aspen Ltd., 1 High St", "aspenltd1highst"),
        ("1 Aspen Avenue", "1aspenave"),
        ("1 Aspen Gardens", "1aspengardens"),
    ],
    "DE": [
        *COMMON,
        ("Hauptstraße 5", "hauptstrasse5"),
        ("HAUPTSTRASSE 5", "hauptstrasse5"),
        ("Haupt Str. 5a", "hauptst5a"),
        ("Hauptstr. 5", "hauptstr5"),
        ("Am Königshof 12-B", "amkönigshof12b"),
    ],
    "FR": [
        ("12 Allee des Roses", "12alléedesroses"),
        ("12 allée des Roses", "12alléedesroses"),
        ("12 Avenue Foch", "12avefoch"),
        ("12 Ave Foch", "12avefoch"),
        ("1 Place d'Armes", "1pld'armes"),
        ("12 bis, rue de l'Église", "12bisruedel'église"),
        ("3 Imp. des Lilas", "3impassedeslilas"),
        ("3 Che du Moulin", "3chemindumoulin"),
        ("3 RTE de Lyon", "3routedelyon"),
        ("3 Montee Saint-Jean", "3montéesaint-jean"),
        ("3 Blvd Foch", "3blvdfoch"),
        ("3 Boulevard Foch", "3boulevardfoch"),
    ],
    "IT": [
        ("Via Roma, 3", "viaroma3"),
        ("V. Roma 3", "viaroma3"),
        ("V.le Monza 5", "vialemonza5"),
        ("Viale Monza, 5", "vialemonza5"),
        ("P.zza Duomo 1", "piazzaduomo1"),
        ("P.za Duomo 1", "piazzaduomo1"),
        ("PZA Duomo 1", "piazzaduomo1"),
        ("C.so Italia 1", "corsoitalia1"),
        ("L.go Argentina 1", "largoargentina1"),
        ("V.lo Stretto 1", "vicolostretto1"),
        ("Strada Nuova 12-A", "stradanuova12a"),
        ("Piazza Plaza 1", "piazzaplz1"),
    ],
    "ES": [
        ("C/ Mayor 5, 2º A", "callemayor52ºa"),
        ("Calle Mayor 5, 2º A", "callemayor52ºa"),
        ("C. Mayor 5", "callemayor5"),
        ("C\\ Mayor 5", "callemayor5"),
        ("Carrer Major 5", "callemajor5"),
        ("Av. Diagonal 1", "avenidadiagonal1"),
        ("Avda. Diagonal 1", "avenidadiagonal1"),
        ("Avenida Diagonal 1", "avenidadiagonal1"),
        ("Avda Diagonal 1", "avdadiagonal1"),
        ("Paseo de Gracia 1", "passeigdegracia1"),
        ("Pg de Gràcia 1", "passeigdegràcia1"),
        ("Pl Mayor 1", "plazamayor1"),
        ("Plaza Mayor 1", "plazamayor1"),
        ("Place 1", "pl1"),
        ("Ctra. Nacional 1", "carreteranacional1"),
        ("Urb Los Pinos 1", "urbanizaciónlospinos1"),
        ("Cjon. Largo 1", "callejónlargo1"),
    ],
    "JP": [*COMMON, ("1-2-3 Aspen", "1-2-3aspen"), ("千代田区１丁目 2-3", "千代田区１丁目2-3"), ("二-B", "二b")],
    "IN": [*COMMON, ("Flat No. 5, M.G. Road", "flatnumber5mgrd"), ("12-B, Aspen Marg", "12baspenmarg")],
}


@pytest.mark.parametrize("country", COUNTRIES)
def test_words_of_the_country(country: str) -> None:
    check(IdentityKind.ADDRESS, VECTORS[country], country)


@pytest.mark.parametrize("country", COUNTRIES)
def test_rules_of_all_countries(country: str) -> None:
    check(IdentityKind.ADDRESS, EVERYWHERE, country)


@pytest.mark.parametrize("table", _all_tables())
def test_a_word_is_written_in_one_way(table: str) -> None:
    spellings = [word for words in _all_tables()[table].values() for word in words.split()]
    assert sorted(set(spellings)) == sorted(spellings)
    assert all(word == word.lower() for word in [*spellings, *_all_tables()[table]])


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_word_of_the_tables(country: str) -> None:
    last = {}
    for table in _TABLES[country]:
        last |= {word: written for written, words in _all_tables()[table].items() for word in words.split()}
    addresses = pa.array([f"7 {word.upper()} 7" for word in last])
    assert normalize("ADDRESS", addresses, country=country).to_pylist() == [f"7{text}7" for text in last.values()]


def test_every_country_has_tables() -> None:
    assert tuple(_TABLES) == COUNTRIES
    assert set(_all_tables()) == {table for tables in _TABLES.values() for table in tables}
