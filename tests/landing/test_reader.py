from __future__ import annotations

import io
import logging
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing import reader
from airflow_provider_amc.landing.reader import open_checked, parse_header, read_header, record_batches
from tests.landing.results import (
    PLANTED,
    PROPERTY,
    Broken,
    FakeResults,
    HardTable,
    ShortReads,
    column,
    csv_file,
    hard_tables,
    schema_of,
)


def read(results: Any, schema: pa.Schema) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for batch in record_batches(results, schema):
        assert batch.schema == schema
        rows.extend(zip(*(values.to_pylist() for values in batch.columns), strict=True))
    return rows


@PROPERTY
@given(hard=hard_tables(nul=True))
def test_round_trip(hard: HardTable) -> None:
    assert read(hard.results, hard.schema) == list(hard.rows)


@PROPERTY
@given(hard=hard_tables(nul=True), size=st.integers(1, 40))
def test_short_reads(hard: HardTable, size: int) -> None:
    results = FakeResults(*[lambda file=file: ShortReads(file, size) for file in hard.files])
    assert read(results, hard.schema) == list(hard.rows)


@PROPERTY
@given(hard=hard_tables(nul=True), size=st.integers(1, 100))
def test_rows_across_blocks(hard: HardTable, size: int) -> None:
    """Whatever the size of a block, rows, quotes and line ends may lie across two or more of them."""
    results = FakeResults(*[lambda file=file: ShortReads(file, size) for file in hard.files])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK", size)
        assert read(results, hard.schema) == list(hard.rows)


def test_values() -> None:
    schema = schema_of(
        "id LONG", column("cost", "DECIMAL", 38, 17), "day DATE", "at TIMESTAMP", "on BOOLEAN", "x DOUBLE"
    )
    data = (
        b"id,cost,day,at,on,x\n"
        b"100000000000000001,0E-17,0001-01-01,2026-03-01T23:59:59.123,true,NaN\n"
        b"-9223372036854775808,1E+3,9999-12-31,0001-01-01T00:00:00.000,false,-Infinity\n"
        b",,,,,\n"
    )
    rows = read(FakeResults(data), schema)
    assert rows[0][:5] == (
        100000000000000001, Decimal(0), date(1, 1, 1), datetime(2026, 3, 1, 23, 59, 59, 123000), True,
    )  # fmt: skip
    assert rows[0][5] != rows[0][5]
    assert rows[1] == (-(2**63), Decimal(1000), date(9999, 12, 31), datetime(1, 1, 1), False, float("-inf"))
    assert rows[2] == (None,) * 6


def test_null_is_not_the_empty_string() -> None:
    assert read(FakeResults(b'a,b\n"",\n,""\n'), schema_of("a STRING", "b STRING")) == [("", None), (None, "")]


@pytest.mark.parametrize("data", [b'a,b\n"",', b'a,b\n"",\n', b'a,b\n"",\r\n', b'a,b\n"",\r'])
def test_last_cell_is_null_with_and_without_a_line_end(data: bytes) -> None:
    assert read(FakeResults(data), schema_of("a STRING", "b STRING")) == [("", None)]


def test_words_for_null_are_values() -> None:
    words = ["NULL", "null", "NaN", "NA", "N/A", "#N/A", "None", "nan"]
    assert read(
        FakeResults(csv_file(["a", "b"], [(word, word) for word in words])), schema_of("a STRING", "b STRING")
    ) == [(word, word) for word in words]


def test_columns_of_the_same_name() -> None:
    assert read(FakeResults(b"a,a\n1,x\n"), schema_of("a LONG", "a STRING")) == [(1, "x")]


def test_byte_order_mark_before_the_header_only() -> None:
    data = b'\xef\xbb\xbf"a"\n\xef\xbb\xbfx\n'
    assert read(FakeResults(data), schema_of("a STRING")) == [("\ufeffx",)]


def test_line_break_in_a_name() -> None:
    data = b'"two\r\nlines, and ""quotes""",b\r\n1,2\r\n'
    assert read(FakeResults(data), schema_of(column('two\r\nlines, and "quotes"', "LONG"), "b LONG")) == [(1, 2)]


@pytest.mark.parametrize("data", [b"a,b", b"a,b\n", b"a,b\r\n"])
def test_no_rows(data: bytes) -> None:
    assert read(FakeResults(data), schema_of("a LONG", "b LONG")) == []


def test_gzip_is_asked_for_as_content() -> None:
    asked: list[bool] = []

    class File:
        index = 0

        def open(self, *, decompress: bool = False) -> Any:
            asked.append(decompress)
            return io.BytesIO(b"a\n1\n")

    class Results:
        observer = None

        def files(self) -> list[File]:
            return [File()]

    assert read(Results(), schema_of("a LONG")) == [(1,)]
    assert asked == [True]


