"""Saved workflows (AMC reporting API).

Source: AMC API documentation, "Create workflow", and the OpenAPI file of the workflow API.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_amc.client.fields import unwrap
from airflow_provider_amc.client.models import Workflow
from airflow_provider_amc.client.paging import items, page_size
from airflow_provider_amc.client.transport import WORKFLOWS, Transport
from airflow_provider_amc.client.validation import check_id, is_blank, path
from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcNotFoundError, AmcValidationError

_PRIVACY = ("REMOVE_ROWS", "REMOVE_VALUES")
_MAX_COLUMNS = 100


def workflow_definition(
    *,
    sql_query: str,
    workflow_id: str | None = None,
    input_parameters: Sequence[Mapping[str, Any]] | None = None,
    input_schema: str | None = None,
    output_columns: Sequence[Mapping[str, Any]] | None = None,
    output_format: Mapping[str, Any] | None = None,
    privacy_filtering_behavior: str | None = None,
    filtered_metrics_discriminator_column: str | None = None,
    distinct_user_count_column: str | None = None,
    filtered_reason_column: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the object that AMC calls a workflow, for a saved one or to run ad hoc.

    :param sql_query: AMC SQL.
    :param workflow_id: its id: letters, digits, ``.``, ``-``, ``_``.
    :param input_parameters: parameters the SQL uses, each with ``name``, ``dataType``, and where wanted
        ``defaultValue``, ``columnType``, ``description``.
    :param input_schema: schema of unqualified table names, such as ``sandbox``.
    :param output_columns: columns the SQL has to give; AMC refuses the workflow when it does not.
    :param output_format: ``separatorCharacter``, ``quoteCharacter``, ``escapeCharacter`` of the CSV.
    :param privacy_filtering_behavior: ``REMOVE_ROWS`` or ``REMOVE_VALUES``: what happens to a row below the privacy
        threshold.
    :param filtered_metrics_discriminator_column: name of an extra boolean column that marks rows with hidden values.
    :param distinct_user_count_column: name of an extra column with the number of users (in the guide only).
    :param filtered_reason_column: name of an extra column that says why a row was filtered (in the guide only).
    :param extra: further fields by AMC's names; they win over the ones above.
    :return: the object by AMC's field names, without the fields that are ``None``.
    :raises AmcValidationError: for empty SQL or a value AMC is documented not to take.
    """
    if is_blank(sql_query):
        raise AmcValidationError("sql_query is empty: a workflow needs AMC SQL.")
    if privacy_filtering_behavior is not None and privacy_filtering_behavior not in _PRIVACY:
        raise AmcValidationError(
            f"privacy_filtering_behavior must be one of {', '.join(_PRIVACY)}, got {privacy_filtering_behavior!r}."
        )
    fields: dict[str, Any] = {
        "workflowId": None if workflow_id is None else check_id(workflow_id, "workflow_id"),
        "sqlQuery": sql_query,
        "inputParameters": _objects(input_parameters, "input_parameters"),
        "inputSchema": input_schema,
        "outputColumns": _objects(output_columns, "output_columns"),
        "outputFormat": None if output_format is None else dict(output_format),
        "privacyFilteringBehavior": privacy_filtering_behavior,
        "filteredMetricsDiscriminatorColumn": filtered_metrics_discriminator_column,
        "distinctUserCountColumn": distinct_user_count_column,
        "filteredReasonColumn": filtered_reason_column,
    }
    return {**{name: value for name, value in fields.items() if value is not None}, **(extra or {})}


def _objects(values: Sequence[Mapping[str, Any]] | None, field: str) -> builtins.list[dict[str, Any]] | None:
    if values is None:
        return None
    if isinstance(values, (str, bytes, Mapping)) or not all(isinstance(value, Mapping) for value in values):
        raise AmcValidationError(f"{field} must be a list of objects with AMC's field names, each with a name.")
    if len(values) > _MAX_COLUMNS:
        raise AmcValidationError(f"{field}: AMC takes at most {_MAX_COLUMNS}, got {len(values)}.")
    missing = [index for index, value in enumerate(values) if not value.get("name")]
    if missing:
        raise AmcValidationError(f"{field}[{missing[0]}] has no name.")
    return [dict(value) for value in values]


