"""Id namespaces, id mapping tables and their jobs in a collaboration.

Facts: Amazon's OpenAPI file of the administration; AMC API documentation, "AWS Clean Rooms". The customer and every
partner has one namespace, with a number of records that follows from its name; four of five records are mapped.
"""

from __future__ import annotations

import random
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import collaborations
from airflow_provider_amc.emulator.admin import MEDIA, STATUSES, text_of
from airflow_provider_amc.emulator.api import Call, Operation, integer, unknown_id
from airflow_provider_amc.emulator.clock import zulu
from airflow_provider_amc.emulator.errors import bad_request
from airflow_provider_amc.emulator.progress import Progress
from airflow_provider_amc.emulator.registry import Collaboration, Instance

KIND = "id_mapping_table"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ANY = re.compile(r".{1,2048}")
_STAGES = ("QUEUED", "RUNNING")
#: Seconds between two refreshes of a table.
REFRESH_PERIOD = 14 * 86_400.0
_SHORTEST, _LONGEST = 120.0, 600.0
#: The part of a job's time after which AMC could start it and knows its id.
_STARTED_AFTER = 0.25
_LIST_LIMIT, _JOBS_LIMIT = 100, 25


def _time(moment: float) -> str:
    return zulu(datetime.fromtimestamp(moment, UTC))


# -- namespaces ------------------------------------------------------------------------------------------------------
def _namespaces(instance: Instance, kept: Collaboration) -> dict[str, dict[str, Any]]:
    """The namespaces of an instance's collaboration by their ARN."""
    accounts = [instance.account, *(one["awsAccountId"] for one in collaborations.members_of(kept))]
    since = _time(kept.accepted)
    found = {}
    for account in dict.fromkeys(accounts):
        arn = f"arn:aws:entityresolution:us-east-1:{account}:idnamespace/customers"
        found[arn] = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kept.id}/{arn}")),
            "idNamespaceArn": arn,
            "idNamespaceType": "SOURCE",
            "creatorAccountId": account,
            "createTime": since,
            "updateTime": since,
        }
    return found


def _body_page(call: Call, body: dict[str, Any], entries: list[Any], most: int) -> tuple[list[Any], str | None]:
    """One page of a list whose paging is in the body."""
    limit = integer(body, "maxResults")
    if limit is not None and not 1 <= limit <= most:
        raise bad_request(f"Invalid value '{limit}' for maxResults: expected a number from 1 to {most}.")
    return call.page(entries, limit or most, after=call.position(body.get("nextToken")))


def _page_answer(call: Call, body: dict[str, Any], token: str | None) -> Response:
    return call.answer({**body, **({"nextToken": token} if token else {})})


async def list_namespaces(call: Call) -> Response:
    """Namespaces that no id mapping table is connected to."""
    body = await call.body()
    instance, kept = collaborations.active(call)
    taken = {one["source"] for one in call.emulator.store.documents(KIND, instance.id)}
    free = [one for arn, one in _namespaces(instance, kept).items() if arn not in taken]
    chosen, token = _body_page(call, body, free, _LIST_LIMIT)
    return _page_answer(call, {"collaborationId": kept.id, "collaborationIdNamespaceAssociations": chosen}, token)


# -- jobs ------------------------------------------------------------------------------------------------------------
def _new_job(call: Call, table_id: str, number: int, *, refresh: bool) -> dict[str, Any]:
    progress = call.plan(f"{table_id}:{number}", _SHORTEST, _LONGEST)
    return {
        "id": str(uuid.uuid4()),
        # A job that cannot start at once gets a number to ask for its id with
        "tracking_id": str(uuid.uuid4()) if progress.seconds else None,
        "refresh": refresh,
        "progress": progress.dump(),
    }


def _job_status(job: dict[str, Any], now: float) -> str:
    progress = Progress.load(job["progress"])
    return progress.stage(now, _STAGES) or ("FAILED" if progress.failure else "SUCCEEDED")


def _has_id(job: dict[str, Any], now: float) -> bool:
    progress = Progress.load(job["progress"])
    return progress.over(now) or now >= progress.began + progress.seconds * _STARTED_AFTER


