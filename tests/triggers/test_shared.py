from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcAuthenticationError,
    AmcThrottledError,
    AmcTransientError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.triggers import shared
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from tests.triggers.virtual import START, FakeAmc, Run, run, text
from tests.triggers.waits import all_of, ending, trigger


@pytest.fixture(autouse=True)
def same_jitter_in_every_run() -> None:
    random.seed(7)


# --- one poll for all ---------------------------------------------------------------------------------------------


def test_a_hundred_waits_cost_one_call_a_poll() -> None:
    runs = [Run(f"e{number}", ends=600.0 + number) for number in range(100)]
    amc = FakeAmc(runs)
    ended = run(all_of(*(trigger(one.id) for one in runs)), amc)
    assert {status for status, _, _ in ended} == {"finished"}
    for one, (_, at, _) in zip(runs, ended, strict=True):
        assert one.ends <= at <= one.ends + 1.1 * 70.0
    # One wait alone would have been looked at about 25 times.
    assert amc.count("list") < 30
    assert amc.count("get") <= 2


def test_a_single_wait_asks_for_its_execution() -> None:
    amc = FakeAmc([Run("a", ends=100.0)])
    ((status, _, _),) = run(all_of(trigger("a")), amc)
    assert status == "finished"
    assert amc.count("list") == 0


def test_the_list_goes_back_to_the_oldest_that_is_waited_for() -> None:
    amc = FakeAmc([Run("old", created=-500.0, ends=50.0), Run("new", created=-20.0, ends=50.0)])
    run(all_of(trigger("old", created=-500.0), trigger("new", created=-20.0)), amc)
    assert {what for _, kind, what in amc.requests if kind == "list"} == {text(-560.0)}


def test_unknown_creation_times_are_asked_for_once() -> None:
    runs = [Run(f"e{number}", ends=300.0) for number in range(20)]
    amc = FakeAmc(runs)
    run(all_of(*(trigger(one.id, created=None) for one in runs)), amc)
    assert amc.count("get") == 20
    assert amc.count("list") >= 3


def test_cancelled_executions_are_on_the_list() -> None:
    runs = [Run("a", ends=20.0, status="CANCELLED"), Run("b", ends=20.0)]
    amc = FakeAmc(runs)
    ended = run(all_of(trigger("a"), trigger("b")), amc)
    assert [payload["execution_status"] for _, _, payload in ended] == ["CANCELLED", "SUCCEEDED"]
    assert amc.count("get") == 0


def test_what_the_list_does_not_show_is_asked_for() -> None:
    """A creation time that is not AMC's leaves executions out of the list; nobody waits longer for it."""
    runs = [Run("wrong", created=-100_000.0, ends=40.0), *(Run(f"e{number}", ends=40.0) for number in range(3))]
    amc = FakeAmc(runs)
    ended = run(all_of(*(trigger(one.id, created=0.0) for one in runs)), amc)
    assert all(at <= 40.0 + 17.0 for _, at, _ in ended)
    assert {what for _, kind, what in amc.requests if kind == "get"} == {"wrong"}


def test_many_pages_are_read_only_while_they_are_cheaper() -> None:
    others = [Run(f"o{number}", created=-1.0 * number) for number in range(5_000)]
    amc = FakeAmc([*others, Run("old", created=-6_000.0, ends=100.0), Run("new", created=0.0, ends=100.0)])
    run(all_of(trigger("old", created=-6_000.0), trigger("new")), amc)
    polls = len({at for at, _, _ in amc.requests})
    assert len(amc.requests) <= 2 * polls


def test_all_pages_are_read_when_everything_on_them_is_waited_for() -> None:
    runs = [Run(f"e{number}", created=-1.0 * number, ends=20.0) for number in range(450)]
    amc = FakeAmc(runs)
    run(all_of(*(trigger(one.id, created=one.created) for one in runs)), amc)
    assert amc.count("get") == 0
    assert amc.count("list") % 5 == 0


def test_two_waits_on_the_same_execution() -> None:
    amc = FakeAmc([Run("a", ends=20.0)])
    ended = run(all_of(trigger("a"), trigger("a"), trigger("a", created=None)), amc)
    assert [status for status, _, _ in ended] == ["finished"] * 3
    assert len(amc.requests) == len({at for at, _, _ in amc.requests})


