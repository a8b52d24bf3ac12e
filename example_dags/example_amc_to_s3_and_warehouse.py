"""Save a query in AMC, run it over the last seven days, land the result in S3 and load it into a table.

Connections: ``amc_default`` (type ``amc``), ``aws_default`` and ``warehouse_default`` (DuckDB, PostgreSQL or any other
SQL database). The bucket is named by the environment variable ``AMC_EXAMPLE_BUCKET``.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

# airflow.providers.common.compat.sdk has these names for Airflow 2.11 and 3; on Airflow 3 alone, use airflow.sdk.
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.workflow import AmcCreateWorkflowOperator
from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator
from airflow_provider_amc.windows import last_days

with DAG(
    dag_id="example_amc_to_s3_and_warehouse",
    description="An AMC query, from a file in git to a warehouse table",
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["amc", "example"],
) as dag:
    create_workflow = AmcCreateWorkflowOperator(
        task_id="create_workflow",
        workflow_id="campaign_reach",
        sql="sql/campaign_reach.sql",
    )
    run_workflow = AmcExecuteWorkflowOperator(
        task_id="run_workflow",
        workflow_id=create_workflow.output,
        window=last_days(7),
        deferrable=True,
    )
    land_in_s3 = AmcToS3Operator(
        task_id="land_in_s3",
        workflow_execution_id=run_workflow.output,
        s3_bucket=os.environ.get("AMC_EXAMPLE_BUCKET", "amc-results"),
        s3_prefix="amc",
    )
    load_into_table = AmcToSqlOperator(
        task_id="load_into_table",
        workflow_execution_id=run_workflow.output,
        conn_id="warehouse_default",
        table="campaign_reach",
    )

    run_workflow >> land_in_s3 >> load_into_table
