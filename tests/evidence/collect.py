"""What one test shows, from its marker ``covers``."""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("supported", "partial", "unsupported")


@dataclass(frozen=True, order=True)
class Evidence:
    """One thing that a test shows.

    :param kind: section of the table.
    :param name: its name there.
    :param test: the test function, as ``emulator/test_windows.py::test_relative_windows``.
    :param status: one of ``STATUSES``.
    :param note: what is special or missing.
    """

    kind: str
    name: str
    test: str
    status: str = "supported"
    note: str = ""


def claim(kind: str, name: str, status: str = "supported", note: str = "") -> tuple[str, str, str, str]:
    """Check the arguments of a marker.

    :raises ValueError: a kind, or a status, that does not exist.
    """
    from tests.evidence.inventory import KINDS_OF_ROWS

    if kind not in KINDS_OF_ROWS:
        raise ValueError(f"covers: {kind!r} is none of the kinds {', '.join(KINDS_OF_ROWS)}")
    if status not in STATUSES:
        raise ValueError(f"covers: {status!r} is none of {', '.join(STATUSES)}")
    return kind, name, status, note


def test_name(nodeid: str) -> str:
    """The test function of a node id, without the folder ``tests`` and without parameters."""
    return nodeid.partition("[")[0].removeprefix("tests/")


test_name.__test__ = False  # type: ignore[attr-defined]
