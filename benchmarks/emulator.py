"""The figures of the emulator: ``make bench-emulator``. Nothing here is a test, and no test asserts a duration."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks import corpus, latency, memory, privacy, startup
from benchmarks.report import Figure, show

_PARTS = ("startup", "memory", "latency", "privacy", "corpus")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-emulator", description="Measure the emulator.")
    parser.add_argument("--only", help=f"parts to measure, of {','.join(_PARTS)}")
    parser.add_argument("--executions", type=int, default=10_000, help="executions between two weighings")
    parser.add_argument("--warm-up", type=int, default=200, help="executions before the first weighing")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to poll")
    parser.add_argument("--scale", default="medium", help="size of the data while polling")
    parser.add_argument("--impressions", default="large", help="size of the data of the reach and frequency query")
    parser.add_argument(
        "--corpus",
        type=Path,
        default=os.environ.get("AMC_QUERY_CORPUS"),
        help="directory of AMC queries to try (default: AMC_QUERY_CORPUS)",
    )
    return parser.parse_args()


def _figures(options: argparse.Namespace) -> Iterator[Figure]:
    wanted = options.only.split(",") if options.only else _PARTS
    if unknown := set(wanted) - set(_PARTS):
        raise SystemExit(f"There is no part {sorted(unknown)[0]!r}; the parts are {', '.join(_PARTS)}.")
    if "startup" in wanted:
        yield from startup.measure()
    if "memory" in wanted:
        yield from memory.measure(options.executions, options.warm_up)
    if "latency" in wanted:
        yield from latency.measure(options.seconds, options.scale)
    if "privacy" in wanted:
        yield from privacy.measure(options.impressions)
    if "corpus" in wanted and options.corpus is not None:
        yield from corpus.measure(Path(options.corpus))


def main() -> None:
    """Measure, print the table, and end with 1 if a figure is not reached."""
    figures = []
    for figure in _figures(_options()):
        print(f"... {figure.name}: {figure.value:.2f} {figure.unit}", flush=True)
        figures.append(figure)
    raise SystemExit(not show(figures))


if __name__ == "__main__":
    main()
