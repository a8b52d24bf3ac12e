"""What a user does to tasks of a real Airflow, and what that does to AMC: counted by the emulators' own logs.

One Airflow serves all scenarios at the same time, so they are one test. Each has a DAG and an emulator of its own.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS
from airflow.triggers.base import BaseTrigger

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.testing import AmcEmulator
from tests.system.standalone import Airflow, Task, until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 has another REST API and no DAG processor or API server to start"
    ),
]

DAGS = Path(__file__).parent / "dags"

#: Virtual seconds that an execution runs: until the test moves the clock.
HELD = 3 * 3600


class Amc:
    """An AMC whose executions end when the test says so."""

    def __init__(self, stack: ExitStack, server: EmulatorServer) -> None:
        self._amc = AmcEmulator(server)
        stack.callback(self._amc.close)
        self._amc.faults.add(operation="createWorkflowExecution", kind="duration", seconds=HELD, times=None)

    @property
    def executions(self) -> dict[str, str]:
        """Ids and statuses, oldest first."""
        listed = list(self._amc.client.executions.list(min_creation_time="2020-01-01T00:00:00", include_cancelled=True))
        return {execution.workflow_execution_id: execution.raw_status for execution in reversed(listed)}

    def the_execution(self) -> str:
        """The only one that was ever started."""
        (execution_id,) = self.executions
        assert self.created == 1
        return execution_id

    @property
    def created(self) -> int:
        """How many executions were asked for."""
        return len(self._amc.requests_of("createWorkflowExecution"))

    @property
    def queries(self) -> set[str]:
        """What was asked for."""
        return {request["body"]["workflow"]["sqlQuery"] for request in self._amc.requests_of("createWorkflowExecution")}

    @property
    def cancels(self) -> list[str]:
        """The executions that AMC was asked to cancel."""
        return [request["path"].rsplit("/", 1)[-1] for request in self._amc.requests_of("updateWorkflowExecution")]

    def is_looked_at_again(self) -> None:
        """Wait for the next look that a triggerer takes."""
        before = len(self._amc.requests_of("getWorkflowExecution"))
        until(lambda: len(self._amc.requests_of("getWorkflowExecution")) > before, "a look at the execution")

    def finish(self) -> None:
        """Let the executions end well."""
        self._amc.clock.advance(HELD + 1)


class Scenario:
    """What happens to the DAG of one name.

    :param airflow: the Airflow.
    :param amc: the AMC of its connection.
    :param name: name of DAG and connection.
    """

    def __init__(self, airflow: Airflow, amc: Amc, name: str) -> None:
        self.airflow, self.amc, self.name = airflow, amc, name
        self.tasks: list[Task] = []

    def start(self, logical_date: str | None = None, indexes: tuple[int, ...] = (-1,)) -> list[Task]:
        """Start a run; its tasks defer."""
        run = self.airflow.trigger(self.name, logical_date)
        self.tasks = [Task(self.airflow, self.name, run.run_id, index) for index in indexes]
        return self.tasks

    def report(self) -> str:
        """What a user would look at."""
        lines = [f"AMC: {self.amc.executions}, {self.amc.created} asked for, cancelled: {self.amc.cancels}"]
        for task in self.tasks:
            found = task.look()
            lines.append(f"--- {task}: {found['state']}, try {found['try_number']} of {found['max_tries']} and one")
            for number in range(1, found["try_number"] + 1):
                lines += [f"--- log of try {number}", *task.log(number)]
        return "\n".join(lines)


def defers_and_goes_on(scenario: Scenario) -> None:
    (task,) = scenario.start("2026-03-11T06:00:00Z")
    task.reaches("deferred")
    execution = scenario.amc.the_execution()
    scenario.amc.is_looked_at_again()
    scenario.amc.finish()
    task.reaches("success")
    assert task.result() == execution == scenario.amc.the_execution()
    assert scenario.amc.cancels == []
    log = "\n".join(task.log())
    assert f"AMC execution {execution} of the query is " in log
    assert f"AMC execution {execution} was RUNNING for " in log
    assert f"AMC execution {execution} is SUCCEEDED since " in log
    assert f"AMC execution {execution} has succeeded" in log


def is_marked_failed_and_cleared(scenario: Scenario) -> None:
    amc = scenario.amc
    (task,) = scenario.start()
    task.reaches("deferred")
    first = amc.the_execution()
    amc.is_looked_at_again()
    task.mark("failed")
    if not hasattr(BaseTrigger, "on_kill"):
        # Nobody tells a trigger of Airflow 3.0 to 3.2 why it ends: this is what the command is for.
        swept = scenario.airflow.run("airflow_provider_amc.cli", "sweep", "--cancel", "--conn-id", scenario.name)
        assert first in swept
    until(lambda: amc.executions == {first: "CANCELLED"}, "the execution is cancelled")
    assert task.look()["state"] == "failed"
    # A run that is cleared while the scheduler ends it stays ended.
    task.run_reaches("failed")
    task.clear()
    task.reaches("deferred")
    old, new = amc.executions
    assert old == first
    amc.finish()
    task.reaches("success")
    assert task.result() == new
    assert amc.executions == {first: "CANCELLED", new: "SUCCEEDED"}
    assert amc.created == 2
    assert amc.cancels == [first]


def is_cleared_while_it_waits(scenario: Scenario) -> None:
    amc = scenario.amc
    (task,) = scenario.start()
    task.reaches("deferred")
    first = amc.the_execution()
    amc.is_looked_at_again()
    task.clear()
    until(lambda: len(amc.executions) == 2 and amc.executions[first] == "CANCELLED", "the new execution alone runs")
    task.reaches("deferred")
    amc.finish()
    task.reaches("success")
    assert amc.executions == {first: "CANCELLED", task.result(): "SUCCEEDED"}
    assert amc.created == 2
    # The triggerer and the new try may both have cancelled it, but nothing else.
    assert set(amc.cancels) == {first}


def is_killed_on_the_worker(scenario: Scenario) -> None:
    amc = scenario.amc
    (task,) = scenario.start()
    task.reaches("running")
    until(lambda: amc.executions, "the execution was started")
    execution = amc.the_execution()
    amc.is_looked_at_again()
    task.mark("failed")
    until(lambda: amc.executions == {execution: "CANCELLED"}, "the execution is cancelled")
    assert task.look()["state"] == "failed"
    assert amc.the_execution() == execution
    assert amc.cancels == [execution]


def dies_and_is_tried_again(scenario: Scenario, dies_at: str) -> None:
    amc = scenario.amc
    (task,) = scenario.start()
    waiting = task.reaches("deferred")
    assert waiting["try_number"] == (2 if dies_at == "defer" else 1)
    execution = amc.the_execution()
    amc.finish()
    assert task.reaches("success")["try_number"] == 2
    assert task.result() == execution == amc.the_execution()
    assert amc.cancels == []
    # A retry of Airflow 3.0 begins where the try before it stood.
    begins_anew = AIRFLOW_V_3_1_PLUS or dies_at == "defer"
    told = f"AMC execution {execution}, which is " if begins_anew else f"AMC execution {execution} is SUCCEEDED since "
    assert any(told in line for line in task.log(2)), "it tells what it goes on with"


def is_mapped(scenario: Scenario) -> None:
    amc = scenario.amc
    tasks = scenario.start(indexes=(0, 1))
    for task in tasks:
        until(task.exists, f"{task} exists")
        task.reaches("deferred")
    assert amc.created == len(amc.executions) == len(amc.queries) == 2
    amc.finish()
    for task in tasks:
        task.reaches("success")
    assert {task.result() for task in tasks} == set(amc.executions)
    assert amc.created == 2
    assert amc.cancels == []


def outlives_triggerers(scenario: Scenario) -> None:
    airflow, amc = scenario.airflow, scenario.amc
    (task,) = scenario.tasks
    task.reaches("deferred")
    execution = amc.the_execution()
    amc.is_looked_at_again()
    for how in (signal.SIGTERM, signal.SIGKILL):
        airflow.end_triggerer(how)
        assert amc.cancels == [], f"a triggerer that ends by {how.name} leaves the execution running"
        airflow.start_triggerer()
        amc.is_looked_at_again()
        assert task.look()["state"] == "deferred"
    amc.finish()
    task.reaches("success")
    assert task.result() == execution == amc.the_execution()
    assert amc.cancels == []


#: The scenario that needs the triggerer for itself: it goes on when the others have ended.
ALONE = "triggerer_restarted"

#: These run at the same time.
TOGETHER: dict[str, Callable[[Scenario], None]] = {
    "waits": defers_and_goes_on,
    "marked_failed": is_marked_failed_and_cleared,
    "cleared": is_cleared_while_it_waits,
    "on_worker": is_killed_on_the_worker,
    "dies_at_defer": partial(dies_and_is_tried_again, dies_at="defer"),
    "dies_at_resume": partial(dies_and_is_tried_again, dies_at="resume"),
    "mapped": is_mapped,
}


@pytest.fixture
def scenarios(tmp_path: Path, airflow_database: str) -> Iterator[dict[str, Scenario]]:
    with ExitStack() as stack:
        names = (*TOGETHER, ALONE)
        servers = {name: stack.enter_context(EmulatorServer(port=0, scale="tiny")) for name in names}
        connections = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(servers[name].connection) for name in names}
        airflow = stack.enter_context(Airflow(tmp_path, DAGS, airflow_database, connections))
        until(lambda: all(airflow.has_dag(name) for name in names), "every DAG is parsed")
        yield {name: Scenario(airflow, Amc(stack, server), name) for name, server in servers.items()}


def test_a_query_runs_once_whatever_happens_to_its_task(scenarios: dict[str, Scenario]) -> None:
    problems: list[Exception] = []

    def play(name: str, what_happens: Callable[[Scenario], None]) -> None:
        try:
            what_happens(scenarios[name])
        except Exception as problem:
            problem.add_note(f"Scenario {name}:\n{scenarios[name].report()}")
            problems.append(problem)

    scenarios[ALONE].start()
    with ThreadPoolExecutor(len(TOGETHER)) as threads:
        for played in [threads.submit(play, name, what_happens) for name, what_happens in TOGETHER.items()]:
            played.result()
    play(ALONE, outlives_triggerers)
    if problems:
        raise ExceptionGroup("scenarios that went wrong", problems)
