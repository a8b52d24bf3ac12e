"""Waits in the triggerer for what AMC makes on its own time: instances, audiences, uploads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_amc.exceptions import AmcNotFoundError
from airflow_provider_amc.triggers.connecting import call, connect
from airflow_provider_amc.triggers.looks import Looks
from airflow_provider_amc.triggers.polling import next_interval

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.progress import Progress

# Threads of their own: the default ones of a triggerer are shared with everything else in it.
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="amc-resource")


class AmcResourceTrigger(BaseTrigger):
    """Wait until AMC has finished with a resource, or the deadline has passed.

    A look that fails never ends the wait: it is reported once and tried again. Nothing is cancelled when the wait ends
    early, for AMC offers no way to. The event is a dictionary with ``status`` (``finished``, ``missing`` or
    ``deadline``), ``resource_status``, ``succeeded``, ``reason`` and ``problem``, why the last look failed.

    :param kind: what is waited for, see :data:`airflow_provider_amc.client.progress.KINDS`.
    :param names: what names it.
    :param amc_conn_id: Airflow connection of type ``amc``.
    :param instance_id: AMC instance; ``None`` takes the connection's.
    :param poll_interval: shortest interval between two looks in seconds.
    :param poll_interval_max: longest interval in seconds.
    :param deadline: wall-clock end of the wait, seconds since the epoch.
    :param started: wall-clock start of the wait, seconds since the epoch; kept when the trigger moves.
    :param carried: plain values that the event brings back to the task. Airflow's own way, the ``kwargs`` of a deferral,
        does not reach the task in ``dag.test()``.
    """

    def __init__(
        self,
        *,
        kind: str,
        names: Mapping[str, str],
        amc_conn_id: str = "amc_default",
        instance_id: str | None = None,
        poll_interval: float = 15.0,
        poll_interval_max: float = 120.0,
        deadline: float | None = None,
        started: float | None = None,
        carried: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.names = dict(names)
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id
        self.poll_interval = poll_interval
        self.poll_interval_max = poll_interval_max
        self.deadline = deadline
        self.started = time.time() if started is None else started
        self.carried = dict(carried) if carried is not None else None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give Airflow what it needs to make the trigger again; plain values only, no secrets."""
        fields = (
            "kind", "names", "amc_conn_id", "instance_id", "poll_interval", "poll_interval_max", "deadline", "started",
            "carried",
        )  # fmt: skip
        return (
            "airflow_provider_amc.triggers.resource.AmcResourceTrigger",
            {name: getattr(self, name) for name in fields},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then give one event."""
        yield TriggerEvent({**await self._outcome(), "carried": self.carried})

    async def _outcome(self) -> dict[str, Any]:
        looks = Looks(self.kind, self.names, self.log)
        client: AmcClient | None = None
        while True:
            try:
                client = client or await connect(_THREADS, self.amc_conn_id, self.instance_id)
                seen = await call(_THREADS, looks.look, client)
            except AmcNotFoundError:
                return _event("missing", looks)
            except Exception as error:
                # Whatever it is: the wait ends when AMC has finished, or at the deadline.
                looks.failed(error)
            else:
                if seen is not None:
                    return _event("finished", looks)
            if looks.problem:
                # A new client reads the connection again, where someone may have put new credentials.
                client = None
            if self.deadline is not None and time.time() >= self.deadline:
                return _event("deadline", looks)
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        now = time.time()
        pause = next_interval(now - self.started, self.poll_interval, self.poll_interval_max)
        return pause if self.deadline is None else max(0.0, min(pause, self.deadline - now))


def _event(status: str, looks: Looks) -> dict[str, Any]:
    seen: Progress | None = looks.seen
    return {
        "status": status,
        "resource_status": seen.status if seen else None,
        "succeeded": bool(seen and seen.succeeded),
        "reason": seen.reason if seen else None,
        "problem": looks.problem or None,
    }
