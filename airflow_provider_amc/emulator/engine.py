"""The query engine of the emulator: AMC SQL over synthetic or loaded rows, in one DuckDB database in memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from airflow_provider_amc.emulator.data import truth
from airflow_provider_amc.emulator.data.facts import Facts
from airflow_provider_amc.emulator.data.scale import impressions_of
from airflow_provider_amc.emulator.data.tabledata import beyond_reach
from airflow_provider_amc.emulator.tables import TableRegistry
from airflow_provider_amc.sql import catalogue
from airflow_provider_amc.sql.compiler import Compiled, compile_query
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.macros import add_python_functions, create_statements, needs_python
from airflow_provider_amc.sql.privacy import Privacy
from airflow_provider_amc.sql.types import SqlType, from_duckdb

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.shelf import AdvertiserTable

__all__ = ["AmcSqlError", "CompiledQuery", "Engine", "OutputColumn"]

#: AMC keeps 13 months of events.
_KEPT_MONTHS = 13
#: Conversions of the first days come from ads shown before; those days are made, too, but not shown.
_WARM_UP = dt.timedelta(days=30)
_BATCH_ROWS = 50_000
_WATCH_SECONDS = 0.05
#: With one thread a query, rows and elements of arrays come in the same order each time. Little data loses no time by it,
#: and queries still run beside each other, each in the thread that asked.
_ONE_THREAD_IMPRESSIONS = 100_000


@dataclass(frozen=True)
class OutputColumn:
    """A column of a result (AMC API documentation, ``outputColumns`` of an execution).

    :param name: its name.
    :param data_type: such as ``LONG``.
    :param column_type: ``DIMENSION`` or ``METRIC``.
    :param precision: of a DECIMAL.
    :param scale: of a DECIMAL.
    """

    name: str
    data_type: str
    column_type: str
    precision: int | None = None
    scale: int | None = None

    def to_api(self) -> dict[str, object]:
        """The column as the API writes it."""
        shown: dict[str, object] = {
            "name": self.name,
            "columnType": self.column_type,
            "dataType": self.data_type,
        }
        if self.precision is not None:
            shown["dataTypePrecision"] = self.precision
            shown["dataTypeScale"] = self.scale or 0
        return shown


@dataclass(frozen=True)
class CompiledQuery:
    """A query that can be run.

    :param output_columns: its columns, in order.
    :param tables: names of the tables it reads.
    """

    output_columns: tuple[OutputColumn, ...]
    tables: tuple[str, ...]
    _sql: str = field(repr=False)
    _parameters: frozenset[str] = field(repr=False)


def _naive(moment: dt.datetime) -> dt.datetime:
    """A moment without time zone, UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment


def _months_before(moment: dt.datetime, months: int) -> dt.datetime:
    number = moment.year * 12 + moment.month - 1 - months
    year, month = divmod(number, 12)
    day = min(moment.day, (dt.date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1) - dt.timedelta(days=1)).day)
    return dt.datetime(year, month + 1, day)


