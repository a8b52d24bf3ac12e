"""Data sets of advertisers and their columns."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.advertiser import EMAIL, PRODUCT, QUANTITY, TIME, Advertiser
from tests.emulator.api import refusal

MEDIA = "application/vnd.amcadvertiserdataset.v1+json"
FLAGS = {
    "nullable": True,
    "isMainEventTime": False,
    "isMainUserId": False,
    "isMainUserIdType": False,
    "isCountryCode": False,
    "requiresOneWayHashing": False,
}


@pytest.fixture
def me(api) -> Advertiser:
    return Advertiser(api)


def column(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "dataType": "STRING", "columnType": "DIMENSION", **fields}


def names(data_set: dict[str, Any]) -> list[str]:
    return [one["name"] for one in data_set["dataSet"]["columns"]]


@pytest.mark.covers("endpoint", "CreateDataSet")
@pytest.mark.covers("endpoint", "GetDataSet")
def test_create_and_get(me):
    answer = me.call(
        "POST",
        "dataSets",
        {"dataSet": {"dataSetId": "shops", "columns": [PRODUCT], "description": "Shops", "countryCode": "DE"}},
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA)
    assert answer.json() == {"dataSetId": "shops", "instanceId": "amcemulator"}
    assert me.done("GET", "dataSets/shops") == {
        "dataSet": {
            "dataSetId": "shops",
            "columns": [{**PRODUCT, **FLAGS}],
            "description": "Shops",
            "countryCode": "DE",
        }
    }


def test_instances_have_data_sets_of_their_own(me, api):
    me.data_set("shops", PRODUCT)
    other = Advertiser(api, "amcsandbox")
    assert refusal(other.call("GET", "dataSets/shops")) == (404, "Data set with ID shops does not exist.")
    other.data_set("shops", PRODUCT)


@pytest.mark.covers("rule", "columns of the matched user are added where identities are")
def test_columns_of_the_matched_user_are_added(me):
    me.data_set("sales", EMAIL, PRODUCT)
    assert names(me.done("GET", "dataSets/sales")) == ["email", "product", "user_id", "user_id_type"]
    own = column("who", isMainUserId=True), column("what", isMainUserIdType=True)
    me.data_set("own", EMAIL, *own)
    assert names(me.done("GET", "dataSets/own")) == ["email", "who", "what"]
    me.data_set("nobody", PRODUCT)
    assert names(me.done("GET", "dataSets/nobody")) == ["product"]


def test_the_period_is_that_of_facts(me):
    for name, fields, period in (("daily", {}, "P1D"), ("monthly", {"period": "P1M"}, "P1M")):
        me.data_set(name, TIME, **fields)
        assert me.done("GET", f"dataSets/{name}")["dataSet"]["period"] == period
    me.data_set("timeless", PRODUCT)
    assert "period" not in me.done("GET", "dataSets/timeless")["dataSet"]


@pytest.mark.parametrize(
    ("data_set", "text"),
    [
        (None, "dataSet must be specified."),
        ({"dataSetId": "x"}, "columns must be specified."),
        ({"dataSetId": "x", "columns": []}, "columns must be specified."),
        *(
            ({"dataSetId": name, "columns": [PRODUCT]}, f"Invalid value '{name}' for dataSetId: only lowercase letters")
            for name in ("My", "my set", "my-set", "list", "", None)
        ),
        ({"period": "P1Y", "columns": [TIME]}, "Invalid value 'P1Y' for period: expected one of PT1H, P1D, P1M."),
        ({"countryCode": "USA"}, "Invalid value 'USA' for countryCode: expected two capital letters, such as US."),
        ({"description": 5}, "Invalid value for description: expected a string."),
        ({"columns": [5]}, "A column must be an object."),
        ({"columns": [column("a b")]}, "Invalid value 'a b' for name of a column"),
        ({"columns": [column("a", dataType="TEXT")]}, "Invalid value 'TEXT' for dataType of the column a"),
        ({"columns": [column("a", columnType="FACT")]}, "Invalid value 'FACT' for columnType of the column a"),
        ({"columns": [column("a"), column("A")]}, "The column A is defined multiple times."),
        ({"columns": [column("a", nullable="maybe")]}, "Invalid value 'maybe' for nullable: expected true or false."),
        (
            {"columns": [column("a", isMainEventTime=True)]},
            "The column a with isMainEventTime must have the dataType TIMESTAMP or DATE.",
        ),
        ({"columns": [TIME, {**TIME, "name": "b"}]}, "Only one column can have isMainEventTime."),
        (
            {"columns": [column("a", isMainUserId=True, columnType="METRIC")]},
            "The column a with isMainUserId cannot be a METRIC.",
        ),
        (
            {"columns": [column("a", consentType="TCF"), column("b", consentType="TCF")]},
            "Only one column can have the consentType TCF.",
        ),
        ({"columns": [column("a", consentType="tcf")]}, "Invalid value 'tcf' for consentType of the column a"),
        (
            {"columns": [column("a", externalUserIdType={"hashedPii": "NAME"})]},
            "Invalid value 'NAME' for externalUserIdType of the column a: expected one of ADDRESS",
        ),
        (
            {"columns": [column("a", externalUserIdType={"externalIdentity": "COOKIE"})]},
            "Invalid value 'COOKIE' for externalUserIdType of the column a: expected one of EXPERIAN",
        ),
        (
            {"columns": [column("a", externalUserIdType={})]},
            "Invalid value for externalUserIdType of the column a: exactly one of hashedPii and externalIdentity",
        ),
        (
            {"columns": [column("a", externalUserIdType={"hashedPii": "EMAIL"}, dataType="LONG")]},
            "The column a with an identity or a consent must have the dataType STRING.",
        ),
        ({"columns": [column(f"c{n}") for n in range(101)]}, "A data set can have at most 100 columns."),
    ],
)
@pytest.mark.covers("rule", "definitions of data sets are checked")
def test_wrong_data_sets(me, data_set, text):
    body = None if data_set is None else {"dataSetId": "x", "columns": [PRODUCT], **data_set}
    if data_set is not None and set(data_set) == {"dataSetId"}:
        body = data_set
    status, told = refusal(me.call("POST", "dataSets", {"dataSet": body}))
    assert status == 400
    assert told.startswith(text)


def test_a_hundred_columns_are_enough(me):
    me.data_set("wide", *(column(f"c{number}") for number in range(100)))


def test_names_are_unique(me):
    me.data_set("shops", PRODUCT)
    answer = me.call("POST", "dataSets", {"dataSet": {"dataSetId": "shops", "columns": [PRODUCT]}})
    assert refusal(answer) == (400, "Data set with ID shops already exists.")
    assert answer.json()["errors"] == []
    assert answer.json()["requestId"] == answer.headers["x-amz-rid"]


@pytest.mark.covers("rule", "an instance has at most 5,000 data sets")
def test_the_most_an_instance_can_have(served):
    store = served.server.emulator.store
    for number in range(4999):
        store.add_document("dataSet", "amcemulator", f"d{number}", {"dataSetId": f"d{number}"})
    me = Advertiser(served.api)
    me.data_set("last", PRODUCT)
    answer = me.call("POST", "dataSets", {"dataSet": {"dataSetId": "more", "columns": [PRODUCT]}})
    assert refusal(answer) == (
        400,
        "The instance amcemulator has 5000 data sets already, which is the most it can have.",
    )


@pytest.mark.covers("endpoint", "ListDataSets")
def test_list_in_pages(me):
    for number in range(5):
        me.data_set(f"d{number}", PRODUCT)
    page = me.done("POST", "dataSets/list", params={"maxResults": "3"})
    assert [one["dataSetId"] for one in page["dataSets"]] == ["d0", "d1", "d2"]
    me.done("DELETE", "dataSets/d1")
    rest = me.done("POST", "dataSets/list", {}, params={"maxResults": "3", "nextToken": page["nextToken"]})
    assert [one["dataSetId"] for one in rest["dataSets"]] == ["d3", "d4"]
    assert "nextToken" not in rest


@pytest.mark.parametrize("path", ["dataSets/list", "uploads/list", "userDeletionRequest/list"])
@pytest.mark.parametrize("given", ["0", "101", "ten"])
@pytest.mark.covers("rule", "maxResults and nextToken of the lists of advertiser data upload")
def test_wrong_pages(me, path, given):
    text = f"Invalid value '{given}' for maxResults: expected a number from 1 to 100."
    assert refusal(me.call("POST", path, params={"maxResults": given})) == (400, text)
    answer = me.call("POST", path, params={"nextToken": "made up"})
    assert refusal(answer) == (400, "The provided nextToken is invalid.")


@pytest.mark.covers("endpoint", "UpdateDataSet")
def test_update(me):
    me.data_set("shops", PRODUCT)
    changed = me.done("PUT", "dataSets/shops", {"description": "New", "countryCode": "US"})
    assert changed == me.done("GET", "dataSets/shops")
    assert (changed["dataSet"]["description"], changed["dataSet"]["countryCode"]) == ("New", "US")
    answer = me.call("PUT", "dataSets/shops", {"description": "x" * 256})
    assert refusal(answer) == (400, "Invalid value for description: at most 255 characters are allowed.")


@pytest.mark.covers("endpoint", "DeleteDataSet")
def test_delete(me):
    me.data_set("shops", PRODUCT)
    assert me.done("DELETE", "dataSets/shops") == {"dataSetId": "shops", "instanceId": "amcemulator"}
    for method in ("GET", "PUT", "DELETE"):
        answer = me.call(method, "dataSets/shops", {} if method == "PUT" else None)
        assert refusal(answer) == (404, "Data set with ID shops does not exist.")


# -- columns -----------------------------------------------------------------------------------------------------------
@pytest.mark.covers("endpoint", "AddColumnToDataSet")
def test_add_a_column(me):
    me.data_set("sales", PRODUCT)
    answer = me.call("POST", "dataSets/sales/columns", {"column": QUANTITY})
    assert answer.headers["content-type"] == "application/vnd.amcadvertiserdatasetcolumn.v1+json"
    assert names(answer.json()) == ["product", "quantity"]
    assert names(me.done("POST", "dataSets/sales/columns", {"column": EMAIL}))[-3:] == [
        "email",
        "user_id",
        "user_id_type",
    ]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "column must be specified."),
        (PRODUCT, "The column product is defined multiple times."),
        *(
            (
                {**TIME, "name": "a", "isMainEventTime": False, "dataType": kind, flag: True},
                f"A column with {flag} cannot be added to a data set: create the data set anew.",
            )
            for flag, kind in (
                ("isMainUserId", "STRING"),
                ("isMainUserIdType", "STRING"),
                ("isMainEventTime", "DATE"),
            )
        ),
    ],
)
def test_columns_that_cannot_be_added(me, given, text):
    me.data_set("sales", PRODUCT)
    answer = me.call("POST", "dataSets/sales/columns", {"column": given})
    assert refusal(answer) == (400, text)
    assert names(me.done("GET", "dataSets/sales")) == ["product"]


@pytest.mark.covers("endpoint", "UpdateColumnInDataSet")
def test_update_a_column(me):
    me.data_set("sales", PRODUCT, QUANTITY)
    body = {"updatedColumnName": "item", "updateDescription": "What was bought"}
    changed = me.done("PUT", "dataSets/sales/columns/product", body)
    assert names(changed) == ["item", "quantity"]
    assert changed["dataSet"]["columns"][0]["description"] == "What was bought"
    path = "dataSets/sales/columns"
    assert refusal(me.call("PUT", f"{path}/item", {"updatedColumnName": "Quantity"})) == (
        400,
        "The column quantity is defined multiple times.",
    )
    assert refusal(me.call("PUT", f"{path}/item", {"updateDescription": "x" * 256}))[0] == 400
    assert refusal(me.call("PUT", f"{path}/product", body)) == (404, "Data set with ID sales has no column product.")


@pytest.mark.covers("endpoint", "DeleteColumnFromDataSet")
def test_delete_a_column(me):
    me.data_set("sales", EMAIL, PRODUCT, TIME)
    assert names(me.done("DELETE", "dataSets/sales/columns/product")) == ["email", "bought", "user_id", "user_id_type"]
    for name, flag in (("bought", "isMainEventTime"), ("user_id", "isMainUserId")):
        answer = me.call("DELETE", f"dataSets/sales/columns/{name}")
        assert refusal(answer) == (400, f"The column {name} with {flag} cannot be deleted.")
    assert refusal(me.call("DELETE", "dataSets/sales/columns/product"))[0] == 404
    me.data_set("one", PRODUCT)
    answer = me.call("DELETE", "dataSets/one/columns/product")
    assert refusal(answer) == (400, "The column product cannot be deleted: a data set needs a column.")
