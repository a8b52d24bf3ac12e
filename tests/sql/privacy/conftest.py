from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_amc.emulator.engine import Engine
from tests.sql.privacy.emulated import make_engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = make_engine()
    yield made
    made.close()
