from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import psycopg2
import pytest
from pytest_mock import MockerFixture

from airflow_provider_amc.exceptions import AmcLoadError, AmcResultError
from airflow_provider_amc.landing.loaders.postgres import PostgresLoader
from airflow_provider_amc.landing.loaders.session import Session
from tests.landing.loaders.behaviour import simple
from tests.landing.loaders.drivers import DriverHook, simple_schema
from tests.landing.results import FakeResults, column, load_of, schema_of


class TestTheOtherWayRound:
    """psycopg 2 sends rows in binary form, psycopg 3 as CSV."""

    @pytest.mark.parametrize(("driver", "binary"), [(psycopg2, True), (psycopg, False)])
    def test_load(
        self,
        driver: Any,
        binary: bool,
        postgres_environment: dict[str, Any],
        new_table: Callable[[], str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if not binary:
            monkeypatch.setitem(sys.modules, "pgpq", None)
        table = new_table()
        hook = DriverHook(driver.connect, postgres_environment)
        loader = PostgresLoader(hook)
        for day in (1, 2):
            assert loader.load(load_of(table, simple_schema(), day=day), simple(("ä,\n", 1), ("", None))) == 2
        with pytest.raises((AmcLoadError, AmcResultError), match="clicks"):
            loader.load(load_of(table, simple_schema(), day=2), simple(("a", "b")))
        with pytest.raises(AmcResultError, match="is empty"):
            loader.load(load_of(table, simple_schema(), day=2), FakeResults(b""))
        with closing(hook.get_conn()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT campaign, clicks FROM {table}")
            assert Counter(cursor.fetchall()) == Counter({("ä,\n", 1): 2, ("", None): 2})


class TestForms:
    def test_wide_decimals_go_as_csv(self, postgres_environment: dict[str, Any], new_table: Callable[[], str]) -> None:
        table = new_table()
        schema = schema_of(column("cost", "DECIMAL", 60, 2))
        hook = DriverHook(psycopg2.connect, postgres_environment)
        value = Decimal(f"{'9' * 58}.25")
        assert PostgresLoader(hook).load(load_of(table, schema), FakeResults(f"cost\n{value}\n".encode())) == 1
        with closing(hook.get_conn()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT cost FROM {table}")
            assert cursor.fetchall() == [(value,)]

    @pytest.mark.parametrize("mode", ["replace_window", "append", "upsert", "replace_table"])
    def test_rows_of_a_new_table_are_written_once(
        self, mode: str, postgres_environment: dict[str, Any], new_table: Callable[[], str], mocker: MockerFixture
    ) -> None:
        table = new_table()
        loader = PostgresLoader(DriverHook(psycopg2.connect, postgres_environment))
        load = load_of(table, simple_schema(), mode=mode, keys=["campaign"] if mode == "upsert" else ())
        statements = mocker.spy(Session, "run")
        assert loader.load(load, simple(("a", 1))) == 1
        assert not any(call.args[1].sql.startswith("INSERT") for call in statements.call_args_list)
        assert loader.load(load, simple(("a", 1))) == 1
        assert any(call.args[1].sql.startswith("INSERT") for call in statements.call_args_list)

    @pytest.mark.parametrize("driver", [psycopg, psycopg2])
    def test_text_is_utf8_whatever_the_connection_says(
        self, driver: Any, postgres_environment: dict[str, Any], new_table: Callable[[], str]
    ) -> None:
        table = new_table()
        hook = DriverHook(driver.connect, postgres_environment, client_encoding="LATIN1")
        assert PostgresLoader(hook).load(load_of(table, simple_schema()), simple(("ä€", 1))) == 1
        with closing(DriverHook(psycopg.connect, postgres_environment).get_conn()) as connection:
            assert connection.execute(f"SELECT campaign FROM {table}").fetchone() == ("ä€",)

    def test_origin_is_quoted(self, postgres_environment: dict[str, Any], new_table: Callable[[], str]) -> None:
        table = new_table()
        hook = DriverHook(psycopg2.connect, postgres_environment, options="-c standard_conforming_strings=off")
        name = 'it\'s 100 %s \\ of "it"'
        load = load_of(table, simple_schema())
        load = replace(load, audit=replace(load.audit, workflow_id=name, window_end=None), mode="append")
        assert PostgresLoader(hook).load(load, simple(("a", 1))) == 1
        with closing(hook.get_conn()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT _amc_workflow_id, _amc_window_start, _amc_window_end FROM {table}")
            assert cursor.fetchall() == [(name, datetime(2026, 3, 1), None)]
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.columns WHERE table_name = %s AND column_default IS NOT NULL",
                (table,),
            )
            assert cursor.fetchone() == (0,)
