"""Random histories of tasks that run AMC queries while everything fails: no duplicate, no orphan, no lost result.

:mod:`~tests.chaos.history` says what happens, :mod:`~tests.chaos.world` is the AMC and the time in which it happens,
:mod:`~tests.chaos.workers` and :mod:`~tests.chaos.triggerer` are the processes, :mod:`~tests.chaos.airflow` is Airflow
and its users, :mod:`~tests.chaos.oracle` says what must not happen, :mod:`~tests.chaos.machine` plays a history, and
:mod:`~tests.chaos.search` looks for one that fails.
"""
