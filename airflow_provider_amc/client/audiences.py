"""Rule-based and lookalike audiences: queries whose users become an audience in Amazon DSP.

Source: AMC API documentation, "Rule-based audiences", and the OpenAPI file of the rule-based audience API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_amc.client.executions import parameter_fields
from airflow_provider_amc.client.fields import Raw, boolean, integer, text
from airflow_provider_amc.client.paging import items
from airflow_provider_amc.client.times import format_time, parse_time
from airflow_provider_amc.client.transport import (
    LOOKALIKE_AUDIENCES,
    RULE_AUDIENCES,
    RULE_AUDIENCES_DETAILED,
    Transport,
)
from airflow_provider_amc.client.validation import check_id, check_range, check_segment, is_blank, path
from airflow_provider_amc.exceptions import AmcNotFoundError, AmcValidationError

#: How alike the members of a lookalike audience are to its seed.
REACHES = ("MOST_SIMILAR", "SIMILAR", "BALANCED", "BROAD", "MOST_BROAD")
ADVERTISER_TYPES = ("DISPLAY", "SPONSORED_ADS")

#: Days between two refreshes; 0 stands for none, after which AMC deactivates the audience within 30 days.
MOST_REFRESH_DAYS = 21
FEWEST_LOOKALIKE_REFRESH_DAYS = 7


@dataclass(frozen=True)
class Audience:
    """A rule-based or lookalike audience. ``status``: PENDING, RUNNING, SUCCEEDED, FAILED or DEACTIVATED."""

    audience_execution_id: str
    audience_name: str | None = None
    audience_type: str | None = None
    audience_description: str | None = None
    advertiser_id: str | None = None
    advertiser_type: str | None = None
    status: str = ""
    status_reason: str | None = None
    audience_count: int | None = None
    refresh_rate_days: int | None = None
    create_time: datetime | None = None
    last_refreshed_time: datetime | None = None
    time_window_start: datetime | None = None
    time_window_end: datetime | None = None
    time_window_relative: bool | None = None
    dsp_audience_id: str | None = None
    dsp_canonical_id: str | None = None
    instance_id: str | None = None
    workflow_id: str | None = None
    lookalike_audience_expected_reach: str | None = None
    query: str | None = field(default=None, repr=False)
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Will the status stay, as far as the creation is concerned?"""
        return self.status in ("SUCCEEDED", "FAILED", "DEACTIVATED")

    @property
    def is_succeeded(self) -> bool:
        """Is the audience in DSP?"""
        return self.status == "SUCCEEDED"

    @classmethod
    def from_api(cls, data: Raw) -> Audience:
        """Read an audience; a create call tells less than the others."""
        reason = text(data.get("statusReason")) or text(data.get("audienceExecutionDescription"))
        return cls(
            audience_execution_id=text(data.get("audienceExecutionId")) or "",
            audience_name=text(data.get("audienceName")),
            audience_type=text(data.get("audienceType")),
            audience_description=text(data.get("audienceDescription")),
            advertiser_id=text(data.get("advertiserId")),
            advertiser_type=text(data.get("advertiserType")),
            status=(text(data.get("status")) or "").strip().upper(),
            status_reason=reason,
            audience_count=integer(data.get("audienceCount")),
            refresh_rate_days=integer(data.get("refreshRateDays")),
            create_time=parse_time(data.get("createTime")),
            last_refreshed_time=parse_time(data.get("lastRefreshedTime")),
            time_window_start=parse_time(data.get("timeWindowStart")),
            time_window_end=parse_time(data.get("timeWindowEnd")),
            time_window_relative=boolean(data.get("timeWindowRelative")),
            dsp_audience_id=text(data.get("dspAudienceId")),
            dsp_canonical_id=text(data.get("dspCanonicalId")),
            instance_id=text(data.get("instanceId")),
            workflow_id=text(data.get("workflowId")),
            lookalike_audience_expected_reach=text(data.get("lookalikeAudienceExpectedReach")),
            query=text(data.get("query")),
            raw=data,
        )


