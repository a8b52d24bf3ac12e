from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_amc.client import AmcClient, Credentials
from airflow_provider_amc.links.execution import XCOM_KEY, AmcWorkflowExecutionLink
from tests.tasks import task_context


def link_of(mocker: Any, value: dict[str, Any] | None) -> str:
    mocker.patch.object(XCom, "get_value", return_value=value)
    return AmcWorkflowExecutionLink().get_link(SimpleNamespace(), ti_key=SimpleNamespace())  # type: ignore[arg-type]


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:8600"])
def test_link(mocker: Any, base_url: str | None) -> None:
    client = AmcClient(
        Credentials("id", "secret", "refresh"), account_id="ENTITY1", instance_id="amc1", base_url=base_url
    )
    context = task_context()
    AmcWorkflowExecutionLink.persist(context, client, None, "11-22")  # type: ignore[arg-type]
    link = link_of(mocker, context["ti"].xcoms[XCOM_KEY])
    if base_url:
        assert link == f"{base_url}/amc/reporting/amc1/workflowExecutions/11-22"
    else:
        console = "https://advertising.amazon.com/marketing-cloud"
        assert link == f"{console}?entityId=ENTITY1&instanceId=amc1&workflowExecutionId=11-22"
    assert "secret" not in str(context["ti"].xcoms)


def test_no_link_before_there_is_an_execution(mocker: Any) -> None:
    assert link_of(mocker, None) == ""


def test_context_without_a_task_instance_is_no_error() -> None:
    """As in a user's unit test of an operator."""
    client = AmcClient(Credentials("id", "secret", "refresh"), instance_id="amc1")
    AmcWorkflowExecutionLink.persist({}, client, None, "11-22")  # type: ignore[typeddict-item]
