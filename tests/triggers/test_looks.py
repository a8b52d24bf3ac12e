from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.exceptions import AmcNotFoundError, AmcTransientError, AmcValidationError
from airflow_provider_amc.triggers.looks import Looks

LOG = logging.getLogger("amc.looks")


class Amc:
    """A client whose audience is what a test says."""

    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)
        self.audiences = self

    def get(self, *_: Any, **__: Any) -> Any:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        finished = answer in ("SUCCEEDED", "FAILED")
        return SimpleNamespace(
            status=answer, is_finished=finished, is_succeeded=answer == "SUCCEEDED", status_reason=None
        )


def looks() -> Looks:
    return Looks("audience", {"audience_execution_id": "a"}, LOG)


def test_each_status_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    amc: Any = Amc("PENDING", "PENDING", "RUNNING", "SUCCEEDED")
    one = looks()
    with caplog.at_level(logging.INFO, LOG.name):
        shown = [one.look(amc) for _ in range(4)]
    assert [bool(seen and seen.succeeded) for seen in shown] == [False, False, False, True]
    assert caplog.messages == [f"AMC audience a is {status}" for status in ("PENDING", "RUNNING", "SUCCEEDED")]


def test_an_outage_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def gone(number: int) -> AmcTransientError:
        return AmcTransientError("no answer", http_status=503, request_id=str(number))

    amc: Any = Amc(gone(1), gone(2), "RUNNING", gone(3))
    one = looks()
    assert [one.look(amc) for _ in range(4)] == [None] * 4
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text[:58] for text in warnings] == ["Could not look at AMC audience a, will try again: AmcTrans"] * 2
    assert one.seen is not None
    assert (one.seen.status, "no answer" in one.problem) == ("RUNNING", True)


def test_what_is_new_may_be_invisible_at_first(mocker: Any) -> None:
    clock = mocker.patch("airflow_provider_amc.triggers.looks.time")
    clock.monotonic.return_value = 0.0
    missing = AmcNotFoundError("no such audience", http_status=404)
    amc: Any = Amc(missing, missing, "PENDING", missing, AmcTransientError("no answer"), missing, missing)
    one = looks()
    for now in (0.0, INVISIBLE_SECONDS - 1, INVISIBLE_SECONDS + 1, 200.0, 300.0, 400.0):
        clock.monotonic.return_value = now
        assert one.look(amc) is None
    clock.monotonic.return_value = 400.0 + INVISIBLE_SECONDS
    with pytest.raises(AmcNotFoundError, match="no such audience"):
        one.look(amc)


def test_a_wrong_name_is_no_outage() -> None:
    with pytest.raises(AmcValidationError, match="Cannot wait for 'model'"):
        Looks("model", {}, LOG).look(Amc())  # type: ignore[arg-type]
