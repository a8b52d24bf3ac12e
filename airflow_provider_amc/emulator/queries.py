"""The one door to the query engine: made on first use, so that the emulator answers before it is loaded.

Everything here blocks and belongs into a worker thread.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.outputcolumns import differences
from airflow_provider_amc.emulator.owntables import OwnTables
from airflow_provider_amc.emulator.priority import give_way

if TYPE_CHECKING:
    import pyarrow

    from airflow_provider_amc.emulator.engine import CompiledQuery, Engine
    from airflow_provider_amc.emulator.shelf import Shelf
    from airflow_provider_amc.sql.privacy import Privacy

log = logging.getLogger(__name__)

#: Longest parameter value (reported by users of the API).
_PARAMETER_LIMIT = 1024
_BATCH_ROWS = 65_536
_FOR_AUDIENCES = re.compile(r"_for_audiences\b", re.IGNORECASE)
#: Workflow fields with the names of columns that the privacy engine adds, in their order.
ADDED_COLUMNS = ("filteredMetricsDiscriminatorColumn", "distinctUserCountColumn", "filteredReasonColumn")


class QueryError(Exception):
    """The query cannot be compiled or run; the text is AMC's."""


@dataclass(frozen=True)
class RunSettings:
    """What one execution adds to the definition of its workflow.

    :param window: start and end, epoch seconds.
    :param parameter_values: values of the workflow's parameters.
    :param synthetic_data: read only data sets of synthetic data (``requireSyntheticData``).
    :param uncontrolled: apply no privacy controls (``disableAggregationControls``).
    """

    window: tuple[float, float]
    parameter_values: dict[str, Any] = field(default_factory=dict)
    synthetic_data: bool = False
    uncontrolled: bool = False


def privacy_controls(definition: dict[str, Any], *, instance_type: str, run: RunSettings | None) -> Privacy | None:
    """What the privacy engine has to know of a workflow; ``None`` when nothing is protected.

    AMC applies its controls unless ``disableAggregationControls`` switches them off; only over synthetic data, so on a
    sandbox, that gives output (AMC API documentation, ``disableAggregationControls``; "AMC sandbox"). A definition for
    the sandbox is checked without them, for only its executions tell whether they are on.

    :param definition: the workflow.
    :param instance_type: ``STANDARD`` or ``SANDBOX``.
    :param run: the execution, ``None`` while a workflow is only checked.
    :returns: the settings.
    """
    if run.uncontrolled if run is not None else instance_type == "SANDBOX":
        return None
    from airflow_provider_amc.sql.privacy import REMOVE_ROWS, Privacy

    return Privacy(
        filtering=definition.get("privacyFilteringBehavior") or REMOVE_ROWS,
        discriminator=definition.get("filteredMetricsDiscriminatorColumn") or None,
        user_count=definition.get("distinctUserCountColumn") or None,
        reason=definition.get("filteredReasonColumn") or None,
    )


def default_engine(seed: int, scale: str | int, now: datetime) -> Engine:
    """The real engine; its libraries are imported here."""

    def make() -> Engine:
        from airflow_provider_amc.emulator.engine import Engine

        return Engine(seed=seed, scale=scale, now=now)

    # DuckDB's own threads inherit the priority of the thread that opens the database.
    with ThreadPoolExecutor(1, thread_name_prefix="amc-engine", initializer=give_way) as maker:
        return maker.submit(make).result()


