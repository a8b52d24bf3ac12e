"""What must not happen, counted in AMC's own records.

**Intended run.** What a task instance asks for (its SQL, or the saved workflow as its owner left it) in one generation.
With ``reattach="retry"`` a clear of a task that does not run begins a generation; with ``always`` there is one; with
``never`` every try is one.

**Duplicate.** An execution that was created while an earlier one of the same intended run was active or had succeeded.
Unavoidable with a saved workflow whose time limit the user chose, in an Airflow without task state store: then nothing
tells its executions from those of others, and the one that is not found runs on, too.

**Orphan.** An active execution that was started for a task to wait for and that nobody holds: no trigger waits for it,
and no further try would go on with it, or cancel it because the query has changed. It is not one, but *left*, when

- the process that held it died without notice (SIGKILL), or before it could have cancelled it: while it cancelled, in
  the grace after SIGTERM when AMC did not show the execution by then, or before it knew what to look for;
- AMC failed when the process asked it, so that the execution could be neither found nor cancelled;
- the task's wait was ended by a user where nobody tells the trigger: before Airflow 3.3, or while no triggerer runs;
- Airflow gave up a wait because no triggerer was there for it;
- the task runs a saved workflow with a time limit that the user chose: its executions cannot be found, and a task that
  does not know whether it has submitted one fails for good and asks a person to look.

What is left has to be found by ``amc sweep``, unless a saved workflow was run, whose executions carry no key; AMC's own
time limit ends those. ``cancel_on_kill=False`` and ``wait_for_completion=False`` leave executions on purpose.

**Lost result.** A task that succeeds with an execution that is not its own, or has not succeeded; a task that fails for
good, by itself, although an execution of its intended run has succeeded, and neither AMC failed in its last try nor was
that killed. (One that succeeded and is run again is a duplicate.)

**Trespass.** A process cancels what somebody else has started or waits for, or a task fails although nothing went wrong.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from airflow_provider_amc.exceptions import AmcDeadlineError, AmcExecutionError
from tests.chaos.airflow import FINAL, Ending, Run, TaskInstance
from tests.chaos.process import Process
from tests.chaos.workers import Try
from tests.chaos.world import World


class Oracle:
    """Watches one history.

    :param world: where.
    :param run: what.
    """

    def __init__(self, world: World, run: Run) -> None:
        self._world, self._run = world, run
        #: Whose it is, and for which intended run, by execution.
        self._runs: dict[str, tuple[TaskInstance, tuple[Any, ...], tuple[str, int]]] = {}
        self._left: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        world.on_create, world.on_cancel = self._created, self._cancelled

    def _violated(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        self.violations.append(f"{kind}: {text}")

    # -- while a request is answered -----------------------------------------------------------------------------------
    def _created(self, execution_id: str, process: Process) -> None:
        instance = process.owner
        if instance is None:
            return
        self.counts["executions"] += 1
        generation, request = instance.generation(instance.try_number), instance.request
        for earlier, known in self._runs.items():
            record = self._world.execution(earlier)
            if known[1:] == (generation, request) and (not record.finished or record.status == "SUCCEEDED"):
                what = f"{process.name} starts {execution_id} while {earlier} of the same run is {record.status}"
                if self._cannot_tell(instance):
                    self.counts["unavoidable: time limit of the user, no store"] += 1
                else:
                    self._violated("duplicate", what)
        self._runs[execution_id] = (instance, generation, request)

    def _cancelled(self, execution_id: str, process: Process) -> None:
        known = self._runs.get(execution_id)
        if known is None:
            self._violated("trespass", f"{process.name} cancels {execution_id}, which a stranger has started")
            return
        owner = known[0]
        if isinstance(process.owner, TaskInstance):
            wrong = process.owner is not owner
        elif owner.awaited == execution_id and process.name == "the triggerer":
            deadline = json.loads(str(owner.trigger))[1]["deadline"]
            wrong = self._run.ending_wait_of is not owner and time.time() < deadline
        else:
            wrong = self._holds(owner, execution_id)
        if wrong:
            self._violated("trespass", f"{process.name} cancels {execution_id}, which is that of {owner.name}")

    # -- after every move ------------------------------------------------------------------------------------------------
    def look(self) -> None:
        """Look for orphans."""
        for execution_id, (instance, _, _) in self._runs.items():
            record = self._world.execution(execution_id)
            if record.finished or not (instance.task.wait and instance.task.cancel_on_kill):
                continue
            if self._holds(instance, execution_id):
                self._left.discard(execution_id)
            elif execution_id not in self._left:
                self._left.add(execution_id)
                cannot_tell = self._cannot_tell(instance) and "time limit of the user, no store"
                excuse = cannot_tell or self._excuse(instance.ending, record.visible_from)
                if excuse is None:
                    self._violated("orphan", f"{execution_id} of {instance.name} ({instance.state}) runs on")
                else:
                    self.counts[f"left: {excuse}"] += 1

    def look_at_result(self, instance: TaskInstance) -> None:
        """Look at a task whose worker has just ended."""
        attempt = instance.ending.attempt
        if attempt is None or instance.ending.by != "try" or attempt.asked is not None:
            return
        if instance.state == "success":
            self._look_at_success(instance)
            return
        unhurt = attempt.outcome != "dead" and not attempt.process.hurt
        # Nobody cancels it at the deadline, and it may succeed later.
        late = isinstance(attempt.error, AmcDeadlineError) and not instance.task.cancel_on_kill
        told = isinstance(attempt.error, AmcExecutionError) or _asks_a_person(attempt)
        if unhurt and attempt.error is not None and not told:
            self._violated("trespass", f"{attempt.process.name} fails for no reason: {attempt.error!r}")
        if unhurt and not late and instance.state == "failed":
            run = (instance.generation(instance.try_number), instance.request)
            for execution_id, known in self._runs.items():
                if known[1:] != run or self._world.execution(execution_id).status != "SUCCEEDED":
                    continue
                if _asks_a_person(attempt):
                    self.counts["unavoidable: time limit of the user, a person is asked to look"] += 1
                else:
                    self._violated("lost", f"{instance.name} failed although {execution_id} has SUCCEEDED")

    def _look_at_success(self, instance: TaskInstance) -> None:
        known = self._runs.get(str(instance.returned))
        if known is None or known[0] is not instance:
            self._violated("lost", f"{instance.name} returns {instance.returned}, which is not its execution")
        elif instance.task.wait and self._world.execution(str(instance.returned)).status != "SUCCEEDED":
            self._violated("lost", f"{instance.name} returns {instance.returned}, which has not succeeded")
        elif known[1] != instance.generation(instance.try_number):
            self._violated("lost", f"{instance.name} returns {instance.returned}, which is from before a clear")

    def look_after_sweep(self) -> None:
        """After the last sweep nothing may run on that carries a key."""
        for execution_id, (instance, _, _) in self._runs.items():
            if not self._world.execution(execution_id).finished and instance.task.wait and not instance.task.saved:
                self._violated("orphan", f"the sweep does not find {execution_id} of {instance.name}")

    # -- who holds an execution, and why nobody does -----------------------------------------------------------------------
    def _cannot_tell(self, instance: TaskInstance) -> bool:
        """Can nothing tell the executions of a task from those of others?"""
        return instance.task.saved and instance.task.own_limit and not self._run.modern

    def _holds(self, instance: TaskInstance, execution_id: str) -> bool:
        _, generation, request = self._runs[execution_id]
        if instance.state in FINAL:
            return False
        if instance.state == "deferred":
            return instance.awaited == execution_id
        if instance.state == "resuming":
            assert instance.resume is not None
            return bool(instance.resume[1]["event"]["workflow_execution_id"] == execution_id)
        # A further try will go on with it, or cancel it.
        same = instance.generation(instance.try_number + 1) == generation
        return same and (request == instance.request or not instance.task.saved)

    def _excuse(self, ending: Ending, visible_from: float | None) -> str | None:
        if ending.by == "airflow":
            return "no triggerer was there for a long time"
        if ending.by == "user":
            return self._excuse_of_wait(ending, visible_from)
        assert ending.attempt is not None
        return self._excuse_of_try(ending.attempt, visible_from)

    def _excuse_of_wait(self, ending: Ending, visible_from: float | None) -> str | None:
        if not self._run.modern:
            return "nobody tells triggers before Airflow 3.3"
        if ending.triggerer is None:
            return "no triggerer was there when a user ended the wait"
        if ending.triggerer.hurt_since(ending.since):
            return "AMC failed while the triggerer cancelled"
        return "AMC did not show it" if (visible_from or 0.0) > ending.since else None

    def _excuse_of_try(self, attempt: Try, visible_from: float | None) -> str | None:
        process = attempt.process
        if attempt.asked is None:
            if attempt.outcome == "dead":
                return "its worker was killed"
            if _asks_a_person(attempt):
                return "nothing tells it from the executions of others, and a person is asked to look"
            return "AMC failed in its last try" if process.hurt else None
        assert attempt.told_at is not None
        if attempt.killed_in_grace:
            return "its worker was killed while it cancelled"
        if process.hurt_since(attempt.told_at):
            return "AMC failed while its worker cancelled"
        if (visible_from or 0.0) > attempt.told_at:
            return "AMC did not show it"
        return None if attempt.was_submitting else "its worker was ended before it knew what to look for"


def _asks_a_person(attempt: Try) -> bool:
    task = attempt.task
    return task.saved and task.own_limit and attempt.outcome == "final error"
