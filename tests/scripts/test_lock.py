"""The committed lock files: usable everywhere, complete, and in step with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.scripts.loading import load_script

ROOT = Path(__file__).resolve().parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = load_script("lock")
VERSIONS = sorted(LOCK.CELLS)

pytestmark = pytest.mark.packaging


def lines(version: str) -> list[str]:
    return (ROOT / "requirements" / f"airflow-{version}.txt").read_text(encoding="utf-8").splitlines()


def locked(version: str, python: str) -> dict[str, Version]:
    """Versions that one Python on Linux gets from a lock file."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.9"}
    found: dict[str, Version] = {}
    for line in lines(version)[2:]:
        requirement = Requirement(line)
        if requirement.marker is None or Marker(str(requirement.marker)).evaluate(environment):
            (pin,) = requirement.specifier
            assert canonicalize_name(requirement.name) not in found, f"two versions of {requirement.name}"
            found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


def direct_requirements(group: str) -> list[Requirement]:
    """What pyproject.toml asks for: the package, the extras the tests use, and a dependency group."""
    project = PYPROJECT["project"]
    texts = [*project["dependencies"]]
    for extra in LOCK.EXTRAS:
        texts += project["optional-dependencies"][extra]
    pending = [group]
    while pending:
        for entry in PYPROJECT["dependency-groups"][pending.pop()]:
            if isinstance(entry, str):
                texts.append(entry)
            else:
                pending.append(entry["include-group"])
    return [Requirement(text) for text in texts]


def test_there_is_one_file_for_each_cell() -> None:
    files = {path.name for path in (ROOT / "requirements").iterdir()}
    assert files == {f"airflow-{version}.txt" for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lock_file_names_packages_and_no_place(version: str) -> None:
    header, *rest = lines(version)
    assert header == f"# python: {' '.join(LOCK.CELLS[version].pythons)}"
    for line in rest:
        assert "://" not in line
        assert not re.search(r"(^|\s)(-|/|file:|\.\.?/)", line), line
        assert line.startswith("# Airflow ") or Requirement(line).url is None


@pytest.mark.parametrize(
    ("version", "python"), [(version, python) for version in VERSIONS for python in LOCK.CELLS[version].pythons]
)
def test_a_lock_file_satisfies_the_project(version: str, python: str) -> None:
    pins = locked(version, python)
    assert pins["apache-airflow"] == Version(version)
    for requirement in direct_requirements(LOCK.CELLS[version].group):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is missing: make lock"
        assert requirement.specifier.contains(pins[name], prereleases=True), (
            f"{requirement} but {pins[name]}: make lock"
        )


def test_the_pythons_of_the_default_cell_are_those_of_the_package() -> None:
    newest = max(VERSIONS, key=Version)
    classifiers = [text.rpartition(" :: ")[2] for text in PYPROJECT["project"]["classifiers"]]
    assert tuple(text for text in classifiers if re.fullmatch(r"3\.\d+", text)) == LOCK.CELLS[newest].pythons


def test_a_line_with_an_address_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "uv"
    fake.write_text(
        '#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = --output-file ] && out=$2; shift; done\n'
        "printf 'attrs==25.1\\n--index-url https://mirror.example/simple\\n' > \"$out\"\n"
    )
    fake.chmod(0o755)
    with pytest.raises(ValueError, match=r"mirror\.example"):
        LOCK.resolve(str(fake), "3.3.2", LOCK.CELLS["3.3.2"])


def test_markers_of_the_whole_file_are_left_out() -> None:
    marker = LOCK._supported(LOCK.CELLS["3.1.8"])
    assert LOCK._without(marker, f"attrs==25.1 ; {marker}") == "attrs==25.1"
    own = "python_full_version < '3.12'"
    assert LOCK._without(marker, f"numpy==2.2 ; {own} and {marker.rpartition(' and ')[2]}").startswith(
        f"numpy==2.2 ; {own}"
    )


def test_an_unknown_release_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        LOCK.main(["9.9.9"])
    assert "9.9.9" in capsys.readouterr().err
