"""Link from a task to its workflow execution in the AMC console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_amc.client import AmcClient

#: XCom key of what the link is made of.
XCOM_KEY = "amc_execution"

_CONSOLE = "https://advertising.amazon.com/marketing-cloud"


class AmcWorkflowExecutionLink(BaseOperatorLink):
    """Open the AMC console at the instance of the execution.

    Amazon publishes no address of a single execution, so the link carries the ids as query parameters: the console
    opens on the account, and the execution id is at hand to search for.
    """

    name = "AMC console"

    @staticmethod
    def persist(context: Context, client: AmcClient, instance_id: str | None, workflow_execution_id: str) -> None:
        """Keep what the link needs, right after the execution was created so that it is there while the task waits."""
        ti = context.get("ti")
        if ti is None:
            # A test that calls execute({}) has no task instance.
            return
        ti.xcom_push(
            key=XCOM_KEY,
            value={
                "workflow_execution_id": workflow_execution_id,
                "instance_id": instance_id or client.instance_id,
                "account_id": client.account_id,
                "base_url": client.base_url,
            },
        )

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address for one task instance, empty while it has no execution."""
        values: dict[str, Any] | None = XCom.get_value(key=XCOM_KEY, ti_key=ti_key)
        if not values:
            return ""
        if values.get("base_url"):
            # Not Amazon: an emulator or a proxy, which has no console. Show the execution itself.
            instance, execution = quote(str(values["instance_id"])), quote(str(values["workflow_execution_id"]))
            return f"{values['base_url']}/amc/reporting/{instance}/workflowExecutions/{execution}"
        query = {
            "entityId": values.get("account_id"),
            "instanceId": values.get("instance_id"),
            "workflowExecutionId": values.get("workflow_execution_id"),
        }
        return f"{_CONSOLE}?{urlencode({key: value for key, value in query.items() if value})}"