def _started(job: dict[str, Any]) -> dict[str, Any]:
    """What the answer to a call that begins a job tells of it."""
    return {"trackingId": job["tracking_id"]} if job["tracking_id"] else {"idMappingWorkflowJobId": job["id"]}


def _summary(job: dict[str, Any], now: float) -> dict[str, Any]:
    progress, status = Progress.load(job["progress"]), _job_status(job, now)
    shown = {"jobId": job["id"], "status": status, "startTime": _time(progress.began)}
    if status not in _STAGES:
        shown["endTime"] = _time(progress.ends)
    return shown


def _metrics(seed: int, source: str) -> dict[str, int]:
    """What a job found: everything follows from the namespace."""
    records = random.Random(f"{seed}:id mapping:{source}").randrange(10_000, 100_000)  # noqa: S311
    broken = records // 100
    mapped = (records - broken) * 4 // 5
    return {
        "inputRecords": records,
        "recordsNotProcessed": broken,
        "totalRecordsProcessed": records - broken,
        "totalMappedRecords": mapped,
        "totalMappedSourceRecords": mapped,
        "totalMappedTargetRecords": mapped,
        "uniqueRecordsLoaded": mapped,
    }


# -- tables ----------------------------------------------------------------------------------------------------------
def _table_shown(instance: Instance, table: dict[str, Any], now: float) -> dict[str, Any]:
    done = [job for job in table["jobs"] if _job_status(job, now) == "SUCCEEDED"]
    account, region = instance.account, "us-east-1"
    return {
        "id": table["id"],
        "name": table["name"],
        "arn": f"arn:aws:cleanrooms:{region}:{account}:membership/{table['id']}/idmappingtable/{table['name']}",
        "description": f"Id mapping table {table['name']}",
        "createTime": _time(table["created"]),
        "updateTime": _time(max([table["created"], *(Progress.load(job["progress"]).ends for job in done)])),
        "queryable": bool(done),
        "sourceAwsAccount": table["source"].split(":")[4],
        "workflowArn": f"arn:aws:entityresolution:{region}:{account}:idmappingworkflow/{table['name']}",
    }


async def create_table(call: Call) -> Response:
    """Create an id mapping table from a free namespace and begin the job that fills it."""
    body = await call.body()
    name = text_of(body, "idMappingTableName", _NAME, "up to 128 letters, digits and underscores")
    source = text_of(body, "sourceIdNamespaceArn", _ANY, "the ARN of an id namespace")
    for field, value in (("idMappingTableName", name), ("sourceIdNamespaceArn", source)):
        if value is None:
            raise bad_request(f"{field} must be specified.")
    instance, kept = collaborations.active(call)
    if source not in _namespaces(instance, kept):
        raise bad_request(f"The id namespace {source} is not associated to the collaboration.")
    for other in call.emulator.store.documents(KIND, instance.id):
        if other["name"] == name:
            raise bad_request(f"An id mapping table with the name {name} already exists.")
        if other["source"] == source:
            raise bad_request(f"The id namespace {source} is connected to the id mapping table {other['name']}.")
    table_id = str(uuid.uuid4())
    job = _new_job(call, table_id, 0, refresh=False)
    table = {"id": table_id, "name": name, "source": source, "created": call.now(), "jobs": [job]}
    call.emulator.store.add_document(KIND, instance.id, table_id, table)
    # Its first job cannot have ended in the answer that tells of its start
    shown = {**_table_shown(instance, table, call.now()), "queryable": False}
    return call.answer({"collaborationId": kept.id, "idMappingTable": shown, **_started(job)})


async def list_tables(call: Call) -> Response:
    """The id mapping tables of the collaboration."""
    body = await call.body()
    instance, kept = collaborations.active(call)
    found = call.emulator.store.documents(KIND, instance.id)
    chosen, token = _body_page(call, body, found, _LIST_LIMIT)
    shown = [_table_shown(instance, one, call.now()) for one in chosen]
    return _page_answer(call, {"collaborationId": kept.id, "idMappingTables": shown}, token)


