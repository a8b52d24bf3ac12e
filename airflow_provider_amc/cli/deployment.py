"""Lets a command see the Airflow deployment it runs in."""

from __future__ import annotations

import os


def see_metadata_database() -> None:
    """Let connections be looked up in Airflow's metadata database, too, as the commands of ``airflow`` do.

    Airflow 3 tells by this variable whether a process may ask the database; workers may not.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
