"""Amazon Athena: Parquet in S3, made visible by one change of a partition in the Glue catalogue."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcLoadError, AmcValidationError
from airflow_provider_amc.landing.ahead import ChunkReader
from airflow_provider_amc.landing.change import TableChange, plan_change
from airflow_provider_amc.landing.files import Counted, parquet_file
from airflow_provider_amc.landing.glue import GlueCatalogue, GluePartition, GlueTable
from airflow_provider_amc.landing.hive_types import check_columns, check_widened, differing, hive_type
from airflow_provider_amc.landing.loaders.athena_rows import StoredRows
from airflow_provider_amc.landing.reader import record_batches
from airflow_provider_amc.landing.s3 import S3Store
from airflow_provider_amc.landing.sql_types import text_limit
from airflow_provider_amc.landing.staging import S3Folder, Staging, s3_hook
from airflow_provider_amc.landing.table import Audit, Load, TableName
from airflow_provider_amc.landing.window_files import WindowFiles, partition_values

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)

_NAME = re.compile(r"\w+", re.ASCII)

#: Files that nobody reads are deleted after so long: until then, another load may be about to show them.
SETTLED = timedelta(hours=1)

#: The columns by which tables are partitioned: a partition is what a load replaces.
KEYS = {name: hive_type(Audit.SCHEMA.field(name).type) for name in Audit.KEY}


@dataclass(frozen=True)
class _Target:
    """A table as it is to be after a load.

    :param database: its database.
    :param name: its name.
    :param table: as it is now, ``None`` when there is none.
    :param change: of its columns.
    :param columns: types of the columns in its files, by name.
    :param place: folder of its files.
    """

    database: str
    name: str
    table: GlueTable | None
    change: TableChange
    columns: Mapping[str, str]
    place: S3Folder


class AthenaLoader:
    """Load into a table of the Glue catalogue that Athena reads. No query is run.

    The table is partitioned by :attr:`Audit.KEY`. The rows of a result are one Parquet file, which appears in S3 when it
    is whole, in a folder that no partition points to yet; one call lets the partition of the window point to it, and
    the files that it pointed to are deleted after that. ``append`` puts the file beside those of the partition.

    :param hook: the hook of the Athena connection: region and database.
    :param staging: connection for S3 and Glue, and the folder of new tables.
    """

    def __init__(self, hook: Any, staging: Staging) -> None:
        from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook

        self.hook = hook
        self.home = S3Folder.parse(staging.location, "s3_location") if staging.location else None
        self.s3 = s3_hook(staging)
        self.catalogue = GlueCatalogue(
            GlueCatalogHook(aws_conn_id=staging.aws_conn_id, region_name=hook.conn.region_name)
        )

    def check_mode(self, mode: str) -> None:
        """Check that rows can be loaded in a mode.

        :raises AmcValidationError: they cannot.
        """
        if mode == "upsert":
            raise AmcValidationError(
                "mode='upsert' does not work with Athena: its tables are files, in which no row is updated. Use "
                "mode='replace_window', which replaces the rows of a window, or load into another warehouse. Nothing "
                "was read."
            )

    def load(self, load: Load, results: ExecutionResults) -> int:
        """Load all rows of a result.

        :param load: target, columns, origin, mode and policy.
        :param results: the result files of the execution.
        :returns: number of rows of the result.
        :raises AmcLoadError: the result does not fit, or AWS refused something. The rows are as they were before,
            unless ``replace_table`` had begun to drop partitions; a retry goes on with that.
        """
        self.check_mode(load.mode)
        with _refusals(load):
            target = self._target(load)
            files = WindowFiles.of(target.database, target.name, load.audit)
            values = partition_values(load.audit)
            partition = self.catalogue.partition(target.table, values) if target.table else None
            if load.mode == "append" and partition is not None:
                return self._append(load, results, target, files, partition)
            return self._replace(load, results, target, files, partition)

    def _target(self, load: Load) -> _Target:
        check_columns(load.schema)
        database, name = self._names(load.table)
        table = self.catalogue.table(database, name)
        existing: dict[str, str] | None = None
        if table is not None:
            table.check(KEYS)
            existing = table.columns | table.keys
        change = plan_change(load, existing, case_sensitive=False, new_name=str.lower)
        check_widened(load.table, existing or {}, change.widened)
        if change.ignored:
            log.warning(
                "Table %s does not have the columns %s: they are not loaded (schema_policy='freeze')",
                load.table, ", ".join(change.ignored),
            )  # fmt: skip
        columns = dict(table.columns) if table is not None and not change.rebuild else {}
        new = load.full_schema if change.create or change.rebuild else change.added
        columns |= {change.columns[field.name]: hive_type(field.type) for field in new if field.name not in KEYS}
        columns |= {column: hive_type(kind) for column, kind in change.widened.items()}
        limited = [name for name in change.columns.values() if text_limit(columns.get(name)) is not None]
        if limited:
            raise AmcLoadError(
                f"Athena would cut long texts in {', '.join(limited)} of {load.table}. Make their type string. Nothing "
                "was changed."
            )
        return _Target(database, name, table, change, columns, self._place(database, name, table))

    def _names(self, table: TableName) -> tuple[str, str]:
        if len(table.parts) > 2 or not all(_NAME.fullmatch(part) for part in table.parts):
            raise AmcLoadError(
                f"Athena has tables in databases of the Glue catalogue, named with letters, digits and underscores, and "
                f"{table} is not such a name. Write it as table or database.table. Nothing was changed."
            )
        database = table.parts[0] if len(table.parts) == 2 else self.hook.conn.schema or "default"
        return database.lower(), table.parts[-1].lower()

    def _place(self, database: str, name: str, table: GlueTable | None) -> S3Folder:
        if table is not None:
            return S3Folder.parse(table.location, f"The location of the table {database}.{name}")
        location = self.catalogue.home(database)
        if self.home is not None:
            return self.home.folder(name)
        if not location:
            raise AmcConfigurationError(
                f"s3_location is missing: the S3 folder in which the new table {database}.{name} gets a folder for its "
                "files. Give it to the operator, such as s3_location='s3://bucket/prefix', or the Glue database a "
                "location. Nothing was read."
            )
        return S3Folder.parse(location, f"The location of the database {database}").folder(name)

    def _replace(
        self,
        load: Load,
        results: ExecutionResults,
        target: _Target,
        files: WindowFiles,
        partition: GluePartition | None,
    ) -> int:
        """Write the rows into a folder that nobody reads, let the partition point there, and delete what it replaces."""
        whole = load.mode == "replace_table"
        # Before the rows are written: what another load writes meanwhile is its own.
        before = self._objects(target.place, files.table if whole else files.window, files)
        folder = files.fresh(partition.location if partition else "", str(target.place))
        location, own = f"{target.place}{folder}", f"{folder}{files.name}"
        rows = self._write(load, results, target, target.place, own)
        # Left by an earlier try, and not to be read with the rows.
        self._delete(target.place, {name for name in before if name.startswith(folder)} - {own})
        replaced = [partition] if partition else []
        if whole and target.table is not None:
            replaced = self.catalogue.partitions(target.table)
            partition = self._drop_others(target.table, target.change, partition, replaced)
        table = self._restructure(load, target)
        self.catalogue.put_partition(
            table, partition_values(load.audit), target.columns, location, exists=partition is not None
        )
        folders = tuple(found.location for found in replaced)
        gone = {name for name, settled in before.items() if settled or f"{target.place}{name}".startswith(folders)}
        self._delete(target.place, gone - self._read(table, target.place, gone, load))
        if not self.s3.check_for_key(f"{target.place.prefix}{own}", target.place.bucket):
            raise _overtaken(load)
        log.info("The partition of the window reads %s", location)
        return rows

    def _append(
        self, load: Load, results: ExecutionResults, target: _Target, files: WindowFiles, partition: GluePartition
    ) -> int:
        """Write the rows beside those of the window. The same execution has the same name, and replaces itself."""
        other = differing(partition.columns, target.columns)
        if other:
            # Files of a partition have the types of the partition: only between partitions may they differ.
            raise AmcLoadError(
                f"The window has rows in which {', '.join(other)} is of a narrower type than in {load.table} or the "
                "result, and rows of another type cannot be added to them. Load the window with mode='replace_window'. "
                "Nothing was changed."
            )
        table = self._restructure(load, target)
        if target.columns.keys() - partition.columns.keys():
            # Before the file, whose columns would not be seen; those of the files that are there stay NULL.
            self.catalogue.put_partition(table, partition.values, target.columns, partition.location, exists=True)
        place = S3Folder.parse(partition.location, "The location of the partition")
        rows = self._write(load, results, target, place, files.name)
        now = self.catalogue.partition(table, partition.values)
        if now is None or now.location != partition.location:
            self._delete(place, {files.name})
            raise _overtaken(load)
        return rows

    def _write(self, load: Load, results: ExecutionResults, target: _Target, place: S3Folder, name: str) -> int:
        counted = Counted()
        stored = StoredRows.of(load, target.change.columns, target.columns)
        store = S3Store(self.s3, place.bucket, place.prefix)
        with (
            closing(record_batches(results, load.schema)) as batches,
            closing(parquet_file(map(stored.batch, batches), stored.schema, counted)) as chunks,
        ):
            # Appears when it is whole: not before the result has been read to its end, and checked.
            store.write(name, ChunkReader(chunks))
        log.info("Wrote %s: %s rows", store.address(name), counted.rows)
        return counted.rows

    def _restructure(self, load: Load, target: _Target) -> GlueTable:
        if target.table is None:
            table = self.catalogue.create_table(target.database, target.name, target.columns, KEYS, str(target.place))
            log.info("Created table %s with %s columns", load.table, len(target.columns) + len(KEYS))
            return table
        if target.columns != target.table.columns or target.change.rebuild:
            self.catalogue.change_columns(target.table, target.columns)
            log.info("Changed the columns of table %s", load.table)
        return target.table

    def _drop_others(
        self,
        table: GlueTable,
        change: TableChange,
        partition: GluePartition | None,
        partitions: list[GluePartition],
    ) -> GluePartition | None:
        """Drop the partitions that ``replace_table`` replaces, before the new rows are there: none are counted twice."""
        # Of other columns, the old partition of the window must not be read under the new ones either.
        kept = None if change.rebuild else partition
        self.catalogue.drop_partitions(
            table, [found for found in partitions if kept is None or found.values != kept.values]
        )
        return kept

    def _read(self, table: GlueTable, place: S3Folder, names: set[str], load: Load) -> set[str]:
        """Which objects belong to partitions now, also to those that another load has made meanwhile."""
        if not names:
            return set()
        found = self.catalogue.partition(table, partition_values(load.audit))
        partitions = self.catalogue.partitions(table) if load.mode == "replace_table" else [found] if found else []
        folders = tuple(partition.location for partition in partitions)
        return {name for name in names if f"{place}{name}".startswith(folders)}

    def _objects(self, place: S3Folder, folder: str, files: WindowFiles) -> dict[str, bool]:
        """Objects that loads of the table have written below a folder of it, and whether that was long ago."""
        long_ago = datetime.now(UTC) - SETTLED
        found = self.s3.iter_file_metadata(prefix=f"{place.prefix}{folder}", bucket_name=place.bucket)
        return {
            name: entry["LastModified"] <= long_ago
            for entry in found
            if files.wrote(name := entry["Key"].removeprefix(place.prefix))
        }

    def _delete(self, place: S3Folder, names: set[str]) -> None:
        if names:
            self.s3.delete_objects(place.bucket, [f"{place.prefix}{name}" for name in sorted(names)])


@contextmanager
def _refusals(load: Load) -> Iterator[None]:
    """Say what AWS refused, and of which table."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        # Answers of Glue and S3 hold names and rights, never a row.
        raise AmcLoadError(
            f"Glue or S3 refused to load into {load.table}: {error}. The rows of the window are as they were before; a "
            "retry mends what is half done."
        ) from error


def _overtaken(load: Load) -> AmcLoadError:
    return AmcLoadError(
        f"Another task has replaced the files of {load.table} at this moment, and the rows of execution "
        f"{load.audit.workflow_execution_id} are not in it. Try again, and let one load of a window run at a time."
    )
