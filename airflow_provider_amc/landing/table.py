"""The target table of a load: its name, its audit columns, and what a load does with the rows that it holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from sqlglot import exp

from airflow_provider_amc.exceptions import AmcLoadError, AmcValidationError
from airflow_provider_amc.landing.sql_types import quote

#: What a load does with rows that the table holds already.
MODES = ("replace_window", "append", "upsert", "replace_table")

#: What a load does when the result has columns or types that the table does not have.
SCHEMA_POLICIES = ("evolve", "freeze", "fail")

_EPOCH = datetime(1970, 1, 1)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


@dataclass(frozen=True)
class TableName:
    """A table name of one to three plain parts.

    :param parts: (database,) (schema,) table.
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``table``, ``schema.table`` or ``database.schema.table``.

        :raises AmcValidationError: the name has quotes, spaces or other characters that need quoting.
        """
        parts = tuple(str(text).split("."))
        if not 1 <= len(parts) <= 3 or not all(_NAME.fullmatch(part) for part in parts):
            raise AmcValidationError(
                f"Table name {text!r} does not work. Write it as table, schema.table or database.schema.table; each "
                "part begins with a letter or underscore and holds letters, digits, underscores and $. "
                "Quotes and spaces are not allowed, the loader quotes for you."
            )
        return cls(parts)

    def __str__(self) -> str:
        return ".".join(self.parts)

    def sql(self, dialect: str) -> str:
        """Return the quoted name in a SQL dialect."""
        return ".".join(quote(part, dialect) for part in self.parts)

    def expression(self, *, with_schema: bool = True) -> exp.Table:
        """Return the name as a tree, with or without its schema."""
        parts = self.parts if with_schema else self.parts[-1:]
        names = [exp.to_identifier(part, quoted=True) for part in reversed(parts)]
        return exp.Table(**dict(zip(("this", "db", "catalog"), names, strict=False)))

    def sibling(self, name: str) -> TableName:
        """Return another table of the same schema."""
        return TableName((*self.parts[:-1], name))


@dataclass(frozen=True)
class Audit:
    """Where the rows of a load come from; written beside them, and what a repeated load replaces.

    :param instance_id: AMC instance.
    :param workflow_id: saved workflow or the name given to an ad-hoc query.
    :param workflow_execution_id: execution that produced the rows.
    :param window_start: first instant of its time window, UTC.
    :param window_end: first instant after it, UTC.
    :param loaded_at: time of the load, UTC.
    """

    instance_id: str
    workflow_id: str
    workflow_execution_id: str
    window_start: datetime | None
    window_end: datetime | None
    loaded_at: datetime

    SCHEMA = pa.schema(
        [
            ("_amc_instance_id", pa.string()),
            ("_amc_workflow_id", pa.string()),
            ("_amc_workflow_execution_id", pa.string()),
            ("_amc_window_start", pa.timestamp("us")),
            ("_amc_window_end", pa.timestamp("us")),
            ("_amc_loaded_at", pa.timestamp("us")),
        ]
    )

    #: Columns that say whose rows a repeated load replaces.
    KEY = ("_amc_instance_id", "_amc_workflow_id", "_amc_window_start", "_amc_window_end")

    #: Columns that say which rows were appended by one execution.
    EXECUTION = ("_amc_instance_id", "_amc_workflow_id", "_amc_workflow_execution_id")

    def values(self) -> tuple[object, ...]:
        """Values in the order of :attr:`SCHEMA`; times without a zone, in UTC."""
        return (
            self.instance_id,
            self.workflow_id,
            self.workflow_execution_id,
            _naive(self.window_start),
            _naive(self.window_end),
            _naive(self.loaded_at),
        )

    def named(self, names: Iterable[str]) -> tuple[object, ...]:
        """Values of some of the columns, in the order of their names."""
        values = dict(zip(self.SCHEMA.names, self.values(), strict=True))
        return tuple(values[name] for name in names)


@dataclass(frozen=True)
class Load:
    """One load: a result on its way into a table.

    :param table: target.
    :param schema: columns of the result.
    :param audit: origin of the rows.
    :param mode: one of :data:`MODES`.
    :param keys: for ``upsert``, the columns that tell one row from another: of the result, or of :attr:`Audit.KEY`.
    :param schema_policy: one of :data:`SCHEMA_POLICIES`.
    """

    table: TableName
    schema: pa.Schema
    audit: Audit
    mode: str = "replace_window"
    keys: tuple[str, ...] = ()
    schema_policy: str = "evolve"

    def __post_init__(self) -> None:
        check_load(self.mode, self.schema_policy, self.keys)
        self._check_names()
        if self.mode == "replace_window" and (self.audit.window_start is None or self.audit.window_end is None):
            raise AmcLoadError(
                f"Execution {self.audit.workflow_execution_id} reports no time window, so its rows cannot replace "
                "those of an earlier load. Use mode='append' or mode='replace_table'."
            )

    @property
    def full_schema(self) -> pa.Schema:
        """Columns of the result, then the audit columns."""
        return pa.schema([*self.schema, *Audit.SCHEMA])

    def with_origin(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Add the audit columns to rows of the result."""
        origin = [
            _repeated(value, kind, batch.num_rows)
            for value, kind in zip(self.audit.values(), Audit.SCHEMA.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays([*batch.columns, *origin], schema=self.full_schema)

    def _check_names(self) -> None:
        repeated = sorted({name for name in self.schema.names if self.schema.names.count(name) > 1})
        if repeated:
            raise AmcLoadError(
                f"The result has several columns named {', '.join(repeated)}. A table cannot: give them different "
                "aliases in the query."
            )
        taken = [name for name in self.schema.names if name.casefold() in Audit.SCHEMA.names]
        if taken:
            raise AmcLoadError(f"The names {', '.join(taken)} are the loader's own. Give the columns other aliases.")
        missing = [name for name in self.keys if name not in (*self.schema.names, *Audit.KEY)]
        if missing:
            raise AmcLoadError(
                f"keys names {', '.join(missing)}, and the result has no such columns: it has "
                f"{', '.join(self.schema.names)}. Add them to the query, or correct keys. Nothing was loaded."
            )


def check_load(mode: str, schema_policy: str, keys: Sequence[str]) -> None:
    """Check what a user asks of a load, before anything is read.

    :raises AmcValidationError: there is no such mode or policy, or the keys do not go with the mode.
    """
    if mode not in MODES:
        raise AmcValidationError(f"mode {mode!r} is not one of {', '.join(MODES)}.")
    if schema_policy not in SCHEMA_POLICIES:
        raise AmcValidationError(f"schema_policy {schema_policy!r} is not one of {', '.join(SCHEMA_POLICIES)}.")
    if mode == "upsert" and not keys:
        raise AmcValidationError("mode='upsert' needs keys: the columns that tell one row of the table from another.")
    if keys and mode != "upsert":
        raise AmcValidationError(
            f"keys work with mode='upsert' only, and mode is {mode!r}. Remove keys or change mode."
        )
    repeated = sorted({name for name in keys if keys.count(name) > 1})
    if repeated:
        raise AmcValidationError(f"keys names {', '.join(repeated)} more than once.")


def key_columns(keys: str | Iterable[object] | None) -> tuple[str, ...]:
    """Read the operator's ``keys``: a list of column names, or one name.

    :raises AmcValidationError: it is neither, or a name is empty.
    """
    names = [keys] if isinstance(keys, str) else list(keys or ())
    columns = tuple(name for name in names if isinstance(name, str) and name)
    if len(columns) < len(names):
        raise AmcValidationError("keys has to be a list of column names, such as ['campaign_id', 'day'].")
    return columns


def _repeated(value: object, kind: pa.DataType, length: int) -> pa.Array:
    """An array of one text or time again and again.

    From its bytes: pyarrow imports pandas to turn a Python value into one of its own, which takes longer, and more memory,
    than to write many thousands of rows.
    """
    if value is None:
        return pa.nulls(length, kind)
    if isinstance(value, datetime):
        buffers = [((value - _EPOCH) // timedelta(microseconds=1)).to_bytes(8, sys.byteorder, signed=True)]
    else:
        text = str(value).encode()
        buffers = [b"".join(end.to_bytes(4, sys.byteorder) for end in (0, len(text))), text]
    one = pa.Array.from_buffers(kind, 1, [None, *map(pa.py_buffer, buffers)])
    return pa.repeat(one[0], length)


def _naive(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)
