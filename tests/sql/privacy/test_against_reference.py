"""The engine gives what the reference gives, for random rows and queries.

``AMC_PRIVACY_EXAMPLES=5000 pytest tests/sql/privacy`` looks for longer; then each run has examples of its own.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, note, reject, settings
from hypothesis import strategies as st

from airflow_provider_amc.emulator.engine import Engine
from tests.sql.privacy import emulated, shapes, tables
from tests.sql.privacy.decision import Mode, shown
from tests.sql.privacy.evaluate import TooManyRows, evaluate

_EXAMPLES = os.environ.get("AMC_PRIVACY_EXAMPLES")

MODES = [
    Mode(),
    Mode(user_count=True),
    Mode("REMOVE_VALUES"),
    Mode("REMOVE_VALUES", user_count=True, reason=True),
    Mode(discriminator=True),
    Mode("REMOVE_VALUES", discriminator=True, user_count=True, reason=True),
]


@pytest.mark.covers("rule", "Aggregation thresholds")
@settings(
    max_examples=int(_EXAMPLES or 60),
    derandomize=not _EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(example=shapes.examples(), modes=st.permutations(MODES))
def test_the_engine_agrees_with_the_reference(engine: Engine, example: shapes.Example, modes: list[Mode]) -> None:
    try:
        relation = evaluate(example.query, tables.relations(example.data))
    except TooManyRows:
        reject()
    emulated.load(engine, example.data, example.sql)
    for mode in modes[:2]:
        note(str(mode))
        expected = shown(relation, mode)
        assert emulated.as_multiset(emulated.rows(engine, example.sql, mode)) == emulated.as_multiset(expected)
