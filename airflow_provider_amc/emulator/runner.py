"""The life of executions: PENDING, RUNNING, then SUCCEEDED, FAILED, REJECTED or CANCELLED.

One task in the event loop makes every step; queries are computed by worker threads. What is to come is decided by
virtual time: a run ends when its query is done *and* its drawn duration is over.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.clock import VirtualClock
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.jobs import Jobs
from airflow_provider_amc.emulator.priority import give_way
from airflow_provider_amc.emulator.queries import Queries, QueryError
from airflow_provider_amc.emulator.record import ExecutionRecord
from airflow_provider_amc.emulator.scheduler import Scheduler
from airflow_provider_amc.emulator.slots import Slots
from airflow_provider_amc.emulator.store import Store

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.engine import CompiledQuery

log = logging.getLogger(__name__)

#: Longest nap of the task, so that a moved system clock is noticed.
_LONGEST_WAIT_SECONDS = 60.0
#: Compiled queries kept between validation and run; others are compiled again.
_KEPT_COMPILED = 64
#: Queries that are compiled at a time.
_VALIDATORS = 2


@dataclass
class _Live:
    """An execution that has not ended."""

    seq: int
    record: ExecutionRecord
    job: asyncio.Future[Any] | None = None
    job_began: float = 0.0
    interrupted: threading.Event = field(default_factory=threading.Event)
    compiled: CompiledQuery | None = None
    outcome: tuple[str, str | None] | None = None


class ExecutionRunner:
    """Runs the executions of all instances.

    Every method is called in the event loop's thread.

    :param config: limits, speed and seed.
    :param store: where executions are kept.
    :param clock: virtual time.
    :param queries: the query engine.
    :param results: directory of result files.
    """

    def __init__(
        self, config: EmulatorConfig, store: Store, clock: VirtualClock, queries: Queries, results: Path
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._results = results
        self._jobs = Jobs(config, queries, results)
        self._live: dict[str, _Live] = {}
        self._slots = Slots(config.max_running, config.max_running_account)
        self._realistic = config.speed == "realistic"
        self._wake = asyncio.Event()
        self._scheduler = Scheduler(store, self.submit)
        # Compiling is pure Python, which nobody else can run meanwhile: it must not wait for a core, nor behind queries.
        self._validators = ThreadPoolExecutor(_VALIDATORS, thread_name_prefix="amc-validate")
        self._pool = ThreadPoolExecutor(config.query_threads, thread_name_prefix="amc-query", initializer=give_way)
        for seq, body in store.unfinished_executions():
            record = ExecutionRecord.load(body)
            self._live[body["id"]] = _Live(seq, record)
            if record.status == "RUNNING":
                self._slots.take(record.instance_id, 0.0)

    # -- called by the handlers ------------------------------------------------------------------------------------
    def submit(self, record: ExecutionRecord) -> None:
        """Queue a new execution."""
        record.updated = record.created
        seq = self._store.add_execution(record.dump())
        self._live[record.id] = _Live(seq, record)
        self._wake.set()

    def cancel(self, record: ExecutionRecord, reason: str) -> bool:
        """Cancel an execution; ``False`` when it had ended already."""
        live = self._live.get(record.id)
        if live is None:
            return False
        self._finish(live, "CANCELLED", reason, self._now())
        self._wake.set()
        return True

    def cancel_all(self, instance_id: str, reason: str) -> None:
        """Cancel whatever has not ended on an instance."""
        for live in list(self._live.values()):
            if live.record.instance_id == instance_id:
                self.cancel(live.record, reason)

    def wake(self) -> None:
        """Look again: the clock was moved, or a schedule changed."""
        self._scheduler.changed()
        self._wake.set()

    def clear(self) -> None:
        """Forget all executions and their results."""
        for live in self._live.values():
            live.interrupted.set()
        self._live.clear()
        self._slots = Slots(self._config.max_running, self._config.max_running_account)
        for path in self._results.glob("*"):
            shutil.rmtree(path, ignore_errors=True)

    # -- the task ----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            self._wake.clear()
            try:
                wait = self._step()
            except Exception:
                log.exception("The emulator's execution task failed; it goes on")
                wait = 1.0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    async def stop(self, patience: float = 5.0) -> None:
        """Interrupt the queries that run and wait for them a little."""
        jobs = []
        for live in self._live.values():
            live.interrupted.set()
            if live.job is not None and not live.job.done():
                jobs.append(live.job)
        if jobs:
            await asyncio.wait(jobs, timeout=patience)
        for pool in (self._validators, self._pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _step(self) -> float:
        """Make every step that is due, oldest execution first, and tell how long until the next may be."""
        now = self._now()
        scheduled = self._scheduler.step(now)
        due = [] if scheduled is None else [scheduled]
        blocked: set[str] = set()
        for live in self._in_order():
            moment = self._step_one(live, now, blocked)
            if moment is not None:
                due.append(moment)
        wait = min(due, default=now + _LONGEST_WAIT_SECONDS) - now
        return max(0.0, min(wait, _LONGEST_WAIT_SECONDS))

    def _in_order(self) -> list[_Live]:
        """Those that run, then those that wait, in the order in which they may start."""
        if not self._realistic:
            return list(self._live.values())
        return sorted(self._live.values(), key=lambda live: (live.record.status != "RUNNING", self._ready(live)))

    def _ready(self, live: _Live) -> float:
        validated = live.record.validated
        return live.record.created + self._validation_delay(live.seq) if validated is None else validated

    def _step_one(self, live: _Live, now: float, blocked: set[str]) -> float | None:
        """The step of one execution.

        :param blocked: instances on which something is late in real time only: it should have been checked by now, or
            have ended. Others start when that is known, or a jump of the clock would change who is first.
        """
        record = live.record
        if record.status == "RUNNING":
            moment = self._step_running(live, now)
        else:
            moment = self._step_pending(live, now, free=record.instance_id not in blocked)
        if self._realistic and live.outcome is None and not record.finished:
            running = record.status == "RUNNING"
            due = (record.started or now) + (record.planned_seconds or 0.0) if running else self._ready(live)
            if now >= due and (running or record.validated is None):
                blocked.add(record.instance_id)
        return moment

    def _step_pending(self, live: _Live, now: float, *, free: bool) -> float | None:
        record = live.record
        if live.outcome is not None:
            self._finish(live, *live.outcome, min(now, record.created + self._validation_delay(live.seq)))
            return None
        if record.validated is None:
            valid_from = record.created + self._validation_delay(live.seq)
            if now < valid_from:
                return valid_from
            if live.job is None:
                self._start_job(live, self._validators, self._jobs.validate, live.record)
            return None
        if record.dry_run:
            self._finish(live, record.forced_status or "SUCCEEDED", record.forced_reason, record.validated)
            return None
        # A clock that jumped over the start must not delay it: the run starts when it could have started.
        begins = self._slots.take(record.instance_id, record.validated) if free else None
        if begins is None:
            return None
        start = min(now, begins)
        record.status, record.started, record.updated = "RUNNING", start, start
        if record.planned_seconds is None:
            record.planned_seconds = self._duration(live.seq)
        self._store.save_execution(record.dump())
        return self._step_running(live, now)

    def _step_running(self, live: _Live, now: float) -> float | None:
        record = live.record
        started = record.started if record.started is not None else now
        planned = record.planned_seconds or 0.0
        ends, deadline = started + planned, started + record.timeout_seconds
        computing = time.monotonic() - live.job_began if live.job is not None else 0.0
        if (planned > record.timeout_seconds and now >= deadline) or computing > record.timeout_seconds:
            reason = f"The workflow execution timed out after {record.timeout_seconds} seconds."
            self._finish(live, "FAILED", reason, min(now, deadline))
            return None
        if live.outcome is None:
            if live.job is None:
                self._start_job(live, self._pool, self._jobs.compute, live.record, live.compiled, live.interrupted)
            return None if planned <= record.timeout_seconds else deadline
        if now < ends:
            return min(ends, deadline)
        outcome = live.outcome
        if record.forced_status and outcome[0] == "SUCCEEDED":
            outcome = record.forced_status, record.forced_reason
        self._finish(live, *outcome, ends if planned else now)
        return None

    def _finish(self, live: _Live, status: str, reason: str | None, at: float) -> None:
        record = live.record
        live.interrupted.set()
        if record.status == "RUNNING":
            self._slots.free(record.instance_id, at)
        record.status, record.status_reason = status, reason
        record.ended = record.updated = at
        if status != "SUCCEEDED":
            record.files = []
            shutil.rmtree(self._results / record.id, ignore_errors=True)
        self._store.save_execution(record.dump())
        self._live.pop(record.id, None)

    def _validation_delay(self, seq: int) -> float:
        if self._config.speed == "instant":
            return 0.0
        return random.Random(f"{self._config.seed}:validation:{seq}").uniform(1.0, 4.0)  # noqa: S311

    def _duration(self, seq: int) -> float:
        if self._config.speed == "instant":
            return 0.0
        drawn = random.Random(f"{self._config.seed}:duration:{seq}").lognormvariate(4.5, 0.8)  # noqa: S311
        return round(min(max(drawn, 15.0), 900.0), 3)

    # -- jobs ----------------------------------------------------------------------------------------------------------
    def _start_job(self, live: _Live, pool: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> None:
        loop = asyncio.get_running_loop()
        live.job_began = time.monotonic()
        live.job = loop.run_in_executor(pool, work, *arguments)
        live.job.add_done_callback(lambda job: self._job_done(live, job))

    def _job_done(self, live: _Live, job: asyncio.Future[Any]) -> None:
        live.job = None
        error = None if job.cancelled() else job.exception()
        if job.cancelled() or self._live.get(live.record.id) is not live:
            return
        record = live.record
        validating = record.status == "PENDING"
        if isinstance(error, QueryError):
            live.outcome = ("REJECTED" if validating else "FAILED", str(error))
        elif error is not None:
            log.error("Execution %s failed inside the emulator", record.id, exc_info=error)
            live.outcome = ("FAILED", f"The emulator failed: {error}")
        elif validating:
            delay = self._validation_delay(live.seq)
            # Virtual, not the moment of the check: a clock that jumped meanwhile must not delay the run.
            record.validated = record.updated = record.created + delay
            record.output_columns = [column.to_api() for column in job.result().output_columns]
            record.tables = list(job.result().tables)
            kept = sum(other.compiled is not None for other in self._live.values())
            live.compiled = job.result() if kept < _KEPT_COMPILED else None
            reason = self._overlap(live.seq, record)
            if reason:
                live.outcome = ("REJECTED", reason)
            self._store.save_execution(record.dump())
        else:
            record.files = job.result()
            live.outcome = ("SUCCEEDED", None)
            live.compiled = None
        self._wake.set()

    def _overlap(self, seq: int, record: ExecutionRecord) -> str | None:
        """AMC's refusal of many queries over the same data, when the setting ``overlap_limit`` asks for it."""
        limit = self._config.overlap_limit
        if limit is None or record.dry_run:
            return None
        similar, after = 0, seq
        while page := self._store.find_executions(record.instance_id, after=after):
            after = page[-1][0]
            for _, body in page:
                other = ExecutionRecord.load(body)
                overlaps = other.window_start < record.window_end and record.window_start < other.window_end
                if overlaps and other.started is not None and set(other.tables) == set(record.tables):
                    similar += 1
        if similar < limit:
            return None
        return (
            f'Execution "{record.id}" of workflow "{record.workflow_id}" could not be run because too many workflows '
            "have already been run against the same input data sources in the same or overlapping time windows."
        )
