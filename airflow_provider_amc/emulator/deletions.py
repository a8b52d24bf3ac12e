"""Requests to delete users from everything that advertisers uploaded.

Facts: AMC API documentation, "Advertiser data upload: data deletion", and Amazon's OpenAPI file for it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider_amc.emulator import background, columns, datasets
from airflow_provider_amc.emulator.api import Call
from airflow_provider_amc.emulator.clock import zulu
from airflow_provider_amc.emulator.columns import EXTERNAL_IDS, HASH, HASHED_PII
from airflow_provider_amc.emulator.errors import bad_request

if TYPE_CHECKING:
    import pyarrow

    from airflow_provider_amc.emulator.context import Emulator

KIND = "userDeletion"
#: Identities of one request.
LIMIT = 1000
_MEDIA = "application/vnd.amcadvertiseruserdeletionrequest.v1+json"
_PATH = datasets.PREFIX + "/userDeletionRequest"


def kind(emulator: Emulator) -> background.Kind:
    """What a deletion is as background work."""
    store, shelf = emulator.store, emulator.shelf

    def begin(instance_id: str, body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        found = store.documents(datasets.KIND, instance_id)

        def work() -> dict[str, Any]:
            for data_set in found:
                rows = shelf.rows(instance_id, data_set["dataSetId"])
                left = None if rows is None else without(rows, data_set["columns"], body["_identities"])
                if left is not None:
                    shelf.put(columns.table_of(instance_id, data_set), left)
            return {"status": "SUCCEEDED", "_identities": []}

        return work

    return background.Kind(KIND, begin, (60.0, 3600.0), lambda text: {})


def without(
    rows: pyarrow.Table, of_data_set: Sequence[Mapping[str, Any]], identities: Sequence[Mapping[str, str]]
) -> pyarrow.Table | None:
    """The rows of a data set without those of some users.

    :param rows: the rows, with the identities they were uploaded with.
    :param of_data_set: columns of the data set.
    :param identities: the users, each as values by kind of identity; a row is of a user when it agrees in all kinds that
        the data set has.
    :returns: the rows that are left; ``None`` when all are.
    """
    from airflow_provider_amc.emulator.ingest import arrow_of
    from airflow_provider_amc.sql.coerce import quote_name

    known = {
        next(iter(one["externalUserIdType"].values())): one["name"]
        for one in of_data_set
        if one.get("externalUserIdType")
    }
    conditions, values = [], []  # type: tuple[list[str], list[str]]
    for identity in identities:
        shared = {name: value for name, value in identity.items() if name in known}
        if shared:
            conditions.append(" AND ".join(f"lower({quote_name(known[name])}) = lower(?)" for name in shared))
            values += shared.values()
    if not conditions:
        return None
    import duckdb

    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.register("given_rows", rows)
        mine = " OR ".join(f"coalesce({condition}, FALSE)" for condition in conditions)
        left = arrow_of(connection, f"SELECT * FROM given_rows WHERE NOT ({mine})", values)
    return None if left.num_rows == rows.num_rows else left


def _identity(given: Any) -> dict[str, str]:
    """One user of a request, as values by kind of identity."""
    if not isinstance(given, dict) or len(given.keys() & {"hashedIdentity", "externalIdentity"}) != 1:
        raise bad_request(
            "Every entry of targetIdentities must have exactly one of hashedIdentity and externalIdentity."
        )
    if "externalIdentity" in given:
        told = given["externalIdentity"]
        if not isinstance(told, dict) or told.get("type") not in EXTERNAL_IDS:
            raise bad_request(f"The type of an externalIdentity must be one of {', '.join(EXTERNAL_IDS)}.")
        if not isinstance(told.get("value"), str) or not told["value"]:
            raise bad_request("The value of an externalIdentity must be specified.")
        return {told["type"]: told["value"]}
    told = given["hashedIdentity"]
    if not isinstance(told, dict) or not told or not told.keys() <= set(HASHED_PII):
        raise bad_request(f"A hashedIdentity must have values for some of {', '.join(HASHED_PII)}.")
    for name, value in told.items():
        if not isinstance(value, str) or not (re.fullmatch(HASH, value) or name == "COUNTRY_CODE"):
            raise bad_request(f"The {name} of a hashedIdentity is not hashed with SHA-256 (64 hexadecimal digits).")
    return dict(told)


async def create_deletion(call: Call) -> Response:
    """Ask for the deletion of users."""
    given = (await call.body()).get("targetIdentities")
    if not isinstance(given, list):
        raise bad_request("targetIdentities must be specified.")
    if len(given) > LIMIT:
        raise bad_request(f"At most {LIMIT} identities can be deleted in one request.")
    identities = [_identity(one) for one in given]
    request_id = str(uuid.uuid4())
    duration = call.fault("duration")
    call.emulator.the_background().submit(
        KIND,
        call.instance_id,
        request_id,
        {
            "userDeletionRequestId": request_id,
            "identityCount": len(identities),
            "status": "PENDING",
            "_identities": identities,
        },
        seconds=(duration.seconds or 0.0) if duration is not None else None,
    )
    return call.answer({"userDeletionRequestId": request_id})


def _shown(document: Mapping[str, Any]) -> dict[str, Any]:
    created = datetime.fromtimestamp(document[background.CREATED], UTC)
    return {**background.shown(document), "creationDateTime": zulu(created)}


async def list_deletions(call: Call) -> Response:
    """All requests of an instance, oldest first."""
    limit = call.limit(name="maxResults")
    found = call.emulator.store.page_documents(KIND, call.instance_id, call.after() or 0, limit + 1)
    token = call.token(found[limit - 1][0]) if len(found) > limit else None
    return call.answer(datasets.next_token({"userDeletions": [_shown(one) for _, one in found[:limit]]}, token))


async def get_deletion(call: Call) -> Response:
    """One request."""
    request_id = call.path("request_id")
    document = call.emulator.store.get_document(KIND, call.instance_id, request_id)
    if document is None:
        raise datasets.not_found(f"User deletion request with ID {request_id} does not exist.")
    return call.answer({"identityDeletion": _shown(document)})


OPERATIONS = (
    datasets.operation("CreateUserDeletionRequest", "POST", _PATH, create_deletion, _MEDIA),
    datasets.operation("ListUserDeletionRequests", "POST", _PATH + "/list", list_deletions, _MEDIA),
    datasets.operation("GetUserDeletionRequest", "GET", _PATH + "/{request_id}", get_deletion, _MEDIA),
)
