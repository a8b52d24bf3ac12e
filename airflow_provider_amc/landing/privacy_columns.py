"""Which columns of a result tell what AMC has hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import Execution, OutputColumn, Workflow

#: Which appended column it is, by the type that AMC gives it.
_KINDS = {"BOOLEAN": "discriminator", "LONG": "user_count", "INTEGER": "user_count", "STRING": "reason"}


@dataclass(frozen=True)
class PrivacyColumns:
    """The columns that AMC has appended to a result; ``None`` for those that it has not.

    :param discriminator: ``filteredMetricsDiscriminatorColumn``.
    :param user_count: ``distinctUserCountColumn``.
    :param reason: ``filteredReasonColumn``.
    :param rows_stay: does AMC keep the rows that lose values (``REMOVE_VALUES``)? ``None`` when nobody can tell: of a query
        that ran ad hoc, AMC shows the SQL and no more.
    """

    discriminator: str | None = None
    user_count: str | None = None
    reason: str | None = None
    rows_stay: bool | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns there are."""
        return tuple(name for name in (self.discriminator, self.user_count, self.reason) if name is not None)

    @property
    def tell_loss(self) -> bool:
        """Do they tell what is hidden? Of rows that were removed as a whole, nothing can."""
        return self.discriminator is not None or (bool(self.names) and self.rows_stay is not False)

    @property
    def doubt(self) -> str | None:
        """What the numbers may leave out, as a sentence."""
        if self.discriminator is not None or self.rows_stay or not self.names:
            return None
        return (
            "Rows that AMC has removed as a whole are not counted: AMC does not tell whether the query ran with "
            "privacy_filtering_behavior='REMOVE_VALUES', which keeps them"
        )

    @classmethod
    def of(cls, execution: Execution, fetch_workflow: Callable[[], Workflow | None]) -> PrivacyColumns:
        """Find the columns of an execution.

        AMC shows the SQL of an execution, but not the other fields of its workflow. What it has appended are the output
        columns behind those of the query, and their types tell them apart. What cannot be seen so is looked up in the
        saved workflow, if there is one.

        :param execution: an execution that has succeeded, with its SQL if AMC gave it.
        :param fetch_workflow: looks up the saved workflow; gives ``None`` when there is none.
        """
        from airflow_provider_amc.sql.outputs import output_names

        if str(execution.raw.get("disableAggregationControls")).lower() == "true":
            return cls()
        own = output_names(execution.sql_query) if execution.sql_query else None
        found = None if own is None else cls._appended(execution.output_columns[len(own) :])
        if found is not None and (found.discriminator is not None or not found.names):
            return found
        workflow = fetch_workflow()
        if workflow is None:
            return found or cls()
        present = {column.name: column.name for column in execution.output_columns}
        return cls(
            present.get(workflow.filtered_metrics_discriminator_column or ""),
            present.get(workflow.distinct_user_count_column or ""),
            present.get(workflow.filtered_reason_column or ""),
            rows_stay=workflow.privacy_filtering_behavior == "REMOVE_VALUES",
        )

    @classmethod
    def _appended(cls, columns: Sequence[OutputColumn]) -> PrivacyColumns | None:
        named = {_KINDS.get(str(column.data_type).upper(), ""): column.name for column in columns}
        if "" in named or len(named) != len(columns):
            return None
        return cls(named.get("discriminator"), named.get("user_count"), named.get("reason"))

    def require_tell_loss(self) -> None:
        """Check that a limit on what is hidden can be kept.

        :raises AmcConfigurationError: nothing in the result tells what is hidden.
        """
        if self.tell_loss:
            return
        why = (
            f"of the rows that AMC removes, {' and '.join(self.names)} tells nothing"
            if self.names
            else "the result has no column that tells it"
        )
        raise AmcConfigurationError(
            f"max_hidden_share is set, but {why}. Give the workflow filtered_metrics_discriminator_column, or "
            "privacy_filtering_behavior='REMOVE_VALUES' with filtered_reason_column or distinct_user_count_column. "
            "Nothing was read."
        )


def share_of(value: object) -> float | None:
    """Read ``max_hidden_share``, which may be the text of a template.

    :param value: a number from 0 to 1, or its text; ``None`` and an empty text mean that there is no limit.
    :raises AmcValidationError: it is something else.
    """
    if value is None or value == "" or str(value) == "None":
        return None
    try:
        share = float(str(value))
    except ValueError:
        share = -1.0
    if isinstance(value, bool) or not 0 <= share <= 1:
        raise AmcValidationError(f"max_hidden_share must be a number from 0 to 1, such as 0.05 for 5 %, got {value!r}.")
    return share
