from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.data_sets import DataSetColumn
from airflow_provider_amc.client.transport import DATA_SET_COLUMNS, DATA_SETS
from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcNotFoundError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/advertiserData/amctest/dataSets"
TIME = DataSetColumn("bought_at", "TIMESTAMP", is_main_event_time=True)
EMAIL = {"name": "email", "dataType": "STRING", "externalUserIdType": {"hashedPii": "EMAIL"}}
EXISTS = Reply(400, {"code": "400", "details": "Data set with ID orders already exists."})


def test_create_writes_columns_by_their_names(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", BASE, Reply(body={"dataSetId": "orders", "instanceId": "amctest"}))
    client.data_sets.create("orders", columns=[TIME, EMAIL], period="P1D", country_code="US", description="Orders")
    call = server.calls()[0]
    assert call.json == {
        "dataSet": {
            "dataSetId": "orders",
            "columns": [
                {"name": "bought_at", "dataType": "TIMESTAMP", "columnType": "DIMENSION", "isMainEventTime": True},
                {**EMAIL, "columnType": "DIMENSION"},
            ],
            "period": "P1D",
            "countryCode": "US",
            "description": "Orders",
        }
    }
    assert call.headers["content-type"] == DATA_SETS
    assert call.headers["amazon-advertising-api-advertiserid"] == "ENTITYTEST"


@pytest.mark.parametrize(("columns", "ours"), [([{"name": "BOUGHT_AT"}], True), ([{"name": "other"}], False)])
def test_one_that_exists_after_a_lost_answer(
    server: ScriptedServer, client: AmcClient, columns: list[dict[str, Any]], ours: bool
) -> None:
    server.on("POST", BASE, Reply(fault="close"), EXISTS)
    server.on("GET", f"{BASE}/orders", Reply(body={"dataSet": {"dataSetId": "orders", "columns": columns}}))
    if ours:
        client.data_sets.create("orders", columns=[TIME])
    else:
        with pytest.raises(AmcAlreadyExistsError):
            client.data_sets.create("orders", columns=[TIME])
    server.on("POST", BASE, EXISTS)
    with pytest.raises(AmcAlreadyExistsError):
        client.data_sets.create("orders", columns=[TIME])


@pytest.mark.parametrize(
    ("data_set_id", "columns", "options", "message"),
    [
        ("Orders", [TIME], {}, "lower-case"),
        ("list", [TIME], {}, "not be 'list'"),
        ("orders", [], {}, "1 to 100, got 0"),
        ("orders", [DataSetColumn(f"c{n}") for n in range(101)], {}, "got 101"),
        ("orders", [DataSetColumn("a"), DataSetColumn("A")], {}, "more than once: a"),
        ("orders", [DataSetColumn("a", "FLOAT")], {}, "Column a: data_type must be one of"),
        ("orders", [DataSetColumn(" ")], {}, "no name"),
        ("orders", [TIME], {"period": "P1W"}, "PT1H, P1D, P1M"),
    ],
)
def test_a_wrong_data_set(
    server: ScriptedServer, client: AmcClient, data_set_id: str, columns: Any, options: Any, message: str
) -> None:
    with pytest.raises(AmcValidationError, match=message):
        client.data_sets.create(data_set_id, columns=columns, **options)
    assert server.requests == []


def test_list_and_get(server: ScriptedServer, client: AmcClient) -> None:
    server.on(
        "POST", f"{BASE}/list",
        Reply(body={"dataSets": [{"dataSetId": "a", "columns": [{"name": "t", "isMainEventTime": "true"}]}], "nextToken": "n"}),
        Reply(body={"dataSets": [{"dataSetId": "b"}]}),
    )  # fmt: skip
    assert [(one.data_set_id, one.is_fact) for one in client.data_sets.list(limit=1)] == [("a", True), ("b", False)]
    assert server.calls()[1].query == {"maxResults": "1", "nextToken": "n"}
    server.on("GET", f"{BASE}/a", Reply(404, {"code": "404", "details": "Data set a does not exist"}))
    with pytest.raises(AmcNotFoundError):
        client.data_sets.get("a")


def test_changes(server: ScriptedServer, client: AmcClient) -> None:
    for method, path in (
        ("PUT", f"{BASE}/a"), ("DELETE", f"{BASE}/a"), ("POST", f"{BASE}/a/columns"),
        ("PUT", f"{BASE}/a/columns/c"), ("DELETE", f"{BASE}/a/columns/c"),
    ):  # fmt: skip
        server.on(method, path, Reply())
    client.data_sets.update("a", description="New")
    client.data_sets.add_column("a", {"name": "c", "dataType": "LONG", "columnType": "METRIC"})
    client.data_sets.update_column("a", "c", new_name="d")
    client.data_sets.delete_column("a", "c")
    client.data_sets.delete("a")
    update, added, renamed, *_ = server.calls()
    assert update.json == {"description": "New"}
    assert added.json == {"column": {"name": "c", "dataType": "LONG", "columnType": "METRIC"}}
    assert (renamed.json, renamed.headers["accept"]) == ({"updatedColumnName": "d"}, DATA_SET_COLUMNS)
    with pytest.raises(AmcValidationError, match="nothing to change"):
        client.data_sets.update_column("a", "c")
