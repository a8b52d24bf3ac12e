"""Headers, accounts, instances, data sources, unknown paths: what a request needs to get through."""

from __future__ import annotations

import pytest

from airflow_provider_amc.emulator import signing
from tests.emulator.api import ACCOUNT, CLIENT_ID, MARKETPLACE
from tests.evidence.inventory import absent_endpoints

PREFIX = "Amazon-Advertising-API-"


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


@pytest.mark.covers("endpoint", "listAccounts")
def test_accounts_need_the_client_id_only(api):
    headers = {name: api.headers[name] for name in ("Authorization", PREFIX + "ClientId")}
    answer = api.session.get(f"{api.url}/amc/accounts", headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "amcAccounts": [{"accountId": ACCOUNT, "accountName": "AMC emulator", "marketplaceId": MARKETPLACE}]
    }
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amz-rid"] == answer.headers["x-amz-request-id"]


def test_header_names_may_be_written_in_any_case(api):
    headers = {name.lower(): value for name, value in api.headers.items()}
    assert api.session.get(f"{api.url}/amc/instances", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "status", "details"),
    [
        ("Authorization", None, 401, "Authentication failed"),
        ("Authorization", "Bearer nonsense", 401, "Authentication failed"),
        ("Authorization", "Basic YTpi", 401, "Authentication failed"),
        (PREFIX + "ClientId", None, 401, "Authentication failed"),
        (PREFIX + "ClientId", "someone", 401, "Authentication failed"),
        (PREFIX + "AdvertiserId", None, 400, "entityId provided is null"),
        (PREFIX + "AdvertiserId", "1234567890", 403, "Unauthorized request."),
        (PREFIX + "MarketplaceId", None, 400, "marketplaceId provided is null"),
        (PREFIX + "MarketplaceId", "A1PA6795UKMFR9", 403, "Unauthorized request."),
    ],
)
@pytest.mark.parametrize("path", ["instances", "reporting/amcemulator/workflows"])
@pytest.mark.covers("rule", "headers for client, account and marketplace")
def test_headers_are_checked(api, path, name, value, status, details):
    headers = without(api.headers, name)
    if value is not None:
        headers[name] = value
    answer = api.session.get(f"{api.url}/amc/{path}", headers=headers)
    assert answer.status_code == status
    body = answer.json()
    assert (body["code"], body["details"]) == (str(status), details)
    if status == 401:
        assert body["requestId"] == answer.headers["x-amz-rid"]


def test_errors_of_accounts_are_in_their_own_shape(api):
    answer = api.session.get(f"{api.url}/amc/accounts")
    assert answer.status_code == 401
    assert answer.json() == {"message": "Authentication failed", "requestId": answer.headers["x-amz-rid"]}


@pytest.mark.covers("rule", "access tokens live an hour")
@pytest.mark.covers("switch", "token_lifetime")
def test_access_token_dies_after_an_hour_of_virtual_time(served):
    api = served.api
    headers = dict(api.headers)
    served.server.advance_clock(3590)
    assert api.session.get(f"{api.url}/amc/instances", headers=headers).status_code == 200
    served.server.advance_clock(11)
    answer = api.session.get(f"{api.url}/amc/instances", headers=headers)
    assert (answer.status_code, answer.json()["details"]) == (401, "Authentication failed")


def test_altered_token_is_refused(api):
    token = api.headers["Authorization"].removeprefix("Bearer ")
    claims = signing.read_token(token)
    assert claims is not None
    assert claims["client_id"] == CLIENT_ID
    payload, _, signature = token.partition(".")
    altered = payload[:-2] + ("AA" if payload[-2:] != "AA" else "BB") + "." + signature
    assert signing.read_token(altered) is None
    headers = {**api.headers, "Authorization": f"Bearer {altered}"}
    assert api.session.get(f"{api.url}/amc/accounts", headers=headers).status_code == 401


@pytest.mark.covers("rule", "required scope")
def test_token_without_the_campaign_scope_cannot_call_amc(api):
    token = signing.sign_token({"client_id": CLIENT_ID, "scope": "profile", "exp": 9e9})
    answer = api.call("GET", "instances", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["details"]) == (403, "Unauthorized request.")


@pytest.mark.covers("switch", "scope_status")
def test_missing_scope_as_401(serve):
    api = serve(scope_status=401).api
    token = signing.sign_token({"client_id": CLIENT_ID, "scope": "advertising::audiences", "exp": 9e9})
    answer = api.call("GET", "instances", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()) == (401, {"code": "401", "details": "Unauthorized request."})


@pytest.mark.covers("endpoint", "listInstances")
def test_instances(serve):
    api = serve(extra_instances=["amcother"]).api
    listed = api.call("GET", "instances").json()
    assert listed["nextToken"] is None
    assert [(one["instanceId"], one["instanceType"]) for one in listed["instances"]] == [
        ("amcemulator", "STANDARD"),
        ("amcsandbox", "SANDBOX"),
        ("amcother", "STANDARD"),
    ]
    first = listed["instances"][0]
    assert first["creationStatus"] == "COMPLETED"
    assert first["entities"] == ["NA"]
    assert first["apiEndpoint"] is None
    assert "s3BucketRegion" not in first
    answer = api.call("GET", "instances/amcemulator")
    assert answer.json() == {"instance": first}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.covers("switch", "instances_page_size")
