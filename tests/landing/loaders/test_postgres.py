from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import psycopg2
import pytest
from hypothesis import given

from airflow_provider_amc.exceptions import AmcLoadError, AmcResultError
from airflow_provider_amc.landing.loaders.postgres import PostgresLoader
from airflow_provider_amc.landing.table import MODES
from tests.landing.loaders.behaviour import LoaderBehaviour, all_text, simple
from tests.landing.loaders.drivers import DriverHook, simple_schema
from tests.landing.loaders.killing import lasting
from tests.landing.loaders.modes import SHORT, Step, steps
from tests.landing.results import (
    PLANTED,
    PROPERTY,
    FakeResults,
    HardTable,
    column,
    csv_file,
    hard_tables,
    load_of,
    schema_of,
)


class PostgresBehaviour(LoaderBehaviour):
    """The tests of every loader, and those of PostgreSQL."""

    settings: dict[str, Any]

    #: Are rows sent in PostgreSQL's binary form?
    binary = True

    def make_hook(self, **extra: Any) -> Any:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _database(
        self, postgres_environment: dict[str, Any], new_table: Callable[[], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not self.binary:
            monkeypatch.setitem(sys.modules, "pgpq", None)
        type(self).settings = postgres_environment
        type(self).new_table = staticmethod(new_table)
        self.loader = PostgresLoader(self.make_hook())

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(DriverHook(psycopg.connect, self.settings, autocommit=True).get_conn()) as connection:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def columns(self, table: str) -> list[str]:
        return [
            row[0]
            for row in self.execute(
                f"SELECT attname FROM pg_attribute WHERE attrelid = '\"{table}\"'::regclass AND attnum > 0 "
                "AND NOT attisdropped ORDER BY attnum"
            )
        ]

    def leftovers(self) -> list[str]:
        return [row[0] for row in self.execute("SELECT relname FROM pg_class WHERE relname LIKE '\\_amc%'")]

    def test_values_that_postgresql_has_no_place_for(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        table = self.new_table()
        with pytest.raises(AmcLoadError, match=r"22021.*rolled back") as caught:
            self.load(table, simple((f"{PLANTED}\x00", 1)))
        assert "Zebra" not in all_text(caught.value, caplog)
        assert not self.exists(table)

    def test_cells_that_do_not_fit(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        table = self.new_table()
        for rows, schema in (
            (f"a,1\nb,{PLANTED}\n", simple_schema()),
            ("a,1\nb,47114711471147114711\n", simple_schema()),
            ("a,4711471147114711\n", schema_of("campaign STRING", "clicks INTEGER")),
            ("a,1.255\n", schema_of("campaign STRING", column("clicks", "DECIMAL", 10, 2))),
        ):
            with pytest.raises((AmcLoadError, AmcResultError), match="clicks") as caught:
                self.load(table, FakeResults(f"campaign,clicks\n{rows}".encode()), schema)
            shown = all_text(caught.value, caplog)
            assert not any(value in shown for value in ("Zebra", "4711", "1.255"))
            assert not self.exists(table)

    def test_decimals_are_never_rounded(self) -> None:
        table = self.new_table()
        schema = schema_of(column("cost", "DECIMAL", 10, 2))
        assert self.load(table, FakeResults(b"cost\n1.2500\n0E-17\n\n"), schema) == 3
        assert self.rows(table, ["cost"]) == Counter([(Decimal("1.25"),), (Decimal(0),), (None,)])
        with pytest.raises((AmcLoadError, AmcResultError)):
            self.load(table, FakeResults(b"cost\n1.255\n"), schema)
        assert self.rows(table, ["cost"]) == Counter([(Decimal("1.25"),), (Decimal(0),), (None,)])

    def test_trigger_of_the_user_may_say_anything(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        self.execute(
            f"CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no % here', NEW.campaign; END $$"
        )
        self.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_{table}()")
        with pytest.raises(AmcLoadError, match="P0001, raised by a trigger or a function") as caught:
            self.load(table, simple((PLANTED, 1)))
        assert "Zebra" not in all_text(caught.value, caplog)
        assert self.rows(table) == Counter([("before", 1)])

    def test_schema_and_database(self) -> None:
        table = self.new_table()
        self.execute(f'CREATE SCHEMA "s_{table}"')
        for name in (f"s_{table}.{table}", f"postgres.s_{table}.{table}"):
            assert self.load(name, simple(("a", 1))) == 1
        assert self.execute(f"SELECT count(*) FROM s_{table}.{table}") == [(1,)]

    def test_widened_types_keep_every_value(self) -> None:
        table = self.new_table()
        before = schema_of("n INTEGER", "m SHORT", column("d", "DECIMAL", 38, 0), "f FLOAT", "t DATE")
        self.load(table, FakeResults(f"n,m,d,f,t\n-2147483648,1,{'9' * 38},0.5,0001-01-01\n".encode()), before)
        after = schema_of(column("n", "DECIMAL", 20, 10), "m LONG", "d DECIMAL", "f DOUBLE", "t TIMESTAMP")
        last = b"n,m,d,f,t\n1.0123456789,-9223372036854775808,0.00000000000000001,0.1,9999-12-31T23:59:59.999\n"
        self.load(table, FakeResults(last), after, day=2)
        kinds = [row[0] for row in self.execute(
            f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{table}'::regclass "
            "AND attnum BETWEEN 1 AND 5 ORDER BY attnum"
        )]  # fmt: skip
        whole = ["numeric(20,10)", "bigint", "numeric(55,17)", "double precision", "timestamp without time zone"]
        assert kinds == whole
        assert self.rows(table, "nmdft") == Counter(
            [
                (Decimal(-(2**31)), 1, Decimal("9" * 38), 0.5, datetime.min),
                (
                    Decimal("1.0123456789"), -(2**63), Decimal("1E-17"), 0.1,
                    datetime(9999, 12, 31, 23, 59, 59, 999000),
                ),
            ]
        )  # fmt: skip

    def test_text_column_with_a_limit_is_widened_when_a_value_needs_it(self) -> None:
        table = self.new_table()
        self.load(table, simple(("a", 1)))
        self.execute(f"ALTER TABLE {table} ALTER campaign TYPE varchar(5)")

        def kind() -> str:
            listed = self.execute(
                f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{table}'::regclass "
                "AND attname = 'campaign'"
            )
            return str(listed[0][0])

        self.load(table, simple(("ééééé", 2), (None, 3)), day=2)
        assert kind() == "character varying(5)"
        with pytest.raises(AmcLoadError, match="too long"):
            self.load(table, simple(("éééééé", 4)), day=3, schema_policy="freeze")
        self.load(table, simple(("éééééé", 4)), day=3)
        assert kind() == "text"
        assert self.rows(table) == Counter([("a", 1), ("ééééé", 2), (None, 3), ("éééééé", 4)])

    def test_columns_that_differ_in_case_are_two(self) -> None:
        table = self.new_table()
        assert self.load(table, FakeResults(b"id,ID\n1,2\n"), schema_of("id LONG", "ID LONG")) == 1
        assert self.rows(table, ["id", "ID"]) == Counter([(1, 2)])

    def test_names_that_would_be_cut_off(self) -> None:
        table = self.new_table()
        name = "ä" * 32
        with pytest.raises(
            AmcLoadError, match=f"after 63 bytes, and these are longer: {name}. Give the columns shorter"
        ):
            self.load(table, FakeResults(f"{name}\n1\n".encode()), schema_of(f"{name} LONG"))
        assert not self.exists(table)
        longest = "x" * 63
        for _ in range(2):
            assert self.load(table, FakeResults(f"{longest}\n1\n".encode()), schema_of(f"{longest} LONG")) == 1

    def test_existing_columns_of_wider_types(self) -> None:
        table = self.new_table()
        self.load(table, simple(("a", 1)))
        self.execute(f"ALTER TABLE {table} ALTER clicks TYPE numeric, ALTER campaign TYPE varchar(10)")
        assert self.load(table, simple(("b", 2))) == 1
        assert self.rows(table) == Counter([("b", 2)])

    def test_times_are_utc_whatever_the_session_says(self) -> None:
        table = self.new_table()
        self.load(table, simple(("a", 1)))
        self.execute(
            f"ALTER TABLE {table} ALTER _amc_window_start TYPE timestamptz USING _amc_window_start AT TIME ZONE 'UTC'"
        )
        loader = PostgresLoader(self.make_hook(options="-c TimeZone=Asia/Tokyo"))
        assert loader.load(load_of(table, simple_schema()), simple(("b", 2))) == 1
        assert self.rows(table) == Counter([("b", 2)])
        assert self.execute(f"SELECT _amc_window_start AT TIME ZONE 'UTC' FROM {table}")[0][0].hour == 0

    def test_connection_that_commits_by_itself(self) -> None:
        table = self.new_table()

        class Committing(DriverHook):
            def get_conn(self) -> Any:
                connection = super().get_conn()
                connection.autocommit = True
                return connection

        hook = self.make_hook()
        loader = PostgresLoader(Committing(hook._connect, self.settings))
        assert loader.load(load_of(table, simple_schema()), simple(("b", 2))) == 1

    def test_two_loads_into_one_new_table(self) -> None:
        table = self.new_table()
        meeting = threading.Barrier(2)
        loaded: list[int] = []
        errors: list[BaseException] = []

        def run(day: int) -> None:
            # Both have seen that there is no table when they meet.
            def stream() -> Any:
                import io

                meeting.wait(30)
                return io.BytesIO(csv_file(("campaign", "clicks"), [(f"day {day}", day)] * 50))

            try:
                loader = PostgresLoader(self.make_hook())
                loaded.append(loader.load(load_of(table, simple_schema(), day=day), FakeResults(stream)))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(day,)) for day in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert loaded == [50, 50]
        assert self.rows(table) == Counter({("day 1", 1): 50, ("day 2", 2): 50})

    def test_two_loads_of_one_window(self) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 0)))
        meeting = threading.Barrier(2)
        errors: list[BaseException] = []

        def run(number: int) -> None:
            def stream() -> Any:
                import io

                meeting.wait(30)
                return io.BytesIO(csv_file(("campaign", "clicks"), [(f"load {number}", number)] * 20))

            try:
                loader = PostgresLoader(self.make_hook(options="-c default_transaction_isolation=repeatable\\ read"))
                loader.load(load_of(table, simple_schema()), FakeResults(stream))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert self.rows(table) in (Counter({("load 1", 1): 20}), Counter({("load 2", 2): 20}))

    @pytest.mark.parametrize("mode", MODES)
    def test_server_ends_the_connection_before_any_step(self, mode: str) -> None:
        options: dict[str, Any] = {"mode": mode, "execution": "e-2", "keys": ["campaign"] if mode == "upsert" else ()}
        rows = [("a", 11), ("c", 13)]
        before, after = self._filled("other columns"), self._undisturbed("other columns", rows, options)[0]
        untouched = self._content(before)
        self.loader = PostgresLoader(self.make_hook(application_name="doomed"))

        def end() -> None:
            self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'")

        for number in itertools.count():
            table = self._filled("other columns")
            with lasting(self.loader.hook, number, end=end) as life, suppress(AmcLoadError):
                self.load(table, simple(*rows), **options)
            if not life.dead:
                break
            assert self._content(table) == untouched, life.taken
            self.load(table, simple(*rows), **options)
            assert self._content(table) == after
        assert number > 8

    def test_lost_connection_tells_why(self) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 1)))

        self.loader = PostgresLoader(self.make_hook(application_name="doomed"))

        def stream() -> Any:
            self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'")
            import io

            return io.BytesIO(csv_file(("campaign", "clicks"), [("after", 2)]))

        with pytest.raises(AmcLoadError, match=r"could not load into .*rolled back"):
            self.load(table, FakeResults(stream))
        assert self.rows(table) == Counter([("before", 1)])


