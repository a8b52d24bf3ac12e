"""From an AMC execution to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.transfers.base import AmcTransferOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_amc.landing.lineage import LineageDataset
    from airflow_provider_amc.landing.load import Loader
    from airflow_provider_amc.landing.source import ResultSource


class AmcToSqlOperator(AmcTransferOperator):
    """Load the result of an execution into a table, in one transaction.

    The table is created from the execution's ``outputColumns`` if it does not exist, with audit columns that say where
    each row comes from: ``_amc_instance_id``, ``_amc_workflow_id``, ``_amc_workflow_execution_id``,
    ``_amc_window_start``, ``_amc_window_end`` (UTC) and ``_amc_loaded_at``. PostgreSQL gets the files through COPY,
    DuckDB through Arrow, any other database with a DB-API hook by batched inserts. Redshift and Snowflake load
    files by themselves: the result is staged as Parquet and removed afterwards, also after a failure, and the warehouse
    does the work. Athena reads Parquet from S3: a window is a partition of the Glue catalogue, which one call lets point
    to the new rows; ``upsert`` is not possible there, and ``replace_table`` of several windows takes several calls.

    :param workflow_execution_id: an execution that has succeeded. (templated)
    :param conn_id: Airflow connection of the database. (templated)
    :param table: ``table``, ``schema.table`` or ``database.schema.table``, without quotes. (templated)
    :param mode: ``replace_window`` replaces the rows of the same instance, workflow and time window; ``append`` adds
        the rows of an execution, and replaces only those of the same execution; ``upsert`` updates the rows whose
        ``keys`` the table has and inserts the others; ``replace_table`` replaces the whole table. Whatever the mode,
        loading the same execution again never doubles. Default: ``replace_window``. (templated)
    :param keys: for ``upsert``, the columns that tell one row from another: of the result, or
        ``_amc_instance_id``, ``_amc_workflow_id``, ``_amc_window_start``, ``_amc_window_end``. In the result, none may
        be NULL and no combination may repeat. Default: none. (templated)
    :param schema_policy: what happens when the result has columns or types that the table does not have. ``evolve``
        adds columns and widens types where nothing is lost; with ``replace_table`` it makes the table anew. ``freeze``
        leaves the table's columns alone and does not load new ones, with a warning that names them. ``fail`` raises.
        Default: ``evolve``. (templated)
    :param workflow_name: name by which rows belong together. Default: the id of a saved workflow, or
        ``<dag id>.<task id>`` of this task for a query of the DAG, so that an edited query replaces the rows of the old
        one; followed by a hash of the parameter values if the run had any. (templated)
    :param max_hidden_share: the largest part of a metric that AMC may have hidden, 0 to 1. Default: no limit.
        (templated)
    :param on_hidden: ``fail`` or ``skip`` the task beyond it; nothing is loaded then. Default: ``fail``.
    :param s3_staging: Redshift, and Snowflake with ``storage_integration`` or ``stage``: S3 folder for staged files,
        ``s3://bucket/prefix``. Default: ``amc-staging`` in the bucket that the extra of the AWS connection names
        (``{"service_config": {"s3": {"bucket_name": ...}}}``). (templated)
    :param aws_conn_id: Airflow connection for S3, and for Glue. Default: ``aws_default``. (templated)
    :param iam_role_arn: Redshift: role by which it reads the staged files, or ``default`` for that of the cluster.
        Default: the ``role_arn`` in the extra of the AWS connection. (templated)
    :param storage_integration: Snowflake: integration by which it reads ``s3_staging``. Default: none, the files go into a
        temporary stage of Snowflake. (templated)
    :param stage: Snowflake: an existing stage for the files, ``stage``, ``schema.stage`` or ``database.schema.stage``; they
        are removed from it at the end. If it is external, ``s3_staging`` has to be its address. Default: none.
        (templated)
    :param s3_location: Athena: S3 folder in which a new table gets a folder of its name for its files,
        ``s3://bucket/prefix``. Default: the location of the Glue database. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: a small dictionary: ``table``, ``rows``, ``mode``, ``workflow_execution_id``, and ``privacy`` when the result
        tells what AMC has hidden.
    :raises AmcValidationError: the table's name, the mode, the keys or the policy is wrong; nothing was loaded.
    :raises AmcConfigurationError: the warehouse needs a folder or a role that nobody named; nothing was read.
    :raises AmcLoadError: the result does not fit, or the database refused it; the rows are as they were before, except in
        Athena when ``replace_table`` had begun to drop partitions.
    :raises AmcExecutionError: the execution has no result, because it failed, was rejected or cancelled.
    :raises AmcNotReadyError: the execution has not finished.
    :raises AmcPrivacyLossError: AMC has hidden more than ``max_hidden_share``; the table is as it was before.

    See :class:`~airflow_provider_amc.transfers.base.AmcTransferOperator` for what counts as hidden.
    """

    template_fields: Sequence[str] = (
        "conn_id",
        "table",
        "mode",
        "keys",
        "schema_policy",
        "s3_staging",
        "aws_conn_id",
        "iam_role_arn",
        "storage_integration",
        "stage",
        "s3_location",
        *AmcTransferOperator.template_fields,
    )

    def __init__(
        self,
        *,
        conn_id: str,
        table: str,
        mode: str = "replace_window",
        keys: str | Sequence[str] | None = None,
        schema_policy: str = "evolve",
        s3_staging: str | None = None,
        aws_conn_id: str | None = "aws_default",
        iam_role_arn: str | None = None,
        storage_integration: str | None = None,
        stage: str | None = None,
        s3_location: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.table = table
        self.mode = mode
        self.keys = keys
        self.schema_policy = schema_policy
        self.s3_staging = s3_staging
        self.aws_conn_id = aws_conn_id
        self.iam_role_arn = iam_role_arn
        self.storage_integration = storage_integration
        self.stage = stage
        self.s3_location = s3_location

    def check_arguments(self) -> None:
        """Check the table's name, the mode and the connection."""
        from airflow_provider_amc.landing.table import TableName, check_load, key_columns

        TableName.parse(self.table)
        check_load(self.mode, self.schema_policy, key_columns(self.keys))
        self._loader().check_mode(self.mode)

    def land(self, source: ResultSource) -> dict[str, Any]:
        """Load the rows."""
        from airflow_provider_amc.landing.schema import arrow_schema
        from airflow_provider_amc.landing.table import Audit, Load, TableName, key_columns

        execution = source.execution
        table = TableName.parse(self.table)
        load = Load(
            table=table,
            schema=arrow_schema(execution.output_columns),
            audit=Audit(
                instance_id=source.instance_id or "",
                workflow_id=source.label,
                workflow_execution_id=execution.workflow_execution_id,
                window_start=execution.time_window_start,
                window_end=execution.time_window_end,
                loaded_at=datetime.now(UTC),
            ),
            mode=self.mode,
            keys=key_columns(self.keys),
            schema_policy=self.schema_policy,
        )
        rows = self._loader().load(load, source.results)
        self.log.info(
            "Loaded %s rows of AMC execution %s into %s (%s)", rows, self.workflow_execution_id, table, self.mode
        )
        return {
            "table": str(table),
            "rows": rows,
            "mode": self.mode,
            "workflow_execution_id": self.workflow_execution_id,
        }

    def target_hook(self) -> BaseHook:
        """The hook of the database."""
        from airflow.providers.common.compat.sdk import BaseHook

        hook: BaseHook = BaseHook.get_connection(self.conn_id).get_hook()
        return hook

    def targets(self, source: ResultSource, landed: Mapping[str, Any]) -> list[LineageDataset]:
        """The table."""
        from airflow.providers.common.compat.sdk import BaseHook

        from airflow_provider_amc.landing.lineage import column_types, table_of
        from airflow_provider_amc.landing.table import TableName

        connection = BaseHook.get_connection(self.conn_id)
        parts = TableName.parse(self.table).parts
        return [
            table_of(
                connection.get_hook(), connection, parts, columns=column_types(source.execution), rows=landed["rows"]
            )
        ]

    def _loader(self) -> Loader:
        from airflow_provider_amc.landing.load import loader_for
        from airflow_provider_amc.landing.staging import Staging

        staging = Staging(
            s3=self.s3_staging,
            aws_conn_id=self.aws_conn_id,
            iam_role_arn=self.iam_role_arn,
            storage_integration=self.storage_integration,
            stage=self.stage,
            location=self.s3_location,
        )
        return loader_for(self.target_hook(), staging)
