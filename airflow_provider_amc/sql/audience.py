"""Queries of audiences: the tables they read, and the same question put to the tables of reports.

Source: AMC API documentation, "Rule-based audiences": an audience is made of tables whose names end in
``_for_audiences``, each the twin of a table that reports read.
"""

from __future__ import annotations

from airflow_provider_amc.sql.one_line import PlacedToken, TokenKind, placed_tokens

#: Ending of the tables that audiences are made of.
TWIN = "_for_audiences"

_NAMES = (TokenKind.WORD, TokenKind.QUOTED_NAME)


def audience_tables(sql: str) -> list[str]:
    """Name the tables of audiences that a query mentions, each once.

    :param sql: the query.
    """
    found = [item.token.text.strip('"`') for item in placed_tokens(sql) if _is_twin(item)]
    return [*dict.fromkeys(found)]


def counting_query(sql: str) -> str:
    """Write the query that counts the users of an audience over the tables of reports, on one line.

    :param sql: the query of the audience, which selects ``user_id``.
    """
    parts: list[str] = []
    for item in placed_tokens(sql):
        text = item.token.text
        if _is_twin(item):
            closing = text[-1] if item.token.kind is TokenKind.QUOTED_NAME else ""
            text = text.removesuffix(closing)[: -len(TWIN)] + closing
        parts.append(f" {text}" if parts and item.after_gap else text)
    query = "".join(parts).rstrip("; ")
    return f"SELECT COUNT(DISTINCT user_id) AS users FROM ({query}) AS audience"  # noqa: S608 - the user's own query


def _is_twin(item: PlacedToken) -> bool:
    return item.token.kind in _NAMES and item.token.text.strip('"`').lower().endswith(TWIN)
