"""What holds for every kind: hashes, NULL, types, chunks, and what may differ without changing the result."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.identity import COUNTRIES, IdentityKind, normalize
from tests.identity.vectors import sha

ALL = [*IdentityKind]
HASH = sha("abc@example.com")
countries = st.sampled_from(COUNTRIES)
kinds = st.sampled_from(ALL)
#: What people type, and what keyboards of the countries add to it.
written = st.text(st.sampled_from("abcXYZ 0123456789@.,-_+#/()'!äÖüéÑçøＡ１　東ō\t"), max_size=24)

WORDS = ["Aspen", "Street", "Avenue", "North", "Plaza", "VIA", "Calle", "Großer", "Hill", "Mdw"]


def one(kind: IdentityKind, value: str | None, country: str = "US") -> str | None:
    (text,) = normalize(kind, pa.array([value], pa.string()), country=country).to_pylist()
    assert text is None or isinstance(text, str)
    return text


@pytest.mark.parametrize("kind", ALL)
def test_hashes_are_left_alone(kind: IdentityKind) -> None:
    assert HASH is not None
    assert one(kind, HASH) == HASH
    assert one(kind, f" {HASH.upper()}\n") == HASH


@pytest.mark.parametrize("kind", ALL)
def test_null_and_blank_are_null(kind: IdentityKind) -> None:
    values = pa.array([None, "", " ", "\t\u3000", None], pa.string())
    assert normalize(kind, values, country="GB").to_pylist() == [None] * 5
    assert normalize(kind, pa.nulls(3), country="GB").equals(pa.nulls(3, pa.string()))
    assert normalize(kind, pa.array([], pa.string()), country="GB").to_pylist() == []


def test_a_kind_by_its_name() -> None:
    assert normalize("email", pa.array([" A@B "])).to_pylist() == ["a@b"]
    assert normalize("Zip", pa.array(["k1a 0b1"]), country="ca").to_pylist() == ["K1A0B1"]
    with pytest.raises(AmcValidationError, match=r"no kind of identifier 'POSTAL'; AMC has EMAIL, .*, ZIP"):
        normalize("POSTAL", pa.array(["80331"]), country="DE")


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.needs_country])
@pytest.mark.parametrize("country", [None, "", "BR", "Germany"])
def test_a_country_with_rules(kind: IdentityKind, country: str | None) -> None:
    with pytest.raises(AmcValidationError, match=f"{kind.value} is written in another way .* US, CA, GB, DE, FR"):
        normalize(kind, pa.array(["1"]), country=country)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_every_layout_of_text(kind: pa.DataType) -> None:
    texts = ["Anna", None, "BEN", "anna "]
    values = pa.array(texts).dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else pa.array(texts, kind)
    found = normalize("FIRST_NAME", values)
    assert found.type == pa.string()
    assert found.to_pylist() == ["anna", None, "ben", "anna"]


@pytest.mark.parametrize("values", [[12345], [1.5], [b"80331"], [True]], ids=str)
def test_what_is_no_text(values: list[object]) -> None:
    array = pa.array(values)
    with pytest.raises(
        AmcValidationError, match=f"have to be text, and these are {array.type}: read the column as str"
    ):
        normalize("ZIP", array, country="DE")


def test_text_that_is_not_utf_8() -> None:
    texts = [b"anna", b"ben", b"\xff\xfe secret", b"dora", b"\xff"]
    broken = pa.array(texts, pa.binary()).view(pa.string())
    with pytest.raises(AmcValidationError) as told:
        normalize("LAST_NAME", broken)
    assert str(told.value) == "Row 3 is not UTF-8."
    assert normalize("LAST_NAME", broken.slice(0, 2)).to_pylist() == ["anna", "ben"]


@pytest.mark.parametrize("kind", ALL)
@given(texts=st.lists(st.none() | written, max_size=6), country=countries, data=st.data())
def test_neither_chunks_nor_neighbours_matter(
    kind: IdentityKind, texts: list[str | None], country: str, data: st.DataObject
) -> None:
    whole = pa.array(texts, pa.string())
    found = normalize(kind, whole, country=country)
    assert found.to_pylist() == [one(kind, text, country) for text in texts]
    cut = data.draw(st.integers(0, len(texts)))
    chunks = normalize(kind, pa.chunked_array([whole.slice(0, cut), whole.slice(cut)]), country=country)
    assert isinstance(chunks, pa.ChunkedArray)
    assert chunks.to_pylist() == found.to_pylist()


@given(kind=kinds, text=written, country=countries)
def test_case_and_blanks_around_do_not_matter(kind: IdentityKind, text: str, country: str) -> None:
    found = one(kind, text, country)
    for other in (text.upper(), text.lower(), f"  {text}\n", f"\u3000{text.swapcase()}\u00a0"):
        assert one(kind, other, country) == found


@given(kind=kinds, text=written, country=countries)
def test_composed_and_decomposed_letters_are_the_same(kind: IdentityKind, text: str, country: str) -> None:
    assert one(kind, unicodedata.normalize("NFD", text), country) == one(kind, text, country)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in (IdentityKind.ADDRESS, IdentityKind.PHONE)])
@given(text=written, country=countries)
def test_normalised_text_is_normalised(kind: IdentityKind, text: str, country: str) -> None:
    found = one(kind, text, country)
    assert one(kind, found, country) == found


@given(digits=st.text("0123456789 -()/", max_size=18), home=countries, abroad=countries)
def test_a_normalised_phone_number_is_international(digits: str, home: str, abroad: str) -> None:
    found = one(IdentityKind.PHONE, digits, home)
    if found is not None:
        assert found.isdigit()
        assert one(IdentityKind.PHONE, f"+{found}", abroad) == found


@given(
    number=st.integers(1, 9999),
    words=st.lists(st.sampled_from(WORDS), max_size=5),
    country=countries,
)
def test_an_address_with_a_house_number_stays_as_it_is(number: int, words: list[str], country: str) -> None:
    found = one(IdentityKind.ADDRESS, " ".join([str(number), *words]), country)
    assert one(IdentityKind.ADDRESS, found, country) == found


@given(kind=kinds, text=st.text(max_size=40), country=countries)
def test_any_text_at_all(kind: IdentityKind, text: str, country: str) -> None:
    found = one(kind, text, country)
    assert found is None or (found != "" and found.strip() == found)
