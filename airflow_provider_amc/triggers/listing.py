"""One reading of AMC's list of executions, for everything that is waited for on an instance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.triggers.polling import interval

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution

#: Seconds before the oldest creation time from which executions are listed: AMC compares whole seconds.
_MARGIN = timedelta(seconds=60)

#: Executions of a page of the list, AMC's most.
_PAGE = 100


class Watch:
    """Executions that somebody waits for without knowing their ids.

    :param since: created at this moment or later, by AMC's clock. It may be moved on while the watch is looked after.
    :param workflow_id: of this workflow only; ``None`` for all of the instance.
    :param shortest: first interval in seconds.
    :param longest: longest interval in seconds.
    :param started: wall-clock start of the wait, seconds since the epoch; it lets the interval grow.
    """

    def __init__(
        self, since: datetime, *, workflow_id: str | None, shortest: float, longest: float, started: float
    ) -> None:
        self.since, self.workflow_id = since, workflow_id
        self.shortest, self.longest = shortest, longest
        self.problem = ""
        self.due = 0.0
        self._started = started
        self._executions: list[Execution] = []
        self._looked = asyncio.Event()

    async def look(self) -> list[Execution]:
        """Wait until the list has been read.

        :returns: the executions on it, oldest first.
        """
        await self._looked.wait()
        self._looked.clear()
        return self._executions

    @property
    def interval(self) -> float:
        """Seconds between two looks at this age."""
        return interval(max(0.0, time.time() - self._started), self.shortest, self.longest)

    def show(self, executions: list[Execution]) -> None:
        """Take a list that was read as far back as ``since``, newest first."""
        mine = [one for one in executions if self.workflow_id in (None, one.workflow_id)]
        self._executions = [one for one in reversed(mine) if one.create_time is None or one.create_time >= self.since]
        self.problem = ""
        self._looked.set()


class Listing:
    """Reads the list, newest first, until it has shown what is due.

    A page of the list costs as much as a look at one execution. So for single executions another page is read for as
    long as the pages cost at most half of what looking one by one would: one wait on yesterday's execution does not
    make every poll read a day of other people's. A watch has no other way: its part of the list is read whole.

    :param created: creation time of the single executions that are due, by id.
    :param wanted: single executions to take along when they are on a page.
    :param watches: watches that are due.
    """

    def __init__(self, created: Mapping[str, datetime], wanted: set[str], watches: list[Watch]) -> None:
        self._created, self._wanted = created, wanted
        self._watched_since = min((watch.since for watch in watches), default=None)
        workflows = {watch.workflow_id for watch in watches}
        self._workflow_id = workflows.pop() if len(workflows) == 1 and not created else None
        #: Single executions that were on the list, also before a page that failed.
        self.found: dict[str, Execution] = {}
        #: All that was read.
        self.executions: list[Execution] = []

    def read(self, client: AmcClient) -> None:
        """Read it; in a thread, for it blocks.

        :param client: whose instance.
        """
        missing = set(self._created)
        for count, execution in enumerate(self._listed(client), 1):
            self.executions.append(execution)
            if execution.workflow_execution_id in self._wanted:
                self.found[execution.workflow_execution_id] = execution
                missing.discard(execution.workflow_execution_id)
            if self._is_watched(execution):
                continue
            if not missing or (count % _PAGE == 0 and 2 * (count // _PAGE) > len(missing)):
                return

    def _listed(self, client: AmcClient) -> Iterator[Execution]:
        watched = () if self._watched_since is None else (self._watched_since,)
        since = min((*self._created.values(), *watched)) - _MARGIN
        workflow: dict[str, Any] = {"workflow_id": self._workflow_id} if self._workflow_id else {}
        return client.executions.list(min_creation_time=since, include_cancelled=True, limit=_PAGE, **workflow)

    def _is_watched(self, execution: Execution) -> bool:
        since = self._watched_since
        return since is not None and (execution.create_time is None or execution.create_time >= since - _MARGIN)
