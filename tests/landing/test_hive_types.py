from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.hive_types import arrow_type_of, check_columns, check_widened, differing, hive_type
from airflow_provider_amc.landing.sql_types import Fit, fit
from tests.landing.results import PROPERTY

KINDS = [
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.date32(),
    pa.timestamp("us"), pa.string(), pa.decimal128(38, 17), pa.decimal128(5, 0),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_column_made_for_a_type_takes_it(kind: pa.DataType) -> None:
    spelled = hive_type(kind)
    assert spelled == spelled.lower()
    assert " " not in spelled
    stored = arrow_type_of("n", spelled)
    # A byte has no type of its own in SQL.
    assert stored == (pa.int16() if kind == pa.int8() else kind)
    assert fit(kind, spelled) is Fit.WHOLE


@pytest.mark.parametrize(
    "kind", ["binary", "array<int>", "struct<a:int>", "map<string,int>", "varchar(10)", "char(3)", ""]
)
def test_types_that_no_result_has(kind: str) -> None:
    with pytest.raises(AmcLoadError, match="The column n of the table is"):
        arrow_type_of("n", kind)


@PROPERTY
@given(name=st.text(st.characters(codec="utf-8", exclude_characters=",:.\n\r", exclude_categories=["Cc", "Cs", "Cn", "Co"]),
                    min_size=1, max_size=60))  # fmt: skip
def test_names(name: str) -> None:
    if len(name.lower().encode()) <= 255:
        check_columns(pa.schema([(name, pa.string())]))


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00", "a,b", "a.b", "a:b", "x" * 256, "ü" * 128, "İ" * 100])
def test_names_that_there_are_not(name: str) -> None:
    with pytest.raises(AmcLoadError, match="Athena has no columns named"):
        check_columns(pa.schema([("fine", pa.string()), (name, pa.string())]))


@pytest.mark.parametrize(
    ("old", "new"),
    [("smallint", pa.int32()), ("smallint", pa.int64()), ("int", pa.int64()), ("tinyint", pa.int16()),
     ("float", pa.float64())],
)  # fmt: skip
def test_types_that_athena_casts(old: str, new: pa.DataType) -> None:
    check_widened("t", {"n": old}, {"n": new})


@pytest.mark.parametrize(
    ("old", "new"),
    [("decimal(5,2)", pa.decimal128(7, 2)), ("date", pa.timestamp("us")), ("int", pa.float64()),
     ("bigint", pa.decimal128(38, 2))],
)  # fmt: skip
def test_types_that_athena_does_not_cast(old: str, new: pa.DataType) -> None:
    with pytest.raises(AmcLoadError, match="would not read the files that are there"):
        check_widened("t", {"n": old, "m": "int"}, {"m": pa.int64(), "n": new})


def test_types_of_a_partition() -> None:
    assert differing({"a": "int", "b": "string", "gone": "int"}, {"a": "bigint", "b": "string", "c": "int"}) == ["a"]
