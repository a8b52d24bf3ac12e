from __future__ import annotations

from collections.abc import Callable

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.transport import ACCOUNTS
from tests.client.scripted import Reply, ScriptedServer


def test_accounts_of_all_pages_without_an_account(
    server: ScriptedServer, make_client: Callable[..., AmcClient]
) -> None:
    server.on(
        "GET",
        "/amc/accounts",
        Reply(
            body={"amcAccounts": [{"accountId": "E1", "accountName": "One", "marketplaceId": "M"}], "nextToken": "n"}
        ),
        Reply(body={"amcAccounts": [{"accountId": "E2"}], "nextToken": None}),
    )
    accounts = make_client(account_id=None, marketplace_id=None).accounts.list()
    assert [(account.account_id, account.marketplace_id) for account in accounts] == [("E1", "M"), ("E2", None)]
    assert [call.query for call in server.calls()] == [{}, {"nextToken": "n"}]
    assert server.calls()[0].headers["accept"] == ACCOUNTS
    assert "amazon-advertising-api-advertiserid" not in server.calls()[0].headers
