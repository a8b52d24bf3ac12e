from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from hypothesis import given

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError
from airflow_provider_amc.landing.load import loader_for
from airflow_provider_amc.landing.loaders.dbapi import DbApiLoader
from airflow_provider_amc.landing.loaders.sqlite import SqliteLoader
from tests.landing.loaders.behaviour import LoaderBehaviour, all_text, simple
from tests.landing.loaders.modes import SHORT, Step, steps
from tests.landing.results import (
    PLANTED,
    PROPERTY,
    FakeResults,
    HardTable,
    csv_file,
    hard_tables,
    load_of,
    schema_of,
)


class FileHook(DbApiHook):
    """A DB-API hook over a SQLite file."""

    conn_name_attr = "file_conn_id"
    conn_type = "file_database"
    supports_autocommit = False
    placeholder = "?"
    dialect_name = "sqlite"
    path: str = ""

    def get_conn(self) -> Any:
        return sqlite3.connect(self.path)


class SqliteHook(FileHook):
    conn_type = "sqlite"


class SqliteBehaviour(LoaderBehaviour):
    hook_class: type[FileHook]
    path: Path

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path_factory: pytest.TempPathFactory, new_table: Callable[[], str]) -> None:
        type(self).path = tmp_path_factory.mktemp("sqlite") / "rows.db"
        type(self).new_table = staticmethod(new_table)
        hook = self.hook_class()
        hook.path = str(self.path)
        self.loader = loader_for(hook)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return list(connection.execute(statement).fetchall())

    def read(self, hard: HardTable, rows: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
        kinds = [kind.data_type for kind in hard.columns]
        return Counter(
            tuple(_read(kind, value) for kind, value in zip(kinds, row, strict=True)) for row in rows.elements()
        )

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self.execute(f'PRAGMA table_info("{table}")')]

    def leftovers(self) -> list[str]:
        return [row[0] for row in self.execute("SELECT name FROM sqlite_master WHERE name LIKE '\\_amc%' ESCAPE '\\'")]


@pytest.mark.filterwarnings("ignore:The default date:DeprecationWarning")
class TestDbApi(SqliteBehaviour):
    """Through a driver of which nothing is known."""

    hook_class = FileHook

    # The driver does not tell the types of existing columns.
    test_type_that_has_nothing_in_common = None

    def may_be_away(self, content: Any) -> bool:
        return content is None

    @SHORT
    @given(sequence=steps())
    def test_any_sequence_of_loads(self, sequence: list[Step]) -> None:
        self.check_sequence(sequence)

    def test_chosen_for_unknown_connections(self) -> None:
        assert type(self.loader) is DbApiLoader
        assert self.loader.dialect == "sqlite"

    def test_many_batches_in_one_transaction(self) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        rows = [("a", number) for number in range(2500)]
        self.execute(f"CREATE UNIQUE INDEX u ON {table} (clicks)")
        with pytest.raises(AmcLoadError, match="UNIQUE constraint failed"):
            self.load(table, simple(*rows, ("b", 2499)))
        assert self.rows(table) == Counter([("before", 1)])

    def test_values_that_the_driver_does_not_take(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with pytest.raises(AmcLoadError) as caught:
            self.load(self.new_table(), FakeResults(b"cost\n4711.4711\n"), schema_of("cost DECIMAL"))
        assert "4711" not in all_text(caught.value, caplog)

    def test_error_outside_of_the_drivers_tree(self, caplog: pytest.LogCaptureFixture) -> None:
        """A driver may raise anything, and quote anything."""
        caplog.set_level(logging.DEBUG)

        class Refusing(sqlite3.Cursor):
            def executemany(self, statement: str, rows: Any) -> Any:
                raise ValueError(f"cannot convert '{next(iter(rows))}' at 4711")

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Refusing) -> Any:
                return super().cursor(factory)

        self.loader.hook.get_conn = lambda: sqlite3.connect(self.path, factory=Connection)
        with pytest.raises(AmcLoadError, match="ValueError: cannot convert '…' at …") as caught:
            self.load(self.new_table(), simple((PLANTED, 1)))
        assert "Zebra" not in all_text(caught.value, caplog)
        assert "4711" not in all_text(caught.value, caplog)

    def test_percent_in_a_name_is_doubled_for_drivers_with_percent_marks(self) -> None:
        statements: list[tuple[str, object]] = []

        class Recording(FileHook):
            placeholder = "%s"

            def get_conn(self) -> Any:
                return RecordingConnection(statements)

        loader = DbApiLoader(Recording())
        loader.load(load_of("results", schema_of("100% STRING")), FakeResults(b"100%\na\n"))
        inserts = [statement for statement, bound in statements if statement.startswith("INSERT") and bound]
        assert len(inserts) == 1
        # What such a driver does with a statement.
        assert (inserts[0] % (("?",) * 7)).endswith(f"{'?, ' * 6}?)")
        assert '("100%", "_amc_instance_id"' in inserts[0] % (("?",) * 7)
        selects = [(statement, bound) for statement, bound in statements if "SELECT s." in statement]
        assert '("100%", "_amc_instance_id"' in selects[0][0]
        assert selects[0][1] is None

        creates = [(statement, bound) for statement, bound in statements if statement.startswith("CREATE")]
        assert '"100%"' in creates[0][0]
        assert all(bound is None for _, bound in creates)


