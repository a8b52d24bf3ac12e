"""Operators for data sets of advertiser data upload.

Facts: AMC API documentation, "Advertiser data upload".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcNotFoundError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.task_run import TaskRun
from airflow_provider_amc.operators.waiting import AmcWaitingOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.uploads import Upload

#: The clocks of AMC and of the worker may differ by so much.
_CLOCK_MARGIN = timedelta(minutes=15)


class AmcCreateDataSetOperator(AmcBaseOperator):
    """Create a data set, or check that the one that is there has the columns.

    :param data_set_id: lower-case letters, digits and underscores. (templated)
    :param columns: its columns, mappings by AMC's names: ``name``, ``dataType``, ``columnType``, ... (templated)
    :param period: how the rows are kept apart: ``PT1H``, ``P1D`` or ``P1M``. (templated)
    :param country_code: country of rows without a column for it. (templated)
    :param description: for people. (templated)
    :param if_exists: what to do when the id is taken: ``skip`` leaves the data set as it is, ``fail`` fails the task.
        With ``skip``, columns that are missing fail the task. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the data set id.
    :raises AmcValidationError: an argument is wrong, or the data set lacks columns.
    :raises AmcAlreadyExistsError: the id is taken and ``if_exists`` is ``fail``.
    """

    template_fields: Sequence[str] = (
        "data_set_id",
        "columns",
        "period",
        "country_code",
        "description",
        *AmcBaseOperator.template_fields,
    )
    template_fields_renderers = {"columns": "json"}

    def __init__(
        self,
        *,
        data_set_id: str,
        columns: Sequence[Mapping[str, Any]],
        period: str | None = None,
        country_code: str | None = None,
        description: str | None = None,
        if_exists: str = "skip",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if if_exists not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_exists must be skip or fail, got {if_exists!r}.")
        self.data_set_id = data_set_id
        self.columns = columns
        self.period = period
        self.country_code = country_code
        self.description = description
        self.if_exists = if_exists

    def execute(self, context: Context) -> str:
        """Create the data set."""
        options = {"period": self.period, "country_code": self.country_code, "description": self.description}
        try:
            self.client.data_sets.create(self.data_set_id, columns=self.columns, **options)
        except AmcAlreadyExistsError:
            if self.if_exists == "fail":
                raise
            require_columns(self.client, self.data_set_id, [str(one.get("name")) for one in self.columns])
            self.log.info("AMC data set %s exists already and is left as it is", self.data_set_id)
        else:
            self.log.info("AMC data set %s created on instance %s", self.data_set_id, self.client.instance_id)
        return self.data_set_id


class AmcDeleteDataSetOperator(AmcBaseOperator):
    """Delete a data set with its rows.

    :param data_set_id: the data set. (templated)
    :param if_missing: ``skip`` succeeds when there is no such data set, ``fail`` fails. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :raises AmcNotFoundError: there is no such data set and ``if_missing`` is ``fail``.
    """

    template_fields: Sequence[str] = ("data_set_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, data_set_id: str, if_missing: str = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_missing not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_missing must be skip or fail, got {if_missing!r}.")
        self.data_set_id = data_set_id
        self.if_missing = if_missing

    def execute(self, context: Context) -> None:
        """Delete the data set."""
        try:
            self.client.data_sets.delete(self.data_set_id)
        except AmcNotFoundError:
            if self.if_missing == "fail":
                raise
            self.log.info("There is no AMC data set %s to delete", self.data_set_id)
        else:
            self.log.info("AMC data set %s deleted", self.data_set_id)


class AmcUploadOperator(AmcWaitingOperator):
    """Upload files from S3 into a data set, as they are, and wait until AMC has taken them in.

    AMC reads the bucket by itself: its policy has to allow the instance's data upload account, and bucket or objects
    need a tag with the instance id. :class:`~airflow_provider_amc.transfers.s3_to_amc.S3ToAmcOperator` hashes and
    stages files first. A retry goes on with the upload that the try before it has started.

    :param data_set_id: the data set. (templated)
    :param s3_bucket: bucket with the files. (templated)
    :param s3_key: one file; this, ``s3_prefix`` or ``s3_manifest_key``. (templated)
    :param s3_prefix: all files below a prefix; AMC leaves out names that begin with ``.`` or ``_``. (templated)
    :param s3_manifest_key: a file that lists files. (templated)
    :param file_format: ``CSV``, ``JSON`` or ``PARQUET``. Default: ``CSV``. (templated)
    :param format_options: options of the format by AMC's names. (templated)
    :param compression_format: ``NONE``, ``GZIP``, ``BZIP`` or ``SNAPPY``. Default: ``NONE``. (templated)
    :param update_strategy: what happens to rows that are there: ``ADDITIVE`` keeps them, ``FULL_REPLACE`` drops them,
        ``OVERLAP_REPLACE`` and ``OVERLAP_KEEP`` decide by period. Default: ``ADDITIVE``. (templated)
    :param country_code: country of rows without a column for it. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the upload id. AMC's metrics of the upload are in the XCom ``metrics``: ``OutputRowCount``.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcResourceFailedError: AMC could not take the files in; the message has its reason.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = (
        "data_set_id",
        "s3_bucket",
        "s3_key",
        "s3_prefix",
        "s3_manifest_key",
        "file_format",
        "format_options",
        "compression_format",
        "update_strategy",
        "country_code",
        *AmcBaseOperator.template_fields,
    )

    def __init__(
        self,
        *,
        data_set_id: str,
        s3_bucket: str,
        s3_key: str | None = None,
        s3_prefix: str | None = None,
        s3_manifest_key: str | None = None,
        file_format: str = "CSV",
        format_options: Mapping[str, Any] | None = None,
        compression_format: str = "NONE",
        update_strategy: str = "ADDITIVE",
        country_code: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_set_id = data_set_id
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.s3_prefix = s3_prefix
        self.s3_manifest_key = s3_manifest_key
        self.file_format = file_format
        self.format_options = format_options
        self.compression_format = compression_format
        self.update_strategy = update_strategy
        self.country_code = country_code

    def execute(self, context: Context) -> Any:
        """Start the upload, or find the one of an earlier try."""
        from airflow_provider_amc.client.uploads import upload_request

        request = upload_request(
            s3_bucket=self.s3_bucket,
            s3_key=self.s3_key,
            s3_prefix=self.s3_prefix,
            s3_manifest_key=self.s3_manifest_key,
            file_format=self.file_format,
            format_options=self.format_options,
            compression_format=self.compression_format,
            update_strategy=self.update_strategy,
            country_code=self.country_code,
        )
        task = TaskRun.of(context)
        upload = earlier_upload(self.client, self.data_set_id, request, task, self.log) if task.is_retry else None
        if upload is None:
            upload = submitted_upload(self.client, self.data_set_id, request, task, self.log)
        return self.wait_for_upload(context, upload.upload_id, upload.upload_id)

    def wait_for_upload(self, context: Context, upload_id: str, result: Any) -> Any:
        """Wait for the upload, if the task is to wait.

        :param context: Airflow's context.
        :param upload_id: the upload.
        :param result: what the task returns.
        """
        if not self.wait_for_completion:
            return result
        names = {
            "data_set_id": self.data_set_id,
            "upload_id": upload_id,
            "instance_id": self.client.instance_id or "",
        }
        return self.wait_for(context, "upload", names, result)

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Say how many rows there are."""
        self.told(context, names)
        return result

    def told(self, context: Context, names: Mapping[str, str]) -> Upload:
        """Tell log and XCom (``metrics``) what AMC tells of an upload that has ended.

        :param context: Airflow's context.
        :param names: what names it.
        :returns: the upload.
        """
        upload = self.client.uploads.get(names["data_set_id"], names["upload_id"])
        rows = "an unknown number of" if upload.rows is None else f"{upload.rows:,}"
        self.log.info("AMC upload %s put %s rows into the data set %s", upload.upload_id, rows, self.data_set_id)
        context["ti"].xcom_push(key="metrics", value=dict(upload.metrics))
        return upload


def submitted_upload(
    client: AmcClient, data_set_id: str, request: Mapping[str, Any], task: TaskRun, log: Any
) -> Upload:
    """Start an upload; when the answer is lost, find it.

    :param client: client of the instance.
    :param data_set_id: the data set.
    :param request: the upload.
    :param task: the try.
    :param log: logger of the task.
    :raises AmcUnknownOutcomeError: the answer was lost and AMC shows no such upload; a retry looks again.
    """
    try:
        upload = client.uploads.submit(data_set_id, request)
    except AmcUnknownOutcomeError:
        found = earlier_upload(client, data_set_id, request, task, log)
        if found is None:
            raise
        return found
    log.info("AMC upload %s into the data set %s is %s", upload.upload_id, data_set_id, upload.status)
    return upload


def earlier_upload(
    client: AmcClient, data_set_id: str, request: Mapping[str, Any], task: TaskRun, log: Any
) -> Upload | None:
    """Find the upload of the same files that this run of the task has started, unless it has failed.

    :param client: client of the instance.
    :param data_set_id: the data set.
    :param request: the upload.
    :param task: the try.
    :param log: logger of the task.
    """
    since = task.since - _CLOCK_MARGIN
    for upload in client.uploads.list(data_set_id=data_set_id, created_at=since, created_at_comparator="GTE"):
        failed = upload.is_finished and not upload.is_succeeded
        if not failed and upload.raw.get("dataSource") == request["dataSource"]:
            log.info("AMC upload %s was started by an earlier try of this task: going on with it", upload.upload_id)
            return upload
    return None


def require_columns(client: AmcClient, data_set_id: str, names: Sequence[str]) -> None:
    """Check that a data set has columns.

    :param client: client of the instance.
    :param data_set_id: the data set.
    :param names: the columns.
    :raises AmcValidationError: it lacks some; nothing was sent.
    """
    there = {column.name.lower() for column in client.data_sets.get(data_set_id).columns}
    if missing := [name for name in names if name.lower() not in there]:
        raise AmcValidationError(
            f"The AMC data set {data_set_id} has no columns {', '.join(missing)}. Add them to it, or take another data "
            "set."
        )
