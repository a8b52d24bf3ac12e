"""AMC's answers as values. Tolerant: a missing or odd field is ``None``, an unknown one stays in ``raw``.

AMC leaves out fields its specification requires, adds fields it does not know, and writes numbers and booleans as
text here and there (OpenAPI files against recorded responses in Amazon's Postman collection).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from airflow_provider_amc.client.fields import Raw, boolean, integer, objects, text, texts
from airflow_provider_amc.client.times import parse_time


class ExecutionStatus(enum.StrEnum):
    """Status of an execution.

    REJECTED and PUBLISHING are not in AMC's specification but occur. UNKNOWN stands for a status this version does
    not know; it counts as not finished.
    """

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PUBLISHING = "PUBLISHING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def parse(cls, value: object) -> ExecutionStatus:
        """Read a status, whatever its case; anything unknown is ``UNKNOWN``."""
        try:
            return cls(str(value).strip().upper())
        except ValueError:
            return cls.UNKNOWN

    @property
    def is_finished(self) -> bool:
        """Will this status stay?"""
        return self in _FINISHED


_FINISHED = frozenset(
    {ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.REJECTED}
)


@dataclass(frozen=True)
class Account:
    """An AMC account the user can reach."""

    account_id: str
    account_name: str | None = None
    marketplace_id: str | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> Account:
        """Read an element of ``amcAccounts``."""
        return cls(
            account_id=text(data.get("accountId")) or "",
            account_name=text(data.get("accountName")),
            marketplace_id=text(data.get("marketplaceId")),
            raw=data,
        )


@dataclass(frozen=True)
class Instance:
    """An AMC instance."""

    instance_id: str
    instance_name: str | None = None
    instance_type: str | None = None
    customer_canonical_name: str | None = None
    creation_status: str | None = None
    creation_datetime: datetime | None = None
    s3_bucket_name: str | None = None
    s3_bucket_region: str | None = None
    aws_account_id: str | None = None
    data_upload_aws_account_id: str | None = None
    api_endpoint: str | None = None
    entities: tuple[str, ...] = ()
    advertiser_types: tuple[str, ...] = ()
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_sandbox(self) -> bool:
        """Does the instance hold synthetic data only?"""
        return (self.instance_type or "").upper() == "SANDBOX"

    @property
    def is_ready(self) -> bool:
        """Has its creation finished? SUCCEEDED is the older word for COMPLETED."""
        return (self.creation_status or "").upper() in ("COMPLETED", "SUCCEEDED")

    @classmethod
    def from_api(cls, data: Raw) -> Instance:
        """Read an instance."""
        return cls(
            instance_id=text(data.get("instanceId")) or "",
            instance_name=text(data.get("instanceName")),
            instance_type=text(data.get("instanceType")),
            customer_canonical_name=text(data.get("customerCanonicalName")),
            creation_status=text(data.get("creationStatus")),
            creation_datetime=parse_time(data.get("creationDatetime")),
            s3_bucket_name=text(data.get("s3BucketName")) or None,
            s3_bucket_region=text(data.get("s3BucketRegion")) or None,
            aws_account_id=text(data.get("awsAccountId")),
            data_upload_aws_account_id=text(data.get("dataUploadAwsAccountId")),
            api_endpoint=text(data.get("apiEndpoint")),
            entities=texts(data.get("entities")),
            advertiser_types=texts(data.get("advertiserTypes")),
            raw=data,
        )


@dataclass(frozen=True)
class OutputColumn:
    """A column of a result.

    :param name: name in the header of the file.
    :param data_type: AMC's type, such as ``STRING`` or ``DECIMAL``; ``ARRAY`` for every array.
    :param column_type: ``DIMENSION`` or ``METRIC``.
    :param precision: digits of a DECIMAL.
    :param scale: digits of a DECIMAL after the point.
    """

    name: str
    data_type: str | None = None
    column_type: str | None = None
    precision: int | None = None
    scale: int | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> OutputColumn:
        """Read an element of ``outputColumns``; the type may be a text or an object."""
        declared = data.get("dataType")
        detail: Raw = declared if isinstance(declared, Mapping) else {}
        precision = integer(data.get("dataTypePrecision"))
        scale = integer(data.get("dataTypeScale"))
        return cls(
            name=text(data.get("name")) or "",
            data_type=text(detail.get("type") if detail else declared),
            column_type=text(data.get("columnType")),
            precision=precision if precision is not None else integer(detail.get("precision")),
            scale=scale if scale is not None else integer(detail.get("scale")),
            raw=data,
        )


@dataclass(frozen=True)
class Workflow:
    """A saved query."""

    workflow_id: str
    sql_query: str | None = None
    input_parameters: tuple[Raw, ...] = ()
    input_schema: str | None = None
    output_columns: tuple[OutputColumn, ...] = ()
    output_format: Raw | None = None
    privacy_filtering_behavior: str | None = None
    filtered_metrics_discriminator_column: str | None = None
    distinct_user_count_column: str | None = None
    filtered_reason_column: str | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> Workflow:
        """Read a workflow. Those of older generations have a ``query`` object (see ``raw``) in place of SQL."""
        output_format = data.get("outputFormat")
        return cls(
            workflow_id=text(data.get("workflowId")) or "",
            sql_query=text(data.get("sqlQuery")),
            input_parameters=objects(data.get("inputParameters")),
            input_schema=text(data.get("inputSchema")),
            output_columns=tuple(OutputColumn.from_api(item) for item in objects(data.get("outputColumns"))),
            output_format=output_format if isinstance(output_format, Mapping) else None,
            privacy_filtering_behavior=text(data.get("privacyFilteringBehavior")),
            filtered_metrics_discriminator_column=text(data.get("filteredMetricsDiscriminatorColumn")),
            distinct_user_count_column=text(data.get("distinctUserCountColumn")),
            filtered_reason_column=text(data.get("filteredReasonColumn")),
            raw=data,
        )


@dataclass(frozen=True)
class Schedule:
    """A schedule that AMC itself runs."""

    schedule_id: str
    workflow_id: str | None = None
    aggregation_period: str | None = None
    aggregation_hour_utc: int | None = None
    aggregation_start_day: str | None = None
    schedule_enabled: bool | None = None
    require_synthetic_data: bool | None = None
    disable_aggregation_controls: bool | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> Schedule:
        """Read a schedule."""
        return cls(
            schedule_id=text(data.get("scheduleId")) or "",
            workflow_id=text(data.get("workflowId")),
            aggregation_period=text(data.get("aggregationPeriod")),
            aggregation_hour_utc=integer(data.get("aggregationHourUtc")),
            aggregation_start_day=text(data.get("aggregationStartDay")),
            schedule_enabled=boolean(data.get("scheduleEnabled")),
            require_synthetic_data=boolean(data.get("requireSyntheticData")),
            disable_aggregation_controls=boolean(data.get("disableAggregationControls")),
            raw=data,
        )


@dataclass(frozen=True)
class Execution:
    """A run of a workflow. Times are in UTC; the ``..._original`` ones are AMC's text, on the clock of the window."""

    workflow_execution_id: str
    workflow_id: str | None = None
    status: ExecutionStatus = ExecutionStatus.UNKNOWN
    raw_status: str = ""
    status_reason: str | None = None
    create_time: datetime | None = None
    last_updated_time: datetime | None = None
    time_window_start: datetime | None = None
    time_window_end: datetime | None = None
    time_window_start_original: str | None = None
    time_window_end_original: str | None = None
    time_window_time_zone_original: str | None = None
    time_window_type: str | None = None
    output_columns: tuple[OutputColumn, ...] = ()
    execution_time: int | None = None
    workflow_execution_timeout_seconds: int | None = None
    output_s3_uri: str | None = None
    sql_query: str | None = field(default=None, repr=False)
    parameter_values: Raw = field(default_factory=dict, repr=False)
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Will the status stay?"""
        return self.status.is_finished

    @property
    def is_succeeded(self) -> bool:
        """Is there a result (or a dry run that passed)?"""
        return self.status is ExecutionStatus.SUCCEEDED

    @classmethod
    def from_api(cls, data: Raw) -> Execution:
        """Read an execution."""
        workflow = data.get("workflow")
        sql = data.get("sqlQuery")
        if sql is None and isinstance(workflow, Mapping):
            sql = workflow.get("sqlQuery")
        values = data.get("parameterValues")
        uri = text(data.get("outputS3URI"))
        # The first that says something, in the order the AWS reference solution reads them.
        reasons = (text(data.get(name)) for name in ("statusReason", "message", "details"))
        return cls(
            workflow_execution_id=text(data.get("workflowExecutionId")) or "",
            workflow_id=text(data.get("workflowId")),
            status=ExecutionStatus.parse(data.get("status")),
            raw_status=text(data.get("status")) or "",
            status_reason=next((reason for reason in reasons if reason), None),
            create_time=parse_time(data.get("createTime")),
            last_updated_time=parse_time(data.get("lastUpdatedTime")),
            time_window_start=parse_time(data.get("timeWindowStart")),
            time_window_end=parse_time(data.get("timeWindowEnd")),
            time_window_start_original=text(data.get("timeWindowStartOriginal")),
            time_window_end_original=text(data.get("timeWindowEndOriginal")),
            time_window_time_zone_original=text(data.get("timeWindowTimeZoneOriginal")),
            time_window_type=text(data.get("timeWindowType")),
            output_columns=tuple(OutputColumn.from_api(item) for item in objects(data.get("outputColumns"))),
            execution_time=integer(data.get("executionTime")),
            workflow_execution_timeout_seconds=integer(data.get("workflowExecutionTimeoutSeconds")),
            # AMC writes N/A when no bucket is linked.
            output_s3_uri=None if uri in (None, "", "N/A") else uri,
            sql_query=text(sql),
            parameter_values=values if isinstance(values, Mapping) else {},
            raw=data,
        )


@dataclass(frozen=True)
class DownloadUrls:
    """Pre-signed addresses of an execution's files, valid for ten minutes. The repr hides the signatures.

    :param urls: result files, all of them.
    :param metadata_urls: files that describe the run.
    """

    urls: tuple[str, ...] = field(repr=False)
    metadata_urls: tuple[str, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        shown = [[without_query(url) for url in group] for group in (self.urls, self.metadata_urls)]
        return f"DownloadUrls(urls={shown[0]}, metadata_urls={shown[1]})"

    __str__ = __repr__

    @staticmethod
    def read(value: object) -> Iterable[str]:
        """Read a list of addresses: texts as recorded, or objects with ``url`` as wrappers of the API give them."""
        for item in value if isinstance(value, list) else ():
            url = item.get("url") if isinstance(item, Mapping) else item
            if isinstance(url, str) and url:
                yield url


def without_query(url: str) -> str:
    """Write an address without its query, which holds the signature."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}{parts.path}" + ("?..." if parts.query else "")
    except ValueError:
        return "(not an address)"


