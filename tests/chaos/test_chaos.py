"""500 random histories, and proof that the oracle sees when a part of the provider does not do its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.submission import Submission
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from airflow_provider_amc.triggers.shared import Seen
from tests.chaos.history import Event, Fails, Fault, History, Task, User, Work
from tests.chaos.machine import Violation, play
from tests.chaos.search import Found, search

_PARTS = 10
_HISTORIES = 500


@pytest.mark.parametrize("part", range(_PARTS))
def test_no_duplicate_no_orphan_no_lost_result(part: int) -> None:
    counts = search(part, _HISTORIES // _PARTS)
    assert counts["histories"] >= _HISTORIES // _PARTS
    assert counts["executions"] > counts["histories"]
    assert {"duplicate", "orphan", "lost", "trespass"}.isdisjoint(counts)


def test_the_same_seed_gives_the_same_histories() -> None:
    # A triggerer asks for its token in a thread, and a kill may be faster than that.
    first, second = ({**search(99, 20), "call token": None} for _ in range(2))
    assert first == second


async def _cancels(trigger: AmcWorkflowExecutionTrigger) -> None:
    await trigger._cancel("the triggerer stops", 5.0)


async def _nothing(trigger: AmcWorkflowExecutionTrigger) -> None:
    return None


@pytest.mark.parametrize(
    ("owner", "name", "broken", "kind"),
    [
        pytest.param(Submission, "_looked_for", lambda self, until: None, "duplicate", id="no-search"),
        pytest.param(Submission, "_keep", lambda self, known: None, "duplicate", id="no-store"),
        pytest.param(Submission, "_is_own", lambda self, execution: True, "", id="takes-anything"),
        pytest.param(AmcExecuteWorkflowOperator, "on_kill", lambda self: None, "orphan", id="no-cancel"),
        pytest.param(AmcExecuteWorkflowOperator, "_stop_if_killed", lambda self: None, "orphan", id="no-late-cancel"),
        pytest.param(AmcWorkflowExecutionTrigger, "on_kill", _nothing, "orphan", id="no-cancel-of-wait"),
        pytest.param(AmcWorkflowExecutionTrigger, "cleanup", _cancels, "trespass", id="cancel-on-shutdown"),
        pytest.param(
            Seen, "of", classmethod(lambda cls, found: cls("SUCCEEDED", True, None, None)), "lost", id="too-early"
        ),
    ],
)
def test_the_oracle_sees_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, broken: Callable[..., Any], kind: str
) -> None:
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(Found) as caught:
        search(1, 1000, shrink=False)
    assert any(found.startswith(kind) for found in caught.value.violation.found)


def test_what_is_left_is_swept() -> None:
    counts = play(History(tasks=(Task(retries=0, deferrable=False),), moves=(Work(0, step=9),), durations=(5000.0,)))
    assert counts["kill create was carried out"] == 1
    assert counts["left: its worker was killed"] == 1
    assert counts["call cancel"] == 1


def test_a_violation_tells_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AmcWorkflowExecutionTrigger, "on_kill", _nothing)
    with pytest.raises(Violation, match=r"orphan: .* of task 0 \(failed\) runs on") as caught:
        play(History(tasks=(Task(),), moves=(Work(0), Event("token"), User(0, "fail"))))
    assert "try 1 of task 0: create: 200" in str(caught.value)


def test_faults_hit() -> None:
    moves = (Fails((Fault("create", "cut_answer"), Fault("list", "status", 503)), silent=True), Work(0))
    counts = play(History(tasks=(Task(),), moves=moves))
    assert counts["fault create lost_answer"] == counts["fault list status"] == counts["executions"] == 1
