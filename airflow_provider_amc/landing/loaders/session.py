"""An open transaction of a load."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_amc.landing.statements import Statement

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A connection and the cursor of its transaction.

    :param connection: a DB-API connection without autocommit.
    :param cursor: its cursor.
    """

    connection: Any
    cursor: Any

    def run(self, statement: Statement) -> None:
        """Execute a statement. Without values, the driver gets none: only then is a percent sign just that."""
        if statement.values:
            self.cursor.execute(statement.sql, statement.values)
        else:
            self.cursor.execute(statement.sql)

    def ask(self, question: Statement) -> tuple[Any, ...]:
        """Execute a query and return its first row."""
        self.run(question)
        return plain_row(self.cursor.fetchone())

    def commit(self) -> None:
        """Commit, and go on in a new transaction."""
        self.connection.commit()

    def rollback(self) -> None:
        """Roll back, and go on in a new transaction."""
        self.connection.rollback()


@contextmanager
def transaction(connection: Any) -> Iterator[Session]:
    """Commit when the block succeeds, roll back when it does not."""
    with closing(connection.cursor()) as cursor, rolled_back_on_error(connection):
        yield Session(connection, cursor)
        connection.commit()


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


def plain_row(row: Sequence[Any] | dict[str, Any]) -> tuple[Any, ...]:
    """A row as a tuple: the connection's extra can choose the kind of cursor, and with it the kind of row."""
    return tuple(row.values()) if isinstance(row, dict) else tuple(row)