def test_a_new_wait_does_not_wait_for_the_interval_of_an_old_one() -> None:
    amc = FakeAmc([Run("old", ends=10_000.0), Run("new", created=5_000.0, ends=5_010.0)])

    async def late() -> tuple[str, float, dict[str, Any]]:
        await asyncio.sleep(5_005.0)
        return await ending(trigger("new", created=5_000.0, started=5_005.0))

    async def both() -> Any:
        return await asyncio.gather(ending(trigger("old")), late())

    (_, (status, at, _)) = run(both(), amc)
    assert status == "finished"
    assert at <= 5_005.0 + 17.0


def test_instances_and_connections_have_polls_of_their_own() -> None:
    amc = FakeAmc([Run(name, ends=20.0) for name in "abcd"])

    async def pollers() -> int:
        triggers = [trigger(name) for name in "abcd"]
        triggers[1].instance_id = "amcother"
        triggers[2].amc_conn_id = "amc_other"
        waiting = asyncio.gather(*map(ending, triggers))
        await asyncio.sleep(1.0)
        count = len(shared._pollers)
        await waiting
        return count

    assert run(pollers(), amc) == 3


# --- coming and going ----------------------------------------------------------------------------------------------


def test_a_cancelled_wait_leaves_the_others_and_its_execution_alone() -> None:
    runs = [Run(f"e{number}", ends=200.0) for number in range(5)]
    amc = FakeAmc(runs)

    async def scenario() -> Any:
        tasks = [asyncio.ensure_future(ending(trigger(one.id))) for one in runs]
        for task in tasks[:2]:
            await asyncio.sleep(20.0)
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    ended = run(scenario(), amc)
    assert [isinstance(one, asyncio.CancelledError) for one in ended] == [True, True, False, False, False]
    assert {status for status, _, _ in ended[2:]} == {"finished"}
    assert amc.count("cancel") == 0


def test_the_poller_ends_with_the_last_wait() -> None:
    amc = FakeAmc([Run("a", ends=30.0), Run("b")])

    async def scenario() -> tuple[int, int]:
        other = asyncio.ensure_future(ending(trigger("b")))
        await ending(trigger("a"))
        other.cancel()
        await asyncio.sleep(0)
        asked = len(amc.requests)
        await asyncio.sleep(10_000.0)
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return asked, len(amc.requests)

    before, after = run(scenario(), amc)
    assert before == after
    assert not shared._pollers


def test_the_poller_begins_again() -> None:
    amc = FakeAmc([Run("a", ends=30.0), Run("b", ends=300.0)])

    async def scenario() -> list[str]:
        return [(await ending(trigger(name)))[0] for name in "ab"]

    assert run(scenario(), amc) == ["finished", "finished"]


def test_a_restarted_triggerer_keeps_the_deadline_and_looks_soon() -> None:
    amc = FakeAmc([Run("a", created=-5_000.0, ends=1.0), Run("b", created=-5_000.0)])
    path, arguments = trigger("b", created=-5_000.0, started=-5_000.0, deadline=60.0).serialize()
    again = AmcWorkflowExecutionTrigger(**arguments)
    assert again.serialize() == (path, arguments)
    first, second = run(all_of(trigger("a", created=-5_000.0, started=-5_000.0), again), amc)
    assert first[0] == "finished"
    assert first[1] <= 17.0
    assert second[:2] == ("deadline", 60.0)
    assert amc.runs["b"].status == "CANCELLED"


def test_the_message_of_a_cancel_arrives() -> None:
    """Airflow calls ``on_kill`` only when the message says that a user ended the task."""
    amc = FakeAmc([Run("a")])

    async def scenario() -> tuple[Any, ...]:
        task = asyncio.ensure_future(ending(trigger("a", deadline=1_000.0)))
        await asyncio.sleep(100.0)
        task.cancel("ended by a user")
        try:
            await task
        except asyncio.CancelledError as error:
            return error.args
        raise AssertionError("The trigger was not cancelled.")

    assert run(scenario(), amc) == ("ended by a user",)


def test_a_kill_takes_seconds_although_amc_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> float:
        await trigger("a").on_kill()
        return asyncio.get_running_loop().time()

    assert run(scenario(), FakeAmc([Run("a")]), lambda: 500.0) == pytest.approx(20.0)


# --- the end of a wait ---------------------------------------------------------------------------------------------


def test_finished_just_before_the_deadline_is_success() -> None:
    amc = FakeAmc([Run("a", ends=59.0), Run("b", ends=59.0)])
    ended = run(all_of(trigger("a", deadline=60.0), trigger("b", deadline=60.0, cancel_on_kill=False)), amc)
    assert [one[:2] for one in ended] == [("finished", 60.0)] * 2


