"""Streams for PostgreSQL's COPY."""

from __future__ import annotations

from typing import BinaryIO


class QuotedEndMarks:
    r"""A result of one column in which a line of ``\.`` is a value.

    COPY before PostgreSQL 18 takes an unquoted ``\.`` alone on its line for the end of the data, and drops the rows
    after it without an error. Quoted, it is a value.

    :param source: CSV without its header.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._quoted = False
        self._ready = b""

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        if not self._ready:
            # Whole lines, so that no mark is split between two chunks.
            self._ready = self._convert(self._source.read(size) + self._source.readline())
        chunk, self._ready = self._ready[:size], self._ready[size:]
        return chunk

    def _convert(self, lines: bytes) -> bytes:
        if b"\\." not in lines:
            self._count_quotes(lines)
            return lines
        out = []
        for line in lines.splitlines(keepends=True):
            mark = line.rstrip(b"\r\n")
            out.append(line.replace(mark, b'"\\."') if mark == b"\\." and not self._quoted else line)
            self._count_quotes(line)
        return b"".join(out)

    def _count_quotes(self, text: bytes) -> None:
        self._quoted ^= bool(text.count(b'"') % 2)


class ErrorKeeper:
    """A stream that remembers the error that ended it.

    :param source: the stream to read.
    """

    def __init__(self, source: BinaryIO | QuotedEndMarks) -> None:
        self._source = source
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        try:
            return self._source.read(size)
        except BaseException as error:
            self.error = error
            raise
