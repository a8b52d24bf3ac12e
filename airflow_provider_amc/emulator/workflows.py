"""Saved workflows.

A workflow is compiled when it is created or replaced. Facts: AMC API documentation, "Create workflow"; recorded
responses in Amazon's Postman collection; error texts from issue reports and Amazon's AMC solutions for AWS.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import spec
from airflow_provider_amc.emulator.api import OCTETS, Call, Operation, identifier, unknown_id
from airflow_provider_amc.emulator.csv import CsvFormat
from airflow_provider_amc.emulator.errors import bad_request
from airflow_provider_amc.emulator.outputcolumns import DATA_TYPES, check_digits
from airflow_provider_amc.emulator.queries import QueryError

KIND = "workflow"
_MEDIA = "application/vnd.amcworkflows.v1+json"
_PATH = "/amc/reporting/{instance_id}/workflows"
#: A column of a result may have these, too; a parameter says of what its array is made.
_NESTED_TYPES = {"ARRAY", "MAP", "STRUCT"}
_TEXT_FIELDS = (
    "sqlQuery",
    "inputSchema",
    "filteredMetricsDiscriminatorColumn",
    "distinctUserCountColumn",
    "filteredReasonColumn",
)
_FIELDS = (*_TEXT_FIELDS, "query", "inputParameters", "outputColumns", "outputFormat", "privacyFilteringBehavior")
_LIST_LIMIT = 100


def does_not_exist(call: Call, workflow_id: str) -> Exception:
    """The error for an unknown workflow."""
    return unknown_id(call, f"Workflow with ID {workflow_id} does not exist.")


def definition_of(body: dict[str, Any]) -> dict[str, Any]:
    """The workflow fields of a request, checked; other fields are dropped, as AMC ignores them.

    :raises ApiError: 400 naming the field that is wrong.
    """
    definition = {name: body[name] for name in _FIELDS if body.get(name) is not None}
    for name in _TEXT_FIELDS:
        if not isinstance(definition.get(name, ""), str):
            raise bad_request(f"Invalid value for {name}: expected a string.")
    if not definition.get("sqlQuery", "").strip() and not definition.get("query"):
        raise bad_request("Either a query or a SQL query must be specified")
    if not isinstance(definition.get("query", []), list | dict):
        raise bad_request("Invalid value for query: expected a list of operations.")
    behaviour = definition.get("privacyFilteringBehavior")
    if behaviour not in (None, "REMOVE_ROWS", "REMOVE_VALUES"):
        raise bad_request(
            f"Invalid value '{behaviour}' for privacyFilteringBehavior: expected REMOVE_ROWS or REMOVE_VALUES."
        )
    if not isinstance(definition.get("outputFormat", {}), dict):
        raise bad_request("Invalid value for outputFormat: expected an object.")
    try:
        CsvFormat.of(definition.get("outputFormat"))
    except ValueError as error:
        raise bad_request(str(error)) from None
    _check_columns(definition, "outputColumns")
    _check_columns(definition, "inputParameters")
    seen: set[str] = set()
    for parameter in definition.get("inputParameters", []):
        if parameter["name"] in seen:
            raise bad_request(f"The workflow parameter {parameter['name']} is defined multiple times")
        seen.add(parameter["name"])
    return definition


def _check_columns(definition: dict[str, Any], field: str) -> None:
    entries = definition.get(field, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise bad_request(f"Invalid value for {field}: expected a list of objects.")
    if len(entries) > _LIST_LIMIT:
        raise bad_request(f"Invalid value for {field}: at most {_LIST_LIMIT} entries are allowed.")
    for entry in entries:
        if not isinstance(entry.get("name"), str) or not entry["name"]:
            raise bad_request(f"Every entry of {field} must have a name.")
        _check_types(entry, field)


def _check_types(entry: dict[str, Any], field: str) -> None:
    kind = entry.get("dataType")
    if isinstance(kind, dict):
        kind = kind.get("elementDataType") if kind.get("type") == "ARRAY" else kind.get("type")
    nested = field == "outputColumns" and kind in _NESTED_TYPES if isinstance(kind, str) else False
    if kind is not None and not nested and (not isinstance(kind, str) or kind not in DATA_TYPES):
        raise bad_request(f"Invalid value '{kind}' for dataType of {entry['name']} in {field}.")
    if entry.get("columnType") not in (None, "DIMENSION", "METRIC"):
        raise bad_request(f"Invalid value '{entry['columnType']}' for columnType of {entry['name']} in {field}.")
    if field == "outputColumns":
        try:
            check_digits(entry)
        except ValueError as error:
            raise bad_request(str(error)) from None


async def _compiled(call: Call, workflow_id: str, body: dict[str, Any]) -> dict[str, Any]:
    definition = definition_of(body)
    if definition.get("sqlQuery") and call.emulator.config.workflow_validation == "create":
        try:
            await call.emulator.compile(definition, call.instance_id)
        except QueryError as error:
            raise bad_request(
                f"Was unable to compile workflow {workflow_id} because it was found to be invalid: {error}"
            ) from None
    return {"workflowId": workflow_id, **definition}


def _shown(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    return spec.workflow(document) if call.emulator.config.envelope == "wrapped" else document


async def list_workflows(call: Call) -> Response:
    """All workflows of an instance, oldest first."""
    limit = call.limit()
    found = call.emulator.store.page_documents(KIND, call.instance_id, call.after() or 0, limit + 1)
    body: dict[str, Any] = {"workflows": [_shown(call, document) for _, document in found[:limit]]}
    if len(found) > limit:
        body["nextToken"] = call.token(found[limit - 1][0])
    return call.answer(body)


async def create_workflow(call: Call) -> Response:
    """Create a workflow."""
    body = await call.body()
    workflow_id = identifier(body, "workflowId")
    taken = bad_request(f"Workflow with ID {workflow_id} already exists.")
    store = call.emulator.store
    if store.get_document(KIND, call.instance_id, workflow_id) is not None:
        raise taken
    document = await _compiled(call, workflow_id, body)
    if not store.add_document(KIND, call.instance_id, workflow_id, document):
        raise taken
    return call.answer({}, media_type=OCTETS)


async def get_workflow(call: Call) -> Response:
    """One workflow."""
    workflow_id = call.path("workflow_id")
    document = call.emulator.store.get_document(KIND, call.instance_id, workflow_id)
    if document is None:
        raise does_not_exist(call, workflow_id)
    return call.answer(call.wrapped("workflow", _shown(call, document)))


async def update_workflow(call: Call) -> Response:
    """Replace a workflow as a whole; the body repeats its id."""
    workflow_id = call.path("workflow_id")
    body = await call.body()
    if call.emulator.store.get_document(KIND, call.instance_id, workflow_id) is None:
        raise does_not_exist(call, workflow_id)
    if identifier(body, "workflowId") != workflow_id:
        raise bad_request(f"The workflowId {body['workflowId']} of the request body does not match {workflow_id}.")
    document = await _compiled(call, workflow_id, body)
    if not call.emulator.store.replace_document(KIND, call.instance_id, workflow_id, document):
        raise does_not_exist(call, workflow_id)
    return call.answer({})


async def delete_workflow(call: Call) -> Response:
    """Delete a workflow that no schedule needs."""
    workflow_id = call.path("workflow_id")
    store = call.emulator.store
    for instance_id, schedule in store.all_documents("schedule"):
        if (instance_id, schedule["workflowId"]) == (call.instance_id, workflow_id):
            raise bad_request(
                f"Workflow with ID {workflow_id} cannot be deleted because it is used by the schedule "
                f"{schedule['scheduleId']}."
            )
    if not store.delete_document(KIND, call.instance_id, workflow_id):
        raise does_not_exist(call, workflow_id)
    return call.answer({})


OPERATIONS = (
    Operation("listWorkflows", "GET", _PATH, list_workflows, _MEDIA),
    Operation("createWorkflow", "POST", _PATH, create_workflow, _MEDIA),
    Operation("getWorkflow", "GET", _PATH + "/{workflow_id}", get_workflow, _MEDIA),
    Operation("updateWorkflow", "PUT", _PATH + "/{workflow_id}", update_workflow, _MEDIA),
    Operation("deleteWorkflow", "DELETE", _PATH + "/{workflow_id}", delete_workflow, _MEDIA),
)
