"""Rows of figures and the table they are printed in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured number.

    :param name: what was measured.
    :param value: the number.
    :param unit: of the number.
    :param most: what it may be at most, ``None`` when there is no such figure.
    :param least: what it has to be at least.
    :param peer: the same of something to compare with.
    :param peer_name: what that is.
    :param note: circumstances.
    """

    name: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None
    peer: float | None = None
    peer_name: str = ""
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Is the figure reached? ``None`` when there is none to reach."""
        if self.most is None and self.least is None:
            return None
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def show(figures: Iterable[Figure], title: str = "AMC emulator") -> bool:
    """Print the table and tell whether every figure is reached.

    :param figures: its rows.
    :param title: of the table.
    """
    table = Table(title=title, caption=f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    for column in ("what", "measured", "reach", "peer", "ratio", "ok", "circumstances"):
        table.add_column(column, justify="left" if column in ("what", "peer", "circumstances") else "right")
    good = True
    for figure in figures:
        limit = ""
        if figure.most is not None:
            limit = f"≤ {_number(figure.most, figure.unit)}"
        elif figure.least is not None:
            limit = f"≥ {_number(figure.least, figure.unit)}"
        peer = f"{_number(figure.peer, figure.unit)} ({figure.peer_name})" if figure.peer is not None else ""
        ratio = f"{figure.value / figure.peer:.2f}" if figure.peer else ""
        good = good and figure.ok is not False
        ok = {True: "yes", False: "NO", None: ""}[figure.ok]
        table.add_row(figure.name, _number(figure.value, figure.unit), limit, peer, ratio, ok, figure.note)
    Console(width=None if os.isatty(1) else 200).print(table)
    return good
