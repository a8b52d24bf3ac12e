"""The run of a task, and the key under which it submits to AMC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

if TYPE_CHECKING:
    from airflow_provider_amc.client.run_key import RunKey


#: Which executions of earlier tries a task goes on with, see :meth:`TaskRun.identity`.
REATTACH = ("retry", "always", "never")

#: How far back executions of earlier tries are looked for when Airflow has forgotten when the run first began. AMC keeps
#: one waiting for a day at most, and lets it run for another.
_MEMORY = timedelta(days=7)


def deployment_name() -> str:
    """Name of this Airflow deployment: ``[amc] deployment_name``, else the base URL of its server."""
    from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

    server = "api" if AIRFLOW_V_3_0_PLUS else "webserver"
    for section, option in (("amc", "deployment_name"), (server, "base_url")):
        name = str(conf.get(section, option, fallback="") or "").strip()
        if name:
            return name
    return "airflow"


def has_name_of_its_own() -> bool:
    """Does the deployment have a name, and not the address that every Airflow has by default?"""
    name = deployment_name()
    return name != "airflow" and "://localhost" not in name


@dataclass(frozen=True)
class TaskRun:
    """One try of one task instance.

    :param dag_id: its DAG.
    :param task_id: its task.
    :param map_index: its number among mapped task instances, -1 for none.
    :param run_id: its DAG run.
    :param try_number: number of the try, from 1.
    :param max_tries: last try before the task fails for good; Airflow raises it when the task is cleared, not when it
        is tried again.
    :param since: when the DAG run began; no execution that matters to it is older.
    """

    dag_id: str
    task_id: str
    map_index: int
    run_id: str
    try_number: int
    max_tries: int
    since: datetime

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> TaskRun:
        """The try that a context belongs to."""
        ti, dag_run = context["ti"], context["dag_run"]
        now = datetime.now(UTC)
        since = getattr(dag_run, "start_date", None) or getattr(ti, "start_date", None) or now
        due = getattr(dag_run, "run_after", None) or getattr(dag_run, "logical_date", None)
        if int(ti.try_number) > 1 and due is not None:
            # A run that had finished gets a new start when one of its tasks is cleared.
            since = min(since, max(due, now - _MEMORY))
        return cls(
            dag_id=str(ti.dag_id),
            task_id=str(ti.task_id),
            map_index=-1 if ti.map_index is None else int(ti.map_index),
            run_id=str(ti.run_id),
            try_number=int(ti.try_number),
            max_tries=int(ti.max_tries),
            since=min(since, now),
        )

    @property
    def is_retry(self) -> bool:
        """Is it not the very first try of the task instance?"""
        return self.try_number > 1

    def is_first_after_clear(self, retries: int | None) -> bool:
        """Is it the try that began because somebody cleared the task?

        :param retries: retries of the task.
        """
        return self.is_retry and self.try_number == self.max_tries - (retries or 0) + 1

    def identity(self, reattach: str) -> list[Any]:
        """What tells the runs of this task instance apart that must not share an execution.

        :param reattach: ``retry``: all tries until the task is cleared share one; ``always``: those before a clear
            too; ``never``: each try has its own.
        """
        generation = {"retry": f"clear {self.max_tries}", "always": "", "never": f"try {self.try_number}"}[reattach]
        return [self.dag_id, self.task_id, self.map_index, self.run_id, generation]

    def abandoned(self, reattach: str) -> list[RunKey]:
        """Keys of the earlier tries whose executions this one does not go on with. Only their task parts mean something.

        :param reattach: see :meth:`identity`.
        """
        earlier = {
            "retry": [replace(self, max_tries=number) for number in range(self.max_tries)],
            "always": [],
            "never": [replace(self, try_number=number) for number in range(1, self.try_number)],
        }
        return [run.key(reattach, None) for run in earlier[reattach]]

    def key(self, reattach: str, request: object, *, detached: bool = False) -> RunKey:
        """The key of a run.

        :param reattach: see :meth:`identity`.
        :param request: what is asked for.
        :param detached: will nobody wait for it?
        """
        from airflow_provider_amc.client.run_key import RunKey

        return RunKey.of(deployment_name(), self.identity(reattach), request, detached=detached)


def run_prefix(staging_prefix: str, what: str, task: TaskRun, owner: str | None) -> str:
    """Key prefix under which a run of a task keeps what it has sent; its tries share it until the task is cleared.

    :param staging_prefix: key prefix of everything that is kept.
    :param what: what is sent.
    :param task: the try.
    :param owner: whose it is: an instance, an audience.
    """
    from airflow_provider_amc.client.run_key import digest

    # Deployments may share a bucket, and names of DAGs and runs, too.
    return f"{staging_prefix.strip('/')}/{what}/{digest([deployment_name(), *task.identity('retry'), owner], 16)}/"
