"""How fast identities become hashes, and in how much memory: ``make bench-hash``.

A process of its own makes the identities batch by batch, as a reader of a file would, and counts only the time of the
hashing. Nothing here is a test, and no test asserts a duration.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.report import Figure, show

_MILLION = 1_000_000


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-hash", description="Measure the hashing of identities.")
    parser.add_argument("--rows", type=int, default=_MILLION, help="identities")
    parser.add_argument("--batch", type=int, default=65_536, help="rows of a batch")
    return parser.parse_args()


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "benchmarks.identities", str(options.rows), str(options.batch)]
    told = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, Any] = json.loads(told.stdout)
    return figures


def _figures(options: argparse.Namespace) -> Iterator[Figure]:
    told = _measured(options)
    share = options.rows / _MILLION
    note = (
        f"{told['fields']} fields each, nine countries in every batch of {options.batch:,}; {told['cpu']:.1f} s of CPU"
    )
    yield Figure(f"{options.rows:,} identities", told["seconds"], "s", most=20 * share, note=note)
    note = f"{told['memory_before']:.0f} MB before the first batch"
    yield Figure("peak memory of the process", told["memory"], "MB", most=500, note=note)
    note = f"{told['nulls']:,} were missing or had nothing to match by"
    yield Figure("hashes", told["hashes"], "", note=note)
    for kind, seconds in told["by_kind"].items():
        yield Figure(kind, seconds, "s")


def main() -> None:
    """Measure, print the table, and end with 1 if a figure is not reached."""
    raise SystemExit(not show(list(_figures(_options())), "Identities"))


if __name__ == "__main__":
    main()
