"""Connections of partners with advertisers, the terms of AMC, and what all calls of these families need."""

from __future__ import annotations

import pytest

from tests.emulator.advertiser import AMC, DSP, Advertiser, message, record
from tests.emulator.api import Api, refusal

PATH = "audiences/connections"
TERMS = "audiences/connections/terms"


@pytest.fixture
def me(api) -> Advertiser:
    return Advertiser(api)


def ids(api: Api, **query: str) -> list[str]:
    return [one["connectionId"] for one in api.call("GET", PATH, params=query).json()["connections"]]


@pytest.mark.covers("endpoint", "AmcpLinkAddConnectionV2")
@pytest.mark.covers("endpoint", "AmcpLinkGetConnectionsV2")
def test_create_and_list(api, me):
    answer = api.call("POST", PATH, {**AMC, **DSP, "dspProfileId": "1"})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/vnd.amcaudiencesconnections.v1+json"
    first = answer.json()["connectionId"]
    second = me.connection(**DSP, connectionId="my-own-id")
    assert ids(api) == [first, second] == [first, "my-own-id"]
    (shown,) = api.call("GET", PATH, params={"connectionId": first}).json()["connections"]
    assert shown["amcInstanceId"] == "amcemulator"
    assert shown["dspAdvertiserId"] == DSP["dspAdvertiserId"]
    assert shown["clientId"] == "amzn1.application-oa2-client.emulator"
    (only_dsp,) = api.call("GET", PATH, params={"connectionId": second}).json()["connections"]
    assert "amcInstanceId" not in only_dsp


@pytest.mark.covers("rule", "one connection is the default one")
def test_there_is_always_one_default_connection(api, me):
    first, second = me.connection(), me.connection()
    assert ids(api, isDefault="true") == [first]
    third = me.connection(**AMC, isDefault=True)
    assert ids(api, isDefault="true") == [third]
    assert ids(api, isDefault="false") == [first, second, third]
    api.call("DELETE", PATH, params={"connectionId": third})
    assert ids(api, isDefault="true") == [first]


@pytest.mark.covers("endpoint", "AmcpLinkRemoveConnectionV2")
def test_delete_one(api, me):
    first, second = me.connection(), me.connection()
    answer = api.call("DELETE", PATH, params={"connectionId": first})
    assert (answer.status_code, answer.content) == (204, b"")
    assert ids(api) == [second]
    assert message(api.call("DELETE", PATH, params={"connectionId": first})) == (
        404,
        f"Connection with ID {first} does not exist.",
    )
    assert message(api.call("GET", PATH, params={"connectionId": first}))[0] == 404


@pytest.mark.parametrize("query", [{}, {"connectionId": ""}])
@pytest.mark.covers("rule", "a connection deleted without an id takes all others along")
def test_delete_without_an_id_deletes_all(api, me, query):
    me.connection()
    me.connection()
    assert api.call("DELETE", PATH, params=query).status_code == 204
    assert ids(api) == []


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "At least one of amcInstanceId and dspAdvertiserId must be specified."),
        ({"dspProfileId": "1"}, 400, "At least one of amcInstanceId and dspAdvertiserId must be specified."),
        (
            {"amcInstanceId": "amcemulator"},
            400,
            "amcAccountId must be specified together with amcInstanceId.",
        ),
        ({**AMC, "amcInstanceId": "nowhere"}, 403, "Unauthorized request."),
        ({**AMC, "amcAccountId": "ENTITYOTHER"}, 403, "Unauthorized request."),
        ({"dspAdvertiserId": "abc"}, 400, "Invalid value for dspAdvertiserId: expected digits."),
        ({"dspAdvertiserId": 5}, 400, "Invalid value for dspAdvertiserId: expected a string."),
        ({**DSP, "isDefault": "perhaps"}, 400, "Invalid value 'perhaps' for isDefault: expected true or false."),
    ],
)
def test_wrong_connections(api, body, status, text):
    answer = api.call("POST", PATH, body)
    assert message(answer) == (status, text)
    assert answer.json()["requestId"] == answer.headers["x-amz-rid"]


def test_an_id_can_be_used_once(api, me):
    me.connection(**DSP, connectionId="mine")
    answer = api.call("POST", PATH, {**DSP, "connectionId": "mine"})
    assert message(answer) == (400, "Connection with ID mine already exists.")


def test_no_more_than_a_list_can_hold(api, me):
    for _ in range(100):
        me.connection(**DSP)
    assert message(api.call("POST", PATH, DSP)) == (400, "There are 100 connections already.")


# -- what they need ----------------------------------------------------------------------------------------------------
FAMILIES = [
    ("GET", PATH, None),
    ("GET", TERMS, None),
    ("POST", "audiences/metadata", {}),
    ("POST", "audiences/records", {}),
    ("POST", "advertiserData/amcemulator/dataSets/list", None),
    ("POST", "advertiserData/amcemulator/uploads/list", None),
    ("POST", "advertiserData/amcemulator/userDeletionRequest/list", None),
]


