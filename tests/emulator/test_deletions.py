"""Requests to delete users from everything that was uploaded."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_amc.emulator import columns
from airflow_provider_amc.emulator.deletions import without
from tests.emulator.advertiser import PRODUCT, Advertiser, hashed, someone
from tests.emulator.api import refusal, wait_for

PATH = "userDeletionRequest"


@pytest.fixture
def me(api) -> Advertiser:
    return Advertiser(api)


def of(kind: str, name: str, space: str = "hashedPii") -> dict[str, Any]:
    return columns.column(
        {"name": name, "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": {space: kind}}
    )


@pytest.mark.covers("endpoint", "CreateUserDeletionRequest")
@pytest.mark.covers("endpoint", "GetUserDeletionRequest")
def test_a_request_from_its_start_to_its_end(served):
    me = Advertiser(served.api)
    served.server.set_clock("2026-03-01T12:00:00Z")
    served.server.add_fault(operation="CreateUserDeletionRequest", kind="duration", seconds=3600)
    body = {"targetIdentities": [{"hashedIdentity": {"EMAIL": someone(1)}}] * 3}
    answer = me.call("POST", PATH, body)
    assert answer.headers["content-type"] == "application/vnd.amcadvertiseruserdeletionrequest.v1+json"
    request_id = answer.json()["userDeletionRequestId"]

    def shown() -> dict[str, Any]:
        return dict(me.done("GET", f"{PATH}/{request_id}")["identityDeletion"])

    created = shown().pop("creationDateTime")
    assert created.startswith("2026-03-01T12:00:")
    assert shown() == {
        "userDeletionRequestId": request_id,
        "identityCount": 3,
        "status": "PENDING",
        "creationDateTime": created,
    }
    served.server.advance_clock(3600)
    wait_for(lambda: shown()["status"] == "SUCCEEDED", "the deletion")


@pytest.mark.covers("endpoint", "ListUserDeletionRequests")
def test_list_in_pages(me):
    ids = [me.done("POST", PATH, {"targetIdentities": []})["userDeletionRequestId"] for _ in range(3)]
    page = me.done("POST", f"{PATH}/list", params={"maxResults": "2"})
    rest = me.done("POST", f"{PATH}/list", params={"maxResults": "2", "nextToken": page["nextToken"]})
    assert [one["userDeletionRequestId"] for one in (*page["userDeletions"], *rest["userDeletions"])] == ids
    assert refusal(me.call("GET", f"{PATH}/none")) == (404, "User deletion request with ID none does not exist.")


@pytest.mark.parametrize(
    ("identities", "text"),
    [
        (None, "targetIdentities must be specified."),
        ([{}] * 1001, "At most 1000 identities can be deleted in one request."),
        ([{}], "Every entry of targetIdentities must have exactly one of hashedIdentity and externalIdentity."),
        ([{"hashedIdentity": {}, "externalIdentity": {}}], "Every entry of targetIdentities must have exactly one of"),
        ([{"hashedIdentity": {}}], "A hashedIdentity must have values for some of ADDRESS, CITY"),
        ([{"hashedIdentity": {"NAME": hashed("x")}}], "A hashedIdentity must have values for some of ADDRESS, CITY"),
        (
            [{"hashedIdentity": {"EMAIL": "x@example.com"}}],
            "The EMAIL of a hashedIdentity is not hashed with SHA-256 (64 hexadecimal digits).",
        ),
        (
            [{"externalIdentity": {"type": "COOKIE", "value": "x"}}],
            "The type of an externalIdentity must be one of EXP",
        ),
        ([{"externalIdentity": {"type": "MAID", "value": ""}}], "The value of an externalIdentity must be specified."),
    ],
)
@pytest.mark.covers("rule", "requests for deletions are checked, with at most 1,000 identities")
def test_wrong_requests(me, identities, text):
    body = {} if identities is None else {"targetIdentities": identities}
    status, told = refusal(me.call("POST", PATH, body))
    assert status == 400
    assert told.startswith(text)


def test_a_thousand_identities_are_enough(me):
    one = {"externalIdentity": {"type": "LIVERAMP", "value": "x"}}
    me.done("POST", PATH, {"targetIdentities": [one] * 1000})


@pytest.mark.parametrize(
    ("identity", "left"),
    [
        ({"EMAIL": "A"}, [2, 3]),
        ({"EMAIL": "a", "PHONE": "p"}, [1, 2, 3]),
        ({"EMAIL": "b", "ZIP": "unknown kind"}, [0, 1, 3]),
        ({"MAID": "Device"}, [0, 1, 2]),
        ({"ZIP": "a"}, None),
        ({"EMAIL": "nobody"}, None),
    ],
)
def test_who_is_deleted(identity, left):
    of_data_set = [
        columns.column(PRODUCT),
        of("EMAIL", "email"),
        of("PHONE", "phone"),
        of("MAID", "device", "externalIdentity"),
    ]
    rows = pa.table(
        {
            "product": ["0", "1", "2", "3"],
            "email": ["a", "a", "b", None],
            "phone": ["p", None, None, None],
            "device": [None, None, None, "DEVICE"],
        }
    )
    found = without(rows, of_data_set, [identity])
    if left is None:
        assert found is None
        return
    assert found is not None
    assert found.column("product").to_pylist() == [str(number) for number in left]
