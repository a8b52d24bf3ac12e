"""Operators for rule-based and lookalike audiences: queries whose users become an audience in Amazon DSP.

Facts: AMC API documentation, "Rule-based audiences".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_amc.exceptions import (
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcResourceFailedError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from airflow_provider_amc.operators.audience_facts import (
    FEWEST_USERS,
    LOOKALIKE_SEED,
    audience_facts,
    check_audience_tables,
    told_future,
)
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.definition import rendered_sql
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.task_run import TaskRun
from airflow_provider_amc.operators.waiting import AmcWaitingOperator
from airflow_provider_amc.windows import TimeWindow, Window, moments_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.audiences import Audience

#: The clocks of AMC and of the worker may differ by so much.
_CLOCK_MARGIN = timedelta(minutes=15)


class AmcAudienceOperator(AmcWaitingOperator):
    """Base of the operators that wait for a rule-based or lookalike audience."""

    def waited_for(self, context: Context, audience: Audience) -> str:
        """Wait for an audience, if the task is to wait.

        :param context: Airflow's context.
        :param audience: the audience.
        :returns: the audience execution id.
        """
        known = audience.audience_execution_id
        self.log.info("AMC audience %s (%s) is %s", known, audience.audience_name, audience.status)
        if not self.wait_for_completion:
            return known
        names = {"audience_execution_id": known, "instance_id": self.client.instance_id or ""}
        result: str = self.wait_for(context, "audience", names, known)
        return result

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Tell log and XCom how large the audience is, and when it is refreshed or deactivated."""
        facts = audience_facts(self.client.audiences.get(str(result)))
        members = facts["audience_count"]
        self.log.info(
            "AMC audience %s has %s members; DSP audience %s; %s",
            result,
            "an unknown number of" if members is None else f"{members:,}",
            facts["dsp_audience_id"] or "unknown",
            told_future(facts),
        )
        context["ti"].xcom_push(key="audience", value=facts)
        return result


