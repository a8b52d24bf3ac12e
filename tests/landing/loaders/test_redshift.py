from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from sqlglot import exp

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError
from airflow_provider_amc.landing.loaders.redshift import RedshiftLoader
from airflow_provider_amc.landing.staging import Staging
from airflow_provider_amc.landing.table import Audit
from tests.landing.loaders.behaviour import NAMES, LoaderBehaviour, simple
from tests.landing.loaders.interruption import Killed, Steps, aws_calls_counted
from tests.landing.loaders.redshift_on_postgres import ROLE, Hook, parsed
from tests.landing.results import PROPERTY, FakeResults, HardTable, column, csv_file, hard_tables, load_of, schema_of

MODES: dict[str, dict[str, Any]] = {
    "replace_window": {},
    "append": {},
    "upsert": {"keys": ["campaign"]},
    "replace_table": {},
}


class TestRedshift(LoaderBehaviour):
    """The SQL of Redshift run by PostgreSQL, its COPY from a real S3 server."""

    database: dict[str, Any]
    uploader: Any = None

    @pytest.fixture(autouse=True)
    def _warehouse(
        self, postgres_environment: dict[str, Any], new_table: Callable[[], str], s3: Any, bucket: str
    ) -> Iterator[None]:
        type(self).database = postgres_environment
        type(self).new_table = staticmethod(new_table)
        self.s3, self.bucket = s3, bucket
        self.loader = self.loader_of(Steps())
        yield
        # Whatever a load ended with, nothing of it is left in S3.
        assert (s3.list_keys(bucket) or []) == []

    @property
    def hook(self) -> Hook:
        hook = self.loader.hook
        assert isinstance(hook, Hook)
        return hook

    def loader_of(self, steps: Steps) -> RedshiftLoader:
        staging = Staging(s3=f"s3://{self.bucket}/staging", iam_role_arn=ROLE)
        loader = RedshiftLoader(Hook(self.connect, self.s3, steps), staging)
        # One client for all: making one takes longer than a load.
        type(self).uploader = loader.s3 = self.uploader or loader.s3
        return loader

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.database["host"],
            user=self.database["login"],
            password=self.database["password"],
            dbname=self.database["schema"],
            **({"port": self.database["port"]} if self.database["port"] else {}),
        )

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection:
            cursor = connection.execute(statement)
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
            return rows

    def columns(self, table: str) -> list[str]:
        return [
            row[0]
            for row in self.execute(
                f"SELECT attname FROM pg_attribute WHERE attrelid = '\"{table}\"'::regclass AND attnum > 0 "
                "AND NOT attisdropped ORDER BY attnum"
            )
        ]

    def leftovers(self) -> list[str]:
        # Temporary tables go with their session, which the server ends in its own time.
        return [
            row[0]
            for row in self.execute(
                "SELECT relname FROM pg_class WHERE relname LIKE '\\_amc%' AND relpersistence <> 't' AND relkind = 'r'"
            )
        ]

    @settings(PROPERTY, max_examples=15)
    @given(hard=hard_tables())
    def test_round_trip(self, hard: HardTable) -> None:
        self.check_round_trip(hard)

    def test_statements_of_a_load(self) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        self.hook.statements.clear()
        assert self.load(table, simple(("a", 1), ("b", 2))) == 2
        trees = [parsed(statement) for statement, _ in self.hook.statements]
        kinds = [type(tree).__name__ for tree in trees]
        assert kinds == ["Select", "Create", "Copy", "Select", "Command", "Select", "Delete", "Insert"]
        _, create, copy, _, lock, _, delete, insert = trees
        assert create.find(exp.TemporaryProperty) is not None
        assert [kind.sql("redshift") for kind in create.find_all(exp.DataType)][:2] == ["VARCHAR(MAX)", "BIGINT"]
        assert copy.this.name == create.this.this.name == "_amc_staging"
        assert copy.args["files"][0].name.startswith(f"s3://{self.bucket}/staging/_amc_staging_")
        assert copy.args["files"][0].name.endswith("/")
        assert lock.sql() == f'LOCK TABLE "{table}"'
        assert delete.find(exp.Table).name == insert.find(exp.Table).name == table
        matched = [column.name for column in delete.args["where"].find_all(exp.Column)]
        assert sorted(matched) == sorted(Audit.KEY)
        assert [name.name for name in insert.this.expressions] == [*NAMES, *Audit.SCHEMA.names]
        # Values are bound, and only those of the audit columns.
        bound = [values for _, values in self.hook.statements if values]
        assert [value for values in bound[1:] for value in values if value == "a"] == []

    def test_no_value_is_bound_beside_a_name_of_the_result(self) -> None:
        # Amazon's driver leaves %% in quotes as it is.
        table, names = self.new_table(), ("100%", "%s")
        for mode, keys in (("append", ()), ("upsert", ("100%",))):
            self.load(
                table,
                FakeResults(csv_file(names, [("a", 1)])),
                schema_of("100% STRING", "%s LONG"),
                mode=mode,
                keys=keys,
            )
        with_values = [statement for statement, values in self.hook.statements if values]
        assert with_values
        assert not any("100%" in statement for statement in with_values)

    def test_amazons_driver_reads_the_placeholders(self) -> None:
        core = pytest.importorskip("redshift_connector.core", reason="the extra 'redshift' is not installed")
        table = self.new_table()
        for _ in range(2):
            self.load(table, simple(("a", 1)))
        for statement, values in self.hook.statements:
            if values:
                converted, _ = core.convert_paramstyle("format", statement)
                assert [f"${number + 1}" in converted for number in range(len(values))] == [True] * len(values)
                assert "%" not in converted

    @pytest.mark.parametrize("mode", MODES)
    def test_killed_between_any_two_steps_and_tried_again(self, mode: str) -> None:
        template = self.new_table()
        self.load(template, simple(("kept", 1), ("old", 2)), execution="e-0")
        self.load(template, simple(("other window", 3)), day=2, execution="e-9")

        def prepared() -> str:
            table = self.new_table()
            self.execute(f'CREATE TABLE "{table}" AS TABLE "{template}"')
            return table

        def attempt(table: str, steps: Steps) -> None:
            self.loader = self.loader_of(steps)
            with aws_calls_counted(steps):
                self.load(table, simple(("kept", 10), ("new", 20)), mode=mode, **MODES[mode])

        undisturbed, steps = prepared(), Steps()
        before = self.rows(undisturbed)
        attempt(undisturbed, steps)
        after = self.rows(undisturbed)
        assert len(steps.names) > 10
        for kill_at in range(len(steps.names)):
            table = prepared()
            with pytest.raises(Killed):
                attempt(table, Steps(kill_at))
            assert self.rows(table) == before
            attempt(table, Steps())
            assert self.rows(table) == after

    def test_a_part_that_another_try_has_put_there(self) -> None:
        s3, bucket = self.s3, self.bucket

        class Meddling(Steps):
            def take(self, name: str, do: Callable[[], Any]) -> Any:
                if name.startswith("COPY"):
                    (part,) = s3.list_keys(bucket)
                    s3.copy_object(part, part.replace("00000", "00001"), bucket, bucket)
                return super().take(name, do)

        self.loader = self.loader_of(Meddling())
        with pytest.raises(AmcLoadError, match=r"read 2 rows of the 1 staged ones.*another task loads the same"):
            self.load(self.new_table(), simple(("a", 1)))

    def test_several_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("airflow_provider_amc.landing.staging.PART_BYTES", 1)
        table = self.new_table()
        files = [csv_file(NAMES, [(f"c{index}", index)]) for index in range(3)]
        assert self.load(table, FakeResults(*files)) == 3
        assert self.rows(table) == Counter([(f"c{index}", index) for index in range(3)])

    def test_columns_follow_the_result(self) -> None:
        table = self.new_table()
        self.execute(f'CREATE TABLE "{table}" (campaign VARCHAR(3), clicks INTEGER)')
        self.execute(f"INSERT INTO \"{table}\" VALUES ('abc', 7)")
        schema = schema_of("campaign STRING", "clicks LONG", column("cost", "DECIMAL", 38, 2))
        file = b"campaign,clicks,cost\n\xc3\xa4\xc3\xa4,3000000000,1.50\n"
        self.hook.statements.clear()
        assert self.load(table, FakeResults(file), schema) == 1
        assert self.rows(table, ["campaign", "clicks"]) == Counter([("abc", 7), ("ää", 3000000000)])
        altered = [parsed(statement) for statement, _ in self.hook.statements if statement.startswith("ALTER")]
        # One change a statement, and none that Redshift cannot do in a transaction.
        assert all(len(tree.args["actions"]) == 1 for tree in altered)
        assert not any(tree.find(exp.AlterColumn) for tree in altered)
        kinds = dict(
            self.execute(f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{table}'")
        )
        assert kinds["clicks"] == "bigint"
        assert kinds["campaign"] in ("text", "character varying")

    def test_logs_tell_neither_values_nor_roles(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "airflow_provider_amc")
        table = self.new_table()
        self.load(table, simple(("Zebra-4711", 4711)))
        assert "Zebra" not in caplog.text
        assert "4711" not in caplog.text

    def test_a_database_in_the_name(self) -> None:
        with pytest.raises(AmcLoadError, match=r"Write the table as schema.table, and the database into the conn"):
            self.load("postgres.public.t", simple(("a", 1)))

    def test_a_name_that_is_too_long(self) -> None:
        with pytest.raises(AmcLoadError, match="up to 127 bytes"):
            self.load(self.new_table(), FakeResults(b"x\n1\n"), schema_of(f"{'x' * 128} LONG"))


class TestConfiguration:
    @pytest.fixture
    def aws(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        def connection(**extra: Any) -> None:
            monkeypatch.setenv(
                "AIRFLOW_CONN_AWS_DEFAULT",
                json.dumps({"conn_type": "aws", "extra": {"region_name": "us-east-1", **extra}}),
            )

        return connection

    def test_no_folder(self, aws: Callable[..., None]) -> None:
        aws()
        with pytest.raises(AmcConfigurationError, match=r"s3_staging is missing.*Nothing was read"):
            RedshiftLoader(Hook(None, None), Staging(iam_role_arn=ROLE))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "address", ["bucket", "s3://", "s3://b'; DROP", "s3://bucket/a b", "https://bucket/x", "s3://UPPER/x"]
    )
    def test_wrong_folder(self, aws: Callable[..., None], address: str) -> None:
        aws()
        with pytest.raises(AmcConfigurationError, match="s3_staging has to be an address such as"):
            RedshiftLoader(Hook(None, None), Staging(s3=address, iam_role_arn=ROLE))  # type: ignore[arg-type]

    def test_no_role(self, aws: Callable[..., None]) -> None:
        aws()
        with pytest.raises(AmcConfigurationError, match=r"iam_role_arn is missing.*Nothing was read"):
            RedshiftLoader(Hook(None, None), Staging(s3="s3://bucket"))  # type: ignore[arg-type]

    @pytest.mark.parametrize("role", ["amc", "arn:aws:iam::1:role/x", f"{ROLE}' CREDENTIALS '"])
    def test_wrong_role(self, aws: Callable[..., None], role: str) -> None:
        aws()
        with pytest.raises(AmcConfigurationError, match="has to be the ARN of a role"):
            RedshiftLoader(Hook(None, None), Staging(s3="s3://bucket", iam_role_arn=role))  # type: ignore[arg-type]

    def test_all_from_the_aws_connection(self, aws: Callable[..., None]) -> None:
        aws(role_arn=ROLE, service_config={"s3": {"bucket_name": "landing"}})
        loader = RedshiftLoader(Hook(None, None), Staging())  # type: ignore[arg-type]
        assert (str(loader.folder), loader.role) == ("s3://landing/amc-staging/", ROLE)

    def test_role_of_the_cluster_and_chained_roles(self, aws: Callable[..., None]) -> None:
        aws()
        for role in ("default", f"{ROLE},{ROLE}", "arn:aws-cn:iam::123456789012:role/path/x"):
            staging = Staging(s3="s3://bucket", iam_role_arn=role)
            assert RedshiftLoader(Hook(None, None), staging).role == role  # type: ignore[arg-type]


def test_error_of_amazons_driver() -> None:
    from airflow_provider_amc.landing.loaders.errors import without_values

    error = RuntimeError({"S": "ERROR", "C": "22P02", "M": 'invalid input syntax for integer: "Zebra"', "R": "x"})
    assert without_values(error) == 'RuntimeError 22P02: invalid input syntax for integer: "…"'


def test_the_hook_of_a_connection(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redshift_connector", reason="the extra 'redshift' is not installed")
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_amc.landing.load import loader_for

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "redshift", "host": "127.0.0.1", "port": 9}))
    hook = BaseHook.get_connection("warehouse").get_hook()
    loader = loader_for(hook, Staging(s3="s3://bucket/x", iam_role_arn="default"))
    assert isinstance(loader, RedshiftLoader)
    monkeypatch.setattr(type(hook).get_conn.retry, "stop", lambda _: True)
    with pytest.raises(AmcLoadError, match="RedshiftSQLHook could not connect to load into reach"):
        loader.load(load_of("reach", schema_of("n LONG")), FakeResults(b"n\n1\n"))
