"""DuckDB: record batches go in through Arrow, without a detour over Python values."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.reader import record_batches
from airflow_provider_amc.landing.table import Audit, Load

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults

log = logging.getLogger(__name__)

#: Seconds to wait for another process that has the database file open: DuckDB admits one writing process at a time.
LOCK_PATIENCE = 300.0

_RETRY_EVERY = 1.0


class DuckDBLoader(TableLoader):
    """Load into a DuckDB database file."""

    dialect = "duckdb"
    placeholder = "?"

    def connect(self) -> Any:
        import duckdb

        deadline = time.monotonic() + LOCK_PATIENCE
        told = False
        while True:
            try:
                return self.hook.get_conn()
            except duckdb.IOException as error:
                if "lock" not in str(error).lower() or time.monotonic() > deadline:
                    raise
                if not told:
                    log.info("The DuckDB file is open in another process; waiting up to %.0f s for it", LOCK_PATIENCE)
                    told = True
                time.sleep(_RETRY_EVERY)

    @contextmanager
    def transaction(self, connection: Any) -> Iterator[Any]:
        with closing(connection.cursor()) as cursor:
            cursor.begin()
            try:
                yield cursor
            except BaseException:
                cursor.rollback()
                raise
            cursor.commit()

    def existing_columns(self, connection: Any, load: Load) -> Mapping[str, str | None] | None:
        import duckdb

        try:
            rows = connection.execute(f"DESCRIBE {load.table.sql(self.dialect)}").fetchall()
        except duckdb.CatalogException:
            return None
        return {row[0]: row[1] for row in rows}

    def write(self, cursor: Any, load: Load, results: ExecutionResults, *, create: bool) -> int:
        self.prepare(cursor, load, create=create)
        constants = [
            pa.scalar(value, kind) for value, kind in zip(load.audit.values(), Audit.SCHEMA.types, strict=True)
        ]

        def with_audit() -> Iterator[pa.RecordBatch]:
            for batch in record_batches(results, load.schema):
                audit = [pa.repeat(constant, batch.num_rows) for constant in constants]
                yield pa.RecordBatch.from_arrays([*batch.columns, *audit], schema=load.full_schema)

        cursor.register("_amc_result", pa.RecordBatchReader.from_batches(load.full_schema, with_audit()))
        inserted = cursor.execute(
            f"INSERT INTO {load.table.sql(self.dialect)} ({self.column_list(load)}) "  # noqa: S608
            "SELECT * FROM _amc_result"
        ).fetchone()
        return int(inserted[0])
