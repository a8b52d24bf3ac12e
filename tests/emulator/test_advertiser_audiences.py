"""Audiences of advertisers: their metadata."""

from __future__ import annotations

import pytest

from tests.emulator.advertiser import AMC, DSP, Advertiser, audience_body, message, record

PATH = "audiences/metadata"
LONGEST = 34_300_800


@pytest.fixture
def me(api) -> Advertiser:
    return Advertiser(api)


@pytest.mark.covers("endpoint", "CreateAudienceMetadataV2")
@pytest.mark.covers("endpoint", "GetAudienceMetadataV2")
def test_create_and_get(api, me):
    fees = [{"cpmCents": 25, "currency": "EUR"}]
    body = {**audience_body(me.connection(), ttl=604800, audienceFees=fees), "countryCode": "US"}
    answer = api.call("POST", PATH, body)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/vnd.amcaudiences.v1+json"
    made = answer.json()
    assert made == {"audienceId": made["audienceId"], "externalAudienceId": "loyal"}
    assert api.call("GET", f"{PATH}/{made['audienceId']}").json() == {
        "audienceId": made["audienceId"],
        "advertiserId": int(DSP["dspAdvertiserId"]),
        "name": "Loyal customers",
        "description": "Those who came back",
        "countryCode": "US",
        "metadata": {
            "externalAudienceId": "loyal",
            "ttl": 604800,
            "audienceFees": fees,
            "audienceSize": {"receivedRecordSize": 0, "idResolutionCount": 0, "dspAudienceSize": 0},
        },
    }


def test_members_stay_thirteen_months_if_nobody_says_otherwise(api, me):
    audience_id = me.audience(me.connection(**AMC))
    shown = api.call("GET", f"{PATH}/{audience_id}").json()
    assert shown["metadata"]["ttl"] == LONGEST
    assert "advertiserId" not in shown
    assert me.audience(me.connection()) != audience_id


@pytest.mark.covers("endpoint", "UpdateAudienceMetadataV2")
def test_update(api, me):
    path = f"{PATH}/{me.audience(me.connection(), ttl=60)}"
    answer = api.call("PUT", path, {"description": "New", "metadata": {"ttl": 0}})
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["description"], changed["metadata"]) == ("New", {"ttl": 0, "externalAudienceId": "loyal"})
    answer = api.call("PUT", path, {"metadata": {"ttl": LONGEST + 1}})
    assert message(answer) == (400, f"Invalid value '{LONGEST + 1}' for ttl: expected a number from 0 to {LONGEST}.")
    assert message(api.call("PUT", path, {"description": "x" * 1001}))[0] == 400
    assert api.call("GET", path).json()["metadata"]["ttl"] == 0


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_unknown_audiences(api, method):
    body = {} if method == "PUT" else None
    assert message(api.call(method, f"{PATH}/5", body)) == (404, "Audience with ID 5 does not exist.")
    text = "Invalid value 'mine' for audienceId: expected a number."
    assert message(api.call(method, f"{PATH}/mine", body)) == (400, text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": None}, "name must be specified."),
        ({"name": "too short"}, "Invalid value for name: expected 10 to 128 characters."),
        ({"name": "x" * 129}, "Invalid value for name: expected 10 to 128 characters."),
        ({"description": None}, "description must be specified."),
        ({"description": "x" * 1001}, "Invalid value for description: expected 0 to 1000 characters."),
        ({"countryCode": "usa"}, "Invalid value 'usa' for countryCode: expected two capital letters, such as US."),
        ({"targetResource": None}, "targetResource must have exactly one of connectionId and advertiserId."),
        ({"targetResource": {"connectionId": "x", "advertiserId": 1}}, "targetResource must have exactly one of"),
        ({"targetResource": {"connectionId": "x"}}, "Connection with ID x does not exist."),
        ({"targetResource": {"advertiserId": "1"}}, "Invalid value for advertiserId: expected a number."),
        ({"metadata": None}, "metadata must be an object."),
        ({"metadata": {}}, "externalAudienceId must be specified."),
        ({"metadata": {"externalAudienceId": "x", "ttl": -1}}, "Invalid value '-1' for ttl: expected a number from 0"),
        ({"metadata": {"externalAudienceId": "x", "ttl": "7"}}, "Invalid value '7' for ttl: expected a number from 0"),
        *(
            (
                {"metadata": {"externalAudienceId": "x", "audienceFees": fees}},
                "Invalid value for audienceFees: expected 1 to 13 objects with cpmCents and currency.",
            )
            for fees in ([], [{"cpmCents": 5, "currency": "CHF"}], [{"currency": "USD"}], [{}] * 14, 5)
        ),
    ],
)
@pytest.mark.covers("rule", "metadata of audiences are checked")
def test_wrong_audiences(api, me, changes, text):
    body = {**audience_body(me.connection()), **changes}
    status, told = message(api.call("POST", PATH, {name: value for name, value in body.items() if value is not None}))
    assert status == 400
    assert told.startswith(text)


def test_the_size_adds_up(api, me):
    audience_id = me.audience(me.connection())
    for numbers in (range(50), range(25, 75)):
        me.job(me.send(audience_id, [record(number) for number in numbers]))
    size = api.call("GET", f"{PATH}/{audience_id}").json()["metadata"]["audienceSize"]
    assert size["receivedRecordSize"] == 100
    assert 60 <= size["idResolutionCount"] <= 95
    assert 45 <= size["dspAudienceSize"] <= 70
