from __future__ import annotations

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.exceptions import AmcUnknownOutcomeError, AmcValidationError
from tests.client.scripted import Reply, ScriptedServer

BASE = "/amc/instances/amctest"
TABLES = f"{BASE}/collaboration/idmappingtables"
PARTNER = {"awsAccountId": "000011112222", "displayName": "Agency", "abilities": []}


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_collaboration_in_either_envelope(server: ScriptedServer, client: AmcClient, wrapped: bool) -> None:
    flat = {"id": "c", "status": "active", "customer": {"accountId": "1"}, "customerPartners": [{"accountId": "2"}]}
    server.on("GET", f"{BASE}/collaboration", Reply(body={"collaboration": flat} if wrapped else flat))
    found = client.collaborations.get()
    assert (found.id, found.status, found.customer, found.customer_partners) == (
        "c", "ACTIVE", {"accountId": "1"}, ({"accountId": "2"},),
    )  # fmt: skip


def test_partners(server: ScriptedServer, client: AmcClient) -> None:
    path = f"{BASE}/collaborations/c/acrCustomerPartners"
    server.on("POST", path, Reply(body={"acrCustomerPartners": [{**PARTNER, "status": "INVITED"}]}))
    server.on("DELETE", f"{path}/000011112222", Reply())
    assert client.collaborations.add_partners("c", [PARTNER])[0]["status"] == "INVITED"
    client.collaborations.remove_partner("c", "000011112222")
    assert [call.method for call in server.calls()] == ["POST", "DELETE"]
    with pytest.raises(AmcValidationError, match="one at least"):
        client.collaborations.add_partners("c", [])


def test_lists_take_their_page_in_the_body(server: ScriptedServer, client: AmcClient) -> None:
    server.on(
        "POST",
        f"{TABLES}/list",
        Reply(body={"idMappingTables": [{"id": "t1", "queryable": True}], "nextToken": "n"}),
        Reply(body={"idMappingTables": [{"id": "t2"}]}),
    )
    assert [table.id for table in client.collaborations.id_mapping_tables(limit=1)] == ["t1", "t2"]
    assert [call.json for call in server.calls()] == [{"maxResults": 1}, {"maxResults": 1, "nextToken": "n"}]
    spaces = {"collaborationIdNamespaceAssociations": [{"id": "s", "idNamespaceType": "SOURCE"}]}
    server.on("POST", f"{BASE}/collaboration/idnamespaces/list", Reply(body=spaces))
    assert [space.id_namespace_type for space in client.collaborations.id_namespaces()] == ["SOURCE"]


def test_the_life_of_an_id_mapping_table(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", TABLES, Reply(body={"idMappingTable": {"id": "t", "name": "people"}, "trackingId": "42"}))
    server.on("GET", f"{TABLES}/t/jobTracker/42", Reply(body={}), Reply(body={"idMappingJobId": "j"}))
    job = {"jobId": "j", "status": "SUCCEEDED", "metrics": {"inputRecords": 10, "totalMappedRecords": "8"}}
    server.on("POST", f"{TABLES}/t/jobs/list", Reply(body={"idMappingJobs": [{"jobId": "j", "status": "RUNNING"}]}))
    server.on("GET", f"{TABLES}/t/jobs/j", Reply(body={"idMappingJob": job}))
    server.on("POST", f"{TABLES}/t/refresh", Reply(body={"idMappingWorkflowJobId": "k"}))
    server.on("DELETE", f"{TABLES}/t", Reply())
    collaborations = client.collaborations
    asked = collaborations.create_id_mapping_table("people", source_id_namespace_arn="arn:aws:entityresolution:x")
    assert asked.table is not None
    assert (asked.table.name, asked.tracking_id, asked.job_id) == ("people", "42", None)
    assert [collaborations.get_id_mapping_job_id("t", "42") for _ in range(2)] == [None, "j"]
    assert [one.is_finished for one in collaborations.id_mapping_jobs("t")] == [False]
    found = collaborations.get_id_mapping_job("t", "j")
    assert (found.is_finished, found.metrics) == (True, {"inputRecords": 10, "totalMappedRecords": 8})
    assert collaborations.refresh_id_mapping_table("t").job_id == "k"
    collaborations.delete_id_mapping_table("t")


def test_a_table_is_not_asked_for_twice(server: ScriptedServer, client: AmcClient) -> None:
    server.on("POST", TABLES, Reply(fault="close"))
    with pytest.raises(AmcUnknownOutcomeError):
        client.collaborations.create_id_mapping_table("people", source_id_namespace_arn="arn:x")
    assert len(server.calls()) == 1
    with pytest.raises(AmcValidationError, match="source_id_namespace_arn"):
        client.collaborations.create_id_mapping_table("people", source_id_namespace_arn=" ")
