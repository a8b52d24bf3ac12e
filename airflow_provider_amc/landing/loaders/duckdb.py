"""DuckDB: record batches go in through Arrow, without a detour over Python values."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.change import TableChange
from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.loaders.session import Session, rolled_back_on_error
from airflow_provider_amc.landing.reader import record_batches
from airflow_provider_amc.landing.statements import Staged
from airflow_provider_amc.landing.table import Load

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)

#: Seconds to wait for another process that has the database file open: DuckDB admits one writing process at a time.
LOCK_PATIENCE = 300.0

_RETRY_EVERY = 1.0

_VIEW = "_amc_result"
_STAGING = "_amc_staging"


class DuckDBLoader(TableLoader):
    """Load into a DuckDB database file."""

    dialect = "duckdb"
    placeholder = "?"

    def __init__(
        self,
        hook: Any,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(hook)
        self._sleep = sleep
        self._clock = clock

    def connect(self) -> Any:
        import duckdb

        deadline = self._clock() + LOCK_PATIENCE
        told = False
        while True:
            try:
                return self.hook.get_conn()
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise
                if self._clock() >= deadline:
                    raise AmcLoadError(
                        f"The DuckDB file stayed open in another process for {LOCK_PATIENCE:.0f} s, and DuckDB admits "
                        "one writing process at a time. Close the other one, or let the tasks that load into this file "
                        "run one at a time (a pool with one slot). Nothing was loaded."
                    ) from error
                if not told:
                    log.info("The DuckDB file is open in another process; waiting up to %.0f s for it", LOCK_PATIENCE)
                    told = True
                self._sleep(_RETRY_EVERY)

    @contextmanager
    def transaction(self, connection: Any) -> Iterator[Session]:
        # Not on connection.cursor(): in DuckDB that is another connection, without the settings of this one.
        with _in_any_order(connection):
            connection.begin()
            with rolled_back_on_error(connection):
                yield Session(connection, connection)
                connection.commit()

    def existing_columns(self, session: Session, load: Load) -> Mapping[str, str | None] | None:
        import duckdb

        try:
            rows = session.cursor.execute(f"DESCRIBE {load.table.sql(self.dialect)}").fetchall()
        except duckdb.CatalogException:
            # An error ends the transaction. Nothing has been done in it.
            session.rollback()
            session.connection.begin()
            return None
        if any(row[1] == "TIMESTAMP WITH TIME ZONE" for row in rows):
            # The loader's times are UTC and carry no zone.
            session.cursor.execute("SET TimeZone = 'UTC'")
        return {row[0]: row[1] for row in rows}

    @contextmanager
    def stage(self, session: Session, load: Load, results: ExecutionResults, planned: TableChange) -> Iterator[Staged]:
        staged = Staged(_VIEW)
        rows = _Rows(load, results, staged)
        session.cursor.register(_VIEW, pa.RecordBatchReader.from_batches(load.schema, rows))
        try:
            if load.mode == "upsert":
                # Keys are checked and matched, which takes the rows more than once.
                session.cursor.execute(f"CREATE TEMP TABLE {_STAGING} AS SELECT * FROM {_VIEW}")  # noqa: S608
                staged.relation = _STAGING
            yield staged
        except Exception:
            if rows.error is not None:
                raise rows.error from None
            raise


@contextmanager
def _in_any_order(connection: Any) -> Iterator[None]:
    """Let threads write rows as they have them: a table has no order, and keeping one takes a fifth more time."""
    import duckdb

    setting = "preserve_insertion_order"
    (kept,) = connection.execute(f"SELECT current_setting('{setting}')").fetchone()
    try:
        connection.execute(f"SET {setting} = false")
    except duckdb.Error:
        # The user has locked the settings.
        yield
        return
    try:
        yield
    finally:
        # Other connections of the process to the same file share it.
        with suppress(duckdb.Error):
            connection.execute(f"SET {setting} = {kept}")


class _Rows:
    """The rows of a load, counted as they are read.

    Keeps the error that ended them: DuckDB turns whatever is raised here into an error of its own.
    """

    def __init__(self, load: Load, results: ExecutionResults, staged: Staged) -> None:
        self._load = load
        self._staged = staged
        self._results = results
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            with closing(record_batches(self._results, self._load.schema)) as batches:
                for batch in batches:
                    self._staged.rows += batch.num_rows
                    yield batch
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise
