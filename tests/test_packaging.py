"""The built distribution: is everything in it, and does Airflow know the provider once the wheel is installed?

No network: the wheel is built by the hatchling of this environment and installed without its dependencies into an
environment that borrows them from this one.
"""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

pytestmark = pytest.mark.packaging


def run(command: list[str | Path], cwd: Path, **env: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    result = subprocess.run(command, cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "--directory", target], ROOT)
    return target


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_holds_the_whole_package_and_nothing_else(names: set[str]) -> None:
    package = ROOT / "airflow_provider_amc"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == files


def test_the_wheel_holds_the_package_data(names: set[str]) -> None:
    assert "airflow_provider_amc/py.typed" in names
    data = {name for name in names if name.startswith("airflow_provider_amc/") and not name.endswith(".py")}
    assert any(name.startswith("airflow_provider_amc/sql/") for name in data), "the catalogue of AMC's tables"


def test_the_wheel_holds_the_licence(names: set[str], wheel: Path) -> None:
    prefix = f"{wheel.name.split('-py3')[0]}.dist-info/licenses"
    assert {f"{prefix}/LICENSE", f"{prefix}/NOTICE"} <= names


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "airflow-provider-amc"
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"emulator", "duckdb", "postgres"} <= set(metadata.get_all("Provides-Extra", []))
    requirements = metadata.get_all("Requires-Dist", [])
    assert "apache-airflow>=2.11" in requirements
    assert not any("@" in requirement for requirement in requirements), "a requirement by address"
    assert metadata.get_payload()


def test_the_source_distribution_can_build_the_wheel(dist: Path, names: set[str], tmp_path: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    tops = {entry.name for entry in source.iterdir()}
    assert {"airflow_provider_amc", "tests", "LICENSE", "NOTICE", "README.md", "CHANGELOG.md"} <= tops
    assert not {name for name in tops if name.startswith((".venv", ".demo", ".git/")) or name in ("dist", ".env")}
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "--directory", tmp_path / "again"], source)
    (wheel,) = (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == names


# --- installed -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; its dependencies are found in this one's site-packages."""
    where = tmp_path_factory.mktemp("installed") / "env"
    venv.create(where, with_pip=False, symlinks=True)
    python = where / "bin" / "python"
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index"]
    if uv:
        pip = [uv, "pip", "install", "--python", python, "--offline", "--no-index"]
    run([*pip, "--no-deps", wheel], where)
    (packages,) = where.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    origin = run([python, "-c", "import airflow_provider_amc as package; print(package.__file__)"], where)
    assert Path(origin.strip()).is_relative_to(where), "the checkout is imported, not the wheel"
    return where


PROVIDERS_COMMANDS = """
import contextlib, io, json, sys
from airflow.cli import cli_parser
parser, answers = cli_parser.get_parser(), {}
for words in json.loads(sys.argv[1]):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        arguments = parser.parse_args(["providers", *words, "--output", "json"])
        arguments.func(arguments)
    answers[words[0]] = json.loads(output.getvalue())
print("RESULT", json.dumps(answers))
"""


@pytest.fixture(scope="module")
def providers(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the commands ``airflow providers ...`` print in the environment of the wheel."""
    asked = [["get", "airflow-provider-amc"], ["hooks"], ["behaviours"], ["triggers"], ["links"], ["configs"]]
    home = str(tmp_path_factory.mktemp("home"))
    output = run(
        [installed / "bin" / "python", "-c", PROVIDERS_COMMANDS, json.dumps(asked)],
        installed,
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )
    (line,) = [line for line in output.splitlines() if line.startswith("RESULT ")]
    answers: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return answers


def test_airflow_lists_the_provider(providers: dict[str, Any]) -> None:
    assert providers["get"] == [{"Provider": "airflow-provider-amc", "Version": PROJECT["version"]}]


def test_airflow_lists_the_hook(providers: dict[str, Any]) -> None:
    (hook,) = [entry for entry in providers["hooks"] if entry["connection_type"] == "amc"]
    assert hook["class"] == "airflow_provider_amc.hooks.amc.AmcHook"
    assert hook["package_name"] == "airflow-provider-amc"


def test_airflow_lists_the_behaviours_of_the_connection_form(providers: dict[str, Any]) -> None:
    assert "amc" in {entry["field_behaviours"] for entry in providers["behaviours"]}


def test_airflow_lists_the_triggers(providers: dict[str, Any]) -> None:
    listed = [entry for entry in providers["triggers"] if entry["package_name"] == "airflow-provider-amc"]
    modules = [f"airflow_provider_amc.triggers.{name}" for name in ("event", "execution", "resource", "schedule")]
    assert sorted(entry["class"] for entry in listed) == modules


def test_airflow_lists_the_link(providers: dict[str, Any]) -> None:
    links = {entry["extra_link_class_name"] for entry in providers["links"]}
    assert "airflow_provider_amc.links.execution.AmcWorkflowExecutionLink" in links


def test_airflow_lists_the_configuration(providers: dict[str, Any]) -> None:
    configs = dict(entry["provider_config"] for entry in providers["configs"])
    assert configs["airflow-provider-amc"]["amc"]["options"]["poll_interval"]["default"] == "15"


def test_the_command_line_is_installed(installed: Path) -> None:
    assert "emulator" in run([installed / "bin" / "amc", "--help"], installed)


def test_pytest_finds_the_fixtures(installed: Path, tmp_path: Path) -> None:
    output = run([installed / "bin" / "python", "-m", "pytest", "--fixtures", "-p", "no:cacheprovider"], tmp_path)
    assert "amc_emulator -- " in output
    assert "airflow_provider_amc/pytest_plugin.py" in output


def test_the_catalogue_can_be_read_from_the_wheel(installed: Path) -> None:
    script = "from airflow_provider_amc.sql.catalogue import tables; print(len(tables()))"
    assert int(run([installed / "bin" / "python", "-c", script], installed)) > 30
