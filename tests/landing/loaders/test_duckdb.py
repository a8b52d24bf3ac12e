from __future__ import annotations

import logging
import multiprocessing
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given

from airflow_provider_amc.exceptions import AmcLoadError, AmcResultError
from airflow_provider_amc.landing.load import loader_for
from airflow_provider_amc.landing.loaders.duckdb import LOCK_PATIENCE, DuckDBLoader
from tests.landing.loaders.behaviour import LoaderBehaviour, all_text, simple
from tests.landing.loaders.modes import SHORT, Step, steps
from tests.landing.results import (
    PLANTED,
    PROPERTY,
    Broken,
    FakeResults,
    HardTable,
    column,
    csv_file,
    hard_tables,
    load_of,
    schema_of,
)


def hold_open(path: str, opened: Any, release: Any) -> None:
    """Keep a DuckDB file open; runs in a process of its own."""
    connection = duckdb.connect(path)
    opened.set()
    release.wait(60)
    connection.close()


class TestDuckDB(LoaderBehaviour):
    @pytest.fixture(autouse=True)
    def _database(self, duckdb_hook: Any, new_table: Callable[[], str]) -> None:
        type(self).hook = duckdb_hook
        type(self).new_table = staticmethod(new_table)
        self.loader = DuckDBLoader(duckdb_hook)

    hook: Any

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.hook.get_conn()) as connection:
            return list(connection.execute(statement).fetchall())

    def columns(self, table: str) -> list[str]:
        return [row[0] for row in self.execute(f'DESCRIBE "{table}"')]

    def leftovers(self) -> list[str]:
        return [row[0] for row in self.execute("SELECT table_name FROM duckdb_tables() WHERE table_name ^@ '_amc'")]

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

    def test_chosen_by_the_connection(self) -> None:
        assert isinstance(loader_for(self.hook), DuckDBLoader)

    def test_types(self) -> None:
        table = self.new_table()
        schema = schema_of(
            *[f"{kind.lower()} {kind}" for kind in ("BOOLEAN", "BYTE", "SHORT", "INTEGER", "LONG", "FLOAT", "DOUBLE")],
            *["date DATE", "timestamp TIMESTAMP", "string STRING", "array ARRAY"],
            column("decimal", "DECIMAL", 20, 4),
        )
        self.load(table, FakeResults(csv_file(schema.names, [])), schema)
        kinds = {row[0]: row[1] for row in self.execute(f"DESCRIBE {table}")}
        assert [kinds[name] for name in schema.names] == [
            *["BOOLEAN", "SMALLINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE"],
            *["DATE", "TIMESTAMP", "VARCHAR", "VARCHAR", "DECIMAL(20,4)"],
        ]

    def test_widened_types_keep_every_value(self) -> None:
        table = self.new_table()
        before = schema_of("n INTEGER", column("d", "DECIMAL", 10, 2), "f FLOAT", "t DATE")
        self.load(table, FakeResults(b"n,d,f,t\n-2147483648,-99999999.99,0.5,0001-01-01\n"), before)
        after = schema_of(column("n", "DECIMAL", 20, 10), column("d", "DECIMAL", 12, 6), "f DOUBLE", "t TIMESTAMP")
        last = b"n,d,f,t\n1.0123456789,-999999.999999,0.1,9999-12-31T23:59:59.999\n"
        self.load(table, FakeResults(last), after, day=2)
        kinds = {row[0]: row[1] for row in self.execute(f"DESCRIBE {table}")}
        assert [kinds[name] for name in "ndft"] == ["DECIMAL(20,10)", "DECIMAL(14,6)", "DOUBLE", "TIMESTAMP"]
        assert self.rows(table, "ndft") == Counter(
            [
                (Decimal(-(2**31)), Decimal("-99999999.99"), 0.5, datetime.min),
                (Decimal("1.0123456789"), Decimal("-999999.999999"), 0.1, datetime(9999, 12, 31, 23, 59, 59, 999000)),
            ]
        )

    def test_decimals_that_no_type_holds_both_of(self) -> None:
        table = self.new_table()
        self.load(table, FakeResults(b"c\n1\n"), schema_of(column("c", "DECIMAL", 38, 0)))
        with pytest.raises(
            AmcLoadError, match=r"types differ for c \(table: DECIMAL\(38,0\), result: DECIMAL\(38, 17\)"
        ):
            self.load(table, FakeResults(b"c\n1.5\n"), schema_of("c DECIMAL"), day=2)

    def test_names_are_matched_without_case(self) -> None:
        table = self.new_table()
        self.load(table, FakeResults(b"Campaign,CLICKS\na,1\n"), schema_of("Campaign STRING", "CLICKS LONG"))
        assert self.load(table, simple(("b", 2))) == 1
        assert self.rows(table) == Counter([("b", 2)])

    def test_names_that_differ_in_case_only(self) -> None:
        with pytest.raises(AmcLoadError, match="The columns A, a differ in case only"):
            self.load(self.new_table(), FakeResults(b"a,A\n1,2\n"), schema_of("a LONG", "A LONG"))

    def test_schema(self) -> None:
        table = self.new_table()
        self.execute(f"CREATE SCHEMA s_{table}")
        for name in (f"s_{table}.{table}", f"rows.s_{table}.{table}"):
            assert self.load(name, simple(("a", 1))) == 1
        assert self.execute(f"SELECT count(*) FROM s_{table}.{table}") == [(1,)]

    def test_settings_of_the_hook_are_kept(self, tmp_path: Path) -> None:
        path = str(tmp_path / "other.duckdb")

        class InASchema:
            supports_autocommit = False

            def get_conn(self) -> Any:
                connection = duckdb.connect(path)
                connection.execute("CREATE SCHEMA IF NOT EXISTS amc; USE amc")
                return connection

        loader = DuckDBLoader(InASchema())
        for _ in range(2):
            assert loader.load(load_of("results", schema_of("n LONG")), FakeResults(b"n\n1\n")) == 1
        with closing(duckdb.connect(path)) as connection:
            assert connection.execute("SELECT n FROM amc.results").fetchall() == [(1,)]

    def test_settings_of_the_database_are_kept(self) -> None:
        question = "SELECT current_setting('preserve_insertion_order')"
        # Two connections of a process to one file share its settings.
        with closing(self.hook.get_conn()) as connection:
            for kept in (True, False):
                connection.execute(f"SET preserve_insertion_order = {kept}")
                table = self.new_table()
                self.load(table, simple(("a", 1)))
                with pytest.raises(AmcResultError):
                    self.load(table, FakeResults(b""))
                assert connection.execute(question).fetchall() == [(kept,)]

    def test_locked_settings(self) -> None:
        table = self.new_table()
        with closing(self.hook.get_conn()) as connection:
            connection.execute("SET lock_configuration = true")
            assert self.load(table, simple(("a", 1))) == 1
        assert self.rows(table) == Counter([("a", 1)])

    def test_times_are_utc_whatever_the_session_says(self) -> None:
        table = self.new_table()
        self.load(table, simple(("a", 1)))
        self.execute(
            f"ALTER TABLE {table} ALTER _amc_window_start TYPE TIMESTAMPTZ USING _amc_window_start AT TIME ZONE 'UTC'"
        )
        hook = self.hook

        class InTokyo:
            supports_autocommit = False

            def get_conn(self) -> Any:
                connection = hook.get_conn()
                connection.execute("SET TimeZone = 'Asia/Tokyo'")
                return connection

        load = load_of(table, schema_of("campaign STRING", "clicks LONG"))
        assert DuckDBLoader(InTokyo()).load(load, simple(("b", 2))) == 1
        assert self.rows(table) == Counter([("b", 2)])
        assert self.execute(f"SELECT hour(_amc_window_start AT TIME ZONE 'UTC') FROM {table}") == [(0,)]

    def test_error_of_the_stream_stays_what_it_is(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        error = AmcResultError("gave up")
        error.retryable = True
        results = FakeResults(lambda: Broken(f"campaign,clicks\n{PLANTED},1\n".encode(), error))
        with pytest.raises(AmcResultError) as caught:
            self.load(self.new_table(), results)
        assert caught.value is error
        assert "Zebra" not in all_text(caught.value, caplog)

    def test_files_are_closed_after_an_error(self) -> None:
        results = FakeResults(csv_file(("campaign", "clicks"), [("a", 1), ("b", "c")]))
        with pytest.raises(AmcResultError, match="a cell of column 'clicks' is not a int64"):
            self.load(self.new_table(), results)
        assert [stream.closed for stream in results.files()[0].opened] == [True]


class TestLock:
    """Another process has the file open."""

    @pytest.fixture
    def held(self, tmp_path: Path) -> Any:
        path = str(tmp_path / "held.duckdb")
        context = multiprocessing.get_context("spawn")
        opened, release = context.Event(), context.Event()
        process = context.Process(target=hold_open, args=(path, opened, release))
        process.start()
        assert opened.wait(60)

        def let_go() -> None:
            release.set()
            process.join(60)

        yield path, let_go
        let_go()

    def hook(self, path: str) -> Any:
        class Hook:
            supports_autocommit = False

            def get_conn(self) -> Any:
                return duckdb.connect(path)

        return Hook()

    def test_waits_until_it_is_released(self, held: Any, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        path, let_go = held
        naps: list[float] = []

        def sleep(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == 3:
                let_go()

        loader = DuckDBLoader(self.hook(path), sleep=sleep)
        assert loader.load(load_of("results", schema_of("n LONG")), FakeResults(b"n\n1\n")) == 1
        assert len(naps) == 3
        assert caplog.text.count("waiting up to 300 s") == 1

    def test_gives_up(self, held: Any) -> None:
        path, _ = held
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        loader = DuckDBLoader(self.hook(path), sleep=sleep, clock=lambda: now[0])
        with pytest.raises(AmcLoadError, match=r"stayed open in another process for 300 s.*a pool with one slot"):
            loader.load(load_of("results", schema_of("n LONG")), FakeResults(b"n\n1\n"))
        assert now[0] == LOCK_PATIENCE

    def test_other_problems_are_not_waited_for(self, tmp_path: Path) -> None:
        def sleep(seconds: float) -> None:
            raise AssertionError("waited")

        loader = DuckDBLoader(self.hook(str(tmp_path / "no folder" / "file.duckdb")), sleep=sleep)
        with pytest.raises(duckdb.IOException):
            loader.connect()
