"""The rows that a user loaded into tables, kept in the state directory as Arrow files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

_SUFFIX = ".arrow"


class OwnTables:
    """Remembers the loaded tables of an emulator over a restart.

    :param directory: where the files go; ``None`` forgets them at the end, as an emulator without a state directory does.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def save(self, name: str, data: Any) -> None:
        """Keep the rows of a table in place of the ones before.

        :param name: name of the table.
        :param data: what the engine has taken for the table.
        """
        if self._directory is None:
            return
        import pyarrow

        from airflow_provider_amc.emulator.tables import as_arrow

        rows = as_arrow(data)
        self._directory.mkdir(exist_ok=True)
        path = self._directory / (quote(name.lower(), safe="") + _SUFFIX)
        aside = path.with_suffix(".partial")
        with pyarrow.OSFile(str(aside), "wb") as sink, pyarrow.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)
        aside.replace(path)

    def load(self) -> Iterator[tuple[str, Any]]:
        """The tables by name, in the order of their last change."""
        import pyarrow

        for path in sorted(self._paths(), key=lambda path: path.stat().st_mtime_ns):
            with pyarrow.OSFile(str(path), "rb") as source:
                yield unquote(path.stem), pyarrow.ipc.open_file(source).read_all()

    def any(self) -> bool:
        """Are there tables to load?"""
        return bool(self._paths())

    def clear(self) -> None:
        """Forget them all."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return list(self._directory.glob(f"*{_SUFFIX}")) if self._directory is not None else []
