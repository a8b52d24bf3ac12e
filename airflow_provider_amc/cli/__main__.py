"""``python -m airflow_provider_amc.cli``."""

from __future__ import annotations

from airflow_provider_amc.cli import main

main()
