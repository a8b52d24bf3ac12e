"""Plays a history."""

from __future__ import annotations

import functools
from collections import Counter

from tests.chaos.airflow import FINAL, Run
from tests.chaos.history import Event, Fails, Fault, History, Move, Pass, User, Work
from tests.chaos.oracle import Oracle
from tests.chaos.world import CALLS, World

#: Rounds in which everything has to come to its end.
_ROUNDS = 400
#: Seconds after which every execution is visible.
_VISIBLE = 120.0


class Violation(AssertionError):
    """Something happened that must not.

    :param found: what.
    :param diary: all that happened.
    """

    def __init__(self, found: list[str], diary: list[str]) -> None:
        super().__init__("\n".join([*found, "", *diary]))
        self.found = found


@functools.cache
def the_world() -> World:
    """The world of this process."""
    return World()


def play(history: History) -> Counter[str]:
    """Play a history to its end.

    :returns: what happened, counted.
    :raises Violation: what must not happen did.
    """
    world = the_world()
    with world.begun(history.seed, history.durations):
        run = Run(world, history)
        oracle = Oracle(world, run)
        try:
            for move in history.moves:
                _make(world, run, oracle, move)
            _settle(world, run, oracle)
        finally:
            run.stop_triggerer(crash=True)
        counts = world.counts + oracle.counts
    counts["histories"] += 1
    counts["moves"] += len(history.moves)
    if oracle.violations:
        raise Violation(oracle.violations, world.diary)
    return counts


def _make(world: World, run: Run, oracle: Oracle, move: Move) -> None:
    world.tell(f"{move}")
    match move:
        case Work(task=number):
            instance = run.instances[number % len(run.instances)]
            if run.work(instance, move):
                oracle.look_at_result(instance)
        case Fails():
            world.silent = move.silent
            world.order([_spec(fault) for fault in move.faults])
        case Pass():
            run.pass_time(move.seconds, move.step)
        case User():
            run.act(run.instances[move.task % len(run.instances)], move.deed)
        case Event():
            _happen(world, run, move.what)
    oracle.look()


def _spec(fault: Fault) -> dict[str, object]:
    operation = {short: name for name, short in CALLS.items()}[fault.operation]
    spec: dict[str, object] = {"operation": operation, "kind": fault.kind, "times": fault.times}
    if fault.kind == "cut_answer":
        return {**spec, "kind": "lost_answer", "cut": True}
    field = {"status": "status", "lost_answer": "status", "not_visible": "seconds"}.get(fault.kind, "value")
    return {**spec, field: fault.value} if fault.kind not in ("reset", "token_expired", "revoked") else spec


def _happen(world: World, run: Run, what: str) -> None:
    if what in ("crash", "shutdown"):
        run.stop_triggerer(crash=what == "crash")
    elif what == "triggerer":
        run.start_triggerer()
    elif what == "mended":
        world.mend()
    elif what == "sweep":
        run.sweep()
    elif what == "stranger":
        run.somebody_runs_it()
    elif what == "cancelled" and world.runner._live:
        world.runner.cancel(world.execution(world.newest()), "Cancelled in the console.")
    elif what == "token":
        world.order([{"operation": "*", "kind": "token_expired"}])


def _settle(world: World, run: Run, oracle: Oracle) -> None:
    """AMC works from now on: everything comes to its end, then somebody sweeps."""
    world.mend()
    run.start_triggerer()
    for _ in range(_ROUNDS):
        waiting = [instance for instance in run.instances if instance.state not in FINAL]
        if not waiting:
            break
        for instance in waiting:
            _make(world, run, oracle, Work(instance.number))
        _make(world, run, oracle, Pass(600.0))
    else:
        raise Violation([f"never ends: {[(one.name, one.state) for one in waiting]}"], world.diary)
    run.pass_time(_VISIBLE)
    run.sweep()
    oracle.look_after_sweep()
