"""Snowflake: Parquet in a stage, COPY INTO a temporary table, from there into the target."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcConfigurationError
from airflow_provider_amc.landing.change import TableChange
from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.loaders.session import Session, plain_row
from airflow_provider_amc.landing.sql_types import quote, sql_type
from airflow_provider_amc.landing.staging import (
    Staging,
    check_staged,
    s3_hook,
    staged_in_s3,
    staged_parts,
    staging_folder,
    staging_key,
)
from airflow_provider_amc.landing.statements import Staged, Statement
from airflow_provider_amc.landing.table import Load, TableName

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)

_STAGING = '"_AMC_STAGING"'

#: Temporary, so that its end is that of the session, however the worker ends.
_STAGE = "_AMC_STAGE"

#: A name that Snowflake takes without quotes, and stores in upper case.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")

_STAGE_NAME = re.compile(rf"{_PLAIN.pattern}(\.{_PLAIN.pattern}){{0,2}}")

#: What COPY has to be told to take values as they are (Snowflake documentation, "CREATE FILE FORMAT"): by default, a text
#: of \N would become NULL and a timestamp a number.
_FORMAT = "TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE NULL_IF = ()"

#: How Snowflake describes a text column without a limit of its own.
_UNLIMITED = re.compile(r"VARCHAR\((16777216|134217728)\)")

#: Does not exist, or may not be seen.
_NO_SUCH_OBJECT = 2003


class SnowflakeLoader(TableLoader):
    """Load with ``COPY INTO`` from a stage: an internal one that gets the parts by PUT, or S3. Temporary, unless named.

    Names follow Snowflake's own way: what needs no quotes is in upper case, so that ``SELECT campaign FROM reach`` works.

    :param hook: the hook of the Snowflake connection.
    :param staging: a stage that exists, with its S3 folder if it is an external one; or a storage integration and an S3
        folder; or nothing.
    :raises AmcConfigurationError: the integration has no folder, a name needs quotes, or both are given.
    """

    dialect = "snowflake"
    transactional_ddl = False

    def __init__(self, hook: Any, staging: Staging) -> None:
        super().__init__(hook)
        self.named = staging.stage.removeprefix("@") if staging.stage else None
        self.integration = staging.storage_integration
        self.s3: Any = None
        if self.named and self.integration:
            raise AmcConfigurationError(
                "stage and storage_integration do not go together: a stage that exists has an integration of its own. "
                "Give one of them. Nothing was read."
            )
        if self.named and not _STAGE_NAME.fullmatch(self.named):
            raise AmcConfigurationError(
                "stage has to be the name of a stage without quotes, as stage, schema.stage or database.schema.stage, "
                f"and is {staging.stage!r}. Nothing was read."
            )
        if self.integration and not _PLAIN.fullmatch(self.integration):
            raise AmcConfigurationError(
                f"storage_integration has to be a name without quotes, and is {self.integration!r}. Nothing was read."
            )
        if staging.s3 and not self.named and not self.integration:
            raise AmcConfigurationError(
                "storage_integration is missing: the integration by which Snowflake reads s3_staging, or stage, the "
                "external stage whose address that is. Give it to the operator, or leave s3_staging away: the files then "
                "go into a temporary stage of Snowflake. Nothing was read."
            )
        if self.integration or staging.s3:
            self.s3 = s3_hook(staging)
            self.folder = staging_folder(self.s3, staging)

    def load(self, load: Load, results: ExecutionResults) -> int:
        parts = tuple(part.upper() for part in load.table.parts)
        return super().load(replace(load, table=TableName(parts)), results)

    def new_name(self, name: str) -> str:
        return name.upper() if _PLAIN.fullmatch(name) else name

    def existing_columns(self, session: Session, load: Load) -> Mapping[str, str | None] | None:
        try:
            session.run(Statement(f"DESCRIBE TABLE {load.table.sql(self.dialect)}"))
        except Exception as error:
            if getattr(error, "errno", None) != _NO_SUCH_OBJECT:
                raise
            session.rollback()
            return None
        rows = map(plain_row, session.cursor.fetchall())
        return {str(row[0]): _UNLIMITED.sub("VARCHAR", str(row[1])) for row in rows} or None

    @contextmanager
    def stage(self, session: Session, load: Load, results: ExecutionResults, planned: TableChange) -> Iterator[Staged]:
        schema = load.full_schema
        kinds = [sql_type(kind, self.dialect) for kind in schema.types]
        columns = ", ".join(f"C{position} {kind}" for position, kind in enumerate(kinds))
        with self._staged(session, load, results) as (place, rows):
            session.run(Statement(f"CREATE OR REPLACE TEMPORARY TABLE {_STAGING} ({columns})"))
            read = ", ".join(f"$1:c{position}::{kind}" for position, kind in enumerate(kinds))
            session.run(
                Statement(
                    f"COPY INTO {_STAGING} FROM (SELECT {read} FROM @{place}) FILE_FORMAT = ({_FORMAT}) "  # noqa: S608
                    "ON_ERROR = ABORT_STATEMENT"
                )
            )
            (found,) = session.ask(Statement(f"SELECT COUNT(*) FROM {_STAGING}"))  # noqa: S608
            check_staged(load, found, rows)
            session.commit()
        named = ", ".join(f"C{position} AS {quote(name, self.dialect)}" for position, name in enumerate(schema.names))
        yield Staged(f"(SELECT {named} FROM {_STAGING})", audit=True, rows=rows)  # noqa: S608

    def write(self, session: Session, load: Load, change: TableChange, staged: Staged) -> None:
        if not change.rebuild:
            super().write(session, load, change, staged)
            return
        # One statement: the table is the old one or the new one, and those who may read it still may.
        named = ", ".join(
            f"s.{quote(name, self.dialect)} AS {quote(column, self.dialect)}" for name, column in change.columns.items()
        )
        table = load.table.sql(self.dialect)
        session.run(
            Statement(f"CREATE OR REPLACE TABLE {table} COPY GRANTS AS SELECT {named} FROM {staged.relation} s")  # noqa: S608
        )

    @contextmanager
    def _staged(self, session: Session, load: Load, results: ExecutionResults) -> Iterator[tuple[str, int]]:
        """Put the parts into a stage; gives their place in it, and the number of rows. Clears up at the end."""
        # In a stage that exists, others have files of their own.
        place = f"{self.named}/{staging_key(load)}/" if self.named else _STAGE
        if self.s3 is not None:
            with staged_in_s3(self.s3, self.folder, load, results) as (folder, rows):
                if not self.named:
                    session.run(
                        Statement(
                            f"CREATE OR REPLACE TEMPORARY STAGE {_STAGE} URL = '{folder}' "
                            f"STORAGE_INTEGRATION = {self.integration}"
                        )
                    )
                yield place, rows
            return
        if not self.named:
            session.run(Statement(f"CREATE OR REPLACE TEMPORARY STAGE {_STAGE}"))
            yield place, self._put(session, load, results, place)
            return
        # Left by a try that was killed.
        session.run(Statement(f"REMOVE @{place}"))
        try:
            yield place, self._put(session, load, results, place)
        except BaseException:
            # What went wrong matters more than what is left in the stage: the next try removes it.
            try:
                session.run(Statement(f"REMOVE @{place}"))
            except Exception as error:
                log.warning("Could not remove the staged files in @%s: %s", place, type(error).__name__)
            raise
        session.run(Statement(f"REMOVE @{place}"))

    def _put(self, session: Session, load: Load, results: ExecutionResults, place: str) -> int:
        rows = 0
        with closing(staged_parts(load, results)) as parts:
            for part in parts:
                session.run(Statement(f"PUT 'file://{part.path}' @{place} AUTO_COMPRESS = FALSE"))
                rows += part.rows
                log.info("Staged part %s: %s rows", part.index, part.rows)
        return rows

    def widen(self, session: Session, load: Load, name: str, kind: pa.DataType) -> None:
        table, column = load.table.sql(self.dialect), quote(name, self.dialect)
        session.run(
            Statement(f"ALTER TABLE {table} ALTER COLUMN {column} SET DATA TYPE {sql_type(kind, self.dialect)}")
        )
