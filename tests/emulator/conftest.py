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

    def renew(self) -> None:
        """Forget what another test did."""
        self.server.start()
        self.server.reset()
        self.server.emulator.queries.close()
        self.engines.clear()
        self.api = Api(self.server.url)

    def close(self) -> None:
        for engine in self.engines:
            engine.gate.set()
        self.server.stop()

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
        served.close()


@pytest.fixture(scope="session")
def common() -> Iterator[Served]:
    """The one server of all tests that are content with the default settings."""
    served = Served()
    yield served
    served.close()


@pytest.fixture
def served(common: Served) -> Served:
    """A server with the default settings and nothing in it."""
    common.renew()
    return common


@pytest.fixture
def api(served: Served) -> Api:
    """Calls to a server with the default settings."""
    return served.api
