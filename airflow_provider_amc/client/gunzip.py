"""A gzip-compressed result file as its content."""

from __future__ import annotations

import io
import zlib
from typing import Any

from airflow_provider_amc.exceptions import AmcResultError

_MAGIC = b"\x1f\x8b"
_READ = 1 << 18


def plain(stream: io.RawIOBase) -> io.RawIOBase:
    """Give the content of a stream that may be gzip-compressed.

    The first bytes decide, not a header: objects are stored with and without ``Content-Encoding``, and no CSV starts
    with these bytes.

    :param stream: the stream, at its start.
    :return: a stream of the content. Closing it closes ``stream``.
    """
    head = stream.read(2) or b""
    return _Gunzip(stream, head) if head == _MAGIC else _Prefixed(stream, head)


class _Prefixed(io.RawIOBase):
    """A stream with bytes put back in front."""

    def __init__(self, stream: io.RawIOBase, head: bytes) -> None:
        super().__init__()
        self._stream = stream
        self._head = head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        filled = min(len(self._head), len(view))
        view[:filled] = self._head[:filled]
        self._head = self._head[filled:]
        return filled + (self._stream.readinto(view[filled:]) or 0 if filled < len(view) else 0)

    def read(self, size: int | None = -1) -> bytes:
        head, self._head = self._head, b""
        if size is None or size < 0:
            return head + (self._stream.read(-1) or b"")
        if len(head) > size:
            self._head = head[size:]
            return head[:size]
        # read(0) of a stream at its end is no reason to touch the network.
        rest = self._stream.read(size - len(head)) or b"" if size > len(head) else b""
        return head + rest if head else rest

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Gunzip(io.RawIOBase):
    """Decompresses piece by piece; several gzip members after one another are one content."""

    def __init__(self, stream: io.RawIOBase, head: bytes) -> None:
        super().__init__()
        self._stream = stream
        self._pending = head
        self._inflate = zlib.decompressobj(wbits=31)
        self._done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            chunk = self._next(len(view) - filled)
            if not chunk:
                break
            view[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled

    def _next(self, amount: int) -> bytes:
        while not self._done:
            if not self._pending:
                self._pending = self._stream.read(_READ) or b""
                if not self._pending:
                    raise AmcResultError("The gzip-compressed result file ends in the middle of its content.")
            try:
                # max_length bounds the memory, however much the bytes at hand expand to.
                content = self._inflate.decompress(self._pending, amount)
            except zlib.error:
                raise AmcResultError("The gzip-compressed result file is damaged.") from None
            self._pending = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._next_member(self._inflate.unused_data)
            if content:
                return content
        return b""

    def _next_member(self, rest: bytes) -> None:
        self._pending = rest or self._stream.read(_READ) or b""
        if not self._pending.strip(b"\0"):
            # End of the file, or padding after the last member.
            self._done = True
        else:
            self._inflate = zlib.decompressobj(wbits=31)

    def close(self) -> None:
        self._stream.close()
        super().close()
