"""What every loader does: check, create, replace and insert in one transaction, and never show a value."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcError, AmcLoadError
from airflow_provider_amc.landing.loaders.errors import without_values
from airflow_provider_amc.landing.table import Audit, Load, create_table, quote

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)


class TableLoader:
    """Load a result into a table of one kind of database.

    A subclass says how to look up columns and how rows get in; the order of steps and the transaction are the same for
    all. Any error rolls the transaction back, so the table is either as before or holds the whole result.

    :param hook: the connection's hook.
    """

    #: sqlglot's name of the SQL dialect.
    dialect = ""

    #: Are column names that differ only in case different columns?
    case_sensitive = False

    def __init__(self, hook: DbApiHook) -> None:
        self.hook = hook

    @property
    def placeholder(self) -> str:
        """How a bound parameter is written."""
        return str(self.hook.placeholder)

    def load(self, load: Load, results: ExecutionResults) -> int:
        """Load all rows of a result.

        :param load: target, columns, origin and mode.
        :param results: the result files of the execution.
        :returns: number of rows loaded.
        :raises AmcLoadError: the result does not fit, or the database refused it. The table is as it was before.
        """
        with closing(self._connected(load)) as connection:
            try:
                existing = self.existing_columns(connection, load)
                if existing is not None:
                    self.check_fit(load, existing)
                with self.transaction(connection) as cursor:
                    return self.write(cursor, load, results, create=existing is None)
            except (AmcError, OSError):
                raise
            except Exception as error:
                # Any class, because drivers do not keep to the DB-API's errors, and any of them may quote a row.
                problem = without_values(error, [*load.full_schema.names, *load.table.parts])
                raise AmcLoadError(
                    f"{type(self.hook).__name__} could not load into {load.table}: {problem}. "
                    "The transaction was rolled back, the table is as it was before."
                ) from None

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

    def check_fit(self, load: Load, existing: Mapping[str, str | None]) -> None:
        """Check that the result fits into the table.

        :raises AmcLoadError: it does not.
        """
        load.check_fit(existing, case_sensitive=self.case_sensitive)

    def connect(self) -> Any:
        """Open the DB-API connection, without autocommit."""
        connection = self.hook.get_conn()
        if self.hook.supports_autocommit:
            self.hook.set_autocommit(connection, False)
        return connection

    def existing_columns(self, connection: Any, load: Load) -> Mapping[str, str | None] | None:
        """Return the columns of the target with their types, or ``None`` when there is no such table."""
        raise NotImplementedError

    def write(self, cursor: Any, load: Load, results: ExecutionResults, *, create: bool) -> int:
        """Write the rows inside the open transaction."""
        raise NotImplementedError

    @contextmanager
    def transaction(self, connection: Any) -> Iterator[Any]:
        """Commit when the block succeeds, roll back when it does not."""
        with closing(connection.cursor()) as cursor, rolled_back_on_error(connection):
            yield cursor
            connection.commit()

    def prepare(self, cursor: Any, load: Load, *, create: bool) -> None:
        """Create the table if it is missing and remove the rows that this load replaces."""
        table = load.table.sql(self.dialect)
        if create:
            cursor.execute(self.create_statement(table, load.full_schema))
            log.info("Created table %s with %s columns", load.table, len(load.full_schema))
        elif load.mode == "replace_table":
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - the name is quoted
        elif load.mode == "replace_window":
            matches = " AND ".join(f"{quote(name, self.dialect)} = {self.placeholder}" for name in Audit.KEY)
            cursor.execute(f"DELETE FROM {table} WHERE {matches}", self.bound(load.audit.key_values()))  # noqa: S608

    def create_statement(self, table: str, schema: pa.Schema) -> str:
        """The statement that creates the target."""
        return create_table(table, schema, self.dialect)

    def bound(self, values: Sequence[Any]) -> Sequence[Any]:
        """Turn Python values into those that the driver takes as parameters."""
        return values

    def column_list(self, load: Load) -> str:
        """The quoted column names of the result and the audit columns, for a statement with bound parameters."""
        return ", ".join(self.bound_name(name) for name in load.full_schema.names)

    def bound_name(self, name: str) -> str:
        """Quote a column name for a statement with bound parameters."""
        quoted = quote(name, self.dialect)
        return quoted.replace("%", "%%") if self.placeholder.startswith("%") else quoted


@contextmanager
def rolled_back_on_error(connection: Any) -> Iterator[None]:
    """Roll a connection back when the block fails, whatever ends it, and keep the error of the block."""
    try:
        yield
    except BaseException:
        try:
            connection.rollback()
        except Exception as error:
            # A lost connection cannot roll back, and need not: the server does. What matters is why it was lost.
            log.debug("Roll back failed: %s", type(error).__name__)
        raise
