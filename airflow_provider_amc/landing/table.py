"""The target table of a load: its name, its columns, and whether a result fits into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from sqlglot import exp

from airflow_provider_amc.exceptions import AmcLoadError, AmcValidationError

#: What a load does with rows that the table holds already.
MODES = ("replace_window", "append", "replace_table")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")

_SQL_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "SMALLINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us"): "TIMESTAMP",
    pa.string(): "TEXT",
}

#: Which families of existing column types can take a family of result types without losing anything.
_FITS_INTO = {
    "boolean": {"boolean", "text"},
    "integer": {"integer", "decimal", "text"},
    "decimal": {"decimal", "text"},
    "float": {"float", "text"},
    "date": {"date", "timestamp", "text"},
    "timestamp": {"timestamp", "text"},
    "text": {"text"},
}

_FAMILIES = (
    ("boolean", r"bool|bit"),
    ("integer", r"int(?!erval)|serial"),
    ("decimal", r"decimal|numeric|number"),
    ("float", r"float|double|real"),
    ("timestamp", r"timestamp|datetime"),
    ("date", r"date"),
    ("text", r"char|text|string|clob|json|variant"),
)


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

    def key_values(self) -> tuple[object, ...]:
        """Values in the order of :attr:`KEY`."""
        named = dict(zip(self.SCHEMA.names, self.values(), strict=True))
        return tuple(named[name] for name in self.KEY)


@dataclass(frozen=True)
class Load:
    """One load: a result on its way into a table.

    :param table: target.
    :param schema: columns of the result.
    :param audit: origin of the rows.
    :param mode: one of :data:`MODES`.
    """

    table: TableName
    schema: pa.Schema
    audit: Audit
    mode: str = "replace_window"

    def __post_init__(self) -> None:
        check_mode(self.mode)
        repeated = sorted({name for name in self.schema.names if self.schema.names.count(name) > 1})
        if repeated:
            raise AmcLoadError(
                f"The result has several columns named {', '.join(repeated)}. A table cannot: give them different "
                "aliases in the query."
            )
        taken = sorted(set(self.schema.names) & set(Audit.SCHEMA.names))
        if taken:
            raise AmcLoadError(f"The names {', '.join(taken)} are the loader's own. Give the columns other aliases.")
        if self.mode == "replace_window" and (self.audit.window_start is None or self.audit.window_end is None):
            raise AmcLoadError(
                f"Execution {self.audit.workflow_execution_id} reports no time window, so its rows cannot replace "
                "those of an earlier load. Use mode='append' or mode='replace_table'."
            )

    @property
    def full_schema(self) -> pa.Schema:
        """Columns of the result, then the audit columns."""
        return pa.schema([*self.schema, *Audit.SCHEMA])

    def check_fit(self, existing: Mapping[str, str | None]) -> None:
        """Check that the result fits into a table that exists.

        :param existing: the table's column names with their SQL types, ``None`` where the type is not known.
        :raises AmcLoadError: names the columns that are missing or have another type. Nothing was changed.
        """
        missing = [field for field in self.full_schema if field.name not in existing]
        wrong = [
            f"{field.name} (table: {existing[field.name]}, result: {sql_type(field.type, '')})"
            for field in self.full_schema
            if field.name in existing and not _fits(field.type, existing[field.name])
        ]
        if not missing and not wrong:
            return
        problems = []
        if missing:
            listed = ", ".join(f"{field.name} {sql_type(field.type, '')}" for field in missing)
            problems.append(f"the table lacks {listed}")
        if wrong:
            problems.append(f"types differ for {', '.join(wrong)}")
        raise AmcLoadError(
            f"The result does not fit into the existing table {self.table}: {'; '.join(problems)}. Alter the table, "
            "change the query, or load into a new table, which the loader creates. Nothing was changed."
        )


def check_mode(mode: str) -> None:
    """Check the name of a mode.

    :raises AmcValidationError: there is no such mode.
    """
    if mode not in MODES:
        raise AmcValidationError(f"mode {mode!r} is not one of {', '.join(MODES)}.")


def quote(name: str, dialect: str) -> str:
    """Quote an identifier in a SQL dialect, whatever characters it has."""
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect or None)


def sql_type(kind: pa.DataType, dialect: str) -> str:
    """Spell an Arrow type as a column type of a SQL dialect."""
    decimal = pa.types.is_decimal(kind)
    text = f"DECIMAL({kind.precision}, {kind.scale})" if decimal else _SQL_TYPES.get(kind, "TEXT")
    return exp.DataType.build(text).sql(dialect=dialect or None)


def create_table(name: str, schema: pa.Schema, dialect: str, *, prefix: str = "CREATE TABLE") -> str:
    """Return the statement that creates a table.

    :param name: the table's name, quoted already.
    :param schema: its columns.
    :param dialect: sqlglot name of the SQL dialect.
    :param prefix: how the statement begins.
    """
    columns = ", ".join(f"{quote(field.name, dialect)} {sql_type(field.type, dialect)}" for field in schema)
    return f"{prefix} {name} ({columns})"


def family(sql_type_name: str) -> str | None:
    """Family of a SQL type by its name, ``None`` for types not known here."""
    text = sql_type_name.lower()
    if text.endswith("[]") or text.startswith(("struct", "map", "list")):
        return None
    return next((name for name, pattern in _FAMILIES if re.search(pattern, text)), None)


def _fits(kind: pa.DataType, existing: str | None) -> bool:
    if existing is None:
        return True
    result = family(sql_type(kind, ""))
    target = family(existing)
    return result is None or target is None or target in _FITS_INTO[result]


def _naive(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)
