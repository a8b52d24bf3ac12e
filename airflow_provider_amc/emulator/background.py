"""Work that an answer only announces: uploads, deletions, jobs of audience records.

What is announced is a document of the store, so that it is done after a restart, too. It ends when virtual time has
come to its end *and* the work is done. One thread does all work, so that nothing happens to a table twice at a time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_amc.emulator.clock import VirtualClock
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.priority import give_way
from airflow_provider_amc.emulator.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")
#: Longest nap of the task, so that a moved system clock is noticed.
_LONGEST_WAIT_SECONDS = 60.0
#: Virtual seconds until the work begins, when it is realistic.
_QUEUED_SECONDS = (1.0, 5.0)

#: Fields of a document that say when: epoch seconds of virtual time. They are no fields of the API.
CREATED, STARTS, DUE, ENDED = "_created", "_starts", "_due", "_ended"
#: Where a document keeps the outcome that a failure on order wants for it.
FORCED = "_forced"


@dataclass(frozen=True)
class Kind:
    """A kind of work.

    :param name: kind of its documents in the store.
    :param begin: called in the event loop with the instance and the document when the work is due; gives what a thread
        then does, which returns the fields of the document that change.
    :param seconds: least and most virtual seconds it takes when it is realistic.
    :param broken: the fields that change when the emulator itself fails, for the text of its error.
    """

    name: str
    begin: Callable[[str, dict[str, Any]], Callable[[], dict[str, Any]]]
    seconds: tuple[float, float]
    broken: Callable[[str], dict[str, Any]]


@dataclass
class _Waiting:
    """A document whose work is not done."""

    kind: Kind
    instance_id: str
    doc_id: str
    body: dict[str, Any]


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document that the API knows."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


class Background:
    """Does the announced work. Every method is called in the event loop's thread.

    :param config: speed and seed.
    :param store: where the documents are.
    :param clock: virtual time.
    :param kinds: the kinds of work.
    """

    def __init__(self, config: EmulatorConfig, store: Store, clock: VirtualClock, kinds: Sequence[Kind]) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._kinds = {kind.name: kind for kind in kinds}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="amc-background", initializer=give_way)
        self._waiting: list[_Waiting] = [
            _Waiting(kind, instance_id, str(body["_id"]), body)
            for kind in kinds
            for instance_id, body in store.all_documents(kind.name)
            if body.get(ENDED) is None
        ]

    # -- called by the handlers ------------------------------------------------------------------------------------
    def submit(
        self,
        kind: str,
        instance_id: str,
        doc_id: str,
        body: Mapping[str, Any],
        *,
        lane: str = "",
        seconds: float | None = None,
        forced: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Announce work.

        :param kind: name of its kind.
        :param instance_id: its instance; empty when it has none.
        :param doc_id: id of its document.
        :param body: the document.
        :param lane: work of one lane ends in the order it was announced.
        :param seconds: virtual seconds it takes; drawn if not given.
        :param forced: fields of the document at the end, in place of what the work gives.
        :returns: the document as it is kept.
        """
        now = self._clock.now().timestamp()
        known = self._kinds[kind]
        starts, due = now, now + (seconds or 0.0)
        if self._config.speed == "realistic" or seconds is not None:
            draw = random.Random(f"{self._config.seed}:{kind}:{self._store.count_documents(kind)}")  # noqa: S311
            starts = now + (draw.uniform(*_QUEUED_SECONDS) if seconds is None else 0.0)
            due = starts + (draw.uniform(*known.seconds) if seconds is None else seconds)
        before = (one.body[DUE] for one in self._waiting if one.kind is known and one.body["_lane"] == lane)
        due = max([due, *before]) if lane else due
        times = {CREATED: now, STARTS: starts, DUE: due, ENDED: None}
        document = {**body, "_id": doc_id, "_lane": lane, **times, **({FORCED: dict(forced)} if forced else {})}
        self._store.add_document(kind, instance_id, doc_id, document)
        self._waiting.append(_Waiting(known, instance_id, doc_id, document))
        self._wake.set()
        return document

    def begun(self, document: Mapping[str, Any]) -> bool:
        """Has the work of a document begun by now?"""
        return bool(self._clock.now().timestamp() >= document[STARTS])

    async def alone(self, work: Callable[[], T]) -> T:
        """Do something in the thread of the work, so that nothing else touches the tables meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def wake(self) -> None:
        """Look again: the clock was moved."""
        self._wake.set()

    async def forget(self, instance_id: str | None = None) -> None:
        """Forget all work, or that of an instance; waits for what is under way."""
        self._waiting = [one for one in self._waiting if instance_id not in (None, one.instance_id)]
        await self._idle.wait()

    # -- the task ----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            try:
                wait = await self._step()
            except Exception:
                log.exception("The emulator's background task failed; it goes on")
                wait = 1.0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    def stop(self) -> None:
        """Start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _step(self) -> float:
        """Do what is due, one after the other, and tell how long until the next may be."""
        while self._waiting:
            first = min(self._waiting, key=lambda one: one.body[DUE])
            wait = float(first.body[DUE]) - self._clock.now().timestamp()
            if wait > 0:
                return min(wait, _LONGEST_WAIT_SECONDS)
            self._idle.clear()
            try:
                await self._do(first)
            finally:
                self._idle.set()
        return _LONGEST_WAIT_SECONDS

    async def _do(self, one: _Waiting) -> None:
        try:
            if FORCED in one.body:
                changes = dict(one.body[FORCED])
            else:
                changes = await self.alone(one.kind.begin(one.instance_id, one.body))
        except Exception as error:
            log.exception("%s %s failed inside the emulator", one.kind.name, one.doc_id)
            changes = one.kind.broken(f"The emulator failed: {error}")
        if one not in self._waiting:  # everything was forgotten meanwhile
            return
        self._waiting.remove(one)
        one.body.update(changes, **{ENDED: max(one.body[DUE], one.body[CREATED])})
        self._store.replace_document(one.kind.name, one.instance_id, one.doc_id, one.body)
