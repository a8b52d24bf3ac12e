"""Loads into tables of a Glue catalogue, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_amc.landing.glue import GlueCatalogue
from airflow_provider_amc.landing.loaders.athena import KEYS, AthenaLoader
from airflow_provider_amc.landing.staging import Staging
from tests.landing.loaders.catalogue import Catalogue

#: Audit columns that are in the files.
AUDIT = {"_amc_workflow_execution_id": "string", "_amc_loaded_at": "timestamp"}


def loader_of(lake: Any, clients: tuple[Any, Any], **staging: Any) -> AthenaLoader:
    loader = AthenaLoader(lake, Staging(**staging))
    loader.s3, loader.catalogue = clients[0], GlueCatalogue(clients[1])
    return loader


class InTheCatalogue:
    """Loads into tables of a catalogue, and looks at them."""

    loader: AthenaLoader
    catalogue: Catalogue

    @pytest.fixture(autouse=True)
    def _lake(self, lake: Any, clients: tuple[Any, Any], new_table: Callable[[], str]) -> Iterator[None]:
        self.bucket, self.s3 = lake.bucket, clients[0]
        self.loader = loader_of(lake, clients)
        self.catalogue = Catalogue(clients[1].get_conn(), self.s3, lake.conn.schema)
        type(self).new_table = staticmethod(new_table)
        yield
        self.check_files()

    def check_files(self) -> None:
        """Whatever loads did: no file is there that nobody reads."""
        tables = self.catalogue.glue.get_tables(DatabaseName=self.catalogue.database)["TableList"]
        read = {
            key
            for table in tables
            for partition in self.catalogue.partitions(table["Name"])
            for _, key in self.catalogue.objects(partition["StorageDescriptor"]["Location"])
        }
        assert set(self.s3.list_keys(self.bucket) or ()) == read

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        return self.catalogue.execute(statement)

    def exists(self, table: str) -> bool:
        return self.catalogue.table(table) is not None

    def columns(self, table: str) -> list[str]:
        found = self.catalogue.table(table)
        assert found is not None
        return [column["Name"] for column in found["StorageDescriptor"]["Columns"] + found["PartitionKeys"]]

    def types(self, table: str) -> dict[str, str]:
        found = self.catalogue.table(table)
        assert found is not None
        return {column["Name"]: column["Type"] for column in found["StorageDescriptor"]["Columns"]}

    def create(self, table: str, columns: dict[str, str], **changes: Any) -> None:
        """A table as a user makes one."""
        storage = {
            "Columns": [{"Name": name, "Type": kind, "Comment": f"my {name}"} for name, kind in columns.items()],
            "Location": f"s3://{self.bucket}/mine/{table}",
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        }
        keys = [{"Name": name, "Type": kind} for name, kind in KEYS.items()]
        self.catalogue.glue.create_table(
            DatabaseName=self.catalogue.database,
            TableInput={"Name": table, "StorageDescriptor": storage, "PartitionKeys": keys, **changes},
        )
