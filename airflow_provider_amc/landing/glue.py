"""Tables of Parquet files in the Glue catalogue, through the hook of the Amazon provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcLoadError

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook

_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"

#: What it takes to read columns by their position instead of their name (Athena documentation, "Index access").
_BY_POSITION = "parquet.column.index.access"

#: How Hive writes NULL as the value of a partition.
NULL = "__HIVE_DEFAULT_PARTITION__"

#: Partitions that one call of BatchDeletePartition takes.
_AT_ONCE = 25


@dataclass(frozen=True)
class GlueTable:
    """A table of the catalogue.

    :param database: its database.
    :param name: its name.
    :param description: what GetTable has given.
    """

    database: str
    name: str
    description: Mapping[str, Any]

    @property
    def storage(self) -> Mapping[str, Any]:
        """Its storage descriptor."""
        return self.description.get("StorageDescriptor") or {}

    @property
    def columns(self) -> dict[str, str]:
        """Types of the columns in its files, by name."""
        return _types(self.storage.get("Columns"))

    @property
    def keys(self) -> dict[str, str]:
        """Types of the columns by which it is partitioned, by name."""
        return _types(self.description.get("PartitionKeys"))

    @property
    def location(self) -> str:
        """Address of its files."""
        return str(self.storage.get("Location") or "")

    def check(self, keys: Iterable[str]) -> None:
        """Check that it is a table of Parquet files with partitions of its own.

        :param keys: names of the columns by which it has to be partitioned.
        :raises AmcLoadError: it is not.
        """
        parameters = {name: str(value).lower() for name, value in (self.description.get("Parameters") or {}).items()}
        serde = (self.storage.get("SerdeInfo") or {}).get("Parameters") or {}
        problems = []
        if self.storage.get("InputFormat") != _INPUT or parameters.get("table_type") == "iceberg":
            problems.append("it is not a table of Parquet files")
        elif str(serde.get(_BY_POSITION)).lower() == "true":
            problems.append(f"its columns are read by position ({_BY_POSITION})")
        if list(self.keys) != list(keys):
            problems.append(f"it is not partitioned by {', '.join(keys)}")
        if parameters.get("projection.enabled") == "true":
            problems.append("its partitions are projected, so that those of the catalogue are not read")
        if problems:
            raise AmcLoadError(
                f"The table {self.database}.{self.name} cannot be loaded: {'; '.join(problems)}. Load into a new table, "
                "which the loader creates. Nothing was changed."
            )


@dataclass(frozen=True)
class GluePartition:
    """A partition of a table.

    :param values: values of the columns by which the table is partitioned.
    :param columns: types of the columns in its files, by name.
    :param location: address of its files; ends in a slash.
    """

    values: tuple[str, ...]
    columns: Mapping[str, str]
    location: str


class GlueCatalogue:
    """The Glue catalogue of a connection.

    :param hook: its hook.
    """

    def __init__(self, hook: GlueCatalogHook) -> None:
        self._hook = hook

    @property
    def _client(self) -> Any:
        return self._hook.get_conn()

    def table(self, database: str, name: str) -> GlueTable | None:
        """Look up a table, ``None`` when there is none."""
        try:
            found = self._client.get_table(DatabaseName=database, Name=name)
        except self._client.exceptions.EntityNotFoundException:
            return None
        return GlueTable(database, name, found["Table"])

    def home(self, database: str) -> str | None:
        """The address where a database has the files of its tables, ``None`` when it has none.

        :raises AmcLoadError: there is no such database.
        """
        try:
            found = self._client.get_database(Name=database)
        except self._client.exceptions.EntityNotFoundException:
            raise AmcLoadError(
                f"The Glue catalogue has no database {database}. Create it, or write the table as database.table, or "
                "the database into the connection (Schema). Nothing was changed."
            ) from None
        return found["Database"].get("LocationUri") or None

    def create_table(
        self, database: str, name: str, columns: Mapping[str, str], keys: Mapping[str, str], location: str
    ) -> GlueTable:
        """Create a table without partitions.

        :param database: its database.
        :param name: its name.
        :param columns: types of the columns in its files, by name.
        :param keys: types of those by which it is partitioned.
        :param location: address of its files.
        """
        description = {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
            "PartitionKeys": _listed(keys),
            "StorageDescriptor": _storage(columns, location),
        }
        self._client.create_table(DatabaseName=database, TableInput=description)
        return GlueTable(database, name, description)

    def change_columns(self, table: GlueTable, columns: Mapping[str, str]) -> None:
        """Give a table other columns. Its partitions keep those that they have.

        :raises ClientError: another task has changed the table since it was looked up.
        """
        known = {column["Name"]: column for column in table.storage["Columns"]}
        accepted = self._client.meta.service_model.shape_for("TableInput").members
        changed = {name: value for name, value in table.description.items() if name in accepted}
        changed["StorageDescriptor"] = {
            **table.storage,
            # A comment stays where it is.
            "Columns": [{**known.get(name, {}), "Name": name, "Type": kind} for name, kind in columns.items()],
        }
        version = table.description.get("VersionId")
        self._client.update_table(
            DatabaseName=table.database, TableInput=changed, **({"VersionId": version} if version else {})
        )

    def partition(self, table: GlueTable, values: Sequence[str]) -> GluePartition | None:
        """Look up a partition, ``None`` when there is none."""
        try:
            found = self._client.get_partition(
                DatabaseName=table.database, TableName=table.name, PartitionValues=list(values)
            )
        except self._client.exceptions.EntityNotFoundException:
            return None
        return _partition(found["Partition"])

    def partitions(self, table: GlueTable) -> list[GluePartition]:
        """All partitions of a table, without their columns, which would make most of the answer."""
        pages = self._client.get_paginator("get_partitions").paginate(DatabaseName=table.database, TableName=table.name)
        return [_partition(found) for page in pages for found in page["Partitions"]]

    def put_partition(
        self, table: GlueTable, values: Sequence[str], columns: Mapping[str, str], location: str, *, exists: bool
    ) -> None:
        """Make a partition, or let it point to other files: readers find the old ones or the new ones.

        :param table: its table.
        :param values: values of the columns by which the table is partitioned.
        :param columns: types of the columns in the files, by name.
        :param location: address of the files; ends in a slash.
        :param exists: whether there is such a partition.
        """
        place = {"DatabaseName": table.database, "TableName": table.name}
        partition = {"Values": list(values), "StorageDescriptor": _storage(columns, location)}
        if exists:
            self._client.update_partition(**place, PartitionValueList=list(values), PartitionInput=partition)
        else:
            self._client.create_partition(**place, PartitionInput=partition)

    def drop_partitions(self, table: GlueTable, partitions: Sequence[GluePartition]) -> None:
        """Drop partitions, some at a time. Their files stay.

        :raises AmcLoadError: some could not be dropped.
        """
        for begin in range(0, len(partitions), _AT_ONCE):
            found = self._client.batch_delete_partition(
                DatabaseName=table.database,
                TableName=table.name,
                PartitionsToDelete=[
                    {"Values": list(partition.values)} for partition in partitions[begin : begin + _AT_ONCE]
                ],
            )
            codes = {error["ErrorDetail"].get("ErrorCode") for error in found.get("Errors") or ()}
            if codes - {"EntityNotFoundException"}:
                raise AmcLoadError(
                    f"Partitions of {table.database}.{table.name} could not be dropped: "
                    f"{', '.join(sorted(map(str, codes)))}. A retry drops the rest."
                )


def _partition(found: Mapping[str, Any]) -> GluePartition:
    storage = found.get("StorageDescriptor") or {}
    location = str(storage.get("Location") or "")
    return GluePartition(tuple(found["Values"]), _types(storage.get("Columns")), f"{location.rstrip('/')}/")


def _types(columns: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {column["Name"]: column.get("Type") or "" for column in columns or ()}


def _listed(columns: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Type": kind} for name, kind in columns.items()]


def _storage(columns: Mapping[str, str], location: str) -> dict[str, Any]:
    return {
        "Columns": _listed(columns),
        "Location": location,
        "InputFormat": _INPUT,
        "OutputFormat": _OUTPUT,
        "SerdeInfo": {
            "SerializationLibrary": _SERDE,
            "Parameters": {"serialization.format": "1", _BY_POSITION: "false"},
        },
    }
