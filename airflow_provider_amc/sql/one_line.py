"""A query on one line, as AMC wants it, without changing what the query says.

AMC's guides ask for SQL without tabs and line breaks. Replacing line breaks blindly breaks queries: after a ``--``
comment the rest of the query would become part of the comment. So the text is split into tokens first. The lexical
rules are those of AMC SQL (AMC API documentation, "AMC SQL", and Apache Calcite, whose parser AMC's errors come from):

* ``'text'`` with ``''`` for a quote, ``"name"`` with ``""``; a backslash is an ordinary character. Names in backticks
  are tolerated;
* ``--`` comments up to the end of the line, ``/* */`` comments, which do not nest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from airflow_provider_amc.exceptions import AmcValidationError


class TokenKind(Enum):
    """What a token is. Comments and white space are no tokens."""

    TEXT = "string literal"
    QUOTED_NAME = "quoted name"
    NUMBER = "number"
    WORD = "word"
    SYMBOL = "symbol"


class Token(NamedTuple):
    """One token of a query, as it was written.

    :param kind: what it is.
    :param text: its characters, quotes included.
    """

    kind: TokenKind
    text: str


@dataclass(frozen=True)
class PlacedToken:
    """A token and where it stands.

    :param token: the token.
    :param line: its line, from 1.
    :param column: its column, from 1.
    :param after_gap: was there white space or a comment between the token before and this one?
    """

    token: Token
    line: int
    column: int
    after_gap: bool


# A byte order mark and zero-width spaces come along when queries are pasted from documents; no AMC query means them.
_GAP = re.compile(r"[\s\ufeff\u200b]+|--[^\r\n]*|/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<TEXT>'[^']*(?:''[^']*)*'(?!'))
      |(?P<QUOTED_NAME>"[^"]*(?:""[^"]*)*"(?!")|`[^`]*(?:``[^`]*)*`(?!`))
      |(?P<NUMBER>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w$]))
      |(?P<WORD>[\w$]+)
      |(?P<SYMBOL><=|>=|<>|!=|\|\||=>|::|.)""",
    re.VERBOSE | re.DOTALL,
)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_OPENERS = {
    "'": "the string literal that starts here has no closing single quote",
    '"': "the quoted name that starts here has no closing double quote",
    "`": "the quoted name that starts here has no closing backtick",
}


def place_of(sql: str, position: int) -> tuple[int, int]:
    """Line and column of a character.

    :param sql: the query.
    :param position: index of the character, from 0.
    :returns: line and column, both from 1.
    """
    line, start = 1, 0
    for match in _LINE_BREAK.finditer(sql, 0, position):
        line, start = line + 1, match.end()
    return line, position - start + 1


def _unfinished(sql: str, position: int, what: str) -> AmcValidationError:
    line, column = place_of(sql, position)
    return AmcValidationError(f"The SQL is incomplete at line {line}, column {column}: {what}.")


def placed_tokens(sql: str) -> list[PlacedToken]:
    """Split a query into tokens, with their places.

    :param sql: the query.
    :returns: its tokens, without comments and white space.
    :raises AmcValidationError: a literal, a quoted name or a block comment is not closed. The message names the line
        and column where it starts.
    """
    found: list[PlacedToken] = []
    position, end = 0, len(sql)
    line, line_start = 1, 0
    after_gap = False
    while position < end:
        match = _GAP.match(sql, position)
        if match:
            after_gap = True
        elif sql.startswith("/*", position):
            raise _unfinished(sql, position, "the comment that starts here has no closing */")
        else:
            match = _TOKEN.match(sql, position)
            if match is None:  # the last alternative of the pattern takes any character
                raise AssertionError(position)
            token = Token(TokenKind[str(match.lastgroup)], match.group())
            if token.kind is TokenKind.SYMBOL and token.text in _OPENERS:
                raise _unfinished(sql, position, _OPENERS[token.text])
            found.append(PlacedToken(token, line, position - line_start + 1, after_gap))
            after_gap = False
        for line_break in _LINE_BREAK.finditer(sql, position, match.end()):
            line, line_start = line + 1, line_break.end()
        position = match.end()
    return found


def tokens(sql: str) -> list[Token]:
    """Split a query into tokens.

    :param sql: the query.
    :returns: its tokens, without comments and white space.
    :raises AmcValidationError: a literal, a quoted name or a block comment is not closed.
    """
    return [placed.token for placed in placed_tokens(sql)]


def one_line(sql: str) -> str:
    """Render a query on one line.

    Comments go, white space between tokens becomes one space, semicolons at the end go. String literals and quoted
    names stay as they are, byte for byte, also when they hold ``--``, ``/*`` or a line break: a line break inside a
    literal is data, so it stays, and the JSON of the request escapes it. The tokens of the result are the tokens of
    the query.

    :param sql: a query.
    :returns: the same query on one line.
    :raises AmcValidationError: the query is empty, or a literal, a quoted name or a block comment is not closed.
    """
    if not isinstance(sql, str):
        raise AmcValidationError(f"The SQL must be a string, not {type(sql).__name__}.")
    placed = placed_tokens(sql)
    while placed and placed[-1].token.text == ";":
        placed.pop()
    if not placed:
        raise AmcValidationError("The SQL is empty: it holds no query, only white space or comments.")
    parts: list[str] = []
    for item in placed:
        if parts and item.after_gap:
            parts.append(" ")
        parts.append(item.token.text)
    return "".join(parts)
