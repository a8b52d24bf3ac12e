"""Where the rows of CSV end: counted and cut by comparing whole blocks at a time, never byte by byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from airflow_provider_amc.exceptions import AmcResultError

#: The longest row accepted, in bytes. What a quote that is never closed swallows would be held in memory otherwise.
MAX_ROW = 64 * 1024 * 1024

_ONE = np.uint64(1)


class RowScan:
    """Counts rows of CSV that comes in pieces; line breaks inside quotes do not end a row.

    :param file_index: number of the result file, for messages.
    """

    def __init__(self, file_index: int) -> None:
        self._file_index = file_index
        self._rows = 0
        self._quoted = False
        #: What has come since the last row ended.
        self._tail: list[bytes] = []
        self._tail_size = 0

    @property
    def rows(self) -> int:
        """Rows so far; the last one need not have a line end."""
        return self._rows + bool(self._tail_size)

    def feed(self, chunk: bytes) -> int:
        """Take the next bytes.

        :param chunk: some bytes.
        :returns: how many of them belong to rows that have ended; the rest begins a row.
        :raises AmcResultError: a row is longer than :data:`MAX_ROW`.
        """
        rows, end, self._quoted = _scan(chunk, self._quoted)
        self._rows += rows
        if end:
            self._tail, self._tail_size = [], 0
        if end < len(chunk):
            rest = chunk[end:] if end else chunk
            self._tail.append(rest)
            self._tail_size += len(rest)
            if self._tail_size > MAX_ROW:
                raise AmcResultError(
                    f"Result file {self._file_index} has a row that is longer than {MAX_ROW:,} bytes, or a quote that "
                    "is never closed."
                )
        return end

    def check_end(self, columns: int) -> None:
        """Check the last row, once all bytes have come.

        :param columns: how many cells a row has.
        :raises AmcResultError: the file ends in the middle of a row.
        """
        if self._quoted:
            raise AmcResultError(f"Result file {self._file_index} ends in the middle of a quoted cell.")
        if not self._tail_size:
            return
        cells = 1 + sum(piece.count(b",") for piece in b"".join(self._tail).split(b'"')[::2])
        if cells < columns:
            raise AmcResultError(
                f"Result file {self._file_index} ends in the middle of a row: the last one has {cells} cells instead "
                f"of {columns}, and no line end."
            )


def row_blocks(chunks: Iterable[bytes], file_index: int) -> Iterator[bytes]:
    """Cut CSV where rows end.

    :param chunks: the rows of a file, cut anywhere.
    :param file_index: number of the file, for messages.
    :returns: blocks of whole rows, of about the size of the chunks or of one row, whichever is longer.
    :raises AmcResultError: a row is longer than :data:`MAX_ROW`, or a quote is never closed.
    """
    scan = RowScan(file_index)
    begun: list[bytes] = []
    for chunk in chunks:
        end = scan.feed(chunk)
        if end:
            begun.append(chunk[:end])
            yield b"".join(begun) if len(begun) > 1 else begun[0]
            begun = [chunk[end:]] if end < len(chunk) else []
        else:
            begun.append(chunk)
    scan.check_end(0)
    if begun:
        # Without a line end, Arrow takes an empty last cell for an empty string if a cell before it is quoted.
        yield b"".join([*begun, b"\n"])


def _scan(chunk: bytes, quoted: bool) -> tuple[int, int, bool]:
    """Return the rows that end in a chunk, the offset after the last of them, and whether it ends inside quotes."""
    text = np.frombuffer(chunk, np.uint8)
    if b'"' not in chunk:
        return (0, 0, True) if quoted else (int(np.count_nonzero(text == 10)), chunk.rfind(b"\n") + 1, False)
    inside, last = _inside_quotes(_bits(text, 34), quoted)
    ends = _bits(text, 10) & ~inside
    return _set_bits(ends), _after_last(ends), last


def _bits(text: NDArray[np.uint8], byte: int) -> NDArray[np.uint64]:
    """One bit a byte, set where it is the given one, in words of 64."""
    packed = np.packbits(text == byte, bitorder="little")
    short = -len(packed) % 8
    return (np.pad(packed, (0, short)) if short else packed).view("<u8")


def _inside_quotes(quotes: NDArray[np.uint64], quoted: bool) -> tuple[NDArray[np.uint64], bool]:
    """Set every bit that has an odd number of quotes up to it, and tell whether the last one is set."""
    inside = quotes
    # Each bit becomes the parity of all bits below it in its word, by doubling the distance.
    for distance in (1, 2, 4, 8, 16, 32):
        inside = inside ^ (inside << np.uint64(distance))
    # Then words follow each other: the parity of all words before one turns it round.
    parity = np.bitwise_xor.accumulate(inside >> np.uint64(63)) ^ np.uint64(quoted)
    before = np.empty_like(parity)
    before[0], before[1:] = quoted, parity[:-1]
    return inside ^ (~before + _ONE), bool(parity[-1])


def _set_bits(bits: NDArray[np.uint64]) -> int:
    if hasattr(np, "bitwise_count"):
        return int(np.bitwise_count(bits).sum())
    # numpy before 2.0
    return int.from_bytes(bits.tobytes(), "little").bit_count()


def _after_last(bits: NDArray[np.uint64]) -> int:
    words = np.flatnonzero(bits)
    if not len(words):
        return 0
    last = int(words[-1])
    return 64 * last + int(bits[last]).bit_length()
