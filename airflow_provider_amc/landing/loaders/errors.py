"""Database errors in words that hold no value of a row: results are confidential, and drivers like to quote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: Where a quoted text may begin: not at the apostrophe inside of a word.
_QUOTE = re.compile(r"(?<!\w)'|[\"`]")

#: Numbers and byte values that stand alone; those within a name, such as INT64 or ORA-12899, stay.
_NUMBER = re.compile(r"(?<![\w-])[-+]?\d[\w.,:+-]*")

#: Errors raised by a user's own trigger or procedure: their text can be anything (PostgreSQL class P0).
_USERS_OWN = "P0"

_COPY_CONTEXT = re.compile(r"COPY [^,]+, line (\d+)(?:, column (.+))?", re.DOTALL)


def without_values(error: BaseException, names: Iterable[str] = ()) -> str:
    """Describe a database error.

    :param error: what the driver raised.
    :param names: names that may be shown: of the table, its columns.
    :returns: the class of the error, its SQLSTATE, and its first line without numbers and without quoted texts other
        than ``names``; for PostgreSQL also the line of the file and the column.
    """
    diagnostics = getattr(error, "diag", None)
    fields = _fields(error)
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or fields.get("C")
    known = {name for name in names if name}
    known |= {
        str(name)
        for field in ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name")
        if (name := getattr(diagnostics, field, None))
    }
    label = f"{type(error).__name__}{f' {state}' if state else ''}"
    if state and str(state).startswith(_USERS_OWN):
        return f"{label}, raised by a trigger or a function"
    text = getattr(diagnostics, "message_primary", None) or fields.get("M") or str(error)
    return f"{label}: {_masked(text, known)}{_place(getattr(diagnostics, 'context', None), known)}"


def _fields(error: BaseException) -> dict[str, str]:
    """The fields of a server's answer, which Amazon's Redshift driver gives as a dictionary."""
    given = error.args[0] if error.args else None
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}


def _masked(text: str, known: set[str]) -> str:
    pieces = []
    for piece, shown in _pieces(text.strip(), known):
        pieces.append(piece if shown else _NUMBER.sub("…", piece))
    return "".join(pieces).partition("\n")[0].strip().rstrip(".")


def _pieces(text: str, known: set[str]) -> Iterator[tuple[str, bool]]:
    position = 0
    while match := _QUOTE.search(text, position):
        quote = match[0]
        yield text[position : match.start()], False
        name = next((name for name in known if text.startswith(f"{quote}{name}{quote}", match.start())), None)
        if name is not None:
            position = match.start() + len(name) + 2
            yield f"{quote}{name}{quote}", True
            continue
        # Up to the last quote, because a value may hold quotes of its own, and line breaks.
        end = text.rfind(quote)
        yield f"{quote}…{quote}", True
        position = end + 1 if end > match.start() else len(text)
    yield text[position:], False


def _place(context: str | None, known: set[str]) -> str:
    match = _COPY_CONTEXT.match(context or "")
    if match is None:
        return ""
    column = next((name for name in known if match[2] and re.match(rf"{re.escape(name)}(?::|\n|$)", match[2])), None)
    return f" (line {match[1]} after the header{f', column {column!r}' if column else ''})"
