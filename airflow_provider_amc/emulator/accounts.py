"""Accounts.

Shapes: recorded responses in Amazon's Postman collection.
"""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_amc.emulator.api import Call, Operation
from airflow_provider_amc.emulator.config import ACCOUNT_ID, MARKETPLACE_ID
from airflow_provider_amc.emulator.errors import CONNECTIONS

_MEDIA = "application/vnd.amcaudiencesconnections.v1+json"


async def list_accounts(call: Call) -> Response:
    """Accounts the client id has access to."""
    account = {"accountId": ACCOUNT_ID, "accountName": "AMC emulator", "marketplaceId": MARKETPLACE_ID}
    chosen, _ = call.page([account], limit=1)
    return call.answer({"amcAccounts": chosen})


OPERATIONS = (
    Operation(
        "listAccounts",
        "GET",
        "/amc/accounts",
        list_accounts,
        spec_media_type=_MEDIA,
        headers="client",
        errors=CONNECTIONS,
    ),
)
