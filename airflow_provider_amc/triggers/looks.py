"""What looks at something that AMC makes have shown so far; the same in a worker and in the triggerer."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.exceptions import AmcError, AmcNotFoundError, AmcValidationError
from airflow_provider_amc.triggers.connecting import describe

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.progress import Progress


def name_of(kind: str, names: Mapping[str, str]) -> str:
    """Name a resource to people.

    :param kind: one of :data:`airflow_provider_amc.client.progress.KINDS`.
    :param names: what names it.
    """
    return f"{kind} {'/'.join(names.values())}"


class Looks:
    """Looks at one resource again and again. One that fails never ends the wait: it is told once, and tried again.

    :param kind: one of :data:`airflow_provider_amc.client.progress.KINDS`.
    :param names: what names it.
    :param log: where to say what has changed.
    """

    def __init__(self, kind: str, names: Mapping[str, str], log: logging.Logger | Any) -> None:
        self._kind, self._names, self._log = kind, names, log
        #: What the last look that worked has shown.
        self.seen: Progress | None = None
        #: Why the last look failed, empty if it did not.
        self.problem = ""
        self._told = ""
        self._missed_since: float | None = None

    def look(self, client: AmcClient) -> Progress | None:
        """Look once.

        :param client: client of the account.
        :returns: what it showed, if AMC has finished.
        :raises AmcNotFoundError: AMC has not known the resource for minutes; a new one may be invisible at first.
        :raises AmcValidationError: it is named wrongly.
        """
        from airflow_provider_amc.client.progress import progress

        try:
            seen = progress(client, self._kind, self._names)
        except AmcValidationError:
            raise
        except AmcError as error:
            self.failed(error)
            if isinstance(error, AmcNotFoundError) and self._is_missing():
                raise
            return None
        self.problem, self._told, self._missed_since = "", "", None
        if self.seen is None or seen.status != self.seen.status:
            self._log.info("AMC %s is %s", name_of(self._kind, self._names), seen.status)
        self.seen = seen
        return seen if seen.finished else None

    def failed(self, error: Exception) -> None:
        """Take that a look failed.

        :param error: why.
        """
        self.problem = describe(error)
        # Ids of requests differ from look to look, so the texts of one outage do too.
        trouble = f"{type(error).__name__} {getattr(error, 'http_status', None)}"
        if trouble != self._told:
            self._told = trouble
            name = name_of(self._kind, self._names)
            self._log.warning("Could not look at AMC %s, will try again: %s", name, self.problem)
        if not isinstance(error, AmcNotFoundError):
            self._missed_since = None

    def _is_missing(self) -> bool:
        now = time.monotonic()
        self._missed_since = now if self._missed_since is None else self._missed_since
        return now - self._missed_since >= INVISIBLE_SECONDS
