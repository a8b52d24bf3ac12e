"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from airflow_provider_amc.client import AmcClient, Credentials, RetryPolicy
from airflow_provider_amc.client.auth import forget_tokens
from tests.client.scripted import FakeTime, ScriptedServer

# The same examples in every run, and none that fails because the machine is busy.
settings.register_profile("client", deadline=None, derandomize=True)
settings.load_profile("client")


@pytest.fixture(autouse=True)
def _no_cached_tokens() -> Iterator[None]:
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def credentials() -> Credentials:
    return Credentials("amzn1.application-oa2-client.test", "very-secret-value", "Atzr|refresh-value")


@pytest.fixture
def make_client(
    server: ScriptedServer, fake_time: FakeTime, credentials: Credentials
) -> Iterator[Callable[..., AmcClient]]:
    made: list[AmcClient] = []

    def make(**changes: Any) -> AmcClient:
        settings: dict[str, Any] = {
            "account_id": "ENTITYTEST",
            "marketplace_id": "ATVPDKIKX0DER",
            "instance_id": "amctest",
            "base_url": server.url,
            "retry": RetryPolicy(),
            "timeout": (2.0, 5.0),
            "sleep": fake_time.sleep,
            "clock": fake_time.clock,
        }
        settings.update(changes)
        client = AmcClient(settings.pop("credentials", credentials), **settings)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., AmcClient]) -> AmcClient:
    return make_client()
