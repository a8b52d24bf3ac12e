"""Batches of rows: which columns change, whose country counts, and what errors say."""

from __future__ import annotations

import logging
import traceback

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.identity import COUNTRIES, IdentityKind, hash_identities, normalize, sha256
from tests.identity.vectors import sha

FIELDS = {
    "mail": "EMAIL",
    "phone": "PHONE",
    "first": "FIRST_NAME",
    "last": "LAST_NAME",
    "street": "ADDRESS",
    "city": "CITY",
    "state": "STATE",
    "zip": "ZIP",
}
PEOPLE = {
    "mail": ["Anna@Example.com ", None, "ben@example.com", "nobody"],
    "phone": ["(202) 555-0143", "020 7946 0018", "030 23125000", "1"],
    "first": ["Anna", "Cleo", "Ben", ""],
    "last": ["O'Brien", "Smith", "Müller", None],
    "street": ["1 Main Street", "1 Aspen Sq", "Hauptstraße 5", "!"],
    "city": ["New York", "London", "Köln", "東京"],
    "state": ["New York", None, "Bavaria", "東京都"],
    "zip": ["10001-1234", "sw1a 1aa", "80331", "1"],
    "country": ["US", "uk", "DE ", "jp"],
    "spent": [1, 2, 3, 4],
}
WANTED = {
    "mail": ["anna@example.com", None, "ben@example.com", None],
    "phone": ["12025550143", "442079460018", "493023125000", None],
    "first": ["anna", "cleo", "ben", None],
    "last": ["obrien", "smith", "mueller", None],
    "street": ["1mainst", "1aspensquare", "hauptstrasse5", None],
    "city": ["newyork", "london", "kln", None],
    "state": ["ny", None, "by", None],
    "zip": ["10001", "SW1A1AA", "80331", None],
}
SECRET = "secret.person@example.com"


def people() -> pa.RecordBatch:
    return pa.record_batch(PEOPLE)


def test_people_of_four_countries() -> None:
    found = hash_identities(people(), FIELDS, country_column="country")
    hashes = {name: [sha(text) for text in texts] for name, texts in WANTED.items()}
    assert found.to_pydict() == {**PEOPLE, **hashes}
    assert found.schema.names == people().schema.names


def test_people_of_one_country() -> None:
    rows = people().select(["zip", "spent"]).slice(0, 1)
    assert hash_identities(rows, {"zip": "ZIP"}, country="us").to_pydict() == {"zip": [sha("10001")], "spent": [1]}


def test_the_country_of_rows_without_one() -> None:
    rows = pa.record_batch({"zip": ["10001", "k1a 0b1", "10002"], "country": [None, "CA", None]})
    found = hash_identities(rows, {"zip": "ZIP"}, country="US", country_column="country")
    assert found["zip"].to_pylist() == [sha("10001"), sha("K1A0B1"), sha("10002")]
    with pytest.raises(AmcValidationError, match=r"Column 'country', row 1: no country with rules. .* US, CA, GB"):
        hash_identities(rows, {"zip": "ZIP"}, country_column="country")


def test_columns_that_need_no_country() -> None:
    rows = people().select(["mail", "last", "country"])
    found = hash_identities(rows, {"mail": "EMAIL", "last": IdentityKind.LAST_NAME})
    assert found["mail"].to_pylist() == [sha(text) for text in WANTED["mail"]]
    assert found["country"].equals(rows["country"])


def test_hashing_twice_changes_nothing() -> None:
    once = hash_identities(people(), FIELDS, country_column="country")
    assert hash_identities(once, FIELDS, country_column="country").equals(once)


def test_what_the_schema_says_besides_stays() -> None:
    field = pa.field("mail", pa.large_string(), nullable=False, metadata={"about": "e-mail"})
    schema = pa.schema([field, pa.field("n", pa.int8())], metadata={"of": "customers"})
    found = hash_identities(pa.record_batch([["x", "a@b"], [1, 2]], schema=schema), {"mail": "EMAIL"})
    assert found.schema.metadata == {b"of": b"customers"}
    assert found.schema.field("mail") == pa.field("mail", pa.string())
    assert found.schema.field("mail").metadata == {b"about": b"e-mail"}
    assert found.schema.field("n").type == pa.int8()
    found.validate(full=True)


def test_no_rows_and_no_fields() -> None:
    empty = people().slice(0, 0)
    assert hash_identities(empty, FIELDS, country_column="country").num_rows == 0
    assert hash_identities(people(), {}).equals(people())


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(COUNTRIES), st.none() | st.text("abC1270 -+.#ü", max_size=12)),
        min_size=1,
        max_size=30,
    ),
    kind=st.sampled_from([*IdentityKind]),
    data=st.data(),
)
def test_rows_do_not_depend_on_their_batch(
    rows: list[tuple[str, str | None]], kind: IdentityKind, data: st.DataObject
) -> None:
    batch = pa.record_batch({"x": pa.array([text for _, text in rows], pa.string()), "c": [code for code, _ in rows]})
    found = hash_identities(batch, {"x": kind}, country_column="c")["x"].to_pylist()
    singly = [sha256(normalize(kind, pa.array([text], pa.string()), country=code))[0].as_py() for code, text in rows]
    assert found == singly
    cut = data.draw(st.integers(0, len(rows)))
    parts = [batch.slice(0, cut), batch.slice(cut)]
    halves = [hash_identities(part, {"x": kind}, country_column="c")["x"].to_pylist() for part in parts]
    assert [value for half in halves for value in half] == found


def test_wrong_columns() -> None:
    with pytest.raises(AmcValidationError, match="The rows have no column 'email'; they have 'mail', 'phone'"):
        hash_identities(people(), {"email": "EMAIL"})
    with pytest.raises(AmcValidationError, match="The rows have no column 'land'"):
        hash_identities(people(), FIELDS, country_column="land")
    twice = pa.record_batch([["a"], ["b"]], names=["mail", "mail"])
    with pytest.raises(AmcValidationError, match="The rows have 2 columns 'mail'"):
        hash_identities(twice, {"mail": "EMAIL"})
    with pytest.raises(AmcValidationError, match="Column 'spent': Identifiers have to be text, and these are int64"):
        hash_identities(people(), {"spent": "PHONE"}, country="US")
    with pytest.raises(AmcValidationError, match="There is no kind of identifier 'MAIL'"):
        hash_identities(people(), {"mail": "MAIL"})


def test_wrong_countries() -> None:
    with pytest.raises(AmcValidationError, match="Name the country of the rows, or the column that has it"):
        hash_identities(people(), FIELDS)
    with pytest.raises(AmcValidationError, match="There are no rules for the country 'BR', only for US, CA, GB"):
        hash_identities(people(), FIELDS, country="BR", country_column="country")


def test_errors_and_logs_tell_the_place_and_no_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    binary = pa.array([b"a@b.c", SECRET.encode(), SECRET.encode() + b"\xff"], pa.binary())
    rows = pa.record_batch({"mail": binary.view(pa.string()), "zip": ["1"] * 3, "country": ["US", SECRET, "BR"]})
    for fields, told in (
        ({"mail": "EMAIL"}, "Column 'mail': Row 103 is not UTF-8."),
        ({"zip": "ZIP"}, "Column 'country', row 102: no country with rules."),
    ):
        with pytest.raises(AmcValidationError) as caught:
            hash_identities(rows, fields, country_column="country", first_row=101)
        assert told in str(caught.value)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    hash_identities(rows.slice(0, 1), {"mail": "EMAIL", "zip": "ZIP"}, country="US")
    assert not caplog.records
