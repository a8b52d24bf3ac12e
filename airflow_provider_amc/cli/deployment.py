"""Lets a command see the Airflow deployment it runs in."""

from __future__ import annotations

import logging
import os


def join_deployment() -> None:
    """Let connections be looked up in Airflow's metadata database, too, as the commands of ``airflow`` do.

    What Airflow 2 logs of each look-up would stand between the lines that a command prints.
    """
    # Airflow 3 tells by this variable whether a process may ask the database; workers may not.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    logging.getLogger("airflow.hooks.base").setLevel(logging.WARNING)
