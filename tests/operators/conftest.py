from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer


class Clock:
    """The time of a task and of the emulator; both pass only while the task sleeps."""

    def __init__(self, emulator: EmulatorServer) -> None:
        self._emulator = emulator
        self._now = time.time()
        self.slept: list[float] = []

    def time(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += seconds
        self._emulator.advance_clock(seconds)


@pytest.fixture
def clock(amc_default: EmulatorServer, mocker: Any) -> Clock:
    """Lets a task that keeps its worker wait in no time."""
    clock = Clock(amc_default)
    mocker.patch("airflow_provider_amc.operators.waiting.time", clock)
    return clock
