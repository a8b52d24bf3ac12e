"""A nightly report: one query on every AMC instance of the account, each result in S3 and all of them in one table.

Dynamic task mapping starts one execution an instance; they wait in the triggerer, so that hundreds of them hold no
worker. Connections: ``amc_default`` (type ``amc``), ``aws_default`` and ``warehouse_default``.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

# airflow.providers.common.compat.sdk has these names for Airflow 2.11 and 3; on Airflow 3 alone, use airflow.sdk.
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator
from airflow_provider_amc.windows import last_days

with DAG(
    dag_id="example_amc_many_instances",
    description="A nightly report on all AMC instances of an account",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["amc", "example"],
) as dag:

    @task
    def list_instances() -> list[str]:
        """Ids of the instances that hold real data and are ready."""
        from airflow_provider_amc.hooks.amc import AmcHook

        instances = AmcHook("amc_default").get_conn().instances.list()
        return sorted(found.instance_id for found in instances if found.is_ready and not found.is_sandbox)

    @task
    def pair(instances: list[str], executions: list[str]) -> list[dict[str, str]]:
        """Which execution ran on which instance: mapped tasks give their results in the order of their input."""
        return [
            {"instance_id": instance_id, "workflow_execution_id": execution_id}
            for instance_id, execution_id in zip(instances, executions, strict=True)
        ]

    instances = list_instances()
    run_query = AmcExecuteWorkflowOperator.partial(
        task_id="run_query",
        sql="sql/campaign_reach.sql",
        window=last_days(7),
        deferrable=True,
        # AMC runs ten executions of an instance at a time; this bounds the calls, not the instances.
        max_active_tis_per_dagrun=50,
    ).expand(instance_id=instances)

    results = pair(instances, run_query.output)

    land_in_s3 = AmcToS3Operator.partial(
        task_id="land_in_s3",
        s3_bucket=os.environ.get("AMC_EXAMPLE_BUCKET", "amc-results"),
        # Keeps the results of different instances apart.
        s3_prefix="amc/instance={{ task.instance_id }}",
        workflow_name="campaign_reach",
    ).expand_kwargs(results)

    # The table holds the rows of all instances; each load replaces those of its own instance and window.
    load_into_table = AmcToSqlOperator.partial(
        task_id="load_into_table",
        conn_id="warehouse_default",
        table="campaign_reach_by_instance",
        workflow_name="campaign_reach",
    ).expand_kwargs(results)

    land_in_s3 >> load_into_table
