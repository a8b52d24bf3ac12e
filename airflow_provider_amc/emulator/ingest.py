"""What an upload does: read files, check every row against the columns, find the users, and change the table.

One wrong row rejects the whole upload. Facts: AMC API documentation, "Advertiser data upload: data sets", "Prepare
data", "Upload data". All of it blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator import rowfiles
from airflow_provider_amc.emulator.columns import (
    DEFAULT_PERIOD,
    FULL_REPLACE,
    HASH,
    OF_FACTS,
    OVERLAP_REPLACE,
    PERIODS,
    role,
    table_of,
)
from airflow_provider_amc.emulator.identities import Matcher, key_of
from airflow_provider_amc.emulator.s3source import S3Source, SourceError
from airflow_provider_amc.emulator.shelf import Shelf
from airflow_provider_amc.sql.coerce import quote_name
from airflow_provider_amc.sql.types import parse_type, to_duckdb

if TYPE_CHECKING:
    import duckdb
    import pyarrow

#: Names of the files' columns by kind of value, and what a text must look like to be one.
_LOOKS = {
    "INTEGER": (r"[+-]?\d+", "an INTEGER of 32 bits"),
    "LONG": (r"[+-]?\d+", "a LONG of 64 bits"),
    "DECIMAL": (r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", "a DECIMAL"),
    "TIMESTAMP": (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", "a TIMESTAMP such as 2022-08-02T08:00:00Z"),
    "DATE": (r"\d{4}-\d\d-\d\d", "a DATE such as 2022-08-02"),
}


class RejectedError(Exception):
    """The upload is rejected; the text is its message."""


@dataclass(frozen=True)
class UploadOrder:
    """What to upload where.

    :param instance_id: the instance.
    :param upload_id: the upload.
    :param data_set: the data set as it is kept.
    :param source: ``dataSource`` of the request.
    :param file_format: ``fileFormat``.
    :param compression: ``compressionFormat``.
    :param strategy: ``updateStrategy``.
    """

    instance_id: str
    upload_id: str
    data_set: Mapping[str, Any]
    source: Mapping[str, str]
    file_format: Mapping[str, Any]
    compression: str
    strategy: str


def upload(order: UploadOrder, s3: S3Source, matcher: Matcher, shelf: Shelf) -> int:
    """Do an upload.

    :returns: how many rows the table took.
    :raises RejectedError: the files cannot be read, or a row does not fit.
    """
    import duckdb
    import pyarrow

    name = order.data_set["dataSetId"]
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        matcher.prepare(connection)
        reader = _Reader(connection, order.data_set["columns"], matcher)
        try:
            objects = s3.objects(order.source, order.instance_id)
            parts = [reader.rows(_text_of(s3.read(one), str(one), order), str(one)) for one in objects]
        except SourceError as error:
            raise RejectedError(str(error)) from None
        added = pyarrow.concat_tables(parts)
        if shelf.is_done(order.instance_id, name, order.upload_id):
            return int(added.num_rows)
        before = shelf.rows(order.instance_id, name)
        after, count = _merged(connection, before, added, order)
    shelf.put(table_of(order.instance_id, order.data_set), after, order.upload_id)
    return count


def _text_of(data: bytes, place: str, order: UploadOrder) -> pyarrow.Table:
    try:
        return rowfiles.read(data, order.file_format, order.compression)
    except ValueError as error:
        raise RejectedError(f"{place} cannot be read: {error}") from None


def empty_rows(columns: Sequence[Mapping[str, Any]]) -> pyarrow.Table:
    """The rows of a data set without any."""
    return fitted(None, columns)


def fitted(rows: pyarrow.Table | None, columns: Sequence[Mapping[str, Any]]) -> pyarrow.Table:
    """Rows with exactly these columns: new ones are empty, others are left out.

    :param rows: the rows; ``None`` for none.
    :param columns: the columns of the data set.
    """
    import duckdb

    known = {name.lower() for name in rows.column_names} if rows is not None else set()
    items = [
        f"CAST({quote_name(one['name']) if one['name'].lower() in known else 'NULL'}"
        f" AS {to_duckdb(parse_type(one['dataType']))}) AS {quote_name(one['name'])}"
        for one in columns
    ]
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        if rows is not None:
            connection.register("given_rows", rows)
        source = " FROM given_rows" if rows is not None else " WHERE FALSE"
        return arrow_of(connection, f"SELECT {', '.join(items)}{source}")


class _Reader:
    """Makes rows of a data set out of text.

    :param connection: a database to do it in.
    :param columns: the columns of the data set.
    :param matcher: finds the users.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, columns: Sequence[Mapping[str, Any]], matcher: Matcher
    ) -> None:
        self._connection = connection
        self._columns = columns
        self._matcher = matcher
        self._of_user = {role(columns, flag) for flag in ("isMainUserId", "isMainUserIdType")}

    def rows(self, text: pyarrow.Table, place: str) -> pyarrow.Table:
        """The rows of a file.

        :param text: all values as text.
        :param place: where the file is, for messages.
        :raises RejectedError: one does not fit.
        """
        given = {name.lower(): name for name in text.column_names}
        known = {one["name"].lower() for one in self._columns}
        if len(given) < len(text.column_names):
            raise RejectedError(f"{place} has two columns of the same name")
        unknown = sorted(set(given) - known)
        if unknown:
            raise RejectedError(f"{place} has the column {given[unknown[0]]}, which the data set does not have")
        self._connection.register("file_rows", text)
        try:
            self._check(given, place)
            return arrow_of(self._connection, self._typed(given))
        finally:
            self._connection.unregister("file_rows")

    def _check(self, given: Mapping[str, str], place: str) -> None:
        """Find the first row with a value that does not fit."""
        problems = []
        for one in self._columns:
            if one["name"] in self._of_user:
                continue  # AMC writes these itself, whatever the file says
            column = quote_name(given[one["name"].lower()]) if one["name"].lower() in given else "NULL"
            for wrong, text in _rules(one, f"CAST({column} AS VARCHAR)"):
                problems.append((wrong, one["name"], text))
        if not problems:
            return
        numbered = '(SELECT *, row_number() OVER () AS "$n" FROM file_rows)'
        items = ", ".join(f'min("$n") FILTER (WHERE {wrong})' for wrong, _, _ in problems)
        (found,) = self._connection.execute(f"SELECT {items} FROM {numbered}").fetchall()
        first = min(
            ((row, number) for number, row in enumerate(found) if row is not None),
            default=None,
        )
        if first is not None:
            _, name, text = problems[first[1]]
            raise RejectedError(f"Row {first[0]} of {place}: the column {name} {text}")

    def _typed(self, given: Mapping[str, str]) -> str:
        identities: dict[str, str] = {}
        items = []
        for one in self._columns:
            name = one["name"]
            if name in self._of_user:
                continue
            column = f"{quote_name(given[name.lower()])}" if name.lower() in given else "NULL"
            items.append(f"CAST({column} AS {to_duckdb(parse_type(one['dataType']))}) AS {quote_name(name)}")
            kind = next(iter((one.get("externalUserIdType") or {}).values()), None)
            if kind and name.lower() in given:
                identities[kind] = f"CAST({column} AS VARCHAR)"
        user_id, user_type = (role(self._columns, flag) for flag in ("isMainUserId", "isMainUserIdType"))
        if user_id is None or user_type is None:
            missing = [f"CAST(NULL AS VARCHAR) AS {quote_name(name)}" for name in (user_id, user_type) if name]
            return f"SELECT {', '.join([*items, *missing])} FROM file_rows"
        key = key_of(identities)
        return self._matcher.select(items, "file_rows", key, user_id, user_type)


