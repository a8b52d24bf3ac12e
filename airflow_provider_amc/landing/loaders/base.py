"""What every loader does: look, stage, change, replace, in one transaction, and never show a value."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcError, AmcLoadError
from airflow_provider_amc.landing.change import TableChange, plan_change
from airflow_provider_amc.landing.loaders.errors import without_values
from airflow_provider_amc.landing.loaders.session import Session, transaction
from airflow_provider_amc.landing.sql_types import sql_type
from airflow_provider_amc.landing.statements import Staged, Statements
from airflow_provider_amc.landing.table import Load

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)


class TableLoader:
    """Load a result into a table of one kind of database.

    The steps are the same for all: look at the table, stage the rows where the database can select from them, take the
    lock, change the structure, then delete, insert or update by mode, in one transaction. A subclass says how rows get
    staged and how columns are looked up. Any error rolls the transaction back, so that the table has either the rows
    from before or those of the whole result.

    :param hook: the connection's hook.
    """

    #: sqlglot's name of the SQL dialect.
    dialect = ""

    #: Are column names that differ only in case different columns?
    case_sensitive = False

    #: Is a change of structure rolled back with the transaction?
    transactional_ddl = True

    #: Digits of the longest decimal that the database has.
    max_precision = 38

    def __init__(self, hook: DbApiHook) -> None:
        self.hook = hook

    @property
    def placeholder(self) -> str:
        """How a bound parameter is written."""
        return str(self.hook.placeholder)

    @property
    def statements(self) -> Statements:
        """Writes the statements of this database."""
        return Statements(self.dialect, self.placeholder, self.bound)

    def check_mode(self, mode: str) -> None:
        """Nothing: every mode is one of SQL."""

    def load(self, load: Load, results: ExecutionResults) -> int:
        """Load all rows of a result.

        :param load: target, columns, origin, mode and policy.
        :param results: the result files of the execution.
        :returns: number of rows of the result.
        :raises AmcLoadError: the result does not fit, or the database refused it. The rows are as they were before.
        """
        with closing(self._connected(load)) as connection:
            try:
                with self.transaction(connection) as session:
                    return self._load(session, load, results)
            except (AmcError, OSError):
                raise
            except Exception as error:
                # Any class, because drivers do not keep to the DB-API's errors, and any of them may quote a row.
                problem = without_values(error, [*load.full_schema.names, *load.table.parts])
                raise AmcLoadError(
                    f"{type(self.hook).__name__} could not load into {load.table}: {problem}. "
                    "The transaction was rolled back, the rows of the table are as they were before."
                ) from None

    def _load(self, session: Session, load: Load, results: ExecutionResults) -> int:
        self.check_names(load)
        existing = self.existing_columns(session, load)
        # Before anything is downloaded: it may not fit.
        planned = self.plan(load, existing)
        with self.stage(session, load, results, planned) as staged:
            change = self.plan(load, self.lock(session, load, existing))
            if load.mode == "upsert":
                self._check_keys(session, load, staged)
            self.apply(session, load, change, staged)
        return staged.rows

    # --- what a database does its own way -----------------------------------------------------------------------------

    def connect(self) -> Any:
        """Open the DB-API connection, without autocommit."""
        connection = self.hook.get_conn()
        if self.hook.supports_autocommit:
            self.hook.set_autocommit(connection, False)
        return connection

    def transaction(self, connection: Any) -> AbstractContextManager[Session]:
        """Commit when the block succeeds, roll back when it does not."""
        return transaction(connection)

    def check_names(self, load: Load) -> None:
        """Check that the database can have columns of these names.

        :raises AmcLoadError: it cannot.
        """

    def existing_columns(self, session: Session, load: Load) -> Mapping[str, str | None] | None:
        """Return the columns of the target with their types, or ``None`` when there is no such table."""
        raise NotImplementedError

    def stage(
        self, session: Session, load: Load, results: ExecutionResults, planned: TableChange
    ) -> AbstractContextManager[Staged]:
        """Put the rows where the database can select from them; clear up at the end of the block.

        May commit: nothing of the target has been touched.

        :param planned: what the load does with the table as far as can be said now: others may change it meanwhile.
        """
        raise NotImplementedError

    def lock(
        self, session: Session, load: Load, existing: Mapping[str, str | None] | None
    ) -> Mapping[str, str | None] | None:
        """Make other loads of the table wait, and say what columns it has now.

        Only now, with the rows staged: a lock held during the download would make loads of other windows wait for it.

        :param existing: its columns before the rows were staged. Returned as they are by databases without such a lock.
        """
        return existing

    def bound(self, values: Sequence[Any]) -> Sequence[Any]:
        """Turn Python values into those that the driver takes as parameters."""
        return values

    def stored_schema(self, schema: pa.Schema) -> pa.Schema:
        """The types by which this database stores a result, where they are not those of the result."""
        return schema

    def new_name(self, name: str) -> str:
        """The name of a new column for a column of the result, in the way of this database."""
        return name

    # --- the same for all ---------------------------------------------------------------------------------------------

    def plan(self, load: Load, existing: Mapping[str, str | None] | None) -> TableChange:
        """Compare the result with the table.

        :raises AmcLoadError: it does not fit.
        """
        return plan_change(
            replace(load, schema=self.stored_schema(load.schema)),
            existing,
            case_sensitive=self.case_sensitive,
            max_precision=self.max_precision,
            new_name=self.new_name,
        )

    def _new_columns(self, schema: pa.Schema) -> pa.Schema:
        """Columns of a result as new columns of a table."""
        return pa.schema([pa.field(self.new_name(field.name), field.type) for field in self.stored_schema(schema)])

    def apply(self, session: Session, load: Load, change: TableChange, staged: Staged) -> None:
        """Change the table: its structure, then its rows."""
        self.restructure(session, load, change, staged)
        self.write(session, load, change, staged)

    def restructure(self, session: Session, load: Load, change: TableChange, staged: Staged) -> None:
        """Create the table, or change its columns. Before any row of it is touched: many databases commit on that."""
        sql, table = self.statements, load.table.sql(self.dialect)
        if change.ignored:
            log.warning(
                "Table %s does not have the columns %s: they are not loaded (schema_policy='freeze')",
                load.table, ", ".join(change.ignored),
            )  # fmt: skip
        if change.create or (change.rebuild and self.transactional_ddl):
            if change.rebuild:
                session.run(sql.drop(table))
            session.run(sql.create(table, self._new_columns(load.full_schema)))
            log.info("Created table %s with %s columns", load.table, len(load.full_schema))
        for column in change.added:
            session.run(sql.add_column(load.table, self._new_columns(pa.schema([column])).field(0)))
            log.info("Added column %s to table %s", column.name, load.table)
        widened = dict(change.widened) | self._outgrown(session, change, staged)
        for name, kind in widened.items():
            self.widen(session, load, name, kind)
            log.info("Widened column %s of table %s to %s", name, load.table, sql_type(kind, self.dialect))

    def widen(self, session: Session, load: Load, name: str, kind: pa.DataType) -> None:
        """Give a column of the target a wider type."""
        session.run(self.statements.widen_column(load.table, name, kind))

    def write(self, session: Session, load: Load, change: TableChange, staged: Staged) -> None:
        """Put the staged rows into the table."""
        sql = self.statements
        if not change.rebuild or self.transactional_ddl:
            for statement in sql.rows(load, change, staged):
                session.run(statement)
            return
        new, _ = sql.stand_ins(load.table)
        session.run(sql.drop(new.sql(self.dialect), if_exists=True))
        session.run(sql.create(new.sql(self.dialect), self._new_columns(load.full_schema)))
        session.run(sql.insert(load, change, staged, into=new))
        for statement in sql.swap(load.table, new):
            session.run(statement)

    def _outgrown(self, session: Session, change: TableChange, staged: Staged) -> dict[str, pa.DataType]:
        """Text columns with a limit that a value of the result exceeds, by their name in the table."""
        if not change.limited:
            return {}
        longest = session.ask(self.statements.longest(change.limited, staged))
        return {
            change.columns[name]: pa.string()
            for (name, limit), length in zip(change.limited.items(), longest, strict=True)
            if (length or 0) > limit
        }

    def _check_keys(self, session: Session, load: Load, staged: Staged) -> None:
        """Check that the keys tell the rows of the result apart.

        :raises AmcLoadError: a key is NULL, or several rows have the same.
        """
        keys = ", ".join(load.keys)
        (missing,) = session.ask(self.statements.rows_without_key(load, staged))
        if missing:
            raise AmcLoadError(
                f"{missing} rows of the result have no value in a key ({keys}), so it cannot be said which row of "
                f"{load.table} they update. AMC leaves cells empty that it suppresses: filter these rows out in the "
                "query, or choose other keys. Nothing was loaded."
            )
        (repeated,) = session.ask(self.statements.repeated_keys(load, staged))
        if repeated:
            raise AmcLoadError(
                f"{repeated} keys ({keys}) occur in several rows of the result, so it cannot be said which of them "
                f"{load.table} gets. Add the columns that tell the rows apart to keys, or aggregate in the query. "
                "Nothing was loaded."
            )

    def _connected(self, load: Load) -> Any:
        try:
            return self.connect()
        except (AmcError, OSError, ImportError):
            raise
        except Exception as error:
            problem = without_values(error, load.table.parts)
            raise AmcLoadError(
                f"{type(self.hook).__name__} could not connect to load into {load.table}: {problem}. "
                "Nothing was loaded."
            ) from None
