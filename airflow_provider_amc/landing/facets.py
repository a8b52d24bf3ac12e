"""OpenLineage's view of a run. Imported when OpenLineage asks for it, never before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.openlineage.facet import (
    ColumnLineageDatasetFacet,
    Dataset,
    DatasetFacet,
    ExternalQueryRunFacet,
    Fields,
    InputField,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
    RunFacet,
    SchemaDatasetFacet,
    SchemaDatasetFacetFields,
    SQLJobFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage
from attrs import define

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import Execution
    from airflow_provider_amc.landing.lineage import LineageDataset
    from airflow_provider_amc.landing.privacy import PrivacyLoss


@define
class AmcExecutionRunFacet(RunFacet):
    """The execution of AMC behind a run.

    :param workflowExecutionId: its id.
    :param workflowId: the workflow, ``transient_...`` for a query that ran ad hoc.
    :param timeWindowStart: first moment of its window, UTC.
    :param timeWindowEnd: first moment after it, UTC.
    :param hiddenShare: the largest part of a metric that AMC has hidden, 0 to 1.
    """

    workflowExecutionId: str
    workflowId: str | None = None
    timeWindowStart: str | None = None
    timeWindowEnd: str | None = None
    hiddenShare: float | None = None


def operator_lineage(
    namespace: str,
    *,
    inputs: Iterable[LineageDataset],
    outputs: Iterable[LineageDataset] = (),
    sql: str | None = None,
    execution: Execution | None = None,
    loss: PrivacyLoss | None = None,
) -> OperatorLineage[Any, Any]:
    """Write what a task has read and written.

    :param namespace: of the AMC instance.
    :param inputs: what was read.
    :param outputs: what was written.
    :param sql: the query.
    :param execution: the execution.
    :param loss: what AMC has hidden of its result.
    """
    run_facets: dict[str, RunFacet] = {}
    if execution is not None:
        start, end = execution.time_window_start, execution.time_window_end
        run_facets["externalQuery"] = ExternalQueryRunFacet(
            externalQueryId=execution.workflow_execution_id, source=namespace
        )
        run_facets["amcExecution"] = AmcExecutionRunFacet(
            workflowExecutionId=execution.workflow_execution_id,
            workflowId=execution.workflow_id,
            timeWindowStart=start.isoformat() if start else None,
            timeWindowEnd=end.isoformat() if end else None,
            hiddenShare=loss.hidden_share if loss is not None else None,
        )
    return OperatorLineage(
        inputs=[Dataset(namespace=found.namespace, name=found.name, facets=_facets(found)) for found in inputs],
        outputs=[_output(found) for found in outputs],
        run_facets=run_facets,
        job_facets={"sql": SQLJobFacet(query=sql)} if sql else {},
    )


def _output(dataset: LineageDataset) -> OutputDataset:
    counted = dataset.rows is not None or dataset.size is not None
    statistics = OutputStatisticsOutputDatasetFacet(rowCount=dataset.rows, size=dataset.size)
    return OutputDataset(
        namespace=dataset.namespace,
        name=dataset.name,
        facets=_facets(dataset),
        outputFacets={"outputStatistics": statistics} if counted else {},
    )


def _facets(dataset: LineageDataset) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {}
    if dataset.columns:
        fields = [SchemaDatasetFacetFields(name=name, type=kind) for name, kind in dataset.columns.items()]
        facets["schema"] = SchemaDatasetFacet(fields=fields)
    if dataset.sources:
        facets["columnLineage"] = ColumnLineageDatasetFacet(
            fields={
                name: Fields(
                    inputFields=[
                        InputField(namespace=dataset.namespace, name=source, field=column) for source, column in found
                    ]
                )
                for name, found in dataset.sources.items()
            }
        )
    return facets
