"""What the compiler asks of the tables that a query may read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_amc.sql.scopes import Field

#: Name of a column that no query can write: a cheap key of the user behind a row, NULL where there is none. It has
#: the same number of distinct values as the column with the user.
USER_KEY = "$user"


class TableSource(Protocol):
    """A table that a query may name."""

    @property
    def name(self) -> str:
        """Its name, as AMC writes it."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """Its columns by lower-case name."""

    @property
    def user_column(self) -> str | None:
        """Lower-case name of the column with the user behind a row, ``None`` when the rows are not about users."""

    def read(self, columns: Sequence[str], start: str, end: str) -> str:
        """DuckDB SQL of a query for some columns of the rows in a time window.

        :param columns: names of the columns to return; may be empty, the rows count all the same. A table with users
            also has :data:`USER_KEY`.
        :param start: DuckDB SQL of the first moment of the window.
        :param end: DuckDB SQL of the first moment after it.
        """


#: Finds a table by schema (``None`` without one) and name; ``None`` when there is no such table.
TableFinder = Callable[[str | None, str], TableSource | None]


@dataclass(frozen=True)
class Extension:
    """How far a table is read beyond the window of the run: DuckDB intervals before and after."""

    before: str
    after: str


_DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
_UNITS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")


def interval_of(duration: str) -> str:
    """An ISO-8601 duration such as ``P14D`` as DuckDB interval.

    :param duration: the duration.
    :returns: DuckDB SQL.
    :raises ValueError: it is no duration.
    """
    match = _DURATION.fullmatch(duration.strip())
    if match is None or not any(match.groups()):
        raise ValueError(duration)
    parts = [f"{amount} {unit}" for amount, unit in zip(match.groups(), _UNITS, strict=True) if amount]
    return f"INTERVAL '{' '.join(parts)}'"
