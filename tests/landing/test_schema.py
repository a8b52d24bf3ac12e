from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_provider_amc.client.models import OutputColumn
from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing.schema import arrow_schema, arrow_type, check_header
from tests.landing.results import PLANTED, column, schema_of


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (column("c", "BOOLEAN"), pa.bool_()),
        (column("c", "BYTE"), pa.int8()),
        (column("c", "SHORT"), pa.int16()),
        (column("c", "INTEGER"), pa.int32()),
        (column("c", "LONG"), pa.int64()),
        (column("c", "FLOAT"), pa.float32()),
        (column("c", "DOUBLE"), pa.float64()),
        (column("c", "DATE"), pa.date32()),
        (column("c", "TIMESTAMP"), pa.timestamp("us")),
        (column("c", "STRING"), pa.string()),
        (column("c", "long"), pa.int64()),
        (column("c", "DECIMAL", 10, 2), pa.decimal128(10, 2)),
        (column("c", "DECIMAL", 38, 38), pa.decimal128(38, 38)),
        (column("c", "DECIMAL", 10), pa.decimal128(10, 0)),
        (column("c", "DECIMAL"), pa.decimal128(38, 17)),
        (column("c", "DECIMAL", None, 4), pa.decimal128(38, 4)),
        (column("c", "DECIMAL", 50, 20), pa.decimal256(50, 20)),
        (column("c", "ARRAY"), pa.string()),
        (column("c", "BINARY"), pa.string()),
        (column("c", "SOMETHING_NEW"), pa.string()),
        (OutputColumn(name="c"), pa.string()),
    ],
)
def test_types(declared: OutputColumn, expected: pa.DataType) -> None:
    assert arrow_type(declared) == expected


def test_names_and_order_are_kept() -> None:
    schema = schema_of("b LONG", "a STRING", "b DATE")
    assert schema.names == ["b", "a", "b"]
    assert schema.types == [pa.int64(), pa.string(), pa.date32()]


def test_no_columns() -> None:
    with pytest.raises(AmcResultError, match=r"reports no outputColumns.*a dry run has none"):
        arrow_schema([])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            ["b", "a"],
            "The header of result file 3 has the columns in another order: b, a. The execution announced a, b",
        ),
        (["a"], "result file 3 has 1 columns instead of 2"),
        ([PLANTED, "1", PLANTED], "result file 3 has 3 columns instead of 2"),
        (["a", PLANTED], "result file 3 has another name, or no header at all, where b should be"),
        ([PLANTED, PLANTED], "has another name, or no header at all, where a, b should be"),
        (["A", "b"], "has another name, or no header at all, where a should be"),
    ],
)
def test_header_that_differs(header: list[str], message: str) -> None:
    with pytest.raises(AmcResultError) as caught:
        check_header(header, schema_of("a LONG", "b LONG"), 3)
    assert message in str(caught.value)
    # A file without a header begins with values.
    assert "Zebra" not in str(caught.value)


def test_header_that_fits() -> None:
    check_header(["a", "a"], schema_of("a LONG", "a STRING"), 0)
