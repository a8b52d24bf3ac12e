"""One workflow execution as the emulator remembers it, and as the API shows it.

Which fields appear when follows the recorded responses of Amazon's Postman collection: the window of a relative type
and everything about the output are missing at first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_amc.emulator.clock import zulu, zulu_millis

FINISHED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"})
DEFAULT_TIMEOUT_SECONDS = 21_600
_INVALIDATION_OFFSET_SECONDS = 266_400


@dataclass
class ExecutionRecord:
    """An execution. Times are epoch seconds of virtual time, ``None`` while they have not come."""

    id: str
    instance_id: str
    workflow_id: str
    created: float
    definition: dict[str, Any]
    window_start: float
    window_end: float
    window_start_original: str
    window_end_original: str
    window_zone: str
    window_explicit: bool
    status: str = "PENDING"
    updated: float = 0.0
    parameter_values: dict[str, Any] = field(default_factory=dict)
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    dry_run: bool = False
    skip_publish: bool = False
    require_synthetic_data: bool = False
    disable_aggregation_controls: bool = False
    ignore_data_gaps: bool = False
    advertisers: list[dict[str, Any]] | None = None
    category: str = "AD_HOC"
    validated: float | None = None
    started: float | None = None
    ended: float | None = None
    planned_seconds: float | None = None
    forced_status: str | None = None
    forced_reason: str | None = None
    status_reason: str | None = None
    output_columns: list[dict[str, Any]] | None = None
    tables: list[str] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    visible_from: float | None = None

    @classmethod
    def load(cls, body: dict[str, Any]) -> ExecutionRecord:
        """Read back what :meth:`dump` wrote, also by an older version."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in body.items() if name in known})

    def dump(self) -> dict[str, Any]:
        """The record as JSON values, which are those of the record, not copies."""
        return dict(vars(self))

    @property
    def finished(self) -> bool:
        """Has it ended, in whatever way?"""
        return self.status in FINISHED

    @property
    def has_output(self) -> bool:
        """Are there result files to download?"""
        return self.status == "SUCCEEDED" and bool(self.files)

    @property
    def writes_output(self) -> bool:
        """Will there be result files? AMC gives none without privacy controls, except over synthetic data."""
        uncontrolled = self.disable_aggregation_controls and not self.require_synthetic_data
        return not (self.dry_run or self.skip_publish or uncontrolled)

    def to_api(self, *, include_workflow: bool = False, by_the_spec: bool = False) -> dict[str, Any]:
        """The execution as the API gives it.

        :param include_workflow: add ``sqlQuery``, as it was sent.
        :param by_the_spec: only what Amazon's OpenAPI file knows: no REJECTED, but ``outputChannels``.
        """
        created = _utc(self.created)
        shown: dict[str, Any] = {
            "createTime": zulu(created),
            "dataGaps": [],
            "disableAggregationControls": self.disable_aggregation_controls,
            "executionCategory": self.category,
            "expireTime": zulu(created + timedelta(hours=24)),
            "ignoreDataGaps": self.ignore_data_gaps,
            "lastUpdatedTime": zulu(_utc(self.updated or self.created)),
            "parameterValues": self.parameter_values,
            "status": self.status,
            "timeWindowTimeZoneOriginal": self.window_zone,
            "waitUntil": zulu(created - timedelta(hours=1)),
            "workflowExecutionId": self.id,
            "workflowExecutionTimeoutSeconds": self.timeout_seconds,
            "workflowId": self.workflow_id,
        }
        if self.window_explicit or self.validated is not None:
            shown["timeWindowStart"] = zulu(_utc(self.window_start))
            shown["timeWindowEnd"] = zulu(_utc(self.window_end))
            shown["timeWindowStartOriginal"] = self.window_start_original
            shown["timeWindowEndOriginal"] = self.window_end_original
        if self.require_synthetic_data:
            shown["requireSyntheticData"] = True
        if self.advertisers is not None:
            shown["advertisers"] = self.advertisers
        if self.validated is not None:
            shown["validatedTime"] = zulu_millis(_utc(self.validated))
        if self.status_reason:
            shown["statusReason"] = self.status_reason
        if self.status == "SUCCEEDED":
            shown["availableTimeBeforeWindowSecs"] = 0
            shown["executionTime"] = int((self.ended or self.created) - (self.started or self.ended or self.created))
            shown["invalidationOffsetSecs"] = _INVALIDATION_OFFSET_SECONDS
            shown["outputColumns"] = self.output_columns or []
            shown["outputS3URI"] = "N/A"
        if include_workflow and self.definition.get("sqlQuery"):
            shown["sqlQuery"] = self.definition["sqlQuery"]
        if by_the_spec:
            shown["outputChannels"] = [self._download_channel()]
            if self.status == "REJECTED":
                shown["status"] = "FAILED"
        return shown

    def _download_channel(self) -> dict[str, Any]:
        if self.has_output:
            status = "AVAILABLE"
        elif self.status in ("PENDING", "RUNNING"):
            status = "PENDING"
        else:
            status = "FAILED" if self.status != "SUCCEEDED" else "UNAVAILABLE"
        return {"channel": {"type": "DOWNLOAD"}, "status": status}


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
