"""Which share of a directory of AMC queries runs.

Each ``.sql`` file is one query. A ``.json`` file of the same name may hold ``inputParameters``, ``parameterValues`` and
``inputSchema``; without it, parameters are texts.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import Figure

_NOW = dt.datetime(2026, 6, 15, tzinfo=dt.UTC)
_WINDOW = (dt.datetime(2026, 5, 14, tzinfo=dt.UTC), dt.datetime(2026, 6, 14, tzinfo=dt.UTC))
_PARAMETER = re.compile(r"CUSTOM_PARAMETER\s*\(\s*'([^']+)'\s*\)", re.IGNORECASE)
_FOR_AUDIENCES = re.compile(r"_for_audiences\b", re.IGNORECASE)


def measure(directory: Path) -> Iterator[Figure]:
    """Compile and run every query, and tell why one does not.

    :param directory: the queries.
    """
    from airflow_provider_amc.emulator.engine import AmcSqlError, Engine
    from airflow_provider_amc.sql.privacy import Privacy

    engine = Engine(scale="tiny", now=_NOW)
    start, end = _WINDOW
    files = sorted(directory.glob("**/*.sql"))
    if not files:
        raise SystemExit(f"{directory} holds no .sql files.")
    good = 0
    for file in files:
        sql = file.read_text(encoding="utf-8")
        # Audience queries select user ids; what they find never leaves AMC, so that no threshold applies.
        for_audience = _FOR_AUDIENCES.search(sql) is not None
        privacy = None if for_audience else Privacy()
        try:
            settings = {**_settings(file, sql), "for_audience": for_audience}
            compiled = engine.compile(sql, privacy=privacy, window_start=start, window_end=end, **settings)
            for _ in engine.run(compiled, window_start=start, window_end=end):
                continue
            good += 1
        except AmcSqlError as error:
            print(f"{file.relative_to(directory)}: {error}")
    engine.close()
    note = f"{good} of {len(files)} in {directory}"
    yield Figure("queries of the corpus that run", 100 * good / len(files), "%", least=97, note=note)


def _settings(file: Path, sql: str) -> dict[str, Any]:
    beside = file.with_suffix(".json")
    given = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    declared = given.get("inputParameters")
    values = given.get("parameterValues", {})
    if declared is None:
        declared = [{"name": name, "dataType": "STRING"} for name in dict.fromkeys(_PARAMETER.findall(sql))]
        values = {**{one["name"]: "x" for one in declared}, **values}
    return {"input_parameters": declared, "parameter_values": values, "input_schema": given.get("inputSchema")}
