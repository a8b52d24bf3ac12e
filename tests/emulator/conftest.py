from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from tests.emulator.api import Api
from tests.emulator.standin import StandIn


class Served:
    """A server with its stand-in engine and calls to it."""

    def __init__(self, **settings: Any) -> None:
        self.engines: list[StandIn] = []

        def make(now: datetime) -> Any:
            self.engines.append(StandIn(now))
            return self.engines[-1]

        self.server = EmulatorServer(port=0, make_engine=make, **settings).start()
        self.api = Api(self.server.url)

    @property
    def engine(self) -> StandIn:
        self.server.emulator.queries.engine()
        return self.engines[-1]


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Starts servers with the settings a test gives."""
    started: list[Served] = []

    def start(**settings: Any) -> Served:
        started.append(Served(**settings))
        return started[-1]

    yield start
    for served in started:
        for engine in served.engines:
            engine.gate.set()
        served.server.stop()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A server with the default settings."""
    return serve()


@pytest.fixture
def api(served: Served) -> Api:
    """Calls to a server with the default settings."""
    return served.api
