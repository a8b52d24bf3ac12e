"""Triggers that wait in virtual time, and what they end with."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from tests.triggers.virtual import START, text


def trigger(execution_id: str, *, created: float | None = 0.0, **arguments: Any) -> AmcWorkflowExecutionTrigger:
    """A trigger with the usual intervals; times are the loop's."""
    for name in ("started", "deadline"):
        if arguments.get(name) is not None:
            arguments[name] += START
    return AmcWorkflowExecutionTrigger(
        workflow_execution_id=execution_id,
        instance_id="amcinstance",
        created=None if created is None else text(created),
        **{"started": START, "poll_interval": 15.0, "poll_interval_max": 120.0, **arguments},
    )


async def ending(trigger: AmcWorkflowExecutionTrigger) -> tuple[str, float, dict[str, Any]]:
    """What a trigger ends with, and when."""
    async for event in trigger.run():
        return event.payload["status"], round(asyncio.get_running_loop().time(), 3), event.payload
    raise AssertionError("The trigger ended without an event.")


async def all_of(*triggers: AmcWorkflowExecutionTrigger) -> list[tuple[str, float, dict[str, Any]]]:
    return list(await asyncio.gather(*map(ending, triggers)))
