"""The tables of advertisers: what they uploaded, kept as one Arrow file a table.

A file holds the rows and, in the metadata of its schema, what the table is and which upload changed it last. So a table
is whole after ``kill -9``, and an upload that is done again after a restart changes nothing twice.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import pyarrow

_SUFFIX = ".arrow"
_DEFINITION, _MARK = b"amc.table", b"amc.mark"


@dataclass(frozen=True)
class AdvertiserColumn:
    """A column that queries can read.

    :param name: its name.
    :param data_type: AMC's type, such as ``LONG``.
    :param column_type: ``DIMENSION`` or ``METRIC``.
    :param threshold: aggregation threshold.
    :param description: of the data source.
    """

    name: str
    data_type: str
    column_type: str
    threshold: str
    description: str = ""


@dataclass(frozen=True)
class AdvertiserTable:
    """A table of an advertiser in one instance.

    :param instance_id: the instance.
    :param name: its name in SQL.
    :param description: of the data source.
    :param columns: the columns that queries can read; a file may have more.
    :param time_column: the column that the window of an execution limits; ``None`` reads all rows.
    :param user_column: the column with the id of the matched user, if it is about users.
    :param expiry_column: a column beside the others with the moment from which a row counts no more.
    """

    instance_id: str
    name: str
    description: str = ""
    columns: tuple[AdvertiserColumn, ...] = ()
    time_column: str | None = None
    user_column: str | None = None
    expiry_column: str | None = None

    def data_source(self) -> dict[str, Any]:
        """The table as a ``DataSource`` of the API."""
        return {
            "dataSourceId": self.name,
            "description": self.description,
            "owner": "CUSTOMER",
            "provider": "ADVERTISER_DATA_UPLOAD",
            "tags": [],
            "columns": [
                {
                    "name": column.name,
                    "columnType": column.column_type,
                    "dataType": column.data_type,
                    "description": f"{column.description} Aggregation threshold: {column.threshold}.".lstrip(),
                }
                for column in self.columns
            ],
        }


def _load(text: bytes) -> AdvertiserTable:
    told = json.loads(text)
    columns = tuple(AdvertiserColumn(**column) for column in told.pop("columns"))
    return AdvertiserTable(**told, columns=columns)


@dataclass
class _Kept:
    """What is known of a table without reading its rows."""

    table: AdvertiserTable | None
    version: int
    path: Path
    mark: str


class Shelf:
    """Keeps the tables of advertisers. Safe to use from several threads.

    :param directory: where the files go; it is created when there is something to keep.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.RLock()
        self._version = 0
        self._kept: dict[tuple[str, str], _Kept] | None = None

    def _tables(self) -> dict[tuple[str, str], _Kept]:
        """All tables; the files are looked at when somebody first asks, for that imports pyarrow."""
        if self._kept is None:
            self._kept = {}
            for path in sorted(self._directory.glob(f"*/*{_SUFFIX}")):
                schema = _open(path).schema
                table = _load(schema.metadata[_DEFINITION])
                self._version += 1
                kept = _Kept(table, self._version, path, schema.metadata.get(_MARK, b"").decode())
                self._kept[table.instance_id, table.name] = kept
        return self._kept

    def get(self, instance_id: str, name: str) -> AdvertiserTable | None:
        """A table by its name; ``None`` when there is none."""
        with self._lock:
            kept = self._tables().get((instance_id, name))
            return kept.table if kept is not None else None

    def instances(self) -> list[str]:
        """The instances that have tables."""
        with self._lock:
            return sorted({instance_id for (instance_id, _), kept in self._tables().items() if kept.table})

    def rows(self, instance_id: str, name: str) -> pyarrow.Table | None:
        """The rows of a table with all columns that are kept; ``None`` when there is no such table."""
        with self._lock:
            kept = self._tables().get((instance_id, name))
            if kept is None or kept.table is None:
                return None
            return _open(kept.path).read_all().replace_schema_metadata(None)

    def is_done(self, instance_id: str, name: str, mark: str) -> bool:
        """Was this the last change of a table?"""
        with self._lock:
            kept = self._tables().get((instance_id, name))
            return kept is not None and kept.table is not None and kept.mark == mark

    def put(self, table: AdvertiserTable, rows: pyarrow.Table, mark: str = "") -> None:
        """Keep a table in place of the one before.

        :param table: what it is.
        :param rows: its rows, with at least the columns of the table.
        :param mark: names the change.
        """
        import pyarrow

        with self._lock:
            tables = self._tables()
            folder = self._directory / quote(table.instance_id, safe="")
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / (quote(table.name, safe="") + _SUFFIX)
            aside = path.with_suffix(".partial")
            told = {_DEFINITION: json.dumps(asdict(table)).encode(), _MARK: mark.encode()}
            rows = rows.replace_schema_metadata(told)
            with pyarrow.OSFile(str(aside), "wb") as sink, pyarrow.ipc.new_file(sink, rows.schema) as writer:
                writer.write_table(rows)
            aside.replace(path)
            self._version += 1
            tables[table.instance_id, table.name] = _Kept(table, self._version, path, mark)

    def drop(self, instance_id: str, name: str) -> None:
        """Forget a table."""
        with self._lock:
            kept = self._tables().get((instance_id, name))
            if kept is not None:
                self._drop(kept)

    def clear(self, instance_id: str | None = None) -> None:
        """Forget all tables, or those of an instance."""
        with self._lock:
            if self.any():
                for (owner, _), kept in self._tables().items():
                    if instance_id in (None, owner):
                        self._drop(kept)

    def _drop(self, kept: _Kept) -> None:
        kept.path.unlink(missing_ok=True)
        self._version += 1
        kept.table, kept.version = None, self._version

    def changes(self, since: int) -> Iterator[tuple[int, str, str, AdvertiserTable | None]]:
        """What changed after a version: version, instance and name of each table, and the table, ``None`` when it was
        forgotten; the oldest change comes first.

        :param since: the version that is known already; 0 tells of all tables.
        """
        with self._lock:
            found = [
                (kept.version, instance_id, name, kept.table)
                for (instance_id, name), kept in self._tables().items()
                if kept.version > since
            ]
        yield from sorted(found, key=lambda change: change[0])

    def any(self) -> bool:
        """Is or was there any table? Costs nothing when there is none."""
        with self._lock:
            return bool(self._kept) or (self._kept is None and any(self._directory.glob(f"*/*{_SUFFIX}")))


def _open(path: Path) -> Any:
    import pyarrow

    # Read, not mapped: the file is replaced while queries may still use the rows
    with pyarrow.OSFile(str(path), "rb") as source:
        return pyarrow.ipc.open_file(pyarrow.BufferReader(source.read_buffer()))
