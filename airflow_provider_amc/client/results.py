"""The result files of an execution, each as one stream that survives cuts, expired addresses and outages.

What arrives is checked: only bytes of one and the same object (ETag, length), in order, and all of them. Only hosts of
Amazon S3, and the connection's own base URL, are read from; redirects are refused, and the access token is never sent.
Memory does not grow with the result.

Source: AMC API documentation, "Get your results": addresses are pre-signed, live ten minutes, and a large result has
several files.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_amc.client import http
from airflow_provider_amc.client.models import DownloadUrls, without_query
from airflow_provider_amc.client.retry import RetryPolicy, parse_retry_after
from airflow_provider_amc.exceptions import AmcResultError

if TYPE_CHECKING:
    import requests

#: A stream goes on trying for this long after the last byte that arrived.
DOWNLOAD_RETRY = RetryPolicy(patience=120.0, base_delay=0.5, max_delay=8.0)

#: Answers of S3 to an address that has expired or is not known any more; a new address can help.
_ADDRESS_REFUSED = frozenset({400, 401, 403, 404, 410})
_MAX_RENEWALS = 3

# bucket.s3.region, bucket.s3-region, s3.region, bucket.s3, with dualstack, accelerate, fips; China ends in .cn.
_S3_HOST = re.compile(
    r"(?:[a-z0-9][a-z0-9.-]*\.)?s3(?:[.-](?:dualstack|accelerate|fips|[a-z]{2}(?:-[a-z]+)+-\d))*"
    r"\.amazonaws\.com(?:\.cn)?"
)


def check_result_host(url: str, base_url: str | None = None) -> None:
    """Refuse an address that is neither on Amazon S3 nor on the base URL's host.

    :param url: address of a file.
    :param base_url: base URL of the connection, if it has one; scheme, host and port must be the same.
    :raises AmcResultError: naming the host, never the signature.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise AmcResultError("AMC gave a download URL that is not an address.") from None
    if parts.username is None and parts.password is None:
        if parts.scheme == "https" and port in (None, 443) and _S3_HOST.fullmatch(host):
            return
        if base_url is not None and _origin(base_url) == _origin(url):
            return
    raise AmcResultError(
        f"Refusing to download from {parts.scheme}://{host}{f':{port}' if port else ''}: result files come from Amazon "
        "S3 over https, or from the base URL of the connection, and from nowhere else."
    )


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class _Addresses:
    """The current addresses of all files, shared by the streams that read them in parallel."""

    def __init__(self, fetch: Callable[[], DownloadUrls], base_url: str | None) -> None:
        self._fetch = fetch
        self._base_url = base_url
        self._lock = threading.Lock()
        self._urls: tuple[str, ...] | None = None
        self._generation = 0

    def count(self) -> int:
        with self._lock:
            return len(self._load())

    def get(self, index: int) -> tuple[str, int]:
        with self._lock:
            return self._load()[index], self._generation

    def renew(self, index: int, generation: int) -> tuple[str, int]:
        """Get a newer address than that of ``generation``, asking AMC only if no other stream has."""
        with self._lock:
            if generation == self._generation:
                before = self._load()
                self._urls = self._in_order(before, self._checked())
                self._generation += 1
            return self._load()[index], self._generation

    def _load(self) -> tuple[str, ...]:
        if self._urls is None:
            self._urls = self._checked()
        return self._urls

    def _checked(self) -> tuple[str, ...]:
        urls = self._fetch().urls
        if not urls:
            raise AmcResultError("AMC gave no download URL for this execution: it has no result file.")
        for url in urls:
            check_result_host(url, self._base_url)
        return urls

    @staticmethod
    def _in_order(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
        if len(before) != len(after):
            raise AmcResultError(
                f"The execution had {len(before)} result files and now has {len(after)}: start reading again."
            )
        # AMC promises no order. Where the paths say which file is which, they decide; where every path is new, the
        # position does, and the ETag catches a mistake.
        by_path = {urlsplit(url).path: url for url in after}
        paths = [urlsplit(url).path for url in before]
        if len(by_path) == len(after) and set(paths) == set(by_path):
            return tuple(by_path[path] for path in paths)
        return after


class ExecutionResults:
    """The result of an execution.

    :param workflow_execution_id: its id, for messages.
    :param fetch_urls: asks AMC for addresses.
    :param base_url: see :func:`check_result_host`.
    :param timeout: seconds to connect, seconds between two bytes.
    :param retry: how long a stream goes on trying after the last byte that arrived.
    :param log: where cuts are reported.
    :param sleep: how to wait.
    :param clock: seconds that only grow.
    """

    def __init__(
        self,
        workflow_execution_id: str,
        fetch_urls: Callable[[], DownloadUrls],
        *,
        base_url: str | None = None,
        timeout: tuple[float, float] = (10.0, 40.0),
        retry: RetryPolicy = DOWNLOAD_RETRY,
        log: logging.Logger | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workflow_execution_id = workflow_execution_id
        self._addresses = _Addresses(fetch_urls, base_url)
        self._timeout = timeout
        self._retry = retry
        self._log = log or logging.getLogger(__name__)
        self._sleep = sleep
        self._clock = clock
        self._files: tuple[ResultFile, ...] | None = None

    def files(self) -> tuple[ResultFile, ...]:
        """Return all result files, in AMC's order. Asks for their addresses the first time.

        :raises AmcNotReadyError: while there is no result.
        :raises AmcResultError: when AMC names no file, or a host that is not allowed.
        """
        if self._files is None:
            self._files = tuple(ResultFile(index, self) for index in range(self._addresses.count()))
        return self._files

    def _open(self, file: ResultFile) -> ResultStream:
        return ResultStream(
            file, self._addresses, timeout=self._timeout, retry=self._retry, log=self._log, sleep=self._sleep,
            clock=self._clock,
        )  # fmt: skip


class ResultFile:
    """One file of a result.

    :param index: its number, from 0.
    """

    def __init__(self, index: int, results: ExecutionResults) -> None:
        self.index = index
        #: Bytes of the file as stored; ``None`` until it was opened, or when the host does not say.
        self.size: int | None = None
        #: ETag of the object; ``None`` until it was opened, or when the host has none.
        self.etag: str | None = None
        self._results = results

    def __repr__(self) -> str:
        return f"ResultFile(index={self.index}, size={self.size})"

    def open(self, *, decompress: bool = False) -> io.RawIOBase:
        """Open the file for reading. Connects at once, so that ``size`` is known afterwards.

        :param decompress: give the content of a file that is gzip-compressed; other files come as they are. Without
            it the stream gives the bytes as stored.
        :return: a binary stream; ``read(n)`` gives exactly n bytes unless the file ends. Close it after use.
        :raises AmcResultError: when the file cannot be read whole. ``retryable`` tells whether later may be better.
        """
        stream = self._results._open(self)
        try:
            stream.connect()
            if decompress:
                from airflow_provider_amc.client.gunzip import plain

                return plain(stream)
        except BaseException:
            stream.close()
            raise
        return stream


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
        addresses: _Addresses,
        *,
        timeout: tuple[float, float],
        retry: RetryPolicy,
        log: logging.Logger,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._file = file
        self._addresses = addresses
        self._timeout = timeout
        self._retry = retry
        self._log = log
        self._sleep = sleep
        self._clock = clock
        self._url, self._generation = addresses.get(file.index)
        self._session: requests.Session | None = None
        self._response: requests.Response | None = None
        self._offset = 0
        self._size: int | None = None
        self._etag: str | None = None
        self._attempts = 0
        self._failing_since = 0.0
        self._waited = 0.0
        self._renewals = 0
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
        if self._offset:
            headers["Range"] = f"bytes={self._offset}-"
            # A weak ETag never matches in If-Match; it is compared after the answer.
            if self._etag and not self._etag.startswith("W/"):
                headers["If-Match"] = self._etag
        self._disconnect()
        self._session = http.new_session()
        try:
            response = self._session.get(
                self._url, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
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

    def _range_of(self, response: requests.Response) -> tuple[int, int | None]:
        """Return the offset at which the answer starts, and the size of the whole file."""
        if response.status_code == 206:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
            if match is None or int(match[1]) != self._offset:
                raise self._error("the host sent another part of the file than the one asked for.")
            return self._offset, self._size if match[3] == "*" else int(match[3])
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
