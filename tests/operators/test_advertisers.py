"""Advertisers of an instance: in batches, one update at a time."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcDeadlineError, AmcResourceFailedError, AmcValidationError
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.instance import AmcUpdateAdvertisersOperator
from tests.operators.conftest import Clock
from tests.tasks import event_of, task_context

MARKETPLACE = "ATVPDKIKX0DER"


def dsp(number: int) -> dict[str, str]:
    return {"id": f"58{number:016}", "type": "DISPLAY"}


def ads(number: int) -> dict[str, str]:
    return {"id": f"ENTITYEMULATORADS{number}", "type": "SPONSORED_ADS", "marketplaceId": MARKETPLACE}


#: There from the start.
FIRST = {"id": "580000000000000001", "type": "DISPLAY"}


def update(**arguments: Any) -> AmcUpdateAdvertisersOperator:
    return AmcUpdateAdvertisersOperator(**{"task_id": "advertisers", "poll_interval": 0.01, **arguments})


def there() -> set[str]:
    return {one.id for one in AmcHook().get_conn().advertisers.list()}


def updates() -> list[tuple[int, int, str]]:
    """How many each update added and removed, and its status."""
    client = AmcHook().get_conn().advertisers
    found = [client.get_update(int(one.update_id or 0)) for one in client.updates()]
    return [(len(one.advertisers_to_add), len(one.advertisers_to_remove), one.status) for one in found]


def to_the_end(emulator: EmulatorServer, **arguments: Any) -> tuple[Any, int]:
    """Run a deferrable task through all its deferrals, each in a process of its own as far as the operator can tell."""
    context, step, deferrals = task_context(), None, 0
    while True:
        operator = update(deferrable=True, **arguments)
        try:
            return (
                operator.execute(context) if step is None else operator.execute_complete(context, **step)
            ), deferrals
        except TaskDeferred as deferral:
            deferrals += 1
            emulator.advance_clock(200)
            step = {"event": event_of(deferral.trigger), **(deferral.kwargs or {})}


def slow(emulator: EmulatorServer, seconds: float = 120) -> None:
    emulator.add_fault(operation="createAdvertiserUpdate", kind="duration", seconds=seconds, times=None)


def test_many_advertisers_in_batches(amc_default: EmulatorServer, clock: Clock) -> None:
    slow(amc_default)
    add = [*(dsp(number) for number in range(2, 25)), ads(1)]
    assert update(add=add, remove=[FIRST], poll_interval=15).execute(task_context()) == {"added": 24, "removed": 1}
    assert updates() == [(10, 1, "COMPLETED"), (10, 0, "COMPLETED"), (4, 0, "COMPLETED")]
    assert there() == {*(one["id"] for one in add), "ENTITYEMULATORADS"}
    assert 360 <= sum(clock.slept) <= 450


def test_many_advertisers_in_the_triggerer(amc_default: EmulatorServer) -> None:
    slow(amc_default)
    result, deferrals = to_the_end(amc_default, add=[dsp(number) for number in range(2, 25)])
    assert (result, deferrals) == ({"added": 23, "removed": 0}, 3)
    assert len(there()) == 25


def test_hundreds_of_updates_are_no_problem(amc_default: EmulatorServer) -> None:
    """The operator waits in a loop; Python would not take as many calls within calls."""
    client = AmcHook().get_conn()
    client.advertisers.update(add=[dsp(number) for number in range(2, 12)])
    operator = update(add=[dsp(number) for number in range(2, 2002)])
    present: list[Any] = []
    operator.client.advertisers.list = lambda: iter(present)  # type: ignore[method-assign,assignment,misc]

    def accepted(add: Any, remove: Any) -> Any:
        present.extend(type("There", (), {"key": one}) for one in add)
        return type("Update", (), {"update_id": 0})

    operator.client.advertisers.update = accepted  # type: ignore[method-assign,assignment]
    assert operator.execute(task_context()) == {"added": 2000, "removed": 0}


def test_one_limit_for_all_updates(amc_default: EmulatorServer, clock: Clock) -> None:
    slow(amc_default, 400)
    with pytest.raises(AmcDeadlineError):
        update(add=[dsp(number) for number in range(2, 25)], timeout=1000, poll_interval=15).execute(task_context())
    assert sum(clock.slept) == pytest.approx(1000)
    first, second, third = (status for _, _, status in updates())
    assert (first, second, third in ("PENDING", "UPDATING")) == ("COMPLETED", "COMPLETED", True)


def test_one_limit_for_all_deferrals(amc_default: EmulatorServer) -> None:
    slow(amc_default)
    context, operator = task_context(), update(add=[dsp(number) for number in range(2, 25)], deferrable=True)
    with pytest.raises(TaskDeferred) as first:
        operator.execute(context)
    amc_default.advance_clock(200)
    kwargs = first.value.kwargs or {}
    again = update(add=operator.add, deferrable=True, timeout=5)
    with pytest.raises(TaskDeferred) as second:
        again.execute_complete(context, event=event_of(first.value.trigger), **kwargs)
    assert second.value.trigger.deadline == first.value.trigger.deadline


def test_what_is_as_asked_for_is_not_asked_for(amc_default: EmulatorServer) -> None:
    operator = update(add=[{**FIRST, "marketplaceId": MARKETPLACE}, FIRST], remove=[dsp(77)])
    assert operator.execute(task_context()) == {"added": 0, "removed": 0}
    assert amc_default.requests_of("createAdvertiserUpdate") == []


def test_dsp_advertisers_have_no_marketplace(amc_default: EmulatorServer) -> None:
    """AMC does not give it back for them, so it must not make a difference."""
    given = [{**dsp(2), "marketplaceId": MARKETPLACE}]
    assert update(add=given).execute(task_context()) == {"added": 1, "removed": 0}
    assert update(remove=given).execute(task_context()) == {"added": 0, "removed": 1}


def test_retry_goes_on_where_the_try_before_it_stopped(amc_default: EmulatorServer, clock: Clock) -> None:
    slow(amc_default)
    add = [dsp(number) for number in range(2, 14)]
    update(add=add[:10], wait_for_completion=False).execute(task_context())
    result = update(add=add, poll_interval=15).execute(task_context(ti={"try_number": 2}))
    assert result == {"added": 2, "removed": 0}
    assert updates() == [(10, 0, "COMPLETED"), (2, 0, "COMPLETED")]


def test_open_update_of_somebody_else_is_waited_for(amc_default: EmulatorServer, clock: Clock) -> None:
    """It may take away what is there, and AMC refuses a second one."""
    slow(amc_default)
    AmcHook().get_conn().advertisers.update(remove=[FIRST])
    assert update(add=[FIRST], poll_interval=15).execute(task_context()) == {"added": 1, "removed": 0}
    assert FIRST["id"] in there()


@pytest.mark.parametrize("deferrable", [True, False])
def test_rejected_update_of_somebody_else_is_not_ours(
    amc_default: EmulatorServer, clock: Clock, deferrable: bool
) -> None:
    slow(amc_default)
    AmcHook().get_conn().advertisers.update(add=[{"id": "99", "type": "DISPLAY"}])
    if deferrable:
        result, _ = to_the_end(amc_default, add=[dsp(2)])
    else:
        result = update(add=[dsp(2)], poll_interval=15).execute(task_context())
    assert result == {"added": 1, "removed": 0}
    assert [status for _, _, status in updates()] == ["REJECTED", "COMPLETED"]


def test_rejected_update(amc_default: EmulatorServer) -> None:
    with pytest.raises(AmcResourceFailedError, match="advertiser update amcemulator/0 ended as REJECTED"):
        update(add=[{"id": "99", "type": "DISPLAY"}]).execute(task_context())


def test_update_that_changes_nothing_fails(amc_default: EmulatorServer) -> None:
    operator = update(add=[dsp(2), dsp(2), dsp(3)])
    operator.client.advertisers.list = lambda: iter(())  # type: ignore[method-assign,assignment,misc]
    with pytest.raises(AmcResourceFailedError, match=f"2 advertisers are still not as asked for .{dsp(2)['id']}"):
        operator.execute(task_context())
    assert len(updates()) == 1


def test_only_the_last_update_is_not_waited_for(amc_default: EmulatorServer, clock: Clock) -> None:
    slow(amc_default)
    operator = update(add=[dsp(number) for number in range(2, 14)], wait_for_completion=False, poll_interval=15)
    assert operator.execute(task_context()) == {"added": 12, "removed": 0}
    assert updates() == [(10, 0, "COMPLETED"), (2, 0, "PENDING")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"add": [{"type": "DISPLAY"}]}, r"add\[0\] has no id"),
        ({"remove": "580"}, "remove must be a list of advertisers"),
        ({"add": [dsp(2)], "remove": [dsp(2)]}, "is to be added and to be removed"),
    ],
)
def test_nothing_is_asked_for(amc_default: EmulatorServer, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        update(**arguments).execute(task_context())
    assert amc_default.requests_of("createAdvertiserUpdate") == []


def test_templates() -> None:
    operator = update(add=[{"id": "{{ ds }}", "type": "DISPLAY"}])
    operator.render_template_fields({"ds": "2026"})
    assert operator.add == [{"id": "2026", "type": "DISPLAY"}]
    assert set(operator.template_fields) == {"add", "remove", "amc_conn_id", "instance_id"}
