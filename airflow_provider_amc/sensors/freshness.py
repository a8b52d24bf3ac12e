"""Sensor for the data of an instance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_amc.exceptions import AmcError, AmcValidationError
from airflow_provider_amc.freshness import BACKFILL, STATES, end_of, lag
from airflow_provider_amc.triggers.waiting import BACKSTOP, time_allowed
from airflow_provider_amc.windows import TimeWindow, Window, check_window_arguments, moments_of, window_from_arguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.hooks.amc import AmcHook


class AmcDataFreshnessSensor(BaseSensorOperator):
    """Wait until AMC's data covers a time window.

    AMC's data of a window is complete 48 hours after its end, and a new instance is filled with the past in its first
    three days. Both follow from the clock, so a deferred task is woken once, at that time, and asks AMC nothing before.
    Windows that AMC itself ends where its data does (MOST_RECENT_DAY, MOST_RECENT_WEEK, CURRENT_MONTH, ALL) are covered
    at once.

    :param window: rule for the window, such as ``last_days(7)``, ``data_interval()`` or ``previous_month()``; the same as
        that of the query.
    :param time_window_type: one of AMC's types, instead of ``window``. (templated)
    :param time_window_start: first instant, ``yyyy-MM-dd'T'HH:mm:ss``, local to the zone. (templated)
    :param time_window_end: first instant after the window, same form. (templated)
    :param time_window_time_zone: tz database name. Default: UTC. (templated)
    :param data_sources: tables that the query reads. The instance has to have them; a table of your own uploads has
        nothing to wait for. Default: any of Amazon's tables. (templated)
    :param state: ``complete``: all events of the window are there. ``settled``: results do not change any more, which
        takes 14 to 30 days for conversions and needs ``data_sources``. Default: ``complete``.
    :param deferrable: wait in the triggerer, without holding a worker. Default: ``[operators] default_deferrable``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :raises AmcNotFoundError: the instance has no such data source.
    :raises AirflowSensorTimeout: the data will not be there within ``timeout``; this is known, and raised, at once.
    """

    template_fields: Sequence[str] = (
        "time_window_type",
        "time_window_start",
        "time_window_end",
        "time_window_time_zone",
        "data_sources",
        "amc_conn_id",
        "instance_id",
    )

    def __init__(
        self,
        *,
        window: Window | TimeWindow | None = None,
        time_window_type: str | None = None,
        time_window_start: str | datetime | None = None,
        time_window_end: str | datetime | None = None,
        time_window_time_zone: str | None = None,
        data_sources: Sequence[str] | None = None,
        state: str = "complete",
        amc_conn_id: str = "amc_default",
        instance_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_window_arguments(
            window=window,
            time_window_type=time_window_type,
            time_window_start=time_window_start,
            time_window_end=time_window_end,
            time_window_time_zone=time_window_time_zone,
        )
        if state not in STATES:
            raise AmcValidationError(f"Task {self.task_id}: state must be one of {', '.join(STATES)}, got {state!r}.")
        if state == "settled" and not data_sources:
            raise AmcValidationError(
                f"Task {self.task_id}: when results have settled depends on the tables. Name them in data_sources."
            )
        self.window = window
        self.time_window_type = time_window_type
        self.time_window_start = time_window_start
        self.time_window_end = time_window_end
        self.time_window_time_zone = time_window_time_zone
        self.data_sources = data_sources
        self.state = state
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id
        self.deferrable = deferrable
        self._told: datetime | None = None

    @cached_property
    def hook(self) -> AmcHook:
        """The hook, made when the task runs."""
        from airflow_provider_amc.hooks.amc import AmcHook

        return AmcHook(self.amc_conn_id, instance_id=self.instance_id or None)

    def execute(self, context: Context) -> None:
        """Wait for the data."""
        if not self.deferrable:
            super().execute(context)
            return
        self.execute_complete(context)

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look once. AMC being away is no reason to end the wait."""
        allowed = time_allowed(self.timeout, self.execution_timeout)
        return self._missing_until(context, time.time() + allowed) is None

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, deadline: float | None = None
    ) -> None:
        """Look, and wait in the triggerer for as long as the data needs.

        :param event: of the trigger that has let the time pass; it says nothing.
        :param deadline: wall-clock end of the wait, seconds since the epoch.
        """
        deadline = deadline or time.time() + time_allowed(self.timeout, self.execution_timeout)
        until = self._missing_until(context, deadline)
        if until is None:
            return
        try:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger
        except ImportError:
            # Airflow 2 without the provider of the standard operators.
            from airflow.triggers.temporal import DateTimeTrigger  # type: ignore[import-not-found,no-redef]

        self.defer(
            trigger=DateTimeTrigger(until),
            method_name="execute_complete",
            kwargs={"deadline": deadline},
            timeout=timedelta(seconds=max(0.0, deadline - time.time()) + BACKSTOP),
        )

    def _missing_until(self, context: Context, deadline: float) -> datetime | None:
        """When to look again; ``None`` when the data is there."""
        now = datetime.fromtimestamp(time.time(), UTC)
        window = window_from_arguments(
            window=self.window,
            time_window_type=self.time_window_type,
            time_window_start=self.time_window_start,
            time_window_end=self.time_window_end,
            time_window_time_zone=self.time_window_time_zone,
            context=context,
        )
        end = end_of(window, now)
        if end is None:
            self.log.info("AMC ends the window %s where its data ends: nothing to wait for", window)
            return None
        try:
            until, why = self._whole(window, end)
        except AmcError as error:
            if not error.retryable:
                raise
            self.log.warning("Could not look at the AMC instance, will try again: %s", error)
            until = now + timedelta(seconds=float(self.poke_interval))
            if until.timestamp() > deadline:
                self._give_up(f"AMC could not be asked about the data of {window}: {error}")
            return until
        if until <= now:
            self.log.info("AMC's data of %s is %s since %s (%s)", window, self.state, _text(until), why)
            return None
        if until != self._told:
            self._told = until
            self.log.info(
                "AMC's data of %s will be %s at %s (%s); waiting until then", window, self.state, _text(until), why
            )
        if until.timestamp() > deadline:
            self._give_up(
                f"AMC's data of {window} will be {self.state} at {_text(until)} ({why}), which is after the timeout of the "
                f"task, {_text(datetime.fromtimestamp(deadline, UTC))}. Raise timeout, or ask for an older window."
            )
        return until

    def _whole(self, window: TimeWindow, end: datetime) -> tuple[datetime, str]:
        """When the data of a window is as asked for, and why."""
        client = self.hook.get_conn()
        names = [self.data_sources] if isinstance(self.data_sources, str) else list(self.data_sources or ())
        sources = [client.data_sources.get(name) for name in names]
        amazons = [source.data_source_id for source in sources if source.owner != "CUSTOMER"]
        if names and not amazons:
            return end, "its tables are uploads of your own"
        delay = lag(amazons, self.state)
        until, why = end + delay, f"{delay / timedelta(hours=1):.0f} hours after its end"
        created = client.instances.get().creation_datetime
        past = created is not None and (window.start is None or moments_of(window)[0] < created)
        if created is not None and past and created + BACKFILL > until:
            until = created + BACKFILL
            why = f"the instance was created at {_text(created)}, and is filled with the past in its first {BACKFILL.days} days"
        return until, why

    def _give_up(self, message: str) -> None:
        if self.soft_fail or getattr(self, "never_fail", False):
            raise AirflowSkipException(message)
        raise AirflowSensorTimeout(message)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
