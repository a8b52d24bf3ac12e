from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.gunzip import plain
from airflow_provider_amc.exceptions import AmcResultError


class Trickle(io.RawIOBase):
    """Gives few bytes at a time, and knows how many were asked for."""

    def __init__(self, data: bytes, step: int = 1 << 30) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(min(len(buffer), self._step))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        return self._inner.read(-1 if size is None or size < 0 else min(size, max(self._step, 2)))


contents = st.binary(max_size=3000) | st.binary(max_size=20).map(lambda part: part * 500)


@given(
    members=st.lists(contents, min_size=1, max_size=3),
    step=st.integers(1, 5000),
    reads=st.lists(st.integers(1, 4000), min_size=1),
    padding=st.integers(0, 20),
)
def test_a_compressed_file_is_read_as_its_content(
    members: list[bytes], step: int, reads: list[int], padding: int
) -> None:
    stored = b"".join(gzip.compress(member) for member in members) + bytes(padding)
    stream = plain(Trickle(stored, step))
    got = b""
    for size in reads:
        got += stream.read(size) or b""
    got += stream.readall() or b""
    assert got == b"".join(members)


@given(content=contents.filter(lambda data: not data.startswith(b"\x1f\x8b")), reads=st.lists(st.integers(0, 4000)))
def test_another_file_is_read_as_it_is(content: bytes, reads: list[int]) -> None:
    stream = plain(Trickle(content))
    got = b"".join(stream.read(size) or b"" for size in reads)
    buffer = bytearray(7)
    filled = stream.readinto(buffer) or 0
    assert got + bytes(buffer[:filled]) + (stream.read(-1) or b"") == content


def test_a_buffered_reader_works_on_both() -> None:
    text = b"a,b\n" + b"1,2\n" * 10_000
    for stored in (text, gzip.compress(text)):
        with io.BufferedReader(plain(Trickle(stored, 100))) as reader:
            assert reader.readline() == b"a,b\n"
            assert sum(1 for _ in reader) == 10_000


@pytest.mark.parametrize("cut", [5, 30, -1])
def test_a_file_that_ends_too_early_is_an_error(cut: int) -> None:
    stored = gzip.compress(bytes(range(256)) * 10)[:cut]
    with pytest.raises(AmcResultError, match="ends in the middle"):
        plain(Trickle(stored)).readall()


def test_a_damaged_file_is_an_error() -> None:
    stored = bytearray(gzip.compress(b"hello" * 1000))
    stored[-8] ^= 0xFF
    with pytest.raises(AmcResultError, match="damaged"):
        plain(Trickle(bytes(stored))).readall()


def test_memory_stays_small_however_much_the_bytes_expand() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    stored = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(16)) + bomb.flush()
    stream = plain(Trickle(stored))
    buffer = bytearray(4096)
    total = 0
    tracemalloc.start()
    try:
        while got := stream.readinto(buffer):
            total += got
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 16 << 20
    assert peak < 1 << 20


def test_closing_closes_the_file() -> None:
    for stored in (b"text", gzip.compress(b"text")):
        inner = Trickle(stored)
        with plain(inner):
            pass
        assert inner.closed
