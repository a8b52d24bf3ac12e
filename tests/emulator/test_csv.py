from __future__ import annotations

import csv
import datetime as dt
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.emulator.csv import CsvFormat, CsvWriter, field_writer


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


@pytest.mark.covers("rule", "outputFormat")
def test_other_separators_quotes_and_escapes() -> None:
    write = field_writer(CsvFormat("|", "'", "\\"))
    assert [write(value) for value in ("a|b", "it's", "a\\b", "a,b")] == ["'a|b'", "'it\\'s'", "'a\\\\b'", "a,b"]


def written(path: Path, batches: list[pa.RecordBatch], names: list[str], style: CsvFormat | None = None) -> bytes:
    """What the two ways to write lines agree on."""
    found = []
    for few in (0, 1_000_000):
        with closing(CsvWriter([Named(name) for name in names], style, few=few)) as writer:
            assert writer.write(iter(batches), path) == sum(batch.num_rows for batch in batches)
        found.append(path.read_bytes())
    assert found[0] == found[1]
    return found[0]


def test_a_file_has_a_header_and_all_rows(tmp_path: Path) -> None:
    batches = [
        pa.RecordBatch.from_pydict({"a": ["x", None], "b": [1, None]}),
        pa.RecordBatch.from_pydict({"a": ["y"], "b": [3]}),
    ]
    text = written(tmp_path / "result.csv", batches, ["my, name", "b"])
    assert text == b'"my, name",b\nx,1\n,\ny,3\n'


def test_a_result_without_rows_is_a_header(tmp_path: Path) -> None:
    assert written(tmp_path / "result.csv", [], ["a", "b"]) == b"a,b\n"


def test_the_header_follows_the_format_of_the_workflow(tmp_path: Path) -> None:
    assert written(tmp_path / "result.csv", [], ["it's", "b"], CsvFormat("\t", "'", "\\")) == b"'it\\'s'\tb\n"


def test_slices_and_columns_of_other_kinds(tmp_path: Path) -> None:
    names = pa.array(["x", "y", None, "x", "z"]).dictionary_encode()
    moments = pa.array([1_767_582_245_678_900_000] * 5, pa.timestamp("ns"))
    batch = pa.RecordBatch.from_arrays([names, moments, pa.array([b"\x01\xff"] * 5)], names=["a", "b", "c"])
    text = written(tmp_path / "result.csv", [batch.slice(1, 3)], ["a", "b", "c"])
    moment = "2026-01-05T03:04:05.678"
    assert text.decode() == f"a,b,c\ny,{moment},01ff\n,{moment},01ff\nx,{moment},01ff\n"


@pytest.mark.parametrize(
    ("output_format", "name"),
    [
        ({"separatorCharacter": ";;"}, "separatorCharacter"),
        ({"separatorCharacter": ""}, "separatorCharacter"),
        ({"quoteCharacter": "\n"}, "quoteCharacter"),
        ({"escapeCharacter": 5}, "escapeCharacter"),
        ({"separatorCharacter": '"'}, "quoteCharacter"),
        ({"separatorCharacter": ";", "escapeCharacter": ";"}, "escapeCharacter"),
    ],
)
def test_wrong_formats(output_format: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"for {name} of outputFormat"):
        CsvFormat.of(output_format)


def test_what_a_format_leaves_out_is_as_usual() -> None:
    assert CsvFormat.of(None) == CsvFormat.of({"separatorCharacter": None}) == CsvFormat(",", '"', '"')
    assert CsvFormat.of({"quoteCharacter": "'"}) == CsvFormat(",", "'", "'")


SINGLE = {
    "STRING": (
        pa.string(),
        st.text(st.sampled_from("ab,;|'\"\\\n\r\t\x00é€😀 ") | st.characters(codec="utf-8"), max_size=6),
    ),
    "LONG": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "BYTE": (pa.int8(), st.integers(-128, 127)),
    "DOUBLE": (pa.float64(), st.floats()),
    "FLOAT": (pa.float32(), st.floats(width=32)),
    "DECIMAL(38,17)": (pa.decimal128(38, 17), st.decimals(-(10**20), 10**20, places=17, allow_nan=False)),
    "DECIMAL(4,4)": (pa.decimal128(4, 4), st.decimals("-0.9999", "0.9999", places=4, allow_nan=False)),
    "BOOLEAN": (pa.bool_(), st.booleans()),
    "DATE": (pa.date32(), st.dates()),
    "TIMESTAMP": (pa.timestamp("us"), st.datetimes()),
    "ARRAY": (pa.list_(pa.string()), st.lists(st.none() | st.text('a,]"', max_size=3), max_size=3)),
    "ARRAY of rows": (
        pa.list_(pa.struct({"n": pa.int64(), "x": pa.float64()})),
        st.lists(st.none() | st.fixed_dictionaries({"n": st.integers(0, 9), "x": st.floats()}), max_size=2),
    ),
}


@st.composite
def batches_of_any_kind(draw: st.DrawFn) -> pa.RecordBatch:
    rows = draw(st.integers(0, 5))
    arrays = []
    for kind in draw(st.lists(st.sampled_from(sorted(SINGLE)), min_size=1, max_size=4)):
        arrow, values = SINGLE[kind]
        arrays.append(pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), arrow))
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{n}" for n in range(len(arrays))])


@given(
    batches=st.lists(batches_of_any_kind(), max_size=3),
    marks=st.sampled_from(
        [(",", '"', '"'), ("|", "'", "\\"), (";", '"', "\\"), ("\t", "^", "'"), ("a", '"', "b"), ("é", "€", "😀")]
    ),
)
def test_the_bytes_are_those_of_the_fields_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, batches: list[pa.RecordBatch], marks: tuple[str, str, str]
) -> None:
    style = CsvFormat(*marks)
    write = field_writer(style)
    lines = [
        style.separator.join(write(value) for value in row) + "\n"
        for batch in batches
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]
    text = written(tmp_path_factory.mktemp("csv") / "result.csv", batches, ["n"], style)
    assert text.decode() == "n\n" + "".join(lines)


@given(st.lists(st.lists(st.text(max_size=8).filter(lambda s: "\x00" not in s), min_size=2, max_size=2), max_size=5))
def test_python_reads_the_same_texts_back(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "result.csv"
    batch = pa.RecordBatch.from_pydict({"a": [row[0] for row in table], "b": [row[1] for row in table]},
                                       schema=pa.schema({"a": pa.string(), "b": pa.string()}))  # fmt: skip
    written(path, [batch], ["a", "b"])
    with open(path, encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], *table]
