"""Parsing a DAG file must stay cheap: no module Airflow imports there may load a heavy library."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

HEAVY = ["boto3", "duckdb", "openlineage", "pandas", "pyarrow", "sqlglot"]
#: Packages whose modules DAG files import, or Airflow itself when it looks at the provider.
PACKAGES = ["hooks", "links", "operators", "sensors", "transfers", "triggers"]
SINGLE_MODULES = ["assets", "exceptions", "get_provider_info", "windows"]

# One process pays for the import of Airflow; each module is then imported in a fork of its own, so that none of them
# profits from what another one has loaded already.
PROBE = """
import json, os, sys
heavy, modules = json.loads(sys.argv[1])
try:
    import airflow.sdk
except ImportError:  # Airflow 2
    import airflow.models, airflow.hooks.base, airflow.sensors.base
already = set(sys.modules)
for module in modules:
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            __import__(module)
            report = sorted(name for name in heavy if name in sys.modules and name not in already)
        except BaseException as error:
            report = [f"{type(error).__name__}: {error}"]
        print("RESULT", json.dumps([module, report]), flush=True)
        os._exit(0)
    os.wait()
"""


def modules_of_the_package() -> list[str]:
    found = [f"airflow_provider_amc.{name}" for name in SINGLE_MODULES]
    for name in PACKAGES:
        package = import_module(f"airflow_provider_amc.{name}")
        found += [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return found


def loaded_by(modules: list[str]) -> dict[str, list[str]]:
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([HEAVY, modules])], capture_output=True, text=True, check=True
    )
    lines = [line.removeprefix("RESULT ") for line in result.stdout.splitlines() if line.startswith("RESULT ")]
    return dict(json.loads(line) for line in lines)


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    return loaded_by(modules_of_the_package())


@pytest.mark.parametrize("module", modules_of_the_package())
def test_a_module_of_a_dag_file_loads_no_heavy_library(module: str, loaded: dict[str, list[str]]) -> None:
    assert loaded[module] == []


def test_the_probe_would_notice_a_heavy_import() -> None:
    assert loaded_by(["duckdb", "airflow_provider_amc.no_such_module"]) == {
        "duckdb": ["duckdb"],
        "airflow_provider_amc.no_such_module": [
            "ModuleNotFoundError: No module named 'airflow_provider_amc.no_such_module'"
        ],
    }
