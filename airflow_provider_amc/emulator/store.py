"""What the emulator remembers, in one SQLite file.

SQLite's write-ahead log survives ``kill -9`` and costs far less than a millisecond a call, so handlers call the store
directly. It is used from the event loop's thread only, apart from the clock offset, which a lock guards.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, instance_id TEXT NOT NULL, doc_id TEXT NOT NULL,
    body TEXT NOT NULL, UNIQUE (kind, instance_id, doc_id));
CREATE TABLE IF NOT EXISTS executions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, instance_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL, status TEXT NOT NULL, created REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS executions_by_workflow_and_time ON executions (instance_id, workflow_id, created, seq);
CREATE INDEX IF NOT EXISTS executions_by_instance_and_time ON executions (instance_id, created, seq);
CREATE INDEX IF NOT EXISTS executions_by_status ON executions (status, seq);
CREATE TABLE IF NOT EXISTS grants (code TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class StateDirectoryInUseError(RuntimeError):
    """Another emulator is working on the same state directory."""


class Store:
    """The emulator's memory.

    :param path: file of the database; it is created when missing.
    :raises StateDirectoryInUseError: when another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0.5)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise StateDirectoryInUseError(
                    f"{path.parent} is used by another emulator; stop it or choose another state directory."
                ) from None
            raise

    def close(self) -> None:
        """Write everything out and close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside happens, or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _all(self, sql: str, parameters: Sequence[object]) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()

    def _write(self, sql: str, parameters: Sequence[object]) -> int:
        with self._lock:
            return self._db.execute(sql, parameters).rowcount

    # -- single values -------------------------------------------------------------------------------------------
    def get_meta(self, key: str) -> str | None:
        """A single remembered value."""
        rows = self._all("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Remember a single value."""
        self._write(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )

    # -- workflows, schedules and other named documents -----------------------------------------------------------
    def add_document(self, kind: str, instance_id: str, doc_id: str, body: dict[str, Any]) -> bool:
        """Add a document; ``False`` when the id is taken."""
        sql = "INSERT OR IGNORE INTO documents (kind, instance_id, doc_id, body) VALUES (?, ?, ?, ?)"
        return self._write(sql, (kind, instance_id, doc_id, json.dumps(body))) == 1

    def replace_document(self, kind: str, instance_id: str, doc_id: str, body: dict[str, Any]) -> bool:
        """Replace a document; ``False`` when there is none."""
        sql = "UPDATE documents SET body = ? WHERE kind = ? AND instance_id = ? AND doc_id = ?"
        return self._write(sql, (json.dumps(body), kind, instance_id, doc_id)) == 1

    def get_document(self, kind: str, instance_id: str, doc_id: str) -> dict[str, Any] | None:
        """A document by its id."""
        sql = "SELECT body FROM documents WHERE kind = ? AND instance_id = ? AND doc_id = ?"
        rows = self._all(sql, (kind, instance_id, doc_id))
        return dict(json.loads(rows[0][0])) if rows else None

    def delete_document(self, kind: str, instance_id: str, doc_id: str) -> bool:
        """Delete a document; ``False`` when there is none."""
        sql = "DELETE FROM documents WHERE kind = ? AND instance_id = ? AND doc_id = ?"
        return self._write(sql, (kind, instance_id, doc_id)) == 1

    def delete_documents(self, instance_id: str) -> None:
        """Delete all documents of an instance."""
        self._write("DELETE FROM documents WHERE instance_id = ?", (instance_id,))

    def documents(self, kind: str, instance_id: str) -> list[dict[str, Any]]:
        """All documents of a kind on an instance in order of creation."""
        sql = "SELECT body FROM documents WHERE kind = ? AND instance_id = ? ORDER BY seq"
        return [json.loads(body) for (body,) in self._all(sql, (kind, instance_id))]

    def page_documents(self, kind: str, instance_id: str, after: int, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Up to ``limit`` documents in order of creation, behind the sequence number ``after``."""
        sql = "SELECT seq, body FROM documents WHERE kind = ? AND instance_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [(int(seq), json.loads(body)) for seq, body in self._all(sql, (kind, instance_id, after, limit))]

    def count_documents(self, kind: str, instance_id: str | None = None) -> int:
        """Number of documents of a kind, in one instance or in all."""
        where, values = ("", ()) if instance_id is None else (" AND instance_id = ?", (instance_id,))
        return int(self._all(f"SELECT COUNT(*) FROM documents WHERE kind = ?{where}", (kind, *values))[0][0])

    def all_documents(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Every document of a kind with its instance."""
        rows = self._all("SELECT instance_id, body FROM documents WHERE kind = ? ORDER BY seq", (kind,))
        return [(str(instance_id), json.loads(body)) for instance_id, body in rows]

    # -- executions ------------------------------------------------------------------------------------------------
    def add_execution(self, body: dict[str, Any]) -> int:
        """Add an execution and tell its sequence number."""
        sql = "INSERT INTO executions (id, instance_id, workflow_id, status, created, body) VALUES (?, ?, ?, ?, ?, ?)"
        values = [body[name] for name in ("id", "instance_id", "workflow_id", "status", "created")]
        with self._lock:
            return int(self._db.execute(sql, (*values, json.dumps(body))).lastrowid or 0)

    def save_execution(self, body: dict[str, Any]) -> None:
        """Write an execution's new state."""
        sql = "UPDATE executions SET status = ?, body = ? WHERE id = ?"
        self._write(sql, (body["status"], json.dumps(body), body["id"]))

    def get_execution(self, execution_id: str) -> tuple[int, dict[str, Any]] | None:
        """An execution by its id, with its sequence number."""
        rows = self._all("SELECT seq, body FROM executions WHERE id = ?", (execution_id,))
        return (int(rows[0][0]), json.loads(rows[0][1])) if rows else None

    def find_executions(
        self,
        instance_id: str,
        *,
        workflow_id: str | None = None,
        created_from: float | None = None,
        created_to: float | None = None,
        include_cancelled: bool = False,
        ascending: bool = False,
        after: int | None = None,
        limit: int = 100,
    ) -> list[tuple[int, dict[str, Any]]]:
        """Executions that match all filters, newest first by creation time unless ``ascending``.

        :param created_from: earliest creation time, epoch seconds.
        :param created_to: latest creation time, epoch seconds.
        :param after: sequence number of the last entry of the previous page.
        """
        where, values = ["instance_id = ?"], [instance_id]  # type: tuple[list[str], list[object]]
        for clause, value in (
            ("workflow_id = ?", workflow_id),
            ("created >= ?", created_from),
            ("created <= ?", created_to),
        ):
            if value is not None:
                where.append(clause)
                values.append(value)
        if after is not None:
            # A clock that was set back, and schedules that catch up, make later executions with earlier times.
            order_of = "(created, seq)", "(SELECT created, seq FROM executions WHERE seq = ?)"
            where.append((" > " if ascending else " < ").join(order_of))
            values.append(after)
        if not include_cancelled:
            where.append("status <> 'CANCELLED'")
        order = "ASC" if ascending else "DESC"
        sql = f"SELECT seq, body FROM executions WHERE {' AND '.join(where)} ORDER BY created {order}, seq {order} LIMIT ?"
        return [(int(seq), json.loads(body)) for seq, body in self._all(sql, (*values, limit))]

    def unfinished_executions(self) -> list[tuple[int, dict[str, Any]]]:
        """Everything that was queued or running, oldest first."""
        sql = "SELECT seq, body FROM executions WHERE status IN ('PENDING', 'RUNNING') ORDER BY seq"
        return [(int(seq), json.loads(body)) for seq, body in self._all(sql, ())]

    def count_executions(self) -> dict[str, int]:
        """Number of executions by status."""
        return dict(self._all("SELECT status, COUNT(*) FROM executions GROUP BY status ORDER BY status", ()))

    # -- Login with Amazon -------------------------------------------------------------------------------------------
    def put_grant(self, code: str, body: dict[str, Any]) -> None:
        """Remember an authorization code or a refresh token."""
        self._write("INSERT OR REPLACE INTO grants VALUES (?, ?)", (code, json.dumps(body)))

    def get_grant(self, code: str) -> dict[str, Any] | None:
        """What was remembered for an authorization code or refresh token."""
        rows = self._all("SELECT body FROM grants WHERE code = ?", (code,))
        return dict(json.loads(rows[0][0])) if rows else None

    def take_grant(self, code: str) -> dict[str, Any] | None:
        """The same, and forget it: a code works once."""
        with self.transaction():
            body = self.get_grant(code)
            self._write("DELETE FROM grants WHERE code = ?", (code,))
            return body

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction() as db:
            # With the counter of the sequence numbers, on which drawn durations depend
            for table in ("documents", "executions", "grants", "meta", "sqlite_sequence"):
                db.execute(f"DELETE FROM {table}")
