"""Workflow executions (AMC reporting API).

Source: AMC API documentation, "Execute workflow", and the OpenAPI file of the workflow API.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.client.fields import unwrap
from airflow_provider_amc.client.models import DownloadUrls, Execution, ExecutionStatus, signatures
from airflow_provider_amc.client.paging import items, page_size, pages
from airflow_provider_amc.client.times import format_time, time_zone_of
from airflow_provider_amc.client.transport import EXECUTIONS, Transport
from airflow_provider_amc.client.validation import check_id, check_range, check_segment, is_blank, path
from airflow_provider_amc.exceptions import AmcInvalidRequestError, AmcUnknownOutcomeError, AmcValidationError

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

EXPLICIT = "EXPLICIT"
TIME_WINDOW_TYPES = (EXPLICIT, "MOST_RECENT_DAY", "MOST_RECENT_WEEK", "CURRENT_MONTH", "PREVIOUS_MONTH", "ALL")
MIN_TIMEOUT_SECONDS = 900
MAX_TIMEOUT_SECONDS = 86400


def window_fields(
    time_window_type: str | None = None,
    time_window_start: datetime | str | None = None,
    time_window_end: datetime | str | None = None,
    time_window_time_zone: str | None = None,
) -> dict[str, str]:
    """Check a time window and write it as AMC takes it.

    :param time_window_type: one of ``TIME_WINDOW_TYPES``; ``None`` means ``EXPLICIT`` when bounds are given, and
        otherwise AMC's own default, ``MOST_RECENT_DAY``.
    :param time_window_start: first moment of the window, see :func:`~.times.format_time`.
    :param time_window_end: first moment after the window.
    :param time_window_time_zone: zone of the bounds and of the day and month borders, default UTC.
    :return: the fields of the request.
    :raises AmcValidationError: for everything AMC would refuse or misread.
    """
    kind = None if time_window_type is None else str(time_window_type).strip().upper()
    if kind is not None and kind not in TIME_WINDOW_TYPES:
        raise AmcValidationError(
            f"time_window_type must be one of {', '.join(TIME_WINDOW_TYPES)}, got {time_window_type!r}."
        )
    zone = time_zone_of(time_window_time_zone)
    start, end = time_window_start or None, time_window_end or None
    fields: dict[str, str] = {}
    if kind == EXPLICIT or (kind is None and (start or end)):
        missing = [name for name, value in (("time_window_start", start), ("time_window_end", end)) if value is None]
        if missing or start is None or end is None:
            raise AmcValidationError(f"A time window of type EXPLICIT needs {' and '.join(missing)} too.")
        kind = EXPLICIT
        fields["timeWindowStart"] = format_time(start, zone=zone, field="time_window_start")
        fields["timeWindowEnd"] = format_time(end, zone=zone, field="time_window_end")
        if fields["timeWindowStart"] >= fields["timeWindowEnd"]:
            raise AmcValidationError(
                f"time_window_start ({fields['timeWindowStart']}) must be before time_window_end "
                f"({fields['timeWindowEnd']}), both in {time_window_time_zone or 'UTC'}."
            )
    elif start or end:
        raise AmcValidationError(
            f"time_window_start and time_window_end go with time_window_type EXPLICIT only, not with {kind}."
        )
    if kind is not None:
        fields["timeWindowType"] = kind
    if time_window_time_zone:
        fields["timeWindowTimeZone"] = time_window_time_zone
    return fields


def parameter_fields(values: Mapping[str, object]) -> dict[str, Any]:
    """Write parameter values as AMC takes them: text for simple values, lists for arrays.

    :param values: value by name.
    :raises AmcValidationError: for ``None`` and for values that are neither.
    """
    if not isinstance(values, Mapping):
        raise AmcValidationError(f"parameter_values must be a mapping of name to value, got {type(values).__name__}.")
    written: dict[str, Any] = {}
    for name, value in values.items():
        if is_blank(name):
            raise AmcValidationError(f"parameter_values: {name!r} is not a name.")
        if isinstance(value, (list, tuple)):
            written[name] = [_parameter(item, f"{name}[{index}]") for index, item in enumerate(value)]
        else:
            written[name] = _parameter(value, name)
    return written


def _parameter(value: object, name: str) -> str:
    if value is None:
        raise AmcValidationError(f"parameter_values: {name} is None. Leave it out to use the workflow's default value.")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_time(value, field=f"parameter_values: {name}")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (str, int)) or (isinstance(value, (float, Decimal)) and math.isfinite(value)):
        return str(value)
    raise AmcValidationError(
        f"parameter_values: {name} is {value if isinstance(value, float) else 'a ' + type(value).__name__}. Use text, numbers, booleans, dates, or lists of them."
    )


def _advertisers(values: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    if values is None:
        return None
    if isinstance(values, (str, bytes, Mapping)) or not all(isinstance(value, Mapping) for value in values):
        raise AmcValidationError("advertisers must be a list of mappings with id, type and marketplaceId.")
    return [dict(value) for value in values]


class Executions:
    """``client.executions``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "reporting", self._transport.instance(instance_id), "workflowExecutions", *segments)

    def _path_of(self, workflow_execution_id: str, instance_id: str | None, *segments: str) -> str:
        return self._path(instance_id, check_segment(workflow_execution_id, "workflow_execution_id"), *segments)

    def create(self, *, instance_id: str | None = None, **fields: Any) -> Execution:
        """Start an execution: :meth:`submit` the request that :func:`execution_request` writes.

        :param instance_id: default the client's own.
        :param fields: arguments of :func:`execution_request`.
        :return: the execution, PENDING as a rule. AMC validates afterwards: it can still be REJECTED.
        :raises AmcUnknownOutcomeError: when the answer was lost: look for the execution before creating another.
        """
        return self.submit(execution_request(**fields), instance_id=instance_id)

    def submit(self, request: Mapping[str, Any], *, instance_id: str | None = None) -> Execution:
        """Start an execution. AMC has no idempotency token for this call, so it is never repeated blindly.

        :param request: what :func:`execution_request` wrote.
        :param instance_id: default the client's own.
        :return: the execution, PENDING as a rule. AMC validates afterwards: it can still be REJECTED.
        :raises AmcUnknownOutcomeError: when the answer was lost: look for the execution before creating another.
        """
        address = self._path(instance_id)
        data = self._transport.call("POST", address, media_type=EXECUTIONS, body=dict(request), repeat=False)
        execution = Execution.from_api(unwrap(data, "workflowExecution", "workflowExecutionId"))
        if not execution.workflow_execution_id:
            raise AmcUnknownOutcomeError(
                "AMC's answer names no execution. The call may have been carried out.",
                method="POST",
                path=address,
                hint="Look for the execution before creating another one: a second run costs quota and privacy budget.",
            )
        return execution

    def get(
        self, workflow_execution_id: str, *, include_workflow: bool = False, instance_id: str | None = None
    ) -> Execution:
        """Get an execution.

        :param workflow_execution_id: its id.
        :param include_workflow: with its SQL.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none. A new one can be invisible for some seconds.
        """
        address = self._path_of(workflow_execution_id, instance_id)
        query = {"includeWorkflow": True if include_workflow else None}
        data = self._transport.call("GET", address, media_type=EXECUTIONS, query=query)
        key = "workflowExecutionId"
        return Execution.from_api(self._transport.whole(unwrap(data, "workflowExecution", key), key, address))

    def list(
        self,
        *,
        workflow_id: str | None = None,
        min_creation_time: datetime | str | None = None,
        max_creation_time: datetime | str | None = None,
        time_zone: str | None = None,
        sort_ascending: bool | None = None,
        include_cancelled: bool | None = None,
        include_workflow: bool | None = None,
        limit: int | None = None,
        instance_id: str | None = None,
    ) -> Iterator[Execution]:
        """List executions, page by page as they are consumed. AMC asks for a workflow or a first creation time.

        :param workflow_id: of this workflow only.
        :param min_creation_time: created at this moment or later.
        :param max_creation_time: created at this moment or earlier.
        :param time_zone: zone of the two times, default UTC.
        :param sort_ascending: oldest first; AMC's default is newest first.
        :param include_cancelled: with cancelled ones, which AMC hides by default.
        :param include_workflow: with the SQL of each.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        :param instance_id: default the client's own.
        :raises AmcValidationError: when neither ``workflow_id`` nor ``min_creation_time`` is given.
        """
        if not workflow_id and not min_creation_time:
            raise AmcValidationError("Listing executions needs workflow_id or min_creation_time (or both).")
        zone = time_zone_of(time_zone, field="time_zone")
        query: dict[str, object] = {
            "workflowId": check_id(workflow_id, "workflow_id") if workflow_id else None,
            "minCreationTime": None
            if not min_creation_time
            else format_time(min_creation_time, zone=zone, field="min_creation_time"),
            "maxCreationTime": None
            if not max_creation_time
            else format_time(max_creation_time, zone=zone, field="max_creation_time"),
            "timeZone": time_zone or None,
            "sortAscending": sort_ascending,
            "includeCancelled": include_cancelled,
            "includeWorkflow": include_workflow,
            "limit": page_size(limit),
        }
        address = self._path(instance_id)

        def fetch(token: str | None) -> dict[str, Any]:
            return self._transport.call("GET", address, media_type=EXECUTIONS, query={**query, "nextToken": token})

        return map(Execution.from_api, items(fetch, "executions", "workflowExecutions"))

    def cancel(self, workflow_execution_id: str, *, instance_id: str | None = None) -> bool:
        """Cancel an execution.

        :param workflow_execution_id: its id.
        :param instance_id: default the client's own.
        :return: ``False`` when it had finished already, which AMC answers with an error.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path_of(workflow_execution_id, instance_id)
        try:
            self._transport.call("PUT", address, media_type=EXECUTIONS, body={"status": "CANCELLED"})
        except AmcInvalidRequestError as error:
            execution = self.get(workflow_execution_id, instance_id=instance_id)
            if not execution.is_finished:
                raise
            # Cancelled by an earlier attempt of this very call, whose answer was lost.
            return error.answer_lost and execution.status is ExecutionStatus.CANCELLED
        return True

    def download_urls(self, workflow_execution_id: str, *, instance_id: str | None = None) -> DownloadUrls:
        """Ask for addresses of the result files: all files, of all pages.

        :param workflow_execution_id: its id.
        :param instance_id: default the client's own.
        :return: addresses valid for ten minutes.
        :raises AmcNotReadyError: while there is no result.
        """
        address = self._path_of(workflow_execution_id, instance_id, "downloadUrls")
        urls: builtins.list[str] = []
        metadata: builtins.list[str] = []

        def fetch(token: str | None) -> dict[str, Any]:
            return self._transport.call("GET", address, media_type=EXECUTIONS, query={"nextToken": token})

        for page in pages(fetch, "download URLs"):
            urls.extend(DownloadUrls.read(page.get("downloadUrls")))
            metadata.extend(DownloadUrls.read(page.get("metadataDownloadUrls")))
        for url in (*urls, *metadata):
            self._transport.announce(*signatures(url))
        return DownloadUrls(tuple(urls), tuple(metadata))

    def results(self, workflow_execution_id: str, *, instance_id: str | None = None) -> ExecutionResults:
        """Open the result of an execution. Nothing is sent yet.

        :param workflow_execution_id: its id.
        :param instance_id: default the client's own.
        """
        from airflow_provider_amc.client.results import ExecutionResults

        check_segment(workflow_execution_id, "workflow_execution_id")
        transport = self._transport
        return ExecutionResults(
            workflow_execution_id,
            lambda: self.download_urls(workflow_execution_id, instance_id=instance_id),
            base_url=transport.custom_base_url,
            timeout=transport.timeout,
            log=transport.log,
            sleep=transport.sleep,
            clock=transport.clock,
        )


def execution_request(
    *,
    workflow_id: str | None = None,
    workflow: Mapping[str, Any] | None = None,
    time_window_type: str | None = None,
    time_window_start: datetime | str | None = None,
    time_window_end: datetime | str | None = None,
    time_window_time_zone: str | None = None,
    parameter_values: Mapping[str, object] | None = None,
    workflow_execution_timeout_seconds: int | None = None,
    dry_run: bool | None = None,
    skip_publish: bool | None = None,
    require_synthetic_data: bool | None = None,
    disable_aggregation_controls: bool | None = None,
    ignore_data_gaps: bool | None = None,
    advertisers: Sequence[Mapping[str, Any]] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the request that starts an execution. Nothing is sent.

    :param workflow_id: saved workflow to run; exclusive with ``workflow``.
    :param workflow: query to run ad hoc, an object of
        :func:`~airflow_provider_amc.client.workflows.workflow_definition`.
    :param time_window_type: see :func:`window_fields`, also for the next three.
    :param time_window_start: first moment of the window.
    :param time_window_end: first moment after the window.
    :param time_window_time_zone: zone of the window.
    :param parameter_values: value by parameter name, see :func:`parameter_fields`.
    :param workflow_execution_timeout_seconds: 900 to 86400; AMC's default is 21600.
    :param dry_run: compile and check only.
    :param skip_publish: do not write results to S3.
    :param require_synthetic_data: use synthetic data only, which a sandbox needs.
    :param disable_aggregation_controls: no privacy controls, with synthetic data only.
    :param ignore_data_gaps: field of an older specification, still accepted.
    :param advertisers: read data of these advertisers only: ``id``, ``type``, ``marketplaceId``.
    :param extra: further fields by AMC's names; they win over the ones above.
    :return: the body of the call.
    :raises AmcValidationError: for everything AMC would refuse or misread.
    """
    body = execution_fields(
        workflow_id=workflow_id,
        workflow=workflow,
        parameter_values=parameter_values,
        workflow_execution_timeout_seconds=workflow_execution_timeout_seconds,
    )
    body.update(window_fields(time_window_type, time_window_start, time_window_end, time_window_time_zone))
    options: dict[str, Any] = {
        "dryRun": dry_run,
        "skipPublish": skip_publish,
        "requireSyntheticData": require_synthetic_data,
        "disableAggregationControls": disable_aggregation_controls,
        "ignoreDataGaps": ignore_data_gaps,
        "advertisers": _advertisers(advertisers),
    }
    body.update({name: value for name, value in options.items() if value is not None})
    body.update(extra or {})
    return body


