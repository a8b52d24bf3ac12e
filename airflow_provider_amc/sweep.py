"""Executions that run on with nobody waiting for them.

An execution is this Airflow's when the key behind its SQL was made under the deployment's name, and it is stray when no
task instance that is queued, running, waiting or about to be tried again has such a key. Runs of saved workflows carry
no key; runs that were started with ``wait_for_completion=False`` are meant to be left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_amc.client.run_key import RunKey
from airflow_provider_amc.operators.task_run import REATTACH, TaskRun, deployment_name

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution

#: States of task instances that wait for their execution, or will look for it when they are tried again.
_WAITING = (
    "scheduled", "queued", "running", "restarting", "deferred", "up_for_retry", "up_for_reschedule",
)  # fmt: skip


def waiting_keys() -> frozenset[tuple[str, str]]:
    """Deployment and task part of every key that a waiting task instance may have, from Airflow's metadata database."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    columns = ("dag_id", "task_id", "map_index", "run_id", "try_number", "max_tries")
    query = select(*(getattr(TaskInstance, name) for name in columns)).where(TaskInstance.state.in_(_WAITING))
    keys: set[tuple[str, str]] = set()
    with create_session() as session:
        for row in session.execute(query):
            task = TaskRun(**dict(zip(columns, row, strict=True)), since=datetime.now(UTC))
            for reattach in REATTACH:
                key = task.key(reattach, None)
                keys.add((key.deployment, key.task))
    return frozenset(keys)


def stray_executions(client: AmcClient, *, hours: float) -> Iterator[Execution]:
    """Active executions of this Airflow that no task instance waits for, oldest first.

    :param client: client of the instance.
    :param hours: how far back to look.
    """
    since = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(hours=hours)
    # In this order: a task that begins to wait in between has an execution that is not listed here.
    listed = list(client.executions.list(min_creation_time=since, include_workflow=True))
    waiting = waiting_keys()
    own = RunKey.of(deployment_name(), None, None).deployment
    for execution in reversed(listed):
        key = RunKey.read(execution.sql_query)
        if execution.is_finished or key is None or key.deployment != own or key.detached:
            continue
        if (key.deployment, key.task) not in waiting:
            yield execution
