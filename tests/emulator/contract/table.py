"""What answers look like, as a table written for this project, and the code that compares an answer with it.

Facts: the fields, types and limits of Amazon's OpenAPI files for the workflow service and for the administration of
instances (``wrapped``), and the recorded responses of Amazon's Postman collection (``flat``).

An ``object`` lists fields; an ``answer`` lists the fields of an operation's answer, or ``=`` and a type for the answer
as a whole. Behind the name of a field: ``?`` it may be missing, ``~`` it may be null with the flat envelope. ``flat`` or
``wrapped`` behind the type: the field exists with that envelope only. A field that is not in the table is a mistake.
Types: ``text``, ``flag``, ``whole`` (number), ``number``, ``any``; ``utc``, ``millis`` and ``local`` (times); ``A|B`` (one of these
words); the name of an object; ``<type>[n]`` (a list of at most n); ``{}`` (values by name).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.emulator.contract import admin_table, query_audience_table, upload_table

TABLE = """
object SourceColumn
    name                        text
    description                 text
    columnType                  DIMENSION|METRIC
    dataType                    text

object DataSource
    dataSourceId                text
    description                 text
    owner                       AMAZON|CUSTOMER
    provider                    AMAZON|ADVERTISER_DATA_UPLOAD
    tags                        any[100]
    columns                     SourceColumn[500]

object Column
    name                        text
    dataType                    BINARY|BOOLEAN|BYTE|CALENDAR_INTERVAL|DATE|DECIMAL|DOUBLE|FLOAT|INTEGER|LONG|SHORT|STRING|TIMESTAMP|ARRAY
    columnType                  DIMENSION|METRIC
    dataTypePrecision?          whole
    dataTypeScale?              whole

object ParameterOfTheFile
    name                        text
    dataType?                   BINARY|BOOLEAN|BYTE|CALENDAR_INTERVAL|DATE|DECIMAL|DOUBLE|FLOAT|INTEGER|LONG|SHORT|STRING|TIMESTAMP
    columnType?                 DIMENSION|METRIC
    defaultValue?               text
    description?                text
    displayName?                text

object Workflow
    workflowId                  text
    sqlQuery?                   text
    query?                      text[100] wrapped
    query?                      any flat
    inputParameters?            ParameterOfTheFile[100] wrapped
    inputParameters?            any[100] flat
    inputSchema?                text
    outputColumns?              Column[100]
    outputFormat?               {}
    privacyFilteringBehavior?   REMOVE_ROWS|REMOVE_VALUES
    filteredMetricsDiscriminatorColumn?  text
    distinctUserCountColumn?    text
    filteredReasonColumn?       text

object Schedule
    scheduleId                  text
    workflowId                  text
    aggregationPeriod           Daily|Weekly
    aggregationHourUtc          whole
    aggregationStartDay         Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday
    scheduleEnabled             flag
    requireSyntheticData        flag
    disableAggregationControls  flag

object AdvertiserChoice
    id                          text
    type                        DISPLAY|SPONSORED_ADS|SAS
    marketplaceId?              text

object Channel
    type                        DOWNLOAD|PUBLISH|ACR

object OutputChannel
    channel                     Channel
    status                      PENDING|AVAILABLE|UNAVAILABLE|FAILED
    statusReason?               text

object Execution
    workflowExecutionId         text
    workflowId                  text
    status                      PENDING|RUNNING|SUCCEEDED|FAILED|CANCELLED wrapped
    status                      PENDING|RUNNING|SUCCEEDED|FAILED|CANCELLED|REJECTED flat
    statusReason?               text
    createTime                  utc
    lastUpdatedTime             utc
    expireTime                  utc
    waitUntil                   utc
    validatedTime?              millis
    dataGaps                    any[100]
    ignoreDataGaps              flag
    disableAggregationControls  flag
    requireSyntheticData?       flag
    executionCategory           text
    parameterValues             {}
    timeWindowStart?            utc
    timeWindowEnd?              utc
    timeWindowStartOriginal?    local
    timeWindowEndOriginal?      local
    timeWindowTimeZoneOriginal  text
    workflowExecutionTimeoutSeconds  whole
    availableTimeBeforeWindowSecs?   whole
    invalidationOffsetSecs?     whole
    executionTime?              whole
    outputColumns?              Column[100]
    outputS3URI?                text
    sqlQuery?                   text
    advertisers?                AdvertiserChoice[100]
    outputChannels              OutputChannel[10] wrapped

