"""What OpenLineage learns, through its own extractors, and what outlets learn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.assets import Asset

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcExecutionFailedError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.lineage import describe_outlets
from airflow_provider_amc.windows import last_days
from tests.tasks import run_through, task_context

SQL = "SELECT campaign, SUM(impressions) AS impressions -- all of them\nFROM dsp_impressions GROUP BY campaign"
ONE_LINE = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


def extracted(operator: Any, state: str) -> Any:
    """What the extractors of Airflow's OpenLineage provider make of a task."""
    pytest.importorskip("airflow.providers.openlineage")
    from airflow.providers.openlineage.extractors.manager import ExtractorManager
    from airflow.utils.state import TaskInstanceState

    manager = ExtractorManager()
    assert manager.get_extractor_class(operator) is manager.default_extractor
    return manager.extract_metadata(
        SimpleNamespace(run_id="manual__1"), operator, task_instance_state=TaskInstanceState[state], task_instance=None
    )


def query(**arguments: Any) -> AmcExecuteWorkflowOperator:
    return AmcExecuteWorkflowOperator(
        **{"task_id": "run", "sql": SQL, "window": last_days(7), "poll_interval": 0.01, **arguments}
    )


def names(datasets: Any) -> list[tuple[str, str]]:
    return [(dataset.namespace, dataset.name) for dataset in datasets]


def test_before_the_run_nothing_is_asked_of_amc(amc_default: EmulatorServer) -> None:
    lineage = extracted(query(), "RUNNING")
    assert names(lineage.inputs) == [("amc://NA/amcemulator", "dsp_impressions")]
    assert lineage.outputs == []
    assert lineage.job_facets["sql"].query == ONE_LINE
    assert amc_default.requests == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_after_the_run(amc_default: EmulatorServer, deferrable: bool) -> None:
    operator = query(deferrable=deferrable)
    execution_id = run_through(operator, task_context())
    lineage = extracted(operator, "SUCCESS")
    assert names(lineage.inputs) == [("amc://NA/amcemulator", "dsp_impressions")]
    (result,) = lineage.outputs
    assert result.namespace == "amc://NA/amcemulator"
    assert result.name.startswith("query/")
    assert {field.name: field.type for field in result.facets["schema"].fields} == {
        "campaign": "STRING",
        "impressions": "LONG",
    }
    fields = result.facets["columnLineage"].fields
    assert [(found.name, found.field) for found in fields["impressions"].inputFields] == [
        ("dsp_impressions", "impressions")
    ]
    external = lineage.run_facets["externalQuery"]
    assert (external.externalQueryId, external.source) == (execution_id, "amc://NA/amcemulator")
    facet = lineage.run_facets["amcExecution"]
    assert (facet.workflowExecutionId, facet.timeWindowStart) == (execution_id, "2026-03-02T00:00:00+00:00")
    assert lineage.job_facets["sql"].query == ONE_LINE


def test_of_a_saved_workflow(amc_default: EmulatorServer) -> None:
    AmcHook().get_conn().workflows.create("reach", sql_query=ONE_LINE)
    operator = query(sql=None, workflow_id="reach")
    assert extracted(operator, "RUNNING").inputs == []
    operator.execute(task_context())
    lineage = extracted(operator, "SUCCESS")
    assert names(lineage.inputs) == [("amc://NA/amcemulator", "dsp_impressions")]
    assert names(lineage.outputs) == [("amc://NA/amcemulator", "workflow/reach")]
    assert lineage.job_facets["sql"].query == ONE_LINE


def test_after_a_failure(amc_default: EmulatorServer) -> None:
    amc_default.add_fault(operation="createWorkflowExecution", kind="fail", value="FAILED", reason="Out of memory")
    operator = query()
    with pytest.raises(AmcExecutionFailedError):
        operator.execute(task_context())
    lineage = extracted(operator, "FAILED")
    assert lineage.outputs == []
    assert names(lineage.inputs) == [("amc://NA/amcemulator", "dsp_impressions")]
    assert lineage.run_facets["externalQuery"].externalQueryId


def test_instance_of_the_task(amc_default: EmulatorServer) -> None:
    assert names(extracted(query(instance_id="amcsandbox"), "RUNNING").inputs)[0][0] == "amc://NA/amcsandbox"


class Events(dict[Any, Any]):
    """The events of outlets, as Airflow gives them to a task."""

    def __missing__(self, key: Any) -> Any:
        return self.setdefault(key.uri if isinstance(key, Asset) else key, SimpleNamespace(extra={"user": "kept"}))


def test_outlets(amc_default: EmulatorServer) -> None:
    asset = Asset("amc://NA/amcemulator/workflow/reach")
    events = Events()
    execution_id = query(outlets=[asset]).execute(task_context(outlet_events=events))
    assert events[asset.uri].extra == {
        "user": "kept",
        "amc": {
            "instance_id": "amcemulator",
            "workflow_execution_id": execution_id,
            "time_window_start": "2026-03-02T00:00:00+00:00",
            "time_window_end": "2026-03-09T00:00:00+00:00",
        },
    }


def test_outlets_that_have_no_events() -> None:
    events = Events()
    describe_outlets({"outlet_events": events}, ["a text", None], {"rows": 1})  # type: ignore[arg-type]
    describe_outlets({}, [Asset("s3://bucket/key")], {"rows": 1})  # type: ignore[arg-type]
    assert events == {}
