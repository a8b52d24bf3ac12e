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
        self._rest = b""

    def readable(self) -> bool:
        """Always: this is a stream to read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes.

        :param size: how many; negative or ``None`` for all that are left.
        """
        wanted = -1 if size is None else size
        found = [self._rest] if self._rest else []
        missing = wanted - len(self._rest)
        while (wanted < 0 or missing > 0) and (chunk := next(self._chunks, b"")):
            found.append(chunk)
            missing -= len(chunk)
        content = found[0] if len(found) == 1 else b"".join(found)
        if wanted < 0 or missing >= 0:
            self._rest = b""
            return content
        self._rest = content[wanted:]
        return content[:wanted]

    def readline(self, size: int | None = -1) -> bytes:
        """Read up to the end of a line.

        :param size: how many bytes at most; negative or ``None`` for no limit.
        """
        found: list[bytes] = []
        missing = -1 if size is None or size < 0 else size
        while missing and (chunk := self._rest or next(self._chunks, b"")):
            end = chunk.find(b"\n") + 1 or len(chunk)
            if missing > 0:
                end = min(end, missing)
                missing -= end
            found.append(chunk[:end])
            self._rest = chunk[end:]
            if found[-1].endswith(b"\n"):
                break
        return b"".join(found)
