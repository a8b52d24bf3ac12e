"""The work of an execution that takes long: compile its query, run it, write its result. All of it blocks."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.clock import zulu
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.files import write_result
from airflow_provider_amc.emulator.queries import Queries, QueryError, RunSettings
from airflow_provider_amc.emulator.record import ExecutionRecord

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.engine import CompiledQuery


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
        return self._queries.compile(record.definition, instance_type=instance_type, run=run)

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
            name=f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%d}-{record.workflow_id}-ver1",
            rows_per_file=self._rows_per_file,
            metadata={
                "workflowExecutionId": record.id,
                "workflowId": record.workflow_id,
                "sqlQuery": record.definition.get("sqlQuery"),
                "parameterValues": record.parameter_values,
                "timeWindowStart": zulu(datetime.fromtimestamp(record.window_start, UTC)),
                "timeWindowEnd": zulu(datetime.fromtimestamp(record.window_end, UTC)),
                "outputColumns": [column.to_api() for column in compiled.output_columns],
            },
        )
        if interrupted.is_set():
            shutil.rmtree(directory, ignore_errors=True)
        return files
