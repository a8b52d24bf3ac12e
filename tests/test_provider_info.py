"""What Airflow reads about the provider: does it fit Airflow's schema, the code, and the connection form users see?"""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
import tomllib
import warnings
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow import __version__ as airflow_version
from airflow.providers_manager import ProvidersManager
from packaging.version import Version

import airflow_provider_amc
from airflow_provider_amc.get_provider_info import get_provider_info

ROOT = Path(__file__).resolve().parent.parent
FORM_IS_DATA = Version(airflow_version) >= Version("3.2")
HOOK_STAYS_OUT = Version(airflow_version) >= Version("3.3")


@pytest.fixture(scope="module")
def info() -> dict[str, Any]:
    return get_provider_info()


@pytest.fixture(scope="module")
def connection_type(info: dict[str, Any]) -> dict[str, Any]:
    (only,) = info["connection-types"]
    return only


def import_class(path: str) -> type:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    assert isinstance(found, type)
    return found


def listed(info: dict[str, Any], kind: str) -> set[str]:
    if kind == "transfers":
        return {entry["python-module"] for entry in info[kind]}
    return {module for entry in info[kind] for module in entry["python-modules"]}


def test_fits_airflows_schema(info: dict[str, Any]) -> None:
    schema = json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(info, schema)


def test_versions_agree(info: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert info["package-name"] == project["name"]
    assert info["versions"][0] == airflow_provider_amc.__version__ == project["version"]
    assert f"\n## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("kind", ["operators", "sensors", "transfers", "triggers"])
def test_every_module_is_listed_and_every_listed_module_is_there(info: dict[str, Any], kind: str) -> None:
    package = import_module(f"airflow_provider_amc.{kind}")
    modules = [import_module(found.name) for found in pkgutil.iter_modules(package.__path__, package.__name__ + ".")]
    public = {
        module.__name__
        for module in modules
        for name, value in vars(module).items()
        if "Amc" in name
        and isinstance(value, type)
        and value.__module__ == module.__name__
        and not value.__subclasses__()
    }
    assert listed(info, kind) == public


def test_hooks_and_links_can_be_imported(info: dict[str, Any]) -> None:
    for module in listed(info, "hooks"):
        import_module(module)
    for path in info["extra-links"]:
        import_class(path)


def test_integrations_are_declared(info: dict[str, Any]) -> None:
    known = {entry["integration-name"] for entry in info["integrations"]}
    used = {entry["integration-name"] for kind in ("hooks", "operators", "sensors", "triggers") for entry in info[kind]}
    assert used == known
    for entry in info["transfers"]:
        assert known & {entry["source-integration-name"], entry["target-integration-name"]}


def test_connection_type_and_hook_agree(connection_type: dict[str, Any]) -> None:
    hook = import_class(connection_type["hook-class-name"])
    assert connection_type["connection-type"] == hook.conn_type == "amc"  # type: ignore[attr-defined]
    assert hook.hook_name == connection_type["hook-name"]  # type: ignore[attr-defined]
    assert hook.default_conn_name == "amc_default"  # type: ignore[attr-defined]
    assert hook.conn_name_attr == "amc_conn_id"  # type: ignore[attr-defined]


def test_connection_form(connection_type: dict[str, Any]) -> None:
    fields, behaviour = connection_type["conn-fields"], connection_type["ui-field-behaviour"]
    assert set(fields) == {
        "refresh_token",
        "region",
        "account_id",
        "marketplace_id",
        "instance_id",
        "secret_id",
        "aws_conn_id",
    }
    assert fields["refresh_token"]["schema"]["format"] == "password"
    assert fields["region"]["schema"] == {"type": "string", "enum": ["NA", "EU", "FE"], "default": "NA"}
    assert behaviour["hidden-fields"] == ["port", "schema"]
    assert behaviour["relabeling"] == {
        "login": "LwA client id",
        "password": "LwA client secret",
        "host": "Base URL",
    }
    for name, field in fields.items():
        assert field["label"], name
        assert field["description"].endswith("."), name
        jsonschema.Draft202012Validator.check_schema(field["schema"])


@pytest.mark.skipif(not FORM_IS_DATA, reason="Airflow reads the declared form from 3.2 on")
def test_the_web_form_is_built_without_importing_the_hook() -> None:
    script = """
import json, sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(meta,) = [m for m in HookMetaService.hook_meta_data() if m.connection_type == "amc"]
print("RESULT", json.dumps({
    "name": meta.hook_name,
    "fields": sorted(meta.extra_fields),
    "login": meta.standard_fields.login.title,
    "port hidden": meta.standard_fields.port.hidden,
    "imported": [name for name in sys.modules if name.startswith("airflow_provider_amc.hooks")],
}))
"""
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in output.splitlines() if line.startswith("RESULT ")]
    found = json.loads(line.removeprefix("RESULT "))
    if not HOOK_STAYS_OUT:
        found[
            "imported"
        ] = []  # Airflow 3.2 takes the form from the declaration, but imports the hooks of all providers
    assert found == {
        "name": "Amazon Marketing Cloud",
        "fields": [
            "account_id",
            "aws_conn_id",
            "instance_id",
            "marketplace_id",
            "refresh_token",
            "region",
            "secret_id",
        ],
        "login": "LwA client id",
        "port hidden": True,
        "imported": [],
    }


def test_providers_manager_knows_the_provider() -> None:
    manager = ProvidersManager()
    assert manager.providers["airflow-provider-amc"].version == airflow_provider_amc.__version__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow 3 moved .hooks to a place Airflow 2 has not
        hook = manager.hooks["amc"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_provider_amc.hooks.amc.AmcHook"
    assert "airflow_provider_amc.links.execution.AmcWorkflowExecutionLink" in manager.extra_links_class_names


def test_old_airflow_gets_the_form_from_the_hook(connection_type: dict[str, Any]) -> None:
    """Airflow 2.11 to 3.1 ask the hook class; the two descriptions of one form must not drift apart."""
    hook = import_class(connection_type["hook-class-name"])
    old = hook.get_ui_field_behaviour()  # type: ignore[attr-defined]
    declared = connection_type["ui-field-behaviour"]
    assert old["hidden_fields"] == declared["hidden-fields"]
    assert old["relabeling"] == declared["relabeling"]


@pytest.mark.parametrize("option", ["poll_interval", "poll_interval_max", "api_timeout", "retry_patience"])
def test_configuration_defaults_can_be_read(info: dict[str, Any], option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import conf

    monkeypatch.delenv(f"AIRFLOW__AMC__{option.upper()}", raising=False)
    ProvidersManager().initialize_providers_configuration()  # as the start of each Airflow process does
    declared = info["config"]["amc"]["options"][option]
    assert conf.getint("amc", option) == int(declared["default"])
