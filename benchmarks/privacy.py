"""What the privacy controls cost: the same query with and without them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.report import Figure

_NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
_WINDOW = (dt.datetime(2025, 1, 1, tzinfo=dt.UTC), _NOW)
_RUNS = 5
REACH_AND_FREQUENCY = """
WITH per_user AS (
  SELECT campaign, user_id, SUM(impressions) AS frequency FROM dsp_impressions GROUP BY campaign, user_id
)
SELECT campaign, frequency, COUNT(DISTINCT user_id) AS reach, SUM(frequency) AS impressions
FROM per_user GROUP BY campaign, frequency
"""


def measure(scale: str) -> Iterator[Figure]:
    """Run the query alternately with and without the privacy controls.

    :param scale: size of the data.
    """
    from airflow_provider_amc.emulator.engine import Engine
    from airflow_provider_amc.sql.privacy import Privacy

    engine = Engine(scale=scale, now=_NOW)
    start, end = _WINDOW

    def seconds(privacy: Privacy | None, sql: str = REACH_AND_FREQUENCY) -> tuple[float, int]:
        compiled = engine.compile(sql, privacy=privacy, window_start=start, window_end=end)
        began = time.perf_counter()
        rows = sum(batch.num_rows for batch in engine.run(compiled, window_start=start, window_end=end))
        return time.perf_counter() - began, rows

    began = time.perf_counter()
    seconds(None, "SELECT COUNT(*) AS n FROM dsp_impressions")
    made = time.perf_counter() - began
    (_, kept), (_, rows) = seconds(Privacy()), seconds(None)
    if not 0 < kept <= rows:
        raise RuntimeError(f"{kept} of {rows} rows are left by the privacy controls; nothing to compare.")
    taken = [(seconds(Privacy())[0], seconds(None)[0]) for _ in range(_RUNS)]
    controlled, plain = (median(column) for column in zip(*taken, strict=True))
    engine.close()
    yield Figure(
        f"reach and frequency with the privacy controls, scale {scale}",
        controlled,
        "s",
        most=5 * plain,
        peer=plain,
        peer_name="DuckDB without them",
        note=f"medians of {_RUNS}; {kept} of {rows} rows are left; the data took {made:.1f} s",
    )
