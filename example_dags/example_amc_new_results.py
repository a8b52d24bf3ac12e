"""Land the result of every execution of a workflow that finishes, whoever has started it.

An asset watcher gives an event for each of them; the DAG has no schedule of its own. Needs Airflow 3: on Airflow 2,
which has no asset watchers, this file has no DAG. Connections: ``amc_default`` (type ``amc``) and ``aws_default``.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
from airflow_provider_amc.triggers.event import AmcExecutionFinishedTrigger

if AIRFLOW_V_3_0_PLUS:
    from airflow.sdk import DAG, Asset, AssetWatcher, task

    new_result = AmcExecutionFinishedTrigger(
        workflow_id="campaign_reach",
        poll_interval=float(os.environ.get("AMC_EXAMPLE_POLL_SECONDS", "60")),
    )
    campaign_reach = Asset(
        "amc_campaign_reach",
        watchers=[AssetWatcher(name="new_result", trigger=new_result)],
    )

    with DAG(
        dag_id="example_amc_new_results",
        description="The result of every execution of a workflow, in S3",
        schedule=[campaign_reach],
        start_date=datetime(2026, 1, 1),
        catchup=False,
        default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
        tags=["amc", "example"],
    ) as dag:

        @task
        def executions(triggering_asset_events: Any = None) -> list[str]:
            """Ids of the executions: Airflow may start one run for several events."""
            found = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
            return [payload["workflow_execution_id"] for payload in found]

        AmcToS3Operator.partial(
            task_id="land_in_s3",
            s3_bucket=os.environ.get("AMC_EXAMPLE_BUCKET", "amc-results"),
            s3_prefix="amc",
        ).expand(workflow_execution_id=executions())
