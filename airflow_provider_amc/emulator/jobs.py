"""The work of an execution that takes long: compile its query, run it, write its result. All of it blocks."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.csv import ESCAPE, QUOTE, SEPARATOR, CsvFormat
from airflow_provider_amc.emulator.files import write_result
from airflow_provider_amc.emulator.queries import Queries, QueryError, RunSettings
from airflow_provider_amc.emulator.record import ExecutionRecord

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.engine import CompiledQuery


#: Letters of a workflow's id in the names of its files; file systems allow some 250.
_NAME_LENGTH = 150


class Jobs:
    """What worker threads do for executions.

    :param config: size of the files and types of the instances.
    :param queries: the query engine.
    :param results: directory of result files.
    """

    def __init__(self, config: EmulatorConfig, queries: Queries, results: Path) -> None:
        self._queries = queries
        self._results = results
        self._rows_per_file = config.rows_per_file
        self._types = config.instances()

    def validate(self, record: ExecutionRecord) -> CompiledQuery:
        """Compile the query of an execution.

        :raises QueryError: AMC would reject the execution.
        """
        instance_type = self._types.get(record.instance_id, "STANDARD")
        if instance_type == "SANDBOX" and not record.require_synthetic_data:
            raise QueryError("Workflow executions on a sandbox instance must set requireSyntheticData to true.")
        run = RunSettings(
            window=(record.window_start, record.window_end),
            parameter_values=record.parameter_values,
            synthetic_data=record.require_synthetic_data,
            uncontrolled=record.disable_aggregation_controls,
        )
        compiled = self._queries.compile(
            record.definition, instance_id=record.instance_id, instance_type=instance_type, run=run
        )
        if run.synthetic_data and instance_type != "SANDBOX" and compiled.tables:
            raise QueryError(
                f"The workflow execution requires synthetic data, but the data source {compiled.tables[0]} does not "
                "contain only synthetic data. Synthetic data is available on sandbox instances."
            )
        return compiled

    def compute(
        self, record: ExecutionRecord, compiled: CompiledQuery | None, interrupted: threading.Event
    ) -> list[dict[str, Any]]:
        """Run the query of an execution and write its files.

        :param record: the execution.
        :param compiled: its query, if it was kept.
        :param interrupted: set by another thread to stop the query; nothing is left of it then.
        :returns: the files, as :func:`~airflow_provider_amc.emulator.files.write_result` describes them.
        :raises QueryError: the query fails.
        """
        compiled = compiled or self.validate(record)
        rows = self._queries.run(compiled, (record.window_start, record.window_end), interrupted)
        if not record.writes_output:
            for _ in rows:
                continue
            return []
        directory = self._results / record.id
        files = write_result(
            rows,
            compiled.output_columns,
            directory,
            name=f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%d}-{record.workflow_id[:_NAME_LENGTH]}-ver1",
            rows_per_file=self._rows_per_file,
            style=CsvFormat.of(record.definition.get("outputFormat")),
            metadata=_metadata(record, compiled),
        )
        if interrupted.is_set():
            shutil.rmtree(directory, ignore_errors=True)
        return files


def _metadata(record: ExecutionRecord, compiled: CompiledQuery) -> dict[str, Any]:
    """What the metadata file tells about the run, in names of the API."""
    told = record.to_api(include_workflow=True)
    names = ("workflowExecutionId", "workflowId", "sqlQuery", "parameterValues", "createTime", "executionCategory")
    window = ("timeWindowStart", "timeWindowEnd", "timeWindowStartOriginal", "timeWindowEndOriginal")
    flags = ("disableAggregationControls", "timeWindowTimeZoneOriginal")
    style = CsvFormat.of(record.definition.get("outputFormat"))
    return {
        **{name: told[name] for name in (*names, *window, *flags)},
        "requireSyntheticData": record.require_synthetic_data,
        "dataSources": list(compiled.tables),
        "outputColumns": [column.to_api() for column in compiled.output_columns],
        "outputFormat": {SEPARATOR: style.separator, QUOTE: style.quote, ESCAPE: style.escape},
    }
