from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcTransientError, AmcValidationError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.triggers import event as events
from airflow_provider_amc.triggers import shared
from airflow_provider_amc.triggers.event import AmcExecutionFinishedTrigger
from tests.triggers.test_shared import ending, trigger
from tests.triggers.virtual import FakeAmc, Run, run

needs_watchers = pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 has no asset watchers")
SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


class Store:
    """The state store of one asset, as a trigger gets it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.broken = False

    async def aget(self, key: str, default: Any = None) -> Any:
        if self.broken:
            raise ValueError("Task has 2 concrete inlets and outlets")
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        if self.broken:
            raise ValueError("Task has 2 concrete inlets and outlets")
        self.values[key] = json.dumps(value)


class Amc(FakeAmc):
    """One whose clock is that of the triggerer: a watch begins at a time, and not at an execution."""

    instance_id = "amcinstance"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    random.seed(7)
    loops = asyncio.get_running_loop

    def now() -> datetime:
        return datetime.fromtimestamp(1_000_000_000 + loops().time(), UTC)

    monkeypatch.setattr(events, "_now", now)


@pytest.fixture
def real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_now", lambda: datetime.now(UTC))


def watcher(store: Store | None = None, **arguments: Any) -> AmcExecutionFinishedTrigger:
    made = AmcExecutionFinishedTrigger(**{"workflow_id": "reach", "instance_id": "amcinstance", **arguments})
    made.asset_state_store = store  # type: ignore[assignment]
    return made


async def told(watcher: AmcExecutionFinishedTrigger, seconds: float) -> list[tuple[str, float]]:
    """Ids and times of the events within some seconds; then the triggerer stops."""
    found: list[tuple[str, float]] = []

    async def collect() -> None:
        async for event in watcher.run():
            at = asyncio.get_running_loop().time()
            found.append((event.payload["workflow_execution_id"], round(at)))

    task = asyncio.ensure_future(collect())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found


@needs_watchers
def test_each_execution_is_told_once_when_it_has_finished() -> None:
    runs = [
        Run("before", created=-500.0, ends=-100.0),
        Run("on its way", created=-400.0, ends=200.0),
        Run("slow", created=100.0, ends=9_000.0),
        Run("quick", created=300.0, ends=400.0),
        Run("late to be seen", created=500.0, ends=550.0, visible=620.0),
        Run("failed", created=600.0, ends=700.0, status="FAILED"),
        Run("other", created=600.0, ends=700.0, workflow="other"),
    ]
    found = run(told(watcher(), 20_000.0), Amc(runs))
    assert [one for one, _ in found] == ["on its way", "quick", "late to be seen", "slow"]
    ends = {one.id: max(one.ends, one.visible) for one in runs}
    assert all(ends[one] <= at <= ends[one] + 70.0 for one, at in found)


@needs_watchers
def test_other_statuses_and_all_workflows() -> None:
    runs = [Run(one, created=0.0, ends=90.0, status=one) for one in ("SUCCEEDED", "FAILED", "REJECTED", "CANCELLED")]
    runs.append(Run("other", created=1.0, ends=90.0, status="FAILED", workflow="other"))
    found = run(told(watcher(statuses=["FAILED", "CANCELLED"], workflow_id=None), 500.0), Amc(runs))
    assert {one for one, _ in found} == {"FAILED", "CANCELLED", "other"}


@needs_watchers
def test_a_restart_tells_what_finished_meanwhile_and_nothing_twice() -> None:
    runs = [Run(f"e{number}", created=150.0 * number, ends=150.0 * number + 1_000.0) for number in range(40)]

    async def life(store: Store | None) -> list[str]:
        found = []
        for lasts, away in ((1_500.0, 700.0), (40.0, 3.0), (2_000.0, 900.0), (9_000.0, 0.0)):
            found += await told(watcher(store), lasts)
            await asyncio.sleep(away)
        return [one for one, _ in found]

    names = [one.id for one in runs]
    assert sorted(run(life(Store()), Amc(runs))) == sorted(names)
    # Without the store what finished while the triggerer was away stays untold.
    without = run(life(None), Amc(runs))
    assert len(without) == len(set(without)) < len(names)


@needs_watchers
def test_the_state_stays_small_and_is_for_one_watch() -> None:
    runs = [Run(f"e{n}", created=60.0 * n, ends=60.0 * n + 30.0, visible=60.0 * n) for n in range(300)]
    store, amc = Store(), Amc(runs)
    found = run(told(watcher(store), 19_000.0), amc)
    assert len(found) == len(runs)
    (state,) = (json.loads(value) for value in store.values.values())
    # An hour of executions, whatever was told before.
    assert len(state["told"]) <= 70
    pages = len(amc.requests) / len({at for at, _, _ in amc.requests})
    assert pages < 1.2
    run(told(watcher(store, workflow_id=None), 200.0), Amc(runs))
    assert len(store.values) == 2


@needs_watchers
def test_one_list_for_the_watch_and_the_deferred_tasks() -> None:
    runs = [Run(f"e{number}", created=0.0, ends=900.0) for number in range(20)]
    amc = Amc(runs)

    async def both() -> Any:
        waiting = [ending(trigger(one.id)) for one in runs]
        return await asyncio.gather(told(watcher(poll_interval=15.0), 1_200.0), *waiting)

    found, *ended = run(both(), amc)
    assert len(found) == 20
    assert {status for status, _, _ in ended} == {"finished"}
    assert amc.count("get") == 0
    polls = sorted({at for at, _, _ in amc.requests})
    # All of them together cost what the watch alone would: one call every 15 seconds.
    assert len(amc.requests) == len(polls) <= 1_200.0 / (15.0 * 0.9) + 1
    assert not shared._pollers


@needs_watchers
def test_outages_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    amc = Amc([Run("a", created=0.0, ends=100.0)])
    amc.trouble = lambda now, kind: AmcTransientError("gone") if now < 3_000.0 else None
    ((name, at),) = run(told(watcher(), 5_000.0), amc)
    assert name == "a"
    assert 3_000.0 <= at <= 3_200.0


@needs_watchers
def test_a_list_that_amc_refuses_does_not_hide_single_executions() -> None:
    from airflow_provider_amc.exceptions import AmcNotFoundError

    amc = Amc([Run("a", created=0.0, ends=100.0), Run("b", created=0.0, ends=100.0)])
    amc.trouble = lambda now, kind: AmcNotFoundError("no such workflow") if kind == "list" else None

    async def both() -> Any:
        return await asyncio.gather(told(watcher(), 500.0), ending(trigger("a")), ending(trigger("b")))

    found, *ended = run(both(), amc)
    assert found == []
    assert {status for status, _, _ in ended} == {"finished"}


@needs_watchers
def test_a_connection_that_is_mended_later() -> None:
    amc = Amc([Run("a", created=0.0, ends=500.0)])
    calls = iter([RuntimeError("no connection amc_default"), None])

    async def scenario() -> Any:
        async def aget_conn(hook: AmcHook) -> Any:
            if (error := next(calls, None)) is not None:
                raise error
            return amc

        # Over the one that the loop of these tests has put there, and takes away.
        AmcHook.aget_conn = aget_conn  # type: ignore[method-assign]
        return await told(watcher(instance_id=None), 1_000.0)

    assert [name for name, _ in run(scenario(), amc)] == ["a"]


@needs_watchers
def test_a_store_that_several_assets_share_is_told_of(mocker: Any) -> None:
    log = mocker.patch.object(AmcExecutionFinishedTrigger, "log")
    store = Store()
    store.broken = True
    assert len(run(told(watcher(store), 500.0), Amc([Run("a", created=0.0, ends=100.0)]))) == 1
    assert "Does one asset alone have this trigger" in log.warning.call_args.args[0]


@needs_watchers
@pytest.mark.usefixtures("real_clock")
def test_on_the_emulator(amc_default: EmulatorServer) -> None:
    client = AmcHook().get_conn()
    client.workflows.create("reach", sql_query=SQL)
    window = {"time_window_start": "2026-03-01T00:00:00", "time_window_end": "2026-03-08T00:00:00"}
    zone = "America/New_York"

    async def first() -> Any:
        watching = watcher(instance_id=None, poll_interval=0.05)
        stream = watching.run().__aiter__()
        coming = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        made = await asyncio.to_thread(
            client.executions.create, workflow_id="reach", time_window_time_zone=zone, **window
        )
        async with asyncio.timeout(60):
            event = await coming
        await stream.aclose()
        return made, event

    made, event = asyncio.run(first())
    assert event.payload == {
        "workflow_execution_id": made.workflow_execution_id,
        "workflow_id": "reach",
        "instance_id": "amcemulator",
        "status": "SUCCEEDED",
        "time_window_time_zone": zone,
        **window,
    }
    assert "secret" not in json.dumps(event.payload)


@needs_watchers
def test_survives_serialization_and_is_a_watch() -> None:
    from airflow.providers.common.compat.assets import Asset
    from airflow.sdk import AssetWatcher

    original = watcher(statuses=("FAILED",), amc_conn_id="other", poll_interval=5)
    path, arguments = original.serialize()
    assert path == "airflow_provider_amc.triggers.event.AmcExecutionFinishedTrigger"
    again = AmcExecutionFinishedTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    asset = Asset("amc://NA/amcinstance/reach", watchers=[AssetWatcher(name="finished", trigger=original)])
    assert asset.watchers[0].trigger is original


@needs_watchers
@pytest.mark.parametrize("arguments", [{"statuses": "FAILED"}, {"statuses": ["DONE"]}, {"statuses": []}, {"poll_interval": 0}])  # fmt: skip
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(AmcValidationError, match=next(iter(arguments))):
        watcher(**arguments)


@pytest.mark.skipif(AIRFLOW_V_3_0_PLUS, reason="Airflow 3 has asset watchers")
def test_airflow_2_says_what_to_do_instead() -> None:
    with pytest.raises(AmcConfigurationError, match=r"needs Airflow 3\.0 .* AmcScheduleSensor"):
        watcher()
