"""Schedules that AMC itself runs (AMC reporting API).

Source: AMC API documentation, "Schedule workflow", and the OpenAPI file of the workflow API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_amc.client.fields import unwrap
from airflow_provider_amc.client.models import Schedule
from airflow_provider_amc.client.paging import items, page_size
from airflow_provider_amc.client.transport import SCHEDULES, Transport
from airflow_provider_amc.client.validation import check_id, check_range, path
from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcNotFoundError, AmcValidationError

PERIODS = ("Daily", "Weekly")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _schedule_definition(
    schedule_id: str,
    workflow_id: str,
    aggregation_period: str,
    aggregation_hour_utc: int | None,
    aggregation_start_day: str | None,
    schedule_enabled: bool | None,
    require_synthetic_data: bool | None,
    disable_aggregation_controls: bool | None,
    extra: Mapping[str, Any] | None,
) -> dict[str, Any]:
    hour = aggregation_hour_utc
    fields: dict[str, Any] = {
        "scheduleId": check_id(schedule_id, "schedule_id"),
        "workflowId": check_id(workflow_id, "workflow_id"),
        "aggregationPeriod": _choice(aggregation_period, "aggregation_period", PERIODS),
        "aggregationHourUtc": None if hour is None else check_range(hour, "aggregation_hour_utc", 0, 23),
        "aggregationStartDay": None
        if aggregation_start_day is None
        else _choice(aggregation_start_day, "aggregation_start_day", DAYS),
        "scheduleEnabled": schedule_enabled,
        "requireSyntheticData": require_synthetic_data,
        "disableAggregationControls": disable_aggregation_controls,
    }
    return {**{name: value for name, value in fields.items() if value is not None}, **(extra or {})}


def _choice(value: object, field: str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if isinstance(value, str) and value.strip().lower() == choice.lower():
            return choice
    raise AmcValidationError(f"{field} must be one of {', '.join(choices)}, got {value!r}.")


class Schedules:
    """``client.schedules``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "reporting", self._transport.instance(instance_id), "schedules", *segments)

    def list(self, instance_id: str | None = None, *, limit: int | None = None) -> Iterator[Schedule]:
        """List the schedules.

        :param instance_id: default the client's own.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        address, size = self._path(instance_id), page_size(limit)

        def fetch(token: str | None) -> dict[str, Any]:
            return self._transport.call("GET", address, media_type=SCHEDULES, query={"nextToken": token, "limit": size})

        return map(Schedule.from_api, items(fetch, "schedules"))

    def get(self, schedule_id: str, instance_id: str | None = None) -> Schedule:
        """Get a schedule.

        :param schedule_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path(instance_id, check_id(schedule_id, "schedule_id"))
        data = self._transport.call("GET", address, media_type=SCHEDULES)
        return Schedule.from_api(self._transport.whole(unwrap(data, "schedule", "scheduleId"), "scheduleId", address))

    def create(
        self,
        schedule_id: str,
        *,
        workflow_id: str,
        aggregation_period: str = "Daily",
        aggregation_hour_utc: int | None = None,
        aggregation_start_day: str | None = None,
        schedule_enabled: bool | None = True,
        require_synthetic_data: bool | None = None,
        disable_aggregation_controls: bool | None = None,
        extra: Mapping[str, Any] | None = None,
        instance_id: str | None = None,
    ) -> None:
        """Create a schedule. A scheduled workflow uses the default values of its parameters.

        :param schedule_id: its id: letters, digits, ``.``, ``-``, ``_``.
        :param workflow_id: saved workflow to run.
        :param aggregation_period: ``Daily`` or ``Weekly``: how often, and how much data.
        :param aggregation_hour_utc: hour (0 to 23, UTC) at which the period is cut.
        :param aggregation_start_day: ``Monday`` to ``Sunday``, for ``Weekly``; default the day of creation.
        :param schedule_enabled: does it run?
        :param require_synthetic_data: sandbox: use synthetic data.
        :param disable_aggregation_controls: sandbox: no privacy controls.
        :param extra: further fields by AMC's names.
        :param instance_id: default the client's own.
        :raises AmcAlreadyExistsError: when the id is taken.
        :raises AmcNotFoundError: when the workflow does not exist.
        """
        body = _schedule_definition(
            schedule_id,
            workflow_id,
            aggregation_period,
            aggregation_hour_utc,
            aggregation_start_day,
            schedule_enabled,
            require_synthetic_data,
            disable_aggregation_controls,
            extra,
        )
        try:
            self._transport.call("POST", self._path(instance_id), media_type=SCHEDULES, body=body)
        except AmcAlreadyExistsError as error:
            # It can be ours, if the answer to an earlier attempt of this very call was lost.
            if not error.answer_lost or not self._is_ours(body, instance_id):
                raise

    def _is_ours(self, body: Mapping[str, Any], instance_id: str | None) -> bool:
        found = self.get(body["scheduleId"], instance_id)
        return (found.workflow_id, found.aggregation_period) == (body["workflowId"], body["aggregationPeriod"])

    def update(
        self,
        schedule_id: str,
        *,
        workflow_id: str,
        aggregation_period: str = "Daily",
        aggregation_hour_utc: int | None = None,
        aggregation_start_day: str | None = None,
        schedule_enabled: bool | None = True,
        require_synthetic_data: bool | None = None,
        disable_aggregation_controls: bool | None = None,
        extra: Mapping[str, Any] | None = None,
        instance_id: str | None = None,
    ) -> None:
        """Replace a schedule. Parameters as of :meth:`create`.

        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        body = _schedule_definition(
            schedule_id,
            workflow_id,
            aggregation_period,
            aggregation_hour_utc,
            aggregation_start_day,
            schedule_enabled,
            require_synthetic_data,
            disable_aggregation_controls,
            extra,
        )
        self._transport.call("PUT", self._path(instance_id, body["scheduleId"]), media_type=SCHEDULES, body=body)

    def delete(self, schedule_id: str, instance_id: str | None = None) -> None:
        """Delete a schedule.

        :param schedule_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path(instance_id, check_id(schedule_id, "schedule_id"))
        try:
            self._transport.call("DELETE", address, media_type=SCHEDULES)
        except AmcNotFoundError as error:
            if not error.answer_lost:
                raise
