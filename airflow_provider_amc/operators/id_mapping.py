"""Operators for id mapping tables, which lead from an advertiser's ids to AMC's users in a collaboration of AWS Clean Rooms.

Facts: AMC API documentation, "AMC on AWS Clean Rooms", and the OpenAPI file of the administration API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcNotFoundError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.task_run import TaskRun
from airflow_provider_amc.operators.waiting import AmcWaitingOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.collaborations import IdMappingRequest, IdMappingTable

#: The clocks of AMC and of the worker may differ by so much.
_CLOCK_MARGIN = timedelta(minutes=15)


class AmcIdMappingOperator(AmcWaitingOperator):
    """Base of the operators that wait until an id mapping table is filled."""

    def filled(self, context: Context, table_id: str, job: Mapping[str, str]) -> str:
        """Wait for the job that fills a table, if the task is to wait.

        :param context: Airflow's context.
        :param table_id: the table.
        :param job: what names its job, ``job_id`` or ``tracking_id``; nothing stands for the latest.
        :returns: the table's id.
        """
        if not self.wait_for_completion:
            return table_id
        names = {"id_mapping_table_id": table_id, **job, "instance_id": self.client.instance_id or ""}
        result: str = self.wait_for(context, "id mapping job", names, table_id)
        return result

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Tell log and XCom (``metrics``) how many records are mapped."""
        from airflow_provider_amc.client.progress import id_mapping_job_id

        job_id = id_mapping_job_id(self.client, names)
        found = None if job_id is None else self.client.collaborations.get_id_mapping_job(str(result), job_id)
        metrics = {} if found is None else dict(found.metrics)
        self.log.info("AMC id mapping table %s is filled: %s", result, metrics or "AMC tells no metrics")
        context["ti"].xcom_push(key="metrics", value=metrics)
        return result

    def job_of(self, request: IdMappingRequest) -> dict[str, str]:
        """What names the job that a request has begun.

        :param request: AMC's answer to it.
        """
        if request.job_id is not None:
            return {"job_id": request.job_id}
        return {} if request.tracking_id is None else {"tracking_id": request.tracking_id}


