from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from sqlglot import exp

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcResultError
from airflow_provider_amc.landing.loaders.snowflake import SnowflakeLoader
from airflow_provider_amc.landing.staging import Staging
from airflow_provider_amc.landing.table import Audit
from tests.landing.loaders.behaviour import NAMES, SIMPLE, simple
from tests.landing.loaders.interruption import Killed, Steps
from tests.landing.results import (
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

fakesnow = pytest.importorskip("fakesnow", reason="the local Snowflake is not installed for this Airflow")
pytest.importorskip("airflow.providers.snowflake", reason="the extra 'snowflake' is not installed")

MODES: dict[str, dict[str, Any]] = {
    "replace_window": {},
    "append": {},
    "upsert": {"keys": ["campaign"]},
    "replace_table": {},
}


def parsed(statement: str) -> exp.Expression:
    """The statement as a tree of the Snowflake dialect; what sqlglot cannot read is an error."""
    # The driver writes values in place of %s before it sends a statement.
    tree = sqlglot.parse_one(statement.replace("%s", "?"), read="snowflake", error_level=sqlglot.ErrorLevel.RAISE)
    assert not isinstance(tree, exp.Command), statement
    return tree


def staged(stage: str) -> list[str]:
    """Files in an internal stage of the local Snowflake."""
    from fakesnow.transforms.stage import internal_dir

    folder = Path(internal_dir(f"DB.PUBLIC.{stage}"))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def remove(statement: str) -> None:
    """REMOVE, which the local Snowflake does not have (Snowflake documentation, "REMOVE")."""
    from fakesnow.transforms.stage import internal_dir

    stage, _, path = statement.removeprefix("REMOVE @").partition("/")
    assert path.endswith("/"), statement
    shutil.rmtree(internal_dir(f"DB.PUBLIC.{stage.upper()}", path), ignore_errors=True)


class Cursor:
    """A cursor whose statements are steps, and parsed."""

    def __init__(self, real: Any, steps: Steps) -> None:
        self._real = real
        self._steps = steps

    def execute(self, statement: str, *values: Any) -> Any:
        if statement.startswith("REMOVE "):
            return self._steps.take(statement, lambda: remove(statement))
        parsed(statement)
        return self._steps.take(statement, lambda: self._real.execute(statement, *values))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Connection:
    def __init__(self, real: Any, steps: Steps) -> None:
        self._real = real
        self._steps = steps

    def cursor(self) -> Cursor:
        return Cursor(self._real.cursor(), self._steps)

    def commit(self) -> None:
        self._steps.take("commit", self._real.commit)

    def rollback(self) -> None:
        self._steps.take("rollback", self._real.rollback)

    def close(self) -> None:
        # Also when the worker dies: the server ends the session, and with it the transaction.
        self._real.rollback()
        self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The hook of the Snowflake provider; what it connects to is a Snowflake in this process."""
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

    connection = {"conn_type": "snowflake", "login": "u", "password": "p", "schema": "PUBLIC"}
    monkeypatch.setenv(
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT",
        json.dumps({**connection, "extra": {"account": "a", "database": "DB", "warehouse": "W"}}),
    )
    with fakesnow.patch():
        yield SnowflakeHook()


class Snowflake:
    def __init__(self, hook: Any) -> None:
        self.hook = hook
        self.real = hook.get_conn
        self.steps = Steps()
        hook.get_conn = lambda: Connection(self.real(), self.steps)
        self.loader = SnowflakeLoader(hook, Staging())
        self._tables = 0

    def new_table(self) -> str:
        self._tables += 1
        return f"reach_{self._tables}"

    def load(self, table: str, results: Any, schema: Any = SIMPLE, **arguments: Any) -> int:
        return self.loader.load(load_of(table, schema, **arguments), results)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.real()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            rows = cursor.fetchall()
            connection.commit()
            return [tuple(row) for row in rows]

    def rows(self, table: str, names: Any = NAMES) -> Counter[tuple[Any, ...]]:
        listed = ", ".join('"' + self.loader.new_name(name).replace('"', '""') + '"' for name in names)
        return Counter(self.execute(f"SELECT {listed} FROM {table}"))


@pytest.fixture
def snowflake(hook: Any) -> Snowflake:
    return Snowflake(hook)


def test_names_need_no_quotes_in_queries(snowflake: Snowflake) -> None:
    assert snowflake.load("reach", simple(("a", 1))) == 1
    assert snowflake.execute("SELECT campaign, clicks, _amc_workflow_id, _amc_window_start FROM reach") == [
        ("a", 1, "reach", datetime(2026, 3, 1))
    ]


def test_statements_of_a_load(snowflake: Snowflake) -> None:
    snowflake.load("reach", simple(("before", 1)))
    snowflake.steps.names.clear()
    assert snowflake.load("reach", simple(("a", 1), ("b", 2))) == 2
    trees = [parsed(statement) for statement in snowflake.steps.names if statement != "commit"]
    kinds = [type(tree).__name__ for tree in trees]
    assert kinds == ["Describe", "Create", "Put", "Create", "Copy", "Select", "Delete", "Insert"]
    _, stage, _, table, copy, _, delete, insert = trees
    assert (stage.kind, table.kind) == ("STAGE", "TABLE")
    assert stage.find(exp.TemporaryProperty)
    assert table.find(exp.TemporaryProperty)
    assert copy.this.name == "_AMC_STAGING"
    assert delete.find(exp.Table).name == insert.find(exp.Table).name == "REACH"
    matched = [found.name for found in delete.args["where"].find_all(exp.Column)]
    assert sorted(matched) == sorted(name.upper() for name in Audit.KEY)
    assert [found.name for found in insert.this.expressions][:2] == ["CAMPAIGN", "CLICKS"]
    # Deleted and inserted in one transaction.
    assert snowflake.steps.names[-1] == "commit"
    assert "commit" not in snowflake.steps.names[-3:-1]


@settings(PROPERTY, max_examples=15)
@given(hard=hard_tables())
def test_round_trip_of_staged_values(hard: HardTable) -> None:
    # The parts that are put into a stage hold each value exactly, whatever reads them.
    import pyarrow.parquet as pq

    from airflow_provider_amc.landing.staging import staged_parts

    rows = [
        row
        for part in staged_parts(load_of("t", hard.schema), hard.results)
        for row in zip(
            *(found.to_pylist() for found in pq.read_table(part.path).columns[: len(hard.columns)]), strict=True
        )
    ]
    assert Counter(rows) == Counter(hard.rows)


def test_hard_values(snowflake: Snowflake) -> None:
    from decimal import Decimal

    schema = schema_of("user id STRING", "n LONG", column("cost", "DECIMAL", 38, 17), "day TIMESTAMP", "ok BOOLEAN")
    rows = [
        ("", -999_999_999_999_999_999, Decimal("123456789012345678901.12345678901234567"), datetime(1, 1, 1), True),
        (None, None, None, None, None),
        ("\\N", 2**63 - 1, Decimal("-0.00000000000000001"), datetime(9999, 12, 31, 23, 59, 59, 999000), False),
        ('say "hi",\n😀', 0, Decimal(0), datetime(2026, 3, 1), None),
    ]
    for _ in range(2):
        assert snowflake.load("hard", FakeResults(csv_file(schema.names, rows)), schema) == len(rows)
        assert snowflake.rows("hard", schema.names) == Counter(rows)


def test_modes_keep_their_promises(snowflake: Snowflake) -> None:
    snowflake.load("reach", simple(("old", 1)))
    snowflake.load("reach", simple(("other window", 2)), day=2)
    for _ in range(2):
        snowflake.load("reach", simple(("new", 3)), execution="e-2")
    assert snowflake.rows("reach") == Counter([("new", 3), ("other window", 2)])
    for _ in range(2):
        snowflake.load("reach", simple(("more", 4)), mode="append", execution="e-3")
    snowflake.load("reach", simple(("new", 5), ("x", 6)), mode="upsert", keys=["campaign"], execution="e-4")
    assert snowflake.rows("reach") == Counter([("new", 5), ("other window", 2), ("more", 4), ("x", 6)])
    snowflake.load("reach", simple(("only", 7)), mode="replace_table")
    assert snowflake.rows("reach") == Counter([("only", 7)])


def test_columns_follow_the_result(snowflake: Snowflake) -> None:
    snowflake.load("reach", simple(("a", 1)))
    wide = schema_of("campaign STRING", "clicks LONG", "device type STRING")
    file = csv_file(wide.names, [("b", 2, "TV")])
    assert snowflake.load("reach", FakeResults(file), wide, day=2) == 1
    assert snowflake.rows("reach", wide.names) == Counter([("a", 1, None), ("b", 2, "TV")])
    assert snowflake.load("reach", simple(("c", 3)), mode="replace_table") == 1
    assert [row[0] for row in snowflake.execute("DESCRIBE TABLE reach")][:3] == [
        "CAMPAIGN",
        "CLICKS",
        "_AMC_INSTANCE_ID",
    ]


def test_a_table_of_the_user(snowflake: Snowflake) -> None:
    snowflake.load("reach", simple(("a", 1)))
    snowflake.execute('ALTER TABLE reach RENAME COLUMN clicks TO "Clicks"')
    snowflake.load("reach", simple(("b", 2)))
    assert snowflake.execute('SELECT campaign, "Clicks" FROM reach') == [("b", 2)]


def test_a_failure_changes_nothing(snowflake: Snowflake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "airflow_provider_amc")
    snowflake.load("reach", simple(("before", 1)))
    with pytest.raises(AmcResultError, match="the stream broke"):
        snowflake.load(
            "reach", FakeResults(lambda: Broken(b"campaign,clicks\nZebra,1\n", AmcResultError("the stream broke")))
        )
    assert snowflake.rows("reach") == Counter([("before", 1)])
    assert "Zebra" not in caplog.text


@pytest.mark.parametrize("mode", MODES)
def test_killed_between_any_two_steps_and_tried_again(snowflake: Snowflake, mode: str) -> None:
    def prepared() -> str:
        table = snowflake.new_table()
        snowflake.steps = Steps()
        snowflake.load(table, simple(("kept", 1), ("old", 2)), execution="e-0")
        snowflake.load(table, simple(("other window", 3)), day=2, execution="e-9")
        return table

    def attempt(table: str, steps: Steps) -> None:
        snowflake.steps = steps
        snowflake.load(table, simple(("kept", 10), ("new", 20)), mode=mode, **MODES[mode])

    undisturbed, steps = prepared(), Steps()
    before = snowflake.rows(undisturbed)
    attempt(undisturbed, steps)
    after = snowflake.rows(undisturbed)
    assert len(steps.names) > 8
    for kill_at in range(len(steps.names)):
        table = prepared()
        with pytest.raises(Killed):
            attempt(table, Steps(kill_at))
        assert snowflake.rows(table) == before
        attempt(table, Steps())
        assert snowflake.rows(table) == after


def test_an_integration_reads_s3(snowflake: Snowflake, s3: Any, bucket: str) -> None:
    loader = SnowflakeLoader(snowflake.hook, Staging(s3=f"s3://{bucket}/x", storage_integration="AMC_INT"))
    keys: list[str] = []

    class Reading(Steps):
        def take(self, name: str, do: Callable[[], Any]) -> Any:
            if name.startswith("COPY"):
                keys.extend(s3.list_keys(bucket))
                raise Killed(name)
            return super().take(name, do)

    snowflake.steps = Reading()
    with pytest.raises(Killed):
        loader.load(load_of("reach", SIMPLE), simple(("a", 1)))
    (stage,) = [name for name in snowflake.steps.names if "STAGE " in name]
    assert stage.endswith(f" URL = 's3://{bucket}/{keys[0].rpartition('/')[0]}/' STORAGE_INTEGRATION = AMC_INT")
    assert keys[0].endswith("/part-00000.parquet")
    assert not s3.list_keys(bucket)


class TestNamedStage:
    """A stage that exists, with files of others in it."""

    STAGING = Staging(stage="@amc_files")

    @pytest.fixture
    def named(self, snowflake: Snowflake, tmp_path: Path) -> Snowflake:
        # Replaced, because the files of the local Snowflake outlive its tables.
        snowflake.execute("CREATE OR REPLACE STAGE amc_files")
        others = tmp_path / "others.parquet"
        others.write_bytes(b"not ours")
        snowflake.execute(f"PUT 'file://{others}' @amc_files AUTO_COMPRESS = FALSE")
        snowflake.loader = SnowflakeLoader(snowflake.hook, self.STAGING)
        return snowflake

    def test_rows_by_a_folder_of_their_own(self, named: Snowflake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("airflow_provider_amc.landing.staging.PART_BYTES", 1)
        for execution in ("e-1", "e-2"):
            files = [csv_file(NAMES, [(f"c{index}", index)]) for index in range(3)]
            assert named.load("reach", FakeResults(*files), execution=execution) == 3
        assert named.rows("reach") == Counter([(f"c{index}", index) for index in range(3)])
        assert staged("AMC_FILES") == ["others.parquet"]
        assert not any("STAGE " in statement for statement in named.steps.names)

    def test_killed_between_any_two_steps_and_tried_again(self, named: Snowflake) -> None:
        def attempt(table: str, steps: Steps) -> None:
            named.steps = steps
            named.load(table, simple(("a", 1), ("b", 2)))

        steps = Steps()
        attempt(named.new_table(), steps)
        # The last one is the commit.
        for kill_at in range(len(steps.names)):
            table = named.new_table()
            with pytest.raises(Killed):
                attempt(table, Steps(kill_at))
            attempt(table, Steps())
            assert named.rows(table) == Counter([("a", 1), ("b", 2)])
            assert staged("AMC_FILES") == ["others.parquet"]

    def test_a_failure_leaves_nothing(self, named: Snowflake) -> None:
        broken = FakeResults(
            csv_file(NAMES, [("a", 1)]), lambda: Broken(b"campaign,clicks\nb,2\n", AmcResultError("broke"))
        )
        with pytest.raises(AmcResultError, match="broke"):
            named.load("reach", broken)
        assert staged("AMC_FILES") == ["others.parquet"]

    def test_an_external_one(self, snowflake: Snowflake, s3: Any, bucket: str) -> None:
        staging = Staging(s3=f"s3://{bucket}/x", stage="raw.amc_s3")
        loader = SnowflakeLoader(snowflake.hook, staging)
        keys: list[str] = []

        class Reading(Steps):
            def take(self, name: str, do: Callable[[], Any]) -> Any:
                if name.startswith("COPY"):
                    keys.extend(s3.list_keys(bucket))
                    place = name.partition(" FROM @")[2].partition(")")[0]
                    assert place == f"raw.amc_s3/{keys[0].removeprefix('x/').rpartition('/')[0]}/"
                    raise Killed(name)
                return super().take(name, do)

        snowflake.steps = Reading()
        with pytest.raises(Killed):
            loader.load(load_of("reach", SIMPLE), simple(("a", 1)))
        assert [key.rpartition("/")[2] for key in keys] == ["part-00000.parquet"]
        assert not s3.list_keys(bucket)
        assert not any("STAGE " in name for name in snowflake.steps.names)


@pytest.mark.parametrize(
    ("staging", "message"),
    [
        (Staging(stage="a", storage_integration="INT"), "stage and storage_integration do not go together"),
        (Staging(stage="a.b.c.d"), "stage has to be the name of a stage without quotes"),
        (Staging(stage="a/b; DROP"), "stage has to be the name of a stage without quotes"),
        (Staging(s3="s3://bucket/x"), "storage_integration is missing"),
        (Staging(s3="s3://bucket/x", storage_integration="a b"), "has to be a name without quotes"),
        (Staging(storage_integration="INT"), "s3_staging is missing"),
    ],
)
def test_what_is_missing(s3: Any, hook: Any, staging: Staging, message: str) -> None:
    with pytest.raises(AmcConfigurationError, match=message):
        SnowflakeLoader(hook, staging)
