"""Where the rows of a window are in S3: names from which nobody reads half a result."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_amc.landing.glue import NULL
from airflow_provider_amc.landing.table import Audit

#: Of the two folders that an execution may have in a window, one is read and the other one is not.
_SIDES = ("a", "b")


@dataclass(frozen=True)
class WindowFiles:
    """Names of the files of a window, below the folder of a table.

    No name begins with an underscore or a dot, which Athena does not read.

    :param table: what the names of all windows of the table begin with.
    :param window: folder of the window.
    :param execution: mark of the execution.
    """

    table: str
    window: str
    execution: str

    @classmethod
    def of(cls, database: str, table: str, audit: Audit) -> WindowFiles:
        """Name the files of a load.

        :param database: of the table.
        :param table: its name.
        :param audit: origin of the rows.
        """
        table_mark = f"{_mark(database, table)[:8]}-"
        window = f"{table_mark}{_mark(*partition_values(audit))[:24]}/"
        return cls(table_mark, window, _mark(audit.workflow_execution_id)[:16])

    @property
    def name(self) -> str:
        """Name of the file with the rows of the execution, in whichever folder it is."""
        return f"{self.execution}.parquet"

    def fresh(self, current: str, place: str) -> str:
        """A folder for the execution that no partition points to: the same one when a killed load is tried again.

        :param current: address that the partition points to now.
        :param place: address of the table.
        """
        folders = (f"{self.window}{self.execution}-{side}/" for side in _SIDES)
        return next(folder for folder in folders if f"{place}{folder}" != current)

    def wrote(self, name: str) -> bool:
        """Whether a name is one that a load of the table gives."""
        return bool(re.fullmatch(rf"{self.table}[0-9a-f]{{24}}/[0-9a-f]{{16}}-[ab]/[0-9a-f]{{16}}\.parquet", name))


def partition_values(audit: Audit) -> list[str]:
    """The values of :attr:`Audit.KEY` as those of a partition; times in UTC."""
    return [_text(value) for value in audit.named(Audit.KEY)]


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value) if value else NULL


def _mark(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