def execution_fields(
    *,
    workflow_id: str | None,
    workflow: Mapping[str, Any] | None,
    parameter_values: Mapping[str, object] | None,
    workflow_execution_timeout_seconds: int | None,
) -> dict[str, Any]:
    """Check what is to run, and write it as AMC takes it. Parameters as of :meth:`Executions.create`."""
    if (workflow_id is None) == (workflow is None):
        both = "not both" if workflow_id is not None else "neither was given"
        raise AmcValidationError(f"Give workflow_id (a saved workflow) or workflow (a query to run ad hoc): {both}.")
    body: dict[str, Any] = {}
    if workflow_id is not None:
        body["workflowId"] = check_id(workflow_id, "workflow_id")
    else:
        if not isinstance(workflow, Mapping):
            raise AmcValidationError(f"workflow must be a mapping with sqlQuery, got {type(workflow).__name__}.")
        if not workflow.get("query") and is_blank(workflow.get("sqlQuery")):
            raise AmcValidationError("workflow has no sqlQuery, or an empty one: there is nothing to run.")
        if workflow.get("workflowId") is not None:
            check_id(workflow["workflowId"], "workflow['workflowId']")
        body["workflow"] = dict(workflow)
    if parameter_values is not None:
        body["parameterValues"] = parameter_fields(parameter_values)
    if workflow_execution_timeout_seconds is not None:
        body["workflowExecutionTimeoutSeconds"] = check_range(
            workflow_execution_timeout_seconds,
            "workflow_execution_timeout_seconds",
            MIN_TIMEOUT_SECONDS,
            MAX_TIMEOUT_SECONDS,
        )
    return body
