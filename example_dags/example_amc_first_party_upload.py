"""Upload an advertiser's customers to AMC, hashed, report how many of them AMC knows, and land the report in a table.

The file holds e-mail addresses and postal codes as people wrote them; nothing raw leaves the worker's memory. Connections:
``amc_default`` (type ``amc``, with the scope ``advertising::audiences``), ``aws_default`` and ``warehouse_default``.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

# airflow.providers.common.compat.sdk has these names for Airflow 2.11 and 3; on Airflow 3 alone, use airflow.sdk.
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator
from airflow_provider_amc.transfers.s3_to_amc import S3ToAmcOperator

#: The columns of the file, as AMC names their kinds. Those with a kind of identity are normalised and hashed.
COLUMNS = [
    {"name": "email", "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": {"hashedPii": "EMAIL"}},
    {"name": "postcode", "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": {"hashedPii": "ZIP"}},
    {"name": "loyalty_level", "dataType": "STRING", "columnType": "DIMENSION"},
]

with DAG(
    dag_id="example_amc_first_party_upload",
    description="An advertiser's customers in AMC, and how many of them are matched",
    schedule="0 4 1 * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["amc", "example"],
) as dag:
    upload_customers = S3ToAmcOperator(
        task_id="upload_customers",
        data_set_id="loyalty_customers",
        columns=COLUMNS,
        s3_bucket=os.environ.get("AMC_EXAMPLE_BUCKET", "amc-results"),
        s3_key="customers/customers.csv",
        country_code="US",
        update_strategy="FULL_REPLACE",
        deferrable=True,
    )

    count_matches = AmcExecuteWorkflowOperator(
        task_id="count_matches",
        sql="sql/match_report.sql",
        # Rows without a time of their own belong to every window.
        time_window_type="MOST_RECENT_DAY",
        deferrable=True,
    )

    load_report = AmcToSqlOperator(
        task_id="load_report",
        workflow_execution_id=count_matches.output,
        conn_id="warehouse_default",
        table="customer_matches",
        workflow_name="match_report",
    )

    upload_customers >> count_matches >> load_report
