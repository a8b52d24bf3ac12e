from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from airflow_provider_amc.client import AmcClient, Credentials, Region
from airflow_provider_amc.exceptions import AmcConfigurationError
from tests.client.scripted import TOKEN_PATH, Reply, ScriptedServer


def test_the_client_tells_where_it_points_but_no_secret(
    make_client: Callable[..., AmcClient], credentials: Credentials
) -> None:
    client = make_client(region="eu")
    assert (client.region, client.account_id, client.marketplace_id, client.instance_id) == (
        Region.EU,
        "ENTITYTEST",
        "ATVPDKIKX0DER",
        "amctest",
    )
    assert "region=EU" in repr(client)
    assert credentials.client_secret not in repr(client)


def test_a_token_can_be_fetched_alone(server: ScriptedServer, client: AmcClient, credentials: Credentials) -> None:
    assert client.refresh_token == credentials.refresh_token
    server.on("POST", TOKEN_PATH, Reply(body={"access_token": "Atza|x", "refresh_token": "Atzr|new"}))
    client.fetch_token()
    assert client.refresh_token == "Atzr|new"
    assert server.calls() == []


def test_as_a_context_manager_it_closes(server: ScriptedServer, make_client: Callable[..., AmcClient]) -> None:
    server.on("GET", "/amc/accounts", Reply(body={"amcAccounts": []}))
    with make_client() as client:
        assert client.accounts.list() == []
    assert client.accounts.list() == []


@pytest.mark.parametrize("change", [{"region": "US"}, {"base_url": "localhost:1"}, {"account_id": "a b"}])
def test_wrong_settings_are_refused_at_once(make_client: Callable[..., AmcClient], change: dict[str, str]) -> None:
    with pytest.raises(AmcConfigurationError):
        make_client(**change)


def test_importing_the_client_imports_no_heavy_module() -> None:
    code = (
        "import sys, airflow_provider_amc.client, airflow_provider_amc.client.results\n"
        "heavy = {'requests', 'urllib3', 'airflow', 'pandas', 'pyarrow', 'boto3', 'duckdb', 'sqlglot'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