object Error
    code                        text
    details                     text
    requestId?                  text

object GatewayError
    message                     text

object TokenError
    error                       text
    error_description           text
    request_id                  text

object WrappedWorkflow
    workflow                    Workflow

object WrappedSchedule
    schedule                    Schedule

object WrappedExecution
    workflowExecution           Execution

object WrappedDataSource
    dataSource                  DataSource

answer token 200
    access_token                text
    refresh_token               text
    token_type                  bearer
    expires_in                  whole

answer listDataSources 200
    dataSources                 DataSource[100]
    nextToken?                  text

answer listWorkflows 200
    workflows                   Workflow[100]
    nextToken?                  text

answer listSchedules 200
    schedules                   Schedule[100]
    nextToken?                  text

answer listWorkflowExecutions 200
    executions                  Execution[100]
    nextToken?                  text

answer getWorkflowExecutionDownloadUrls 200
    downloadUrls                text[5]
    metadataDownloadUrls        text[5]
    nextToken?                  text

answer getDataSource 200
    = WrappedDataSource wrapped
    = DataSource flat

answer getWorkflow 200
    = WrappedWorkflow wrapped
    = Workflow flat

answer getSchedule 200
    = WrappedSchedule wrapped
    = Schedule flat

answer createWorkflowExecution 200
    = WrappedExecution wrapped
    = Execution flat

answer getWorkflowExecution 200
    = WrappedExecution wrapped
    = Execution flat
