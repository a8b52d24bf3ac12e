"""Any other database with a DB-API hook: batched inserts with bound parameters."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.change import TableChange
from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.loaders.session import Session
from airflow_provider_amc.landing.reader import record_batches
from airflow_provider_amc.landing.sql_types import quote
from airflow_provider_amc.landing.statements import Staged, Statement, stand_in
from airflow_provider_amc.landing.table import Load, TableName

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)

#: Rows handed to the driver at a time.
_BATCH = 1000

#: Names of dialects that sqlglot and SQLAlchemy spell differently.
_SQLGLOT_NAMES = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql"}


#: Dialects in which a change of structure is part of the transaction, whatever the driver does.
_TRANSACTIONAL_DDL = {"postgres", "redshift", "tsql"}


class DbApiLoader(TableLoader):
    """Load through the connection's own driver.

    Rows are staged in a table beside the target, so that the target is touched by a few statements in one transaction,
    however long the download takes. The hook's ``insert_rows`` is not used: it commits chunk by chunk and logs the
    values of a chunk that fails. The types of existing columns are not known here: what does not fit, the database
    refuses.
    """

    def __init__(self, hook: Any) -> None:
        super().__init__(hook)
        self.dialect = _known_dialect(str(getattr(hook, "dialect_name", "") or ""))
        self.transactional_ddl = self.dialect in _TRANSACTIONAL_DDL

    def existing_columns(self, session: Session, load: Load) -> Mapping[str, str | None] | None:
        columns = self._columns(session, load.table)
        if load.mode == "replace_table" and not self.transactional_ddl:
            columns = self._clear_up(session, load, columns)
        return columns

    def _clear_up(
        self, session: Session, load: Load, columns: Mapping[str, str | None] | None
    ) -> Mapping[str, str | None] | None:
        """Finish what a load left that was killed while it put a new table in the place of the old one."""
        new, old = self.statements.stand_ins(load.table)
        former = self._columns(session, old)
        if former is not None and columns is None:
            session.run(self.statements.rename(old, load.table))
        elif former is not None:
            session.run(self.statements.drop(old.sql(self.dialect)))
        session.run(self.statements.drop(new.sql(self.dialect), if_exists=True))
        session.commit()
        return former if columns is None else columns

    def _columns(self, session: Session, table: TableName) -> Mapping[str, str | None] | None:
        try:
            session.cursor.execute(f"SELECT * FROM {table.sql(self.dialect)} WHERE 1 = 0")  # noqa: S608
        except Exception:
            # DB-API has no error class for a missing table; if it is another problem, CREATE TABLE tells.
            session.rollback()
            return None
        columns = {column[0]: None for column in session.cursor.description}
        session.rollback()
        return columns

    @contextmanager
    def stage(self, session: Session, load: Load, results: ExecutionResults, planned: TableChange) -> Iterator[Staged]:
        name = stand_in("staging", load.table, load.audit.workflow_execution_id)
        staging = self.staging_table(load, name)
        session.run(self.statements.drop(staging, if_exists=True))
        session.run(self.statements.create(staging, self.stored_schema(load.full_schema), prefix=self.create_staging))
        try:
            staged = Staged(staging, audit=True, rows=self._fill(session, load, staging, results))
            session.commit()
            self._check_count(session, load, staged)
            yield staged
            session.commit()
        except BaseException:
            with suppress(Exception):
                session.rollback()
            raise
        finally:
            self._drop(session, staging)

    #: How the statement begins that creates the staging table.
    create_staging = "CREATE TABLE"

    def staging_table(self, load: Load, name: str) -> str:
        """The quoted name of the staging table: beside the target, where the user may create tables."""
        return load.table.sibling(name).sql(self.dialect)

    def _drop(self, session: Session, staging: str) -> None:
        try:
            session.run(self.statements.drop(staging))
            session.commit()
        except Exception as error:
            # The rows are in the target, or the error that kept them from there matters more.
            log.warning("Could not drop the staging table %s: %s", staging, type(error).__name__)

    def _fill(self, session: Session, load: Load, staging: str, results: ExecutionResults) -> int:
        names = ", ".join(self._bound_name(name) for name in load.full_schema.names)
        marks = ", ".join([self.placeholder] * len(load.full_schema))
        insert = f"INSERT INTO {staging} ({names}) VALUES ({marks})"  # noqa: S608
        audit = self.bound(load.audit.values())
        rows = 0
        with closing(record_batches(results, load.schema)) as batches:
            for chunk in _chunks(batches):
                columns = [self.bound(column.to_pylist()) for column in chunk.columns]
                values = [(*row, *audit) for row in zip(*columns, strict=True)]
                session.cursor.executemany(insert, values)
                rows += len(values)
        return rows

    def _check_count(self, session: Session, load: Load, staged: Staged) -> None:
        """Check that nobody else filled the staging table, such as a try of the same task that is still alive."""
        (found,) = session.ask(Statement(f"SELECT COUNT(*) FROM {staged.relation}"))  # noqa: S608
        if found != staged.rows:
            raise AmcLoadError(
                f"The staging table for {load.table} has {found} rows instead of {staged.rows}: another task loads the "
                "same execution at this moment. Nothing was loaded."
            )

    def _bound_name(self, name: str) -> str:
        quoted = quote(name, self.dialect)
        return quoted.replace("%", "%%") if self.placeholder.startswith("%") else quoted


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH):
            yield batch.slice(start, _BATCH)


def _known_dialect(name: str) -> str:
    from sqlglot.dialects.dialect import Dialect

    name = _SQLGLOT_NAMES.get(name, name)
    return name if name and Dialect.get(name) else ""
