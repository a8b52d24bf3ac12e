"""What the fixture ``amc_emulator`` gives to a test: a local AMC, its clock, its faults, and a way to run a query.

Importing this module costs nothing; pytest itself is not needed either.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcDeadlineError, AmcValidationError

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution
    from airflow_provider_amc.emulator.server import EmulatorServer

#: The window of a query that names none. It holds every row, also those that a test wrote years ago.
_ALWAYS = ("2000-01-01T00:00:00", "2100-01-01T00:00:00")
_FIRST_POLL_SECONDS = 0.005
_LONGEST_POLL_SECONDS = 0.25


class AmcEmulator:
    """A local AMC for one test.

    :param server: the running emulator.
    """

    def __init__(self, server: EmulatorServer) -> None:
        #: The server behind, for everything that is not here.
        self.server = server
        #: What goes wrong next.
        self.faults = Faults(server)
        #: The virtual time.
        self.clock = Clock(server)
        self._client: AmcClient | None = None

    def __repr__(self) -> str:
        return f"AmcEmulator({self.url!r})"

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end."""
        return self.server.url

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection to this emulator."""
        return self.server.connection

    @property
    def airflow_connection(self) -> str:
        """The same as text, ready for a variable such as ``AIRFLOW_CONN_AMC_DEFAULT``."""
        return json.dumps(self.connection)

    @property
    def client(self) -> AmcClient:
        """A client of the AMC API that is connected to this emulator."""
        if self._client is None:
            from airflow_provider_amc.client import AmcClient, Credentials

            connection = self.connection
            extra = connection["extra"]
            self._client = AmcClient(
                Credentials(connection["login"], connection["password"], extra["refresh_token"]),
                region=extra["region"],
                account_id=extra["account_id"],
                marketplace_id=extra["marketplace_id"],
                instance_id=extra["instance_id"],
                base_url=self.url,
            )
        return self._client

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What has been asked of the emulator, oldest first, with secrets masked."""
        return self.server.requests

    def requests_of(self, operation: str) -> list[dict[str, Any]]:
        """The requests of one operation, such as ``createWorkflowExecution``."""
        return self.server.requests_of(operation)

    def load_table(self, name: str, rows: Any) -> None:
        """Replace the rows of a table by your own.

        :param name: a table of AMC, or a new name for a table like one that an advertiser uploaded.
        :param rows: list of dictionaries, data frame (pandas, Polars) or ``pyarrow.Table``. Columns that are left out
            are NULL; a row without a time belongs to every window.
        :raises ValueError: a column is unknown to the table, or a value does not fit its column.
        """
        self.server.load_table(name, rows)

    def truth(self, start: str | None = None, end: str | None = None) -> dict[str, Any]:
        """What queries must find in the synthetic rows of a time: reach, frequency, overlap, paths and lag.

        :param start: first moment, such as ``2026-01-01T00:00:00Z``; the oldest one if not given.
        :param end: first moment after it; the present if not given.
        """
        return self.server.truth(start, end)

    def reset(self) -> None:
        """Forget everything that happened since the start."""
        self.server.reset()

    def query(
        self,
        sql: str | Path,
        *,
        start: datetime | date | str | None = None,
        end: datetime | date | str | None = None,
        time_zone: str | None = None,
        parameter_values: Mapping[str, object] | None = None,
        input_parameters: Sequence[Mapping[str, Any]] | None = None,
        instance_id: str | None = None,
        disable_aggregation_controls: bool = False,
        timeout: float = 60.0,
        **workflow: Any,
    ) -> list[dict[str, Any]]:
        """Run AMC SQL as an ad-hoc execution over HTTP, wait for it, and return the rows of its result.

        :param sql: the query, or the file it is in.
        :param start: first moment of the time window; without start and end the window holds every row.
        :param end: first moment after the window.
        :param time_zone: zone of start and end, default UTC.
        :param parameter_values: values of ``CUSTOM_PARAMETER``.
        :param input_parameters: declarations of the parameters, as in a workflow; by default made from the values.
        :param instance_id: default ``amcemulator``; ``amcsandbox`` is the sandbox.
        :param disable_aggregation_controls: show the rows as they are before AMC's privacy rules. AMC does that on a
            sandbox only, so it is the default instance then.
        :param timeout: real seconds to wait.
        :param workflow: further arguments of :func:`~airflow_provider_amc.client.workflow_definition`, such as
            ``filtered_metrics_discriminator_column``.
        :returns: one dictionary a row, values by AMC's types, sorted by the columns from left to right with missing
            values last, since AMC promises no order.
        :raises AmcInvalidRequestError: AMC does not take the query.
        :raises AmcExecutionError: the execution ended without a result, or did not end in time.
        """
        __tracebackhide__ = True  # pytest then shows the user's own line
        from airflow_provider_amc.client import workflow_definition

        if disable_aggregation_controls and instance_id is None:
            instance_id = next(name for name, kind in self.server.config.instances().items() if kind == "SANDBOX")
        synthetic = self.server.config.instances().get(instance_id or "") == "SANDBOX" or None
        values = dict(parameter_values or {})
        if input_parameters is None and values:
            input_parameters = [{"name": name, "dataType": _data_type(name, value)} for name, value in values.items()]
        if start is None and end is None:
            start, end = _ALWAYS
        text = sql.read_text(encoding="utf-8") if isinstance(sql, Path) else sql
        execution = self.client.executions.create(
            workflow=workflow_definition(sql_query=text, input_parameters=input_parameters, **workflow),
            time_window_start=_moment(start),
            time_window_end=_moment(end),
            time_window_time_zone=time_zone,
            parameter_values=values or None,
            require_synthetic_data=synthetic,
            disable_aggregation_controls=disable_aggregation_controls or None,
            instance_id=instance_id,
        )
        return self._rows(self._finished(execution, instance_id, timeout), instance_id)

    def _finished(self, execution: Execution, instance_id: str | None, timeout: float) -> Execution:
        __tracebackhide__ = True
        from airflow_provider_amc.landing.origin import failure_of

        deadline, pause = time.monotonic() + timeout, _FIRST_POLL_SECONDS
        while not execution.is_finished:
            if time.monotonic() > deadline:
                raise AmcDeadlineError(
                    f"The execution {execution.workflow_execution_id} is {execution.raw_status} after {timeout:g} "
                    "seconds. With speed='realistic', or a fault of the kind 'duration', it takes virtual time: start "
                    "it with client.executions.create(...) and move the clock with clock.advance(hours=1).",
                    workflow_execution_id=execution.workflow_execution_id,
                    status=execution.raw_status,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            execution = self.client.executions.get(execution.workflow_execution_id, instance_id=instance_id)
        if not execution.is_succeeded:
            raise failure_of(execution)
        return execution

    def _rows(self, execution: Execution, instance_id: str | None) -> list[dict[str, Any]]:
        from airflow_provider_amc.landing.reader import record_batches
        from airflow_provider_amc.landing.schema import arrow_schema

        results = self.client.executions.results(execution.workflow_execution_id, instance_id=instance_id)
        schema = arrow_schema(execution.output_columns)
        rows: list[tuple[Any, ...]] = []
        for batch in record_batches(results, schema):
            rows.extend(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        rows.sort(key=lambda row: [(value is None, 0 if value is None else value) for value in row])
        return [dict(zip(schema.names, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Close the connections of the client. The server runs on."""
        if self._client is not None:
            self._client.close()
            self._client = None


class Faults:
    """Failures on order; docs/emulator.md lists the kinds and their fields."""

    def __init__(self, server: EmulatorServer) -> None:
        self._server = server

    def add(self, spec: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Order a failure, such as ``add(operation="getWorkflowExecution", kind="status", status=503, times=2)``.

        :param spec: the same as a dictionary.
        :param fields: its fields.
        :raises ValueError: the description is wrong.
        """
        self._server.add_fault(**{**(spec or {}), **fields})

    def clear(self) -> None:
        """Cancel all of them."""
        self._server.clear_faults()

    def list(self) -> list[dict[str, Any]]:
        """Those that can still hit."""
        return self._server.emulator.faults.listed()


class Clock:
    """The virtual time: real time plus what a test adds."""

    def __init__(self, server: EmulatorServer) -> None:
        self._server = server

    def now(self) -> datetime:
        """The virtual time, in UTC."""
        return self._server.now()

    def advance(self, delta: timedelta | float = 0, **units: float) -> datetime:
        """Move the time and tell the new one.

        :param delta: by how much; a number means seconds.
        :param units: the same as arguments of ``timedelta``, such as ``hours=2`` or ``seconds=600``.
        """
        given = delta if isinstance(delta, timedelta) else timedelta(seconds=delta)
        return self._server.advance_clock((given + timedelta(**units)).total_seconds())

    def set(self, moment: datetime | str) -> datetime:
        """Make it this time now; from there the clock runs on. Without a zone the time is UTC.

        :param moment: such as ``2026-03-11T06:00:00Z``.
        """
        return self._server.set_clock(moment if isinstance(moment, str) else moment.isoformat())


def _moment(value: datetime | date | str | None) -> datetime | str | None:
    """A bound of a window; a day means its first moment."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str) and len(value) == len("2026-03-11"):
        return f"{value}T00:00:00"
    return value


def _data_type(name: str, value: object) -> str | dict[str, Any]:
    """The ``dataType`` to declare for a value."""
    if isinstance(value, list | tuple):
        if not value:
            raise AmcValidationError(
                f"parameter_values: {name} is empty, so its type is unknown. Declare it with input_parameters."
            )
        return {"type": "ARRAY", "elementDataType": _data_type(name, value[0]), "elementNullable": False}
    for kind, data_type in (
        (bool, "BOOLEAN"),
        (int, "LONG"),
        (float | Decimal, "DOUBLE"),
        (datetime, "TIMESTAMP"),
        (date, "DATE"),
    ):
        if isinstance(value, kind):
            return data_type
    return "STRING"
