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
    """Keeps the XComs of one task instance."""

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.xcoms[key] = value


def task_context(**values: Any) -> dict[str, Any]:
    """The context of a run without a logical date, as Airflow 3 gives for a run started by an asset."""
    return {"ti": FakeTaskInstance(), "dag_run": SimpleNamespace(run_after=RUN_AFTER, run_type="manual"), **values}


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
    """Run a deferrable operator to its end, with its trigger in between."""
    deferral = deferred(operator, context)
    return getattr(operator, deferral.method_name)(context, event=event_of(deferral.trigger))