def _rules(column: Mapping[str, Any], value: str) -> list[tuple[str, str]]:
    """What a value of a column must not be: DuckDB SQL, and what to say about it."""
    rules = []
    if not column["nullable"] or column["isMainEventTime"]:
        rules.append((f"{value} IS NULL", "must not be empty"))
    kind = column["dataType"]
    if kind in _LOOKS:
        look, told = _LOOKS[kind]
        fits = (
            f"regexp_full_match({value}, '{look}') AND TRY_CAST({value} AS {to_duckdb(parse_type(kind))}) IS NOT NULL"
        )
        rules.append((f"{value} IS NOT NULL AND NOT ({fits})", f"has a value that is not {told}"))
    hashed = (column.get("externalUserIdType") or {}).get("hashedPii")
    if hashed:
        look = f"({HASH}|[A-Za-z]{{2}})" if hashed == "COUNTRY_CODE" else HASH
        told = "has a value that is not hashed with SHA-256 (64 hexadecimal digits)"
        rules.append((f"NOT regexp_full_match({value}, '{look}')", told))
    if column["isCountryCode"]:
        rules.append(
            (f"NOT regexp_full_match({value}, '[A-Z]{{2}}')", "has a value that is no country code such as US")
        )
    if (column.get("consentType") or "").startswith("AMZN_"):
        rules.append((f"{value} NOT IN ('GRANTED', 'DENIED')", "has a value that is neither GRANTED nor DENIED"))
    return rules


def _merged(
    connection: duckdb.DuckDBPyConnection, before: pyarrow.Table | None, added: pyarrow.Table, order: UploadOrder
) -> tuple[pyarrow.Table, int]:
    """The rows of the table after the upload, and how many of them are new."""
    if before is None or order.strategy == FULL_REPLACE:
        return added, added.num_rows
    connection.register("old_rows", before)
    connection.register("new_rows", added)
    old, new = "SELECT * FROM old_rows", "SELECT * FROM new_rows"
    time = role(order.data_set["columns"], "isMainEventTime")
    if order.strategy in OF_FACTS and time is not None:
        part = f"date_trunc('{PERIODS[order.data_set.get('period') or DEFAULT_PERIOD]}', {quote_name(time)})"
        if order.strategy == OVERLAP_REPLACE:
            old += f" WHERE {part} NOT IN (SELECT {part} FROM new_rows)"
        else:
            new += f" WHERE {part} NOT IN (SELECT {part} FROM old_rows)"
    ((count,),) = connection.execute(f"SELECT count(*) FROM ({new})").fetchall()
    return arrow_of(connection, f"{old} UNION ALL BY NAME {new}"), int(count)


def arrow_of(connection: duckdb.DuckDBPyConnection, sql: str, values: Any = None) -> pyarrow.Table:
    """The rows of a query.

    :param connection: the database.
    :param sql: the query.
    :param values: of its parameters.
    """
    relation: Any = connection.sql(sql, params=values)
    # The method has another name since DuckDB 1.4
    reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    return reader(65_536).read_all()