def test_instances_come_in_pages(serve):
    api = serve(extra_instances=3, instances_page_size=2).api
    seen: list[str] = []
    query: dict[str, str] = {"nextToken": ""}
    while True:
        page = api.call("GET", "instances", params=query).json()
        seen += [one["instanceId"] for one in page["instances"]]
        if not page["nextToken"]:
            break
        query = {"nextToken": page["nextToken"]}
    assert seen == ["amcemulator", "amcsandbox", "amcemulator02", "amcemulator03", "amcemulator04"]


@pytest.mark.covers("endpoint", "getInstance")
def test_unknown_instance(api):
    for path in ("instances/nowhere", "reporting/nowhere/workflows"):
        answer = api.call("GET", path)
        assert (answer.status_code, answer.json()) == (403, {"code": "403", "details": "Unauthorized request."})


def test_wrong_accept_on_an_instance(api):
    refused = api.call("GET", "instances/amcemulator", headers={"Accept": "text/csv"})
    assert (refused.status_code, refused.json()) == (415, {"code": "415", "details": "Unsupported Media Type"})
    accept = {"Accept": "application/vnd.amcinstances.v1+json"}
    assert api.call("GET", "instances/amcemulator", headers=accept).status_code == 200


@pytest.mark.covers("endpoint", "getInstanceAdvertisers")
def test_advertisers(api):
    everyone = api.call("GET", "instances/amcemulator/advertisers").json()
    assert everyone["totalCount"] == len(everyone["advertisers"]) == 2
    display = api.call("GET", "instances/amcemulator/advertisers", params={"type": "DISPLAY"}).json()["advertisers"]
    assert [one["marketplaceId"] for one in display] == [None]
    assert api.call("GET", "instances/amcemulator/advertisers", params={"type": "X"}).status_code == 400


@pytest.mark.covers("endpoint", "listDataSources")
@pytest.mark.covers("endpoint", "getDataSource")
def test_data_sources(api):
    page = api.reporting("GET", "dataSources", params={"limit": "5"})
    assert page.headers["content-type"] == "application/vnd.amcdatasources.v1+json"
    names = [one["dataSourceId"] for one in page.json()["dataSources"]]
    rest = api.reporting("GET", "dataSources", params={"limit": "5", "nextToken": page.json()["nextToken"]}).json()
    names += [one["dataSourceId"] for one in rest["dataSources"]]
    assert names == [f"table_{number:03d}" for number in range(7)]
    assert "nextToken" not in rest
    one = api.reporting("GET", "dataSources/table_003").json()
    assert one["columns"][0]["dataType"] == "LONG"
    assert api.reporting("GET", "dataSources/nothing").status_code == 400


def test_unknown_paths_are_the_gateways_affair(api):
    answer = api.call("GET", "nothing/here")
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
    answer = api.call("PATCH", "instances")
    assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})
    assert answer.headers["x-amz-rid"]


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        pytest.param(*endpoint, id=endpoint[0], marks=pytest.mark.covers("endpoint", endpoint[0], "unsupported"))
        for endpoint in absent_endpoints()
    ],
)
def test_what_is_not_emulated_is_no_path(api, name, method, path):
    given = path.removeprefix("/amc/").format(instanceId="amcemulator", updateId=0)
    answer = api.call(method, given, {} if method != "GET" else None)
    assert answer.status_code in (403, 404), name
    assert answer.json()["message"] in ("Not Found", "Missing Authentication Token")


@pytest.mark.parametrize(
    ("limit", "status"), [("1", 200), ("100", 200), ("0", 400), ("101", 400), ("ten", 400), ("-1", 400)]
)
@pytest.mark.covers("rule", "limit and nextToken of every list")
@pytest.mark.covers("switch", "default_page_size")
def test_limit_of_lists(api, limit, status):
    assert api.reporting("GET", "workflows", params={"limit": limit}).status_code == status


@pytest.mark.covers("rule", "limit and nextToken of every list")
def test_next_token_must_be_one_of_this_list(api):
    token = api.reporting("GET", "dataSources", params={"limit": "1"}).json()["nextToken"]
    for wrong in (token, "nonsense", "bm9uc2Vuc2U="):
        answer = api.reporting("GET", "workflows", params={"nextToken": wrong})
        assert (answer.status_code, answer.json()["details"]) == (400, "The provided nextToken is invalid.")


def test_a_slash_at_the_end_of_a_path_changes_nothing(api):
    assert api.reporting("GET", "workflows/", allow_redirects=False).json() == {"workflows": []}
    body = {"workflowId": "w", "sqlQuery": "SELECT n FROM rows_1"}
    assert api.reporting("POST", "workflows/", body, allow_redirects=False).status_code == 200
