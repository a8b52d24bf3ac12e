from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.landing.sql_types import Fit, family, fit, quote, sql_type, text_limit, wider
from airflow_provider_amc.landing.statements import Statements
from tests.landing.results import PROPERTY, column, schema_of


def kind_of(declared: str) -> pa.DataType:
    """Arrow type of an AMC type, such as ``DECIMAL 10 2``."""
    name, *size = declared.split()
    return schema_of(column("c", name, *map(int, size))).field(0).type


@pytest.mark.parametrize(
    ("declared", "existing"),
    [
        ("LONG", "bigint"), ("LONG", "numeric"), ("LONG", "HUGEINT"), ("LONG", "numeric(38,0)"), ("LONG", "text"),
        ("BYTE", "smallint"), ("SHORT", "smallint"), ("INTEGER", "int4"), ("INTEGER", "double precision"),
        ("STRING", "character varying(3)"), ("STRING", "jsonb"), ("STRING", "uuid"),
        ("DATE", "timestamp without time zone"), ("DECIMAL 10 2", "numeric(12,2)"), ("DECIMAL 10 2", "numeric"),
        ("DECIMAL 10 0", "DECIMAL(18)"), ("DECIMAL 18 0", "bigint"), ("DOUBLE", "double precision"), ("FLOAT", "real"),
        ("BOOLEAN", "boolean"), ("LONG", None), ("LONG", "point"), ("STRING", "ENUM('bit', 'int')"),
    ],
)  # fmt: skip
def test_fits_whole(declared: str, existing: str | None) -> None:
    assert fit(kind_of(declared), existing) is Fit.WHOLE


@pytest.mark.parametrize(
    ("declared", "existing", "expected", "widened"),
    [
        ("LONG", "integer", Fit.NARROW, pa.int64()),
        ("INTEGER", "smallint", Fit.NARROW, pa.int32()),
        ("LONG", "numeric(10,2)", Fit.NARROW, pa.decimal128(21, 2)),
        ("DECIMAL 10 2", "numeric(5,4)", Fit.NARROW, pa.decimal128(12, 4)),
        ("DECIMAL 19 0", "bigint", Fit.NARROW, pa.decimal128(19, 0)),
        ("DECIMAL 10 2", "bigint", Fit.NOT, pa.decimal128(21, 2)),
        ("DECIMAL 10 2", "numeric(10,1)", Fit.NOT, pa.decimal128(11, 2)),
        ("DECIMAL 38 17", "bigint", Fit.NOT, pa.decimal128(38, 17)),
        ("DECIMAL 38 17", "numeric(38,0)", Fit.NOT, pa.decimal256(55, 17)),
        ("DECIMAL 38 38", "numeric(60,0)", Fit.NOT, None),
        ("DECIMAL 10 2", "double precision", Fit.NOT, None),
        ("DOUBLE", "real", Fit.NOT, pa.float64()),
        ("DOUBLE", "FLOAT", Fit.NOT, pa.float64()),
        ("DOUBLE", "integer", Fit.NOT, pa.float64()),
        ("FLOAT", "integer", Fit.NOT, None),
        ("DOUBLE", "bigint", Fit.NOT, None),
        ("LONG", "double precision", Fit.NOT, None),
        ("TIMESTAMP", "date", Fit.NOT, pa.timestamp("us")),
        ("DATE", "integer", Fit.NOT, None),
        ("STRING", "bigint", Fit.NOT, None),
        ("BOOLEAN", "bigint", Fit.NOT, None),
    ],
)
def test_does_not_fit_whole(declared: str, existing: str, expected: Fit, widened: pa.DataType | None) -> None:
    assert fit(kind_of(declared), existing) is expected
    assert wider(kind_of(declared), existing) == widened


NUMBERS = st.sampled_from([pa.int8(), pa.int16(), pa.int32(), pa.int64()]) | st.integers(1, 38).flatmap(
    lambda precision: st.integers(0, precision).map(lambda scale: pa.decimal128(precision, scale))
)


def limits(kind: pa.DataType) -> list[int]:
    """The smallest and largest value of a type, in units of ten to the minus forty."""
    if pa.types.is_integer(kind):
        return [bound * 10**40 for bound in (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)]
    return [sign * (10**kind.precision - 1) * 10 ** (40 - kind.scale) for sign in (-1, 1)]


def holds(kind: pa.DataType, amount: int) -> bool:
    scale = 0 if pa.types.is_integer(kind) else kind.scale
    smallest, largest = limits(kind)
    return smallest <= amount <= largest and amount % 10 ** (40 - scale) == 0


@PROPERTY
@given(NUMBERS, NUMBERS)
def test_a_wider_type_holds_both_and_a_fitting_one_holds_the_result(result: pa.DataType, existing: pa.DataType) -> None:
    name = sql_type(existing, "postgres")
    # There is no column of one byte: it is created with two.
    existing = pa.int16() if existing == pa.int8() else existing
    if fit(result, name) is Fit.WHOLE:
        assert all(holds(existing, amount) for amount in limits(result))
        return
    both = wider(result, name)
    assert both is not None
    assert all(holds(both, amount) for amount in (*limits(result), *limits(existing)))
    assert fit(result, sql_type(both, "postgres")) is Fit.WHOLE


@pytest.mark.parametrize(
    ("name", "expected"),
    [("character varying(80)", 80), ("VARCHAR(65535)", 65535), ("text", None), ("numeric(10,2)", None), (None, None)],
)
def test_text_limit(name: str | None, expected: int | None) -> None:
    assert text_limit(name) == expected


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
        assert Statements("postgres", "%s").create('"t"', schema).sql == (
            'CREATE TABLE "t" ("select" BIGINT, "cost" DECIMAL(38, 17), "at" TIMESTAMP, "a ""b""" TEXT)'
        )

    @pytest.mark.parametrize("dialect", ["", "postgres", "duckdb", "snowflake", "mysql", "tsql", "redshift", "sqlite"])
    def test_every_dialect_can_read_its_types(self, dialect: str) -> None:
        kinds = ["BOOLEAN", "BYTE", "SHORT", "INTEGER", "LONG", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "STRING"]
        schema = schema_of(*[f"{kind.lower()} {kind}" for kind in kinds])
        statement = Statements(dialect, "?").create(quote("t", dialect), schema).sql
        assert sqlglot.parse_one(statement, read=dialect or None).find(sqlglot.exp.Create)
        assert sql_type(pa.int64(), dialect) != sql_type(pa.string(), dialect)

    @PROPERTY
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
    def test_any_name_can_be_quoted(self, name: str) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"SELECT 1 AS {quote(name, 'duckdb')}")
            assert connection.description[0][0] == name
