"""From an AMC execution to any storage that Airflow's ObjectStoragePath reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.transfers.base import AmcTransferOperator

if TYPE_CHECKING:
    from airflow_provider_amc.landing.source import ResultSource


class AmcToObjectStorageOperator(AmcTransferOperator):
    """Stream every result file of an execution to a folder of a disk or an object store, and write a manifest last.

    What is written is the same as by :class:`~airflow_provider_amc.transfers.amc_to_s3.AmcToS3Operator`, which is faster
    for S3.

    :param workflow_execution_id: an execution that has succeeded. (templated)
    :param path: folder, such as ``gs://bucket/amc``, ``abfs://container@account/amc`` or ``file:///data/amc``. Put the
        instance into it when several instances run the same workflow. (templated)
    :param conn_id: Airflow connection of the storage. Default: the one in the path (``s3://aws_default@bucket``), or
        none. (templated)
    :param file_format: ``csv`` as AMC delivers it, ``csv.gz``, or ``parquet`` with types from the execution's
        ``outputColumns``. Default: ``csv``. (templated)
    :param workflow_name: name in the folder. Default: the id of a saved workflow, or ``<dag id>.<task id>`` of this task
        for a query of the DAG; followed by a hash of the parameter values if the run had any. (templated)
    :param max_hidden_share: the largest part of a metric that AMC may have hidden, 0 to 1. Default: no limit.
        (templated)
    :param on_hidden: ``fail`` or ``skip`` the task beyond it; what has landed before stays then. Default: ``fail``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: a small dictionary: ``manifest`` (address), ``path`` (address), ``files``, ``rows``, ``bytes``, and
        ``privacy`` when the result tells what AMC has hidden.
    :raises AmcConfigurationError: Airflow has no file system for the path; nothing was written.
    :raises AmcLoadError: the place holds the result of another instance; nothing was written.
    :raises AmcExecutionError: the execution has no result, because it failed, was rejected or cancelled.
    :raises AmcNotReadyError: the execution has not finished.
    :raises AmcResultError: a file could not be read whole; what has landed before stays.
    :raises AmcPrivacyLossError: AMC has hidden more than ``max_hidden_share``; what has landed before stays.
    """

    template_fields: Sequence[str] = ("path", "conn_id", "file_format", *AmcTransferOperator.template_fields)

    def __init__(self, *, path: str, conn_id: str | None = None, file_format: str = "csv", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.conn_id = conn_id
        self.file_format = file_format

    def check_arguments(self) -> None:
        """Check format and path."""
        from airflow_provider_amc.landing.files import check_format

        check_format(self.file_format)
        if "://" not in str(self.path):
            raise AmcValidationError(
                f"path must be an address such as file:///data/amc or gs://bucket/amc, got {self.path!r}."
            )

    def land(self, source: ResultSource) -> dict[str, Any]:
        """Write the files, then the manifest."""
        from airflow_provider_amc.landing.land import land
        from airflow_provider_amc.landing.object_storage import ObjectStore

        store = ObjectStore.at(str(self.path), self.conn_id or None, source.folder(""))
        return self.landed(land(store, source, self.file_format), "path")
