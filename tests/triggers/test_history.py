from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_amc.triggers.history import History, duration
from airflow_provider_amc.triggers.waiting import tell_history


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (44.6, "45 s"), (59.7, "1 min 0 s"), (725, "12 min 5 s"), (10_920, "3 h 2 min")],
)
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def history(mocker: Any) -> History:
    clock = mocker.patch("airflow_provider_amc.triggers.history.time.time", return_value=1_773_187_200.0)
    seen = History("abc")
    assert seen.note("PENDING") == "AMC execution abc is PENDING"
    assert seen.note("PENDING") is None
    clock.return_value += 45
    assert seen.note("RUNNING") == "AMC execution abc is RUNNING, after 45 s PENDING"
    clock.return_value += 725
    assert seen.note("FAILED", "Too big") == "AMC execution abc is FAILED, after 12 min 5 s RUNNING: Too big"
    return seen


def test_a_line_for_each_change(mocker: Any) -> None:
    assert history(mocker).told() == [
        {"status": "PENDING", "at": "2026-03-11T00:00:00Z", "seconds": 45.0, "reason": None},
        {"status": "RUNNING", "at": "2026-03-11T00:00:45Z", "seconds": 725.0, "reason": None},
        {"status": "FAILED", "at": "2026-03-11T00:12:50Z", "seconds": None, "reason": "Too big"},
    ]


def test_the_task_repeats_what_the_triggerer_saw(mocker: Any, caplog: pytest.LogCaptureFixture) -> None:
    event = {"status": "finished", "workflow_execution_id": "abc", "history": history(mocker).told()}
    with caplog.at_level(logging.INFO):
        assert tell_history(event, logging.getLogger("task")) is event
    assert caplog.messages == [
        "AMC execution abc was PENDING for 45 s from 2026-03-11T00:00:00Z",
        "AMC execution abc was RUNNING for 12 min 5 s from 2026-03-11T00:00:45Z",
        "AMC execution abc is FAILED since 2026-03-11T00:12:50Z: Too big",
    ]


def test_events_of_an_earlier_release_are_understood(caplog: pytest.LogCaptureFixture) -> None:
    event = {"status": "finished", "workflow_execution_id": "abc", "history": [{"status": "PENDING", "at": "then"}]}
    with caplog.at_level(logging.INFO):
        tell_history(event, logging.getLogger("task"))
    assert caplog.messages == ["AMC execution abc is PENDING since then"]