class Queries:
    """Compiles and runs AMC SQL.

    :param make_engine: makes the engine for a virtual time.
    :param now: tells the virtual time.
    :param tables: directory that keeps loaded tables over a restart; ``None`` forgets them.
    :param shelf: the tables of advertisers.
    """

    def __init__(
        self,
        make_engine: Callable[[datetime], Engine],
        now: Callable[[], datetime],
        tables: Path | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self._make_engine = make_engine
        self._saved = OwnTables(tables)
        self._now = now
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._own_tables = self._saved.any()
        self._shelf = shelf
        self._shelf_version = 0

    @property
    def ready(self) -> bool:
        """Is the engine loaded?"""
        return self._engine is not None

    def engine(self) -> Engine:
        """The engine at the virtual time, loaded now if it was not."""
        with self._lock:
            if self._engine is None:
                self._engine = self._make_engine(self._now())
                self._shelf_version = 0
                for name, rows in self._saved.load():
                    try:
                        self._engine.load_table(name, rows)
                    except ValueError:
                        log.exception("The saved rows of the table %s cannot be loaded", name)
            else:
                self._engine.advance_to(self._now())
            if self._shelf is not None and self._shelf.any():
                self._take_from(self._shelf, self._engine)
            return self._engine

    def _take_from(self, shelf: Shelf, engine: Engine) -> None:
        """Bring what advertisers uploaded since the last look into the engine."""
        for version, instance_id, name, table in shelf.changes(self._shelf_version):
            rows = shelf.rows(instance_id, name) if table is not None else None
            if table is None or rows is None:
                engine.drop_table(instance_id, name)
            else:
                engine.keep_table(table, rows)
            self._shelf_version = version

    def truth(self, start: datetime | None = None, end: datetime | None = None) -> dict[str, Any]:
        """What queries must find in the synthetic rows.

        :raises ValueError: there is no data between these moments.
        """
        return self.engine().truth(start, end)

    def load_table(self, name: str, data: Any) -> None:
        """Replace the rows of a table by the user's own."""
        self._own_tables = True
        self.engine().load_table(name, data)
        self._saved.save(name, data)

    def reset(self) -> None:
        """Go back to the synthetic rows, should a table have been replaced.

        Waits for nothing else: an engine that is being loaded has no tables to forget.
        """
        if not self._own_tables:
            return
        with self._lock:
            if self._engine is not None:
                self._engine.forget_tables()
            self._own_tables = False
            self._saved.clear()

    def close(self) -> None:
        """Release the engine."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None

    def compile(
        self, definition: dict[str, Any], *, instance_id: str, instance_type: str, run: RunSettings | None = None
    ) -> CompiledQuery:
        """Compile a workflow's SQL and compare it with the output columns it promises.

        :param definition: the workflow.
        :param instance_id: the instance.
        :param instance_type: ``STANDARD`` or ``SANDBOX``.
        :param run: the execution; ``None`` checks a definition without running it.
        :raises QueryError: with AMC's text.
        """
        if not definition.get("sqlQuery"):
            raise QueryError("Workflows in the legacy operations format of 'query' cannot be run by this emulator.")
        declared = definition.get("inputParameters") or []
        if run is not None:
            check_values(declared, run.parameter_values)
        from airflow_provider_amc.sql.errors import AmcSqlError

        # A saved workflow may be meant for audiences, then its query is none that reporting would run
        for_audience = run is None and _FOR_AUDIENCES.search(definition["sqlQuery"]) is not None
        start, end = (_naive(moment) for moment in run.window) if run is not None else (None, None)
        try:
            compiled = self.engine().compile(
                definition["sqlQuery"],
                input_parameters=declared,
                parameter_values=run.parameter_values if run is not None else {},
                input_schema=definition.get("inputSchema"),
                sandbox=instance_type == "SANDBOX",
                instance_id=instance_id,
                privacy=None if for_audience else privacy_controls(definition, instance_type=instance_type, run=run),
                window_start=start,
                window_end=end,
                for_audience=for_audience,
            )
        except AmcSqlError as error:
            raise QueryError(str(error)) from error
        _check_promised_columns(definition, compiled)
        return compiled

    def run(
        self, compiled: CompiledQuery, window: tuple[float, float], interrupted: threading.Event
    ) -> Iterator[pyarrow.RecordBatch]:
        """Run a compiled query over a window.

        :param compiled: the query.
        :param window: start and end, epoch seconds.
        :param interrupted: set by another thread to end the query early.
        :returns: the rows in batches, none of them empty.
        :raises QueryError: with AMC's text, at the first row or later.
        """
        from airflow_provider_amc.sql.errors import AmcSqlError

        start, end = (_naive(moment) for moment in window)
        try:
            rows: Any = self.engine().run(compiled, window_start=start, window_end=end, interrupted=interrupted)
            batches = rows.to_batches(max_chunksize=_BATCH_ROWS) if hasattr(rows, "to_batches") else rows
            for batch in batches:
                if batch.num_rows:
                    yield batch
        except AmcSqlError as error:
            raise QueryError(str(error)) from error


def _naive(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)


def check_values(declared: list[dict[str, Any]], values: dict[str, Any]) -> None:
    """Check the values that a run gives to the parameters of its query.

    :param declared: the parameters.
    :param values: their values.
    :raises QueryError: one is missing or too long.
    """
    for parameter in declared:
        name = parameter.get("name")
        if name not in values and parameter.get("defaultValue") is None:
            raise QueryError(f"No value was provided for the workflow parameter {name} and it has no default value.")
    for name, value in values.items():
        if isinstance(value, str) and len(value) > _PARAMETER_LIMIT:
            raise QueryError(
                f"The value of the workflow parameter {name} exceeded maximum allowed length of {_PARAMETER_LIMIT}."
            )


def _check_promised_columns(definition: dict[str, Any], compiled: CompiledQuery) -> None:
    promised = definition.get("outputColumns")
    if not promised:
        return
    added = [str(definition.get(name)) for name in ADDED_COLUMNS]
    found = differences(promised, [column.to_api() for column in compiled.output_columns], optional=added)
    if found:
        raise QueryError(f"The output of the query does not match outputColumns: {'; '.join(found)}.")
