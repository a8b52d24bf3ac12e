"""Workflow executions: create, list, get, cancel, download URLs.

Facts: AMC API documentation, "Execute workflow" and "Ad-hoc workflow"; recorded responses in Amazon's Postman
collection; Amazon's OpenAPI file of the workflow service.
"""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import signing, windows, workflows
from airflow_provider_amc.emulator.api import Call, Operation, boolean, identifier, integer, unknown_id
from airflow_provider_amc.emulator.config import ADVERTISER_TYPES
from airflow_provider_amc.emulator.errors import amc_error, bad_request
from airflow_provider_amc.emulator.record import DEFAULT_TIMEOUT_SECONDS, ExecutionRecord

_MEDIA = "application/vnd.amcworkflowexecutions.v1+json"
_PATH = "/amc/reporting/{instance_id}/workflowExecutions"
_TIMEOUTS = range(900, 86_401)
_URLS_PER_PAGE = 5


def _shown(call: Call, record: ExecutionRecord, *, include_workflow: bool) -> dict[str, Any]:
    by_the_spec = call.emulator.config.envelope == "wrapped"
    body = record.to_api(include_workflow=include_workflow, by_the_spec=by_the_spec)
    if (fault := call.fault("unknown_status")) is not None:
        body["status"] = fault.value or "PUBLISHING"
    return body


def _visible(call: Call, record: ExecutionRecord) -> bool:
    return record.visible_from is None or record.visible_from <= call.emulator.clock.now().timestamp()


def _found(call: Call) -> tuple[int, ExecutionRecord]:
    execution_id = call.path("execution_id")
    row = call.emulator.store.get_execution(execution_id)
    if row is not None:
        record = ExecutionRecord.load(row[1])
        if record.instance_id == call.instance_id and _visible(call, record):
            return row[0], record
    raise unknown_id(call, f"Workflow execution with ID {execution_id} does not exist.")


