"""Create an AMC instance, put advertisers into it, and run its first query.

Started by hand, once for each client of an agency. Creating an instance takes minutes and adding advertisers too; both
are waited for in the triggerer. A second run with the same name goes on with the instance that is there. Connection:
``amc_default`` (type ``amc``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

# airflow.providers.common.compat.sdk has these names for Airflow 2.11 and 3; on Airflow 3 alone, use airflow.sdk.
from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.instance import AmcCreateInstanceOperator, AmcUpdateAdvertisersOperator
from airflow_provider_amc.windows import last_days

with DAG(
    dag_id="example_amc_new_instance",
    description="A new AMC instance with its advertisers and a first query",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "instance_name": Param("Spring reports", type="string", description="3 to 50 letters, digits and spaces"),
        "advertisers": Param(
            [
                {"id": "580000000000000001", "type": "DISPLAY"},
                {"id": "ENTITYEMULATORADS", "type": "SPONSORED_ADS", "marketplaceId": "ATVPDKIKX0DER"},
            ],
            type="array",
            description="Advertisers of the instance by AMC's names",
        ),
    },
    tags=["amc", "example"],
) as dag:

    @task
    def advertisers(params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """The advertisers as a list; a template would make a text of it."""
        return list((params or {})["advertisers"])

    create_instance = AmcCreateInstanceOperator(
        task_id="create_instance",
        instance_name="{{ params.instance_name }}",
        deferrable=True,
    )
    # Ten advertisers an update, one update after another, however many there are.
    add_advertisers = AmcUpdateAdvertisersOperator(
        task_id="add_advertisers",
        instance_id=create_instance.output,
        add=advertisers(),
        deferrable=True,
    )
    first_query = AmcExecuteWorkflowOperator(
        task_id="first_query",
        instance_id=create_instance.output,
        sql="sql/campaign_reach.sql",
        window=last_days(7),
        deferrable=True,
    )

    add_advertisers >> first_query
