from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.client.models import Execution
from airflow_provider_amc.exceptions import (
    AmcExecutionCancelledError,
    AmcExecutionError,
    AmcExecutionFailedError,
    AmcExecutionRejectedError,
    AmcNotReadyError,
    AmcValidationError,
)
from airflow_provider_amc.landing.origin import failure_of, is_ad_hoc, require_result, workflow_label


def execution(status: str = "SUCCEEDED", **fields: Any) -> Execution:
    return Execution.from_api({"workflowExecutionId": "e-1", "workflowId": "reach", "status": status, **fields})


class TestLabel:
    def test_saved_workflow(self) -> None:
        assert workflow_label(execution(), "dag.task") == "reach"
        assert not is_ad_hoc(execution())

    @pytest.mark.parametrize("name", ["a", "My.flow-1_x"])
    def test_name_of_the_user_wins(self, name: str) -> None:
        assert workflow_label(execution(parameterValues={"n": "1"}), "dag.task", name) == name

    @pytest.mark.parametrize("name", ["a b", "a/b", "a=b", "ä", "..\n", "a\\b", "{{ x }}"])
    def test_name_that_would_break_a_key(self, name: str) -> None:
        with pytest.raises(AmcValidationError, match=r"workflow_name .* may hold letters, digits"):
            workflow_label(execution(), "dag.task", name)

    @pytest.mark.parametrize("workflow_id", [None, "", "transient_123"])
    def test_query_of_the_dag_has_the_name_of_its_task(self, workflow_id: str | None) -> None:
        run = execution(workflowId=workflow_id)
        assert is_ad_hoc(run)
        assert workflow_label(run, "dag.task") == "dag.task"

    @pytest.mark.parametrize("workflow_id", ["reach", "transient_123"])
    def test_runs_with_other_parameters_have_other_names(self, workflow_id: str) -> None:
        def label(**values: Any) -> str:
            return workflow_label(execution(workflowId=workflow_id, parameterValues=values), "dag.task")

        assert label(brand="a", days="7") == label(days="7", brand="a")
        assert len({label(), label(brand="a"), label(brand="b"), label(brand=["a"])}) == 4
        assert label(brand="a").startswith(label())


class TestFailure:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ("FAILED", AmcExecutionFailedError),
            ("REJECTED", AmcExecutionRejectedError),
            ("CANCELLED", AmcExecutionCancelledError),
        ],
    )
    def test_says_why_and_what(self, status: str, kind: type[AmcExecutionError]) -> None:
        error = failure_of(execution(status, statusReason="Privacy budget is used up."), "SELECT 1")
        assert type(error) is kind
        assert str(error) == f"AMC execution e-1 ended as {status}: Privacy budget is used up.\nQuery: SELECT 1"
        assert (error.workflow_execution_id, error.status, error.status_reason) == (
            "e-1", status, "Privacy budget is used up.",
        )  # fmt: skip

    def test_no_reason_and_a_long_query(self) -> None:
        text = str(failure_of(execution("FAILED", workflow={"sqlQuery": "x" * 5000})))
        assert "AMC gave no reason." in text
        assert text.endswith("x…")
        assert len(text) < 4200


class TestRequireResult:
    def test_succeeded(self) -> None:
        require_result(execution("SUCCEEDED"))

    @pytest.mark.parametrize("status", ["FAILED", "REJECTED", "CANCELLED"])
    def test_ended_without(self, status: str) -> None:
        with pytest.raises(AmcExecutionError, match=f"ended as {status}"):
            require_result(execution(status))

    @pytest.mark.parametrize("status", ["PENDING", "RUNNING", "PUBLISHING", "SOMETHING_NEW"])
    def test_not_ready(self, status: str) -> None:
        with pytest.raises(AmcNotReadyError, match=f"e-1 is {status}: it has no result yet. Wait for it"):
            require_result(execution(status))
