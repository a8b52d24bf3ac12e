"""Renders ``docs/api-coverage.md``: every operation of AMC's APIs, and what of this project speaks to it.

``python -m tests.evidence.api_table`` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from tests.evidence.api import OPERATIONS

TABLE = Path(__file__).resolve().parents[2] / "docs" / "api-coverage.md"
_HEAD = """# What of AMC's APIs is covered

Written by `make coverage-table`; a test fails when it is out of date. Every operation of Amazon's OpenAPI files and of
advertiser data upload, with the method of `airflow_provider_amc.client.AmcClient` that calls it, the operators, sensors and
transfers that use it, the name under which the emulator serves it, and the test in which the client calls the emulator and
this very operation arrives. What the emulator does with it, and how well that is tested, is in
[emulator-coverage.md](emulator-coverage.md).
"""


def render(served: Mapping[tuple[str, str], str], tests: Mapping[str, str]) -> str:
    """Write the document.

    :param served: operations of the emulator, by method and path without the names of its parameters.
    :param tests: the test of an operation, by its id.
    """
    counts, sections = [], []
    for family, group in groupby(OPERATIONS, key=lambda operation: operation.family):
        rows = [
            (
                f"`{one.id}`",
                f"`{one.method} {one.path}`",
                f"`{one.call}`",
                _codes(one.operators),
                _codes(filter(None, [served.get((one.method, one.shape))])),
                _codes(filter(None, [tests.get(one.id)])),
            )
            for one in group
        ]
        complete = sum(bool(emulator and test) for *_, emulator, test in rows)
        counts.append(f"| {family} | {len(rows)} | {complete} | {sum(bool(row[3]) for row in rows)} |")
        lines = [
            f"## {family}\n",
            "| operation | method and path | client | operators | emulator | test |",
            "|" + "---|" * 6,
        ]
        sections.append("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n")
    summary = ["| | operations | client, emulator and test | used by operators |", "|---|---:|---:|---:|", *counts]
    return "\n".join([_HEAD, "\n".join(summary) + "\n", *sections])


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def write() -> None:
    """Write the file."""
    from tests.client.test_every_operation import rendered

    TABLE.write_text(rendered(), encoding="utf-8")
    sys.stdout.write(f"{TABLE} written\n")


if __name__ == "__main__":
    write()
