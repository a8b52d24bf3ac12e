"""Rows of a result in the columns and types of a table in the Glue catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.hive_types import arrow_type_of
from airflow_provider_amc.landing.table import Load


@dataclass(frozen=True)
class StoredRows:
    """Turns rows of a result into those of a file.

    A file has the types of the table, not those of the result: the files of a partition must not differ.

    :param load: the load.
    :param sources: positions of the columns in the result with its audit columns.
    :param schema: the columns of the file.
    """

    load: Load
    sources: tuple[int, ...]
    schema: pa.Schema

    @classmethod
    def of(cls, load: Load, names: Mapping[str, str], columns: Mapping[str, str]) -> StoredRows:
        """Say how the rows of a load are stored.

        :param load: the load.
        :param names: the table's name of each column that is loaded, by its name in the result.
        :param columns: types of the columns in the table's files, by name: without those of its partitions.
        :raises AmcLoadError: a column has a type that no result is loaded into.
        """
        stored = [
            (position, pa.field(names[name], arrow_type_of(names[name], columns[names[name]])))
            for position, name in enumerate(load.full_schema.names)
            if names.get(name) in columns
        ]
        return cls(load, tuple(position for position, _ in stored), pa.schema([field for _, field in stored]))

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Store rows of the result.

        :raises AmcLoadError: a value does not fit into the type of its column. The message does not tell it.
        """
        full = self.load.with_origin(batch)
        arrays = [
            self._cast(full.column(source), field) for source, field in zip(self.sources, self.schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _cast(self, values: pa.Array, field: pa.Field) -> pa.Array:
        if values.type == field.type:
            return values
        try:
            return values.cast(field.type)
        except pa.ArrowException:
            # Arrow quotes the value.
            raise AmcLoadError(
                f"A value of the column {field.name} is {values.type} in the result and does not fit into the "
                f"{field.type} of {self.load.table}. Cast in the query, or widen the column with "
                "schema_policy='evolve'. Nothing was loaded."
            ) from None
