from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcLoadError, AmcValidationError
from airflow_provider_amc.landing.table import Audit, TableName, create_table, family, quote, sql_type
from tests.landing.results import PROPERTY, column, load_of, schema_of


class TestTableName:
    @pytest.mark.parametrize(
        ("text", "parts"),
        [("t", ("t",)), ("_a.b$1", ("_a", "b$1")), ("db.schema.Table", ("db", "schema", "Table"))],
    )
    def test_parts(self, text: str, parts: tuple[str, ...]) -> None:
        name = TableName.parse(text)
        assert name.parts == parts
        assert str(name) == text
        assert name.sql("postgres") == ".".join(f'"{part}"' for part in parts)
        assert name.sql("mysql") == ".".join(f"`{part}`" for part in parts)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "my table",
            '"t"',
            "a.b.c.d",
            "a..b",
            ".a",
            "a.",
            "1t",
            "t;drop",
            "t--",
            "tä",
            "t\n",
            "a b.c",
            "`t`",
            "$t",
        ],
    )
    def test_names_that_need_quoting(self, text: str) -> None:
        with pytest.raises(AmcValidationError) as caught:
            TableName.parse(text)
        assert str(caught.value).startswith(f"Table name {text!r} does not work. Write it as table, schema.table")
        assert "Quotes and spaces are not allowed, the loader quotes for you." in str(caught.value)


