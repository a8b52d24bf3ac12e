"""Airflow and its users, as far as they decide what becomes of a task: states, retries, clears, deferrals, the sweep."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from airflow_provider_amc import sweep
from airflow_provider_amc.exceptions import AmcError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.task_run import TaskRun
from tests.chaos.history import History, Task, Work
from tests.chaos.process import Process
from tests.chaos.triggerer import Triggerer
from tests.chaos.workers import QUERY, WINDOW, WORKFLOW, Try
from tests.chaos.world import World
from tests.tasks import FakeTaskInstance

FINAL = ("success", "failed")
#: Queries that a DAG author, or the owner of the workflow, switches between.
_VARIANTS = 3


@dataclass
class Ending:
    """How the last process that had to do with a task, or its wait, ended.

    :param by: ``try``, ``user`` (ended the wait) or ``airflow`` (ended the wait, which took too long).
    :param attempt: the try.
    :param triggerer: the triggerer at that time, ``None`` if there was none.
    :param since: when the end began.
    """

    by: str
    attempt: Try | None = None
    triggerer: Process | None = None
    since: float = 0.0


@dataclass
class TaskInstance:
    """A task instance as Airflow's database has it."""

    run: Run
    number: int
    task: Task
    state: str = "queued"
    try_number: int = 0
    max_tries: int = 0
    #: How often it was cleared while it did not run.
    cleared: int = 0
    variant: int = 0
    store: dict[str, Any] = field(default_factory=dict)
    #: Method and arguments of the worker after a wait.
    resume: tuple[str, dict[str, Any]] | None = None
    #: The wait: class and arguments of the trigger as JSON, and when Airflow ends it.
    trigger: str | None = None
    times_out_at: float = 0.0
    returned: str | None = None
    #: Did a user say how it ended?
    marked: bool = False
    ending: Ending = field(default_factory=lambda: Ending("try"))

    @property
    def task_id(self) -> str:
        return "mapped" if self.task.mapped else f"task_{self.number}"

    @property
    def map_index(self) -> int:
        return self.number if self.task.mapped else -1

    @property
    def name(self) -> str:
        return f"task {self.number}"

    @property
    def request(self) -> tuple[str, int]:
        """What a try would ask for now."""
        return ("saved", self.run.workflow_version) if self.task.saved else ("sql", self.variant)

    def generation(self, try_number: int) -> tuple[Any, ...]:
        """What the tries have in common that are to share an execution."""
        shared = {"retry": self.cleared, "always": 0, "never": f"try {try_number}"}[self.task.reattach]
        return (self.number, shared)

    @property
    def awaited(self) -> str | None:
        """The execution that its trigger waits for."""
        return None if self.trigger is None else str(json.loads(self.trigger)[1]["workflow_execution_id"])


