"""What all transfers share: the execution, and what AMC may have hidden of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_amc.exceptions import AmcPrivacyLossError, AmcValidationError
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.lineage import describe_outlets, execution_facts

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseHook, Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_amc.landing.lineage import LineageDataset
    from airflow_provider_amc.landing.manifest import Landing
    from airflow_provider_amc.landing.source import ResultSource

#: What a task does when AMC has hidden too much.
ON_HIDDEN = ("fail", "skip")


class AmcTransferOperator(AmcBaseOperator):
    """Base of the operators that land the result of an execution. A subclass says where.

    When the workflow has a column that tells what AMC has hidden (``filtered_metrics_discriminator_column``; or
    ``filtered_reason_column`` or ``distinct_user_count_column`` with ``REMOVE_VALUES``), the rows are counted while they
    pass: the log tells how much of each metric is hidden, and the returned dictionary has it as ``privacy``.

    :param workflow_execution_id: an execution that has succeeded. (templated)
    :param workflow_name: name by which results belong together. Default: the id of a saved workflow, or
        ``<dag id>.<task id>`` of this task for a query of the DAG; followed by a hash of the parameter values if the run
        had any. (templated)
    :param max_hidden_share: the largest part of a metric that AMC may have hidden, 0 to 1: of its sum, the part that
        stands in hidden rows, or the part of the rows in which its value was removed. Without metrics, the part of the
        rows. Default: no limit. (templated)
    :param on_hidden: what to do beyond ``max_hidden_share``: ``fail`` or ``skip`` the task. Nothing is kept then.
        Default: ``fail``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    """

    template_fields: Sequence[str] = (
        "workflow_execution_id",
        "workflow_name",
        "max_hidden_share",
        *AmcBaseOperator.template_fields,
    )

    def __init__(
        self,
        *,
        workflow_execution_id: str,
        workflow_name: str | None = None,
        max_hidden_share: float | str | None = None,
        on_hidden: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_hidden not in ON_HIDDEN:
            raise AmcValidationError(
                f"Task {self.task_id}: on_hidden must be one of {', '.join(ON_HIDDEN)}, got {on_hidden!r}."
            )
        self.workflow_execution_id = workflow_execution_id
        self.workflow_name = workflow_name
        self.max_hidden_share = max_hidden_share
        self.on_hidden = on_hidden
        self._landed: tuple[ResultSource, Mapping[str, Any]] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Land the result."""
        from airflow_provider_amc.landing.privacy_columns import share_of
        from airflow_provider_amc.landing.source import ResultSource

        most = share_of(self.max_hidden_share)
        self.check_arguments()
        source = ResultSource.open(
            self.client,
            self.workflow_execution_id,
            task=f"{self.dag_id}.{self.task_id}",
            workflow_name=self.workflow_name,
            max_hidden_share=most,
        )
        try:
            landed = self.land(source)
        except AmcPrivacyLossError as error:
            self._tell_loss(source)
            if self.on_hidden == "skip":
                raise AirflowSkipException(str(error)) from error
            raise
        self._landed = source, landed
        self._tell_airflow(context, source, landed)
        return {**landed, **self._tell_loss(source)}

    def targets(self, source: ResultSource, landed: Mapping[str, Any]) -> list[LineageDataset]:
        """What was written, for lineage; here, the folder of the workflow in a store.

        :param source: the result.
        :param landed: what :meth:`land` has returned.
        """
        from airflow_provider_amc.landing.lineage import column_types, folder_of

        columns = column_types(source.execution)
        return [folder_of(landed["manifest"], columns=columns, rows=landed["rows"], size=landed["bytes"])]

    def target_hook(self) -> BaseHook | None:
        """The hook that the targets were written with; ``None`` when it tells Airflow itself what it has written."""
        return None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """The result of the workflow or query in, the targets out."""
        from airflow_provider_amc.landing.facets import operator_lineage
        from airflow_provider_amc.landing.lineage import result_of

        namespace = self.hook.lineage_namespace
        if self._landed is None:
            return operator_lineage(namespace, inputs=[])
        source, landed = self._landed
        return operator_lineage(
            namespace,
            inputs=[result_of(namespace, source.execution, None)],
            outputs=self.targets(source, landed),
            execution=source.execution,
            loss=source.meter.loss if source.meter is not None else None,
        )

    def _tell_airflow(self, context: Context, source: ResultSource, landed: Mapping[str, Any]) -> None:
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        from airflow_provider_amc.landing.lineage import result_of

        facts = execution_facts(source.execution, source.instance_id)
        loss = {"hidden_share": source.meter.loss.hidden_share} if source.meter is not None else {}
        describe_outlets(context, self.outlets, {**facts, **landed, **loss})
        try:
            collector = get_hook_lineage_collector()
            if type(collector).__name__ == "NoOpCollector":
                # Nobody listens, and it can take a question to the database to tell the name of a table.
                return
            result = result_of(self.hook.lineage_namespace, source.execution, None)
            collector.add_input_asset(context=self.hook, uri=result.uri)
            hook = self.target_hook()
            for target in self.targets(source, landed) if hook is not None else ():
                collector.add_output_asset(context=hook, uri=target.uri)
        except Exception as error:
            # The result has landed; a task that fails here would land it again.
            self.log.warning("Airflow could not be told what was written: %s", type(error).__name__)

    def _tell_loss(self, source: ResultSource) -> dict[str, Any]:
        if source.meter is None:
            return {}
        loss = source.meter.loss
        for line in loss.lines():
            self.log.info("Privacy: %s", line)
        return {"privacy": loss.as_dict()}

    def landed(self, landing: Landing, place: str) -> dict[str, Any]:
        """Log what has landed in a store, and describe it for XCom.

        :param landing: what has landed.
        :param place: under which name the address of the folder goes there.
        """
        self.log.info(
            "Landed AMC execution %s: %s rows in %s files, %s bytes; manifest %s",
            self.workflow_execution_id,
            landing.rows,
            len(landing.files),
            landing.bytes,
            landing.manifest,
        )
        return {
            "manifest": landing.manifest,
            place: landing.address,
            "files": len(landing.files),
            "rows": landing.rows,
            "bytes": landing.bytes,
        }

    def check_arguments(self) -> None:
        """Check the rendered arguments, before anything is asked of AMC.

        :raises AmcError: an argument is wrong.
        """

    def land(self, source: ResultSource) -> dict[str, Any]:
        """Land a result, and log it.

        :param source: the result.
        :returns: a small dictionary for XCom.
        """
        raise NotImplementedError