class Engine:
    """Compiles and runs AMC SQL. May be used by several threads.

    Cheap to make: the database and the rows come with the first use.

    :param seed: seed of the synthetic rows.
    :param scale: ``tiny`` (10 thousand impressions in 13 months), ``small`` (100 thousand), ``medium`` (1 million),
        ``large`` (10 million), or any number between.
    :param now: the present; no row lies after it.
    :raises ValueError: there is no such scale.
    """

    def __init__(self, *, seed: int = 7, scale: str | int = "small", now: dt.datetime) -> None:
        self._seed = seed
        self._now = _naive(now)
        self._lock = threading.RLock()
        config: dict[str, Any] = {"autoload_known_extensions": False, "autoinstall_known_extensions": False}
        # What does not fit into memory goes to files, else in the working directory: a user's repository, maybe
        config["temp_directory"] = str(Path(tempfile.gettempdir()) / f"amc-emulator-{uuid.uuid4().hex}")
        # Memory that queries needed goes back to the system when they have ended
        config["allocator_background_threads"] = True
        if impressions_of(scale) <= _ONE_THREAD_IMPRESSIONS:
            config["threads"] = 1
        self._connection = duckdb.connect(":memory:", config=config)
        self._facts = Facts(self._connection, seed, scale)
        self._ready = False
        self._has_python_functions = False
        self._tables = TableRegistry()

    # --- the database --------------------------------------------------------------------------------------------

    def _prepare(self, *, rows: bool) -> None:
        """Make the database on first use, and the synthetic rows up to the present when they are read."""
        with self._lock:
            if not self._ready:
                run = self._connection.execute
                run("SET TimeZone = 'UTC'")
                for statement in create_statements():
                    run(statement)
                self._facts.create()
                # From here on nothing in the database reaches files, the network or its own settings
                run("SET enable_external_access = false")
                run("SET lock_configuration = true")
                self._ready = True
            if rows:
                self._facts.fill(_months_before(self._now, _KEPT_MONTHS).date() - _WARM_UP, self._now.date())

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            return self._connection.cursor()

    def advance_to(self, now: dt.datetime) -> None:
        """Move the present, forward or back; rows of other months come with the next query.

        :param now: the new present. Rows do not depend on it.
        """
        with self._lock:
            self._now = _naive(now)

    def close(self) -> None:
        """Release the database."""
        with self._lock:
            self._connection.close()

    # --- queries -------------------------------------------------------------------------------------------------

    def compile(
        self,
        sql: str,
        *,
        input_parameters: Sequence[Mapping[str, Any]] = (),
        parameter_values: Mapping[str, object] | None = None,
        input_schema: str | None = None,
        sandbox: bool = False,
        instance_id: str = "",
        privacy: Privacy | None = Privacy(),  # noqa: B008 (a frozen value)
        window_start: dt.datetime | None = None,
        window_end: dt.datetime | None = None,
        for_audience: bool = False,
    ) -> CompiledQuery:
        """Compile a query.

        :param sql: the query.
        :param input_parameters: the declared parameters of the workflow, as in the API.
        :param parameter_values: their values. Without values and without a window only the query and the declarations
            are checked, as when a workflow is created.
        :param input_schema: schema of table names without one, such as ``sandbox``.
        :param sandbox: only the tables of a sandbox instance exist.
        :param instance_id: the instance, for the tables of its advertisers.
        :param privacy: how rows of too few users are treated. ``None`` switches the privacy controls off, as a sandbox
            can: then the output need not even be aggregated.
        :param window_start: start of the run's window, ``None`` while there is no run.
        :param window_end: its end.
        :param for_audience: the query is that of an audience, which reads the twins of AMC's tables and nothing else of
            them; other queries cannot read those.
        :returns: the query, ready to run.
        :raises AmcSqlError: AMC would not take it.
        """
        self._prepare(rows=False)
        only_check = window_start is None and not parameter_values
        with self._lock:
            find = self._tables.finder(
                input_schema, sandbox=sandbox, instance_id=instance_id, for_audience=for_audience
            )
        compiled = compile_query(
            sql,
            find,
            input_parameters=input_parameters,
            parameter_values=None if only_check else parameter_values or {},
            privacy=privacy,
        )
        return self._described(compiled)

    def _described(self, compiled: Compiled) -> CompiledQuery:
        cursor = self._cursor()
        self._add_python_functions(compiled.sql)
        try:
            statement = cursor.extract_statements(compiled.sql)[0]
            parameters = frozenset(statement.named_parameters)
            moment = self._now
            values = self._values(parameters, moment, moment)
            described = cursor.execute(f"DESCRIBE {compiled.sql}", values).fetchall()
        except duckdb.Error as error:
            raise AmcSqlError(f"The query cannot be executed: {_first_line(error)}") from error
        finally:
            cursor.close()
        columns = []
        for bound, (_, kind, *_) in zip(compiled.fields, described, strict=True):
            found = from_duckdb(str(kind))
            if bound.type.kind in ("FLOAT", "BYTE", "SHORT", "NULL"):
                found = SqlType("STRING") if bound.type.kind == "NULL" else bound.type
            columns.append(_output_column(bound.name, found, bound.metric))
        return CompiledQuery(tuple(columns), compiled.tables, compiled.sql, parameters)

    def _add_python_functions(self, sql: str) -> None:
        """Add the functions that run in Python when a query first needs one; they load numpy."""
        with self._lock:
            if not self._has_python_functions and needs_python(sql):
                add_python_functions(self._connection)
                self._has_python_functions = True

    def _values(self, names: frozenset[str], start: dt.datetime, end: dt.datetime) -> dict[str, object]:
        known: dict[str, object] = {
            "window_start": start,
            "window_end": end,
            "now": self._now,
            "oldest": _months_before(self._now, _KEPT_MONTHS),
            "seed": self._seed,
        }
        return {name: known[name] for name in names}

    def run(
        self,
        compiled: CompiledQuery,
        *,
        window_start: dt.datetime,
        window_end: dt.datetime,
        interrupted: threading.Event | None = None,
    ) -> Iterator[Any]:
        """Run a query.

        :param compiled: the query.
        :param window_start: first moment of its window, UTC.
        :param window_end: first moment after it.
        :param interrupted: set it to stop the query; then no more rows come.
        :returns: the rows as record batches of pyarrow.
        :raises AmcSqlError: the query fails on the rows, for example on a number that is too large.
        """
        if interrupted is not None and interrupted.is_set():
            return
        self._prepare(rows=self._tables.synthetic(compiled.tables))
        cursor = self._cursor()
        watcher = _Watcher(cursor, interrupted)
        try:
            values = self._values(compiled._parameters, _naive(window_start), _naive(window_end))
            yield from _batches(cursor, compiled._sql, values)
        # What goes wrong behind the first batch comes out of pyarrow's reader, as an OSError
        except (duckdb.Error, OSError) as error:
            if interrupted is not None and interrupted.is_set():
                return
            raise AmcSqlError(f"The query failed: {_first_line(error)}") from error
        finally:
            watcher.stop()
            cursor.close()

    def count_users(
        self,
        compiled: CompiledQuery,
        *,
        window_start: dt.datetime,
        window_end: dt.datetime,
        interrupted: threading.Event | None = None,
    ) -> int:
        """Count the users that a query selects as ``user_id`` and that ads can reach.

        Of the synthetic users these are the ones whose ``user_id_type`` is ``adUserId`` (AMC documentation, "Rule-based
        audiences"); those of loaded rows all count.

        :param compiled: the query.
        :param window_start: first moment of its window, UTC.
        :param window_end: first moment after it.
        :param interrupted: set it to stop the query; the number then means nothing.
        :raises AmcSqlError: the query fails on the rows.
        """
        sql = (
            f"SELECT COUNT(DISTINCT user_id) AS n FROM ({compiled._sql})"
            f" WHERE CAST(user_id AS VARCHAR) NOT IN ({beyond_reach(self._facts.audiences.users)})"
        )
        counted = CompiledQuery((), compiled.tables, sql, compiled._parameters | {"seed"})
        rows = self.run(counted, window_start=window_start, window_end=window_end, interrupted=interrupted)
        return sum(sum(batch.column(0).to_pylist()) for batch in rows)

    def truth(self, start: dt.datetime | None = None, end: dt.datetime | None = None) -> dict[str, Any]:
        """What queries must find in the synthetic rows, known without AMC SQL; see :mod:`.data.truth`.

        :param start: first moment, UTC; the oldest one if not given.
        :param end: first moment after it; the present if not given.
        :returns: the layout is in the guide to the emulator.
        :raises ValueError: no moment of the data lies between them.
        """
        self._prepare(rows=True)
        with self._lock:
            now, cursor = self._now, self._connection.cursor()
        try:
            oldest = _months_before(now, _KEPT_MONTHS)
            first = max(oldest, _naive(start or oldest))
            last = min(now, _naive(end or now))
            if first >= last:
                raise ValueError(f"There is no data from {first} to {last}: it reaches from {oldest} to {now}")
            return truth.published(cursor, self._seed, self._facts.audiences, first, last)
        finally:
            cursor.close()

    # --- tables --------------------------------------------------------------------------------------------------

    def data_sources(self, *, sandbox: bool = False, instance_id: str = "") -> list[dict[str, Any]]:
        """The tables that queries may read, as the API's ``DataSource`` objects.

        :param sandbox: those of a sandbox instance, whose names begin with their schema.
        :param instance_id: the instance, for the tables of its advertisers.
        """
        with self._lock:
            return self._tables.data_sources(sandbox=sandbox, instance_id=instance_id)

    def keep_table(self, table: AdvertiserTable, rows: Any) -> None:
        """Take an advertiser's table, in place of the one of that name before.

        :param table: what it is.
        :param rows: its rows, a pyarrow table with at least its columns.
        """
        self._prepare(rows=False)
        with self._lock:
            self._tables.keep(self._connection, table, rows)

    def drop_table(self, instance_id: str, name: str) -> None:
        """Forget an advertiser's table."""
        with self._lock:
            self._tables.drop(self._connection, instance_id, name)

    def load_table(self, name: str, data: Any) -> None:
        """Replace the rows of a table by the user's own.

        Columns that are not given are NULL. Names that AMC does not have make a table of their own, like an upload of
        an advertiser. The audience twin shows the same rows.

        :param name: name of the table.
        :param data: a pyarrow table, a pandas data frame, or a list of mappings.
        :raises ValueError: a column is unknown to the table, or a value does not fit its column.
        """
        self._prepare(rows=False)
        with self._lock:
            self._tables.load(self._connection, name, data)

    def forget_tables(self) -> None:
        """Bring the synthetic rows back, should :meth:`load_table` have replaced some."""
        with self._lock:
            self._tables.clear(self._connection)


