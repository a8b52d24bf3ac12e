from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pandas as pd
from hypothesis import given

from airflow_provider_amc.landing.frame import read_frame
from tests.landing.results import PROPERTY, FakeResults, HardTable, column, hard_tables


def test_types() -> None:
    kinds = ["BOOLEAN", "BYTE", "SHORT", "INTEGER", "LONG", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "STRING", "ARRAY"]
    columns = [*(column(kind.lower(), kind) for kind in kinds), column("decimal", "DECIMAL", 38, 17)]
    header = ",".join(each.name for each in columns)
    frame = read_frame(columns, FakeResults(f"{header}\n{',' * (len(columns) - 1)}\n".encode()))
    kinds_found = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds_found["date"].startswith("datetime64")
    assert kinds_found["timestamp"].startswith("datetime64")
    assert kinds_found["string"] == kinds_found["array"]
    assert isinstance(frame.dtypes["string"], pd.StringDtype)
    assert {name: kinds_found[name] for name in ("boolean", "byte", "short", "integer", "long", "float", "double")} == {
        "boolean": "boolean",
        "byte": "Int8",
        "short": "Int16",
        "integer": "Int32",
        "long": "Int64",
        "float": "float32",
        "double": "float64",
    }
    assert kinds_found["decimal"] == "decimal128(38, 17)[pyarrow]"
    assert frame.isna().all(axis=None)


def test_long_ids_with_missing_values_stay_exact() -> None:
    frame = read_frame(
        [column("id", "LONG"), column("cost", "DECIMAL", 38, 17)],
        FakeResults(b"id,cost\n100000000000000001,0.10000000000000001\n,\n-999999999999999999,3\n"),
    )
    assert frame["id"].sum() == 100000000000000001 - 999999999999999999
    assert frame["id"].tolist()[0] == 100000000000000001
    assert frame["id"].isna().tolist() == [False, True, False]
    assert frame["cost"].tolist()[0] == Decimal("0.10000000000000001")


def test_ends_of_the_calendar() -> None:
    frame = read_frame(
        [column("day", "DATE"), column("at", "TIMESTAMP")],
        FakeResults(b"day,at\n0001-01-01,0001-01-01T00:00:00.001\n9999-12-31,9999-12-31T23:59:59.999\n"),
    )
    assert [moment.to_pydatetime() for moment in frame["day"]] == [datetime(1, 1, 1), datetime(9999, 12, 31)]
    assert frame["at"].iloc[1].to_pydatetime() == datetime(9999, 12, 31, 23, 59, 59, 999000)


def test_columns_of_the_same_name() -> None:
    frame = read_frame([column("a", "LONG"), column("a", "STRING")], FakeResults(b"a,a\n1,x\n"))
    assert list(frame.columns) == ["a", "a"]
    assert frame.iloc[0].tolist() == [1, "x"]


def test_no_rows() -> None:
    frame = read_frame([column("a", "LONG")], FakeResults(b"a\n"))
    assert frame.shape == (0, 1)
    assert str(frame.dtypes["a"]) == "Int64"


@PROPERTY
@given(hard=hard_tables(nul=True))
def test_round_trip(hard: HardTable) -> None:
    frame = read_frame(hard.columns, hard.results)
    assert list(frame.columns) == hard.schema.names
    for position, name in enumerate(hard.schema.names):
        expected = [row[position] for row in hard.rows]
        found = [None if missing else value for value, missing in zip(frame[name], frame[name].isna(), strict=True)]
        if hard.columns[position].data_type in ("DATE", "TIMESTAMP"):
            expected = [None if value is None else pd.Timestamp(value) for value in expected]
        assert found == expected
