"""Result files of any size, as AMC delivers them."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

COLUMNS: list[dict[str, Any]] = [
    {"name": "day", "dataType": "DATE", "columnType": "DIMENSION"},
    {"name": "campaign_id", "dataType": "LONG", "columnType": "DIMENSION"},
    {"name": "campaign", "dataType": "STRING", "columnType": "DIMENSION"},
    {"name": "impressions", "dataType": "LONG", "columnType": "METRIC"},
    {"name": "clicks", "dataType": "LONG", "columnType": "METRIC"},
    {
        "name": "cost", "dataType": "DECIMAL", "columnType": "METRIC", "dataTypePrecision": 38, "dataTypeScale": 17,
    },
    {"name": "rate", "dataType": "DOUBLE", "columnType": "METRIC"},
]  # fmt: skip

#: Rows made one by one; a file repeats them.
_DIFFERENT = 100_000


def write_rows(path: Path, *, rows: int = 0, size: int = 0) -> None:
    """Write a result file.

    :param path: where to.
    :param rows: how many rows, or
    :param size: how many bytes at least.
    """
    chance = random.Random(7)
    lines = [_line(chance) for _ in range(min(rows or _DIFFERENT, _DIFFERENT))]
    block = "".join(lines).encode()
    header = f"{','.join(column['name'] for column in COLUMNS)}\n".encode()
    repeats = rows // len(lines) if rows else -(-size // len(block))
    with path.open("wb") as file:
        file.write(header)
        for _ in range(repeats):
            file.write(block)


def _line(chance: random.Random) -> str:
    day = date(2026, 1, 1) + timedelta(days=chance.randrange(90))
    number = chance.randrange(400)
    # One name in ten has a comma and is quoted, and one value in twenty is suppressed.
    name = f'"Brand {number}, spring"' if number % 10 == 0 else f"Campaign {number} of the brand"
    clicks = "" if chance.random() < 0.05 else str(chance.randrange(500))
    cost = f"{chance.randrange(10**7) / 10**4:.4f}"
    return f"{day},{570000000000000000 + number},{name},{chance.randrange(10**5)},{clicks},{cost},{chance.random()!r}\n"
