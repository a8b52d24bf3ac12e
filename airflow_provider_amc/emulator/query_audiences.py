"""Rule-based and lookalike audiences: queries whose users become an audience of Amazon DSP.

Facts: Amazon's OpenAPI file of the rule-based audiences; AMC API documentation, "Rule-based audiences"; recorded
responses in Amazon's Postman collection. What is wrong with a query shows later, in the status.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import workflows
from airflow_provider_amc.emulator.api import OCTETS, Call, Operation, boolean, identifier, integer
from airflow_provider_amc.emulator.audience_runner import KIND
from airflow_provider_amc.emulator.audience_state import LOOKALIKE, REACHES, RULE_BASED, QueryAudience
from airflow_provider_amc.emulator.errors import QUERY_AUDIENCES, amc_error, bad_request

_MEDIA = "application/vnd.amcquerybasedaudience.v1+json"
_VERSIONS = (_MEDIA, _MEDIA.replace(".v1+", ".v1.1+"), _MEDIA.replace(".v1+", ".v1.2+"))
_LOOKALIKE_MEDIA = "application/vnd.amclookalikeaudience.v1+json"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DEFAULT_REFRESH_DAYS = 21
#: Least days between refreshes by kind of audience.
_LEAST_REFRESH_DAYS = {RULE_BASED: 0, LOOKALIKE: 7}
_ADVERTISER_TYPES = ("DISPLAY", "SPONSORED_ADS")
#: Virtual seconds that the creation takes when it is realistic.
_SHORTEST, _LONGEST = 300.0, 1800.0
_PAGE_BYTES = 1 << 20
_DESCRIPTION = "The audience was submitted."


# -- requests ----------------------------------------------------------------------------------------------------------
def _text(body: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise bad_request(f"{name} must be specified.")
        return None
    if not isinstance(value, str):
        raise bad_request(f"Invalid value for {name}: expected a string.")
    return value


def _choice(body: Mapping[str, Any], name: str, choices: tuple[str, ...], *, required: bool = False) -> str | None:
    value = _text(body, name, required=required)
    if value is not None and value not in choices:
        raise bad_request(f"Invalid value '{value}' for {name}: expected one of {', '.join(choices)}.")
    return value


def _moment(body: Mapping[str, Any], name: str) -> float:
    text = str(_text(body, name, required=True))
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        pass
    raise bad_request(f"Invalid value '{text}' for {name}: expected the format yyyy-MM-dd'T'HH:mm:ss'Z'.")


def _window(body: Mapping[str, Any]) -> tuple[float, float]:
    start, end = _moment(body, "timeWindowStart"), _moment(body, "timeWindowEnd")
    if start >= end:
        raise bad_request("timeWindowStart must be before timeWindowEnd.")
    return start, end


def _query(call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
    """The workflow definition to run: the query of the request, or that of a saved workflow."""
    query, workflow_id = _text(body, "query"), body.get("workflowId")
    if (query is None) == (workflow_id is None):
        raise bad_request("Exactly one of query and workflowId must be specified.")
    if query is not None:
        return workflows.definition_of({"sqlQuery": query, "inputParameters": body.get("inputParameters")})
    wanted = identifier(body, "workflowId")
    saved = call.emulator.store.get_document(workflows.KIND, call.instance_id, wanted)
    if saved is None:
        raise bad_request(f"Workflow with ID {wanted} does not exist.")
    if not saved.get("sqlQuery"):
        raise bad_request(f"Workflow with ID {wanted} has no SQL query.")
    return saved


def _parsed(call: Call, body: Mapping[str, Any], kind: str, refresh_days: int) -> QueryAudience:
    """The audience that a request describes."""
    advertiser, name = _text(body, "advertiserId", required=True), _text(body, "audienceName", required=True)
    window, saved = _window(body), _query(call, body)
    values = body.get("parameterValues")
    if values is not None and not isinstance(values, dict):
        raise bad_request("Invalid value for parameterValues: expected an object.")
    reach = None
    if kind == LOOKALIKE:
        reach = _choice(body, "lookalikeAudienceExpectedReach", tuple(REACHES), required=True)
    definition = {
        "advertiserId": advertiser,
        "audienceName": name,
        "audienceDescription": _text(body, "audienceDescription"),
        "timeWindowStart": body["timeWindowStart"],
        "timeWindowEnd": body["timeWindowEnd"],
        "timeWindowRelative": boolean(body, "timeWindowRelative"),
        "advertiserType": _choice(body, "advertiserType", _ADVERTISER_TYPES) or "DISPLAY",
        "workflowId": body.get("workflowId"),
        "inputParameters": saved.get("inputParameters"),
        "parameterValues": values,
        "lookalikeAudienceExpectedReach": reach,
    }
    audience_id = str(uuid.uuid4())
    return QueryAudience(
        id=audience_id,
        instance_id=call.instance_id,
        kind=kind,
        definition={field: value for field, value in definition.items() if value is not None},
        sql=saved["sqlQuery"],
        input_schema=saved.get("inputSchema"),
        parameters=saved.get("inputParameters") or [],
        window=window,
        refresh_days=refresh_days,
        created=call.now(),
        progress=call.plan(audience_id, _SHORTEST, _LONGEST),
    )


def _refresh_days(body: Mapping[str, Any], kind: str) -> int:
    days, least = integer(body, "refreshRateDays"), _LEAST_REFRESH_DAYS[kind]
    if days is None:
        return _DEFAULT_REFRESH_DAYS
    if not least <= days <= _DEFAULT_REFRESH_DAYS:
        raise bad_request(
            f"Invalid value '{days}' for refreshRateDays: expected a number from {least} to {_DEFAULT_REFRESH_DAYS}."
        )
    return days


# -- answers -----------------------------------------------------------------------------------------------------------
def _version(call: Call) -> int:
    """The newest version of the answer that the request accepts."""
    accepted = call.request.headers.get("accept", "")
    return max((number for number, media in enumerate(_VERSIONS) if media in accepted), default=0)


def _answer(body: dict[str, Any], media_type: str) -> Response:
    return Response(json.dumps(body), media_type=media_type)


def _shown(call: Call, audience: QueryAudience, version: int) -> dict[str, Any]:
    shown = audience.to_api(call.now(), version)
    if call.emulator.config.envelope == "wrapped" and "inputParameters" in shown:
        # The file knows defaults as texts only
        shown["inputParameters"] = [
            {
                **one,
                "defaultValue": one["defaultValue"]
                if isinstance(one["defaultValue"], str)
                else json.dumps(one["defaultValue"]),
            }
            if one.get("defaultValue") is not None
            else one
            for one in shown["inputParameters"]
        ]
    if (fault := call.fault("unknown_status")) is not None:
        shown["status"] = fault.value or "PUBLISHING"
    return shown


def _submitted(call: Call, audience: QueryAudience, media_type: str) -> Response:
    call.emulator.the_audiences().begin(audience)
    body = {
        "audienceExecutionId": audience.id,
        "status": "PENDING",
        "audienceExecutionDescription": _DESCRIPTION,
    }
    return _answer(body, media_type)


def _found(call: Call, unknown: int = 404) -> QueryAudience:
    audience_id = call.path("audience_id")
    body = call.emulator.store.get_document(KIND, call.instance_id, audience_id)
    if body is None:
        raise amc_error(unknown, f"Audience with ID {audience_id} does not exist.")
    audience = QueryAudience.load(body)
    _refresh(call, audience)
    return audience


def _refresh(call: Call, audience: QueryAudience) -> None:
    """Read the moved window of an audience anew, should a refresh be due."""
    due = audience.refreshes(call.now())
    if audience.moves and audience.outcome is not None and due > audience.outcome.refresh:
        call.emulator.the_audiences().begin(audience, due)


# -- operations --------------------------------------------------------------------------------------------------------
async def create_audience(call: Call) -> Response:
    """Ask for a rule-based audience. The same request again makes a second one."""
    return await _create(call, RULE_BASED, _MEDIA)


async def create_lookalike(call: Call) -> Response:
    """Ask for a lookalike audience, whose seed the query selects."""
    return await _create(call, LOOKALIKE, _LOOKALIKE_MEDIA)


async def _create(call: Call, kind: str, spec_media_type: str) -> Response:
    body = await call.body()
    audience = _parsed(call, body, kind, _refresh_days(body, kind))
    call.emulator.store.add_document(KIND, call.instance_id, audience.id, audience.dump())
    wrapped = call.emulator.config.envelope == "wrapped"
    return _submitted(call, audience, spec_media_type if wrapped else OCTETS)


async def list_audiences(call: Call) -> Response:
    """All audiences of an instance, oldest first; a page ends at ``maxResults`` or at one megabyte."""
    limit, version = call.limit(name="maxResults"), _version(call)
    found = call.emulator.store.page_documents(KIND, call.instance_id, call.after() or 0, limit + 1)
    shown: list[dict[str, Any]] = []
    size, last = 0, 0
    body: dict[str, Any] = {"executionMetadata": shown}
    for seq, document in found:
        audience = QueryAudience.load(document)
        _refresh(call, audience)
        one = _shown(call, audience, version)
        size += len(json.dumps(one))
        if len(shown) == limit or (shown and size > _PAGE_BYTES):
            body["nextToken"] = call.token(last)
            break
        shown.append(one)
        last = seq
    return _answer(body, _VERSIONS[version])


async def get_audience(call: Call) -> Response:
    """One audience."""
    version = _version(call)
    return _answer(_shown(call, _found(call), version), _VERSIONS[version])


def _must_have_failed(call: Call, audience: QueryAudience, doing: str) -> None:
    status, _ = audience.status(call.now())
    if status != "FAILED":
        raise bad_request(
            f"Audience with ID {audience.id} cannot be {doing} because it is in status {status}: only FAILED audiences can."
        )


async def update_audience(call: Call) -> Response:
    """Replace query, window or parameters of an audience that has FAILED, and try again."""
    body = await call.body()
    before = _found(call, 400)  # the one operation on an audience for which the file knows no 404
    _must_have_failed(call, before, "updated")
    _choice(body, "audienceType", (RULE_BASED, LOOKALIKE), required=True)
    known = {**before.definition, "audienceType": before.kind}
    for name in (
        "advertiserId",
        "audienceName",
        "audienceDescription",
        "audienceType",
        "lookalikeAudienceExpectedReach",
    ):
        if body.get(name) != known.get(name):
            raise bad_request(f"Invalid value for {name}: it must be the same as the existing value.")
    audience = _parsed(call, body, before.kind, _DEFAULT_REFRESH_DAYS)
    audience.id, audience.created, audience.attempt = before.id, before.created, before.attempt + 1
    call.emulator.store.replace_document(KIND, call.instance_id, audience.id, audience.dump())
    return _submitted(call, audience, _VERSIONS[-1])


async def delete_audience(call: Call) -> Response:
    """Delete an audience that has FAILED."""
    audience = _found(call)
    _must_have_failed(call, audience, "deleted")
    call.emulator.store.delete_document(KIND, call.instance_id, audience.id)
    return call.answer(None, status=204)


_QUERY, _LOOKALIKE = "/amc/audiences/query", "/amc/audiences/lookalike"
#: The file names fewer for some of them; 401, 403 and 429 come from the gateways in front.
_COMMON = frozenset({400, 401, 403, 429, 500})
OPERATIONS = tuple(
    Operation(
        name,
        method,
        path,
        handler,
        _MEDIA,
        headers="audience",
        errors=QUERY_AUDIENCES,
        known_statuses=_COMMON | {404} if unknown else _COMMON,
    )
    for name, method, path, handler, unknown in (
        ("createQueryBasedAudience", "POST", _QUERY, create_audience, False),
        ("getAllQueryBasedAudiencesByInstanceId", "GET", _QUERY, list_audiences, True),
        ("getQueryBasedAudienceByAudienceExecutionId", "GET", _QUERY + "/{audience_id}", get_audience, True),
        ("updateQueryBasedAudienceByAudienceExecutionId", "PUT", _QUERY + "/{audience_id}", update_audience, False),
        ("deleteQueryBasedAudienceByAudienceExecutionId", "DELETE", _QUERY + "/{audience_id}", delete_audience, True),
        ("createLookalikeAudience", "POST", _LOOKALIKE, create_lookalike, False),
    )
)
