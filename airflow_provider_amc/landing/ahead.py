"""Reading ahead: a thread fetches the next bytes while the last ones are put away."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

#: Bytes asked for at a time.
CHUNK = 1024 * 1024

#: Chunks that wait for the consumer at most.
AHEAD = 4

#: How long a thread that fetches may go on after nobody wants its bytes any more, before it is left to end by itself:
#: it may be waiting for a host that says nothing.
_PATIENCE = 5.0

_END = object()

Item = TypeVar("Item")


def ahead(items: Iterable[Item], depth: int = AHEAD) -> Generator[Item]:
    """Let a thread take the elements of an iterable, a few of them ahead of the consumer.

    :param items: what to take; closed by the thread if it is a generator.
    :param depth: elements that wait at most.
    :returns: a generator (close it) of the same elements, which ends with the error of the iterable if that has one.
    """
    taken: queue.Queue[Any] = queue.Queue(depth)
    unwanted = threading.Event()

    def take() -> None:
        try:
            iterator = iter(items)
            try:
                for item in iterator:
                    taken.put(item)
                    if unwanted.is_set():
                        return
            finally:
                if isinstance(iterator, Generator):
                    iterator.close()
        except BaseException as error:
            taken.put(_Failed(error))
        else:
            taken.put(_END)

    thread = threading.Thread(target=take, name="amc-ahead", daemon=True)
    thread.start()
    try:
        while (item := taken.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        unwanted.set()
        # Make room, so that a thread that waits for some finds out.
        with suppress(queue.Empty):
            while True:
                taken.get_nowait()
        thread.join(_PATIENCE)


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class ChunkReader(io.BufferedIOBase):
    """A binary stream to read, made of chunks, of which it copies as few as possible.

    ``read(n)`` gives exactly n bytes unless the stream ends: boto3 takes a short read for the end of the file.

    :param chunks: the content.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def readable(self) -> bool:
        """Always: this is a stream to read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes.

        :param size: how many; negative or ``None`` for all that are left.
        """
        missing = -1 if size is None or size < 0 else size
        found: list[bytes | memoryview] = []
        while missing and self._more():
            end = len(self._chunk) if missing < 0 else min(self._at + missing, len(self._chunk))
            missing -= end - self._at if missing > 0 else 0
            found.append(self._take(end))
        return found[0] if len(found) == 1 and isinstance(found[0], bytes) else b"".join(found)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer.

        :param buffer: writable bytes.
        :return: bytes written; fewer than fit only at the end of the stream.
        """
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._more():
            end = min(self._at + len(view) - filled, len(self._chunk))
            piece = self._take(end)
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def readline(self, size: int | None = -1) -> bytes:
        """Read up to the end of a line.

        :param size: how many bytes at most; negative or ``None`` for no limit.
        """
        missing = -1 if size is None or size < 0 else size
        found: list[bytes | memoryview] = []
        ended = False
        while missing and not ended and self._more():
            stop = len(self._chunk) if missing < 0 else min(self._at + missing, len(self._chunk))
            line = self._chunk.find(b"\n", self._at, stop) + 1
            ended, end = line > 0, line or stop
            missing -= end - self._at if missing > 0 else 0
            found.append(self._take(end))
        return b"".join(found)

    def _more(self) -> bool:
        """Make sure that there is something to take, unless the stream has ended."""
        if self._at == len(self._chunk):
            self._chunk, self._at = next(self._chunks, b""), 0
        return bool(self._chunk)

    def _take(self, end: int) -> bytes | memoryview:
        """Take the chunk up to an offset; no byte is copied, and a chunk that is used up is not held any longer."""
        chunk, start = self._chunk, self._at
        self._at = end
        if end == len(chunk):
            self._chunk, self._at = b"", 0
        return chunk if start == 0 and end == len(chunk) else memoryview(chunk)[start:end]
