"""A Redshift to run statements against: its SQL is parsed in its dialect and run by PostgreSQL, COPY reads from S3."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from tests.landing.loaders.interruption import Steps

ROLE = "arn:aws:iam::123456789012:role/amc-copy"


def parsed(statement: str) -> exp.Expression:
    """The statement as a tree of the Redshift dialect; what sqlglot cannot read is an error."""
    if re.fullmatch(r'LOCK TABLE "\w+"(\."\w+")?', statement):
        # sqlglot has no tree for this one.
        return exp.Command(this="LOCK", expression=statement.removeprefix("LOCK "))
    tree = sqlglot.parse_one(statement, read="redshift", error_level=sqlglot.ErrorLevel.RAISE)
    assert not isinstance(tree, exp.Command), statement
    return tree


class Cursor:
    """Runs what is in the dialect of Redshift."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection.real.cursor()

    def execute(self, statement: str, values: Sequence[Any] | None = None) -> None:
        self._connection.statements.append((statement, values))
        tree = parsed(statement)
        self._connection.steps.take(statement, lambda: self._run(tree, statement, values))

    def _run(self, tree: exp.Expression, statement: str, values: Sequence[Any] | None) -> None:
        if isinstance(tree, exp.Copy):
            self._copy(tree)
            return
        for kind in tree.find_all(exp.DataType):
            if kind.sql("redshift") == "VARCHAR(MAX)":
                kind.replace(exp.DataType.build("TEXT"))
        text = statement if isinstance(tree, exp.Command) else tree.sql("postgres")
        self._cursor.execute(text, values)

    def _copy(self, tree: exp.Copy) -> None:
        assert tree.args["credentials"].args["iam_role"].name == ROLE
        assert [(param.name, param.expression.name) for param in tree.args["params"]] == [("FORMAT", "PARQUET")]
        (source,) = tree.args["files"]
        bucket, _, prefix = source.name.removeprefix("s3://").partition("/")
        table = tree.this.sql("postgres")
        # Whatever has been loaded before, COPY adds to it.
        for key in sorted(self._connection.s3.list_keys(bucket, prefix=prefix)):
            data = self._connection.s3.get_key(key, bucket).get()["Body"].read()
            rows = pq.read_table(io.BytesIO(data))
            with self._cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                    copy.write_row([format(value, "f") if isinstance(value, Decimal) else value for value in row])

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> Any:
        return self._cursor.fetchall()

    def close(self) -> None:
        self._cursor.close()


class Connection:
    """A connection of Amazon's driver, as much as a load uses."""

    def __init__(self, real: psycopg.Connection[Any], s3: Any, steps: Steps, statements: list[Any]) -> None:
        self.real = real
        self.s3 = s3
        self.steps = steps
        self.statements = statements

    def cursor(self) -> Cursor:
        return Cursor(self)

    def commit(self) -> None:
        self.steps.take("commit", self.real.commit)

    def rollback(self) -> None:
        self.steps.take("rollback", self.real.rollback)

    def close(self) -> None:
        # Also when the worker dies: the operating system does it.
        self.real.close()


class Hook:
    """The hook of a Redshift connection, as much as a load uses."""

    conn_type = "redshift"
    supports_autocommit = True
    placeholder = "%s"

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], s3: Any, steps: Steps | None = None) -> None:
        self._connect = connect
        self._s3 = s3
        self.steps = steps or Steps()
        self.statements: list[tuple[str, Sequence[Any] | None]] = []

    def get_conn(self) -> Connection:
        return Connection(self._connect(), self._s3, self.steps, self.statements)

    def set_autocommit(self, connection: Connection, autocommit: bool) -> None:
        connection.real.autocommit = autocommit
