"""AMC SQL as text and as a tree: one-line rendering, table catalogue, sqlglot dialect.

Nothing here talks to a service or knows Airflow. :mod:`airflow_provider_amc.sql.one_line` and
:mod:`airflow_provider_amc.sql.catalogue` are pure Python; only :mod:`airflow_provider_amc.sql.dialect` and what
stands on it import sqlglot.
"""

from __future__ import annotations
