"""The SQL of a load, for every dialect: change the table, then delete, insert, update or swap.

Identifiers are quoted, values are bound. Nothing here talks to a database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlglot import exp

from airflow_provider_amc.landing.change import TableChange
from airflow_provider_amc.landing.sql_types import data_type, quote, sql_type
from airflow_provider_amc.landing.table import Audit, Load, TableName

#: Stands for a bound value until the whole statement is known: no name can hold it.
_MARK = "\x00"

#: Dialects whose UPDATE takes a FROM clause. The others have MERGE, but for MySQL.
_UPDATE_FROM = {"postgres", "redshift", "duckdb", "sqlite"}

#: How a dialect measures a text where it is not LENGTH. The limits of Redshift count bytes.
_LENGTH = {"redshift": "OCTET_LENGTH", "tsql": "LEN"}


@dataclass(frozen=True)
class Statement:
    """A statement with its bound values.

    :param sql: its text, in the dialect and with the placeholders of the driver.
    :param values: as many as there are placeholders.
    """

    sql: str
    values: tuple[Any, ...] = ()


@dataclass
class Staged:
    """The rows of a result where the database can select them from.

    :param relation: name of a table or view, quoted; or any other relation in SQL.
    :param audit: whether it has the audit columns too; if not, they are bound.
    :param rows: number of rows in it; may be counted only while they are read.
    """

    relation: str
    audit: bool = False
    rows: int = 0


class Statements:
    """Writes the statements of a load.

    :param dialect: sqlglot's name of the SQL dialect.
    :param placeholder: how the driver writes a bound parameter.
    :param bound: turns Python values into those that the driver takes.
    """

    def __init__(
        self,
        dialect: str,
        placeholder: str,
        bound: Callable[[Sequence[Any]], Sequence[Any]] = lambda values: values,
    ) -> None:
        self.dialect = dialect
        self.placeholder = placeholder
        self.bound = bound

    # --- structure ----------------------------------------------------------------------------------------------------

    def create(self, table: str, schema: pa.Schema, *, prefix: str = "CREATE TABLE", suffix: str = "") -> Statement:
        """Create a table.

        :param table: its name, quoted already.
        :param schema: its columns.
        :param prefix: how the statement begins.
        :param suffix: what follows the columns.
        """
        columns = ", ".join(
            f"{quote(column.name, self.dialect)} {sql_type(column.type, self.dialect)}" for column in schema
        )
        return Statement(f"{prefix} {table} ({columns}){suffix}")

    def drop(self, table: str, *, if_exists: bool = False) -> Statement:
        """Drop a table, whose name is quoted already."""
        return Statement(f"DROP TABLE {'IF EXISTS ' if if_exists else ''}{table}")

    def add_column(self, table: TableName, column: pa.Field) -> Statement:
        """Add a column at the end."""
        name = exp.to_identifier(column.name, quoted=True)
        return self._alter(table, exp.ColumnDef(this=name, kind=data_type(column.type)))

    def widen_column(self, table: TableName, name: str, kind: pa.DataType) -> Statement:
        """Give a column a wider type."""
        column = exp.to_identifier(name, quoted=True)
        return self._alter(table, exp.AlterColumn(this=column, dtype=data_type(kind)))

    def swap(self, table: TableName, new: TableName) -> Iterator[Statement]:
        """Put a new table in the place of a table, for databases that do not roll back a change of structure.

        As nearly at once as the database can: in MySQL, there is always one of the two.
        """
        _, old = self.stand_ins(table)
        if self.dialect == "mysql":
            names = [name.sql(self.dialect) for name in (table, old, new)]
            yield Statement("RENAME TABLE {0} TO {1}, {2} TO {0}".format(*names))
        else:
            yield self.rename(table, old)
            yield self.rename(new, table)
        yield self.drop(old.sql(self.dialect))

    def rename(self, table: TableName, to: TableName) -> Statement:
        """Give a table another name in the same schema."""
        return self._alter(table, exp.AlterRename(this=to.expression(with_schema=False)))

    @staticmethod
    def stand_ins(table: TableName) -> tuple[TableName, TableName]:
        """The names of a table's successor, while it is filled, and of its predecessor, until it is dropped."""
        return table.sibling(stand_in("new", table)), table.sibling(stand_in("old", table))

    def _alter(self, table: TableName, action: exp.Expression) -> Statement:
        tree = exp.Alter(this=table.expression(), kind="TABLE", actions=[action])
        return Statement(tree.sql(dialect=self.dialect or None))

    # --- rows ---------------------------------------------------------------------------------------------------------

    def rows(self, load: Load, change: TableChange, staged: Staged) -> Iterator[Statement]:
        """The statements that put staged rows into the table, by mode. They belong into one transaction."""
        if load.mode == "upsert" and not change.create:
            yield from self.upsert(load, change, staged)
            return
        if not change.create and not change.rebuild:
            yield from self.delete(load, change)
        yield self.insert(load, change, staged)

    def delete(self, load: Load, change: TableChange) -> Iterator[Statement]:
        """Remove the rows that a load replaces."""
        table = load.table.sql(self.dialect)
        if load.mode == "replace_table":
            yield Statement(f"DELETE FROM {table}")  # noqa: S608 - the name is quoted
            return
        # Rows that are appended replace those of an earlier try to append them.
        names = Audit.KEY if load.mode == "replace_window" else Audit.EXECUTION
        matches = " AND ".join(f"{quote(change.columns[name], self.dialect)} = {_MARK}" for name in names)
        yield self._statement(f"DELETE FROM {table} WHERE {matches}", load.audit.named(names))  # noqa: S608

    def insert(
        self, load: Load, change: TableChange, staged: Staged, *, into: TableName | None = None, only_new: bool = False
    ) -> Statement:
        """Insert the staged rows.

        :param load: the load.
        :param change: which columns are loaded, and their names in the table.
        :param staged: the rows.
        :param into: another table than that of the load.
        :param only_new: only those whose keys the table does not have.
        """
        target = ", ".join(quote(name, self.dialect) for name in change.columns.values())
        selected = ", ".join(f"s.{quote(name, self.dialect)}" for name in change.columns)
        source, values = self._source(load, change.columns, staged)
        table = (into or load.table).sql(self.dialect)
        sql = f"INSERT INTO {table} ({target}) SELECT {selected} FROM {source} s"  # noqa: S608
        if only_new:
            sql += f" WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {self._same_keys(load, change)})"  # noqa: S608
        return self._statement(sql, values)

    def upsert(self, load: Load, change: TableChange, staged: Staged) -> Iterator[Statement]:
        """Update the rows whose keys the table has, insert the others."""
        source, values = self._source(load, change.columns, staged)
        table, matches = load.table.sql(self.dialect), self._same_keys(load, change)
        pairs = [
            (quote(column, self.dialect), quote(name, self.dialect))
            for name, column in change.columns.items()
            if name not in load.keys
        ]
        settings = ", ".join(f"{column} = s.{name}" for column, name in pairs)
        if self.dialect in _UPDATE_FROM:
            yield self._statement(f"UPDATE {table} AS t SET {settings} FROM {source} s WHERE {matches}", values)  # noqa: S608
            yield self.insert(load, change, staged, only_new=True)
        elif self.dialect == "mysql":
            settings = ", ".join(f"t.{column} = s.{name}" for column, name in pairs)
            yield self._statement(f"UPDATE {table} t JOIN {source} s ON {matches} SET {settings}", values)  # noqa: S608
            yield self.insert(load, change, staged, only_new=True)
        else:
            columns = ", ".join(quote(column, self.dialect) for column in change.columns.values())
            inserted = ", ".join(f"s.{quote(name, self.dialect)}" for name in change.columns)
            sql = f"MERGE INTO {table} t USING {source} s ON ({matches}) WHEN MATCHED THEN UPDATE SET {settings}"
            sql += f" WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({inserted})"  # noqa: S608
            yield self._statement(sql + (";" if self.dialect == "tsql" else ""), values)

    # --- questions about the staged rows ------------------------------------------------------------------------------

    def rows_without_key(self, load: Load, staged: Staged) -> Statement:
        """Count the rows in which a key is NULL."""
        source, values = self._source(load, load.keys, staged)
        missing = " OR ".join(f"{quote(name, self.dialect)} IS NULL" for name in load.keys)
        return self._statement(f"SELECT COUNT(*) FROM {source} s WHERE {missing}", values)  # noqa: S608

    def repeated_keys(self, load: Load, staged: Staged) -> Statement:
        """Count the keys that several rows have."""
        source, values = self._source(load, load.keys, staged)
        names = ", ".join(quote(name, self.dialect) for name in load.keys)
        grouped = f"SELECT {names} FROM {source} s GROUP BY {names} HAVING COUNT(*) > 1"  # noqa: S608
        return self._statement(f"SELECT COUNT(*) FROM ({grouped}) d", values)  # noqa: S608

    def longest(self, names: Iterable[str], staged: Staged) -> Statement:
        """The length of the longest text of each column."""
        length = _LENGTH.get(self.dialect, "LENGTH")
        columns = ", ".join(f"MAX({length}({quote(name, self.dialect)}))" for name in names)
        return Statement(f"SELECT {columns} FROM {staged.relation} s")  # noqa: S608

    # ------------------------------------------------------------------------------------------------------------------

    def _source(self, load: Load, names: Iterable[str], staged: Staged) -> tuple[str, Sequence[Any]]:
        """The staged rows with their audit columns as a relation, and the values that it binds."""
        if staged.audit:
            return staged.relation, ()
        wanted = list(names)
        audit = [name for name in wanted if name in Audit.SCHEMA.names]
        columns = [quote(name, self.dialect) for name in wanted if name not in audit]
        for name in audit:
            typed = exp.cast(exp.Placeholder(), data_type(Audit.SCHEMA.field(name).type))
            marked = typed.sql(dialect=self.dialect or None).replace("%s", _MARK).replace("?", _MARK)
            columns.append(f"{marked} AS {quote(name, self.dialect)}")
        return f"(SELECT {', '.join(columns)} FROM {staged.relation})", load.audit.named(audit)  # noqa: S608

    def _same_keys(self, load: Load, change: TableChange) -> str:
        return " AND ".join(
            f"t.{quote(change.columns[name], self.dialect)} = s.{quote(name, self.dialect)}" for name in load.keys
        )

    def _statement(self, sql: str, values: Sequence[Any]) -> Statement:
        if not values:
            return Statement(sql)
        if self.placeholder.startswith("%"):
            sql = sql.replace("%", "%%")
        return Statement(sql.replace(_MARK, self.placeholder), tuple(self.bound(values)))


def stand_in(role: str, *parts: object) -> str:
    """Name of a table that stands in for another while a load runs: the same whenever the load is tried again.

    :param role: what it is for, a short word.
    :param parts: what it belongs to.
    """
    text = "\n".join(str(part) for part in parts)
    return f"_amc_{role}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
