"""What every loader does: check, create, replace and insert in one transaction, and never show a value."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcError, AmcLoadError
from airflow_provider_amc.landing.table import Audit, Load, create_table, quote

if TYPE_CHECKING:
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
        with closing(self.connect()) as connection:
            try:
                existing = self.existing_columns(connection, load)
                if existing is not None:
                    load.check_fit(existing)
                with self.transaction(connection) as cursor:
                    return self.write(cursor, load, results, create=existing is None)
            except AmcError:
                raise
            except Exception as error:
                if not _from_database(error):
                    raise
                raise AmcLoadError(
                    f"{type(self.hook).__name__} could not load into {load.table}: {without_values(error)}. "
                    "The transaction was rolled back, the table is as it was before."
                ) from None

    def connect(self) -> Any:
        """Open the DB-API connection."""
        return self.hook.get_conn()

    def existing_columns(self, connection: Any, load: Load) -> Mapping[str, str | None] | None:
        """Return the columns of the target with their types, or ``None`` when there is no such table."""
        raise NotImplementedError

    def write(self, cursor: Any, load: Load, results: ExecutionResults, *, create: bool) -> int:
        """Write the rows inside the open transaction."""
        raise NotImplementedError

    @contextmanager
    def transaction(self, connection: Any) -> Iterator[Any]:
        """Commit when the block succeeds, roll back when it does not."""
        with closing(connection.cursor()) as cursor:
            try:
                yield cursor
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def prepare(self, cursor: Any, load: Load, *, create: bool) -> None:
        """Create the table if it is missing and remove the rows that this load replaces."""
        table = load.table.sql(self.dialect)
        if create:
            cursor.execute(create_table(table, load.full_schema, self.dialect, prefix="CREATE TABLE IF NOT EXISTS"))
            log.info("Created table %s with %s columns", load.table, len(load.full_schema))
        if load.mode == "replace_table":
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - the name is quoted
        elif load.mode == "replace_window":
            matches = " AND ".join(f"{quote(name, self.dialect)} = {self.placeholder}" for name in Audit.KEY)
            cursor.execute(f"DELETE FROM {table} WHERE {matches}", load.audit.key_values())  # noqa: S608

    def column_list(self, load: Load) -> str:
        """The quoted column names of the result and the audit columns, for an INSERT."""
        return ", ".join(quote(name, self.dialect) for name in load.full_schema.names)


def without_values(error: BaseException) -> str:
    """Describe a database error without the cell values that drivers like to quote."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    first = str(error).strip().partition("\n")[0]
    text = re.sub(r"'[^']*'", "'...'", re.sub(r':\s*".*"', "", first))
    return f"{type(error).__name__}{f' {state}' if state else ''}: {text}"


def _from_database(error: BaseException) -> bool:
    # DB-API drivers have error trees of their own, all rooted in a class named Error (PEP 249).
    return any(base.__name__ == "Error" and base.__module__ != "builtins" for base in type(error).__mro__)