def _first_line(error: Exception) -> str:
    line = str(error).strip().splitlines()[0]
    # A function in Python says what is wrong behind DuckDB's own words about it
    return line.partition("executing the UDF: ")[2].partition(": ")[2] or line


def _output_column(name: str, kind: SqlType, metric: bool) -> OutputColumn:
    role = catalogue.METRIC if metric and kind.is_number else catalogue.DIMENSION
    if kind.kind == "DECIMAL":
        return OutputColumn(name, "DECIMAL", role, kind.precision, kind.scale)
    return OutputColumn(name, kind.kind, role)


def _batches(cursor: duckdb.DuckDBPyConnection, sql: str, values: dict[str, object]) -> Iterator[Any]:
    relation: Any = cursor.sql(sql, params=values)
    # The method has another name since DuckDB 1.4
    reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    yield from reader(_BATCH_ROWS)


class _Watcher:
    """Interrupts a query when an event is set, without a thread for queries that nobody may interrupt."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, event: threading.Event | None) -> None:
        self._cursor = cursor
        self._event = event
        self._done = threading.Event()
        if event is not None:
            threading.Thread(target=self._watch, args=(event,), daemon=True).start()

    def _watch(self, event: threading.Event) -> None:
        while not self._done.is_set():
            # Again and again: an interruption that comes before the query has begun is lost
            if event.wait(_WATCH_SECONDS) and not self._done.wait(_WATCH_SECONDS):
                with contextlib.suppress(duckdb.Error):
                    self._cursor.interrupt()

    def stop(self) -> None:
        self._done.set()
