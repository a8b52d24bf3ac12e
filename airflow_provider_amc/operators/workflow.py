"""Operators that keep saved AMC workflows in step with the DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcNotFoundError, AmcValidationError
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.definition import WorkflowDefinitionMixin, rendered_sql, warn_of_merged_rows

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

IF_EXISTS = ("update", "skip", "fail")


class AmcCreateWorkflowOperator(WorkflowDefinitionMixin, AmcBaseOperator):
    """Save a query as an AMC workflow. AMC compiles it, so wrong SQL fails here.

    :param workflow_id: id of the workflow: letters, digits, ``.``, ``-`` and ``_``. (templated)
    :param sql: AMC SQL, or the name of a ``.sql`` file; comments and line breaks are taken out before it is sent.
        (templated)
    :param if_exists: what to do when the id is taken: ``update`` replaces the workflow, ``skip`` leaves it as it is,
        ``fail`` fails the task. Default: ``update``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the workflow id.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcInvalidRequestError: AMC cannot compile the query; the message has its reason.
    :raises AmcAlreadyExistsError: the id is taken and ``if_exists`` is ``fail``.

    See :class:`~airflow_provider_amc.operators.definition.WorkflowDefinitionMixin` for the other arguments.
    """

    template_fields: Sequence[str] = (
        "workflow_id",
        "sql",
        *WorkflowDefinitionMixin.template_fields,
        *AmcBaseOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "input_parameters": "json"}

    def __init__(
        self,
        *,
        workflow_id: str,
        sql: str,
        if_exists: str = "update",
        input_parameters: Sequence[Mapping[str, Any]] | None = None,
        input_schema: str | None = None,
        output_columns: Sequence[Mapping[str, Any]] | None = None,
        privacy_filtering_behavior: str | None = None,
        filtered_metrics_discriminator_column: str | None = None,
        distinct_user_count_column: str | None = None,
        filtered_reason_column: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if if_exists not in IF_EXISTS:
            raise AmcValidationError(
                f"Task {self.task_id}: if_exists must be one of {', '.join(IF_EXISTS)}, got {if_exists!r}."
            )
        self.workflow_id = workflow_id
        self.sql = sql
        self.if_exists = if_exists
        self.input_parameters = input_parameters
        self.input_schema = input_schema
        self.output_columns = output_columns
        self.privacy_filtering_behavior = privacy_filtering_behavior
        self.filtered_metrics_discriminator_column = filtered_metrics_discriminator_column
        self.distinct_user_count_column = distinct_user_count_column
        self.filtered_reason_column = filtered_reason_column

    def execute(self, context: Context) -> str:
        """Create or update the workflow."""
        definition = {"sql_query": rendered_sql(self.sql), **self.definition()}
        warn_of_merged_rows(self.log, self.sql, self.filtered_metrics_discriminator_column)
        workflows = self.client.workflows
        try:
            workflows.create(self.workflow_id, **definition)
        except AmcAlreadyExistsError:
            if self.if_exists == "fail":
                raise
            if self.if_exists == "skip":
                self.log.info("AMC workflow %s exists already and is left as it is", self.workflow_id)
                return self.workflow_id
            workflows.update(self.workflow_id, **definition)
            self.log.info("AMC workflow %s existed already and was updated", self.workflow_id)
        else:
            self.log.info("AMC workflow %s created on instance %s", self.workflow_id, self.client.instance_id)
        return self.workflow_id


class AmcDeleteWorkflowOperator(AmcBaseOperator):
    """Delete a saved AMC workflow. AMC refuses while a schedule uses it.

    :param workflow_id: the workflow. (templated)
    :param if_missing: ``skip`` succeeds when there is no such workflow, ``fail`` fails. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :raises AmcNotFoundError: there is no such workflow and ``if_missing`` is ``fail``.
    :raises AmcInvalidRequestError: AMC refuses, with its reason.
    """

    template_fields: Sequence[str] = ("workflow_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, workflow_id: str, if_missing: str = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_missing not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_missing must be skip or fail, got {if_missing!r}.")
        self.workflow_id = workflow_id
        self.if_missing = if_missing

    def execute(self, context: Context) -> None:
        """Delete the workflow."""
        try:
            self.client.workflows.delete(self.workflow_id)
        except AmcNotFoundError:
            if self.if_missing == "fail":
                raise
            self.log.info("There is no AMC workflow %s to delete", self.workflow_id)
        else:
            self.log.info("AMC workflow %s deleted", self.workflow_id)
