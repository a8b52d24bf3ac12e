from __future__ import annotations

from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing import reader
from airflow_provider_amc.landing.reader import open_checked, record_batches
from tests.landing.results import PROPERTY, FakeResults, ShortReads, schema_of

SCHEMA = schema_of("name STRING", "cost DECIMAL", "n LONG")
HEADER = b"name,cost,n\n"


class Seen:
    """Keeps the rows that it is shown, and whether it was told that they are all."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.finished = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)

    def finish(self) -> None:
        self.finished += 1

    def rows(self, schema: pa.Schema = SCHEMA) -> list[dict[str, Any]]:
        return pa.Table.from_batches(self.batches, schema=schema).to_pylist()


def read_all(results: Any, schema: pa.Schema = SCHEMA) -> list[bytes]:
    return [file.body.read() for file in open_checked(results, schema)]


cells = st.sampled_from(["", '""', '"a""b"', '"line\nbreak"', '"a\r\n""\n"', "plain", "ü😀", '","'])
rows_of_text = st.lists(
    st.tuples(cells, st.sampled_from(["", "1.5", "-0.25"]), st.sampled_from(["", "7", "-9007199254740993"])),
    max_size=12,
).map(lambda rows: "".join(",".join(row) + "\n" for row in rows).encode())


@PROPERTY
@given(rows_of_text, rows_of_text, st.integers(1, 40), st.integers(1, 64), st.booleans())
def test_bytes_pass_and_rows_are_seen(first: bytes, second: bytes, piece: int, block: int, open_end: bool) -> None:
    """The same rows as those of the typed reader, however the bytes are cut."""
    if open_end:
        second = second.removesuffix(b"\n")
    plain = FakeResults(HEADER + first, HEADER + second)
    wanted = pa.Table.from_batches(record_batches(plain, SCHEMA), schema=SCHEMA).to_pylist()

    results = FakeResults(HEADER + first, lambda: ShortReads(HEADER + second, piece))
    results.observer = Seen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK", block)
        bodies = []
        for file in open_checked(results, SCHEMA):
            body = b""
            while chunk := file.body.read(piece):
                body += chunk
            bodies.append(body)

    assert bodies == [first, second]
    assert results.observer.rows() == wanted
    assert results.observer.finished == 1


def test_batches_are_seen_on_the_typed_way() -> None:
    results = FakeResults(HEADER + b"a,1.5,2\n", HEADER + b"b,,\n")
    results.observer = Seen()
    passed = list(record_batches(results, SCHEMA))
    assert results.observer.batches == passed
    assert results.observer.finished == 1


def test_rows_are_shown_before_the_file_is_whole() -> None:
    line = b'"' + b"x" * 1000 + b'\n",1.5,2\n'
    results = FakeResults(HEADER + line * 5000)
    results.observer = Seen()
    with closing(open_checked(results, SCHEMA)) as files:
        file = next(files)
        assert file.body.read(64 * 1024) == (line * 100)[: 64 * 1024]
        assert 0 < len(results.observer.rows()) < 2000
        file.body.read()
        assert len(results.observer.rows()) == 5000


def test_consumer_that_stops_at_the_last_byte() -> None:
    """A consumer that knows the length does not read the end of the file."""
    results = FakeResults(HEADER + b"a,1.5,2")
    results.observer = Seen()
    for file in open_checked(results, SCHEMA):
        assert file.body.read(7) == b"a,1.5,2"
    assert [row["name"] for row in results.observer.rows()] == ["a"]


def test_column_of_one_with_empty_lines() -> None:
    schema = schema_of("name STRING")
    results = FakeResults(b"name\n\n\nx\n\n")
    results.observer = Seen()
    assert read_all(results, schema) == [b"\n\nx\n\n"]
    assert [row["name"] for row in results.observer.rows(schema)] == [None, None, "x", None]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"a,1.5,secret-4711\n", "a cell of column 'n' is not a int64"),
        (b"a,1.5\n", "a row has 2 cells instead of 3"),
        (b'"a,1.5,2\n', "ends in the middle of a quoted cell"),
    ],
)
def test_rows_that_do_not_fit(body: bytes, problem: str) -> None:
    results = FakeResults(HEADER + body)
    results.observer = Seen()
    with pytest.raises(AmcResultError, match="Result file 0") as caught:
        read_all(results)
    assert problem in str(caught.value)
    assert "4711" not in str(caught.value)
    assert results.observer.finished == 0
