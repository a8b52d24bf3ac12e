"""SHA-256 of arrays against the one of Python's library."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.identity import sha256
from tests.identity.vectors import sha


def test_the_example_of_the_documentation() -> None:
    # Amazon Ads API documentation, "Advertiser data upload - prepare data".
    hashes = sha256(pa.array(["abc@example.com"]))
    assert hashes.type == pa.string()
    assert hashes.to_pylist() == ["9eceb13483d7f187ec014fd6d4854d1420cfc634328af85f51d0323ba8622e21"]


@given(st.lists(st.none() | st.text(max_size=200)))
def test_any_text(texts: list[str | None]) -> None:
    hashes = sha256(pa.array(texts, pa.string()))
    hashes.validate(full=True)
    assert hashes.to_pylist() == [sha(text) for text in texts]


def test_hashes_are_left_alone() -> None:
    once = sha256(pa.array(["anna", None, "ben"]))
    assert sha256(once).equals(once)
    assert sha256(pa.array([once[0].as_py(), "cleo"])).to_pylist() == [sha("anna"), sha("cleo")]
    almost = once[0].as_py()[:-1]
    assert sha256(pa.array([almost])).to_pylist() == [sha(almost)]


def test_slices_and_chunks() -> None:
    texts = ["anna", None, "ben", "anna", "cleo"]
    whole = pa.array(texts)
    assert sha256(whole.slice(1, 3)).to_pylist() == [None, sha("ben"), sha("anna")]
    chunks = sha256(pa.chunked_array([whole.slice(0, 2), whole.slice(2)]))
    assert isinstance(chunks, pa.ChunkedArray)
    assert chunks.to_pylist() == [sha(text) for text in texts]
    assert sha256(pa.chunked_array([], pa.string())).to_pylist() == []
    assert sha256(pa.nulls(2)).to_pylist() == [None, None]


def test_more_than_one_word_of_the_validity_bitmap() -> None:
    texts = [None if number % 3 == 0 else f"anna{number}" for number in range(1000)]
    assert sha256(pa.array(texts)).to_pylist() == [sha(text) for text in texts]


def test_numbers_are_not_hashed() -> None:
    with pytest.raises(AmcValidationError, match="have to be text, and these are int64"):
        sha256(pa.array([1]))
