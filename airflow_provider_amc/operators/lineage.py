"""What a task tells about its data: OpenLineage for the tasks that run queries, and the outlets of every task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.operators.definition import rendered_sql

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_amc.client.models import Execution
    from airflow_provider_amc.hooks.amc import AmcHook


class ExecutionLineageMixin:
    """OpenLineage of a task that runs a query: the tables of AMC in, the result of the workflow or query out."""

    #: The execution of the task, as it was seen last.
    execution: Execution | None = None

    sql: str | None
    hook: AmcHook

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """What the query of the DAG reads. Nothing is asked of AMC."""
        from airflow_provider_amc.landing.facets import operator_lineage
        from airflow_provider_amc.landing.lineage import data_sources

        sql = rendered_sql(self.sql) if self.sql else None
        namespace = self.hook.lineage_namespace
        return operator_lineage(namespace, inputs=data_sources(namespace, sql), sql=sql)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What was read, what the execution gives, and its id. Also after a failure."""
        from airflow_provider_amc.landing.facets import operator_lineage
        from airflow_provider_amc.landing.lineage import data_sources, result_of

        execution = self.execution
        if execution is None:
            return self.get_openlineage_facets_on_start()
        sql = rendered_sql(self.sql) if self.sql else self._saved_sql(execution)
        namespace = self.hook.lineage_namespace
        return operator_lineage(
            namespace,
            inputs=data_sources(namespace, sql),
            outputs=[result_of(namespace, execution, sql)] if execution.is_succeeded else [],
            sql=sql,
            execution=execution,
        )

    def _saved_sql(self, execution: Execution) -> str | None:
        found = self.hook.get_conn().executions.get(execution.workflow_execution_id, include_workflow=True)
        return found.sql_query


def describe_outlets(context: Context, outlets: Any, facts: Mapping[str, Any]) -> None:
    """Add facts, as ``amc``, to the extra of the events of the assets that a task updates.

    :param context: of the task.
    :param outlets: its outlets; only assets have events.
    :param facts: JSON values.
    """
    from airflow.providers.common.compat.assets import Asset

    events: Any = context.get("outlet_events")
    if events is None:
        return
    for outlet in outlets or ():
        if isinstance(outlet, Asset):
            events[outlet].extra["amc"] = {**facts}


def execution_facts(execution: Execution, instance_id: str | None) -> dict[str, Any]:
    """What an outlet should say about the execution behind it.

    :param execution: the execution.
    :param instance_id: its AMC instance.
    """
    start, end = execution.time_window_start, execution.time_window_end
    return {
        "instance_id": instance_id,
        "workflow_execution_id": execution.workflow_execution_id,
        "time_window_start": start.isoformat() if start else None,
        "time_window_end": end.isoformat() if end else None,
    }
