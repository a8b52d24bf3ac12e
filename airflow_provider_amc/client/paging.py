"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_provider_amc.client.validation import check_range
from airflow_provider_amc.exceptions import AmcHttpError


def pages(fetch: Callable[[str | None], Mapping[str, Any]], what: str) -> Iterator[Mapping[str, Any]]:
    """Fetch page after page until AMC names no next one.

    :param fetch: gets the token of a page (``None`` for the first) and returns the page.
    :param what: what is listed, for the error.
    :raises AmcHttpError: when AMC names a page again that was already read: going on would never end, and stopping
        would hide that the list may not be whole.
    """
    token: str | None = None
    seen: set[str] = set()
    while True:
        page = fetch(token)
        yield page
        # Absent, null and empty all mean that this was the last page.
        following = page.get("nextToken")
        if following is None or following == "":
            return
        token = str(following)
        if token in seen:
            raise AmcHttpError(
                f"AMC gives the same nextToken again while listing {what}, so the list would never end.",
                hint="Try again; if it stays, narrow the list by its filters.",
            )
        seen.add(token)


def items(fetch: Callable[[str | None], Mapping[str, Any]], key: str, *other_keys: str) -> Iterator[Mapping[str, Any]]:
    """List the objects of all pages.

    :param fetch: see :func:`pages`.
    :param key: field of a page that holds its objects.
    :param other_keys: names seen for the same field elsewhere.
    """
    for page in pages(fetch, key):
        found = next((page[name] for name in (key, *other_keys) if page.get(name) is not None), None)
        if found is None:
            continue
        if not isinstance(found, list):
            raise AmcHttpError(f"AMC's answer has no list in {key!r}.", hint="Check the base URL of the connection.")
        yield from (item for item in found if isinstance(item, Mapping))


def page_size(limit: int | None) -> int | None:
    """Check a page size: 1 to 100 (OpenAPI file of the workflow API), ``None`` for AMC's default."""
    return None if limit is None else check_range(limit, "limit", 1, 100)
