"""What has to work before a pipeline can: steps that each say what passed, or what is wrong and what to do.

The connection's *Test* button takes the first five, ``amc doctor`` all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcError, AmcTermsNotAcceptedError

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution, Instance

#: Seconds for which a dry run may take to be checked by AMC.
DRY_RUN_SECONDS = 120.0
_LOOK_SECONDS = 2.0

#: Most ids named in a message.
_NAMED = 10


@dataclass(frozen=True)
class Step:
    """One step.

    :param name: what is checked, in a word or two.
    :param check: returns what was found, and raises an :class:`AmcError` for what is wrong.
    """

    name: str
    check: Callable[[], str]


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    :param name: name of the step.
    :param passed: did it pass? ``None``: not tried, because one before it failed.
    :param message: what was found, or what is wrong and what to do.
    """

    name: str
    passed: bool | None
    message: str


def run(steps: list[Step]) -> Iterator[Outcome]:
    """Take steps in their order until one fails; the rest are named as not tried.

    :param steps: the steps.
    """
    failed = ""
    for step in steps:
        if failed:
            yield Outcome(step.name, None, f"not tried, because {failed} failed")
            continue
        try:
            yield Outcome(step.name, True, step.check())
        except AmcError as error:
            failed = step.name
            yield Outcome(step.name, False, str(error))


def connection_steps(client: AmcClient) -> list[Step]:
    """The steps that read only: token, terms, account, instance, data sources.

    :param client: client of the connection.
    """
    return [
        Step("token", lambda: _token(client)),
        Step("terms", lambda: _terms(client)),
        Step("account", lambda: _account(client)),
        Step("instance", lambda: _instance(client)),
        Step("data sources", lambda: _data_sources(client)),
    ]


def dry_run_step(client: AmcClient, *, sleep: Callable[[float], None] = time.sleep) -> Step:
    """The step that lets AMC check a query without running it.

    :param client: client of the connection, with an instance.
    :param sleep: how to wait.
    """
    return Step("dry run", lambda: _dry_run(client, sleep))


def bucket_step(client: AmcClient, bucket: str, aws_conn_id: str | None) -> Step:
    """The step that looks for the bucket in which results land.

    :param client: client of the connection, with an instance.
    :param bucket: name of the bucket; empty for the one that the instance is linked with, if there is one.
    :param aws_conn_id: Airflow connection for S3.
    """
    return Step("S3 bucket", lambda: _bucket(client, bucket, aws_conn_id))


def _token(client: AmcClient) -> str:
    client.fetch_token()
    return "Login with Amazon accepts the credentials"


def _terms(client: AmcClient) -> str:
    try:
        client.accounts.list()
        if client.instance_id and client.account_id and client.marketplace_id:
            # Practitioners saw lists that work and reads of one instance that do not.
            client.instances.get()
    except AmcTermsNotAcceptedError as error:
        raise AmcConfigurationError(
            f"The AMC terms of the region {client.region.value} have not been accepted. The user who gave the consent "
            f"has to sign in to the AMC console of that region once and accept them. {error}"
        ) from error
    except AmcError as error:
        # What else is wrong is for the steps that follow.
        if error.retryable:
            raise
    return f"nothing is left to accept in the region {client.region.value}"


def _account(client: AmcClient) -> str:
    accounts = client.accounts.list()
    listed = _named([f"{one.account_id} (marketplace {one.marketplace_id})" for one in accounts])
    if not client.account_id:
        raise AmcConfigurationError(
            f"account_id is not set in the connection's Extra. Accounts of these credentials: {listed}."
        )
    found = [one for one in accounts if one.account_id == client.account_id]
    if not found:
        raise AmcConfigurationError(
            f"The account_id {client.account_id!r} is none of the AMC accounts of these credentials: {listed}. It "
            "begins with 'ENTITY'; a profile or seller id does not work."
        )
    markets = [one.marketplace_id for one in found if one.marketplace_id]
    if markets and client.marketplace_id not in markets:
        raise AmcConfigurationError(
            f"marketplace_id is {client.marketplace_id!r} in the connection's Extra, and the account {client.account_id} "
            f"belongs to {_named(markets)}."
        )
    return f"{client.account_id} found"


