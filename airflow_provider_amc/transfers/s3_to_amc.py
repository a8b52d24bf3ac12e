"""From S3 into an AMC data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_amc.exceptions import AmcNotFoundError, AmcValidationError
from airflow_provider_amc.operators.data_set import (
    AmcUploadOperator,
    earlier_upload,
    require_columns,
    submitted_upload,
)
from airflow_provider_amc.operators.task_run import TaskRun

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.uploads import Upload


class S3ToAmcOperator(AmcUploadOperator):
    """Read an advertiser's rows from S3, normalise and hash the identities in them, and upload them to AMC.

    The rows stream through memory; raw identities are written neither to disk nor to a log. The hashed rows are staged as
    Parquet in S3, tagged with the instance, uploaded, and removed again when AMC has taken them in. The data set is created
    if it does not exist. A retry goes on with the upload that the try before it has started. Staged files of an upload that
    has failed stay until a later try overwrites and removes them.

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
    :param aws_conn_id: Airflow connection for S3. Default: ``aws_default``. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: ``upload_id``; ``rows`` and ``unusable`` (by hashed column, how many values had nothing to match by), unless an
        earlier try has staged them.
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
        told: dict[str, Any] = {}
        if task.is_retry:
            upload = earlier_upload(self.client, self.data_set_id, request, task, self.log)
        if upload is None:
            self._provide_data_set()
            told = self._staged(types, identities, prefix)
            upload = submitted_upload(self.client, self.data_set_id, request, task, self.log)
        return self.wait_for_upload(
            context, upload.upload_id, {"upload_id": upload.upload_id, "prefix": prefix, **told}
        )

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Remove what was staged, and report."""
        from airflow_provider_amc.upload.staging import remove

        super().concluded(context, kind, names, result)
        try:
            remove(self._s3(), self.staging_bucket or self.s3_bucket, result["prefix"])
        except Exception as error:
            self.log.warning("The staged files below %s could not be removed: %s", result["prefix"], error)
        return {name: value for name, value in result.items() if name != "prefix"}

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
        from airflow_provider_amc.upload.staging import stage

        hook = self._s3()
        keys = keys_of(hook, self.s3_bucket, self.s3_key, self.s3_prefix)
        rows = (
            batch
            for key in keys
            for batch in batches_of(
                hook, self.s3_bucket, key, self.source_format, types, options=self.source_options or {}
            )
        )
        staged = stage(
            hook,
            rows,
            identities,
            bucket=self.staging_bucket or self.s3_bucket,
            prefix=prefix,
            instance_id=self.client.instance_id or "",
            country=self.country_code,
            country_column=self.country_column,
        )
        self.log.info("Staged %s rows of %s files, hashed", f"{staged.rows:,}", len(keys))
        for name, count in staged.unusable.items():
            self.log.info("Column %s: %s of %s values have nothing to match by", name, f"{count:,}", f"{staged.rows:,}")
        return {"rows": staged.rows, "unusable": staged.unusable}

    def _prefix(self, task: TaskRun) -> str:
        from airflow_provider_amc.client.run_key import digest

        return f"{self.staging_prefix.strip('/')}/{self.data_set_id}/{digest(task.identity('retry'), 16)}/"

    def _s3(self) -> S3Hook:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id)
