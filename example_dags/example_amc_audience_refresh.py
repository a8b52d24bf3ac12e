"""Make a rule-based audience of last month's viewers, but only when it is large enough for AMC.

The size is counted first with the tables of reports, because AMC itself tells it hours later. Connection: ``amc_default``
(type ``amc``).
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

# airflow.providers.common.compat.sdk has these names for Airflow 2.11 and 3; on Airflow 3 alone, use airflow.sdk.
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_amc.operators.audience import AmcCheckAudienceSizeOperator, AmcCreateAudienceOperator
from airflow_provider_amc.windows import last_days

#: The day that the run is due. Runs of Airflow 2 have no run_after.
DAY = "{{ (dag_run.run_after | default(dag_run.data_interval_end)).date() }}"

with DAG(
    dag_id="example_amc_audience_refresh",
    description="A rule-based audience of people who saw an ad, when there are enough of them",
    schedule="0 5 * * 1",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["amc", "example"],
) as dag:
    enough_people = AmcCheckAudienceSizeOperator(
        task_id="enough_people",
        sql="sql/recent_viewers.sql",
        window=last_days(30),
        fewest=int(os.environ.get("AMC_EXAMPLE_FEWEST_USERS", "2500")),
        # Too few people are no failure: the audience of last week stays.
        on_misfit="skip",
        deferrable=True,
    )

    make_audience = AmcCreateAudienceOperator(
        task_id="make_audience",
        advertiser_id=os.environ.get("AMC_EXAMPLE_ADVERTISER", "580000000000000001"),
        audience_name=f"Recent viewers {DAY}",
        audience_description="People who saw an ad within 30 days",
        sql="sql/recent_viewers.sql",
        window=last_days(30),
        refresh_rate_days=7,
        time_window_relative=True,
        deferrable=True,
    )

    enough_people >> make_audience