def signatures(url: str) -> tuple[str, ...]:
    """Find what makes a pre-signed address valid, which logs must not show."""
    try:
        query = parse_qs(urlsplit(url).query)
    except ValueError:
        return ()
    return tuple(value for name, values in query.items() if name.lower() in _SIGNATURE_PARAMETERS for value in values)


_SIGNATURE_PARAMETERS = ("x-amz-signature", "x-amz-security-token", "signature")


@dataclass(frozen=True)
class DataSourceColumn:
    """A column of an AMC table."""

    name: str
    column_type: str | None = None
    data_type: str | None = None
    description: str | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> DataSourceColumn:
        """Read an element of ``columns``."""
        declared = data.get("dataType")
        return cls(
            name=text(data.get("name")) or "",
            column_type=text(data.get("columnType")),
            data_type=text(declared.get("type") if isinstance(declared, Mapping) else declared),
            description=text(data.get("description")),
            raw=data,
        )


@dataclass(frozen=True)
class DataSource:
    """An AMC table."""

    data_source_id: str
    description: str | None = None
    owner: str | None = None
    provider: str | None = None
    columns: tuple[DataSourceColumn, ...] = ()
    tags: tuple[Raw, ...] = ()
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> DataSource:
        """Read a data source."""
        return cls(
            data_source_id=text(data.get("dataSourceId")) or "",
            description=text(data.get("description")),
            owner=text(data.get("owner")),
            provider=text(data.get("provider")),
            columns=tuple(DataSourceColumn.from_api(item) for item in objects(data.get("columns"))),
            tags=objects(data.get("tags")),
            raw=data,
        )
