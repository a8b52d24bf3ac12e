"""Whatever is sent to the administration and to audiences of queries, the answer is one of AMC's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emulator.test_query_audiences import LOOKALIKE, REQUEST, Audiences

ADVERTISER = {"id": "580000000000000002", "type": "DISPLAY"}
PARTNER = {"awsAccountId": "222222222222", "displayName": "P", "abilities": []}
#: Bodies that are good, by endpoint; parts of them are replaced.
BODIES: dict[str, dict[str, Any]] = {
    "instances": {
        "instanceName": "Any name",
        "advertiserName": "My brand",
        "awsAccountId": "123456789012",
        "s3BucketName": "my-bucket",
        "acrBacked": True,
        "acrCustomerPartners": [PARTNER],
        "idempotencyToken": "t",
    },
    "instances/amcemulator/updateCustomerAwsAccount": {"awsAccountId": "123456789012", "bucketName": "my-bucket"},
    "instances/amcemulator/advertisers/updates": {
        "advertisersToAdd": [ADVERTISER],
        "advertisersToRemove": [ADVERTISER],
    },
    "instances/{together}/collaborations/{collaboration}/acrCustomerPartners": {"acrCustomerPartners": [PARTNER]},
    "instances/{together}/collaboration/idnamespaces/list": {"maxResults": 5, "nextToken": ""},
    "instances/{together}/collaboration/idmappingtables": {
        "idMappingTableName": "crm",
        "sourceIdNamespaceArn": "arn:aws:entityresolution:us-east-1:000000000000:idnamespace/customers",
    },
    "instances/{together}/collaboration/idmappingtables/list": {"maxResults": 5, "nextToken": ""},
}
AUDIENCE = {
    "audienceDescription": "d",
    "refreshRateDays": 7,
    "timeWindowRelative": True,
    "inputParameters": [{"name": "p", "dataType": "STRING"}],
    "parameterValues": {"p": "x"},
    "advertiserType": "DISPLAY",
    "workflowId": "wf",
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
PLAUSIBLE = st.sampled_from(
    [ADVERTISER, [ADVERTISER], [PARTNER], "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 10**30]
)
fuzzed = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def changed(data: st.DataObject, good: dict[str, Any]) -> dict[str, Any]:
    """A good body in which some fields have anything as value, and some are missing."""
    body = {**good, **data.draw(st.dictionaries(st.sampled_from(sorted(good)), json_values | PLAUSIBLE, max_size=3))}
    for name in data.draw(st.sets(st.sampled_from(sorted(good)), max_size=2)):
        del body[name]
    return body


@pytest.fixture
def together(api) -> dict[str, str]:
    """The ids of an instance with a collaboration."""
    made = api.call("POST", "instances", {"instanceName": "Together", "acrBacked": True}).json()["instance"]
    found = api.call("GET", f"instances/{made['instanceId']}/collaboration").json()["collaboration"]
    return {"together": made["instanceId"], "collaboration": found["id"]}


@pytest.mark.parametrize("path", BODIES)
@fuzzed
@given(data=st.data())
def test_bodies_of_the_administration(api, together, path, data):
    answer = api.call("POST", path.format(**together), changed(data, BODIES[path]))
    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 200 or answer.json()["details"]
    assert api.call("GET", "instances/amcemulator/advertisers").status_code == 200


@pytest.mark.parametrize("path", ["query", "lookalike"])
@fuzzed
@given(data=st.data())
def test_bodies_of_audiences(served, path, data):
    audiences = Audiences(served.api)
    answer = audiences.call(
        "POST", path, changed(data, {**(LOOKALIKE if path == "lookalike" else REQUEST), **AUDIENCE})
    )
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert audiences.ended(answer.json()["audienceExecutionId"])["status"] in ("SUCCEEDED", "FAILED")
    assert audiences.call("GET", "query").status_code == 200


@fuzzed
@given(data=st.data())
def test_updates_of_audiences(served, data):
    audiences = Audiences(served.api)
    audience_id = audiences.create(query="SELECT user_id FROM rows_1")
    assert audiences.ended(audience_id)["status"] == "FAILED"
    answer = audiences.call(
        "PUT", f"query/{audience_id}", changed(data, {**REQUEST, **AUDIENCE, "audienceType": "RULE_BASED"})
    )
    assert answer.status_code in (200, 400), answer.text