def audience_request(
    *,
    advertiser_id: str,
    audience_name: str,
    time_window_start: datetime | str,
    time_window_end: datetime | str,
    query: str | None = None,
    workflow_id: str | None = None,
    audience_description: str | None = None,
    refresh_rate_days: int | None = None,
    time_window_relative: bool | None = None,
    expected_reach: str | None = None,
    advertiser_type: str | None = None,
    input_parameters: Sequence[Mapping[str, Any]] | None = None,
    parameter_values: Mapping[str, object] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the request that creates an audience. Nothing is sent.

    :param advertiser_id: advertiser that may target it.
    :param audience_name: its name; DSP shows it with ``AMC`` in front.
    :param time_window_start: first moment of the events; without an offset in UTC.
    :param time_window_end: first moment after them.
    :param query: AMC SQL that selects ``user_id`` from tables ``..._for_audiences``; this or ``workflow_id``.
    :param workflow_id: saved workflow with such a query.
    :param audience_description: for people.
    :param refresh_rate_days: days between two refreshes: 0 (none) to 21, lookalike 7 to 21. AMC's default is 21.
    :param time_window_relative: move the window with each refresh.
    :param expected_reach: makes it a lookalike audience: one of :data:`REACHES`.
    :param advertiser_type: ``DISPLAY`` or ``SPONSORED_ADS``.
    :param input_parameters: declarations of the query's parameters.
    :param parameter_values: their values.
    :param extra: further fields by AMC's names; they win over the ones above.
    :raises AmcValidationError: for everything AMC would refuse or misread.
    """
    if (query is None) == (workflow_id is None):
        raise AmcValidationError("Give query (AMC SQL of the audience) or workflow_id (a saved one), one of them.")
    for name, value in (("advertiser_id", advertiser_id), ("audience_name", audience_name), ("query", query or "-")):
        if is_blank(value):
            raise AmcValidationError(f"{name} must be a non-empty text, got {value!r}.")
    fewest = 0 if expected_reach is None else FEWEST_LOOKALIKE_REFRESH_DAYS
    fields: dict[str, Any] = {
        "advertiserId": advertiser_id,
        "audienceName": audience_name,
        "audienceDescription": audience_description,
        "query": query,
        "workflowId": None if workflow_id is None else check_id(workflow_id, "workflow_id"),
        "timeWindowStart": _utc(time_window_start, "time_window_start"),
        "timeWindowEnd": _utc(time_window_end, "time_window_end"),
        "timeWindowRelative": time_window_relative,
        "refreshRateDays": None
        if refresh_rate_days is None
        else check_range(refresh_rate_days, "refresh_rate_days", fewest, MOST_REFRESH_DAYS),
        "lookalikeAudienceExpectedReach": _choice(expected_reach, "expected_reach", REACHES),
        "advertiserType": _choice(advertiser_type, "advertiser_type", ADVERTISER_TYPES),
        "inputParameters": None if input_parameters is None else [dict(one) for one in input_parameters],
        "parameterValues": None if parameter_values is None else parameter_fields(parameter_values),
    }
    if fields["timeWindowStart"] >= fields["timeWindowEnd"]:
        raise AmcValidationError(
            f"time_window_start ({fields['timeWindowStart']}) must be before time_window_end ({fields['timeWindowEnd']})."
        )
    return {**{name: value for name, value in fields.items() if value is not None}, **(extra or {})}


class Audiences:
    """``client.audiences``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, *, instance_id: str | None = None, **fields: Any) -> Audience:
        """Create an audience: :meth:`submit` the request that :func:`audience_request` writes.

        :param instance_id: default the client's own.
        :param fields: arguments of :func:`audience_request`.
        :return: the audience, PENDING as a rule.
        """
        return self.submit(audience_request(**fields), instance_id=instance_id)

    def submit(self, request: Mapping[str, Any], *, instance_id: str | None = None) -> Audience:
        """Create an audience. A second call with the same request makes a second audience, so it is not repeated.

        :param request: what :func:`audience_request` wrote.
        :param instance_id: default the client's own.
        :return: the audience, PENDING as a rule.
        :raises AmcUnknownOutcomeError: when the answer was lost: look for the audience before creating another.
        """
        lookalike = "lookalikeAudienceExpectedReach" in request
        address = path("amc", "audiences", "lookalike" if lookalike else "query")
        data = self._call(
            "POST",
            address,
            instance_id,
            body=request,
            accept=LOOKALIKE_AUDIENCES if lookalike else RULE_AUDIENCES,
            repeat=False,
        )
        return self._read(data, address)

    def get(self, audience_execution_id: str, *, instance_id: str | None = None) -> Audience:
        """Get an audience.

        :param audience_execution_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path_of(audience_execution_id)
        return self._read(self._call("GET", address, instance_id), address)

    def list(self, *, instance_id: str | None = None, limit: int | None = None) -> Iterator[Audience]:
        """List the audiences of an instance.

        :param instance_id: default the client's own.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        size = None if limit is None else check_range(limit, "limit", 1, 100)

        def fetch(token: str | None) -> dict[str, Any]:
            return self._call(
                "GET", "/amc/audiences/query", instance_id, query={"maxResults": size, "nextToken": token}
            )

        return map(Audience.from_api, items(fetch, "executionMetadata", "executionDataList"))

    def update(
        self, audience_execution_id: str, request: Mapping[str, Any], *, instance_id: str | None = None
    ) -> Audience:
        """Replace the query, window or parameters of an audience that has FAILED; AMC refuses it for others.

        :param audience_execution_id: its id.
        :param request: what :func:`audience_request` wrote. Name, description, advertiser, type and reach have to be
            those it has.
        :param instance_id: default the client's own.
        """
        address = self._path_of(audience_execution_id)
        kind = "LOOKALIKE" if "lookalikeAudienceExpectedReach" in request else "RULE_BASED"
        body = {name: value for name, value in request.items() if name != "refreshRateDays"}
        data = self._call("PUT", address, instance_id, body={"audienceType": kind, **body})
        return Audience.from_api({"audienceExecutionId": audience_execution_id, **data})

    def delete(self, audience_execution_id: str, *, instance_id: str | None = None) -> None:
        """Delete an audience that has FAILED; AMC refuses it for others.

        :param audience_execution_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        try:
            self._call("DELETE", self._path_of(audience_execution_id), instance_id)
        except AmcNotFoundError as error:
            if not error.answer_lost:
                raise

    def _path_of(self, audience_execution_id: str) -> str:
        return path("amc", "audiences", "query", check_segment(audience_execution_id, "audience_execution_id"))

    def _call(
        self,
        method: str,
        address: str,
        instance_id: str | None,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, object] | None = None,
        accept: str = RULE_AUDIENCES_DETAILED,
        repeat: bool = True,
    ) -> dict[str, Any]:
        return self._transport.call(
            method,
            address,
            media_type=RULE_AUDIENCES,
            accept=accept,
            query=query,
            body=body,
            headers=self._transport.audience_headers(instance_id),
            repeat=repeat,
        )

    def _read(self, data: Raw, address: str) -> Audience:
        return Audience.from_api(self._transport.whole(data, "audienceExecutionId", address))


def _utc(value: datetime | str, name: str) -> str:
    # These calls ask for the suffix that those of executions must not have.
    return f"{format_time(value, field=name)}Z"


def _choice(value: str | None, name: str, choices: Sequence[str]) -> str | None:
    if value is None:
        return None
    chosen = str(value).strip().upper()
    if chosen not in choices:
        raise AmcValidationError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    return chosen
