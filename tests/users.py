"""Runs the tests of an imaginary user's project, in a pytest process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

PLUGIN = "airflow_provider_amc.pytest_plugin"


def plugin_options() -> list[str]:
    """What makes pytest load the plugin where the installed metadata is older than its entry point."""
    found = entry_points(group="pytest11", name="amc")
    return [] if any(point.value == PLUGIN for point in found) else ["-p", PLUGIN]


def pytest_of_a_user(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project without other plugins than the named ones.

    :param project: its folder.
    :param arguments: further arguments of pytest.
    :param environment: variables to add.
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", PLUGIN, *arguments]
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    variables.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False, timeout=300)
