"""One poll for all deferred waits on an instance.

A triggerer holds thousands of waits, and AMC throttles callers. So the waits of one event loop on the same instance of
the same connection are looked after by one :class:`Poller`: it lists the executions created since the oldest one that
is due, and asks for single executions only where that is cheaper, or the list does not show them. A wait is woken when
something has changed, not by every poll. Those who wait for executions whose ids nobody knows yet, those of a schedule
or of a watched workflow, read the same list.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.exceptions import (
    AmcAuthenticationError,
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcPermissionError,
    AmcThrottledError,
)
from airflow_provider_amc.triggers.connecting import call, connect, describe
from airflow_provider_amc.triggers.listing import Listing, Watch
from airflow_provider_amc.triggers.polling import interval, later, sooner

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution

log = logging.getLogger(__name__)

#: Single executions asked for at a time.
_AT_A_TIME = 4

#: A wait that is due within this part of its interval is looked at with those that are due now.
_TOGETHER = 0.5

#: Longest wait taken over from ``Retry-After``, in seconds.
_MOST_RETRY_AFTER = 900.0

#: After one of these, AMC has nothing better to say about another execution.
_HOPELESS = (AmcThrottledError, AmcAuthenticationError, AmcPermissionError)

# Threads of their own: the default ones of a triggerer are shared with everything else in it.
_THREADS = ThreadPoolExecutor(8, thread_name_prefix="amc-poll")


class Seen(NamedTuple):
    """What a look at an execution showed."""

    status: str
    finished: bool
    reason: str | None
    created: datetime | None

    @classmethod
    def of(cls, execution: Execution) -> Seen:
        """Keep what a wait needs of an execution."""
        return cls(execution.raw_status, execution.is_finished, execution.status_reason, execution.create_time)


class Wait:
    """One execution that somebody waits for.

    :param execution_id: the execution.
    :param created: its creation time by AMC's clock; ``None`` until a look at it has told.
    :param started: wall-clock start of the wait, seconds since the epoch.
    :param shortest: first interval in seconds.
    :param longest: longest interval in seconds.
    """

    def __init__(
        self, execution_id: str, *, created: datetime | None, started: float, shortest: float, longest: float
    ) -> None:
        self.execution_id = execution_id
        self.created = created
        self.seen: Seen | None = None
        self.problem = ""
        self.missing = False
        self.shortest, self.longest = shortest, longest
        self._started = started
        self._missed_since: float | None = None
        self._changed = asyncio.Event()
        self.due = 0.0

    async def change(self) -> None:
        """Wait until ``seen`` shows something new, or the execution is ``missing``."""
        await self._changed.wait()
        self._changed.clear()

    @property
    def interval(self) -> float:
        """Seconds between two looks at this age."""
        return interval(max(0.0, time.time() - self._started), self.shortest, self.longest)

    def show(self, seen: Seen) -> None:
        """Take what a look showed."""
        before, self.seen = self.seen, seen
        self.created = seen.created or self.created
        self.problem, self._missed_since, self.missing = "", None, False
        if before is None or before[:3] != seen[:3]:
            self._changed.set()

    def miss(self, problem: str, now: float) -> None:
        """Take that AMC does not know the execution."""
        self.problem = problem
        self._missed_since = now if self._missed_since is None else self._missed_since
        if not self.missing and now - self._missed_since >= INVISIBLE_SECONDS:
            self.missing = True
            self._changed.set()


class Poller:
    """Looks after the waits on one instance of one connection, for as long as there are any.

    :param amc_conn_id: Airflow connection of type ``amc``.
    :param instance_id: AMC instance; ``None`` takes the connection's.
    """

    def __init__(self, amc_conn_id: str, instance_id: str | None) -> None:
        self._amc_conn_id, self._instance_id = amc_conn_id, instance_id
        self._waits: set[Wait] = set()
        self._watches: set[Watch] = set()
        self._loop = asyncio.get_running_loop()
        self._sooner = asyncio.Event()
        self._not_before = 0.0
        self._client: AmcClient | None = None
        self._failures = 0
        self._told: set[str] = set()
        # In a context of its own: what it logs does not belong to the task that happened to wait first.
        self._task = self._loop.create_task(self._run(), context=contextvars.Context())

    @property
    def ended(self) -> bool:
        """Does nobody look any more?"""
        return self._task.done()

    def add(self, wait: Wait | Watch) -> None:
        """Look after one more."""
        # Never at once, for a task that has just been deferred may still be on its way out of the worker; and soon also
        # after a restart of the triggerer, whatever the age.
        wait.due = self._loop.time() + wait.shortest * sooner()
        if isinstance(wait, Watch):
            self._watches.add(wait)
        else:
            self._waits.add(wait)
        self._sooner.set()

    def remove(self, wait: Wait | Watch) -> bool:
        """Look no longer after one; with the last one the poller ends.

        :returns: whether it has ended.
        """
        if isinstance(wait, Watch):
            self._watches.discard(wait)
        else:
            self._waits.discard(wait)
        empty = not self._all
        if empty:
            self._task.cancel()
        return empty

    @property
    def _all(self) -> list[Wait | Watch]:
        return [*self._waits, *self._watches]

    async def _run(self) -> None:
        while True:
            self._sooner.clear()
            due = max(self._not_before, min(one.due for one in self._all))
            if due <= self._loop.time():
                await self._poll()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._sooner.wait()

    async def _poll(self) -> None:
        now = self._loop.time()
        due = [wait for wait in self._waits if wait.due - now <= _TOGETHER * wait.interval]
        due.sort(key=lambda wait: wait.due)
        watches = [watch for watch in self._watches if watch.due - now <= _TOGETHER * watch.interval]
        looked: set[str] = set()
        listed: list[Watch] = []
        try:
            self._client = self._client or await connect(_THREADS, self._amc_conn_id, self._instance_id)
            rest, refused = await self._list(self._client, due, looked, watches, listed)
            await self._get(self._client, rest, looked)
            if refused is not None and watches:
                raise refused
        except Exception as error:
            # Whatever it is: a wait ends when its execution does, or at its deadline.
            self._failed(error)
        else:
            self._worked()
        factor = sooner()
        for wait in self._waits:
            if wait.execution_id in looked:
                wait.due = self._next(now, wait.interval * factor)
        for watch in listed:
            watch.due = self._next(now, watch.interval * factor)

    def _next(self, begun: float, interval: float) -> float:
        """When to look again: an interval after the look began, but not at once when that has taken long."""
        return max(begun + interval, self._loop.time() + interval / 2)

    async def _list(
        self, client: AmcClient, due: list[Wait], looked: set[str], watches: list[Watch], listed: list[Watch]
    ) -> tuple[list[str], Exception | None]:
        """Look at many executions at once.

        :returns: the executions to ask for one by one, and why AMC has refused the list if it has.
        """
        ids = list(dict.fromkeys(wait.execution_id for wait in due))
        created = {wait.execution_id: wait.created for wait in due if wait.created is not None}
        if len(created) < 2 and not watches:
            return ids, None
        listing = Listing(created, {wait.execution_id for wait in self._waits}, watches)
        problem: Exception | None = None
        try:
            await call(_THREADS, listing.read, client)
        except Exception as error:
            problem = error
        # Also the pages before one that failed.
        looked.update(listing.found)
        for wait in self._waits:
            if wait.execution_id in listing.found:
                wait.show(Seen.of(listing.found[wait.execution_id]))
        # If AMC does not take the list, one by one remains, and tells what is wrong if that is refused too.
        if problem is not None and not isinstance(problem, (AmcInvalidRequestError, AmcNotFoundError)):
            raise problem
        if problem is None:
            listed += watches
            for watch in watches:
                watch.show(listing.executions)
        return [execution_id for execution_id in ids if execution_id not in listing.found], problem

    async def _get(self, client: AmcClient, ids: list[str], looked: set[str]) -> None:
        """Ask for executions one by one, a few at a time."""
        waits: dict[str, list[Wait]] = {}
        for wait in self._waits:
            waits.setdefault(wait.execution_id, []).append(wait)
        problems: list[BaseException] = []
        for start in range(0, len(ids), _AT_A_TIME):
            some = ids[start : start + _AT_A_TIME]
            looks = (call(_THREADS, client.executions.get, execution_id) for execution_id in some)
            failed = []
            for execution_id, result in zip(some, await asyncio.gather(*looks, return_exceptions=True), strict=True):
                looked.add(execution_id)
                for wait in waits.get(execution_id, ()):
                    if isinstance(result, AmcNotFoundError):
                        wait.miss(describe(result), self._loop.time())
                    elif not isinstance(result, BaseException):
                        wait.show(Seen.of(result))
                if isinstance(result, BaseException) and not isinstance(result, AmcNotFoundError):
                    failed.append(result)
            problems += failed
            # Those that are not tried remain due, and come first next time.
            if len(failed) == len(some) or any(isinstance(error, _HOPELESS) for error in failed):
                break
        if problems:
            raise problems[0]

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        # A new client reads the connection again, where someone may have put new credentials.
        self._client = None
        pause = min((one.interval for one in self._all), default=0.0) * sooner()
        retry_after = getattr(error, "retry_after", None)
        if retry_after is not None:
            pause = max(pause, min(retry_after, _MOST_RETRY_AFTER) * later())
        elif isinstance(error, AmcThrottledError):
            longest = max((one.longest for one in self._all), default=0.0)
            pause = max(pause, min(pause * 2 ** min(self._failures - 1, 10), longest))
        self._not_before = self._loop.time() + pause
        text = describe(error)
        for one in self._all:
            one.problem = text
        # Ids of requests differ from look to look, so the texts of one outage do too.
        kind = f"{type(error).__name__} {getattr(error, 'http_status', None)}"
        if kind not in self._told:
            self._told.add(kind)
            log.warning(
                "Could not look at AMC executions, for %d waits on instance %s with the connection %s; trying again until it works "
                "or they run out of time: %s",
                len(self._all),
                self._instance_id or "(default)",
                self._amc_conn_id,
                text,
            )

    def _worked(self) -> None:
        if self._failures:
            log.info("AMC answers again for the connection %s after %d failed looks", self._amc_conn_id, self._failures)
        self._failures = 0
        self._told.clear()


_pollers: dict[tuple[asyncio.AbstractEventLoop, str, str | None], Poller] = {}


@contextlib.contextmanager
def looked_after(wait: Wait | Watch, amc_conn_id: str, instance_id: str | None) -> Iterator[None]:
    """Have a wait looked after by the poller of the running event loop.

    :param wait: the wait.
    :param amc_conn_id: Airflow connection of type ``amc``.
    :param instance_id: AMC instance; ``None`` takes the connection's.
    """
    key = (asyncio.get_running_loop(), amc_conn_id, instance_id)
    poller = _pollers.get(key)
    if poller is None or poller.ended:
        poller = _pollers[key] = Poller(amc_conn_id, instance_id)
    poller.add(wait)
    try:
        yield
    finally:
        if poller.remove(wait) and _pollers.get(key) is poller:
            del _pollers[key]
