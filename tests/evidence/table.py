"""The coverage table as Markdown: rows of the inventory, evidence of the tests that passed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from tests.evidence.collect import Evidence
from tests.evidence.inventory import DATA_GROUP, KINDS_OF_ROWS, OPEN_KINDS, OTHER_FUNCTIONS, RULES_BY_FILE, Row, rows

_HEAD = """# What the emulator supports

Written by `make coverage-table` from the tests that passed; `make test` fails when it is out of date. **supported**: a
test shows that it behaves as AMC's documentation says. **partial**: the note says what is missing. **untested**: it is
there, but no test shows it. **unsupported**: it is not there. What AMC itself refuses counts as supported when the
emulator refuses it too. Nobody has compared the emulator with the real service.
"""
_TITLES = {
    "function": "Functions",
    "statement": "Statements",
    "rule": "Rules",
    "endpoint": "Endpoints",
    "fault": "Faults",
    "data": "Data",
    "switch": "Settings and switches",
}
#: Where names go that only tests bring.
_BROUGHT = {"function": OTHER_FUNCTIONS, "statement": "Further", "data": DATA_GROUP}
#: Tests named in a row; the others are counted.
_SHOWN = 2


class UnknownNameError(ValueError):
    """A test claims to show something that the inventory does not have."""


def render(evidence: Iterable[Evidence]) -> str:
    """Write the document.

    :param evidence: of the tests that passed.
    :raises UnknownNameError: a test names something that is not in the inventory.
    """
    found: dict[tuple[str, str], list[Evidence]] = {}
    for item in sorted(set(evidence)):
        found.setdefault((item.kind, item.name), []).append(item)
    listed = {(row.kind, row.name) for row in rows()}
    new = [key for key in found if key not in listed]
    unknown = [(kind, name) for kind, name in new if kind not in OPEN_KINDS]
    if unknown:
        kind, name = unknown[0]
        tests = ", ".join(item.test for item in found[unknown[0]])
        raise UnknownNameError(
            f"covers({kind!r}, {name!r}): tests/evidence/inventory.py has no such {kind}; see {tests}"
        )
    together = [*rows(), *(Row(kind, name, _group(kind, found[kind, name][0].test)) for kind, name in new)]
    counts: list[tuple[str, list[str]]] = []
    sections: list[str] = []
    for kind in KINDS_OF_ROWS:
        mine = _in_groups([row for row in together if row.kind == kind])
        judged = [(row, *_judge(row, found.get((kind, row.name), ()))) for row in mine]
        counts.append((_TITLES[kind], [status for _, status, _, _ in judged]))
        sections.append(f"## {_TITLES[kind]}\n")
        for group, part in groupby(judged, key=lambda entry: entry[0].group):
            sections.append(_section(kind, group, list(part)))
    return "\n".join([_HEAD, _summary(counts), *sections])


def _group(kind: str, test: str) -> str:
    """The group of a row that only tests bring."""
    if kind == "rule":
        return next(group for start, group in RULES_BY_FILE.items() if test.startswith(start))
    return _BROUGHT[kind]


def _in_groups(mine: list[Row]) -> list[Row]:
    """The same rows, those of a group beside each other."""
    groups = list(dict.fromkeys(row.group for row in mine))
    return sorted(mine, key=lambda row: groups.index(row.group))


def _judge(row: Row, evidence: Sequence[Evidence]) -> tuple[str, str, str]:
    """Status, tests and note of a row."""
    tests = sorted({item.test for item in evidence})
    notes = list(dict.fromkeys(item.note for item in evidence if item.note))
    statuses = {item.status for item in evidence}
    if row.missing:
        notes.insert(0, row.missing)
        status = "unsupported"
    elif not evidence:
        status = "untested"
    else:
        status = next(one for one in ("unsupported", "partial", "supported") if one in statuses)
    shown = ", ".join(f"`{test}`" for test in tests[:_SHOWN])
    if len(tests) > _SHOWN:
        shown += f" and {len(tests) - _SHOWN} more"
    return status, shown, "; ".join(notes)


def _section(kind: str, group: str, part: list[tuple[Row, str, str, str]]) -> str:
    lines = [f"### {group}\n"] if group else []
    lines += [f"| {kind} | status | tests | note |", "|---|---|---|---|"]
    for row, status, tests, note in part:
        name = f"`{row.name}`: `{row.shown}`" if kind == "endpoint" else _shown(row)
        lines.append(f"| {_cell(name)} | {status} | {_cell(tests)} | {_cell(note)} |")
    return "\n".join(lines) + "\n"


def _shown(row: Row) -> str:
    prose = row.kind == "rule" or (row.kind == "data" and row.group == _BROUGHT["data"])
    return row.name if prose else f"`{row.shown or row.name}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _summary(counts: list[tuple[str, list[str]]]) -> str:
    statuses = ("supported", "partial", "untested", "unsupported")
    lines = [f"| | {' | '.join(statuses)} |", "|---|" + "---:|" * len(statuses)]
    for title, found in counts:
        anchor = title.lower().replace(" ", "-")
        lines.append(f"| [{title}](#{anchor}) | " + " | ".join(str(found.count(status)) for status in statuses) + " |")
    return "\n".join(lines) + "\n"