def _definition(call: Call, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Id and definition of the workflow to run, saved or sent along."""
    workflow_id, workflow = body.get("workflowId"), body.get("workflow")
    if (workflow_id is None) == (workflow is None):
        raise bad_request("Exactly one of workflowId and workflow must be specified.")
    if workflow is None:
        wanted = identifier(body, "workflowId")
        saved = call.emulator.store.get_document(workflows.KIND, call.instance_id, wanted)
        if saved is None:
            raise workflows.does_not_exist(call, wanted)
        return wanted, saved
    if not isinstance(workflow, dict):
        raise bad_request("Invalid value for workflow: expected an object.")
    if workflow.get("workflowId") is not None:
        identifier(workflow, "workflowId")
    return f"transient_{uuid.uuid4()}", workflows.definition_of(workflow)


def _advertisers(body: dict[str, Any]) -> list[dict[str, str]] | None:
    """The advertisers that an execution is restricted to; only what AMC knows of each is kept."""
    given = body.get("advertisers")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise bad_request("Invalid value for advertisers: expected a list of objects with id and type.")
    kept = []
    for one in given:
        advertiser = {name: one[name] for name in ("id", "type", "marketplaceId") if one.get(name) is not None}
        if not all(isinstance(value, str) for value in advertiser.values()) or not advertiser.get("id"):
            raise bad_request("Invalid value for advertisers: every entry needs an id and a type, all of them strings.")
        if advertiser.get("type") not in ADVERTISER_TYPES:
            raise bad_request(
                f"Invalid value '{one.get('type')}' for type in advertisers: expected one of "
                f"{', '.join(ADVERTISER_TYPES)}."
            )
        kept.append(advertiser)
    return kept


async def create_execution(call: Call) -> Response:
    """Queue an execution. Whether its query is good shows later, in the status."""
    body = await call.body()
    now = call.emulator.clock.now()
    workflow_id, definition = _definition(call, body)
    window = windows.resolve(body, now, z_suffix=call.emulator.config.z_suffix == "accept")
    timeout = integer(body, "workflowExecutionTimeoutSeconds")
    if timeout is not None and timeout not in _TIMEOUTS:
        raise bad_request(
            f"Invalid value '{timeout}' for workflowExecutionTimeoutSeconds: expected a number from 900 to 86400."
        )
    values = body.get("parameterValues")
    if values is not None and not isinstance(values, dict):
        raise bad_request("Invalid value for parameterValues: expected an object.")
    record = ExecutionRecord(
        id=str(uuid.uuid4()),
        instance_id=call.instance_id,
        workflow_id=workflow_id,
        created=now.timestamp(),
        definition=definition,
        window_start=window.start.timestamp(),
        window_end=window.end.timestamp(),
        window_start_original=window.local(window.start),
        window_end_original=window.local(window.end),
        window_zone=window.zone,
        window_explicit=window.explicit,
        parameter_values=values or {},
        timeout_seconds=timeout or DEFAULT_TIMEOUT_SECONDS,
        dry_run=boolean(body, "dryRun"),
        skip_publish=boolean(body, "skipPublish"),
        require_synthetic_data=boolean(body, "requireSyntheticData"),
        disable_aggregation_controls=boolean(body, "disableAggregationControls"),
        ignore_data_gaps=boolean(body, "ignoreDataGaps"),
        advertisers=_advertisers(body),
    )
    _order_failure(call, record)
    shown = _shown(call, record, include_workflow=False)
    call.emulator.the_runner().submit(record)
    return call.answer(call.wrapped("workflowExecution", shown))


def _order_failure(call: Call, record: ExecutionRecord) -> None:
    if (fault := call.fault("not_visible")) is not None:
        record.visible_from = record.created + (30.0 if fault.seconds is None else fault.seconds)
    if (fault := call.fault("duration")) is not None:
        record.planned_seconds = 60.0 if fault.seconds is None else fault.seconds
    if (fault := call.fault("fail")) is not None:
        record.forced_status = fault.value or "FAILED"
        record.forced_reason = fault.reason or "The workflow execution failed in the compute engine."
        record.planned_seconds = record.planned_seconds if fault.seconds is None else fault.seconds


async def list_executions(call: Call) -> Response:
    """Executions by workflow and creation time, newest first."""
    query = {name: call.query(name) for name in ("sortAscending", "includeCancelled", "includeWorkflow")}
    zone = windows.zone_of(call.query("timeZone"), "timeZone")
    borders: dict[str, float | None] = {"minCreationTime": None, "maxCreationTime": None}
    for name in borders:
        text = call.query(name)
        if text is not None:
            borders[name] = windows.parse_local(text, zone, name, z_suffix=False).timestamp()
    workflow_id = call.query("workflowId")
    if workflow_id is None and borders["minCreationTime"] is None:
        raise bad_request("Either workflowId or minCreationTime must be specified.")
    ascending, include_workflow = boolean(query, "sortAscending"), boolean(query, "includeWorkflow")
    include_cancelled = boolean(query, "includeCancelled")
    limit, after = call.limit(), call.after()
    shown: list[dict[str, Any]] = []
    last = 0
    while True:
        found = call.emulator.store.find_executions(
            call.instance_id,
            workflow_id=workflow_id,
            created_from=borders["minCreationTime"],
            # Times of a request are whole seconds: the second named as the end is included.
            created_to=None if borders["maxCreationTime"] is None else borders["maxCreationTime"] + 0.999999,
            include_cancelled=include_cancelled,
            ascending=ascending,
            after=after,
            limit=limit + 1,
        )
        for seq, body in found:
            record = ExecutionRecord.load(body)
            after = seq
            if not _visible(call, record):
                continue
            if len(shown) == limit:
                return call.answer({"executions": shown, "nextToken": call.token(last)})
            shown.append(_shown(call, record, include_workflow=include_workflow))
            last = seq
        if len(found) <= limit:
            return call.answer({"executions": shown})


async def get_execution(call: Call) -> Response:
    """One execution."""
    include_workflow = boolean({"includeWorkflow": call.query("includeWorkflow")}, "includeWorkflow")
    shown = _shown(call, _found(call)[1], include_workflow=include_workflow)
    return call.answer(call.wrapped("workflowExecution", shown))


def _cancel(call: Call) -> Response:
    record = _found(call)[1]
    if not call.emulator.the_runner().cancel(record, "The workflow execution was cancelled by the user."):
        raise bad_request(
            f"Workflow execution with ID {record.id} cannot be updated because it is in status {record.status}."
        )
    return call.answer({})


async def update_execution(call: Call) -> Response:
    """Cancel an execution: the one change AMC allows."""
    body = await call.body()
    record = _found(call)[1]
    status = body.get("status")
    if status == "CANCELLED":
        return _cancel(call)
    if status is not None:
        raise bad_request(f"Invalid value '{status}' for status: it can only be updated to CANCELLED.")
    if record.finished:
        raise bad_request(
            f"Workflow execution with ID {record.id} cannot be updated because it is in status {record.status}."
        )
    return call.answer({})


async def delete_execution(call: Call) -> Response:
    """Cancel an execution, the way the guides describe it."""
    return _cancel(call)


async def download_urls(call: Call) -> Response:
    """Signed URLs of the result files, five a page, and of the metadata."""
    record = _found(call)[1]
    if not record.has_output:
        raise amc_error(
            call.emulator.config.not_ready_status, f"Execution with ID {record.id} is unavailable for download"
        )
    urls: dict[str, list[str]] = {"result": [], "metadata": []}
    for file in record.files:
        urls[file["kind"]].append(
            signing.sign_url(
                str(call.request.base_url).rstrip("/"),
                f"/results/{record.id}/{file['name']}",
                now=call.emulator.clock.now(),
                lifetime=call.emulator.config.url_lifetime,
            )
        )
    chosen, token = call.page(urls["result"], _URLS_PER_PAGE)
    body: dict[str, Any] = {
        "downloadUrls": chosen,
        "metadataDownloadUrls": urls["metadata"] if call.after() is None else [],
    }
    if token:
        body["nextToken"] = token
    return call.answer(body)


OPERATIONS = (
    Operation("listWorkflowExecutions", "GET", _PATH, list_executions, _MEDIA),
    Operation("createWorkflowExecution", "POST", _PATH, create_execution, _MEDIA),
    Operation("getWorkflowExecution", "GET", _PATH + "/{execution_id}", get_execution, _MEDIA),
    Operation("updateWorkflowExecution", "PUT", _PATH + "/{execution_id}", update_execution, _MEDIA),
    Operation("deleteWorkflowExecution", "DELETE", _PATH + "/{execution_id}", delete_execution, _MEDIA),
    Operation("getWorkflowExecutionDownloadUrls", "GET", _PATH + "/{execution_id}/downloadUrls", download_urls, _MEDIA),
)
