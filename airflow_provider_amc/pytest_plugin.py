"""The pytest plugin: the fixture ``amc_emulator``, a local AMC for the tests of a pipeline.

pytest imports this module in every run of an environment that has the provider, so it imports nothing; the emulator
comes with the first test that asks for it. One server is kept for the tests of a process and emptied between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.config import EmulatorConfig
    from airflow_provider_amc.emulator.server import EmulatorServer
    from airflow_provider_amc.testing import AmcEmulator

_MARKER = "amc_emulator"
#: Servers that stay warm: the usual one, and one with the settings that differ last.
_KEPT = 2


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**settings): settings of the AMC emulator for this test, such as seed=11, speed='realistic' or "
        "now='2026-03-11T06:00:00Z'; see docs/emulator.md of airflow-provider-amc.",
    )


class _Servers:
    """The servers of this process, most recently used last."""

    def __init__(self) -> None:
        self._running: list[EmulatorServer] = []

    def get(self, config: EmulatorConfig) -> EmulatorServer:
        """A server with these settings and nothing in it."""
        from airflow_provider_amc.emulator.server import EmulatorServer

        server = next((server for server in self._running if server.config == config), None)
        if server is None:
            server = EmulatorServer(config)
        else:
            self._running.remove(server)
        self._running.append(server)
        while len(self._running) > _KEPT:
            self._running.pop(0).stop()
        server.start()
        server.reset()
        return server

    def stop(self) -> None:
        while self._running:
            self._running.pop().stop()


@pytest.fixture(scope="session")
def amc_emulator_settings() -> dict[str, Any]:
    """Settings of the emulator for all tests; override this fixture in ``conftest.py`` to change them."""
    return {}


@pytest.fixture(scope="session")
def _amc_emulator_servers() -> Iterator[_Servers]:
    servers = _Servers()
    yield servers
    servers.stop()


@pytest.fixture
def amc_emulator(
    request: pytest.FixtureRequest, amc_emulator_settings: Mapping[str, Any], _amc_emulator_servers: _Servers
) -> Iterator[AmcEmulator]:
    """A local AMC on a free port, empty at the start of the test.

    ``@pytest.mark.amc_emulator(seed=11)`` changes its settings for a test.
    """
    config = _config(request, amc_emulator_settings)
    from airflow_provider_amc.testing import AmcEmulator

    emulator = AmcEmulator(_amc_emulator_servers.get(config))
    yield emulator
    emulator.close()


@pytest.fixture
def amc_default(amc_emulator: AmcEmulator, monkeypatch: pytest.MonkeyPatch) -> AmcEmulator:
    """The same emulator as Airflow's connection ``amc_default``, so that a DAG under test talks to it."""
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", amc_emulator.airflow_connection)
    return amc_emulator


def _config(request: pytest.FixtureRequest, settings: Mapping[str, Any]) -> EmulatorConfig:
    """The settings of a test: those of the run, then those of its markers, the closest last."""
    from airflow_provider_amc.emulator.extra import what_to_install

    if problem := what_to_install():
        pytest.fail(f"{problem} (wanted by the fixture {_MARKER})", pytrace=False)
    from airflow_provider_amc.emulator.config import EmulatorConfig

    together: dict[str, Any] = {"port": 0, **settings}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        if marker.args:
            pytest.fail(
                f"@pytest.mark.{_MARKER} takes settings by name, such as seed=11; got {marker.args!r}", pytrace=False
            )
        together.update(marker.kwargs)
    if together.get("state_dir") is not None:
        pytest.fail(
            "The fixture amc_emulator is empty at the start of each test, so state_dir has no use; start an "
            "EmulatorServer(port=0, state_dir=...) in the test instead.",
            pytrace=False,
        )
    known = EmulatorConfig.__dataclass_fields__
    if unknown := sorted(together.keys() - known.keys()):
        pytest.fail(
            f"{unknown[0]!r} is no setting of the AMC emulator; the settings are {', '.join(known)}.", pytrace=False
        )
    try:
        return EmulatorConfig().replaced(**together)
    except ValueError as error:
        problem = str(error)
    pytest.fail(f"Wrong settings of the AMC emulator: {problem}", pytrace=False)
