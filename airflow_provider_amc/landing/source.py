"""A result on its way to a target: what every transfer knows before it reads the first row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import AmcError
from airflow_provider_amc.landing.files import folder
from airflow_provider_amc.landing.origin import is_ad_hoc, require_result, workflow_label
from airflow_provider_amc.landing.privacy import PrivacyMeter
from airflow_provider_amc.landing.privacy_columns import PrivacyColumns

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution, Workflow
    from airflow_provider_amc.client.results import ExecutionResults


@dataclass(frozen=True)
class ResultSource:
    """The result of an execution that has succeeded.

    :param execution: the execution, with its SQL if AMC gave it.
    :param results: its files; their rows are counted by the meter as they are read.
    :param label: name under which results of this kind belong together.
    :param instance_id: its AMC instance.
    :param meter: counts what AMC has hidden; ``None`` when nothing in the result tells it.
    """

    execution: Execution
    results: ExecutionResults
    label: str
    instance_id: str | None
    meter: PrivacyMeter | None

    def folder(self, prefix: str) -> str:
        """Key prefix of the result, see :func:`~airflow_provider_amc.landing.files.folder`.

        :param prefix: the user's prefix.
        """
        return folder(prefix, self.label, self.execution.time_window_start, self.execution.time_window_end)

    @classmethod
    def open(
        cls,
        client: AmcClient,
        workflow_execution_id: str,
        *,
        task: str,
        workflow_name: str | None = None,
        max_hidden_share: float | None = None,
    ) -> ResultSource:
        """Look up an execution. No row is read yet.

        :param client: client of the instance.
        :param workflow_execution_id: the execution.
        :param task: ``<dag id>.<task id>`` of the task that lands the result.
        :param workflow_name: name chosen by the user.
        :param max_hidden_share: the part of a metric that AMC may hide, 0 to 1; ``None`` allows all.
        :raises AmcExecutionError: it has no result, because it failed, was rejected or cancelled.
        :raises AmcNotReadyError: it has not finished.
        :raises AmcValidationError: the name cannot be part of a key.
        :raises AmcConfigurationError: there is a limit to what may be hidden, and nothing tells what is.
        """
        execution = client.executions.get(workflow_execution_id, include_workflow=True)
        require_result(execution)
        label = workflow_label(execution, task, workflow_name)
        columns = PrivacyColumns.of(execution, lambda: _saved_workflow(client, execution))
        if max_hidden_share is not None:
            columns.require_tell_loss()
        results = client.executions.results(workflow_execution_id)
        meter = PrivacyMeter(execution.output_columns, columns, max_hidden_share) if columns.tell_loss else None
        results.observer = meter
        return cls(execution, results, label, client.instance_id, meter)


def _saved_workflow(client: AmcClient, execution: Execution) -> Workflow | None:
    if is_ad_hoc(execution):
        return None
    try:
        return client.workflows.get(str(execution.workflow_id))
    except AmcError:
        # Deleted since, or AMC is away: the result can be landed all the same.
        return None
