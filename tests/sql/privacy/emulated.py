"""The same questions to the emulator's engine."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_amc.emulator.engine import CompiledQuery, Engine
from airflow_provider_amc.sql.privacy import Privacy
from tests.sql.privacy.decision import Mode
from tests.sql.privacy.tables import Data

WINDOW = {"window_start": dt.datetime(2026, 3, 1), "window_end": dt.datetime(2026, 4, 1)}
#: Names of the appended columns.
FILTERED, USERS, REASON = "filtered", "du_count", "why"


def make_engine() -> Engine:
    """An engine for many tests; each loads the rows it needs."""
    return Engine(seed=1, scale="tiny", now=dt.datetime(2026, 6, 15, tzinfo=dt.UTC))


def privacy(mode: Mode) -> Privacy:
    """A mode in the engine's words."""
    return Privacy(
        filtering=mode.filtering,
        discriminator=FILTERED if mode.discriminator else None,
        user_count=USERS if mode.user_count else None,
        reason=REASON if mode.reason else None,
    )


def load(engine: Engine, data: Data, sql: str) -> None:
    """Give a query's tables their rows."""
    for name, rows in data.items():
        if name in sql:
            engine.load_table(name, list(rows))


def compiled(engine: Engine, sql: str, mode: Mode | None = None, **kwargs: Any) -> CompiledQuery:
    """Compile a query for a mode, or without privacy controls."""
    return engine.compile(sql, privacy=None if mode is None else privacy(mode), **WINDOW, **kwargs)


def rows(engine: Engine, sql: str, mode: Mode | None = None, **kwargs: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    batches = engine.run(compiled(engine, sql, mode, **kwargs), **WINDOW)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def as_multiset(found: Sequence[Sequence[object]]) -> Mapping[tuple[str | bool | None, ...], int]:
    """Rows whose order says nothing and whose numbers are equal to nine digits."""
    return Counter(tuple(_comparable(value) for value in row) for row in found)


def _comparable(value: Any) -> str | bool | None:
    if value is None or isinstance(value, str | bool):
        return value
    # 0.0 is added because a sum may be minus zero
    return format(round(float(value), 9) + 0.0, ".9g")
