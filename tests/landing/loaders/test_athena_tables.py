from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError, AmcValidationError
from airflow_provider_amc.landing.loaders.athena import AthenaLoader
from airflow_provider_amc.landing.staging import Staging
from tests.landing.loaders.behaviour import SIMPLE, LoaderBehaviour, simple
from tests.landing.loaders.catalogue import Catalogue
from tests.landing.loaders.interruption import Meddling, Steps, aws_calls_counted
from tests.landing.loaders.lake import AUDIT, InTheCatalogue, loader_of
from tests.landing.results import FakeResults, column, csv_file, load_of, schema_of
from tests.services import aws_connection

MODES = ("replace_window", "append", "replace_table")


class TestTables(InTheCatalogue):
    load = LoaderBehaviour.load
    rows = LoaderBehaviour.rows

    def test_a_new_table(self) -> None:
        assert self.load("reach", simple(("a", 1))) == 1
        table = self.catalogue.table("reach")
        assert table is not None
        assert table["TableType"] == "EXTERNAL_TABLE"
        assert table["Parameters"]["classification"] == "parquet"
        storage = table["StorageDescriptor"]
        assert storage["Location"] == f"s3://{self.bucket}/lake/reach/"
        assert storage["SerdeInfo"]["Parameters"]["parquet.column.index.access"] == "false"
        assert self.types("reach") == {"campaign": "string", "clicks": "bigint", **AUDIT}
        assert {key["Name"]: key["Type"] for key in table["PartitionKeys"]} == {
            "_amc_instance_id": "string",
            "_amc_workflow_id": "string",
            "_amc_window_start": "timestamp",
            "_amc_window_end": "timestamp",
        }
        (partition,) = self.catalogue.partitions("reach")
        assert partition["Values"] == ["amcone", "reach", "2026-03-01 00:00:00", "2026-03-02 00:00:00"]
        assert partition["StorageDescriptor"]["Location"].startswith(storage["Location"])
        assert {**partition["StorageDescriptor"], "Location": ""} == {**storage, "Location": ""}

    def test_types(self) -> None:
        schema = schema_of("a BOOLEAN", "b SHORT", "c INTEGER", "d LONG", "e FLOAT", "f DOUBLE", "g DATE", "h TIMESTAMP",
                           "i STRING", column("j", "DECIMAL", 38, 17))  # fmt: skip
        self.load("reach", FakeResults(csv_file(schema.names, [])), schema)
        kinds = [
            "boolean",
            "smallint",
            "int",
            "bigint",
            "float",
            "double",
            "date",
            "timestamp",
            "string",
            "decimal(38,17)",
        ]
        assert list(self.types("reach").values()) == [*kinds, *AUDIT.values()]

    def test_one_call_lets_readers_find_the_new_rows(self) -> None:
        self.load("reach", simple(("before", 1)))
        counted = Steps()
        with aws_calls_counted(counted):
            self.load("reach", simple(("after", 2)), execution="e-2")
        written, shown, deleted = (
            counted.names.index(name) for name in ("PutObject", "UpdatePartition", "DeleteObjects")
        )
        assert written < shown < deleted
        assert not {"UpdateTable", "CreatePartition", "DeletePartition", "BatchDeletePartition"} & set(counted.names)

    def test_a_file_that_is_sent_in_parts(self) -> None:
        marks = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(250_000)]
        text = "".join(f"{mark},{number}\n" for number, mark in enumerate(marks))
        counted = Steps()
        with aws_calls_counted(counted):
            assert self.load("reach", FakeResults(b"campaign,clicks\n" + text.encode())) == 250_000
        assert counted.names.count("UploadPart") > 1
        ((rows, clicks, last),) = self.execute('SELECT count(*), sum(clicks), max(campaign) FROM "reach"')
        assert (rows, clicks, last) == (250_000, sum(range(250_000)), max(marks))

    def test_names_in_upper_case(self) -> None:
        schema = schema_of("Campaign STRING", "CLICKS LONG")
        for _ in range(2):
            self.load("Reach", FakeResults(b"Campaign,CLICKS\na,1\n"), schema)
        assert list(self.types("reach")) == ["campaign", "clicks", *AUDIT]
        assert self.rows("reach") == Counter([("a", 1)])

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("campaign", "Campaign"), "Campaign, campaign differ in case only"),
            (("two\nlines",), r"no columns named 'two\\nlines'"),
            (("a,b", "c.d"), r"no columns named 'a,b', 'c.d'"),
            (("ü" * 128,), "up to 255 bytes"),
        ],
    )
    def test_names_that_athena_does_not_have(self, names: tuple[str, ...], message: str) -> None:
        schema = schema_of(*[column(name) for name in names])
        with pytest.raises(AmcLoadError, match=message):
            self.load("reach", FakeResults(csv_file(names, [])), schema)
        assert self.catalogue.table("reach") is None

    def test_a_decimal_that_is_too_long(self) -> None:
        with pytest.raises(AmcLoadError, match="n has 40"):
            self.load("reach", FakeResults(b"n\n1\n"), schema_of(column("n", "DECIMAL", 40, 2)))

    @pytest.mark.parametrize("table", ["catalogue.database.reach", "re$ch"])
    def test_table_names(self, table: str) -> None:
        with pytest.raises(AmcLoadError, match=r"Write it as table or database\.table"):
            self.load(table, simple())

    def test_widened_columns(self) -> None:
        self.load("reach", FakeResults(b"n,x\n1,0.5\n"), schema_of("n INTEGER", "x FLOAT"))
        wide = schema_of("n LONG", "x DOUBLE")
        file = FakeResults(b"n,x\n3000000000,0.1\n")
        self.load("reach", file, wide, day=2)
        assert self.types("reach") == {"n": "bigint", "x": "double", **AUDIT}
        # The files of the other window stay as they are, and so does what their partition says of them.
        assert self.rows("reach", ("n", "x")) == Counter([(1, 0.5), (3000000000, 0.1)])
        with pytest.raises(AmcLoadError, match=r"rows in which n, x is of a narrower type"):
            self.load("reach", file, wide, mode="append", execution="e-2")
        # What is narrower than the table is written as the table has it.
        self.load("reach", FakeResults(b"n,x\n2,1.5\n"), schema_of("n INTEGER", "x FLOAT"), day=2, execution="e-2",
                  mode="append")  # fmt: skip
        assert self.rows("reach", ("n", "x")) == Counter([(1, 0.5), (3000000000, 0.1), (2, 1.5)])

    @pytest.mark.parametrize(("old", "new"), [("DATE", "TIMESTAMP"), ("INTEGER", "DOUBLE")])
    def test_types_as_which_athena_does_not_read_old_files(self, old: str, new: str) -> None:
        self.load("reach", FakeResults(b"n\n"), schema_of(f"n {old}"))
        with pytest.raises(AmcLoadError, match="would not read the files that are there after a change of n from"):
            self.load("reach", FakeResults(b"n\n"), schema_of(f"n {new}"), day=2)
        self.load("reach", FakeResults(b"n\n"), schema_of(f"n {new}"), day=2, mode="replace_table")
        assert self.types("reach")["n"] == new.lower()

    def test_a_value_that_does_not_fit_into_a_frozen_column(self, caplog: pytest.LogCaptureFixture) -> None:
        self.load("reach", FakeResults(b"n\n1\n"), schema_of("n INTEGER"))
        with pytest.raises(
            AmcLoadError, match=r"A value of the column n is int64 .* does not fit into the int32"
        ) as caught:
            self.load("reach", FakeResults(b"n\n2\n471100000000\n"), schema_of("n LONG"), schema_policy="freeze")
        assert "4711" not in f"{caught.value!r}{caught.value.__context__!r}{caplog.text}".replace(
            repr(caught.value.__context__), ""
        )
        assert caught.value.__suppress_context__
        self.load("reach", FakeResults(b"n\n2\n"), schema_of("n LONG"), schema_policy="freeze")
        assert self.rows("reach", ["n"]) == Counter([(2,)])

    def test_appended_rows_with_a_new_column(self) -> None:
        self.load("reach", simple(("a", 1)))
        wider = schema_of("campaign STRING", "note STRING")
        self.load("reach", FakeResults(b"campaign,note\nb,x\n"), wider, mode="append", execution="e-2")
        assert self.rows("reach", ("campaign", "clicks", "note")) == Counter([("a", 1, None), ("b", None, "x")])

    def test_replaced_table_of_many_windows(self) -> None:
        for day in range(1, 31):
            self.load("reach", simple(("old", day)), day=day)
        assert self.load("reach", simple(("new", 1)), mode="replace_table", day=3, execution="e-2") == 1
        assert self.rows("reach") == Counter([("new", 1)])
        assert len(self.catalogue.partitions("reach")) == 1

    def test_tables_in_the_same_folder(self) -> None:
        for table in ("one", "two"):
            self.create(table, {"campaign": "string", "clicks": "bigint", **AUDIT})
        for table in ("one", "two"):
            description = self.catalogue.table(table)
            assert description is not None
            storage = {**description["StorageDescriptor"], "Location": f"s3://{self.bucket}/shared"}
            keys = description["PartitionKeys"]
            self.catalogue.glue.update_table(
                DatabaseName=self.catalogue.database,
                TableInput={"Name": table, "StorageDescriptor": storage, "PartitionKeys": keys},
            )
            self.load(table, simple((table, 1)))
        self.s3.load_string("not ours", "shared/notes.txt", self.bucket)
        self.load("one", simple(("new", 2)), mode="replace_table")
        assert self.rows("two") == Counter([("two", 1)])
        assert self.s3.check_for_key("shared/notes.txt", self.bucket)
        self.s3.delete_objects(self.bucket, "shared/notes.txt")

    def test_comments_of_columns_stay(self) -> None:
        self.create("reach", {"campaign": "string", **AUDIT}, Description="of my team", Parameters={"owner": "me"})
        self.load("reach", simple(("a", 1)))
        table = self.catalogue.table("reach")
        assert table is not None
        assert (table["Description"], table["Parameters"]) == ("of my team", {"owner": "me"})
        comments = [column.get("Comment") for column in table["StorageDescriptor"]["Columns"]]
        assert comments == ["my campaign", *(f"my {name}" for name in AUDIT), None]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"PartitionKeys": [{"Name": "day", "Type": "string"}]}, "it is not partitioned by _amc_instance_id, "),
            ({"Parameters": {"table_type": "ICEBERG"}}, "it is not a table of Parquet files"),
            ({"Parameters": {"projection.enabled": "true"}}, "its partitions are projected"),
            ({"TableType": "VIRTUAL_VIEW", "StorageDescriptor": {}}, "it is not a table of Parquet files"),
        ],
    )
    def test_tables_of_other_kinds(self, changes: dict[str, Any], message: str) -> None:
        self.create("reach", {"campaign": "string", "clicks": "bigint", **AUDIT}, **changes)
        before = self.catalogue.table("reach")
        for mode in MODES:
            with pytest.raises(AmcLoadError, match=message):
                self.load("reach", simple(("a", 1)), mode=mode)
        assert self.catalogue.table("reach") == before

    @pytest.mark.parametrize(
        ("kind", "message"),
        [("varchar(3)", "would cut long texts in campaign"), ("binary", "campaign of the table is")],
    )
    def test_columns_of_other_kinds(self, kind: str, message: str) -> None:
        self.create("reach", {"campaign": kind, "clicks": "bigint", **AUDIT})
        with pytest.raises(AmcLoadError, match=message):
            self.load("reach", simple(("a", 1)))

    def test_a_load_of_the_same_window_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of two loads of a window at a time, the later one counts, whole."""
        self.load("reach", simple(("before", 1)))
        with (
            monkeypatch.context() as settings,
            aws_calls_counted(
                Meddling("UpdatePartition", lambda: self.load("reach", simple(("other", 3)), execution="e-3"))
            ),
        ):
            # What was just written, another load may be about to show.
            settings.setattr("airflow_provider_amc.landing.loaders.athena.SETTLED", timedelta(hours=1))
            self.load("reach", simple(("later", 2)), execution="e-2")
        assert self.rows("reach") == Counter([("later", 2)])
        # What nobody reads goes with the next load.
        self.load("reach", simple(("last", 4)), execution="e-4")
        assert self.rows("reach") == Counter([("last", 4)])

    def test_files_that_another_load_has_deleted(self) -> None:
        self.load("reach", simple(("before", 1)))

        def delete() -> None:
            keys = self.s3.list_keys(self.bucket)
            self.s3.delete_objects(self.bucket, keys)

        with (
            aws_calls_counted(Meddling("UpdatePartition", delete)),
            pytest.raises(AmcLoadError, match="Another task has"),
        ):
            self.load("reach", simple(("lost", 2)), execution="e-2")
        self.load("reach", simple(("found", 2)), execution="e-2")
        assert self.rows("reach") == Counter([("found", 2)])

    def test_appended_to_files_that_are_replaced_meanwhile(self) -> None:
        self.load("reach", simple(("before", 1)))

        with (
            aws_calls_counted(Meddling("PutObject", lambda: self.load("reach", simple(("new", 3)), execution="e-3"))),
            pytest.raises(AmcLoadError, match="Another task has replaced the files"),
        ):
            self.load("reach", simple(("appended", 2)), execution="e-2", mode="append")
        assert self.rows("reach") == Counter([("new", 3)])

    def test_what_aws_refuses(self) -> None:
        from botocore.exceptions import ClientError

        class Refusing(Steps):
            def take(self, name: str, do: Callable[[], Any]) -> Any:
                if name == "UpdatePartition":
                    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "may not"}}, name)
                return super().take(name, do)

        self.load("reach", simple(("before", 1)))
        with (
            aws_calls_counted(Refusing()),
            pytest.raises(
                AmcLoadError,
                match=r"refused to load into reach: .*AccessDeniedException.* UpdatePartition operation: may not",
            ),
        ):
            self.load("reach", simple(("after", 2)), execution="e-2")
        assert self.rows("reach") == Counter([("before", 1)])
        self.load("reach", simple(("after", 2)), execution="e-2")
        assert self.rows("reach") == Counter([("after", 2)])


class TestConfiguration:
    def test_a_place_for_new_tables(self, lake: Any, clients: tuple[Any, Any], new_table: Callable[[], str]) -> None:
        database, glue = f"bare_{lake.bucket.replace('-', '_')}", clients[1].get_conn()
        glue.create_database(DatabaseInput={"Name": database})
        load = load_of(f"{database}.reach", SIMPLE)
        with pytest.raises(AmcConfigurationError, match=rf"s3_location is missing: .* new table {database}\.reach"):
            loader_of(lake, clients).load(load, simple())
        loader_of(lake, clients, location=f"s3://{lake.bucket}/mine/").load(load, simple())
        # A table that is there stays where it is.
        for location in (None, f"s3://{lake.bucket}/elsewhere"):
            loader_of(lake, clients, location=location).load(load, simple())
        found = glue.get_table(DatabaseName=database, Name="reach")["Table"]["StorageDescriptor"]
        assert found["Location"] == f"s3://{lake.bucket}/mine/reach/"
        assert all(key.startswith("mine/reach/") for key in clients[0].list_keys(lake.bucket))

    def test_wrong_place(self, lake: Any) -> None:
        with pytest.raises(AmcConfigurationError, match="s3_location has to be an address such as"):
            AthenaLoader(lake, Staging(location="bucket"))

    def test_upsert_is_refused_before_anything_is_done(self, lake: Any, clients: tuple[Any, Any]) -> None:
        counted = Steps()
        with (
            aws_calls_counted(counted),
            pytest.raises(AmcValidationError, match="mode='upsert' does not work with Athena"),
        ):
            loader_of(lake, clients).load(load_of("reach", SIMPLE, mode="upsert", keys=["campaign"]), simple())
        assert counted.names == []

    @pytest.mark.filterwarnings("ignore:AWS Connection")
    def test_keys_in_the_athena_connection(
        self, lake: Any, clients: tuple[Any, Any], s3_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.providers.common.compat.sdk import BaseHook

        connection = {**json.loads(aws_connection(s3_url)), "conn_type": "athena", "schema": lake.conn.schema}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
        loader = AthenaLoader(BaseHook.get_connection("lake").get_hook(), Staging(aws_conn_id="lake"))
        assert loader.load(load_of("reach", SIMPLE), simple(("a", 1))) == 1
        assert Catalogue(clients[1].get_conn(), clients[0], lake.conn.schema).read("reach").num_rows == 1

    def test_region_of_the_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.providers.common.compat.sdk import BaseHook

        from airflow_provider_amc.landing.load import loader_for

        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
        connection = {"conn_type": "athena", "extra": {"region_name": "eu-west-3"}}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        loader = loader_for(BaseHook.get_connection("lake").get_hook())
        assert isinstance(loader, AthenaLoader)
        assert loader.catalogue._client.meta.region_name == "eu-west-3"
