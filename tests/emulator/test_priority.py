from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_amc.emulator.priority import give_way


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_a_thread_gives_way_and_so_do_the_threads_it_starts():
    before = nice()
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        own = pool.submit(nice).result()

        def child() -> int:
            with ThreadPoolExecutor(1) as inner:
                return inner.submit(nice).result()

        started = pool.submit(child).result()
    assert (own, started) == (min(before + 5, 19),) * 2
    assert nice() == before
