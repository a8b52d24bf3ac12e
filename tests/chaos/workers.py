"""The try of a task: a process that runs the operator, and that dies or is told to stop anywhere."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.windows import TimeWindow
from tests.chaos.history import Task, Work
from tests.chaos.process import Died, Process
from tests.chaos.world import START, World
from tests.tasks import FakeTaskInstance

if TYPE_CHECKING:
    from tests.chaos.airflow import TaskInstance

QUERY = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions WHERE impressions > {} GROUP BY campaign"
WORKFLOW = "weekly"
WINDOW = TimeWindow("EXPLICIT", "2026-03-02T00:00:00", "2026-03-09T00:00:00")

#: Seconds from SIGTERM to SIGKILL: of Airflow's supervisor when a user ends the task, and of a machine that shuts down.
_USER_GRACE = 5.0
_MACHINE_GRACE = 30.0


class Terminated(BaseException):
    """What Airflow 2 raises in a task after SIGTERM."""


class Store:
    """The task state store: what is written to it outlives the process."""

    def __init__(self, kept: dict[str, Any], process: Process) -> None:
        self._kept, self._process = kept, process

    def get(self, key: str) -> Any:
        self._process.step("before the store is read")
        return self._kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self._process.step("before the store is written")
        self._kept[key] = json.loads(json.dumps(value))
        self._process.step("after the store was written")


def operator_of(task: Task, task_id: str, variant: int) -> AmcExecuteWorkflowOperator:
    """The operator as a worker finds it in the DAG file."""
    arguments: dict[str, Any] = {"workflow_id": WORKFLOW} if task.saved else {"sql": QUERY.format(variant)}
    if task.own_limit:
        arguments["workflow_execution_timeout_seconds"] = 20000
    return AmcExecuteWorkflowOperator(
        task_id=task_id,
        window=WINDOW,
        deferrable=task.deferrable,
        reattach=task.reattach,
        retries=task.retries,
        retry_delay=task.retry_delay,
        timeout=task.timeout,
        cancel_on_kill=task.cancel_on_kill,
        wait_for_completion=task.wait,
        poll_interval=30,
        **arguments,
    )


class Try:
    """A worker's process. After :meth:`run` it says what Airflow learns of it.

    :param world: where.
    :param instance: whose.
    :param plan: what befalls it.
    """

    def __init__(self, world: World, instance: TaskInstance, plan: Work) -> None:
        self._world, self._instance, self.task = world, instance, instance.task
        self.operator = operator_of(instance.task, instance.task_id, instance.variant)
        self.process = Process(f"try {instance.try_number} of {instance.name}")
        if plan.step:
            self.process.deeds[plan.step] = lambda: self._befall(plan)
        #: ``deferred``, ``success``, ``error``, ``final error``, ``dead``
        self.outcome = ""
        self.result: Any = None
        self.error: BaseException | None = None
        self.deferral: TaskDeferred | None = None
        #: What a user, or the machine, asked for while it ran.
        self.asked: str | None = None
        #: When ``on_kill`` was called, and whether the operator had begun by then to look for its execution.
        self.told_at: float | None = None
        self.was_submitting = False
        self.killed_in_grace = False

    def run(self, resume: tuple[str, dict[str, Any]] | None = None) -> None:
        """Run the operator.

        :param resume: method and arguments after a wait.
        """
        before, self._world.process = self._world.process, self.process
        self._world.counts["tries"] += 1
        try:
            context = self._context()
            if resume is None:
                self.result = self.operator.execute(context)
            else:
                method, arguments = resume
                self.result = getattr(self.operator, method)(context, **arguments)
            # Airflow hears of it
            self.process.step("before Airflow knows the result")
            self.outcome = "success"
        except TaskDeferred as deferral:
            self._defer(deferral)
        except AirflowFailException as error:
            self._fail("final error", error)
        except Exception as error:
            self._fail("error", error)
        except Terminated:
            self._fail("error", None)
        except Died:
            self.outcome = "dead"
        finally:
            self._world.process = before

    def _defer(self, deferral: TaskDeferred) -> None:
        try:
            self.process.step("before Airflow knows that it waits")
        except (Died, Terminated):
            self.outcome = "dead"
        else:
            self.outcome, self.deferral = "deferred", deferral

    def _fail(self, outcome: str, error: Exception | None) -> None:
        self.outcome, self.error = outcome, error

    def _context(self) -> dict[str, Any]:
        instance = self._instance
        ti = FakeTaskInstance(
            task_id=instance.task_id,
            map_index=instance.map_index,
            try_number=instance.try_number,
            max_tries=instance.max_tries,
        )
        ti.xcom_push = lambda key, value, **_: self.process.step("before the link is kept")  # type: ignore[method-assign]
        run_after = datetime.fromtimestamp(START - 3600, UTC)
        dag_run = SimpleNamespace(run_after=run_after, run_type="scheduled", start_date=instance.run.start_date)
        context: dict[str, Any] = {"ti": ti, "dag_run": dag_run}
        if instance.task.logical_date:
            context["logical_date"] = dag_run.logical_date = run_after
        if instance.run.modern:
            context["task_state_store"] = Store(instance.store, self.process)
        return context

    def _befall(self, plan: Work) -> None:
        self._world.counts[f"{plan.deed} {self.process.place}"] += 1
        self._world.tell(f"    {self.process.name}: {plan.deed} at the place: {self.process.place}")
        if plan.deed == "kill":
            self.process.die()
        self.asked, self.told_at = plan.deed, time.time()
        grace = _MACHINE_GRACE if plan.deed == "stop" else _USER_GRACE
        self.process.dies_at = time.time() + grace
        self.was_submitting = self.operator._submission is not None
        if plan.then_kill:
            self.process.deeds[self.process.steps + plan.then_kill] = self._kill_in_grace
        self.operator.on_kill()
        if not self._instance.run.modern:
            raise Terminated

    def _kill_in_grace(self) -> None:
        self.killed_in_grace = True
        self.process.die()