class TestPsycopg3(PostgresBehaviour):
    """With pgpq, whose binary form the driver sends."""

    def make_hook(self, **extra: Any) -> Any:
        return DriverHook(psycopg.connect, self.settings, **extra)

    @PROPERTY
    @given(hard=hard_tables())
    def test_round_trip(self, hard: HardTable) -> None:
        self.check_round_trip(hard)

    @SHORT
    @given(sequence=steps())
    def test_any_sequence_of_loads(self, sequence: list[Step]) -> None:
        self.check_sequence(sequence)

    @SHORT
    @given(hard=hard_tables(numbered=True))
    def test_upsert_of_hard_values(self, hard: HardTable) -> None:
        self.check_upsert(hard)

    def test_row_factory_of_the_connection(self) -> None:
        from psycopg.rows import dict_row

        table = self.new_table()
        loader = PostgresLoader(self.make_hook(row_factory=dict_row))
        for _ in range(2):
            assert loader.load(load_of(table, simple_schema()), simple(("a", 1))) == 1
        assert self.rows(table) == Counter([("a", 1)])


class TestPsycopg2(PostgresBehaviour):
    """Without pgpq: the driver sends CSV."""

    binary = False

    def make_hook(self, **extra: Any) -> Any:
        return DriverHook(psycopg2.connect, self.settings, **extra)

    @pytest.mark.parametrize(
        ("cell", "problem"),
        [
            (PLANTED, "22P02: .*bigint.*"),
            ("47114711471147114711", "22003: .*bigint.*"),
        ],
    )
    def test_error_names_line_and_column(self, cell: str, problem: str) -> None:
        with pytest.raises(AmcLoadError, match=rf"{problem} \(line 2 after the header, column 'clicks'\)"):
            self.load(self.new_table(), simple(("a", 1), ("b", cell)))

    def test_decimal_that_would_be_rounded(self) -> None:
        with pytest.raises(AmcLoadError, match=r"check constraint.*line 1 after the header"):
            self.load(self.new_table(), FakeResults(b"cost\n1.255\n"), schema_of(column("cost", "DECIMAL", 10, 2)))

    @PROPERTY
    @given(hard=hard_tables())
    def test_round_trip(self, hard: HardTable) -> None:
        self.check_round_trip(hard)

    @SHORT
    @given(hard=hard_tables(numbered=True))
    def test_upsert_of_hard_values(self, hard: HardTable) -> None:
        self.check_upsert(hard)

    @pytest.mark.parametrize("name", ["DictCursor", "RealDictCursor", "NamedTupleCursor"])
    def test_cursor_factory_of_the_connection(self, name: str) -> None:
        import psycopg2.extras

        table = self.new_table()
        loader = PostgresLoader(self.make_hook(cursor_factory=getattr(psycopg2.extras, name)))
        for _ in range(2):
            assert loader.load(load_of(table, simple_schema()), simple(("a", 1))) == 1
        assert self.rows(table) == Counter([("a", 1)])


class TestThroughTheHook:
    """The hook of the Postgres provider, with the driver that it prefers."""

    def test_load(self, postgres: Any, new_table: Callable[[], str]) -> None:
        from airflow_provider_amc.landing.load import loader_for

        table = new_table()
        loader = loader_for(postgres)
        assert isinstance(loader, PostgresLoader)
        for _ in range(2):
            assert loader.load(load_of(table, simple_schema()), simple(("a", 1), ("b", 2))) == 2
        assert postgres.get_records(f"SELECT campaign, clicks FROM {table} ORDER BY 1") == [("a", 1), ("b", 2)]

    def test_error(self, postgres: Any, new_table: Callable[[], str]) -> None:
        with pytest.raises(AmcLoadError, match="PostgresHook could not load into"):
            PostgresLoader(postgres).load(load_of(new_table(), simple_schema()), simple(("a\x00", 1)))
