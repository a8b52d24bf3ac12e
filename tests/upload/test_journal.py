from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.upload.journal import Journal, in_parts
from tests.services import BUCKET


@pytest.fixture
def journal(customers_s3: Any) -> Journal:
    return Journal(customers_s3, BUCKET, "kept/here/")


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"number": number} for number in range(count)]


def test_what_was_accepted_is_known_to_another_worker(journal: Journal, customers_s3: Any) -> None:
    first = journal.write(0, in_parts(numbered(5), 2), lambda: {"rows": 7})
    assert (first.parts, first.items, first.facts, first.accepted) == (3, 5, {"rows": 7}, {})
    journal.accept(first, 1, "job/with a.dot")
    (found,) = Journal(customers_s3, BUCKET, "kept/here/").rounds()
    assert found == first
    assert found.accepted == {1: "job/with a.dot"}
    assert [journal.part(0, part) for part in range(3)] == [numbered(5)[:2], numbered(5)[2:4], numbered(5)[4:]]


def test_rounds_are_told_apart(journal: Journal) -> None:
    first, second = journal.write(0, [numbered(1)]), journal.write(1, [numbered(2), numbered(1)])
    journal.accept(second, 0, "b")
    journal.accept(first, 0, "a")
    assert [(one.number, one.parts, one.accepted) for one in journal.rounds()] == [(0, 1, {0: "a"}), (1, 2, {0: "b"})]


def test_a_round_is_there_when_all_of_its_parts_are(journal: Journal, customers_s3: Any) -> None:
    def breaks() -> Iterator[list[dict[str, Any]]]:
        yield numbered(1)
        assert journal.rounds() == []
        raise AmcLoadError("Row 2 is wrong.")

    with pytest.raises(AmcLoadError, match="Row 2"):
        journal.write(0, breaks())
    assert customers_s3.list_keys(BUCKET) == []


def test_cleared(journal: Journal, customers_s3: Any) -> None:
    customers_s3.load_string("x", "kept/other", BUCKET)
    journal.accept(journal.write(0, [numbered(1)]), 0, "a")
    journal.clear()
    journal.clear()
    assert customers_s3.list_keys(BUCKET) == ["kept/other"]


def test_nothing_can_be_an_error() -> None:
    assert list(in_parts([], 3)) == []
    assert list(in_parts(numbered(3), 3, nothing="nobody")) == [numbered(3)]
    with pytest.raises(AmcLoadError, match="nobody"):
        list(in_parts([], 3, nothing="nobody"))
