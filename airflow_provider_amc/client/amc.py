"""The client: one object a connection, one attribute a resource family."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from types import TracebackType

from airflow_provider_amc.client.accounts import Accounts
from airflow_provider_amc.client.advertiser_audiences import AdvertiserAudiences
from airflow_provider_amc.client.advertisers import Advertisers
from airflow_provider_amc.client.audiences import Audiences
from airflow_provider_amc.client.auth import Credentials
from airflow_provider_amc.client.collaborations import Collaborations
from airflow_provider_amc.client.data_sets import DataSets
from airflow_provider_amc.client.data_sources import DataSources
from airflow_provider_amc.client.executions import Executions
from airflow_provider_amc.client.instances import Instances
from airflow_provider_amc.client.regions import Region
from airflow_provider_amc.client.retry import RetryPolicy
from airflow_provider_amc.client.schedules import Schedules
from airflow_provider_amc.client.transport import DEFAULT_TIMEOUT, Transport
from airflow_provider_amc.client.uploads import Uploads, UserDeletions
from airflow_provider_amc.client.workflows import Workflows


class AmcClient:
    """Talks to Amazon Marketing Cloud. Thread safe; nothing is sent before the first call.

    :param credentials: LwA credentials.
    :param region: ``NA``, ``EU`` or ``FE``: whose hosts are used.
    :param account_id: AMC account (``ENTITY...``); needed by every call but ``accounts.list()``.
    :param marketplace_id: marketplace of the account; likewise.
    :param instance_id: instance of calls that name none.
    :param base_url: address that replaces Amazon's API and LwA hosts (emulator, proxy).
    :param retry: how long a call keeps trying.
    :param timeout: seconds to connect, and seconds between two bytes of an answer.
    :param on_secret: called once with every secret this client holds or receives, so that logs can mask it.
    :param log: where failed attempts are reported.
    :param sleep: how to wait, for tests.
    :param clock: seconds that only grow, for tests.
    :raises AmcConfigurationError: for an unknown region, or an id or a base URL that is not one.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        region: str | Region | None = Region.NA,
        account_id: str | None = None,
        marketplace_id: str | None = None,
        instance_id: str | None = None,
        base_url: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: tuple[float, float] = DEFAULT_TIMEOUT,
        on_secret: Callable[[str], None] | None = None,
        log: logging.Logger | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._use(
            Transport(
                credentials,
                region=region,
                account_id=account_id,
                marketplace_id=marketplace_id,
                instance_id=instance_id,
                base_url=base_url,
                retry=retry,
                timeout=timeout,
                on_secret=on_secret,
                log=log,
                sleep=sleep,
                clock=clock,
            )
        )

    def _use(self, transport: Transport) -> None:
        self._transport = transport
        self.accounts = Accounts(self._transport)
        self.instances = Instances(self._transport)
        self.advertisers = Advertisers(self._transport)
        self.collaborations = Collaborations(self._transport)
        self.workflows = Workflows(self._transport)
        self.schedules = Schedules(self._transport)
        self.executions = Executions(self._transport)
        self.data_sources = DataSources(self._transport)
        self.audiences = Audiences(self._transport)
        self.advertiser_audiences = AdvertiserAudiences(self._transport)
        self.data_sets = DataSets(self._transport)
        self.uploads = Uploads(self._transport)
        self.user_deletions = UserDeletions(self._transport)

    @property
    def region(self) -> Region:
        """Region whose hosts are used."""
        return self._transport.region

    @property
    def account_id(self) -> str | None:
        """AMC account of the calls."""
        return self._transport.account_id

    @property
    def marketplace_id(self) -> str | None:
        """Marketplace of the account."""
        return self._transport.marketplace_id

    @property
    def instance_id(self) -> str | None:
        """Instance of calls that name none."""
        return self._transport.instance_id

    @property
    def base_url(self) -> str | None:
        """Address that replaces Amazon's hosts, if there is one."""
        return self._transport.custom_base_url

    @property
    def refresh_token(self) -> str:
        """The newest refresh token; it differs from the given one only if LwA rotates them."""
        return self._transport.tokens.refresh_token

    def fetch_token(self) -> None:
        """Make sure that there is a valid access token, to test the credentials alone.

        :raises AmcAuthenticationError: when LwA refuses them.
        :raises AmcTransientError: when LwA cannot be reached.
        """
        self._transport.fetch_token()

    def with_patience(self, seconds: float) -> AmcClient:
        """Return a client for the same account whose calls give up after another time.

        It is safe to use from a signal handler that interrupted a call of this one: it has connections of its own.

        :param seconds: for how long one of its calls keeps trying while AMC throttles, fails or is away.
        """
        twin = copy.copy(self)
        twin._use(self._transport.with_patience(seconds))
        return twin

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> AmcClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"AmcClient(region={self.region.value}, api={self._transport.endpoints.api!r}, "
            f"account_id={self.account_id!r}, instance_id={self.instance_id!r})"
        )