def test_every_wait_has_its_own_deadline() -> None:
    amc = FakeAmc([Run(name) for name in "abc"])
    ended = run(all_of(*(trigger(name, deadline=30.0 * at) for at, name in enumerate("abc", 1))), amc)
    assert [one[:2] for one in ended] == [("deadline", 30.0), ("deadline", 60.0), ("deadline", 90.0)]


def test_the_deadline_does_not_wait_for_a_poll_that_hangs() -> None:
    amc = FakeAmc([Run("a")])
    ((status, at, _),) = run(all_of(trigger("a", deadline=60.0, cancel_on_kill=True)), amc, lambda: 500.0)
    assert (status, at) == ("deadline", 180.0)


def test_amc_that_is_away_at_the_deadline() -> None:
    amc = FakeAmc([Run("a")])
    amc.trouble = lambda now, kind: AmcTransientError("gone")
    ((status, at, payload),) = run(all_of(trigger("a", deadline=60.0)), amc)
    assert (status, at) == ("deadline", 60.0)
    assert "gone" in payload["problem"]


def test_unknown_for_two_minutes_is_missing() -> None:
    amc = FakeAmc([Run("late", visible=100.0, ends=150.0), Run("b", ends=1_000.0)])
    late, never, other = run(all_of(trigger("late"), trigger("never"), trigger("b")), amc)
    assert late[0] == other[0] == "finished"
    assert never[0] == "missing"
    assert 120.0 <= never[1] <= 160.0
    assert "does not exist" in never[2]["problem"]


def test_one_miss_after_a_long_wait_is_not_missing() -> None:
    amc = FakeAmc([Run("a", created=-9_000.0, visible=20.0, ends=40.0)])
    ((status, _, _),) = run(all_of(trigger("a", created=-9_000.0, started=-9_000.0)), amc)
    assert status == "finished"


# --- loops ---------------------------------------------------------------------------------------------------------


def test_loops_do_not_share() -> None:
    amc = FakeAmc([Run("a", ends=20.0)])
    for _ in range(2):
        ((status, at, _),) = run(all_of(trigger("a")), amc)
        assert status == "finished"
        assert at < 40.0
    assert not shared._pollers


# --- anything may happen -------------------------------------------------------------------------------------------


@dataclass
class Story:
    """One wait of a random history."""

    arrives: float
    age: float
    knows: bool
    ends_after: float | None
    invisible: float
    allowed: float
    killed_after: float | None
    status: str


STORIES = st.builds(
    Story,
    arrives=st.floats(0, 400),
    age=st.floats(0, 2_000),
    knows=st.booleans(),
    ends_after=st.none() | st.floats(0, 900),
    invisible=st.sampled_from([0.0, 0.0, 45.0]),
    allowed=st.floats(20, 1_500),
    killed_after=st.none() | st.none() | st.floats(0, 900),
    status=st.sampled_from(["SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"]),
)
ERRORS = [
    AmcTransientError("gone"),
    AmcThrottledError("slow down"),
    AmcThrottledError("slow down", retry_after=40.0),
    AmcAuthenticationError("revoked"),
    RuntimeError("a bug"),
]
OUTAGES = st.lists(st.tuples(st.floats(0, 900), st.floats(1, 200), st.sampled_from(ERRORS)), max_size=3)


@settings(max_examples=50)
@given(
    stories=st.lists(STORIES, min_size=1, max_size=25),
    outages=OUTAGES,
    others=st.integers(0, 300),
    seed=st.integers(0, 2**32),
)
def test_any_history(stories: list[Story], outages: list[Any], others: int, seed: int) -> None:
    chance = random.Random(seed)
    runs = {}
    for number, story in enumerate(stories):
        ends = float("inf") if story.ends_after is None else story.arrives + story.ends_after
        visible = story.arrives + story.invisible
        runs[number] = Run(f"e{number}", story.arrives - story.age, ends, story.status, visible)
    noise = [Run(f"o{number}", chance.uniform(-2_000, 1_000)) for number in range(others)]
    amc = FakeAmc([*runs.values(), *noise])

    def trouble(now: float, kind: str) -> Exception | None:
        return next((error for start, length, error in outages if start <= now < start + length), None)

    amc.trouble = trouble
    ends = {number: one.ends for number, one in runs.items()}

    async def live(number: int, story: Story) -> tuple[str, float, dict[str, Any]]:
        await asyncio.sleep(story.arrives)
        waiting = trigger(
            f"e{number}",
            created=runs[number].created if story.knows else None,
            started=story.arrives,
            deadline=story.arrives + story.allowed,
        )
        task = asyncio.ensure_future(ending(waiting))
        if story.killed_after is not None:
            await asyncio.sleep(story.killed_after)
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return "killed", asyncio.get_running_loop().time(), {}

    async def everything() -> list[Any]:
        ended = await asyncio.gather(*(live(number, story) for number, story in enumerate(stories)))
        asked = len(amc.requests)
        await asyncio.sleep(5_000.0)
        assert len(amc.requests) == asked, "The poller goes on although nobody waits."
        return ended

    ended = run(everything(), amc, lambda: chance.uniform(0.0, 0.2))
    assert not shared._pollers
    cancelled = {what for _, kind, what in amc.requests if kind == "cancel"}
    for number, (story, (status, at, payload)) in enumerate(zip(stories, ended, strict=True)):
        judge(story, status, at, cancelled=f"e{number}" in cancelled)
        if status == "finished":
            assert ends[number] - 0.001 <= at
            assert payload["execution_status"] == story.status
            if not outages:
                assert at <= latest(story, ends[number])
    assert outages or spaced(amc)


