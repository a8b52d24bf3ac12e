"""The parts of a workflow definition that a user may set, the same for saved workflows and ad-hoc queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_amc.exceptions import AmcValidationError

#: Arguments of the operators that are fields of AMC's Workflow object.
DEFINITION_FIELDS = (
    "input_parameters",
    "input_schema",
    "output_columns",
    "privacy_filtering_behavior",
    "filtered_metrics_discriminator_column",
    "distinct_user_count_column",
    "filtered_reason_column",
)


class WorkflowDefinitionMixin:
    """Arguments that describe a workflow beside its query (AMC API documentation, "Create workflow").

    :param input_parameters: parameters the query reads with ``CUSTOM_PARAMETER``; each a mapping with ``name``,
        ``dataType``, and optionally ``defaultValue``, ``columnType``, ``description``. (templated)
    :param input_schema: schema of unqualified tables, such as ``sandbox``. (templated)
    :param output_columns: columns the query must give, each with ``name``, ``dataType``, ``columnType``; AMC refuses
        the query if they differ. (templated)
    :param privacy_filtering_behavior: ``REMOVE_ROWS`` or ``REMOVE_VALUES``: what happens to a row with too few users.
        (templated)
    :param filtered_metrics_discriminator_column: name of an extra column that marks filtered rows. (templated)
    :param distinct_user_count_column: name of an extra column with the number of users. (templated)
    :param filtered_reason_column: name of an extra column that says why a row was filtered. (templated)
    """

    template_fields: Sequence[str] = DEFINITION_FIELDS

    input_parameters: Sequence[Mapping[str, Any]] | None
    input_schema: str | None
    output_columns: Sequence[Mapping[str, Any]] | None
    privacy_filtering_behavior: str | None
    filtered_metrics_discriminator_column: str | None
    distinct_user_count_column: str | None
    filtered_reason_column: str | None

    def definition(self) -> dict[str, Any]:
        """Return the fields that are set, under their names in Python."""
        return {name: getattr(self, name) for name in DEFINITION_FIELDS if getattr(self, name) is not None}


def rendered_sql(sql: str | None) -> str:
    """Put a rendered query on one line, as AMC wants it, without its comments.

    :raises AmcValidationError: the query is empty, or a literal or comment in it has no end.
    """
    from airflow_provider_amc.sql.one_line import one_line

    if not sql or not sql.strip():
        raise AmcValidationError(
            "The SQL is empty after rendering. If it comes from a file, check its name and that the file has content."
        )
    return one_line(sql)


def warn_of_merged_rows(log: Any, sql: str | None, discriminator: str | None) -> None:
    """Tell, before a query runs, which of its columns will be wrong in the rows that AMC merges.

    :param log: logger of the task.
    :param sql: the query, with the line breaks that its author sees.
    :param discriminator: its ``filteredMetricsDiscriminatorColumn``; without one, AMC merges no rows.
    """
    if not sql or not discriminator:
        return
    from airflow_provider_amc.sql.lint import merged_rows

    try:
        findings = merged_rows(sql)
    except Exception as error:
        # Advice is not worth a run.
        log.info("The query could not be looked through for columns that AMC cannot add up: %s", type(error).__name__)
        return
    for finding in findings:
        log.warning(
            "AMC adds up the rows that it merges, and %s: do not use it where %s is true. A ratio or an average can be "
            "computed from its parts after the load",
            finding,
            discriminator,
        )