class AmcCreateIdMappingTableOperator(AmcIdMappingOperator):
    """Create an id mapping table and wait until it is filled.

    A table of that name that is there already is taken, whose first job may have been begun by an earlier try.

    :param table_name: letters, digits and underscores. (templated)
    :param source_id_namespace_arn: the id namespace of AWS Entity Resolution that it maps. (templated)
    :param if_exists: what to do when the name is taken: ``skip`` waits until that table is filled and returns its id,
        ``fail`` fails the task, unless an earlier try of it made the table. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the table's id. The metrics of the job are in the XCom ``metrics``.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcAlreadyExistsError: the name is taken and ``if_exists`` is ``fail``.
    :raises AmcInvalidRequestError: AMC refuses, for example as the namespace is connected with another table.
    :raises AmcResourceFailedError: AMC could not fill it; the message has its reason.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = ("table_name", "source_id_namespace_arn", *AmcBaseOperator.template_fields)

    def __init__(
        self, *, table_name: str, source_id_namespace_arn: str, if_exists: str = "skip", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if if_exists not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_exists must be skip or fail, got {if_exists!r}.")
        self.table_name = table_name
        self.source_id_namespace_arn = source_id_namespace_arn
        self.if_exists = if_exists

    def execute(self, context: Context) -> str:
        """Create the table, or find it."""
        task = TaskRun.of(context)
        table = self._found()
        if table is None:
            try:
                request = self.client.collaborations.create_id_mapping_table(
                    self.table_name, source_id_namespace_arn=self.source_id_namespace_arn
                )
            except AmcUnknownOutcomeError:
                table = self._found()
                if table is None:
                    raise
            else:
                known = request.table.id if request.table is not None else ""
                self.log.info("AMC id mapping table %s (%s) is being filled", known, self.table_name)
                return self.filled(context, known, self.job_of(request))
        elif self.if_exists == "fail" and not _may_be_of(task, table):
            raise AmcAlreadyExistsError(f"There is an id mapping table {self.table_name} already: {table.id}.")
        self.log.info("AMC id mapping table %s is named %s already", table.id, self.table_name)
        if table.queryable and self.wait_for_completion:
            names = {"id_mapping_table_id": table.id}
            return str(self.concluded(context, "id mapping job", names, table.id))
        return self.filled(context, table.id, {})

    def _found(self) -> IdMappingTable | None:
        tables = self.client.collaborations.id_mapping_tables()
        return next((one for one in tables if one.name == self.table_name), None)


class AmcRefreshIdMappingTableOperator(AmcIdMappingOperator):
    """Fill an id mapping table anew and wait. AMC takes one refresh in 14 days.

    A retry goes on with the job that has been begun since its DAG run began.

    :param id_mapping_table_id: the table. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the table's id. The metrics of the job are in the XCom ``metrics``.
    :raises AmcInvalidRequestError: AMC refuses: it was refreshed within the last 14 days.
    :raises AmcNotFoundError: there is no such table.
    :raises AmcResourceFailedError: AMC could not fill it; the message has its reason.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = ("id_mapping_table_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, id_mapping_table_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.id_mapping_table_id = id_mapping_table_id

    def execute(self, context: Context) -> str:
        """Refresh the table, unless an earlier try has."""
        task, known = TaskRun.of(context), self.id_mapping_table_id
        if task.is_retry:
            since = task.since - _CLOCK_MARGIN
            for job in self.client.collaborations.id_mapping_jobs(known):
                if job.start_time is not None and job.start_time >= since and job.status != "FAILED":
                    self.log.info("AMC job %s was begun by an earlier try of this task: going on with it", job.job_id)
                    return self.filled(context, known, {"job_id": job.job_id})
        begun = self.job_of(self.client.collaborations.refresh_id_mapping_table(known))
        self.log.info("AMC id mapping table %s is being filled anew", known)
        return self.filled(context, known, begun)


class AmcListIdMappingTablesOperator(AmcBaseOperator):
    """List the id mapping tables of an instance, for tasks that are mapped over them.

    :param queryable_only: leave out those that are not filled yet. Default: ``False``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: for each table ``id``, ``name``, ``queryable`` and ``update_time``.
    """

    def __init__(self, *, queryable_only: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.queryable_only = queryable_only

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the tables."""
        found = [
            {
                "id": table.id,
                "name": table.name,
                "queryable": table.queryable,
                "update_time": table.update_time.isoformat() if table.update_time else None,
            }
            for table in self.client.collaborations.id_mapping_tables()
            if table.queryable or not self.queryable_only
        ]
        self.log.info("AMC instance %s has %s id mapping tables", self.client.instance_id, len(found))
        return found


class AmcDeleteIdMappingTableOperator(AmcBaseOperator):
    """Delete an id mapping table; its namespace can be mapped anew then.

    :param id_mapping_table_id: the table. (templated)
    :param if_missing: ``skip`` succeeds when there is no such table, ``fail`` fails. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :raises AmcNotFoundError: there is no such table and ``if_missing`` is ``fail``.
    """

    template_fields: Sequence[str] = ("id_mapping_table_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, id_mapping_table_id: str, if_missing: str = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_missing not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_missing must be skip or fail, got {if_missing!r}.")
        self.id_mapping_table_id = id_mapping_table_id
        self.if_missing = if_missing

    def execute(self, context: Context) -> None:
        """Delete the table."""
        try:
            self.client.collaborations.delete_id_mapping_table(self.id_mapping_table_id)
        except AmcNotFoundError:
            if self.if_missing == "fail":
                raise
            self.log.info("There is no AMC id mapping table %s to delete", self.id_mapping_table_id)
        else:
            self.log.info("AMC id mapping table %s deleted", self.id_mapping_table_id)


def _may_be_of(task: TaskRun, table: IdMappingTable) -> bool:
    """Whether an earlier try may have made a table."""
    created = table.create_time
    return task.is_retry and (created is None or created >= task.since - _CLOCK_MARGIN)
