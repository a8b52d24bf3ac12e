"""Waits while AMC is away, throttles or refuses: they go on, and AMC is left in peace."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from typing import Any

import pytest

from airflow_provider_amc.exceptions import (
    AmcAuthenticationError,
    AmcInvalidRequestError,
    AmcThrottledError,
    AmcTransientError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.triggers import shared
from tests.triggers.virtual import FakeAmc, Run, run
from tests.triggers.waits import all_of, ending, trigger


@pytest.fixture(autouse=True)
def same_jitter_in_every_run() -> None:
    random.seed(7)


def between(start: float, end: float, error: Exception, *kinds: str) -> Any:
    return lambda now, kind: error if start <= now < end and (not kinds or kind in kinds) else None


def test_an_outage_is_logged_once_for_each_kind_of_error(caplog: pytest.LogCaptureFixture) -> None:
    amc = FakeAmc([Run(f"e{number}", ends=100.0) for number in range(50)])
    errors = itertools.cycle([AmcTransientError, AmcThrottledError])
    texts = iter(range(10_000))
    amc.trouble = lambda now, kind: next(errors)(f"Request {next(texts)}: gone") if now < 3_000.0 else None
    with caplog.at_level(logging.INFO, logger=shared.__name__):
        ended = run(all_of(*(trigger(one) for one in amc.runs)), amc)
    assert {status for status, _, _ in ended} == {"finished"}
    assert max(at for _, at, _ in ended) <= 3_000.0 + 132.0
    # Airflow 3.0 lets through what the triggers tell of each execution.
    first, second, last = [record.getMessage() for record in caplog.records if record.name == shared.__name__]
    assert "Could not look at AMC executions, for 50 waits on instance amcinstance" in first
    assert "AmcThrottledError" in second
    assert "AMC answers again" in last


def test_retry_after_is_respected_by_all_waits() -> None:
    amc = FakeAmc([Run(name, ends=10.0) for name in "abc"])
    amc.trouble = between(0.0, 100.0, AmcThrottledError("slow down", retry_after=300.0))

    async def late() -> Any:
        await asyncio.sleep(60.0)
        return await ending(trigger("c", started=60.0))

    async def scenario() -> Any:
        return await asyncio.gather(ending(trigger("a")), ending(trigger("b")), late())

    run(scenario(), amc)
    times = sorted({at for at, _, _ in amc.requests})
    assert len(times) == 2
    assert 300.0 <= times[1] - times[0] <= 331.0


def test_throttling_without_a_word_about_when() -> None:
    amc = FakeAmc([Run(name, ends=10.0) for name in "ab"])
    amc.trouble = between(0.0, 1_000.0, AmcThrottledError("slow down"))
    run(all_of(trigger("a"), trigger("b")), amc)
    assert len(amc.requests) < 15


def test_throttling_stops_the_single_calls() -> None:
    amc = FakeAmc([Run(f"e{number}", ends=10.0) for number in range(100)])
    amc.trouble = between(0.0, 16.9, AmcThrottledError("slow down"))
    run(all_of(*(trigger(one, created=None) for one in amc.runs)), amc)
    assert sum(1 for at, _, _ in amc.requests if at <= 16.9) == 4


def test_one_execution_that_cannot_be_read_hides_no_other() -> None:
    amc = FakeAmc([Run(f"e{number}", ends=10.0) for number in range(9)])
    real = amc.get

    def get(execution_id: str) -> Any:
        if execution_id == "e0":
            raise AmcTransientError("Internal error")
        return real(execution_id)

    amc.get = get  # type: ignore[method-assign]
    ended = run(all_of(*(trigger(one, created=None, deadline=500.0) for one in amc.runs)), amc)
    assert [status for status, _, _ in ended] == ["deadline"] + ["finished"] * 8
    assert all(at <= 17.0 for _, at, _ in ended[1:])


def test_a_refused_list_falls_back_to_single_calls() -> None:
    amc = FakeAmc([Run(name, ends=10.0) for name in "ab"])
    amc.trouble = between(0.0, 1e9, AmcInvalidRequestError("no"), "list")
    ended = run(all_of(trigger("a"), trigger("b")), amc)
    assert {status for status, _, _ in ended} == {"finished"}


def test_new_credentials_are_picked_up() -> None:
    amc, refused = FakeAmc([Run("a", ends=10.0)]), FakeAmc([])
    refused.trouble = lambda now, kind: AmcAuthenticationError("revoked")
    clients = iter([refused, refused, amc])

    async def scenario() -> Any:
        async def aget_conn(hook: AmcHook) -> Any:
            return next(clients)

        AmcHook.aget_conn = aget_conn  # type: ignore[method-assign]
        return await ending(trigger("a"))

    status, at, _ = run(scenario(), amc)
    assert status == "finished"
    assert at < 60.0


def test_a_page_that_fails_does_not_hide_those_before_it() -> None:
    runs = [Run(f"e{number}", created=-1.0 * number, ends=5.0) for number in range(150)]
    amc = FakeAmc(runs)
    pages = iter([None, AmcTransientError("gone")])
    amc.trouble = lambda now, kind: next(pages, None)
    ended = run(all_of(*(trigger(one.id, created=one.created) for one in runs)), amc)
    first = min(at for _, at, _ in ended)
    assert sum(1 for _, at, _ in ended if at == first) == 100
    assert max(at for _, at, _ in ended) <= 40.0
