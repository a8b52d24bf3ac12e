"""Asset events for finished executions (Airflow 3.0 and later)."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError
from airflow_provider_amc.triggers.connecting import connect, describe
from airflow_provider_amc.triggers.ledger import Ledger
from airflow_provider_amc.triggers.listing import Watch
from airflow_provider_amc.triggers.shared import looked_after

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

    from airflow_provider_amc.client.models import Execution
else:
    try:
        from airflow.triggers.base import BaseEventTrigger
    except ImportError:
        BaseEventTrigger = BaseTrigger

_THREADS = ThreadPoolExecutor(2, thread_name_prefix="amc-event")


class AmcExecutionFinishedTrigger(BaseEventTrigger):
    """Give one event for every execution of a workflow that finishes, for an ``AssetWatcher``.

    It reads the list of executions that the deferred tasks of the same triggerer, connection and instance read anyway
    (:mod:`airflow_provider_amc.triggers.shared`). Airflow's own way of sharing a stream (``shared_stream_key``) is not
    used: it joins event triggers only.

    The event is a dictionary: ``workflow_execution_id``, ``workflow_id``, ``instance_id``, ``status``,
    ``time_window_start``, ``time_window_end`` and ``time_window_time_zone``, the last three as operators take them.

    The first start tells what finishes from then on. From Airflow 3.3 on what has been told is kept in the state store
    of the asset: a triggerer that is started again tells what finished meanwhile, and nothing twice. This needs a trigger
    that one asset alone watches; give each asset a trigger with other arguments. Without the store every start of the
    triggerer begins anew: nothing is told twice, and what finished while it was away is not told. Airflow confirms no
    event, so one that a triggerer has not handed over when it is killed, within the second, is lost.

    :param workflow_id: saved workflow; ``None`` for all executions of the instance.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``.
    :param instance_id: AMC instance. Default: that of the connection.
    :param statuses: statuses that give an event, of SUCCEEDED, FAILED, REJECTED and CANCELLED. Default: SUCCEEDED alone,
        for the others have changed nothing.
    :param poll_interval: seconds between two looks. Default: 60.
    :raises AmcConfigurationError: in Airflow 2, which has no asset watchers.
    :raises AmcValidationError: an argument is wrong.
    """

    def __init__(
        self,
        *,
        workflow_id: str | None = None,
        amc_conn_id: str = "amc_default",
        instance_id: str | None = None,
        statuses: Sequence[str] = ("SUCCEEDED",),
        poll_interval: float = 60.0,
    ) -> None:
        if BaseEventTrigger is BaseTrigger:
            raise AmcConfigurationError(
                "AmcExecutionFinishedTrigger watches an asset, which needs Airflow 3.0 or later. In Airflow 2 wait in the "
                "DAG, with AmcWorkflowExecutionSensor for an execution or AmcScheduleSensor for that of a schedule."
            )
        super().__init__()
        finals = ("SUCCEEDED", "FAILED", "REJECTED", "CANCELLED")
        if isinstance(statuses, str) or not statuses or not set(statuses) <= set(finals):
            raise AmcValidationError(f"statuses must be a list of {', '.join(finals)}, got {statuses!r}.")
        self.workflow_id = workflow_id
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id
        self.statuses = list(statuses)
        self.poll_interval = _seconds(poll_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give Airflow what it needs to make the trigger again; plain values only, no secrets."""
        fields = ("workflow_id", "amc_conn_id", "instance_id", "statuses", "poll_interval")
        return (
            "airflow_provider_amc.triggers.event.AmcExecutionFinishedTrigger",
            {name: getattr(self, name) for name in fields},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Give an event for each execution that finishes, for as long as the asset is watched."""
        began = _now()
        instance_id = await self._instance()
        kept = Ledger.read(await self._load(instance_id))
        ledger = kept or Ledger.new(began)
        watch = Watch(
            ledger.since,
            workflow_id=self.workflow_id,
            shortest=self.poll_interval,
            longest=self.poll_interval,
            started=time.time(),
        )
        saved = None if kept is None else kept.kept()["told"]
        with looked_after(watch, self.amc_conn_id, instance_id):
            while True:
                for execution in ledger.take(await watch.look(), _now()):
                    if execution.raw_status in self.statuses:
                        yield TriggerEvent(_payload(execution, instance_id))
                watch.since = ledger.since
                state = ledger.kept()
                if state["told"] != saved:
                    saved = state["told"]
                    await self._save(instance_id, state)

    async def _instance(self) -> str:
        """The instance by its id, also if it is that of the connection: so it is the one of the deferred tasks."""
        told = ""
        while True:
            try:
                client = await connect(_THREADS, self.amc_conn_id, self.instance_id)
                if client.instance_id:
                    return client.instance_id
                problem = "neither the trigger nor the connection names an AMC instance"
            except Exception as error:
                # Somebody may mend the connection. A trigger that ends would not be started again.
                problem = describe(error)
            if problem != told:
                told = problem
                self.log.warning("Cannot watch AMC with the connection %s, will try again: %s", self.amc_conn_id, told)
            await asyncio.sleep(self.poll_interval)

    def _key(self, instance_id: str) -> str:
        identity = "\n".join((self.amc_conn_id, instance_id, self.workflow_id or ""))
        return f"amc_finished:{hashlib.sha256(identity.encode()).hexdigest()[:32]}"

    async def _load(self, instance_id: str) -> object:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return None
        try:
            # Airflow 3.3.2 and later can wait for it; before, the call blocks.
            if hasattr(store, "aget"):
                return await store.aget(self._key(instance_id))
            return await asyncio.to_thread(store.get, self._key(instance_id))
        except Exception as error:
            self._warn(error)
            return None

    async def _save(self, instance_id: str, state: dict[str, Any]) -> None:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return
        try:
            if hasattr(store, "aset"):
                await store.aset(self._key(instance_id), state)
            else:
                await asyncio.to_thread(store.set, self._key(instance_id), state)
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        # A ValueError says that several assets have this very trigger, which stays so.
        self.log.warning(
            "What has been told of AMC's executions is not kept over a restart, for the state store of the asset does not "
            "take it. Does one asset alone have this trigger? %s",
            describe(error),
        )


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise AmcValidationError(f"poll_interval must be a positive number of seconds, got {value!r}.")
    return float(value)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _payload(execution: Execution, instance_id: str) -> dict[str, Any]:
    start, end = execution.time_window_start, execution.time_window_end
    return {
        "workflow_execution_id": execution.workflow_execution_id,
        "workflow_id": execution.workflow_id,
        "instance_id": instance_id,
        "status": execution.raw_status,
        "time_window_start": execution.time_window_start_original or (start and start.strftime("%Y-%m-%dT%H:%M:%S")),
        "time_window_end": execution.time_window_end_original or (end and end.strftime("%Y-%m-%dT%H:%M:%S")),
        "time_window_time_zone": execution.time_window_time_zone_original or "UTC",
    }
