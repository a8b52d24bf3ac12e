"""Schedules of saved workflows.

Facts: AMC API documentation, "Schedule workflow". Amazon's notebook sends ``scheduleEnabled`` as text, so values are
read leniently and stored in their right type.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import workflows
from airflow_provider_amc.emulator.api import Call, Operation, boolean, identifier, integer, unknown_id
from airflow_provider_amc.emulator.errors import bad_request
from airflow_provider_amc.emulator.scheduler import DAYS, FOLLOWED

KIND = "schedule"
_MEDIA = "application/vnd.amcschedules.v1+json"
_PATH = "/amc/reporting/{instance_id}/schedules"


def _does_not_exist(call: Call, schedule_id: str) -> Exception:
    return unknown_id(call, f"Schedule with ID {schedule_id} does not exist.")


def _document(call: Call, body: dict[str, Any], now: datetime) -> dict[str, Any]:
    schedule_id, workflow_id = identifier(body, "scheduleId"), identifier(body, "workflowId")
    period = body.get("aggregationPeriod")
    if period not in ("Daily", "Weekly"):
        raise bad_request(f"Invalid value '{period}' for aggregationPeriod: expected Daily or Weekly.")
    hour = integer(body, "aggregationHourUtc")
    if hour is not None and not 0 <= hour <= 23:
        raise bad_request(f"Invalid value '{hour}' for aggregationHourUtc: expected an hour from 0 to 23.")
    day = body.get("aggregationStartDay") or DAYS[now.weekday()]
    if day not in DAYS:
        raise bad_request(f"Invalid value '{day}' for aggregationStartDay: expected one of {', '.join(DAYS)}.")
    if call.emulator.store.get_document(workflows.KIND, call.instance_id, workflow_id) is None:
        raise workflows.does_not_exist(call, workflow_id)
    return {
        "scheduleId": schedule_id,
        "workflowId": workflow_id,
        "aggregationPeriod": period,
        "aggregationHourUtc": hour or 0,
        "aggregationStartDay": day,
        "scheduleEnabled": boolean(body, "scheduleEnabled", default=True),
        "requireSyntheticData": boolean(body, "requireSyntheticData"),
        "disableAggregationControls": boolean(body, "disableAggregationControls"),
        FOLLOWED: now.timestamp(),
    }


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != FOLLOWED}


async def list_schedules(call: Call) -> Response:
    """All schedules of an instance, oldest first."""
    limit = call.limit()
    found = call.emulator.store.page_documents(KIND, call.instance_id, call.after() or 0, limit + 1)
    body: dict[str, Any] = {"schedules": [_shown(document) for _, document in found[:limit]]}
    if len(found) > limit:
        body["nextToken"] = call.token(found[limit - 1][0])
    return call.answer(body)


async def create_schedule(call: Call) -> Response:
    """Create a schedule."""
    document = _document(call, await call.body(), call.emulator.clock.now())
    schedule_id = document["scheduleId"]
    if not call.emulator.store.add_document(KIND, call.instance_id, schedule_id, document):
        raise bad_request(f"Schedule with ID {schedule_id} already exists.")
    call.emulator.the_runner().wake()
    return call.answer({})


async def get_schedule(call: Call) -> Response:
    """One schedule."""
    schedule_id = call.path("schedule_id")
    document = call.emulator.store.get_document(KIND, call.instance_id, schedule_id)
    if document is None:
        raise _does_not_exist(call, schedule_id)
    return call.answer(call.wrapped("schedule", _shown(document)))


async def update_schedule(call: Call) -> Response:
    """Replace a schedule."""
    schedule_id = call.path("schedule_id")
    body = await call.body()
    if call.emulator.store.get_document(KIND, call.instance_id, schedule_id) is None:
        raise _does_not_exist(call, schedule_id)
    document = _document(call, {"scheduleId": schedule_id, **body}, call.emulator.clock.now())
    if document["scheduleId"] != schedule_id:
        raise bad_request(f"The scheduleId {document['scheduleId']} of the request body does not match {schedule_id}.")
    call.emulator.store.replace_document(KIND, call.instance_id, schedule_id, document)
    call.emulator.the_runner().wake()
    return call.answer({})


async def delete_schedule(call: Call) -> Response:
    """Delete a schedule."""
    schedule_id = call.path("schedule_id")
    if not call.emulator.store.delete_document(KIND, call.instance_id, schedule_id):
        raise _does_not_exist(call, schedule_id)
    return call.answer({})


OPERATIONS = (
    Operation("listSchedules", "GET", _PATH, list_schedules, _MEDIA),
    Operation("createSchedule", "POST", _PATH, create_schedule, _MEDIA),
    Operation("getSchedule", "GET", _PATH + "/{schedule_id}", get_schedule, _MEDIA),
    Operation("updateSchedule", "PUT", _PATH + "/{schedule_id}", update_schedule, _MEDIA),
    Operation("deleteSchedule", "DELETE", _PATH + "/{schedule_id}", delete_schedule, _MEDIA),
)
