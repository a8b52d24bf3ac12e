"""Apache Airflow provider for Amazon Marketing Cloud (AMC).

Import the pieces from their modules: ``hooks.amc``, ``operators.execution``, ``transfers.amc_to_s3`` and so on.
This module stays empty so that Airflow can discover the provider, and the emulator can start, without importing
anything else.
"""

from __future__ import annotations

__version__ = "0.1.0"
