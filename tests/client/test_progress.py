"""How far AMC is, read from answers and asked of the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.client.progress import KINDS, Progress, progress
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcNotFoundError, AmcValidationError
from airflow_provider_amc.testing import AmcEmulator
from tests.client.scripted import Reply, ScriptedServer

AUDIENCE, UPLOAD = "/amc/audiences/query/a", "/amc/advertiserData/amctest/uploads/d/u"
INSTANCE, UPDATE = "/amc/instances/i", "/amc/instances/i/advertisers/updates/0"
JOB = "/amc/audiences/records/j"
DELETION = "/amc/advertiserData/amctest/userDeletionRequest/d"
EXECUTION = "/amc/reporting/amctest/workflowExecutions/e"
MAPPING = "/amc/instances/amctest/collaboration/idmappingtables/t"
NAMES = {
    "instance": (INSTANCE, {"instance_id": "i"}),
    "advertiser update": (UPDATE, {"instance_id": "i", "update_id": "0"}),
    "audience": (AUDIENCE, {"audience_execution_id": "a"}),
    "upload": (UPLOAD, {"data_set_id": "d", "upload_id": "u"}),
    "audience records": (JOB, {"job_request_id": "j"}),
    "user deletion": (DELETION, {"user_deletion_request_id": "d"}),
    "execution": (EXECUTION, {"workflow_execution_id": "e"}),
    "id mapping job": (f"{MAPPING}/jobs/j", {"id_mapping_table_id": "t", "job_id": "j"}),
}


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        ("instance", {"creationStatus": "REQUESTED"}, (False, False, None)),
        ("instance", {"creationStatus": "COMPLETED"}, (True, True, None)),
        ("instance", {"creationStatus": "SUCCEEDED"}, (True, True, None)),
        ("instance", {"creationStatus": "FAILED"}, (True, False, None)),
        ("advertiser update", {"status": "UPDATING"}, (False, False, None)),
        ("advertiser update", {"status": "COMPLETE"}, (True, True, None)),
        ("advertiser update", {"status": "REJECTED"}, (True, False, None)),
        ("audience", {"status": "RUNNING"}, (False, False, None)),
        ("audience", {"status": "SUCCEEDED"}, (True, True, None)),
        ("audience", {"status": "FAILED", "statusReason": "too small"}, (True, False, "too small")),
        ("audience", {"status": "DEACTIVATED"}, (True, False, None)),
        ("upload", {"status": "IN_PROGRESS"}, (False, False, None)),
        ("upload", {"status": "COMPLETED"}, (True, True, None)),
        ("upload", {"status": "FAILED", "message": "no such file"}, (True, False, "no such file")),
        ("audience records", {"jobState": "PENDING"}, (False, False, None)),
        ("audience records", {"jobState": "SUCCEEDED"}, (True, True, None)),
        ("audience records", {"jobState": "FAILED"}, (True, False, None)),
        (
            "audience records",
            {"jobState": "PARTIALLYSUCCEEDED", "invalidRecords": [{"externalId": "p-1"}]},
            (True, False, "invalid records: 1"),
        ),
        ("user deletion", {"status": "PENDING"}, (False, False, None)),
        ("user deletion", {"status": "SUCCEEDED"}, (True, True, None)),
        ("user deletion", {"status": "FAILED"}, (True, False, None)),
        ("execution", {"status": "RUNNING"}, (False, False, None)),
        ("execution", {"status": "SUCCEEDED"}, (True, True, None)),
        ("execution", {"status": "REJECTED", "statusReason": "no"}, (True, False, "no")),
        ("id mapping job", {"status": "RUNNING"}, (False, False, None)),
        ("id mapping job", {"status": "SUCCEEDED"}, (True, True, None)),
        ("id mapping job", {"status": "FAILED", "errorDetails": "bad rows"}, (True, False, "bad rows")),
    ],
)
def test_what_an_answer_means(
    server: ScriptedServer, client: AmcClient, kind: str, answer: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    address, names = NAMES[kind]
    ids = {
        "instanceId": "i",
        "updateId": 0,
        "audienceExecutionId": "a",
        "uploadId": "u",
        "jobRequestId": "j",
        "userDeletionRequestId": "d",
        "workflowExecutionId": "e",
        "jobId": "j",
    }
    server.on("GET", address, Reply(body={**ids, **answer}))
    (status,) = (answer[name] for name in ("creationStatus", "status", "jobState") if name in answer)
    assert progress(client, kind, names) == Progress(status, *expected)


def test_a_job_that_has_no_id_yet(server: ScriptedServer, client: AmcClient) -> None:
    server.on("GET", f"{MAPPING}/jobTracker/k", Reply(body={}), Reply(body={"idMappingJobId": "j"}))
    server.on("GET", f"{MAPPING}/jobs/j", Reply(body={"idMappingJob": {"jobId": "j", "status": "SUCCEEDED"}}))
    names = {"id_mapping_table_id": "t", "tracking_id": "k"}
    assert progress(client, "id mapping job", names) == Progress("QUEUED", finished=False, succeeded=False)
    assert progress(client, "id mapping job", names).succeeded


def test_the_latest_job_of_a_table(server: ScriptedServer, client: AmcClient) -> None:
    jobs = [
        {"jobId": "i", "startTime": "2026-01-01T00:00:00Z"},
        {"jobId": "j", "startTime": "2026-02-01T00:00:00Z"},
        {"jobId": "h"},
    ]
    server.on("POST", f"{MAPPING}/jobs/list", Reply(body={}), Reply(body={"idMappingJobs": jobs}))
    server.on("GET", f"{MAPPING}/jobs/j", Reply(body={"idMappingJob": {"jobId": "j", "status": "SUCCEEDED"}}))
    names = {"id_mapping_table_id": "t"}
    assert progress(client, "id mapping job", names).status == "QUEUED"
    assert progress(client, "id mapping job", names).succeeded


def test_every_kind_has_a_test() -> None:
    assert set(NAMES) == set(KINDS)


def test_an_unknown_kind(client: AmcClient) -> None:
    with pytest.raises(AmcValidationError, match="Cannot wait for 'model'; it has to be one of instance, advertiser"):
        progress(client, "model", {})


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("advertiser update", {"instance_id": "amcemulator", "update_id": "3"}),
        ("audience", {"audience_execution_id": "00000000-0000-0000-0000-000000000000"}),
        ("upload", {"data_set_id": "nothing", "upload_id": "00000000-0000-0000-0000-000000000000"}),
        ("audience records", {"job_request_id": "00000000-0000-0000-0000-000000000000"}),
    ],
)
def test_what_amc_does_not_know(emulator: EmulatorServer, kind: str, names: dict[str, str]) -> None:
    amc = AmcEmulator(emulator)
    with pytest.raises(AmcNotFoundError):
        progress(amc.client, kind, names)
    amc.close()
