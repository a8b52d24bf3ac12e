"""Reads what the documents of the repository promise: fenced blocks, tables, headings and links.

A test says which section's blocks it executes (:meth:`Document.executed`); :meth:`Document.forgotten` then names the
blocks that no test runs. A block that is added to a covered section breaks the test that unpacks the section.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

_FENCE = re.compile(r"^(`{3,}|~{3,})\s*(\S*)\s*$")
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :param section: heading above it.
    :param line: line of its opening fence.
    :param language: word behind the fence.
    :param text: content, with a line end.
    """

    section: str
    line: int
    language: str
    text: str


@dataclass
class Document:
    """A Markdown file.

    :param path: the file.
    """

    path: Path
    _executed: set[Block] = field(default_factory=set)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _parsed(self) -> tuple[list[Block], list[tuple[str, str]]]:
        """The blocks, and all other lines with the section they are in."""
        blocks: list[Block] = []
        prose: list[tuple[str, str]] = []
        section, fence, start, language = "", "", 0, ""
        lines: list[str] = []
        for number, line in enumerate(self.text.splitlines(), start=1):
            match = _FENCE.match(line)
            if fence:
                if line.rstrip() == fence:
                    blocks.append(Block(section, start, language, "\n".join(lines) + "\n"))
                    fence = ""
                else:
                    lines.append(line)
            elif match:
                fence, language, start, lines = match[1], match[2], number, []
            else:
                if heading := _HEADING.match(line):
                    section = heading[2]
                prose.append((section, line))
        assert not fence, f"{self.path.name}: the block of line {start} is not closed"
        return blocks, prose

    @property
    def blocks(self) -> list[Block]:
        """All fenced blocks in their order."""
        return self._parsed[0]

    def blocks_of(self, section: str) -> list[Block]:
        """The blocks below a heading, up to the next heading of any level."""
        found = [block for block in self.blocks if block.section == section]
        assert found, f"{self.path.name} has no block below the heading {section!r}"
        return found

    def executed(self, section: str, name: str = "blocks", numbers: slice = slice(None)) -> Callable[..., Any]:
        """Mark a test that executes blocks of a section; the test gets them as an argument.

        :param section: the heading.
        :param name: name of the argument.
        :param numbers: which of the blocks, by default all.
        """
        found = self.blocks_of(section)[numbers]
        self._executed.update(found)
        return pytest.mark.parametrize(name, [found], ids=[section])

    def forgotten(self) -> list[str]:
        """Blocks that no test executes."""
        return [
            f"{self.path.name}:{block.line} ({block.section}, {block.language})"
            for block in self.blocks
            if block not in self._executed
        ]

    @property
    def headings(self) -> list[str]:
        """All headings."""
        return [match[2] for _, line in self._parsed[1] if (match := _HEADING.match(line))]

    @property
    def links(self) -> list[str]:
        """Targets of all links."""
        return [target for _, line in self._parsed[1] for target in _LINK.findall(line)]

    def table(self, section: str, number: int = 1) -> list[dict[str, str]]:
        """A table below a heading, as one dictionary a row.

        :param section: the heading.
        :param number: which of its tables, from 1.
        """
        tables: list[list[list[str]]] = []
        inside = False
        for where, line in self._parsed[1]:
            if where == section and line.startswith("|"):
                if not inside:
                    tables.append([])
                tables[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
            inside = where == section and line.startswith("|")
        assert len(tables) >= number, f"{self.path.name} has no table {number} below {section!r}"
        header, rule, *rows = tables[number - 1]
        assert set("".join(rule)) <= set("-:"), f"{self.path.name}: the table of {section!r} has no header"
        assert all(len(row) == len(header) for row in rows), f"{self.path.name}: a row of {section!r} is too short"
        return [dict(zip(header, row, strict=True)) for row in rows]


def codes(text: str) -> list[str]:
    """The code spans of a line, Markdown's escapes undone."""
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", text)]


def slug(heading: str) -> str:
    """The anchor that Markdown viewers make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