def judge(story: Story, status: str, at: float, *, cancelled: bool) -> None:
    deadline = story.arrives + story.allowed
    if status == "killed":
        assert story.killed_after is not None
        assert at <= story.arrives + story.killed_after + 0.001
        assert not cancelled or at >= deadline
    elif status == "finished":
        assert at <= deadline + 1.0
    else:
        assert status == "deadline"
        assert deadline - 0.001 <= at <= deadline + 1.0
        assert cancelled


def spaced(amc: FakeAmc) -> bool:
    """Is there some time between two polls?"""
    looks = sorted(at for at, kind, _ in amc.requests if kind != "cancel")
    starts = [at for at, before in zip(looks, [-1e9, *looks], strict=False) if at - before > 2.0]
    return all(later - earlier > 5.0 for earlier, later in itertools.pairwise(starts))


def latest(story: Story, ends: float) -> float:
    """When an end has to be seen, at the latest: one interval after it, and what the calls take."""
    interval = max(15.0, min(120.0, 0.1 * (ends - story.arrives + 120.0)))
    return max(ends, story.arrives + story.invisible) + 1.1 * interval + 8.0


# --- against the emulator ------------------------------------------------------------------------------------------

WORKFLOW = {"sqlQuery": "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"}


def started(count: int, emulator: EmulatorServer) -> list[AmcWorkflowExecutionTrigger]:
    """Executions that do not end by themselves, each with a trigger that knows what the submission told."""
    emulator.add_fault(operation="createWorkflowExecution", kind="duration", seconds=86_400, times=count)
    executions = AmcHook().get_conn().executions
    made = [executions.create(workflow=WORKFLOW, time_window_type="MOST_RECENT_DAY") for _ in range(count)]
    return [
        AmcWorkflowExecutionTrigger(
            workflow_execution_id=one.workflow_execution_id, created=str(one.raw["createTime"]), started=START
        )
        for one in made
    ]


async def cancelled_after(seconds: float, triggers: list[AmcWorkflowExecutionTrigger]) -> Any:
    """Somebody cancels the executions while they are waited for."""
    waiting = asyncio.gather(*map(ending, triggers))
    await asyncio.sleep(seconds)
    for one in triggers:
        AmcHook().get_conn().executions.cancel(one.workflow_execution_id)
    return await waiting


def test_requests_that_amc_receives(amc_default: EmulatorServer) -> None:
    triggers = started(20, amc_default)
    ended = run(cancelled_after(300.0, triggers), None)
    assert [payload["execution_status"] for _, _, payload in ended] == ["CANCELLED"] * 20
    assert max(at for _, at, _ in ended) <= 300.0 + 1.1 * 30.0
    listed = amc_default.requests_of("listWorkflowExecutions")
    # In 300 seconds the interval grows from 15 to 30.
    assert 10 <= len(listed) <= 24
    assert amc_default.requests_of("getWorkflowExecution") == []
    first = min(one.created or "" for one in triggers)
    for request in listed:
        assert request["query"]["includeCancelled"] == "true"
        assert "timeZone" not in request["query"]
        assert request["query"]["minCreationTime"] < first


def test_a_throttled_poll_sends_nothing_until_amc_allows_it(amc_default: EmulatorServer) -> None:
    triggers = started(3, amc_default)
    amc_default.add_fault(operation="listWorkflowExecutions", kind="status", status=429, headers={"Retry-After": "200"})
    ended = run(cancelled_after(190.0, triggers), None)
    assert all(200.0 <= at <= 240.0 for _, at, _ in ended)
    assert len(amc_default.requests_of("listWorkflowExecutions")) == 2