def _instance(client: AmcClient) -> str:
    if not client.instance_id:
        found = client.instances.list()
        return f"none is set, {len(found)} can be reached: {_named([one.instance_id for one in found])}"
    instance = _the_instance(client)
    if not instance.is_ready and instance.creation_status:
        raise AmcConfigurationError(
            f"The instance {instance.instance_id} is {instance.creation_status}. Wait until its creation is COMPLETED."
        )
    return f"{instance.instance_id} ({instance.instance_type or 'STANDARD'}) is {instance.creation_status or 'there'}"


def _the_instance(client: AmcClient) -> Instance:
    try:
        return client.instances.get()
    except AmcError as error:
        if error.retryable:
            raise
        reached = _named([one.instance_id for one in client.instances.list()])
        raise AmcConfigurationError(
            f"{error} The instance_id {client.instance_id!r} of the connection's Extra cannot be reached; these can: "
            f"{reached}."
        ) from error


def _data_sources(client: AmcClient) -> str:
    if not client.instance_id:
        return "not tried, because no instance is set"
    first = next(iter(client.data_sources.list(limit=1)), None)
    if first is None:
        raise AmcConfigurationError(
            f"The instance {client.instance_id} has no data sources. A new one is filled within days; an instance "
            "without advertisers stays empty."
        )
    return f"{first.data_source_id} and others can be queried"


def _dry_run(client: AmcClient, sleep: Callable[[float], None]) -> str:
    if not client.instance_id:
        return "not tried, because no instance is set"
    first = next(iter(client.data_sources.list(limit=1)), None)
    table = first.data_source_id if first is not None else "dsp_impressions"
    execution = client.executions.create(
        workflow={"sqlQuery": f"SELECT COUNT(1) AS row_count FROM {table}"},  # noqa: S608 - a name from AMC itself
        time_window_type="MOST_RECENT_DAY",
        dry_run=True,
        require_synthetic_data=_the_instance(client).is_sandbox or None,
    )
    waited = 0.0
    while not execution.is_finished:
        if waited >= DRY_RUN_SECONDS:
            client.executions.cancel(execution.workflow_execution_id)
            raise AmcConfigurationError(
                f"AMC has not checked the query within {DRY_RUN_SECONDS:.0f} s; it is {execution.raw_status}. Ten other "
                "executions may hold the instance's places."
            )
        sleep(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
        execution = client.executions.get(execution.workflow_execution_id)
    _require(execution)
    return f"AMC accepts a query on {table}"


def _require(execution: Execution) -> None:
    if not execution.is_succeeded:
        raise AmcConfigurationError(
            f"The dry run {execution.workflow_execution_id} ended as {execution.raw_status}: "
            f"{execution.status_reason or 'AMC gives no reason'}"
        )


def _bucket(client: AmcClient, bucket: str, aws_conn_id: str | None) -> str:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    linked = not bucket
    if linked:
        bucket = (_the_instance(client).s3_bucket_name if client.instance_id else None) or ""
    if not bucket:
        return "none is linked with the instance, and none was named: results are downloaded from AMC"
    try:
        there = S3Hook(aws_conn_id=aws_conn_id).check_for_bucket(bucket)
    except Exception as error:
        raise AmcConfigurationError(
            f"The bucket {bucket} could not be looked for with the connection {aws_conn_id!r}: {error}"
        ) from error
    if not there:
        raise AmcConfigurationError(
            f"The bucket {bucket}{', which the instance is linked with,' if linked else ''} does not exist, or the "
            f"connection {aws_conn_id!r} may not see it (s3:ListBucket)."
        )
    return f"{bucket} can be reached"


def _named(names: list[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