class Run:
    """One DAG run, and everybody who has to do with it."""

    def __init__(self, world: World, history: History) -> None:
        self.world, self.modern = world, history.modern
        self.start_date = datetime.now(UTC)
        self.workflow_version = 0
        self.instances = [
            TaskInstance(self, number, task, max_tries=task.retries) for number, task in enumerate(history.tasks)
        ]
        self.triggerer: Triggerer | None = Triggerer(world)
        #: The task whose wait is being ended.
        self.ending_wait_of: TaskInstance | None = None
        world.save_workflow(WORKFLOW, QUERY.format(0))

    # -- workers -----------------------------------------------------------------------------------------------------
    def work(self, instance: TaskInstance, plan: Work) -> bool:
        """Let a worker do what the task has to do next.

        :returns: whether there was anything.
        """
        if instance.state == "up_for_retry":
            self.pass_time(instance.task.retry_delay)
            instance.state = "queued"
        if instance.state not in ("queued", "resuming"):
            return False
        resume, instance.resume = instance.resume, None
        if instance.state == "queued":
            instance.try_number += 1
            resume = None
        instance.state = "running"
        attempt = Try(self.world, instance, plan)
        attempt.process.owner = instance
        attempt.run(resume)
        instance.ending = Ending("try", attempt)
        self._hear(instance, attempt)
        told = "" if attempt.error is None else f" {attempt.error!r}"
        self.world.tell(f"    {attempt.process.name}: {attempt.outcome}{told}; the task is {instance.state}")
        return True

    def _hear(self, instance: TaskInstance, attempt: Try) -> None:
        """Airflow learns how a try went."""
        if attempt.asked == "fail":
            instance.state, instance.marked = "failed", True
        elif attempt.asked == "clear":
            # Airflow lets it end, and then tries again whatever the number of tries.
            instance.state = "up_for_retry"
        elif attempt.outcome == "deferred":
            self._defer(instance, attempt)
        elif attempt.outcome == "success":
            instance.state, instance.returned = "success", attempt.result
        elif attempt.outcome == "final error":
            instance.state = "failed"
        else:
            self._failed(instance)

    def _failed(self, instance: TaskInstance) -> None:
        again = instance.task.retries and instance.try_number <= instance.max_tries
        instance.state = "up_for_retry" if again else "failed"

    def _defer(self, instance: TaskInstance, attempt: Try) -> None:
        deferral = attempt.deferral
        assert deferral is not None
        assert deferral.timeout is not None
        instance.state = "deferred"
        instance.trigger = json.dumps(deferral.trigger.serialize())
        instance.times_out_at = time.time() + deferral.timeout.total_seconds()
        instance.resume = (deferral.method_name, json.loads(json.dumps(deferral.kwargs or {})))
        self._watch(instance)

    # -- the triggerer -------------------------------------------------------------------------------------------------
    def _watch(self, instance: TaskInstance) -> None:
        def on_event(payload: Any) -> None:
            assert instance.resume is not None
            method, arguments = instance.resume
            instance.resume = (method, {**arguments, "event": payload})
            instance.state, instance.trigger = "resuming", None
            self.world.tell(f"    the trigger of {instance.name}: {payload['status']} {payload['execution_status']}")

        if self.triggerer is not None:
            assert instance.trigger is not None
            self.triggerer.watch(instance.number, instance.trigger, on_event)

    def start_triggerer(self) -> None:
        """Start a triggerer if there is none; it takes over what the one before left."""
        if self.triggerer is None:
            self.triggerer = Triggerer(self.world)
            for instance in self.instances:
                if instance.state == "deferred":
                    self._watch(instance)

    def stop_triggerer(self, *, crash: bool) -> None:
        """End the triggerer."""
        if self.triggerer is not None:
            (self.triggerer.crash if crash else self.triggerer.stop)()
            self.triggerer = None

    def pass_time(self, seconds: float, step: int = 0) -> None:
        """Let time pass, and the triggerer work.

        :param step: step of the triggerer before which it is killed; 0 for none.
        """
        if self.triggerer is None:
            self.world.pass_time(seconds)
        else:
            process = self.triggerer.process
            if step:
                process.deeds[process.steps + step] = lambda: self._kill_triggerer(process)
            self.triggerer.work(seconds)
            process.deeds.clear()
            self._bury_triggerer()
        for instance in self.instances:
            if instance.state == "deferred" and time.time() > instance.times_out_at:
                self._end_wait(instance, by_user=False)
                self._failed(instance)

    def _kill_triggerer(self, process: Process) -> None:
        self.world.counts[f"kill triggerer {process.place}"] += 1
        process.die()

    def _bury_triggerer(self) -> None:
        if self.triggerer is not None and not self.triggerer.process.alive:
            self.triggerer = None

    def _end_wait(self, instance: TaskInstance, *, by_user: bool) -> None:
        process = None if self.triggerer is None else self.triggerer.process
        instance.ending = Ending(
            "user" if by_user else "airflow", instance.ending.attempt, triggerer=process, since=time.time()
        )
        if self.triggerer is not None:
            self.ending_wait_of = instance
            self.triggerer.end(instance.number, by_user=by_user and self.modern)
            self.ending_wait_of = None
            self._bury_triggerer()
        instance.trigger = instance.resume = None

    # -- users -------------------------------------------------------------------------------------------------------
    def act(self, instance: TaskInstance, deed: str) -> None:
        """Let a user act on a task.

        :param deed: see :class:`~tests.chaos.history.User`.
        """
        if deed == "change":
            self._change(instance)
            return
        if instance.state in FINAL and deed != "clear":
            return
        finished = all(one.state in FINAL for one in self.instances)
        if instance.state == "deferred":
            self._end_wait(instance, by_user=True)
        instance.resume = None
        if deed == "clear":
            instance.state, instance.marked = "queued", False
            instance.cleared += 1
            instance.max_tries = instance.try_number + instance.task.retries
            if finished:
                # As if the DAG run began now
                self.start_date = datetime.now(UTC)
        else:
            instance.state, instance.marked = ("failed" if deed == "fail" else "success"), True

    def _change(self, instance: TaskInstance) -> None:
        if instance.task.saved:
            self.workflow_version = (self.workflow_version + 1) % _VARIANTS
            self.world.save_workflow(WORKFLOW, QUERY.format(self.workflow_version))
        else:
            instance.variant = (instance.variant + 1) % _VARIANTS

    def somebody_runs_it(self) -> None:
        """Somebody who has nothing to do with Airflow runs the same workflow over the same window."""
        with self._by(Process("a stranger")):
            AmcHook().get_conn().with_patience(0).executions.create(
                workflow_id=WORKFLOW, time_window_start=WINDOW.start, time_window_end=WINDOW.end
            )

    def sweep(self) -> None:
        """Run ``amc sweep --cancel``."""
        with self._by(Process("the sweep")), mock.patch.object(sweep, "waiting_keys", self._waiting_keys):
            client = AmcHook().get_conn()
            for execution in sweep.stray_executions(client, hours=10_000):
                client.executions.cancel(execution.workflow_execution_id)

    def _waiting_keys(self) -> frozenset[tuple[str, str]]:
        keys = set()
        for instance in self.instances:
            if instance.state in FINAL:
                continue
            values = {name: getattr(instance, name) for name in ("task_id", "map_index", "try_number", "max_tries")}
            task = TaskRun.of({"ti": FakeTaskInstance(**values), "dag_run": self})
            for reattach in ("retry", "always", "never"):
                key = task.key(reattach, None)
                keys.add((key.deployment, key.task))
        return frozenset(keys)

    def _by(self, process: Process) -> _Acting:
        return _Acting(self.world, process)


class _Acting:
    """Somebody makes requests, and does not mind when they fail."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process

    def __enter__(self) -> None:
        self._before, self._world.process = self._world.process, self._process

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self._world.process = self._before
        return isinstance(error, AmcError)
