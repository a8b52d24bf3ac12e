"""From S3 into an AMC data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_amc.exceptions import AmcError, AmcNotFoundError, AmcValidationError
from airflow_provider_amc.operators.data_set import (
    AmcUploadOperator,
    earlier_upload,
    require_columns,
    submitted_upload,
)
from airflow_provider_amc.operators.task_run import TaskRun, run_prefix

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.uploads import Upload


class S3ToAmcOperator(AmcUploadOperator):
    """Read an advertiser's rows from S3, normalise and hash the identities in them, upload them to AMC, count the matches.

    The rows stream through memory; raw identities are written neither to disk nor to a log. The hashed rows are staged as
    Parquet in S3, tagged with the instance, uploaded, and removed again when AMC has taken them in. The data set is created
    if it does not exist. A retry goes on with the upload that the try before it has started. Staged files of an upload that
    has failed stay until a later try overwrites and removes them.

    AMC tells of an upload how many rows it has taken in, and not how many of them it has matched with a user; that is counted
    with a query on the data set afterwards. The task succeeds also when there is no count; AMC may keep back that of few
    users.

    :param data_set_id: the data set. (templated)
    :param columns: its columns by AMC's names, which are the columns of the files, too: ``name``, ``dataType``,
        ``columnType``, ... A column with ``"externalUserIdType": {"hashedPii": "EMAIL"}`` is hashed as such. (templated)
    :param s3_bucket: bucket with the files. (templated)
    :param s3_key: one file; this or ``s3_prefix``. (templated)
    :param s3_prefix: all files below a prefix. (templated)
    :param source_format: ``csv`` (``.gz`` is decompressed) or ``parquet``. Default: ``csv``. (templated)
    :param source_options: of CSV: ``delimiter``, ``encoding``.
    :param staging_bucket: bucket that AMC may read. Default: ``s3_bucket``. (templated)
    :param staging_prefix: key prefix of the hashed rows. Default: ``amc-staging``. (templated)
    :param period: how the rows of a new data set are kept apart: ``PT1H``, ``P1D`` or ``P1M``. (templated)
    :param country_code: country of rows without a column for it. (templated)
    :param country_column: column with the two-letter country of each row.
    :param update_strategy: see :class:`~airflow_provider_amc.operators.data_set.AmcUploadOperator`. (templated)
    :param measure_match: count the matches afterwards, if there are identities. It takes a query. Default: ``True``.
    :param aws_conn_id: Airflow connection for S3. Default: ``aws_default``. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: ``upload_id``; of the files ``rows`` and ``unusable`` (by hashed column, how many values had nothing to match
        by), unless an earlier try has uploaded them; ``uploaded_rows``, as AMC tells them; of the data set ``all_rows``,
        ``matched_rows`` and ``match_share``, with rows that have a time those of the span of times in the files.
    :raises AmcConfigurationError: there is no such file.
    :raises AmcLoadError: a file cannot be read with these columns; nothing was uploaded.
    :raises AmcValidationError: an argument is wrong, or the data set lacks columns; nothing was uploaded.
    :raises AmcResourceFailedError: AMC could not take the rows in; the message has its reason.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = (
        "columns",
        "source_format",
        "staging_bucket",
        "staging_prefix",
        "period",
        "aws_conn_id",
        *AmcUploadOperator.template_fields,
    )
    template_fields_renderers = {"columns": "json"}

    def __init__(
        self,
        *,
        data_set_id: str,
        columns: Sequence[Mapping[str, Any]],
        s3_bucket: str,
        s3_key: str | None = None,
        s3_prefix: str | None = None,
        source_format: str = "csv",
        source_options: Mapping[str, Any] | None = None,
        staging_bucket: str | None = None,
        staging_prefix: str = "amc-staging",
        period: str | None = None,
        country_code: str | None = None,
        country_column: str | None = None,
        update_strategy: str = "ADDITIVE",
        measure_match: bool = True,
        aws_conn_id: str | None = "aws_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            data_set_id=data_set_id,
            s3_bucket=s3_bucket,
            s3_key=s3_key,
            s3_prefix=s3_prefix,
            file_format="PARQUET",
            update_strategy=update_strategy,
            country_code=country_code,
            deferrable=deferrable,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.columns = columns
        self.source_format = source_format
        self.source_options = source_options
        self.staging_bucket = staging_bucket
        self.staging_prefix = staging_prefix
        self.period = period
        self.country_column = country_column
        self.measure_match = measure_match
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> Any:
        """Read, hash, stage, upload."""
        from airflow_provider_amc.client.uploads import upload_request

        types, identities = self._checked_columns()
        task = TaskRun.of(context)
        prefix = self._prefix(task)
        request = upload_request(
            s3_bucket=self.staging_bucket or self.s3_bucket,
            s3_prefix=prefix,
            file_format="PARQUET",
            update_strategy=self.update_strategy,
            country_code=self.country_code,
        )
        upload: Upload | None = None
        if task.is_retry:
            upload = earlier_upload(self.client, self.data_set_id, request, task, self.log)
        if upload is None:
            self._provide_data_set()
            staged = self._staged(types, identities, prefix)
            upload = submitted_upload(self.client, self.data_set_id, request, task, self.log)
        else:
            staged = self._staged_before(prefix)
        result = {"upload_id": upload.upload_id, **staged}
        result.pop("times", None)
        return self.wait_for_upload(context, upload.upload_id, result)

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Remove what was staged, count the matches, and report."""
        from airflow_provider_amc.upload.staging import remove

        if kind == "execution":
            return self._matched(names["workflow_execution_id"], result)
        result = {**result, "uploaded_rows": self.told(context, names).rows}
        prefix, times = self._prefix(TaskRun.of(context)), None
        try:
            times = self._staged_before(prefix).get("times")
            remove(self._s3, self.staging_bucket or self.s3_bucket, prefix.removesuffix("/"))
        except Exception as error:
            self.log.warning("The staged files below %s could not be removed: %s", prefix, error)
        if not self.measure_match:
            return result
        try:
            return self._measured(context, result, times)
        except AmcError as error:
            return self._unmeasured(result, error)

    def failed(self, kind: str, names: Mapping[str, str], result: Any, status: str, reason: str | None) -> None:
        """An upload that fails fails the task, a count does not."""
        if kind != "execution":
            super().failed(kind, names, result, status, reason)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Go on after the wait in the triggerer."""
        carried = (event or {}).get("carried") or {}
        try:
            return super().execute_complete(context, event)
        except AmcError as error:
            if carried.get("kind") != "execution":
                raise
            return self._unmeasured(carried["result"], error)

    def _measured(self, context: Context, result: dict[str, Any], times: Sequence[str] | None) -> dict[str, Any]:
        """Start the count, or find that of an earlier try."""
        from airflow_provider_amc.operators.match import match_request
        from airflow_provider_amc.operators.submission import Submission

        request = match_request(self.client.data_sets.get(self.data_set_id), times)
        if request is None:
            return result
        task = TaskRun.of(context)
        key = task.key("retry", {"request": request, "instance": self.client.instance_id})
        store = context.get("task_state_store")
        submitted = Submission(self.client, request, key, since=task.since, log=self.log, store=store).run()
        known = submitted.execution.workflow_execution_id
        names = {"workflow_execution_id": known, "instance_id": self.client.instance_id or ""}
        measured: dict[str, Any] = self.wait_for(context, "execution", names, result)
        return measured

    def _matched(self, workflow_execution_id: str, result: dict[str, Any]) -> dict[str, Any]:
        from airflow_provider_amc.operators.match import read_match

        try:
            found = read_match(self.hook, workflow_execution_id)
        except AmcError as error:
            return self._unmeasured(result, error)
        if found["match_share"] is None:
            self.log.info("AMC keeps back how many rows of the data set %s it has matched", self.data_set_id)
        else:
            self.log.info(
                "AMC has matched %s of %s rows in the data set %s: %.1f %%",
                f"{found['matched_rows']:,}",
                f"{found['all_rows']:,}",
                self.data_set_id,
                100 * found["match_share"],
            )
        return {**result, **found}

    def _unmeasured(self, result: Mapping[str, Any], error: Exception) -> dict[str, Any]:
        self.log.warning("The rows are uploaded, and how many AMC has matched could not be counted: %s", error)
        return dict(result)

    def _checked_columns(self) -> tuple[dict[str, str], dict[str, str]]:
        from airflow_provider_amc.client.data_sets import DataSetColumn
        from airflow_provider_amc.identity import IdentityKind
        from airflow_provider_amc.upload.source import FORMATS

        if self.source_format not in FORMATS:
            raise AmcValidationError(
                f"Task {self.task_id}: source_format must be one of {', '.join(FORMATS)}, got {self.source_format!r}."
            )
        if (self.s3_key is None) == (self.s3_prefix is None):
            raise AmcValidationError(f"Task {self.task_id}: give s3_key or s3_prefix, one of them.")
        written = [DataSetColumn.from_api(one).to_api() for one in self.columns]
        types = {str(one["name"]): str(one["dataType"]) for one in written}
        identities: dict[str, str] = {}
        for one in written:
            kind = one.get("externalUserIdType")
            pii = kind.get("hashedPii") if isinstance(kind, Mapping) else None
            if pii and str(pii).upper() != "COUNTRY_CODE":
                identities[str(one["name"])] = IdentityKind.of(str(pii)).name
        return types, identities

    def _provide_data_set(self) -> None:
        try:
            require_columns(self.client, self.data_set_id, [str(one.get("name")) for one in self.columns])
        except AmcNotFoundError:
            self.client.data_sets.create(
                self.data_set_id, columns=self.columns, period=self.period, country_code=self.country_code
            )
            self.log.info("AMC data set %s created on instance %s", self.data_set_id, self.client.instance_id)

    def _staged(self, types: Mapping[str, str], identities: Mapping[str, str], prefix: str) -> dict[str, Any]:
        from airflow_provider_amc.upload.source import batches_of, keys_of
        from airflow_provider_amc.upload.staging import remove, stage

        hook = self._s3
        keys = keys_of(hook, self.s3_bucket, self.s3_key, self.s3_prefix)
        rows = (
            batch
            for key in keys
            for batch in batches_of(
                hook, self.s3_bucket, key, self.source_format, types, options=self.source_options or {}
            )
        )
        # AMC would read what an earlier try has left there.
        remove(self._s3, self.staging_bucket or self.s3_bucket, prefix)
        staged = stage(
            self._s3,
            rows,
            identities,
            bucket=self.staging_bucket or self.s3_bucket,
            prefix=prefix,
            instance_id=self.client.instance_id or "",
            country=self.country_code,
            country_column=self.country_column,
            time_column=next((str(one["name"]) for one in self.columns if one.get("isMainEventTime")), None),
        )
        self.log.info("Staged %s rows of %s files, hashed", f"{staged.rows:,}", len(keys))
        for name, count in staged.unusable.items():
            self.log.info("Column %s: %s of %s values have nothing to match by", name, f"{count:,}", f"{staged.rows:,}")
        told: dict[str, Any] = {"rows": staged.rows, "unusable": staged.unusable}
        if staged.first_time is not None and staged.last_time is not None:
            last = staged.last_time + timedelta(seconds=1)
            told["times"] = [one.isoformat(timespec="seconds") for one in (staged.first_time, last)]
        self._s3.load_string(json.dumps(told), _told(prefix), self.staging_bucket or self.s3_bucket, replace=True)
        return told

    def _staged_before(self, prefix: str) -> dict[str, Any]:
        """What an earlier try has staged; nothing when that is removed already."""
        bucket, key = self.staging_bucket or self.s3_bucket, _told(prefix)
        told: dict[str, Any] = json.loads(self._s3.read_key(key, bucket)) if self._s3.check_for_key(key, bucket) else {}
        return told

    def _prefix(self, task: TaskRun) -> str:
        return run_prefix(self.staging_prefix, self.data_set_id, task, self.client.instance_id)

    @cached_property
    def _s3(self) -> S3Hook:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id)


def _told(prefix: str) -> str:
    """Key of the file that says what is staged. It lies beside the folder, as AMC reads all that is in there."""
    return f"{prefix.removesuffix('/')}.json"