class RecordingConnection:
    """A DB-API connection that writes down what it is told."""

    def __init__(self, statements: list[tuple[str, object]]) -> None:
        self._statements = statements
        self.description = [("a",)]

    def cursor(self) -> RecordingConnection:
        return self

    def execute(self, statement: str, bound: object = None) -> None:
        if "WHERE 1 = 0" in statement:
            raise LookupError("no such table")
        self._statements.append((statement, bound))

    def executemany(self, statement: str, rows: object) -> None:
        self._statements.append((statement, rows))

    def fetchone(self) -> tuple[int]:
        return (1,)

    def commit(self) -> None:
        pass

    rollback = close = commit


class TestSqlite(SqliteBehaviour):
    hook_class = SqliteHook

    def test_chosen_by_the_connection(self) -> None:
        assert type(self.loader) is SqliteLoader

    @PROPERTY
    @given(hard=hard_tables(nul=True))
    def test_round_trip(self, hard: HardTable) -> None:
        self.check_round_trip(hard)

    @SHORT
    @given(sequence=steps())
    def test_any_sequence_of_loads(self, sequence: list[Step]) -> None:
        self.check_sequence(sequence)

    @SHORT
    @given(hard=hard_tables(nul=True, numbered=True))
    def test_upsert_of_hard_values(self, hard: HardTable) -> None:
        self.check_upsert(hard)

    def test_decimals_dates_and_times_stay_exact(self) -> None:
        table = self.new_table()
        schema = schema_of("cost DECIMAL", "day DATE", "at TIMESTAMP")
        rows = [("123456789012345678901.12345678901234567", "9999-12-31", "0001-01-01T00:00:00.001")]
        self.load(table, FakeResults(csv_file(schema.names, rows)), schema)
        assert self.rows(table, schema.names) == Counter(
            [("123456789012345678901.12345678901234567", "9999-12-31", "0001-01-01T00:00:00.001000")]
        )


def _read(kind: str | None, value: Any) -> Any:
    if value is None:
        return None
    readers: dict[str, Callable[[Any], Any]] = {
        "DECIMAL": Decimal,
        "DATE": date.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
    }
    return readers.get(str(kind), lambda same: same)(value)


class TestChoice:
    def test_not_a_database(self) -> None:
        from airflow.providers.http.hooks.http import HttpHook

        with pytest.raises(AmcConfigurationError, match="HttpHook is not a SQL database hook"):
            loader_for(HttpHook())
