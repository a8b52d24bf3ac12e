"""Administration, audiences and advertiser data upload: the client against the emulator, as a user calls them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient, Credentials, RetryPolicy
from airflow_provider_amc.emulator import config as fixed
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcError, AmcInvalidRequestError, AmcNotFoundError

HASH = hashlib.sha256(b"someone@example.com").hexdigest()


@pytest.fixture(params=["flat", "wrapped"])
def amc(request: pytest.FixtureRequest) -> Iterator[AmcClient]:
    with (
        EmulatorServer(port=0, envelope=request.param) as server,
        AmcClient(
            Credentials(fixed.CLIENT_ID, fixed.CLIENT_SECRET, fixed.REFRESH_TOKEN),
            account_id=fixed.ACCOUNT_ID,
            marketplace_id=fixed.MARKETPLACE_ID,
            instance_id=fixed.STANDARD_INSTANCE,
            base_url=server.url,
            retry=RetryPolicy(patience=5.0),
        ) as client,
    ):
        yield client


def ended(get: Any, *arguments: Any) -> Any:
    """Look until what was asked for has ended; work of the emulator takes no time of its clock."""
    while True:
        found = get(*arguments)
        if found.is_finished:
            return found


def test_an_instance_from_its_creation_to_its_end(amc: AmcClient) -> None:
    created = amc.instances.create("Brand one", advertiser_name="Brand", idempotency_token="one")
    again = amc.instances.create("Brand one", advertiser_name="Brand", idempotency_token="one")
    assert again.instance_id == created.instance_id
    known = created.instance_id
    while not amc.instances.get(known).is_ready:
        pass
    assert known in [one.instance_id for one in amc.instances.list()]
    assert amc.instances.update(known, instance_name="Brand two").instance_name == "Brand two"
    before = {one.key for one in amc.advertisers.list()}
    with pytest.raises(AmcInvalidRequestError):
        amc.instances.update_customer_aws_account(aws_account_id="0" * 12, bucket_name="", instance_id=known)
    asked = amc.advertisers.update(add=sorted(before)[:1], instance_id=known)
    assert asked.update_id is not None
    assert ended(amc.advertisers.get_update, asked.update_id, known).is_completed
    assert [one.update_id for one in amc.advertisers.updates(known)] == [asked.update_id]
    assert {one.key for one in amc.advertisers.list(known)} >= set(sorted(before)[:1])
    amc.instances.delete(known)
    with pytest.raises(AmcError):
        amc.instances.get(known)


def test_an_advertiser_audience_and_its_records(amc: AmcClient) -> None:
    audiences = amc.advertiser_audiences
    audiences.connections.accept_terms(audiences.connections.terms().agreement_token)
    assert audiences.connections.terms().has_accepted
    connection = audiences.connections.create(
        amc_instance_id=fixed.STANDARD_INSTANCE,
        amc_account_id=fixed.ACCOUNT_ID,
        amc_account_marketplace_id=fixed.MARKETPLACE_ID,
        is_default=True,
    )
    assert connection in [one.connection_id for one in audiences.connections.list()]
    audience = audiences.create(
        "Loyal customers", description="All of them", external_audience_id="loyal", connection_id=connection, ttl=86400
    )
    record = {"externalUserId": "u1", "action": "CREATE", "hashedPII": [{"email": HASH}], "countryCode": "US"}
    job = audiences.send_records(audience.audience_id, [record], connection_id=connection)
    assert ended(audiences.get_job, job).state in ("SUCCEEDED", "COMPLETED", "PARTIALLYSUCCEEDED")
    assert audiences.update(audience.audience_id, description="Some of them").description == "Some of them"
    assert audiences.get(audience.audience_id).external_audience_id == "loyal"
    audiences.connections.delete(connection)


def test_a_data_set_its_columns_and_deletions(amc: AmcClient) -> None:
    columns = [
        {"name": "bought_at", "dataType": "TIMESTAMP", "columnType": "DIMENSION", "isMainEventTime": True},
        {
            "name": "email",
            "dataType": "STRING",
            "columnType": "DIMENSION",
            "externalUserIdType": {"hashedPii": "EMAIL"},
        },
        {"name": "amount", "dataType": "DECIMAL", "columnType": "METRIC"},
    ]
    amc.data_sets.create("orders", columns=columns, period="P1D", country_code="US", description="Orders")
    amc.data_sets.add_column("orders", {"name": "shop", "dataType": "STRING", "columnType": "DIMENSION"})
    amc.data_sets.update_column("orders", "shop", new_name="store", description="Where")
    found = amc.data_sets.get("orders")
    assert found.is_fact
    assert {"bought_at", "email", "amount", "store"} <= {one.name for one in found.columns}
    amc.data_sets.delete_column("orders", "store")
    amc.data_sets.update("orders", description="All orders")
    assert [(one.data_set_id, one.description) for one in amc.data_sets.list()] == [("orders", "All orders")]
    asked = amc.user_deletions.create([{"hashedIdentity": {"EMAIL": HASH}}])
    assert ended(amc.user_deletions.get, asked.user_deletion_request_id).identity_count == 1
    assert [one.user_deletion_request_id for one in amc.user_deletions.list()] == [asked.user_deletion_request_id]
    amc.data_sets.delete("orders")
    with pytest.raises(AmcNotFoundError):
        amc.data_sets.get("orders")