class Workflows:
    """``client.workflows``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "reporting", self._transport.instance(instance_id), "workflows", *segments)

    def list(self, instance_id: str | None = None, *, limit: int | None = None) -> Iterator[Workflow]:
        """List the saved workflows.

        :param instance_id: default the client's own.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        address, size = self._path(instance_id), page_size(limit)

        def fetch(token: str | None) -> dict[str, Any]:
            return self._transport.call("GET", address, media_type=WORKFLOWS, query={"nextToken": token, "limit": size})

        return map(Workflow.from_api, items(fetch, "workflows"))

    def get(self, workflow_id: str, instance_id: str | None = None) -> Workflow:
        """Get a workflow.

        :param workflow_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path(instance_id, check_id(workflow_id, "workflow_id"))
        data = self._transport.call("GET", address, media_type=WORKFLOWS)
        return Workflow.from_api(self._transport.whole(unwrap(data, "workflow", "workflowId"), "workflowId", address))

    def create(
        self,
        workflow_id: str,
        *,
        sql_query: str,
        input_parameters: Sequence[Mapping[str, Any]] | None = None,
        input_schema: str | None = None,
        output_columns: Sequence[Mapping[str, Any]] | None = None,
        output_format: Mapping[str, Any] | None = None,
        privacy_filtering_behavior: str | None = None,
        filtered_metrics_discriminator_column: str | None = None,
        distinct_user_count_column: str | None = None,
        filtered_reason_column: str | None = None,
        extra: Mapping[str, Any] | None = None,
        instance_id: str | None = None,
    ) -> None:
        """Save a new workflow. AMC compiles it first. For the parameters see :func:`workflow_definition`.

        :param instance_id: default the client's own.
        :raises AmcAlreadyExistsError: when the id is taken.
        :raises AmcInvalidRequestError: when the SQL does not compile; ``details`` has AMC's words.
        """
        definition = workflow_definition(
            workflow_id=workflow_id,
            sql_query=sql_query,
            input_parameters=input_parameters,
            input_schema=input_schema,
            output_columns=output_columns,
            output_format=output_format,
            privacy_filtering_behavior=privacy_filtering_behavior,
            filtered_metrics_discriminator_column=filtered_metrics_discriminator_column,
            distinct_user_count_column=distinct_user_count_column,
            filtered_reason_column=filtered_reason_column,
            extra=extra,
        )
        try:
            self._transport.call("POST", self._path(instance_id), media_type=WORKFLOWS, body=definition)
        except AmcAlreadyExistsError as error:
            # It can be ours, if the answer to an earlier attempt of this very call was lost.
            if not error.answer_lost or not self._is_ours(definition, instance_id):
                raise

    def _is_ours(self, definition: Mapping[str, Any], instance_id: str | None) -> bool:
        found = self.get(definition["workflowId"], instance_id)
        # White space is compared loosely: a service may tidy it up.
        return (found.sql_query or "").split() == str(definition.get("sqlQuery", "")).split()

    def update(
        self,
        workflow_id: str,
        *,
        sql_query: str,
        input_parameters: Sequence[Mapping[str, Any]] | None = None,
        input_schema: str | None = None,
        output_columns: Sequence[Mapping[str, Any]] | None = None,
        output_format: Mapping[str, Any] | None = None,
        privacy_filtering_behavior: str | None = None,
        filtered_metrics_discriminator_column: str | None = None,
        distinct_user_count_column: str | None = None,
        filtered_reason_column: str | None = None,
        extra: Mapping[str, Any] | None = None,
        instance_id: str | None = None,
    ) -> None:
        """Replace a workflow as a whole: what is not given is gone. Parameters as of :meth:`create`.

        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        :raises AmcInvalidRequestError: when the SQL does not compile.
        """
        definition = workflow_definition(
            workflow_id=workflow_id,
            sql_query=sql_query,
            input_parameters=input_parameters,
            input_schema=input_schema,
            output_columns=output_columns,
            output_format=output_format,
            privacy_filtering_behavior=privacy_filtering_behavior,
            filtered_metrics_discriminator_column=filtered_metrics_discriminator_column,
            distinct_user_count_column=distinct_user_count_column,
            filtered_reason_column=filtered_reason_column,
            extra=extra,
        )
        address = self._path(instance_id, definition["workflowId"])
        self._transport.call("PUT", address, media_type=WORKFLOWS, body=definition)

    def delete(self, workflow_id: str, instance_id: str | None = None) -> None:
        """Delete a workflow. AMC refuses while a schedule uses it.

        :param workflow_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path(instance_id, check_id(workflow_id, "workflow_id"))
        try:
            self._transport.call("DELETE", address, media_type=WORKFLOWS)
        except AmcNotFoundError as error:
            if not error.answer_lost:
                raise
