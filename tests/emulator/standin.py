"""A query engine for tests of the HTTP layer: a query is a few words, and a test decides when it ends.

``SELECT n FROM rows_12`` gives the numbers 0 to 11; ``broken`` anywhere does not compile; ``explode`` fails while it
runs; ``gated`` waits until the test opens the gate.
"""

from __future__ import annotations

import re
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow

from airflow_provider_amc.emulator.engine import AmcSqlError, CompiledQuery, OutputColumn

ROWS = re.compile(r"rows_(\d+)")
BATCH = 1000


class StandIn:
    """Offers what the server needs of the real engine."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.gate = threading.Event()
        self.compiled: list[dict[str, Any]] = []
        self.windows: list[tuple[datetime, datetime]] = []
        self.interruptions = 0
        self.tables: dict[str, Any] = {}
        self.closed = False

    def advance_to(self, now: datetime) -> None:
        self.now = now

    def compile(
        self,
        sql: str,
        *,
        input_parameters: Sequence[Mapping[str, Any]] = (),
        parameter_values: Mapping[str, object] | None = None,
        input_schema: str | None = None,
        sandbox: bool = False,
        instance_id: str = "",
        privacy: Any = None,
        window_start: datetime | None = None,
        window_end: datetime | None = None,
        for_audience: bool = False,
    ) -> CompiledQuery:
        self.compiled.append({"sql": sql, "values": dict(parameter_values or {}), "privacy": privacy})
        if "broken" in sql:
            raise AmcSqlError("From line 1, column 8 to line 1, column 13: Column 'broken' not found in any table")
        name, kind = ("user_id", "DIMENSION") if for_audience and "user_id" in sql else ("n", "METRIC")
        columns = (OutputColumn(name, "LONG", kind, None, None),)
        tables = tuple(match[0] for match in ROWS.finditer(sql))
        return CompiledQuery(columns, tables, sql, frozenset())

    def run(
        self,
        compiled: CompiledQuery,
        *,
        window_start: datetime,
        window_end: datetime,
        interrupted: threading.Event | None = None,
    ) -> Iterator[pyarrow.RecordBatch]:
        self.windows.append((window_start, window_end))
        sql = compiled._sql
        if "gated" in sql:
            while not self.gate.wait(0.01):
                if interrupted is not None and interrupted.is_set():
                    self.interruptions += 1
                    return
        if "explode" in sql:
            raise AmcSqlError("Division by zero")
        match = ROWS.search(sql)
        count = int(match[1]) if match else 0
        for start in range(0, count, BATCH):
            numbers = array("q", range(start, min(start + BATCH, count)))
            # From a buffer, because pyarrow.array() imports pandas, which takes seconds.
            column = pyarrow.Array.from_buffers(pyarrow.int64(), len(numbers), [None, pyarrow.py_buffer(numbers)])
            yield pyarrow.RecordBatch.from_arrays([column], names=["n"])

    def count_users(
        self,
        compiled: CompiledQuery,
        *,
        window_start: datetime,
        window_end: datetime,
        interrupted: threading.Event | None = None,
    ) -> int:
        rows = self.run(compiled, window_start=window_start, window_end=window_end, interrupted=interrupted)
        return sum(batch.num_rows for batch in rows)

    def data_sources(self, *, sandbox: bool = False, instance_id: str = "") -> list[dict[str, Any]]:
        column = {"name": "n", "columnType": "METRIC", "dataType": "LONG", "description": "A number."}
        return [
            {"dataSourceId": f"table_{number:03d}", "description": "Numbers.", "columns": [column], "owner": "AMAZON"}
            for number in reversed(range(7))
        ]

    def load_table(self, name: str, data: Any) -> None:
        if not data:
            raise ValueError("there are no rows")
        self.tables[name] = data

    def forget_tables(self) -> None:
        self.tables.clear()

    def keep_table(self, table: Any, rows: Any) -> None:
        self.tables[table.name] = rows

    def drop_table(self, instance_id: str, name: str) -> None:
        self.tables.pop(name, None)

    def close(self) -> None:
        self.closed = True
