"""The error of the SQL layer, in the words and with the places AMC's parser uses.

AMC's messages look like those of Apache Calcite: ``From line 38, column 10 to line 38, column 55: Object 'X' not
found`` or ``Encountered "LIMIT" at line 4, column 1.`` (public issue reports about the AMC API).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a piece of a query stands; lines and columns count from 1, the end is inclusive.

    :param line: first line.
    :param column: first column.
    :param end_line: last line.
    :param end_column: last column.
    """

    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        if (self.line, self.column) == (self.end_line, self.end_column):
            return f"At line {self.line}, column {self.column}"
        return f"From line {self.line}, column {self.column} to line {self.end_line}, column {self.end_column}"


class AmcSqlError(Exception):
    """A query that AMC would not take.

    :param message: what is wrong, in AMC's words where they are known, with the place in the query.
    :param line: line of the place, from 1.
    :param column: column of the place, from 1.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    @classmethod
    def at(cls, place: Place | None, what: str) -> AmcSqlError:
        """An error with its place in front, as Calcite's validator writes it.

        :param place: where, ``None`` when it is not known.
        :param what: what is wrong.
        :returns: the error.
        """
        if place is None:
            return cls(what)
        return cls(f"{place}: {what}", place.line, place.column)