class AmcCreateAudienceOperator(AmcAudienceOperator):
    """Create a rule-based or lookalike audience and wait until it is in Amazon DSP.

    A second request would make a second audience, so a retry looks for the one that the try before it has asked for.

    :param advertiser_id: advertiser that may target it. (templated)
    :param audience_name: its name; DSP shows it with ``AMC`` in front. (templated)
    :param sql: AMC SQL that selects ``user_id`` from tables ``..._for_audiences``, or the name of a ``.sql`` file. Give
        this or ``workflow_id``. (templated)
    :param workflow_id: saved workflow with such a query. (templated)
    :param window: rule for the window of the events, such as ``last_days(30)``. Give this, or both of the following.
    :param time_window_start: first moment of the events; without an offset in UTC. (templated)
    :param time_window_end: first moment after them. (templated)
    :param audience_description: for people. (templated)
    :param refresh_rate_days: days between two refreshes: 0 (none) to 21, lookalike 7 to 21. AMC's default is 21.
        (templated)
    :param time_window_relative: move the window with each refresh.
    :param expected_reach: makes it a lookalike audience: ``MOST_SIMILAR``, ``SIMILAR``, ``BALANCED``, ``BROAD`` or
        ``MOST_BROAD``. (templated)
    :param advertiser_type: ``DISPLAY`` or ``SPONSORED_ADS``.
    :param input_parameters: declarations of the query's parameters. (templated)
    :param parameter_values: their values. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the audience execution id. The XCom ``audience`` has ``audience_count``, ``dsp_audience_id``,
        ``refresh_rate_days``, ``last_refreshed``, and ``next_refresh`` or ``deactivation``: the day on which AMC refreshes or
        deactivates it.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcResourceFailedError: AMC could not make it; the message has its reason.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = (
        "advertiser_id",
        "audience_name",
        "sql",
        "workflow_id",
        "time_window_start",
        "time_window_end",
        "audience_description",
        "refresh_rate_days",
        "expected_reach",
        "input_parameters",
        "parameter_values",
        *AmcBaseOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameter_values": "json", "input_parameters": "json"}

    def __init__(
        self,
        *,
        advertiser_id: str,
        audience_name: str,
        window: Window | TimeWindow | None = None,
        time_window_start: str | datetime | None = None,
        time_window_end: str | datetime | None = None,
        sql: str | None = None,
        workflow_id: str | None = None,
        audience_description: str | None = None,
        refresh_rate_days: int | str | None = None,
        time_window_relative: bool | None = None,
        expected_reach: str | None = None,
        advertiser_type: str | None = None,
        input_parameters: Sequence[Mapping[str, Any]] | None = None,
        parameter_values: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (sql is None) == (workflow_id is None):
            raise AmcValidationError(f"Task {self.task_id}: pass sql or workflow_id, one of them.")
        stated = [time_window_start, time_window_end]
        if (window is None and None in stated) or (window is not None and stated != [None, None]):
            raise AmcValidationError(
                f"Task {self.task_id}: pass window, or time_window_start and time_window_end, and not both."
            )
        self.advertiser_id = advertiser_id
        self.audience_name = audience_name
        self.window = window
        self.time_window_start = time_window_start
        self.time_window_end = time_window_end
        self.sql = sql
        self.workflow_id = workflow_id
        self.audience_description = audience_description
        self.refresh_rate_days = refresh_rate_days
        self.time_window_relative = time_window_relative
        self.expected_reach = expected_reach
        self.advertiser_type = advertiser_type
        self.input_parameters = input_parameters
        self.parameter_values = parameter_values

    def execute(self, context: Context) -> str:
        """Create the audience, or find what an earlier try has asked for."""
        request = self._request(context)
        task = TaskRun.of(context)
        audience = self._found(request, task) if task.is_retry else None
        if audience is None:
            try:
                audience = self.client.audiences.submit(request)
            except AmcUnknownOutcomeError:
                audience = self._found(request, task)
                if audience is None:
                    raise
        return self.waited_for(context, audience)

    def _request(self, context: Context) -> dict[str, Any]:
        from airflow_provider_amc.client.audiences import audience_request

        start, end = self._time_window(context)
        sql = None if self.sql is None else rendered_sql(self.sql)
        if sql is not None:
            check_audience_tables(sql)
        days = self.refresh_rate_days
        return audience_request(
            advertiser_id=self.advertiser_id,
            audience_name=self.audience_name,
            audience_description=self.audience_description,
            query=sql,
            workflow_id=self.workflow_id,
            time_window_start=start,
            time_window_end=end,
            time_window_relative=self.time_window_relative,
            refresh_rate_days=None if days is None or days == "" else int(days),
            expected_reach=self.expected_reach,
            advertiser_type=self.advertiser_type,
            input_parameters=self.input_parameters,
            parameter_values=self.parameter_values,
        )

    def _time_window(self, context: Context) -> tuple[datetime | str, datetime | str]:
        if self.window is None:
            return self.time_window_start or "", self.time_window_end or ""
        window = self.window if isinstance(self.window, TimeWindow) else self.window.resolve(context)
        if window.start is None or window.end is None:
            raise AmcValidationError(
                f"Task {self.task_id}: an audience needs a window with start and end, got {window}."
            )
        return moments_of(window)

    def _found(self, request: Mapping[str, Any], task: TaskRun) -> Audience | None:
        """The audience that this run of the task has asked for, unless it has failed."""
        since = task.since - _CLOCK_MARGIN
        for audience in self.client.audiences.list():
            same = all(
                audience.raw.get(name) == request.get(name)
                for name in ("advertiserId", "audienceName", "timeWindowStart", "timeWindowEnd")
            )
            query = audience.raw.get("query") == request.get("query") or "workflowId" in request
            new = audience.create_time is not None and audience.create_time >= since
            if same and query and new and audience.status not in ("FAILED", "DEACTIVATED"):
                self.log.info(
                    "AMC audience %s was asked for by an earlier try of this task: going on with it",
                    audience.audience_execution_id,
                )
                return audience
        return None


class AmcUpdateAudienceOperator(AmcAudienceOperator):
    """Change the query, window or parameters of an audience that has FAILED, and wait until it is in Amazon DSP.

    AMC takes no changes of others, and none of advertiser, name, description, type and reach. What is not given stays as it
    is, but the refresh: AMC sets the days between two refreshes to its default. A retry goes on with what the try before it
    has asked for.

    :param audience_execution_id: the audience. (templated)
    :param sql: AMC SQL that selects ``user_id`` from tables ``..._for_audiences``, or the name of a ``.sql`` file. (templated)
    :param workflow_id: saved workflow with such a query. (templated)
    :param time_window_start: first moment of the events; without an offset in UTC. (templated)
    :param time_window_end: first moment after them. (templated)
    :param time_window_relative: move the window with each refresh.
    :param input_parameters: declarations of the query's parameters. (templated)
    :param parameter_values: their values. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the audience execution id; see :class:`AmcCreateAudienceOperator` for the XCom ``audience``.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcNotFoundError: there is no such audience.
    :raises AmcInvalidRequestError: AMC refuses: the audience has not failed.
    :raises AmcResourceFailedError: AMC could not make it; the message has its reason.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = (
        "audience_execution_id",
        "sql",
        "workflow_id",
        "time_window_start",
        "time_window_end",
        "input_parameters",
        "parameter_values",
        *AmcBaseOperator.template_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameter_values": "json", "input_parameters": "json"}

    def __init__(
        self,
        *,
        audience_execution_id: str,
        sql: str | None = None,
        workflow_id: str | None = None,
        time_window_start: str | datetime | None = None,
        time_window_end: str | datetime | None = None,
        time_window_relative: bool | None = None,
        input_parameters: Sequence[Mapping[str, Any]] | None = None,
        parameter_values: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if sql is not None and workflow_id is not None:
            raise AmcValidationError(f"Task {self.task_id}: pass sql or workflow_id, not both.")
        self.audience_execution_id = audience_execution_id
        self.sql = sql
        self.workflow_id = workflow_id
        self.time_window_start = time_window_start
        self.time_window_end = time_window_end
        self.time_window_relative = time_window_relative
        self.input_parameters = input_parameters
        self.parameter_values = parameter_values

    def execute(self, context: Context) -> str:
        """Change the audience, unless an earlier try has."""
        audience = self.client.audiences.get(self.audience_execution_id)
        request = self._request(audience)
        asked = audience.status != "FAILED" and _is_asked_for(audience, request)
        if asked and TaskRun.of(context).is_retry:
            self.log.info("AMC audience %s was changed by an earlier try of this task", audience.audience_execution_id)
            return self.waited_for(context, audience)
        try:
            self.client.audiences.update(audience.audience_execution_id, request)
        except AmcInvalidRequestError as error:
            # An attempt of this very call whose answer was lost has begun it.
            audience = self.client.audiences.get(self.audience_execution_id)
            if not error.answer_lost or audience.status == "FAILED" or not _is_asked_for(audience, request):
                raise
        else:
            audience = self.client.audiences.get(self.audience_execution_id)
        return self.waited_for(context, audience)

    def _request(self, audience: Audience) -> dict[str, Any]:
        from airflow_provider_amc.client.audiences import audience_request

        sql = None if self.sql is None else rendered_sql(self.sql)
        if sql is not None:
            check_audience_tables(sql)
        workflow_id = self.workflow_id or (audience.workflow_id if sql is None else None)
        known = audience.raw
        relative = self.time_window_relative
        return audience_request(
            advertiser_id=audience.advertiser_id or "",
            audience_name=audience.audience_name or "",
            audience_description=audience.audience_description,
            query=None if workflow_id else sql or audience.query,
            workflow_id=workflow_id,
            time_window_start=self.time_window_start or str(known.get("timeWindowStart")),
            time_window_end=self.time_window_end or str(known.get("timeWindowEnd")),
            time_window_relative=audience.time_window_relative if relative is None else relative,
            expected_reach=audience.lookalike_audience_expected_reach,
            advertiser_type=audience.advertiser_type,
            input_parameters=known.get("inputParameters") if self.input_parameters is None else self.input_parameters,
            parameter_values=known.get("parameterValues") if self.parameter_values is None else self.parameter_values,
        )


def _is_asked_for(audience: Audience, request: Mapping[str, Any]) -> bool:
    """Has an audience the query, window and values of a request?"""
    same = ("timeWindowStart", "timeWindowEnd", "parameterValues")
    query = "workflowId" if "workflowId" in request else "query"
    return all((audience.raw.get(name) or None) == (request.get(name) or None) for name in (*same, query))


class AmcDeleteAudienceOperator(AmcBaseOperator):
    """Delete a rule-based or lookalike audience that has FAILED; AMC refuses it for others.

    :param audience_execution_id: the audience. (templated)
    :param if_missing: ``skip`` succeeds when there is no such audience, ``fail`` fails. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :raises AmcInvalidRequestError: AMC refuses, with its reason.
    """

    template_fields: Sequence[str] = ("audience_execution_id", *AmcBaseOperator.template_fields)

    def __init__(self, *, audience_execution_id: str, if_missing: str = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_missing not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_missing must be skip or fail, got {if_missing!r}.")
        self.audience_execution_id = audience_execution_id
        self.if_missing = if_missing

    def execute(self, context: Context) -> None:
        """Delete the audience."""
        try:
            self.client.audiences.delete(self.audience_execution_id)
        except AmcNotFoundError:
            if self.if_missing == "fail":
                raise
            self.log.info("There is no AMC audience %s to delete", self.audience_execution_id)
        else:
            self.log.info("AMC audience %s deleted", self.audience_execution_id)


class AmcCheckAudienceSizeOperator(AmcExecuteWorkflowOperator):
    """Count the users of an audience's query before the audience is made, with the tables of reports.

    AMC counts an audience only when it makes it, hours later; the tables of reports hold the same events. A count too
    small to be shown (AMC's aggregation threshold) counts as none.

    :param sql: the audience's query, or the name of a ``.sql`` file. (templated)
    :param fewest: fewest users. Default: 2000, AMC's own border; with ``lookalike`` 500.
    :param most: most users. Default: none; with ``lookalike`` 500000.
    :param lookalike: is the query the seed of a lookalike audience? Default: ``False``.
    :param on_misfit: ``fail`` fails the task when the count lies outside, ``skip`` skips it and what follows. Default:
        ``fail``.
    :returns: the workflow execution id; the number of users is in the XCom ``users``.
    :raises AmcResourceFailedError: there are too few users, or too many.

    See :class:`~airflow_provider_amc.operators.execution.AmcExecuteWorkflowOperator` for the other arguments.
    """

    def __init__(
        self,
        *,
        sql: str,
        fewest: int | None = None,
        most: int | None = None,
        lookalike: bool = False,
        on_misfit: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(sql=sql, **kwargs)
        if on_misfit not in ("fail", "skip"):
            raise AmcValidationError(f"Task {self.task_id}: on_misfit must be fail or skip, got {on_misfit!r}.")
        if not self.wait_for_completion or self.validate_only:
            raise AmcValidationError(f"Task {self.task_id}: there is no count without waiting for a real run.")
        self.fewest = fewest
        self.most = most
        self.lookalike = lookalike
        self.on_misfit = on_misfit

    def execute(self, context: Context) -> str:
        """Run the count."""
        from airflow_provider_amc.sql.audience import counting_query

        query = rendered_sql(self.sql)
        check_audience_tables(query)
        self.sql = counting_query(query)
        return self._judged(context, super().execute(context))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None, query: str | None = None) -> str:
        """Go on after the wait in the triggerer."""
        return self._judged(context, super().execute_complete(context, event, query))

    def _judged(self, context: Context, execution_id: str) -> str:
        counted = self.hook.get_df(execution_id)["users"].dropna().tolist()
        users = int(counted[0]) if counted else 0
        context["ti"].xcom_push(key="users", value=users)
        fewest = self.fewest if self.fewest is not None else LOOKALIKE_SEED[0] if self.lookalike else FEWEST_USERS
        most = self.most if self.most is not None else LOOKALIKE_SEED[1] if self.lookalike else None
        self.log.info("The query of the audience finds %s users", f"{users:,}")
        if fewest <= users <= (users if most is None else most):
            return execution_id
        border = f"{fewest:,} at least" if users < fewest else f"{most:,} at most"
        message = f"The query of the audience finds {users:,} users, and {border} are needed. No audience was made."
        if self.on_misfit == "skip":
            raise AirflowSkipException(message)
        raise AmcResourceFailedError(message)
