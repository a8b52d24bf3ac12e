"""DAGs of one task each that a real Airflow runs; the connection of each of them is named like the DAG."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.sdk import DAG

from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.windows import last_days

METRICS = ("impressions", "total_cost")


def sql(metric: str) -> str:
    """A query over one metric."""
    return f"SELECT campaign, SUM({metric}) AS total FROM dsp_impressions GROUP BY campaign"


class DyingOperator(AmcExecuteWorkflowOperator):
    """The worker dies on the first try.

    :param dies_at: ``defer``: after AMC has accepted the execution, before Airflow knows that the task waits;
        ``resume``: after the wait.
    """

    def __init__(self, *, dies_at: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dies_at = dies_at
        self.is_first_try = False

    def execute(self, context: Any) -> str:
        self.is_first_try = context["ti"].try_number == 1
        return super().execute(context)

    def defer(self, **kwargs: Any) -> None:  # type: ignore[override]
        self._die("defer")
        super().defer(**kwargs)

    def execute_complete(self, context: Any, event: Any = None, query: str | None = None) -> str:
        self.is_first_try = context["ti"].try_number == 1
        self._die("resume")
        return super().execute_complete(context, event, query)

    def _die(self, where: str) -> None:
        if self.is_first_try and self.dies_at == where:
            if not AIRFLOW_V_3_1_PLUS:
                raise RuntimeError("Airflow 3.0 does not try a task again whose process was killed.")
            os.kill(os.getpid(), signal.SIGKILL)


def dag(name: str) -> DAG:
    """A DAG that runs when it is told to."""
    return DAG(name, schedule=None, start_date=datetime(2026, 1, 1), catchup=False)


def arguments(name: str, **others: Any) -> dict[str, Any]:
    """Arguments of the task of a DAG."""
    common = {"task_id": "query", "amc_conn_id": name, "window": last_days(7), "deferrable": True}
    return {**common, "retries": 0, **others}


for name in ("waits", "marked_failed", "cleared", "triggerer_restarted"):
    with dag(name):
        AmcExecuteWorkflowOperator(sql=sql("impressions"), **arguments(name))

with dag("on_worker"):
    AmcExecuteWorkflowOperator(sql=sql("impressions"), **arguments("on_worker", deferrable=False))

for dies_at in ("defer", "resume"):
    name = f"dies_at_{dies_at}"
    with dag(name):
        DyingOperator(
            sql=sql("impressions"), dies_at=dies_at, **arguments(name, retries=1, retry_delay=timedelta(seconds=1))
        )

with dag("mapped"):
    AmcExecuteWorkflowOperator.partial(**arguments("mapped")).expand(sql=[sql(metric) for metric in METRICS])
