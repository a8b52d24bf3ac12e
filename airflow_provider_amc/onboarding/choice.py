"""Which account and instance a connection is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_amc.exceptions import AmcConfigurationError

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient, Credentials
    from airflow_provider_amc.client.models import Account, Instance

T = TypeVar("T")

#: Asks a person to choose: what it is about, the lines to choose from; returns the number of one.
Ask = Callable[[str, Sequence[str]], int]


@dataclass(frozen=True)
class Choice:
    """What a connection is for.

    :param credentials: LwA credentials.
    :param region: ``NA``, ``EU`` or ``FE``.
    :param base_url: replaces Amazon's hosts.
    :param account_id: AMC account.
    :param marketplace_id: its marketplace.
    :param instance_id: default instance, ``None`` for none.
    """

    credentials: Credentials
    region: str
    base_url: str | None = None
    account_id: str | None = None
    marketplace_id: str | None = None
    instance_id: str | None = None

    def client(self) -> AmcClient:
        """A client for what has been chosen so far."""
        from airflow_provider_amc.client import AmcClient, RetryPolicy

        return AmcClient(
            self.credentials,
            region=self.region,
            base_url=self.base_url,
            account_id=self.account_id,
            marketplace_id=self.marketplace_id,
            instance_id=self.instance_id,
            retry=RetryPolicy(patience=10.0),
        )


def with_account(choice: Choice, account_id: str | None, ask: Ask | None) -> Choice:
    """Choose the account.

    :param choice: what has been chosen so far.
    :param account_id: the account that was asked for.
    :param ask: asks a person; ``None`` when nobody can be asked.
    :raises AmcConfigurationError: there is none, not that one, or nobody to choose from several.
    """
    accounts = choice.client().accounts.list()
    if not accounts:
        raise AmcConfigurationError(
            f"The user who gave the consent reaches no AMC account in the region {choice.region}. Check the region, or "
            "have an administrator of the account invite the user."
        )
    account = _chosen(accounts, account_id, lambda one: one.account_id, _account_line, "account", "--account", ask)
    return replace(choice, account_id=account.account_id, marketplace_id=account.marketplace_id)


def with_instance(choice: Choice, instance_id: str | None, ask: Ask | None) -> Choice:
    """Choose the default instance; one of several is only chosen when somebody says so.

    :param choice: what has been chosen so far, with an account.
    :param instance_id: the instance that was asked for; ``none`` for no default.
    :param ask: asks a person; ``None`` when nobody can be asked.
    :raises AmcConfigurationError: there is not that one, or nobody to choose from several.
    """
    if instance_id == "none":
        return choice
    instances = choice.client().instances.list()
    if not instances and instance_id is None:
        return choice
    instance = _chosen(
        instances, instance_id, lambda one: one.instance_id, _instance_line, "instance", "--instance", ask
    )
    return replace(choice, instance_id=instance.instance_id)


def _chosen(
    found: Sequence[T],
    wanted: str | None,
    name: Callable[[T], str],
    line: Callable[[T], str],
    what: str,
    option: str,
    ask: Ask | None,
) -> T:
    listed = "".join(f"\n  {line(one)}" for one in found) or "\n  none"
    if wanted is not None:
        for one in found:
            if name(one) == wanted:
                return one
        raise AmcConfigurationError(f"There is no {what} {wanted}. These can be reached:{listed}")
    if len(found) == 1:
        return found[0]
    if ask is None:
        raise AmcConfigurationError(f"Several {what}s can be reached, so name one with {option}:{listed}")
    return found[ask(f"Which {what}?", [line(one) for one in found])]


def _account_line(account: Account) -> str:
    return f"{account.account_id}  {account.account_name or ''}  marketplace {account.marketplace_id or 'unknown'}"


def _instance_line(instance: Instance) -> str:
    kind, status = instance.instance_type or "STANDARD", instance.creation_status or ""
    return f"{instance.instance_id}  {instance.instance_name or ''}  {kind}  {status}"
