from __future__ import annotations

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.transport import DATA_SOURCES
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/reporting/amctest/dataSources"
SOURCE = {
    "dataSourceId": "sandbox.dsp_impressions",
    "owner": "AMAZON",
    "provider": "AMAZON",
    "columns": [{"name": "user_id", "columnType": "DIMENSION", "dataType": "STRING"}, {"name": "impressions"}],
    "tags": [{"type": "NEW"}],
}


def test_list_reads_all_pages(server: ScriptedServer, client: AmcClient) -> None:
    server.on(
        "GET", BASE, Reply(body={"dataSources": [SOURCE], "nextToken": "n"}), Reply(body={"dataSources": [SOURCE]})
    )
    first, second = client.data_sources.list()
    assert first == second
    assert [(column.name, column.data_type) for column in first.columns] == [
        ("user_id", "STRING"),
        ("impressions", None),
    ]
    assert server.calls()[0].headers["accept"] == DATA_SOURCES


@pytest.mark.parametrize("wrapped", [True, False])
def test_get_in_either_envelope(server: ScriptedServer, client: AmcClient, wrapped: bool) -> None:
    server.on("GET", f"{BASE}/sandbox.dsp_impressions", Reply(body={"dataSource": SOURCE} if wrapped else SOURCE))
    source = client.data_sources.get("sandbox.dsp_impressions")
    assert (source.data_source_id, source.owner, source.tags) == (
        "sandbox.dsp_impressions",
        "AMAZON",
        ({"type": "NEW"},),
    )
