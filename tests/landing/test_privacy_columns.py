from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client.models import Execution, Workflow
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError
from airflow_provider_amc.landing.privacy_columns import PrivacyColumns, share_of

SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"
OWN = [("campaign", "STRING"), ("impressions", "LONG")]
FILTERED, USERS, WHY = ("filtered", "BOOLEAN"), ("users", "LONG"), ("why", "STRING")


def execution(*columns: tuple[str, str], sql: str | None = SQL, **fields: Any) -> Execution:
    listed = [{"name": name, "dataType": kind, "columnType": "DIMENSION"} for name, kind in columns]
    return Execution.from_api({"workflowExecutionId": "e", "outputColumns": listed, "sqlQuery": sql, **fields})


def not_asked() -> Workflow | None:
    raise AssertionError("The saved workflow is not needed.")


def found(execution: Execution, **workflow: Any) -> PrivacyColumns:
    return PrivacyColumns.of(execution, lambda: Workflow.from_api({"workflowId": "w", **workflow}))


def test_columns_behind_those_of_the_query() -> None:
    assert PrivacyColumns.of(execution(*OWN), not_asked) == PrivacyColumns()
    assert PrivacyColumns.of(execution(*OWN, FILTERED), not_asked) == PrivacyColumns("filtered")
    everything = PrivacyColumns.of(execution(*OWN, FILTERED, USERS, WHY), not_asked)
    assert everything == PrivacyColumns("filtered", "users", "why")
    assert everything.names == ("filtered", "users", "why")


def test_query_with_such_columns_of_its_own() -> None:
    sql = "SELECT a = 'x' AS filtered, COUNT(*) AS users, reason AS why FROM t GROUP BY 1, 3"
    assert PrivacyColumns.of(execution(FILTERED, USERS, WHY, sql=sql), not_asked) == PrivacyColumns()


def test_reason_of_a_saved_workflow() -> None:
    """Whether its rows stay is known to the workflow alone."""
    result = execution(*OWN, WHY)
    kept = found(result, filteredReasonColumn="why", privacyFilteringBehavior="REMOVE_VALUES")
    assert (kept.reason, kept.tell_loss, kept.doubt) == ("why", True, None)
    assert not found(result, filteredReasonColumn="why").tell_loss
    # Of a query that ran ad hoc nobody can tell, and it is taken for what it says.
    unknown = PrivacyColumns.of(result, lambda: None)
    assert unknown.tell_loss
    assert "Rows that AMC has removed as a whole are not counted" in str(unknown.doubt)
    assert PrivacyColumns("filtered").doubt is None
    assert PrivacyColumns().doubt is None


def test_sql_that_does_not_tell() -> None:
    result = execution(*OWN, FILTERED, sql="SELECT * FROM uploaded")
    assert found(result, filteredMetricsDiscriminatorColumn="filtered") == PrivacyColumns("filtered", rows_stay=False)
    assert found(execution(*OWN, FILTERED, sql=None), filteredMetricsDiscriminatorColumn="filtered").tell_loss
    # The workflow was changed since: what the result does not have tells nothing.
    assert not found(execution(*OWN, sql=None), filteredMetricsDiscriminatorColumn="filtered").tell_loss
    assert PrivacyColumns.of(result, lambda: None) == PrivacyColumns()


def test_columns_that_amc_never_appends() -> None:
    assert PrivacyColumns.of(execution(*OWN, ("x", "DOUBLE")), lambda: None) == PrivacyColumns()
    assert PrivacyColumns.of(execution(*OWN, WHY, ("y", "STRING")), lambda: None) == PrivacyColumns()


def test_run_without_privacy_controls() -> None:
    result = execution(*OWN, FILTERED, disableAggregationControls=True)
    assert PrivacyColumns.of(result, not_asked) == PrivacyColumns()


def test_limit_that_nothing_can_keep() -> None:
    with pytest.raises(AmcConfigurationError, match="the result has no column that tells it") as caught:
        PrivacyColumns().require_tell_loss()
    assert "filtered_metrics_discriminator_column" in str(caught.value)
    with pytest.raises(AmcConfigurationError, match="of the rows that AMC removes, users and why tells nothing"):
        PrivacyColumns(None, "users", "why", rows_stay=False).require_tell_loss()
    PrivacyColumns("filtered", rows_stay=False).require_tell_loss()


@pytest.mark.parametrize(
    ("value", "share"), [(None, None), ("", None), ("None", None), (0, 0.0), (1, 1.0), ("0.05", 0.05)]
)
def test_share(value: Any, share: float | None) -> None:
    assert share_of(value) == share


@pytest.mark.parametrize("value", [1.5, -0.1, "5%", "nan", True, [0.5]])
def test_what_is_no_share(value: Any) -> None:
    with pytest.raises(
        AmcValidationError, match=r"max_hidden_share must be a number from 0 to 1, such as 0.05 for 5 %"
    ):
        share_of(value)
