"""Operators for advertiser audiences: what an audience is called and how long its members stay, and whose it is.

:class:`~airflow_provider_amc.transfers.s3_to_amc_audience.S3ToAmcAudienceOperator` adds and removes the members.

Facts: AMC API documentation, "Audience management service".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcNotFoundError, AmcTermsNotAcceptedError, AmcValidationError
from airflow_provider_amc.operators.base import AmcBaseOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client import AmcClient

#: Name under which the task state store remembers the audience.
_STORE_KEY = "amc_advertiser_audience"


def require_accepted_terms(client: AmcClient) -> None:
    """Check that the user behind the connection has accepted the terms of audience uploads.

    :param client: client of the user.
    :raises AmcTermsNotAcceptedError: the user has not; nothing was sent.
    """
    if client.advertiser_audiences.connections.terms().has_accepted is False:
        raise AmcTermsNotAcceptedError(
            "The terms of AMC audiences have not been accepted, so AMC takes no records. Nothing was sent.",
            hint="Somebody who may has to read client.advertiser_audiences.connections.terms().agreement_content and "
            "accept it once with accept_terms(agreement_token), or in the AMC console, as the user who granted access.",
        )


class AmcCreateAudienceConnectionOperator(AmcBaseOperator):
    """Connect advertiser audiences with an AMC instance, an advertiser of Amazon DSP, or both.

    A connection with the same targets that is there already is taken, so a retry, or a second run, makes no other.

    :param dsp_advertiser_id: advertiser of Amazon DSP that gets the audiences. (templated)
    :param connect_instance: give the instance tables with the audiences. Default: ``True``.
    :param is_default: make it the one that AMC takes where none is named. Default: AMC decides. An existing connection is
        left as it is.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the connection id.
    :raises AmcValidationError: there is nothing to connect; nothing was sent.
    """

    template_fields: Sequence[str] = ("dsp_advertiser_id", *AmcBaseOperator.template_fields)

    def __init__(
        self,
        *,
        dsp_advertiser_id: str | None = None,
        connect_instance: bool = True,
        is_default: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dsp_advertiser_id = dsp_advertiser_id
        self.connect_instance = connect_instance
        self.is_default = is_default

    def execute(self, context: Context) -> str:
        """Connect, unless connected."""
        client, connections = self.client, self.client.advertiser_audiences.connections
        advertiser = self.dsp_advertiser_id or None
        instance = client.instance_id if self.connect_instance else None
        if advertiser is None and instance is None:
            raise AmcValidationError(f"Task {self.task_id}: give dsp_advertiser_id, or connect the instance, or both.")
        for one in connections.list():
            if (one.amc_instance_id, one.dsp_advertiser_id) == (instance, advertiser):
                self.log.info("AMC audience connection %s has these targets already", one.connection_id)
                return one.connection_id
        known = connections.create(
            amc_instance_id=instance,
            amc_account_id=client.account_id if instance else None,
            amc_account_marketplace_id=client.marketplace_id if instance else None,
            dsp_advertiser_id=advertiser,
            is_default=self.is_default,
        )
        self.log.info("AMC audience connection %s: instance %s, DSP advertiser %s", known, instance, advertiser)
        return known


class AmcDeleteAudienceConnectionOperator(AmcBaseOperator):
    """Delete one connection of advertiser audiences.

    AMC deletes *all* connections of the user when none is named, so this task fails when a template gives nothing.

    :param connection_id: the connection. (templated)
    :param if_missing: ``skip`` succeeds when there is no such connection, ``fail`` fails. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :raises AmcValidationError: no connection is named; nothing was sent.
    :raises AmcNotFoundError: there is no such connection and ``if_missing`` is ``fail``.
    """

    template_fields: Sequence[str] = ("connection_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, connection_id: str, if_missing: str = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_missing not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_missing must be skip or fail, got {if_missing!r}.")
        self.connection_id = connection_id
        self.if_missing = if_missing

    def execute(self, context: Context) -> None:
        """Delete the connection."""
        known = named_connection(self.connection_id)
        try:
            self.client.advertiser_audiences.connections.delete(known)
        except AmcNotFoundError:
            if self.if_missing == "fail":
                raise
            self.log.info("There is no AMC audience connection %s to delete", known)
        else:
            self.log.info("AMC audience connection %s deleted", known)


class AmcCreateAdvertiserAudienceOperator(AmcBaseOperator):
    """Create an advertiser audience without members.

    AMC has no list of them, so what a task has created is known from its result alone: keep it. Where Airflow has a task
    state store (3.3 and later), a retry finds the audience of the try before it there. Without, a retry after a lost answer
    can leave a second audience without members.

    :param audience_name: 10 to 128 characters. (templated)
    :param external_audience_id: your own id of it. (templated)
    :param description: up to 1000 characters. Default: none. (templated)
    :param connection_id: whose audience it is; this or ``advertiser_id``. (templated)
    :param advertiser_id: advertiser of Amazon DSP. (templated)
    :param ttl: how long a record stays a member, seconds or timedelta, up to 34,300,800 seconds (13 months), which is AMC's
        default.
    :param country_code: country of the members. (templated)
    :param audience_fees: mappings with ``cpmCents`` and ``currency``. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :returns: the audience id.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcTermsNotAcceptedError: the user behind the connection has not accepted the terms; nothing was sent.
    :raises AmcUnknownOutcomeError: the answer was lost.
    """

    template_fields: Sequence[str] = (
        "audience_name",
        "external_audience_id",
        "description",
        "connection_id",
        "advertiser_id",
        "country_code",
        "audience_fees",
        *AmcBaseOperator.template_fields,
    )

    def __init__(
        self,
        *,
        audience_name: str,
        external_audience_id: str,
        description: str = "",
        connection_id: str | None = None,
        advertiser_id: str | None = None,
        ttl: int | timedelta | None = None,
        country_code: str | None = None,
        audience_fees: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.audience_name = audience_name
        self.external_audience_id = external_audience_id
        self.description = description
        self.connection_id = connection_id
        self.advertiser_id = advertiser_id
        self.ttl = ttl
        self.country_code = country_code
        self.audience_fees = audience_fees

    def execute(self, context: Context) -> str:
        """Create the audience."""
        store = context.get("task_state_store")
        if known := self._remembered(store):
            self.log.info("AMC advertiser audience %s was created by an earlier try of this task", known)
            return known
        require_accepted_terms(self.client)
        audience = self.client.advertiser_audiences.create(
            self.audience_name,
            description=self.description,
            external_audience_id=self.external_audience_id,
            connection_id=None if self.connection_id is None else named_connection(self.connection_id),
            advertiser_id=self.advertiser_id,
            ttl=_seconds(self.ttl),
            country_code=self.country_code,
            audience_fees=self.audience_fees,
        )
        if store is not None:
            try:
                store.set(_STORE_KEY, audience.audience_id)
            except Exception as error:
                self.log.warning("The task state store cannot be written: %s", error)
        self.log.info("AMC advertiser audience %s (%s) created", audience.audience_id, self.audience_name)
        return audience.audience_id

    def _remembered(self, store: Any) -> str | None:
        if store is None:
            return None
        try:
            known = store.get(_STORE_KEY)
        except Exception as error:
            self.log.warning("The task state store cannot be read: %s", error)
            return None
        return known if isinstance(known, str) else None


class AmcUpdateAdvertiserAudienceOperator(AmcBaseOperator):
    """Change an advertiser audience; what is not given stays as it is.

    :param audience_id: the audience. (templated)
    :param description: up to 1000 characters. (templated)
    :param ttl: how long a record stays a member, seconds or timedelta, up to 34,300,800 seconds.
    :param audience_fees: mappings with ``cpmCents`` and ``currency``. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :returns: the audience id.
    :raises AmcValidationError: an argument is wrong, or there is nothing to change; nothing was sent.
    :raises AmcNotFoundError: there is no such audience.
    """

    template_fields: Sequence[str] = ("audience_id", "description", "audience_fees", *AmcBaseOperator.template_fields)

    def __init__(
        self,
        *,
        audience_id: str | int,
        description: str | None = None,
        ttl: int | timedelta | None = None,
        audience_fees: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.audience_id = audience_id
        self.description = description
        self.ttl = ttl
        self.audience_fees = audience_fees

    def execute(self, context: Context) -> str:
        """Change the audience."""
        audience = self.client.advertiser_audiences.update(
            self.audience_id, description=self.description, ttl=_seconds(self.ttl), audience_fees=self.audience_fees
        )
        self.log.info("AMC advertiser audience %s changed", audience.audience_id)
        return audience.audience_id


def named_connection(connection_id: object) -> str:
    """Check that a connection is named: AMC takes the default one, or all of them, where none is.

    :param connection_id: its id.
    :raises AmcValidationError: it is empty.
    """
    if not isinstance(connection_id, str) or connection_id.strip() in ("", "None"):
        raise AmcValidationError(
            f"connection_id names no audience connection ({connection_id!r}). AMC would take the default one, and a "
            "deletion would delete all. Name it; client.advertiser_audiences.connections.list() shows them."
        )
    return connection_id.strip()


def _seconds(ttl: int | timedelta | None) -> int | None:
    return int(ttl.total_seconds()) if isinstance(ttl, timedelta) else ttl
