from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing import rows
from airflow_provider_amc.landing.rows import RowScan, row_blocks
from tests.landing.results import PROPERTY, csv_file

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=5) | st.sampled_from(
    ['"', "\n", ",", '",\n']
)
TABLES = st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=8)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks, turn = [], 0
    while data:
        size = sizes[turn % len(sizes)]
        chunks.append(data[:size])
        data, turn = data[size:], turn + 1
    return chunks


@PROPERTY
@given(table=TABLES, ended=st.booleans(), sizes=st.lists(st.integers(1, 200), min_size=1))
def test_rows_are_counted_as_csv_readers_do(table: list[list[str]], ended: bool, sizes: list[int]) -> None:
    data = csv_file(["a", "b"], table, ended=ended)
    scan = RowScan(0)
    for chunk in cut(data, sizes):
        scan.feed(chunk)
    scan.check_end(2)
    assert scan.rows == len(list(csv.reader(io.StringIO(data.decode(), newline="")))) == len(table) + 1


@PROPERTY
@given(table=TABLES, ended=st.booleans(), sizes=st.lists(st.integers(1, 200), min_size=1))
def test_blocks_are_whole_rows(table: list[list[str]], ended: bool, sizes: list[int]) -> None:
    data = csv_file(["a", "b"], table, ended=ended)
    blocks = list(row_blocks(cut(data, sizes), 0))
    assert b"".join(blocks) == (data if data.endswith(b"\n") else data + b"\n")
    found = [list(csv.reader(io.StringIO(block.decode(), newline=""))) for block in blocks]
    assert [row for block in found for row in block] == [["a", "b"], *table]


@PROPERTY
@given(
    data=st.lists(st.sampled_from([b'"', b"\n", b"x"]), max_size=300), sizes=st.lists(st.integers(1, 150), min_size=1)
)
def test_the_same_as_byte_by_byte(data: list[bytes], sizes: list[int]) -> None:
    """Across the borders of words, chunks, and quotes."""
    quoted, count, end = False, 0, 0
    for position, byte in enumerate(data):
        quoted ^= byte == b'"'
        if byte == b"\n" and not quoted:
            count, end = count + 1, position + 1
    scan, position, last = RowScan(0), 0, 0
    for chunk in cut(b"".join(data), sizes):
        within = scan.feed(chunk)
        last = position + within if within else last
        position += len(chunk)
    assert scan.rows == count + (end < len(data))
    assert last == end


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"1,2\n3", "the last one has 1 cells instead of 2, and no line end"),
        (b'1,2\n"3,4"', "the last one has 1 cells instead of 2"),
        (b'1,2\n3,"4', "ends in the middle of a quoted cell"),
    ],
)
def test_last_row_that_was_cut(data: bytes, problem: str) -> None:
    scan = RowScan(7)
    scan.feed(data)
    with pytest.raises(AmcResultError, match=f"Result file 7 .*{problem}"):
        scan.check_end(2)


@pytest.mark.parametrize("data", [b"", b"1,2\n", b"1,2", b'1,","', b"1,\xff"])
def test_last_row_that_is_whole(data: bytes) -> None:
    scan = RowScan(0)
    scan.feed(data)
    scan.check_end(2)


def test_row_that_never_ends_is_not_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_ROW", 1000)
    with pytest.raises(AmcResultError, match="a row that is longer than 1,000 bytes, or a quote that is never closed"):
        list(row_blocks([b"a\n", *[b"x" * 100] * 11], 0))
    assert list(row_blocks([b"a\n", *[b"x" * 100] * 10], 0)) == [b"a\n", b"x" * 1000 + b"\n"]