def test_memory_does_not_grow_with_the_file() -> None:
    """However far the reader is ahead, the bytes that wait for the consumer are few."""
    row = b"x" * 99 + b"\n"
    total = 1_000_000 * len(row)
    taken = [0]

    class Large(io.RawIOBase):
        def __init__(self) -> None:
            super().__init__()
            self._head = b"a\n"

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            if self._head:
                buffer[:2], self._head = self._head, b""
                return 2
            size = min(len(buffer), total - taken[0])
            start = taken[0] % len(row)
            buffer[:size] = (row * (size // len(row) + 2))[start : start + size]
            taken[0] += size
            return size

    given_out, most_held = 0, 0
    with closing(record_batches(FakeResults(Large), schema_of("a STRING"))) as batches:
        for batch in batches:
            most_held = max(most_held, taken[0] - given_out)
            given_out += batch.num_rows * len(row)
    assert given_out == total
    assert most_held <= 40 * 1024 * 1024


def test_rows_longer_than_a_block() -> None:
    long = "x" * (5 * reader.CHUNK)
    broken = "a\n" * (2 * reader.CHUNK)
    rows = [(long, 1), ("y", 2), (broken, 3), (long[: reader.CHUNK - 4], 4), ("", 5)]
    assert read(FakeResults(csv_file(["a", "b"], rows)), schema_of("a STRING", "b LONG")) == rows


def test_quote_that_is_never_closed_is_not_collected() -> None:
    taken = 0

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            nonlocal taken
            content = b'a,b\n1,2\n"' if not taken else b"3,4\n" * (len(buffer) // 4)
            buffer[: len(content)] = content
            taken += len(content)
            return len(content)

    with pytest.raises(AmcResultError, match=r"longer than 67,108,864 bytes, or a quote that is never closed"):
        read(FakeResults(Endless), schema_of("a STRING", "b LONG"))
    assert taken < 80 * 1024 * 1024


class TestErrors:
    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (f"a,b\n{PLANTED},x\n", "Result file 0 does not fit outputColumns: a cell of column 'a' is not a int64"),
            (f"a,b\n1,{PLANTED}\n1\n", "a row has 1 cells instead of 2"),
            (f"a,b\n1,{PLANTED},{PLANTED}\n", "a row has 3 cells instead of 2"),
            (f'a,b\n1,"{PLANTED}\n', "Result file 0 ends in the middle of a quoted cell"),
            (f"a,b\n99999999999999999999,{PLANTED}\n", "a cell of column 'a' is not a int64"),
            (f"a,b\n1.0,{PLANTED}\n", "a cell of column 'a' is not a int64"),
        ],
    )
    def test_message_has_no_value(self, data: str, problem: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with pytest.raises(AmcResultError, match=problem) as caught:
            read(FakeResults(data.encode()), schema_of("a LONG", "b STRING"))
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        assert "Zebra" not in f"{caught.value} {caught.value!r} {caplog.text}"
        assert "9999" not in str(caught.value)

    def test_digits_beyond_the_scale(self) -> None:
        with pytest.raises(AmcResultError, match=r"column 'cost' is not a decimal128\(10, 2\)"):
            read(FakeResults(b"cost\n1.255\n"), schema_of(column("cost", "DECIMAL", 10, 2)))

    def test_not_utf_8(self) -> None:
        with pytest.raises(AmcResultError, match="column 'a' is not a string"):
            read(FakeResults(b"a\n\xff\xfe\n"), schema_of("a STRING"))
        with pytest.raises(AmcResultError, match="The header of result file 0 is not CSV in UTF-8"):
            read(FakeResults(b"\xff\n1\n"), schema_of("a STRING"))

    def test_second_file_without_a_header(self) -> None:
        results = FakeResults(b"a,b\n1,x\n", f"2,{PLANTED}\n".encode())
        with pytest.raises(AmcResultError, match="result file 1 has another name, or no header") as caught:
            read(results, schema_of("a LONG", "b STRING"))
        assert "Zebra" not in str(caught.value)

    def test_empty_file(self) -> None:
        with pytest.raises(AmcResultError, match="Result file 0 is empty: AMC writes a header row even"):
            read(FakeResults(b""), schema_of("a LONG"))

    def test_header_cut_off(self) -> None:
        with pytest.raises(AmcResultError, match="Result file 0 ends in the middle of its header"):
            read(FakeResults(b'"a'), schema_of("a LONG"))

    def test_header_without_an_end(self) -> None:
        with pytest.raises(AmcResultError, match="does not begin with a CSV header of a sensible length"):
            read(FakeResults(b"a" * (1024 * 1024 + 1)), schema_of("a LONG"))

    def test_error_of_the_stream_stays_what_it_is(self) -> None:
        error = AmcResultError("gave up")
        results = FakeResults(lambda: Broken(b"a\n1\n2", error))
        with pytest.raises(AmcResultError) as caught:
            read(results, schema_of("a LONG"))
        assert caught.value is error

    def test_files_are_closed(self) -> None:
        results = FakeResults(b"a\n1\n", b"a\nx\n")
        with pytest.raises(AmcResultError):
            read(results, schema_of("a LONG"))
        assert [stream.closed for file in results.files() for stream in file.opened] == [True, True]

    def test_files_are_closed_when_the_reader_stops_early(self) -> None:
        results = FakeResults(b"a\n1\n", b"a\n2\n")
        with closing(record_batches(results, schema_of("a LONG"))) as batches:
            next(batches)
        assert all(stream.closed for file in results.files() for stream in file.opened)


class TestHeader:
    def test_file_with_its_header_is_as_delivered(self) -> None:
        data = b"\xef\xbb\xbfa\r\n1\r\n"
        for file in open_checked(FakeResults(data), schema_of("a LONG")):
            assert file.after(file.header).read() == data

    @PROPERTY
    @given(names=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1), bom=st.booleans())
    def test_any_names(self, names: list[str], bom: bool) -> None:
        data = csv_file(names, [], quoted=True, bom=bom)
        rest = b"1,2,3\n"
        stream = io.BytesIO(data + rest)
        header = read_header(stream, 0)
        assert header == data
        assert parse_header(header, 0) == names
        assert stream.read() == rest
