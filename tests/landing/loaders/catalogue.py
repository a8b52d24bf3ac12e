"""A Glue catalogue and its files, read in the way of Athena."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_amc.landing.hive_types import arrow_type_of

NULL = "__HIVE_DEFAULT_PARTITION__"


class Catalogue:
    """Follows partitions to their files, as Athena does.

    :param glue: client of Glue.
    :param s3: S3 hook.
    :param database: database of the tables.
    """

    def __init__(self, glue: Any, s3: Any, database: str) -> None:
        self.glue = glue
        self.s3 = s3
        self.database = database

    def table(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.glue.get_table(DatabaseName=self.database, Name=name)["Table"]
        except self.glue.exceptions.EntityNotFoundException:
            return None
        return found

    def partitions(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.glue.get_partitions(DatabaseName=self.database, TableName=name)["Partitions"]
        return found

    def objects(self, location: str) -> list[tuple[str, str]]:
        """Bucket and key of the files at an address."""
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        assert prefix.endswith("/"), f"{location} would also be that of its neighbours"
        return [
            (bucket, key)
            for key in self.s3.list_keys(bucket, prefix=prefix) or ()
            if not key.rpartition("/")[2].startswith(("_", "."))
        ]

    def read(self, name: str) -> pa.Table:
        """The rows of a table."""
        table = self.table(name)
        assert table is not None
        columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
        keys = {column["Name"]: column["Type"] for column in table["PartitionKeys"]}
        schema = pa.schema([(column, arrow_type_of(column, kind)) for column, kind in (columns | keys).items()])
        assert [column for column in schema.names if column != column.lower()] == []
        rows = [
            self._read(part, {column: schema.field(column).type for column in columns}, schema)
            for part in self.partitions(name)
        ]
        return pa.concat_tables([schema.empty_table(), *rows])

    def _read(self, partition: dict[str, Any], columns: dict[str, pa.DataType], schema: pa.Schema) -> pa.Table:
        own = {column["Name"]: column["Type"] for column in partition["StorageDescriptor"]["Columns"]}
        values = dict(zip(list(schema.names)[len(columns) :], partition["Values"], strict=True))
        files = []
        found = self.objects(partition["StorageDescriptor"]["Location"])
        # A partition of no rows has a file without rows.
        assert found
        for bucket, key in found:
            file = pq.read_table(io.BytesIO(self.s3.get_conn().get_object(Bucket=bucket, Key=key)["Body"].read()))
            assert set(file.column_names) <= set(own)
            for column in file.column_names:
                # Athena casts from the types of the partition to those of the table, not from those of the file.
                assert file.schema.field(column).type == arrow_type_of(column, own[column])
            arrays = [
                file[column].cast(kind) if column in file.column_names else pa.nulls(len(file), kind)
                for column, kind in columns.items()
            ]
            arrays += [pa.repeat(_value(text, schema.field(name).type), len(file)) for name, text in values.items()]
            files.append(pa.table(arrays, schema=schema))
        return pa.concat_tables(files)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        with duckdb.connect() as connection:
            for name in re.findall(r'FROM "?(\w+)"?', statement):
                connection.register(name, self.read(name))
            return connection.execute(statement).fetchall()


def _value(text: str, kind: pa.DataType) -> pa.Scalar:
    if text == NULL:
        return pa.scalar(None, kind)
    return pa.scalar(datetime.fromisoformat(text) if pa.types.is_timestamp(kind) else text, kind)
