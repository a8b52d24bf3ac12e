"""Runs operators without a scheduler: the context they get, and the trigger they leave behind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.triggers.base import BaseTrigger, TriggerEvent

#: When the runs of the tests are due.
RUN_AFTER = datetime(2026, 3, 11, 6, 0, tzinfo=UTC)


class FakeTaskInstance:
    """A try of a task instance; keeps its XComs.

    :param values: attributes that differ from those of a first try.
    """

    def __init__(self, **values: Any) -> None:
        self.dag_id, self.task_id, self.run_id, self.map_index = "reports", "run", "manual__1", -1
        self.try_number, self.max_tries = 1, 2
        self.xcoms: dict[str, Any] = {}
        for name, value in values.items():
            setattr(self, name, value)

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.xcoms[key] = value


def task_context(*, ti: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    """The context of a run without a logical date, as Airflow 3 gives for a run started by an asset.

    :param ti: attributes of the task instance that differ from those of a first try.
    """
    dag_run = SimpleNamespace(run_after=RUN_AFTER, run_type="manual", start_date=datetime.now(UTC))
    return {"ti": FakeTaskInstance(**(ti or {})), "dag_run": dag_run, **values}


def deferred(operator: Any, context: dict[str, Any]) -> TaskDeferred:
    """Run an operator up to the point where it defers."""
    try:
        result = operator.execute(context)
    except TaskDeferred as deferral:
        return deferral
    raise AssertionError(f"The task did not defer but returned {result!r}.")


def event_of(trigger: BaseTrigger, patience: float = 60.0) -> dict[str, Any]:
    """Run a trigger until its event; the patience bounds a test that hangs."""

    async def first() -> TriggerEvent:
        async with asyncio.timeout(patience):
            async for event in trigger.run():
                return event
        raise AssertionError("The trigger ended without an event.")

    payload: dict[str, Any] = asyncio.run(first()).payload
    return payload


def run_through(operator: Any, context: dict[str, Any]) -> Any:
    """Run a deferrable operator to its end, with its trigger in between if it defers."""
    try:
        return operator.execute(context)
    except TaskDeferred as deferral:
        kwargs = deferral.kwargs or {}
        return getattr(operator, deferral.method_name)(context, event=event_of(deferral.trigger), **kwargs)