def _found(call: Call) -> tuple[Instance, Collaboration, dict[str, Any]]:
    (instance, kept), table_id = collaborations.active(call), call.path("table_id")
    table = call.emulator.store.get_document(KIND, instance.id, table_id)
    if table is None:
        raise unknown_id(call, f"Id mapping table with ID {table_id} does not exist.")
    return instance, kept, table


async def delete_table(call: Call) -> Response:
    """Delete an id mapping table; its namespace is free again."""
    instance, _, table = _found(call)
    call.emulator.store.delete_document(KIND, instance.id, table["id"])
    return call.answer({})


async def refresh_table(call: Call) -> Response:
    """Fill an id mapping table anew, once in 14 days."""
    instance, kept, table = _found(call)
    now = call.now()
    begun = [Progress.load(job["progress"]).began for job in table["jobs"] if job["refresh"]]
    if begun and now < max(begun) + REFRESH_PERIOD:
        raise bad_request(
            f"Id mapping table {table['id']} was refreshed at {_time(max(begun))}: only one refresh every 14 days is "
            "allowed."
        )
    job = _new_job(call, table["id"], len(table["jobs"]), refresh=True)
    table["jobs"].append(job)
    call.emulator.store.replace_document(KIND, instance.id, table["id"], table)
    return call.answer({"collaborationId": kept.id, **_started(job)})


async def list_jobs(call: Call) -> Response:
    """The jobs of an id mapping table that have an id, newest first."""
    body = await call.body()
    _, _, table = _found(call)
    found = [job for job in reversed(table["jobs"]) if _has_id(job, call.now())]
    chosen, token = _body_page(call, body, found, _JOBS_LIMIT)
    shown = [_summary(job, call.now()) for job in chosen]
    return _page_answer(call, {"idMappingTableId": table["id"], "idMappingJobs": shown}, token)


async def get_job(call: Call) -> Response:
    """One job with what it found."""
    _, _, table = _found(call)
    job_id, now = call.path("job_id"), call.now()
    for job in table["jobs"]:
        if job["id"] == job_id and _has_id(job, now):
            shown = _summary(job, now)
            if shown["status"] == "SUCCEEDED":
                shown["metrics"] = _metrics(call.emulator.config.seed, table["source"])
            elif shown["status"] == "FAILED":
                shown["errorDetails"] = job["progress"]["failure"]
            return call.answer({"idMappingJob": shown})
    raise unknown_id(call, f"Id mapping job with ID {job_id} does not exist.")


async def track_job(call: Call) -> Response:
    """The id of the job behind a tracking id; an empty object while AMC has not started it."""
    _, _, table = _found(call)
    tracking_id = call.path("tracking_id")
    for job in table["jobs"]:
        if job["tracking_id"] == tracking_id:
            return call.answer({"idMappingJobId": job["id"]} if _has_id(job, call.now()) else {})
    raise unknown_id(call, f"Tracking ID {tracking_id} does not exist.")


_BASE = "/amc/instances/{instance_id}/collaboration"
_TABLES = _BASE + "/idmappingtables"
_TABLE = _TABLES + "/{table_id}"
OPERATIONS = tuple(
    Operation(name, method, path, handler, spec_media_type=MEDIA, known_statuses=STATUSES)
    for name, method, path, handler in (
        ("listCollaborationIdNamespaces", "POST", _BASE + "/idnamespaces/list", list_namespaces),
        ("createCollaborationIdMappingTable", "POST", _TABLES, create_table),
        ("listCollaborationIdMappingTables", "POST", _TABLES + "/list", list_tables),
        ("deleteCollaborationIdMappingTable", "DELETE", _TABLE, delete_table),
        ("refreshCollaborationIdMappingTable", "POST", _TABLE + "/refresh", refresh_table),
        ("listCollaborationIdMappingJobs", "POST", _TABLE + "/jobs/list", list_jobs),
        ("getCollaborationIdMappingJob", "GET", _TABLE + "/jobs/{job_id}", get_job),
        ("getCollaborationIdMappingJobForTrackingId", "GET", _TABLE + "/jobTracker/{tracking_id}", track_job),
    )
)
