"""How fast a poll is answered while queries keep the machine busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from statistics import median, quantiles

from benchmarks.processes import NOW, Api, emulator
from benchmarks.report import Figure

_RATE = 50.0
_CLIENTS = 5
_AT_A_TIME = 8
_YEAR = {"timeWindowStart": "2025-02-15T00:00:00", "timeWindowEnd": "2026-02-15T00:00:00"}
#: Paths to conversion over a year: a join and two aggregations of everything there is.
HEAVY = """
WITH shown AS (
  SELECT user_id, campaign, SUM(impressions) AS impressions, MIN(impression_dt_utc) AS first_shown
  FROM dsp_impressions GROUP BY user_id, campaign
), bought AS (
  SELECT user_id, SUM(total_product_sales) AS sales, COUNT(*) AS purchases
  FROM amazon_attributed_events_by_conversion_time GROUP BY user_id
)
SELECT shown.campaign, COUNT(DISTINCT shown.user_id) AS reach, SUM(shown.impressions) AS impressions,
  SUM(bought.sales) AS sales, SUM(bought.purchases) AS purchases
FROM shown LEFT JOIN bought ON shown.user_id = bought.user_id
GROUP BY shown.campaign
"""


def measure(seconds: float, scale: str) -> Iterator[Figure]:
    """Poll at a fixed rate, first at rest and then while heavy queries run.

    :param seconds: how long to poll.
    :param scale: size of the data.
    """
    with emulator("--now", NOW, "--scale", scale) as (_, port, _):
        api = Api(port)
        polled = api.submit()
        api.settle()
        at_rest = _poll(port, polled, min(seconds, 5.0))
        done = threading.Event()
        busy = threading.Thread(target=_keep_busy, args=(port, done))
        busy.start()
        before = api.executions().get("SUCCEEDED", 0)
        taken = _poll(port, polled, seconds)
        queries = api.executions().get("SUCCEEDED", 0) - before
        done.set()
        busy.join()
    note = f"{scale}, {_AT_A_TIME} queries over a year at a time, {queries} ended in {seconds:.0f} s"
    peers = {"peer_name": "at rest"}
    name = f"GET execution at {_RATE:.0f} a second while queries run"
    yield Figure(f"{name}, p50", median(taken), "ms", peer=median(at_rest), **peers)
    worst = f"{note}; slowest {max(taken):.0f} ms"
    yield Figure(f"{name}, p95", _p95(taken), "ms", most=50, peer=_p95(at_rest), note=worst, **peers)


def _p95(taken: list[float]) -> float:
    return quantiles(taken, n=20)[-1]


def _keep_busy(port: int, done: threading.Event) -> None:
    """Keep so many executions waiting or running that no worker is ever idle."""
    api = Api(port)
    while not done.is_set():
        counts = api.executions()
        for _ in range(_AT_A_TIME - counts.get("PENDING", 0) - counts.get("RUNNING", 0)):
            api.submit(HEAVY, **_YEAR)
        done.wait(0.2)


def _poll(port: int, execution_id: str, seconds: float) -> list[float]:
    """Milliseconds of each call. A call that could not be sent in time because its client still waited counts from
    when it should have been sent."""
    taken: list[float] = []
    gap = _CLIENTS / _RATE
    start = time.perf_counter() + 0.5

    def work(number: int) -> None:
        api = Api(port)
        due = start + number / _RATE
        late = False
        while due < start + seconds:
            pause = due - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            sent = due if late else time.perf_counter()
            api.reporting("GET", f"workflowExecutions/{execution_id}")
            ended = time.perf_counter()
            taken.append(1000 * (ended - sent))
            due += gap
            late = ended > due

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken
