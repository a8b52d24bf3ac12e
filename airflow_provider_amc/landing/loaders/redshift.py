"""Amazon Redshift: Parquet in S3, COPY into a temporary table, from there into the target."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError
from airflow_provider_amc.landing.change import TableChange
from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.loaders.session import Session, plain_row
from airflow_provider_amc.landing.sql_types import quote
from airflow_provider_amc.landing.staging import Staging, check_staged, numbered, s3_hook, staged_in_s3, staging_folder
from airflow_provider_amc.landing.statements import Staged, Statement, stand_in
from airflow_provider_amc.landing.table import Load, TableName

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

_STAGING = TableName(("_amc_staging",))

#: One role, or a chain of them.
_ROLES = re.compile(
    r"default|arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+(,arn:aws[a-z-]*:iam::\d{12}:role/[\w+=.@/-]+)*"
)

#: Bytes after which Redshift refuses a name (Redshift documentation, "Names and identifiers").
_NAME_LIMIT = 127

# Not information_schema, which lists what the current user owns. Names are stored in lower case, unless the cluster
# tells cases apart.
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname IN (%s, %s) AND {where} AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""


class RedshiftLoader(TableLoader):
    """Load with ``COPY ... FROM 's3://...' FORMAT AS PARQUET``: the cluster reads the files, the worker waits.

    :param hook: the hook of the Redshift connection.
    :param staging: S3 folder, its connection, and the role by which the cluster reads it.
    :raises AmcConfigurationError: a folder or a role is missing.
    """

    dialect = "redshift"
    placeholder = "%s"

    def __init__(self, hook: Any, staging: Staging) -> None:
        super().__init__(hook)
        self.s3 = s3_hook(staging)
        self.folder = staging_folder(self.s3, staging)
        self.role = _role(staging, self.s3.conn_config.extra_config)

    def check_names(self, load: Load) -> None:
        if len(load.table.parts) > 2:
            raise AmcLoadError(
                f"Redshift loads into the database of the connection, and {load.table} names one. Write the table as "
                "schema.table, and the database into the connection. Nothing was changed."
            )
        too_long = [name for name in load.schema.names if len(name.encode()) > _NAME_LIMIT]
        if too_long:
            raise AmcLoadError(
                f"A name in Redshift has up to {_NAME_LIMIT} bytes, and these have more: {', '.join(too_long)}. Give "
                "the columns shorter aliases in the query. Nothing was changed."
            )

    def existing_columns(self, session: Session, load: Load) -> Mapping[str, str | None] | None:
        *schema, table = load.table.parts
        where = "n.nspname IN (%s, %s)" if schema else "pg_table_is_visible(c.oid)"
        values = [spelling for name in (table, *schema) for spelling in (name, name.lower())]
        session.run(Statement(_COLUMNS.format(where=where), tuple(values)))
        rows = map(plain_row, session.cursor.fetchall())
        return {str(name): str(kind) for name, kind in rows} or None

    @contextmanager
    def stage(self, session: Session, load: Load, results: ExecutionResults, planned: TableChange) -> Iterator[Staged]:
        # Held open during the download, the transaction would see the target as it was at its beginning.
        session.commit()
        sql, staging = self.statements, _STAGING.sql(self.dialect)
        with staged_in_s3(self.s3, self.folder, load, results) as (folder, rows):
            # A session of its own, whose end drops the table.
            session.run(sql.create(staging, _readable(numbered(load.full_schema)), prefix="CREATE TEMPORARY TABLE"))
            role = "default" if self.role == "default" else f"'{self.role}'"
            session.run(Statement(f"COPY {staging} FROM '{folder}' IAM_ROLE {role} FORMAT AS PARQUET"))
            (found,) = session.ask(Statement(f"SELECT COUNT(*) FROM {staging}"))  # noqa: S608
            check_staged(load, found, rows)
            session.commit()
        columns = ", ".join(
            f"c{position} AS {quote(name, self.dialect)}" for position, name in enumerate(load.full_schema.names)
        )
        # With the audit columns in it, no statement binds values beside names of the result: the driver takes a percent
        # sign in quotes as it is, doubled or not.
        yield Staged(f"(SELECT {columns} FROM {staging})", audit=True, rows=rows)  # noqa: S608

    def lock(
        self, session: Session, load: Load, existing: Mapping[str, str | None] | None
    ) -> Mapping[str, str | None] | None:
        if existing is not None:
            # The first statement of the transaction: whoever waits here sees what the other one has loaded
            # (Redshift documentation, "Serializable isolation").
            session.run(Statement(f"LOCK TABLE {load.table.sql(self.dialect)}"))
        return self.existing_columns(session, load)

    def widen(self, session: Session, load: Load, name: str, kind: pa.DataType) -> None:
        # Redshift changes no type but the length of a VARCHAR, and that not in a transaction.
        table, column = load.table.sql(self.dialect), quote(name, self.dialect)
        wide = stand_in("wide", name)
        session.run(self.statements.add_column(load.table, pa.field(wide, kind)))
        new = quote(wide, self.dialect)
        session.run(Statement(f"UPDATE {table} SET {new} = {column}"))  # noqa: S608
        session.run(Statement(f"ALTER TABLE {table} DROP COLUMN {column}"))
        session.run(Statement(f"ALTER TABLE {table} RENAME COLUMN {new} TO {column}"))


def _readable(schema: pa.Schema) -> pa.Schema:
    """Parquet has no integers of less than four bytes, and COPY reads none into a shorter column."""
    short = (pa.int8(), pa.int16())
    return pa.schema([pa.field(field.name, pa.int32() if field.type in short else field.type) for field in schema])


def _role(staging: Staging, extra: Mapping[str, Any]) -> str:
    role = staging.iam_role_arn or extra.get("role_arn")
    if not role:
        raise AmcConfigurationError(
            "iam_role_arn is missing: the role by which Redshift reads the staged files from S3, attached to the "
            "cluster or the namespace. Give it to the operator, or the extra of the connection "
            f"{staging.aws_conn_id!r} a role_arn; iam_role_arn='default' takes the default role of the cluster. "
            "Nothing was read."
        )
    if not _ROLES.fullmatch(role):
        raise AmcConfigurationError(
            f"iam_role_arn has to be the ARN of a role, arn:aws:iam::<account>:role/<name>, or 'default', and is "
            f"{role!r}. Nothing was read."
        )
    return str(role)