class TestLoad:
    def test_unknown_mode(self) -> None:
        with pytest.raises(
            AmcValidationError, match="mode 'merge' is not one of replace_window, append, replace_table"
        ):
            load_of("t", schema_of("a LONG"), mode="merge")

    def test_repeated_names(self) -> None:
        with pytest.raises(
            AmcLoadError, match=r"several columns named a, c. A table cannot: give them different aliases"
        ):
            load_of("t", schema_of("a LONG", "c LONG", "b LONG", "a STRING", "c LONG"))

    @pytest.mark.parametrize("name", ["_amc_loaded_at", "_AMC_Loaded_At"])
    def test_names_of_the_loader(self, name: str) -> None:
        with pytest.raises(AmcLoadError, match=f"{name} are the loader's own"):
            load_of("t", schema_of(f"{name} LONG"))

    def test_window_is_needed_to_replace_it(self) -> None:
        with pytest.raises(AmcLoadError, match=r"Execution e-1 reports no time window.*mode='append'"):
            load_of("t", schema_of("a LONG"), windowless=True)
        assert load_of("t", schema_of("a LONG"), windowless=True, mode="replace_table").mode == "replace_table"

    def test_audit_values_are_utc_without_a_zone(self) -> None:
        moment = datetime(2026, 3, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        audit = Audit("i", "w", "e", moment, datetime(2026, 3, 2), moment.astimezone(UTC))
        assert audit.values()[3:] == (datetime(2026, 3, 1), datetime(2026, 3, 2), datetime(2026, 3, 1))
        assert audit.key_values() == ("i", "w", datetime(2026, 3, 1), datetime(2026, 3, 2))


FITTING = {
    "_amc_instance_id": "text",
    "_amc_workflow_id": "character varying(20)",
    "_amc_workflow_execution_id": None,
    "_amc_window_start": "timestamp without time zone",
    "_amc_window_end": "TIMESTAMP WITH TIME ZONE",
    "_amc_loaded_at": "timestamp(6)",
}


class TestFit:
    @pytest.mark.parametrize(
        ("declared", "existing"),
        [
            (column("c", "LONG"), "bigint"),
            (column("c", "LONG"), "numeric"),
            (column("c", "LONG"), "HUGEINT"),
            (column("c", "SHORT"), "smallint"),
            (column("c", "LONG"), "text"),
            (column("c", "STRING"), "character varying(3)"),
            (column("c", "STRING"), "jsonb"),
            (column("c", "STRING"), "uuid"),
            (column("c", "DATE"), "timestamp without time zone"),
            (column("c", "DECIMAL", 10, 2), "numeric(12,2)"),
            (column("c", "DECIMAL", 10, 2), "numeric"),
            (column("c", "DECIMAL", 10, 0), "DECIMAL(18)"),
            (column("c", "DOUBLE"), "double precision"),
            (column("c", "FLOAT"), "real"),
            (column("c", "BOOLEAN"), "boolean"),
            (column("c", "LONG"), None),
            (column("c", "LONG"), "point"),
            (column("c", "STRING"), "ENUM('bit', 'int')"),
        ],
    )
    def test_fits(self, declared: object, existing: str | None) -> None:
        load_of("t", schema_of(declared)).check_fit({**FITTING, "c": existing, "more": "bytea"})

    @pytest.mark.parametrize(
        ("declared", "existing", "shown"),
        [
            (column("c", "STRING"), "bigint", "result: TEXT"),
            (column("c", "LONG"), "double precision", "result: BIGINT"),
            (column("c", "DECIMAL", 10, 2), "bigint", "result: DECIMAL(10, 2)"),
            (column("c", "DECIMAL", 10, 2), "numeric(10,1)", "result: DECIMAL(10, 2)"),
            (column("c", "DECIMAL", 10, 2), "numeric(10)", "result: DECIMAL(10, 2)"),
            (column("c", "DECIMAL", 10, 2), "double precision", "result: DECIMAL(10, 2)"),
            (column("c", "DOUBLE"), "real", "result: DOUBLE"),
            (column("c", "DOUBLE"), "FLOAT", "result: DOUBLE"),
            (column("c", "TIMESTAMP"), "date", "result: TIMESTAMP"),
            (column("c", "DATE"), "integer", "result: DATE"),
            (column("c", "BOOLEAN"), "bigint", "result: BOOLEAN"),
        ],
    )
    def test_does_not_fit(self, declared: object, existing: str, shown: str) -> None:
        with pytest.raises(AmcLoadError) as caught:
            load_of("t", schema_of(declared)).check_fit({**FITTING, "c": existing})
        assert str(caught.value) == (
            f"The result does not fit into the existing table t: types differ for c (table: {existing}, {shown}). Alter "
            "the table, change the query, or load into a new table, which the loader creates. Nothing was changed."
        )

    def test_all_problems_at_once(self) -> None:
        existing = {**FITTING, "b": "bigint"}
        del existing["_amc_loaded_at"]
        with pytest.raises(
            AmcLoadError, match="the table lacks a BIGINT, _amc_loaded_at TIMESTAMP; types differ for b"
        ):
            load_of("t", schema_of("a LONG", "b STRING")).check_fit(existing)

    def test_case(self) -> None:
        load = load_of("t", schema_of("Campaign STRING"))
        load.check_fit({**FITTING, "CAMPAIGN": "text"}, case_sensitive=False)
        with pytest.raises(AmcLoadError, match="lacks Campaign TEXT"):
            load.check_fit({**FITTING, "CAMPAIGN": "text"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bigint", "integer"), ("INT4", "integer"), ("UBIGINT", "integer"), ("smallserial", "integer"),
        ("interval", None), ("point", None), ("int4range", None), ("INTEGER[]", None), ("STRUCT(a INTEGER)", None),
        ("numeric(38,17)", "decimal"), ("NUMBER(38,0)", "decimal"), ("double precision", "float"), ("float8", "float"),
        ("timestamp(3) with time zone", "timestamp"), ("TIMESTAMP_NTZ", "timestamp"), ("datetime2", "timestamp"),
        ("date", "date"), ("daterange", None), ("character varying(20)", "text"), ("NVARCHAR(max)", "text"),
        ("citext", "text"), ("VARCHAR2(20)", "text"), ("boolean", "boolean"), ("bytea", None), ("uuid", None),
    ],
)  # fmt: skip
def test_family(name: str, expected: str | None) -> None:
    assert family(name) == expected


class TestSql:
    def test_create_table(self) -> None:
        schema = schema_of("select LONG", column("cost", "DECIMAL", 38, 17), "at TIMESTAMP", 'a "b" STRING')
        assert create_table('"t"', schema, "postgres") == (
            'CREATE TABLE "t" ("select" BIGINT, "cost" DECIMAL(38, 17), "at" TIMESTAMP, "a ""b""" TEXT)'
        )

    @pytest.mark.parametrize("dialect", ["", "postgres", "duckdb", "snowflake", "mysql", "tsql", "redshift", "sqlite"])
    def test_every_dialect_can_read_its_types(self, dialect: str) -> None:
        kinds = ["BOOLEAN", "BYTE", "SHORT", "INTEGER", "LONG", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "STRING"]
        schema = schema_of(*[f"{kind.lower()} {kind}" for kind in kinds])
        statement = create_table(quote("t", dialect), schema, dialect)
        assert sqlglot.parse_one(statement, read=dialect or None).find(sqlglot.exp.Create)
        assert sql_type(pa.int64(), dialect) != sql_type(pa.string(), dialect)

    @PROPERTY
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
    def test_any_name_can_be_quoted(self, name: str) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"SELECT 1 AS {quote(name, 'duckdb')}")
            assert connection.description[0][0] == name
