"""Accounts that a user can reach (AMC administration API)."""

from __future__ import annotations

from typing import Any

from airflow_provider_amc.client.models import Account
from airflow_provider_amc.client.paging import items
from airflow_provider_amc.client.transport import ACCOUNTS, Transport


class Accounts:
    """``client.accounts``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[Account]:
        """List the AMC accounts the user can reach. Needs neither ``account_id`` nor ``marketplace_id``.

        :return: all accounts, of all pages.
        """

        def fetch(token: str | None) -> dict[str, Any]:
            return self._transport.call(
                "GET", "/amc/accounts", media_type=ACCOUNTS, query={"nextToken": token}, headers={}
            )

        return [Account.from_api(item) for item in items(fetch, "amcAccounts", "accounts")]
