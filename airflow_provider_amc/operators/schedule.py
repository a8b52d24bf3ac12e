"""Operators for the schedules that AMC itself keeps. Most DAGs need none: Airflow is the scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcNotFoundError, AmcValidationError
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.workflow import IF_EXISTS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AmcCreateScheduleOperator(AmcBaseOperator):
    """Let AMC run a saved workflow daily or weekly (AMC API documentation, "Schedule workflow").

    :param schedule_id: id of the schedule: letters, digits, ``.``, ``-`` and ``_``. (templated)
    :param workflow_id: saved workflow to run; its parameters take their default values. (templated)
    :param aggregation_period: ``Daily`` or ``Weekly``; also the length of the time window. (templated)
    :param aggregation_hour_utc: hour (UTC, 0 to 23) at which the period is cut. (templated)
    :param aggregation_start_day: ``Monday`` to ``Sunday``, for ``Weekly``. (templated)
    :param schedule_enabled: ``False`` keeps the schedule without running it.
    :param require_synthetic_data: use synthetic data only, for a sandbox instance.
    :param disable_aggregation_controls: no privacy rules, for a sandbox instance.
    :param if_exists: ``update``, ``skip`` or ``fail`` when the id is taken. Default: ``update``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the schedule id.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    """

    template_fields: Sequence[str] = (
        "schedule_id",
        "workflow_id",
        "aggregation_period",
        "aggregation_hour_utc",
        "aggregation_start_day",
        *AmcBaseOperator.template_fields,
    )

    def __init__(
        self,
        *,
        schedule_id: str,
        workflow_id: str,
        aggregation_period: str = "Daily",
        aggregation_hour_utc: int | str | None = None,
        aggregation_start_day: str | None = None,
        schedule_enabled: bool = True,
        require_synthetic_data: bool | None = None,
        disable_aggregation_controls: bool | None = None,
        if_exists: str = "update",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if if_exists not in IF_EXISTS:
            raise AmcValidationError(
                f"Task {self.task_id}: if_exists must be one of {', '.join(IF_EXISTS)}, got {if_exists!r}."
            )
        self.schedule_id = schedule_id
        self.workflow_id = workflow_id
        self.aggregation_period = aggregation_period
        self.aggregation_hour_utc = aggregation_hour_utc
        self.aggregation_start_day = aggregation_start_day
        self.schedule_enabled = schedule_enabled
        self.require_synthetic_data = require_synthetic_data
        self.disable_aggregation_controls = disable_aggregation_controls
        self.if_exists = if_exists

    def execute(self, context: Context) -> str:
        """Create or update the schedule."""
        definition: dict[str, Any] = {
            "workflow_id": self.workflow_id,
            "aggregation_period": self.aggregation_period,
            "aggregation_hour_utc": self._hour(),
            "aggregation_start_day": self.aggregation_start_day,
            "schedule_enabled": self.schedule_enabled,
            "require_synthetic_data": self.require_synthetic_data,
            "disable_aggregation_controls": self.disable_aggregation_controls,
        }
        schedules = self.client.schedules
        try:
            schedules.create(self.schedule_id, **definition)
        except AmcAlreadyExistsError:
            if self.if_exists == "fail":
                raise
            if self.if_exists == "skip":
                self.log.info("AMC schedule %s exists already and is left as it is", self.schedule_id)
                return self.schedule_id
            schedules.update(self.schedule_id, **definition)
            self.log.info("AMC schedule %s existed already and was updated", self.schedule_id)
        else:
            self.log.info("AMC schedule %s created for workflow %s", self.schedule_id, self.workflow_id)
        return self.schedule_id

    def _hour(self) -> int | None:
        if self.aggregation_hour_utc is None:
            return None
        try:
            # A template renders to text.
            return int(self.aggregation_hour_utc)
        except ValueError:
            raise AmcValidationError(
                f"aggregation_hour_utc must be a whole hour from 0 to 23, got {self.aggregation_hour_utc!r}."
            ) from None


class AmcDeleteScheduleOperator(AmcBaseOperator):
    """Delete a schedule of AMC.

    :param schedule_id: the schedule. (templated)
    :param if_missing: ``skip`` succeeds when there is no such schedule, ``fail`` fails. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :raises AmcNotFoundError: there is no such schedule and ``if_missing`` is ``fail``.
    """

    template_fields: Sequence[str] = ("schedule_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, schedule_id: str, if_missing: str = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_missing not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_missing must be skip or fail, got {if_missing!r}.")
        self.schedule_id = schedule_id
        self.if_missing = if_missing

    def execute(self, context: Context) -> None:
        """Delete the schedule."""
        try:
            self.client.schedules.delete(self.schedule_id)
        except AmcNotFoundError:
            if self.if_missing == "fail":
                raise
            self.log.info("There is no AMC schedule %s to delete", self.schedule_id)
        else:
            self.log.info("AMC schedule %s deleted", self.schedule_id)
