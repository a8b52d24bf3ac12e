from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.emulator.csv import field_writer, write_result_csv


@dataclass
class Named:
    name: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", '""'),
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        (923984950695711350, "923984950695711350"),
        (1.5, "1.5"),
        (3.0, "3.0"),
        (float("nan"), "NaN"),
        (Decimal("12.3400"), "12.3400"),
        (Decimal("1E-7"), "0.0000001"),
        (True, "true"),
        (dt.date(2026, 1, 5), "2026-01-05"),
        (dt.datetime(2026, 1, 5, 3, 4, 5, 678900), "2026-01-05T03:04:05.678"),
        ([1, 2], '"[1, 2]"'),
        ([{"order": 1, "campaign": "A"}, {"order": 2, "campaign": None}], '"[[1, A], [2, null]]"'),
    ],
)
def test_fields(value: Any, text: str) -> None:
    assert field_writer()(value) == text


def test_other_separators_quotes_and_escapes() -> None:
    write = field_writer("|", "'", "\\")
    assert [write(value) for value in ("a|b", "it's", "a\\b", "a,b")] == ["'a|b'", "'it\\'s'", "'a\\\\b'", "a,b"]


def test_a_file_has_a_header_and_all_rows(tmp_path: Path) -> None:
    batches = [
        pa.RecordBatch.from_pydict({"a": ["x", None], "b": [1, None]}),
        pa.RecordBatch.from_pydict({"a": ["y"], "b": [3]}),
    ]
    path = tmp_path / "result.csv"
    assert write_result_csv(iter(batches), [Named("my, name"), Named("b")], path) == 3
    assert path.read_bytes() == b'"my, name",b\nx,1\n,\ny,3\n'


def test_a_result_without_rows_is_a_header(tmp_path: Path) -> None:
    path = tmp_path / "result.csv"
    assert write_result_csv([], [Named("a"), Named("b")], path) == 0
    assert path.read_bytes() == b"a,b\n"


@given(st.lists(st.lists(st.text(max_size=8).filter(lambda s: "\x00" not in s), min_size=2, max_size=2), max_size=5))
def test_python_reads_the_same_texts_back(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "result.csv"
    batch = pa.RecordBatch.from_pydict({"a": [row[0] for row in table], "b": [row[1] for row in table]},
                                       schema=pa.schema({"a": pa.string(), "b": pa.string()}))  # fmt: skip
    write_result_csv([batch], [Named("a"), Named("b")], path)
    with open(path, encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], *table]
