"""``make chaos``: many histories, and a table of what happened in them."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.chaos.part import part

#: Histories of one task of the pool.
_PART = 250
_HEADS = (
    ("histories", ""),
    ("moves", ""),
    ("tries of tasks", "tries"),
    ("executions", ""),
    ("duplicates", "duplicate"),
    ("orphans", "orphan"),
    ("lost results", "lost"),
    ("trespasses", "trespass"),
)
_GROUPS = ("call", "fault", "kill", "stop", "fail", "clear", "left:", "unavoidable:")


def main() -> int:
    """Play histories as the arguments say; 1 when one of them fails."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000, help="default: another one each time")
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.histories} histories", flush=True)
    began = time.monotonic()
    parts = [
        (given.seed + number, min(_PART, given.histories - start))
        for number, start in enumerate(range(0, given.histories, _PART))
    ]
    counts: Counter[str] = Counter()
    failures = []
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for found in pool.imap_unordered(part, parts):
            if isinstance(found, str):
                failures.append(found)
                print(found, flush=True)
            else:
                counts.update(found)
                print(f"{counts['histories']} histories, {time.monotonic() - began:.0f} s", flush=True)
    _print_table(counts)
    print(f"\n{time.monotonic() - began:.0f} s; {len(failures) or 'no'} part(s) with a history that fails")
    return 1 if failures else 0


def _print_table(counts: Counter[str]) -> None:
    print()
    for head, name in _HEADS:
        print(f"{counts[name or head]:>9}  {head}")
    for group in _GROUPS:
        rows = [(name, count) for name, count in counts.items() if name.startswith(f"{group} ")]
        if rows:
            print(f"\n{sum(count for _, count in rows):>9}  {group.rstrip(':')}, of them")
        for name, count in sorted(rows, key=lambda row: -row[1]):
            print(f"{count:>9}    {name.removeprefix(group).strip()}")


if __name__ == "__main__":
    sys.exit(main())
