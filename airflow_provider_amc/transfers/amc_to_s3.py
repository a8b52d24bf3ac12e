"""From an AMC execution to S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.transfers.base import AmcTransferOperator

if TYPE_CHECKING:
    from airflow_provider_amc.landing.source import ResultSource


class AmcToS3Operator(AmcTransferOperator):
    """Stream every result file of an execution to S3, and write a manifest last.

    Keys are ``<s3_prefix>/workflow=<workflow>/window_start=<UTC>/window_end=<UTC>/part-00000-<hash>.csv``, which
    Athena and Spark read as partitions, and ``_manifest.json`` beside the parts. The same workflow and window replace an
    earlier landing, whose parts stay until the new manifest is there. Several files are read at once. Memory does not
    grow with the result.

    :param workflow_execution_id: an execution that has succeeded. (templated)
    :param s3_bucket: bucket, which has to exist. (templated)
    :param s3_prefix: key prefix. Put the instance into it when several instances run the same workflow. Default: none.
        (templated)
    :param file_format: ``csv`` as AMC delivers it, ``csv.gz``, or ``parquet`` with types from the execution's
        ``outputColumns``. Default: ``csv``. (templated)
    :param workflow_name: name in the key. Default: the id of a saved workflow, or ``<dag id>.<task id>`` of this task
        for a query of the DAG; followed by a hash of the parameter values if the run had any. (templated)
    :param max_hidden_share: the largest part of a metric that AMC may have hidden, 0 to 1. Default: no limit.
        (templated)
    :param on_hidden: ``fail`` or ``skip`` the task beyond it; what has landed before stays then. Default: ``fail``.
    :param aws_conn_id: Airflow connection for S3. Default: ``aws_default``. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: a small dictionary: ``manifest`` (address), ``s3_prefix`` (address), ``files``, ``rows``, ``bytes``,
        and ``privacy`` when the result tells what AMC has hidden.
    :raises AmcConfigurationError: there is no such bucket; nothing was written.
    :raises AmcLoadError: the place holds the result of another instance; nothing was written.
    :raises AmcExecutionError: the execution has no result, because it failed, was rejected or cancelled.
    :raises AmcNotReadyError: the execution has not finished.
    :raises AmcResultError: a file could not be read whole; what has landed before stays.
    :raises AmcPrivacyLossError: AMC has hidden more than ``max_hidden_share``; what has landed before stays.

    See :class:`~airflow_provider_amc.transfers.base.AmcTransferOperator` for what counts as hidden.
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_prefix",
        "file_format",
        "aws_conn_id",
        *AmcTransferOperator.template_fields,
    )

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_prefix: str = "",
        file_format: str = "csv",
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_prefix = s3_prefix
        self.file_format = file_format
        self.aws_conn_id = aws_conn_id

    def check_arguments(self) -> None:
        """Check format and bucket."""
        from airflow_provider_amc.landing.files import check_format

        check_format(self.file_format)
        if not self.s3_bucket or "/" in self.s3_bucket:
            raise AmcValidationError(
                f"s3_bucket must be the name of a bucket alone, got {self.s3_bucket!r}. What follows it in an address "
                "goes into s3_prefix."
            )

    def land(self, source: ResultSource) -> dict[str, Any]:
        """Write the files, then the manifest."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from airflow_provider_amc.landing.s3 import land_in_s3

        landing = land_in_s3(
            S3Hook(aws_conn_id=self.aws_conn_id),
            source,
            bucket=self.s3_bucket,
            prefix=self.s3_prefix or "",
            file_format=self.file_format,
        )
        return self.landed(landing, "s3_prefix")
