from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.landing.ahead import ChunkReader, ahead
from tests.landing.results import PROPERTY


def test_everything_comes_in_order() -> None:
    assert list(ahead(iter(range(1000)), 3)) == list(range(1000))
    assert list(ahead([])) == []


def test_a_few_are_fetched_before_they_are_wanted() -> None:
    fetched: list[int] = []
    enough = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            fetched.append(number)
            if number == 4:
                enough.set()
            yield number

    with closing(ahead(source(), 3)) as items:
        assert next(items) == 0
        # One was taken, three wait, and one is held by the thread.
        assert enough.wait(30)
        assert fetched == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("error", [ValueError("no more"), KeyboardInterrupt()])
def test_the_error_comes_after_what_came_before_it(error: BaseException) -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    items = ahead(source(), 1)
    assert (next(items), next(items)) == (1, 2)
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_the_source_is_closed_when_nobody_wants_more(taken: int) -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    items = ahead(source(), 2)
    # A generator that has not begun has no thread yet.
    found = [next(items) for _ in range(taken + 1)]
    items.close()
    assert found == list(range(taken + 1))
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "amc-ahead" and thread.is_alive()]


class TestChunkReader:
    @PROPERTY
    @given(
        chunks=st.lists(st.binary(min_size=1, max_size=20), max_size=8),
        sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    )
    def test_reads_are_whole(self, chunks: list[bytes], sizes: list[int]) -> None:
        reader, found, turn = ChunkReader(iter(chunks)), b"", 0
        while chunk := reader.read(sizes[turn % len(sizes)]):
            found += chunk
            assert len(chunk) == sizes[turn % len(sizes)] or reader.read(1) == b""
            turn += 1
        assert found == b"".join(chunks)

    @PROPERTY
    @given(
        chunks=st.lists(st.lists(st.sampled_from([b"a", b"\n"]), min_size=1).map(b"".join), max_size=6),
        limit=st.sampled_from([-1, 3]),
    )
    def test_lines(self, chunks: list[bytes], limit: int) -> None:
        reader, found = ChunkReader(iter(chunks)), []
        while line := reader.readline(limit):
            found.append(line)
        if limit < 0:
            assert found == b"".join(chunks).splitlines(keepends=True)
        assert b"".join(found) == b"".join(chunks)
        assert all(len(line) <= 3 or limit < 0 for line in found)
        assert all(b"\n" not in line[:-1] for line in found)

    @PROPERTY
    @given(
        chunks=st.lists(st.binary(min_size=1, max_size=20), max_size=8),
        turns=st.lists(st.tuples(st.sampled_from(["read", "readinto", "readline"]), st.integers(1, 30)), min_size=1),
    )
    def test_reads_of_all_kinds_follow_each_other(self, chunks: list[bytes], turns: list[tuple[str, int]]) -> None:
        reader, plain = ChunkReader(iter(chunks)), io.BytesIO(b"".join(chunks))
        for way, size in turns:
            if way == "readinto":
                mine, other = bytearray(size), bytearray(size)
                assert reader.readinto(mine) == plain.readinto(other)
                assert mine == other
            else:
                assert getattr(reader, way)(size) == getattr(plain, way)(size)

    def test_every_way_to_read(self) -> None:
        reader = ChunkReader(iter([b"abc", b"def\n", b"gh"]))
        assert reader.readable()
        assert (reader.read(0), reader.read(2), reader.readline()) == (b"", b"ab", b"cdef\n")
        assert (reader.read(None), reader.read(), reader.readline()) == (b"gh", b"", b"")

    def test_a_chunk_passes_uncopied(self) -> None:
        chunks = [bytes(10), bytes(10)]
        reader = ChunkReader(iter(chunks))
        assert reader.read(10) is chunks[0]
        assert reader.read(10) is chunks[1]
