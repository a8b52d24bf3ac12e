from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot

from airflow_provider_amc.landing.change import TableChange, plan_change
from airflow_provider_amc.landing.statements import Staged, Statement, Statements, stand_in
from airflow_provider_amc.landing.table import MODES, Audit, Load, TableName
from tests.landing.results import load_of, schema_of

DIALECTS = ["", "postgres", "redshift", "snowflake", "duckdb", "sqlite", "mysql", "tsql", "oracle", "trino", "bigquery"]

SCHEMA = schema_of("user id LONG", '100% "net" STRING')


def load(mode: str) -> tuple[Load, TableChange]:
    keys = ["user id", "_amc_window_start"] if mode == "upsert" else ()
    made = load_of("db.rows", SCHEMA, mode=mode, keys=keys)
    return made, plan_change(made, dict.fromkeys(made.full_schema.names))


def all_of(sql: Statements, mode: str, staged: Staged) -> Iterator[Statement]:
    made, change = load(mode)
    yield from sql.rows(made, change, staged)
    yield sql.add_column(made.table, SCHEMA.field(1))
    yield sql.widen_column(made.table, "user id", pa.decimal128(38, 17))
    yield sql.longest(['100% "net"'], staged)
    yield sql.create(made.table.sql(sql.dialect), made.full_schema)
    yield sql.drop(made.table.sql(sql.dialect), if_exists=True)
    if mode == "upsert":
        yield sql.rows_without_key(made, staged)
        yield sql.repeated_keys(made, staged)


@pytest.mark.parametrize("audit", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_can_read_its_statements(dialect: str, mode: str, audit: bool) -> None:
    for statement in all_of(Statements(dialect, "?"), mode, Staged("staging", audit=audit)):
        tree = sqlglot.parse_one(statement.sql, read=dialect or None)
        assert not isinstance(tree, sqlglot.exp.Command), statement.sql
        assert statement.sql.count("?") == len(statement.values)
        names = {identifier.name for identifier in tree.find_all(sqlglot.exp.Identifier) if identifier.quoted}
        assert names <= {"db", "rows", "d", *SCHEMA.names, *Audit.SCHEMA.names}


@pytest.mark.parametrize("mode", MODES)
def test_percent_signs_are_doubled_only_where_values_are_bound(mode: str) -> None:
    for statement in all_of(Statements("postgres", "%s"), mode, Staged("staging")):
        doubled = "%%" in statement.sql
        assert doubled == (bool(statement.values) and "100" in statement.sql)
        if statement.values:
            # What a driver does with it.
            assert "100%%" not in statement.sql % (("?",) * len(statement.values))


@pytest.mark.parametrize("dialect", ["mysql", "oracle", ""])
def test_swap(dialect: str) -> None:
    sql = Statements(dialect, "?")
    table = TableName.parse("db.rows")
    new, old = sql.stand_ins(table)
    assert new.parts[0] == old.parts[0] == "db"
    statements = [statement.sql for statement in sql.swap(table, new)]
    assert statements[-1].startswith("DROP TABLE")
    expected = {"mysql": ("RENAME TABLE", 2)}.get(dialect, ("RENAME TO", 3))
    assert expected[0] in statements[0]
    assert len(statements) == expected[1]


def test_stand_ins_are_the_same_on_every_try() -> None:
    assert stand_in("staging", "t", "e-1") == stand_in("staging", "t", "e-1")
    assert stand_in("staging", "t", "e-1") != stand_in("staging", "t", "e-2")
    assert len(stand_in("staging", "t")) < 30


class TestMerge:
    """The MERGE of databases that have no UPDATE ... FROM, in one that has both."""

    @pytest.fixture
    def connection(self) -> Iterator[Any]:
        with closing(duckdb.connect()) as connection:
            yield connection

    @pytest.mark.parametrize("dialect", ["", "duckdb"])
    def test_same_rows_as_by_update_and_insert(self, connection: Any, dialect: str) -> None:
        made = load_of("target", schema_of("k LONG", "v STRING"), mode="upsert", keys=["k"], execution="e-2")
        sql = Statements(dialect, "?")
        connection.execute(sql.create("target", made.full_schema).sql)
        connection.execute(
            "INSERT INTO target (k, v, _amc_workflow_execution_id) VALUES (1, 'a', 'e-1'), (2, 'b', 'e-1')"
        )
        connection.execute("CREATE TABLE staging AS SELECT * FROM (VALUES (2, 'c'), (3, NULL)) AS s (k, v)")
        change = plan_change(made, dict.fromkeys(made.full_schema.names))
        for statement in sql.rows(made, change, Staged("staging")):
            connection.execute(statement.sql, statement.values)
        rows = connection.execute("SELECT k, v, _amc_workflow_execution_id FROM target ORDER BY k").fetchall()
        assert rows == [(1, "a", "e-1"), (2, "c", "e-2"), (3, None, "e-2")]