@pytest.mark.parametrize(("method", "path", "body"), FAMILIES)
@pytest.mark.covers("rule", "audiences and uploads need a second scope")
def test_the_second_scope_is_needed(api, method, path, body):
    token = api.refresh("Atzr|emulator-reporting")
    answer = api.call(method, path, body, headers={"Authorization": f"Bearer {token}"})
    shown = answer.json()
    assert (answer.status_code, shown.get("details") or shown["message"]) == (403, "Unauthorized request.")
    headers = {"Authorization": f"Bearer {token}"}
    assert api.call("GET", "instances", headers=headers).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), FAMILIES[:4])
def test_audiences_need_the_client_id_only(api, method, path, body):
    headers = {name: value for name, value in api.headers.items() if name.endswith(("Authorization", "ClientId"))}
    url = f"{api.url}/amc/{path}"
    assert api.session.request(method, url, headers=headers, json=body).status_code != 401
    refused = api.session.request(method, url, headers={"Authorization": headers["Authorization"]}, json=body)
    assert message(refused) == (401, "Authentication failed")


@pytest.mark.parametrize(("method", "path", "body"), FAMILIES[4:])
def test_uploads_need_the_account(api, method, path, body):
    answer = api.call(method, path, headers={"Amazon-Advertising-API-AdvertiserId": ""})
    assert refusal(answer) == (400, "entityId provided is null")
    assert answer.json()["errors"] == []
    answer = api.call(method, path.replace("amcemulator", "nowhere"))
    assert refusal(answer) == (403, "Unauthorized request.")


# -- terms -------------------------------------------------------------------------------------------------------------
@pytest.mark.covers("endpoint", "AmcpLinkGetTermsV2")
def test_terms_are_accepted_from_the_start(api):
    answer = api.call("GET", TERMS)
    assert answer.headers["content-type"] == "application/vnd.amcaudiencesconnections.v1+json"
    assert answer.json()["hasAccepted"] is True


@pytest.mark.covers("endpoint", "AmcpLinkSetTermsAcceptanceV2")
@pytest.mark.covers("switch", "terms")
def test_open_terms_have_to_be_accepted(serve, tmp_path):
    served = serve(terms="open", terms_status=401, state_dir=tmp_path)
    api, me = served.api, Advertiser(served.api)
    text = "Terms and conditions must be accepted to continue"
    terms = api.call("GET", TERMS).json()
    assert terms["hasAccepted"] is False
    assert api.call("GET", "instances").status_code == 200
    assert refusal(me.call("POST", "dataSets/list")) == (401, text)
    assert refusal(api.reporting("GET", "workflows")) == (401, text)
    audience_id = me.audience(me.connection())
    body = {"audienceId": audience_id, "records": [record(1)]}
    assert message(api.call("POST", "audiences/records", body)) == (401, text)

    answer = api.call("PATCH", TERMS, {"agreementToken": terms["agreementToken"], "hasAccepted": True})
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.call("GET", TERMS).json()["hasAccepted"] is True
    assert me.call("POST", "dataSets/list").status_code == 200
    assert api.call("POST", "audiences/records", body).status_code == 202
    served.server.stop()
    served.server.start()
    assert me.call("POST", "dataSets/list").status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"agreementToken": "other", "hasAccepted": True}, "The agreementToken is not that of the current terms."),
        ({"agreementToken": "emulator-terms-1"}, "hasAccepted must be true or false."),
        ({"agreementToken": "emulator-terms-1", "hasAccepted": "true"}, "hasAccepted must be true or false."),
    ],
)
def test_wrong_acceptance(api, body, text):
    assert message(api.call("PATCH", TERMS, body)) == (400, text)


def test_not_accepting_changes_nothing(serve):
    api = serve(terms="open").api
    assert api.call("PATCH", TERMS, {"agreementToken": "emulator-terms-1", "hasAccepted": False}).status_code == 204
    assert api.call("GET", TERMS).json()["hasAccepted"] is False


@pytest.mark.parametrize(
    ("operation", "path"),
    [("AmcpLinkGetConnectionsV2", PATH), ("GetAudienceMetadataV2", "audiences/metadata/1")],
)
def test_errors_on_order_have_the_shape_of_their_family(served, operation, path):
    served.server.add_fault(operation=operation, kind="status", status=429)
    answer = served.api.call("GET", path)
    assert message(answer) == (429, "Too Many Requests")
    assert answer.headers["amazon-advertising-api-throttled"] == "true"


def test_bodies_are_json_objects(api):
    for path in (PATH, "audiences/metadata", "audiences/records"):
        assert message(api.call("POST", path, [])) == (400, "The request body must be a JSON object.")