"""

#: Answers of these are an empty object.
EMPTY = {
    "createWorkflow",
    "updateWorkflow",
    "deleteWorkflow",
    "createSchedule",
    "updateSchedule",
    "deleteSchedule",
    "updateWorkflowExecution",
    "deleteWorkflowExecution",
    *admin_table.EMPTY,
}
#: Answers of these have no body at all (HTTP 204).
NO_CONTENT = {*admin_table.NO_CONTENT, *query_audience_table.NO_CONTENT, *upload_table.NO_CONTENT}
#: Answers of these are no JSON.
OTHER = {"authorize", "results"}
#: Media types of Amazon's OpenAPI files by a part of the operation's name; the first that fits counts.
MEDIA_TYPES = {
    **query_audience_table.MEDIA_TYPES,
    **upload_table.MEDIA_TYPES,
    **admin_table.MEDIA_TYPES,
    "DataSource": "application/vnd.amcdatasources.v1+json",
    "Schedule": "application/vnd.amcschedules.v1+json",
    "WorkflowExecution": "application/vnd.amcworkflowexecutions.v1+json",
    "Workflow": "application/vnd.amcworkflows.v1+json",
}
_TIMES = {
    "utc": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "millis": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "local": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
}


@dataclass
class Shape:
    """The fields of an object; ``whole`` is the type of an answer that is not described field by field."""

    fields: dict[str, tuple[str, bool, bool]] = field(default_factory=dict)
    whole: str | None = None


def shapes(envelope: str) -> dict[str, Shape]:
    """The table for one envelope: objects by their name, answers by operation and status."""
    found: dict[str, Shape] = {}
    shape = Shape()
    for line in (TABLE + admin_table.TABLE + query_audience_table.TABLE + upload_table.TABLE).splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] in ("object", "answer"):
            shape = found.setdefault(" ".join(words[1:]), Shape())
            continue
        name, kind, *only = words
        if only not in ([], [envelope]):
            continue
        if name == "=":
            shape.whole = kind
        else:
            plain = name.rstrip("?~")
            assert plain not in shape.fields, f"{plain} is there twice"
            shape.fields[plain] = (kind, "?" in name, "~" in name and envelope == "flat")
    return found


class Contract:
    """Compares answers with the table of one envelope."""

    def __init__(self, envelope: str) -> None:
        self.envelope = envelope
        self.shapes = shapes(envelope)

    def mistakes(self, operation: str, status: int, media_type: str, body: Any) -> list[str]:
        """Everything in which an answer of AMC or of the token endpoint differs from the table."""
        told = []
        if status == 204:
            return [] if operation in NO_CONTENT and body is None else ["an answer without a body was not expected"]
        if operation != "token" and self.envelope == "wrapped" and status < 503:
            expected = [next(kind for part, kind in MEDIA_TYPES.items() if part in operation)]
            if status >= 400 and upload_table.of_uploads(operation):
                expected = ["application/json"]
            expected = query_audience_table.GOOD_MEDIA_TYPES.get(operation, expected) if status == 200 else expected
            if media_type not in expected:
                told.append(f"the media type is {media_type}, not {' or '.join(expected)}")
        if status == 200 and operation in EMPTY:
            return told + ([] if body == {} else [f"the answer is {body}, not an empty object"])
        kind = f"{operation} {status}" if status < 300 else self._error(operation, status, body)
        return told + [f"{place} {text}" for place, text in self._compare(kind, body, "answer")]

    def _error(self, operation: str, status: int, body: Any) -> str:
        if operation == "token":
            return "TokenError"
        if operation == "listAccounts":
            return "AccountsError"
        by_everyone = upload_table.error_of(operation)
        if by_everyone is not None:
            return by_everyone
        # Gateways in front of AMC answer in a shape of their own; the OpenAPI files know nothing of them.
        by_gateway = status >= 503 or (self.envelope == "flat" and "details" not in body)
        if by_gateway:
            return "GatewayError"
        if upload_table.of_uploads(operation):
            return "UploadError"
        return "QueryAudienceError" if query_audience_table.is_part(operation) else "Error"

    def _compare(self, kind: str, value: Any, place: str) -> list[tuple[str, str]]:
        listed = re.fullmatch(r"(.*)\[(\d+)\]", kind)
        if listed:
            if not isinstance(value, list) or len(value) > int(listed[2]):
                return [(place, f"is no list of at most {listed[2]}: {value}")]
            return [one for n, entry in enumerate(value) for one in self._compare(listed[1], entry, f"{place}[{n}]")]
        if kind in self.shapes:
            return self._object(self.shapes[kind], value, place)
        return [] if _simple(kind, value) else [(place, f"is {value!r}, not {kind}")]

    def _object(self, shape: Shape, value: Any, place: str) -> list[tuple[str, str]]:
        if shape.whole is not None:
            return self._compare(shape.whole, value, place)
        if not isinstance(value, dict):
            return [(place, f"is no object: {value}")]
        told = [(f"{place}.{name}", "is not in the table") for name in value if name not in shape.fields]
        for name, (kind, optional, nullable) in shape.fields.items():
            if name not in value:
                told += [] if optional else [(f"{place}.{name}", "is missing")]
            elif not (nullable and value[name] is None):
                told += self._compare(kind, value[name], f"{place}.{name}")
        return told


def _simple(kind: str, value: Any) -> bool:
    if kind in _TIMES:
        return isinstance(value, str) and re.fullmatch(_TIMES[kind], value) is not None
    if kind in ("any", "text", "flag", "{}"):
        types: dict[str, type] = {"any": object, "text": str, "flag": bool, "{}": dict}
        return isinstance(value, types[kind])
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "whole":
        return isinstance(value, int) and not isinstance(value, bool)
    return value in kind.split("|")
