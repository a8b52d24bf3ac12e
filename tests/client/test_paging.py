from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.paging import items, page_size, pages
from airflow_provider_amc.exceptions import AmcHttpError, AmcValidationError


@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    end=st.sampled_from([{}, {"nextToken": None}, {"nextToken": ""}]),
    numeric=st.booleans(),
)
def test_all_items_of_all_pages_come_in_order(sizes: list[int], end: dict[str, Any], numeric: bool) -> None:
    """Also of pages that are empty in the middle, and with tokens that are numbers."""
    numbers = iter(range(sum(sizes)))
    content = [[{"n": next(numbers)} for _ in range(size)] for size in sizes]
    asked: list[str | None] = []

    def fetch(token: str | None) -> Mapping[str, Any]:
        asked.append(token)
        index = 0 if token is None else int(token)
        last = index == len(content) - 1
        following = index + 1 if numeric else str(index + 1)
        return {"things": content[index], **(end if last else {"nextToken": following})}

    assert [item["n"] for item in items(fetch, "things")] == list(range(sum(sizes)))
    assert asked == [None, *(str(index) for index in range(1, len(content)))]


@given(cycle=st.integers(1, 5), lead=st.integers(0, 5))
def test_a_list_that_goes_round_in_a_circle_is_an_error(cycle: int, lead: int) -> None:
    calls = 0

    def fetch(token: str | None) -> Mapping[str, Any]:
        nonlocal calls
        calls += 1
        index = 0 if token is None else int(token)
        return {"things": [{}], "nextToken": str(index + 1 if index + 1 < lead + cycle else lead)}

    with pytest.raises(AmcHttpError, match="same nextToken again while listing things"):
        list(items(fetch, "things"))
    assert calls <= lead + cycle + 1


def test_pages_are_fetched_as_they_are_consumed() -> None:
    calls: list[str | None] = []

    def fetch(token: str | None) -> Mapping[str, Any]:
        calls.append(token)
        return {"things": [{"n": 1}], "nextToken": f"t{len(calls)}"}

    listing = items(fetch, "things")
    assert calls == []
    next(listing)
    assert calls == [None]
    next(listing)
    assert calls == [None, "t1"]


def test_odd_pages() -> None:
    assert list(items(lambda _: {}, "things")) == []
    assert list(items(lambda _: {"things": None}, "things")) == []
    assert list(items(lambda _: {"things": [{"a": 1}, None, "x"]}, "things")) == [{"a": 1}]
    assert list(items(lambda _: {"others": [{"a": 1}]}, "things", "others")) == [{"a": 1}]
    with pytest.raises(AmcHttpError, match="no list in 'things'"):
        list(items(lambda _: {"things": {"a": 1}}, "things"))
    assert list(pages(lambda _: {"x": 1}, "things")) == [{"x": 1}]


def test_page_sizes() -> None:
    assert page_size(None) is None
    assert page_size(100) == 100
    for wrong in (0, 101, True):
        with pytest.raises(AmcValidationError, match="limit must be a whole number from 1 to 100"):
            page_size(wrong)
