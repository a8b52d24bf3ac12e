"""The result of an execution: its files, each to be opened as one stream.

What arrives is checked: only bytes of one and the same object (ETag, length), in order, and all of them. Only hosts of
Amazon S3, and the connection's own base URL, are read from; redirects are refused, and the access token is never sent.
Memory does not grow with the result.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from airflow_provider_amc.client.addresses import Addresses
from airflow_provider_amc.client.models import DownloadUrls
from airflow_provider_amc.client.retry import RetryPolicy
from airflow_provider_amc.client.stream import ResultStream

#: A stream goes on trying for this long after the last byte that arrived.
DOWNLOAD_RETRY = RetryPolicy(patience=120.0, base_delay=0.5, max_delay=8.0)


class RowObserver(Protocol):
    """Sees the rows of a result while they are read."""

    def add(self, batch: Any) -> None:
        """Take note of rows, an Arrow record batch with all columns of the result."""

    def finish(self) -> None:
        """All rows were read, and are kept unless this raises."""


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
        self._addresses = Addresses(fetch_urls, base_url)
        self._timeout = timeout
        self._retry = retry
        self._log = log or logging.getLogger(__name__)
        self._sleep = sleep
        self._clock = clock
        self._files: tuple[ResultFile, ...] | None = None
        #: Shown every row that is read as CSV or Arrow, once and before it goes on. ``None`` costs nothing.
        self.observer: RowObserver | None = None

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

    @property
    def observer(self) -> RowObserver | None:
        """Shown every row of the result that is read."""
        return self._results.observer

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
