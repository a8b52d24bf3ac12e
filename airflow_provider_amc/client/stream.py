"""A result file as a stream that survives cuts, expired addresses and outages."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.client import http
from airflow_provider_amc.client.addresses import Addresses
from airflow_provider_amc.client.models import without_query
from airflow_provider_amc.client.retry import RetryPolicy, parse_retry_after
from airflow_provider_amc.exceptions import AmcResultError

if TYPE_CHECKING:
    import requests

    from airflow_provider_amc.client.results import ResultFile

#: Answers of S3 to an address that has expired or is not known any more; a new address can help.
_ADDRESS_REFUSED = frozenset({400, 401, 403, 404, 410})
_MAX_RENEWALS = 3


class _Interrupted(Exception):
    """The stream stopped for a reason that may pass."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class ResultStream(io.RawIOBase):
    """A file as a stream of bytes. Not for several threads at once. Made by :meth:`ResultFile.open`."""

    def __init__(
        self,
        file: ResultFile,
        addresses: Addresses,
        *,
        timeout: tuple[float, float],
        retry: RetryPolicy,
        log: logging.Logger,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        # First, since close() also runs on an object whose making failed.
        self._session: requests.Session | None = None
        self._response: requests.Response | None = None
        self._file = file
        self._addresses = addresses
        self._timeout = timeout
        self._retry = retry
        self._log = log
        self._sleep = sleep
        self._clock = clock
        self._url, self._generation = addresses.get(file.index)
        self._offset = 0
        self._size: int | None = None
        self._etag: str | None = None
        self._attempts = 0
        self._failing_since = 0.0
        self._waited = 0.0
        self._renewals = 0
        self._ranges = True
        #: ``Content-Encoding`` of the object, as stored.
        self.content_encoding: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes of the file as stored, ``None`` while the host has not said."""
        return self._size

    def readable(self) -> bool:
        """Always: this is a stream to read."""
        return True

    def tell(self) -> int:
        """Return the number of bytes given out so far."""
        return self._offset

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer.

        :param buffer: writable bytes.
        :return: bytes written; fewer than fit only at the end of the file.
        """
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            chunk = self._pull(len(view) - filled)
            if not chunk:
                break
            view[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes.

        :param size: how many; negative or ``None`` for all that are left, which then are in memory.
        :return: exactly ``size`` bytes unless the file ends before.
        """
        wanted = -1 if size is None or size < 0 else size
        chunks: list[bytes] = []
        while wanted != 0:
            chunk = self._pull(wanted if wanted > 0 else 1 << 20)
            if not chunk:
                break
            chunks.append(chunk)
            if wanted > 0:
                wanted -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def readall(self) -> bytes:
        """Read all that is left."""
        return self.read(-1)

    def close(self) -> None:
        """Close the connection."""
        if not self.closed:
            self._disconnect()
        super().close()

    def connect(self) -> None:
        """Connect and learn the size, unless that has been done."""
        while self._response is None and not self._at_end():
            try:
                self._connect()
            except _Interrupted as interruption:
                self._wait(interruption)

    def _at_end(self) -> bool:
        return self._size is not None and self._offset >= self._size

    def _pull(self, amount: int) -> bytes:
        """Get between 1 and ``amount`` bytes, or none at the end of the file."""
        if self.closed:
            raise ValueError("read from a closed result file")
        while True:
            if self._at_end():
                self._disconnect()
                return b""
            try:
                if self._response is None:
                    self._connect()
                    continue
                chunk = self._receive(amount)
            except _Interrupted as interruption:
                self._wait(interruption)
                continue
            if chunk:
                self._offset += len(chunk)
                self._attempts = self._renewals = 0
            elif self._size is None:
                # Sent in chunks, and the closing chunk has come: now the size is known.
                self._size = self._file.size = self._offset
            return chunk

    def _receive(self, amount: int) -> bytes:
        import urllib3

        if self._response is None:
            raise _Interrupted("the connection is closed")
        try:
            # decode_content=False: a resumed stream can only be put together from the bytes as stored.
            chunk: bytes = self._response.raw.read(amount, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _Interrupted(f"the connection was cut ({type(error).__name__})") from None
        if not chunk and self._size is not None:
            raise _Interrupted("the connection was closed before the end of the file")
        return chunk

    def _connect(self) -> None:
        """Ask for the file from the current offset on."""
        headers = {"Accept-Encoding": "identity"}
        if self._ranges:
            # From the very first byte on: the answer then states the whole length twice, in Content-Length and in
            # Content-Range, and a host between that cuts a file and corrects the first is found out.
            headers["Range"] = f"bytes={self._offset}-"
        # A weak ETag never matches in If-Match; it is compared after the answer.
        if self._offset and self._etag and not self._etag.startswith("W/"):
            headers["If-Match"] = self._etag
        self._disconnect()
        self._session = http.new_session()
        try:
            response = self._session.get(
                self._url,
                headers=headers,
                timeout=self._timeout,
                proxies=http.proxies_for(self._url),  # type: ignore[arg-type]
                allow_redirects=False,
                stream=True,
            )
        except http.failures() as error:
            failure = http.classify_failure(error)
            if failure.permanent:
                raise self._error(f"{failure.reason}.") from None
            raise _Interrupted(failure.reason) from None
        self._response = response
        self._accept(response)

    def _accept(self, response: requests.Response) -> None:
        """Check the head of an answer; on return the next byte of the body is the one at the current offset."""
        status = response.status_code
        if 300 <= status < 400:
            raise self._error("the host answered with a redirect, which is refused.")
        if status in _ADDRESS_REFUSED:
            self._renew(status)
        if status in (408, 429) or status >= 500:
            self._disconnect()
            raise _Interrupted(f"HTTP {status}", parse_retry_after(response.headers.get("Retry-After")))
        if status == 412:
            raise self._error("the file changed while it was being read. Start reading again.")
        if status == 416 and self._nothing_left(response):
            return
        if status not in (200, 206):
            raise self._error(f"unexpected answer HTTP {status}.")
        start, total = self._range_of(response)
        etag = response.headers.get("ETag")
        if self._offset:
            if total != self._size and self._size is not None:
                raise self._error(f"it had {self._size:,} bytes and now has {total}. Start reading again.")
            if etag != self._etag and self._etag is not None and etag is not None:
                raise self._error("the file changed while it was being read (its ETag is another). Start again.")
        self._size, self._etag = total, etag if etag is not None else self._etag
        self._file.size, self._file.etag = self._size, self._etag
        self.content_encoding = response.headers.get("Content-Encoding")
        self._skip(self._offset - start)

    def _nothing_left(self, response: requests.Response) -> bool:
        """Settle the refusal of a range that begins at the end of the file, which is how an empty file answers."""
        stated = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip())
        if stated is not None and int(stated[1]) == self._offset and self._size in (None, self._offset):
            self._size = self._file.size = self._offset
            self._disconnect()
            return True
        if self._offset == 0 and stated is None and self._ranges:
            self._ranges = False
            raise _Interrupted("HTTP 416")
        return False

    def _range_of(self, response: requests.Response) -> tuple[int, int | None]:
        """Return the offset at which the answer starts, and the size of the whole file."""
        if response.status_code == 206:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
            if match is None or int(match[1]) != self._offset:
                raise self._error("the host sent another part of the file than the one asked for.")
            if match[3] != "*" or self._size is not None:
                return self._offset, self._size if match[3] == "*" else int(match[3])
            raise self._error("the host does not say how long the file is, so that a cut could not be noticed.")
        length = response.headers.get("Content-Length", "")
        if length.isdecimal():
            return 0, int(length)
        if getattr(response.raw, "chunked", False):
            return 0, None
        raise self._error("the host does not say how long the file is, so that a cut could not be noticed.")

    def _skip(self, count: int) -> None:
        """Read over bytes that were given out before; for hosts that ignore ``Range``."""
        while count > 0:
            chunk = self._receive(min(count, 1 << 20))
            if not chunk:
                raise _Interrupted("the connection was closed before the end of the file")
            count -= len(chunk)

    def _renew(self, status: int) -> None:
        self._disconnect()
        self._renewals += 1
        if self._renewals > _MAX_RENEWALS:
            raise self._error(f"the host refuses new addresses too (HTTP {status}).")
        self._log.info("Result file %d: address refused (HTTP %d), asking AMC for a new one", self._file.index, status)
        self._url, self._generation = self._addresses.renew(self._file.index, self._generation)
        raise _Interrupted(f"HTTP {status}")

    def _wait(self, interruption: _Interrupted) -> None:
        self._disconnect()
        self._attempts += 1
        now = self._clock()
        if self._attempts == 1:
            # Bytes have arrived since the last failure, or this is the first one: go on at once.
            self._failing_since, self._waited = now, 0.0
            if interruption.retry_after is None:
                return
        elapsed = max(now - self._failing_since, self._waited)
        delay = self._retry.next_delay(self._attempts, elapsed, retry_after=interruption.retry_after)
        if delay is None:
            error = self._error(f"gave up after {elapsed:.0f} s without a byte: {interruption.reason}.")
            error.retryable = True
            raise error from None
        self._log.info(
            "Result file %d at byte %d: %s; trying again in %.1f s",
            self._file.index, self._offset, interruption.reason, delay,
        )  # fmt: skip
        self._sleep(delay)
        self._waited += delay

    def _disconnect(self) -> None:
        response, self._response = self._response, None
        session, self._session = self._session, None
        if response is not None:
            response.close()
        if session is not None:
            session.close()

    def _error(self, what: str) -> AmcResultError:
        self._disconnect()
        return AmcResultError(f"Result file {self._file.index} ({without_query(self._url)}): {what}")
