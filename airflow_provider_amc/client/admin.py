"""Accounts and instances (AMC administration API)."""

from __future__ import annotations

from typing import Any

from airflow_provider_amc.client.fields import unwrap
from airflow_provider_amc.client.models import Account, Instance
from airflow_provider_amc.client.paging import items, page_size
from airflow_provider_amc.client.transport import ACCOUNTS, INSTANCES, Transport
from airflow_provider_amc.client.validation import path


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
                "GET", "/amc/accounts", media_type=ACCOUNTS, query={"nextToken": token}, account_headers=False
            )

        return [Account.from_api(item) for item in items(fetch, "amcAccounts", "accounts")]


class Instances:
    """``client.instances``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> list[Instance]:
        """List the instances of the account.

        :param limit: size of a page, 1 to 100; all pages are read in any case.
        :return: all instances.
        """
        size = page_size(limit)

        def fetch(token: str | None) -> dict[str, Any]:
            query = {"nextToken": token, "limit": size}
            return self._transport.call("GET", "/amc/instances", media_type=INSTANCES, query=query)

        return [Instance.from_api(item) for item in items(fetch, "instances")]

    def get(self, instance_id: str | None = None) -> Instance:
        """Get one instance.

        :param instance_id: its id, default the client's own.
        :raises AmcNotFoundError: when the account has no such instance.
        """
        address = path("amc", "instances", self._transport.instance(instance_id))
        data = self._transport.call("GET", address, media_type=INSTANCES)
        return Instance.from_api(self._transport.whole(unwrap(data, "instance", "instanceId"), "instanceId", address))
