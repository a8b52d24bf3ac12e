"""Where result files are read from: only allowed hosts, and always a fresh address.

Source: AMC API documentation, "Get your results": addresses are pre-signed and live ten minutes, and a large result
has several files.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from airflow_provider_amc.client.models import DownloadUrls
from airflow_provider_amc.exceptions import AmcResultError

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


class Addresses:
    """The current addresses of all files, shared by the streams that read them in parallel.

    :param fetch: asks AMC for them.
    :param base_url: see :func:`check_result_host`.
    """

    def __init__(self, fetch: Callable[[], DownloadUrls], base_url: str | None) -> None:
        self._fetch = fetch
        self._base_url = base_url
        self._lock = threading.Lock()
        self._urls: tuple[str, ...] | None = None
        self._generation = 0

    def count(self) -> int:
        """Return the number of files."""
        with self._lock:
            return len(self._load())

    def get(self, index: int) -> tuple[str, int]:
        """Return the address of a file, and the number of the set of addresses it belongs to."""
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
