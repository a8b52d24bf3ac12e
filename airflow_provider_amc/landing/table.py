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

#: By the first word of a type's name, or all of it.
_FAMILIES = (
    ("boolean", r"bool|boolean|bit"),
    ("integer", r"u?(tiny|small|medium|big|huge)?int(eger)?|int[248]|(small|big)?serial"),
    ("decimal", r"decimal|dec|numeric|number"),
    ("float", r"float[48]?|double|real"),
    ("timestamp", r"timestamp\w*|datetime\w*"),
    ("date", r"date"),
    ("text", r"n?(var)?char2?|character|bpchar|(tiny|medium|long|ci)?text|string|n?clob|jsonb?|variant"),
)

#: Types of four bytes, which round a DOUBLE.
_SINGLE = re.compile(r"real|float4?(\(.*)?")


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
        taken = [name for name in self.schema.names if name.casefold() in Audit.SCHEMA.names]
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

    def check_fit(self, existing: Mapping[str, str | None], *, case_sensitive: bool = True) -> None:
        """Check that the result fits into a table that exists.

        :param existing: the table's column names with their SQL types, ``None`` where the type is not known.
        :param case_sensitive: whether the database tells column names apart by case.
        :raises AmcLoadError: names the columns that are missing or have another type. Nothing was changed.
        """
        fold = str if case_sensitive else str.casefold
        types = {fold(name): kind for name, kind in existing.items()}
        missing = [field for field in self.full_schema if fold(field.name) not in types]
        wrong = [
            f"{field.name} (table: {types[fold(field.name)]}, result: {sql_type(field.type, '')})"
            for field in self.full_schema
            if fold(field.name) in types and not _fits(field.type, types[fold(field.name)])
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
    text = sql_type_name.strip().lower()
    word = re.match(r"\w*", text)
    if word is None or text.endswith("]"):
        return None
    return next((name for name, pattern in _FAMILIES if re.fullmatch(pattern, word[0])), None)


def _fits(kind: pa.DataType, existing: str | None) -> bool:
    if existing is None:
        return True
    result = family(sql_type(kind, ""))
    target = family(existing)
    if result is None or target is None:
        return True
    return target in _FITS_INTO[result] and not _rounds(kind, existing.lower(), target)


def _rounds(kind: pa.DataType, existing: str, target: str) -> bool:
    """Whether a column would take the values, but not all of their digits."""
    if target == "float":
        return bool(kind == pa.float64() and _SINGLE.fullmatch(existing))
    size = re.search(r"\(\s*\d+\s*(?:,\s*(-?\d+)\s*)?\)", existing)
    return bool(target == "decimal" and size and pa.types.is_decimal(kind) and int(size[1] or 0) < kind.scale)


def _naive(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)
