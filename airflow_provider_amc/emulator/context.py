"""Everything one emulator consists of, in one place for the handlers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.audience_runner import AudienceRunner
from airflow_provider_amc.emulator.background import Background, Kind
from airflow_provider_amc.emulator.clock import VirtualClock, zulu
from airflow_provider_amc.emulator.config import (
    ACCOUNT_ID,
    CLIENT_ID,
    CLIENT_SECRET,
    MARKETPLACE_ID,
    REFRESH_TOKEN,
    STANDARD_INSTANCE,
    EmulatorConfig,
    parse_now,
)
from airflow_provider_amc.emulator.faults import FaultBook
from airflow_provider_amc.emulator.queries import Queries, default_engine
from airflow_provider_amc.emulator.registry import InstanceRegistry
from airflow_provider_amc.emulator.requestlog import RequestLog
from airflow_provider_amc.emulator.runner import ExecutionRunner
from airflow_provider_amc.emulator.shelf import Shelf
from airflow_provider_amc.emulator.store import Store
from airflow_provider_amc.emulator.throttle import Throttle

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.engine import Engine
    from airflow_provider_amc.emulator.identities import Matcher

#: The engine's libraries take a second to import; the first requests go first.
_WARM_UP_DELAY_SECONDS = 0.1
_TERMS_ACCEPTED = "terms_accepted"

log = logging.getLogger(__name__)


class Emulator:
    """The parts of one emulator and the few actions that touch several of them.

    :param config: its settings.
    :param make_engine: makes the query engine for a virtual time; tests may give their own.
    :raises StateDirectoryInUseError: when another emulator has the state directory.
    """

    def __init__(self, config: EmulatorConfig, make_engine: Callable[[datetime], Engine] | None = None) -> None:
        self.config = config
        self._private_directory: Path | None = None
        if config.state_dir is None:
            directory = self._private_directory = Path(tempfile.mkdtemp(prefix="amc-emulator-"))
        else:
            directory = Path(config.state_dir)
            directory.mkdir(parents=True, exist_ok=True)
        self.results = directory / "results"
        self.results.mkdir(exist_ok=True)
        self.store = Store(directory / "state.sqlite")
        remembered = self.store.get_meta("clock_offset")
        self.clock = VirtualClock(float(remembered or 0.0))
        self.instances = InstanceRegistry(config, self.store)
        if remembered is None and config.now is not None:
            self.clock.set(parse_now(config.now))
            self.store.set_meta("clock_offset", repr(self.clock.offset_seconds))
        self.faults = FaultBook(
            config.seed, self.store.get_meta("faults"), lambda faults: self.store.set_meta("faults", faults)
        )
        self.throttle = Throttle(config.throttle)
        self.log = RequestLog()
        self.shelf = Shelf(directory / "advertisers")
        self.queries = Queries(
            make_engine or (lambda now: default_engine(config.seed, config.scale, now)),
            self.clock.now,
            None if config.state_dir is None else directory / "tables",
            self.shelf,
        )
        self.runner: ExecutionRunner | None = None
        self.background: Background | None = None
        #: Makes the kinds of background work; the application sets it.
        self.work: Sequence[Callable[[Emulator], Kind]] = ()
        self.audiences: AudienceRunner | None = None
        self.compilers = ThreadPoolExecutor(2, thread_name_prefix="amc-compile")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The emulator at work; its query engine warms up beside the first requests."""
        self.runner = ExecutionRunner(self.config, self.store, self.clock, self.queries, self.results)
        self.audiences = AudienceRunner(self.config, self.store, self.queries, self.instances)
        self.audiences.resume()
        self.background = Background(self.config, self.store, self.clock, [make(self) for make in self.work])
        tasks = [asyncio.create_task(part.run()) for part in (self.runner, self.background)]
        warm_up = threading.Thread(target=self._warm_up, name="amc-warm-up", daemon=True)
        timer = asyncio.get_running_loop().call_later(_WARM_UP_DELAY_SECONDS, warm_up.start)
        try:
            yield
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self.background.stop()
            await self.runner.stop()
            self.audiences.stop()
            self.compilers.shutdown(wait=False, cancel_futures=True)
            if warm_up.is_alive():
                # A thread that imports native libraries while the interpreter ends takes the process down.
                await asyncio.to_thread(warm_up.join)
            self.queries.close()
            self.store.close()
            if self._private_directory is not None:
                shutil.rmtree(self._private_directory, ignore_errors=True)

    def _warm_up(self) -> None:
        try:
            self.queries.engine()
        except Exception:
            log.exception("The query engine could not be loaded")

    def the_runner(self) -> ExecutionRunner:
        """The runner; there is one from start to stop."""
        if self.runner is None:
            raise RuntimeError("The emulator is not running.")
        return self.runner

    def the_background(self) -> Background:
        """What does announced work; there is one from start to stop."""
        if self.background is None:
            raise RuntimeError("The emulator is not running.")
        return self.background

    def the_audiences(self) -> AudienceRunner:
        """What runs the queries of audiences; there is one from start to stop."""
        if self.audiences is None:
            raise RuntimeError("The emulator is not running.")
        return self.audiences

    @functools.cached_property
    def matcher(self) -> Matcher:
        """Finds the users of identities; made when somebody needs it, for it imports much."""
        from airflow_provider_amc.emulator.identities import Matcher

        return Matcher(self.config.seed, self.config.scale)

    def terms_accepted(self) -> bool:
        """Has the user accepted the terms of AMC?"""
        return self.config.terms == "accepted" or self.store.get_meta(_TERMS_ACCEPTED) is not None

    def accept_terms(self) -> None:
        """Accept the terms of AMC for the user."""
        self.store.set_meta(_TERMS_ACCEPTED, zulu(self.clock.now()))

    async def compile(self, definition: dict[str, Any], instance_id: str) -> None:
        """Check a workflow's SQL without holding up other requests.

        :raises QueryError: with AMC's text.
        """
        loop = asyncio.get_running_loop()
        instance_type = self.instances.type_of(instance_id)
        await loop.run_in_executor(
            self.compilers,
            lambda: self.queries.compile(definition, instance_id=instance_id, instance_type=instance_type),
        )

    def truth(self, start: str | None, end: str | None) -> dict[str, Any]:
        """What queries must find in the synthetic rows; may take a while.

        :raises ValueError: these are no times, or there is no data between them.
        """
        first, last = (parse_now(text) if text else None for text in (start, end))
        return {"seed": self.config.seed, "scale": self.config.scale, **self.queries.truth(first, last)}

    def clock_state(self) -> dict[str, Any]:
        """The virtual time as JSON."""
        return {"now": zulu(self.clock.now()), "offset_seconds": self.clock.offset_seconds}

    async def clock_moved(self) -> dict[str, Any]:
        """Make everything that depends on time notice a moved clock; tells the new time."""
        self.store.set_meta("clock_offset", repr(self.clock.offset_seconds))
        self.the_runner().wake()
        self.the_background().wake()
        return self.clock_state()

    async def reset(self) -> None:
        """Back to the state of a fresh start: nothing created, no faults, empty log, clock as configured."""
        self.the_runner().clear()
        await self.the_background().forget()
        self.shelf.clear()
        self.the_audiences().clear()
        self.store.clear()
        self.faults.clear()
        self.throttle.clear()
        self.log.clear()
        self.clock.advance(-self.clock.offset_seconds)
        if self.config.now is not None:
            self.clock.set(parse_now(self.config.now))
        await asyncio.get_running_loop().run_in_executor(self.compilers, self.queries.reset)
        await self.clock_moved()

    def connection(self, base_url: str) -> dict[str, Any]:
        """The Airflow connection to this emulator.

        :param base_url: URL the emulator is reached at.
        """
        return {
            "conn_type": "amc",
            "host": base_url,
            "login": CLIENT_ID,
            "password": CLIENT_SECRET,
            "extra": {
                "refresh_token": REFRESH_TOKEN,
                "region": "NA",
                "account_id": ACCOUNT_ID,
                "marketplace_id": MARKETPLACE_ID,
                "instance_id": STANDARD_INSTANCE,
            },
        }
