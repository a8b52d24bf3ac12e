"""Id namespaces, id mapping tables and their jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.emulator.api import Api, refusal

ARN = "arn:aws:entityresolution:us-east-1:{}:idnamespace/customers"
CUSTOMER, PARTNER = ARN.format("123456789012"), ARN.format("222222222222")
DAY = 86_400


class Mapping:
    """Calls below the collaboration of a new instance."""

    def __init__(self, api: Api) -> None:
        self.api = api
        body = {
            "instanceName": "Together",
            "awsAccountId": "123456789012",
            "acrBacked": True,
            "acrCustomerPartners": [{"awsAccountId": "222222222222"}],
        }
        self.instance = api.call("POST", "instances", body).json()["instance"]["instanceId"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.api.call(method, f"instances/{self.instance}/collaboration/{path}", body)

    def good(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.call(method, path, body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def table(self, name: str = "crm", source: str = CUSTOMER) -> dict[str, Any]:
        return self.good("POST", "idmappingtables", {"idMappingTableName": name, "sourceIdNamespaceArn": source})

    def tables(self) -> list[dict[str, Any]]:
        return list(self.good("POST", "idmappingtables/list", {})["idMappingTables"])

    def free(self) -> list[str]:
        found = self.good("POST", "idnamespaces/list", {})["collaborationIdNamespaceAssociations"]
        return [one["idNamespaceArn"] for one in found]


@pytest.fixture
def mapping(api) -> Mapping:
    return Mapping(api)


@pytest.mark.covers("endpoint", "listCollaborationIdNamespaces")
@pytest.mark.covers("endpoint", "createCollaborationIdMappingTable")
@pytest.mark.covers("endpoint", "deleteCollaborationIdMappingTable")
def test_a_namespace_is_free_until_a_table_is_connected(mapping):
    found = mapping.good("POST", "idnamespaces/list", {})
    (first, second) = found["collaborationIdNamespaceAssociations"]
    assert (first["idNamespaceArn"], first["idNamespaceType"], first["creatorAccountId"]) == (
        CUSTOMER,
        "SOURCE",
        "123456789012",
    )
    assert second["idNamespaceArn"] == PARTNER
    made = mapping.table()
    assert made["collaborationId"] == found["collaborationId"]
    assert (made["idMappingTable"]["name"], made["idMappingTable"]["sourceAwsAccount"]) == ("crm", "123456789012")
    assert mapping.free() == [PARTNER]
    assert mapping.good("DELETE", f"idmappingtables/{made['idMappingTable']['id']}") == {}
    assert mapping.free() == [CUSTOMER, PARTNER]
    assert mapping.tables() == []


@pytest.mark.covers("endpoint", "listCollaborationIdMappingTables")
@pytest.mark.covers("endpoint", "listCollaborationIdMappingJobs")
@pytest.mark.covers("endpoint", "getCollaborationIdMappingJob")
@pytest.mark.covers("rule", "four of five records of an id mapping table are mapped")
def test_the_first_job_fills_the_table(mapping):
    made = mapping.table()
    assert made["idMappingTable"]["queryable"] is False
    (table,) = mapping.tables()
    assert table == {**made["idMappingTable"], "queryable": True}
    jobs = mapping.good("POST", f"idmappingtables/{table['id']}/jobs/list", {})
    assert jobs["idMappingTableId"] == table["id"]
    job = mapping.good("GET", f"idmappingtables/{table['id']}/jobs/{made['idMappingWorkflowJobId']}")["idMappingJob"]
    metrics = job.pop("metrics")
    assert jobs["idMappingJobs"] == [job]
    assert job["status"] == "SUCCEEDED"
    assert metrics["inputRecords"] == metrics["totalRecordsProcessed"] + metrics["recordsNotProcessed"]
    assert metrics["uniqueRecordsLoaded"] == metrics["totalRecordsProcessed"] * 4 // 5 > 1000


@pytest.mark.covers("endpoint", "refreshCollaborationIdMappingTable")
@pytest.mark.covers("endpoint", "getCollaborationIdMappingJobForTrackingId")
@pytest.mark.covers(
    "rule", "an id mapping job is QUEUED, RUNNING, then SUCCEEDED; a tracking id stands for it at first"
)
def test_a_job_that_cannot_start_at_once(serve):
    served = serve(speed="realistic", now="2026-03-01T12:00:00Z")
    mapping = Mapping(served.api)
    served.server.advance_clock(400)
    made = mapping.table()
    assert "idMappingWorkflowJobId" not in made
    path = f"idmappingtables/{made['idMappingTable']['id']}"
    seen = []
    for _ in range(125):
        job_id = mapping.good("GET", f"{path}/jobTracker/{made['trackingId']}").get("idMappingJobId")
        listed = mapping.good("POST", f"{path}/jobs/list", {})["idMappingJobs"]
        assert [one["jobId"] for one in listed] == ([job_id] if job_id else [])
        if job_id:
            job = mapping.good("GET", f"{path}/jobs/{job_id}")["idMappingJob"]
            assert ("endTime" in job) == ("metrics" in job) == (job["status"] == "SUCCEEDED")
            assert mapping.tables()[0]["queryable"] is (job["status"] == "SUCCEEDED")
            seen.append(job["status"])
        else:
            seen.append("no id")
        served.server.advance_clock(5)
    assert list(dict.fromkeys(seen)) == ["no id", "QUEUED", "RUNNING", "SUCCEEDED"]


@pytest.mark.covers("rule", "an id mapping table is refreshed once in 14 days")
def test_refresh_once_in_14_days(served):
    served.server.set_clock("2026-03-01T12:00:00Z")
    mapping = Mapping(served.api)
    made = mapping.table()
    path = f"idmappingtables/{made['idMappingTable']['id']}"
    refreshed = mapping.good("POST", f"{path}/refresh")
    assert refreshed["collaborationId"] == made["collaborationId"]
    status, text = refusal(mapping.call("POST", f"{path}/refresh"))
    assert status == 400
    assert text.startswith(f"Id mapping table {made['idMappingTable']['id']} was refreshed at 2026-03-01T12:00:")
    assert text.endswith(": only one refresh every 14 days is allowed.")
    served.server.advance_clock(14 * DAY - 60)
    assert mapping.call("POST", f"{path}/refresh").status_code == 400
    served.server.advance_clock(60)
    again = mapping.good("POST", f"{path}/refresh")
    jobs = mapping.good("POST", f"{path}/jobs/list", {})["idMappingJobs"]
    assert [one["jobId"] for one in jobs] == [one["idMappingWorkflowJobId"] for one in (again, refreshed, made)]
    assert mapping.tables()[0]["updateTime"].startswith("2026-03-15")


def test_a_job_that_fails(served):
    served.server.add_fault(operation="createCollaborationIdMappingTable", kind="fail", reason="No overlap")
    mapping = Mapping(served.api)
    made = mapping.table()
    path = f"idmappingtables/{made['idMappingTable']['id']}/jobs/{made['idMappingWorkflowJobId']}"
    job = mapping.good("GET", path)["idMappingJob"]
    assert (job["status"], job["errorDetails"], "metrics" in job) == ("FAILED", "No overlap", False)
    assert mapping.tables()[0]["queryable"] is False


def test_paging_is_in_the_body(mapping):
    mapping.table()
    mapping.table("loyalty", PARTNER)
    first = mapping.good("POST", "idmappingtables/list", {"maxResults": 1})
    rest = mapping.good("POST", "idmappingtables/list", {"maxResults": 1, "nextToken": first["nextToken"]})
    assert [one["name"] for one in first["idMappingTables"] + rest["idMappingTables"]] == ["crm", "loyalty"]
    assert "nextToken" not in rest
    path = f"idmappingtables/{first['idMappingTables'][0]['id']}/jobs/list"
    for given, most, expected in (
        ("idmappingtables/list", 100, 101),
        ("idnamespaces/list", 100, 0),
        (path, 25, 26),
    ):
        text = f"Invalid value '{expected}' for maxResults: expected a number from 1 to {most}."
        assert refusal(mapping.call("POST", given, {"maxResults": expected})) == (400, text)
        assert mapping.call("POST", given, {"maxResults": most}).status_code == 200
        wrong = mapping.call("POST", given, {"nextToken": "nonsense"})
        assert refusal(wrong) == (400, "The provided nextToken is invalid.")


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"sourceIdNamespaceArn": CUSTOMER}, "idMappingTableName must be specified."),
        ({"idMappingTableName": "crm2"}, "sourceIdNamespaceArn must be specified."),
        ({"idMappingTableName": "no space", "sourceIdNamespaceArn": CUSTOMER}, "Invalid value 'no space' for idMappingTableName: expected up to 128 letters, digits and underscores."),
        ({"idMappingTableName": "crm2", "sourceIdNamespaceArn": "arn:x"}, "The id namespace arn:x is not associated to the collaboration."),
        ({"idMappingTableName": "crm2", "sourceIdNamespaceArn": CUSTOMER}, f"The id namespace {CUSTOMER} is connected to the id mapping table crm."),
        ({"idMappingTableName": "crm", "sourceIdNamespaceArn": PARTNER}, "An id mapping table with the name crm already exists."),
    ],
)  # fmt: skip
def test_what_a_table_must_be_like(mapping, body, details):
    mapping.table()
    assert refusal(mapping.call("POST", "idmappingtables", body)) == (400, details)


def test_unknown_ids(mapping):
    table = mapping.table()["idMappingTable"]["id"]
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: mapping.call("DELETE", "idmappingtables/x"), "Id mapping table with ID x does not exist."),
        (lambda: mapping.call("POST", "idmappingtables/x/refresh"), "Id mapping table with ID x does not exist."),
        (lambda: mapping.call("POST", "idmappingtables/x/jobs/list", {}), "Id mapping table with ID x does not exist."),
        (lambda: mapping.call("GET", f"idmappingtables/{table}/jobs/x"), "Id mapping job with ID x does not exist."),
        (lambda: mapping.call("GET", f"idmappingtables/{table}/jobTracker/x"), "Tracking ID x does not exist."),
    ]
    for call, details in calls:
        assert refusal(call()) == (400, details)
