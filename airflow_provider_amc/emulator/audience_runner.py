"""Runs the queries of audiences. When an audience is ready is decided by virtual time, see :mod:`.audience_state`."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_amc.emulator.audience_state import LOOKALIKE, Outcome, QueryAudience
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.priority import give_way
from airflow_provider_amc.emulator.queries import Queries, QueryError, check_values
from airflow_provider_amc.emulator.registry import InstanceRegistry
from airflow_provider_amc.emulator.store import Store

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.engine import CompiledQuery

KIND = "query_audience"
#: Largest seed of a lookalike audience.
MOST_SEED_USERS = 500_000

log = logging.getLogger(__name__)


class AudienceRunner:
    """Runs the queries of audiences. Every method is called in the event loop's thread.

    :param config: limits of an audience.
    :param store: where audiences are kept.
    :param queries: the query engine.
    :param instances: tells the types of instances.
    """

    def __init__(self, config: EmulatorConfig, store: Store, queries: Queries, instances: InstanceRegistry) -> None:
        self._config = config
        self._store = store
        self._queries = queries
        self._instances = instances
        self._interrupted = threading.Event()
        self._under_way: set[tuple[str, int, int]] = set()
        self._pool = ThreadPoolExecutor(config.query_threads, thread_name_prefix="amc-audience", initializer=give_way)

    @property
    def under_way(self) -> int:
        """How many queries run or wait."""
        return len(self._under_way)

    def resume(self) -> None:
        """Run what had not run when the emulator was stopped."""
        for _, body in self._store.all_documents(KIND):
            audience = QueryAudience.load(body)
            if audience.outcome is None:
                self.begin(audience)

    def begin(self, audience: QueryAudience, refresh: int = 0) -> None:
        """Run the query of an audience, unless that is under way.

        :param audience: the audience, which is kept.
        :param refresh: number of the refresh.
        """
        key = (audience.id, audience.attempt, refresh)
        if key in self._under_way:
            return
        self._under_way.add(key)
        interrupted = self._interrupted
        job = asyncio.get_running_loop().run_in_executor(self._pool, self._run, audience, refresh, interrupted)

        def done(finished: asyncio.Future[Outcome]) -> None:
            self._under_way.discard(key)
            if not finished.cancelled() and not interrupted.is_set():
                self._keep(audience, refresh, finished)

        job.add_done_callback(done)

    def clear(self) -> None:
        """Forget what is under way."""
        self._interrupted.set()
        self._interrupted = threading.Event()
        self._under_way.clear()

    def stop(self) -> None:
        """Interrupt the queries that run."""
        self._interrupted.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _keep(self, audience: QueryAudience, refresh: int, job: asyncio.Future[Outcome]) -> None:
        error = job.exception()
        if error is not None:
            log.error("Audience %s failed inside the emulator", audience.id, exc_info=error)
        outcome = job.result() if error is None else Outcome(failure=f"The emulator failed: {error}")
        body = self._store.get_document(KIND, audience.instance_id, audience.id)
        if body is None or body["attempt"] != audience.attempt:
            return
        kept = QueryAudience.load(body)
        if refresh and outcome.failure is not None:
            # The members it had stay, as nothing is known of audiences that fail behind their first run
            outcome = Outcome(kept.outcome.users if kept.outcome else 0)
        outcome.refresh = refresh
        kept.outcome = outcome
        self._store.replace_document(KIND, kept.instance_id, kept.id, kept.dump())

    # -- in a worker thread --------------------------------------------------------------------------------------------
    def _run(self, audience: QueryAudience, refresh: int, interrupted: threading.Event) -> Outcome:
        window = tuple(datetime.fromtimestamp(one, UTC).replace(tzinfo=None) for one in audience.window_of(refresh))
        from airflow_provider_amc.sql.errors import AmcSqlError

        try:
            compiled = self._compiled(audience, *window)
            users = self._queries.engine().count_users(
                compiled, window_start=window[0], window_end=window[1], interrupted=interrupted
            )
        except (AmcSqlError, QueryError) as error:
            return Outcome(failure=str(error))
        return Outcome(users, self._too_few_or_many(audience, users))

    def _compiled(self, audience: QueryAudience, start: datetime, end: datetime) -> CompiledQuery:
        values = audience.definition.get("parameterValues") or {}
        check_values(audience.parameters, values)
        compiled = self._queries.engine().compile(
            audience.sql,
            input_parameters=audience.parameters,
            parameter_values=values,
            input_schema=audience.input_schema,
            sandbox=self._instances.type_of(audience.instance_id) == "SANDBOX",
            instance_id=audience.instance_id,
            privacy=None,
            window_start=start,
            window_end=end,
            for_audience=True,
        )
        if "user_id" not in {column.name.lower() for column in compiled.output_columns}:
            raise QueryError("Invalid columns in the SQL query: The query must select user_id.")
        return compiled

    def _too_few_or_many(self, audience: QueryAudience, users: int) -> str | None:
        if audience.kind == LOOKALIKE:
            least = self._config.min_seed_users
            if not least <= users <= MOST_SEED_USERS:
                return f"The seed of a lookalike audience needs {least} to {MOST_SEED_USERS} users, but it has {users}."
            return None
        least = self._config.min_audience_users
        return None if users >= least else f"An audience needs at least {least} users, but this one has {users}."
