"""Files of rows in every format and compression that AMC takes."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_amc.emulator import rowfiles, snappy

CSV = {"csvDataFormat": {}}
LINES = {"jsonDataFormat": "LINES"}
DOCUMENT = {"jsonDataFormat": "DOCUMENT"}
PARQUET = {"parquetDataFormat": "PARQUET_DATA_FORMAT"}
ROWS = [{"a": "1", "b": "x"}, {"a": None, "b": "y"}]


def read(data: bytes | str, file_format: dict[str, Any], compression: str = "NONE") -> list[dict[str, Any]]:
    data = data.encode() if isinstance(data, str) else data
    return list(rowfiles.read(data, file_format, compression).to_pylist())


def csv(**options: str) -> dict[str, Any]:
    return {"csvDataFormat": options}


def block(data: bytes) -> bytes:
    return bytes(pa.Codec("snappy").compress(data, asbytes=True))


def framed(data: bytes) -> bytes:
    half = len(data) // 2
    parts = [b"\xff\x06\x00\x00sNaPpY"]
    for kind, content in ((0, block(data[:half])), (0xFE, b"padding"), (1, data[half:])):
        body = content if kind == 0xFE else b"\0\0\0\0" + content
        parts.append(bytes([kind]) + len(body).to_bytes(3, "little") + body)
    return b"".join(parts)


def hadoop(data: bytes) -> bytes:
    half = len(data) // 2
    pieces = [block(data[:half]), block(data[half:])]
    return len(data).to_bytes(4, "big") + b"".join(len(one).to_bytes(4, "big") + one for one in pieces)


@pytest.mark.parametrize(
    ("compression", "pack"),
    [
        ("NONE", bytes),
        ("GZIP", gzip.compress),
        ("BZIP", bz2.compress),
        ("SNAPPY", block),
        ("SNAPPY", framed),
        ("SNAPPY", hadoop),
    ],
)
@pytest.mark.covers("rule", "compressions of uploaded files")
def test_compressions(compression, pack):
    assert read(pack(b"a,b\n1,x\n,y\n"), CSV, compression) == ROWS
    for wrong in (b"\x1f\x8b and more that is nothing", b"BZh9 nothing", b"\xff\x06\x00\x00sNaPpY\x05"):
        if compression != "NONE":
            with pytest.raises(ValueError, match=f"the file is not compressed with {compression}"):
                read(wrong, CSV, compression)


@given(st.binary(min_size=2, max_size=5000))
def test_every_snappy_file_is_read(data):
    assert snappy.decompress(block(data)) == data
    assert snappy.decompress(framed(data)) == data
    assert snappy.decompress(hadoop(data)) == data


@given(st.binary(max_size=200))
def test_other_bytes_are_no_snappy_file(data):
    try:
        found = snappy.decompress(data)
    except ValueError:
        return
    assert isinstance(found, bytes)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a,b\n1,x\n,y\n", {}, ROWS),
        ("\ufeffa,b\r\n1,x\r\n,y\r\n", {}, ROWS),
        ("a\tb\n1\tx\n\ty\n", {"fieldDelimiter": "\t"}, ROWS),
        ("a|b\n'1'|x\n|'y'\n", {"fieldDelimiter": "|", "quoteCharacter": "'"}, ROWS),
        ("# told\na,b\n1,x\n#left,out\n,y\n", {"commentCharacter": "#"}, ROWS),
        ("a,b;1,x;,y;", {"recordDelimiter": ";"}, ROWS),
        ('a,b\n1,"x, ""y""\nz"\n', {"quoteEscapeCharacter": '"'}, [{"a": "1", "b": 'x, "y"\nz'}]),
        ('a,b\n1,"x, ""y"""\n', {"quoteEscapeCharacter": '""'}, [{"a": "1", "b": 'x, "y"'}]),
        ('a,b\n1,"say \\"hi\\""\n', {}, [{"a": "1", "b": 'say "hi"'}]),
        ('a,b\n,""\n', {}, [{"a": None, "b": ""}]),
        ("a,b\n007,1e5\n", {}, [{"a": "007", "b": "1e5"}]),
        ("a,b\n", {}, []),
    ],
)
@pytest.mark.covers("rule", "options of csvDataFormat")
def test_csv(text, options, expected):
    assert read(text, csv(**options)) == expected


@pytest.mark.parametrize(
    ("data", "file_format", "expected"),
    [
        ('{"a": 1, "b": "x"}\n\n{"b": "y", "a": null}\n', LINES, ROWS),
        ('[{"a": 1, "b": "x"},\n {"b": "y"}]', DOCUMENT, ROWS),
        ('{"a": 1,\n "b": "x"}', DOCUMENT, ROWS[:1]),
        (
            '{"a": 12345678901234567890.10, "b": true}',
            LINES,
            [{"a": "12345678901234567890.10", "b": "true"}],
        ),
        ("", LINES, []),
    ],
)
@pytest.mark.covers("rule", "JSON as lines and as a document")
def test_json(data, file_format, expected):
    assert read(data, file_format) == expected


@pytest.mark.covers("rule", "Parquet files, compressed inside")
def test_parquet():
    table = pa.table(
        {
            "text": ["x", None],
            "number": pa.array([1, 2], pa.int32()),
            "amount": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "day": [dt.date(2026, 3, 1), None],
            "local": pa.array([dt.datetime(2026, 3, 1, 10), None], pa.timestamp("ns")),
            "zoned": pa.array([dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC), None], pa.timestamp("ms", "Europe/Berlin")),
        }
    )
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="snappy")
    first, second = read(sink.getvalue(), PARQUET, "SNAPPY")
    assert second == {**dict.fromkeys(table.column_names), "number": "2"}
    assert (first["text"], first["number"], first["amount"], first["day"]) == ("x", "1", "1.50", "2026-03-01")
    for name in ("local", "zoned"):
        assert dt.datetime.fromisoformat(first[name]) == dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)
    assert read(gzip.compress(sink.getvalue()), PARQUET, "GZIP") == [first, second]


@pytest.mark.parametrize(
    ("data", "file_format", "told"),
    [
        (b"a,b\n1\n", CSV, "the file is no CSV with these settings"),
        (b"", CSV, "the file is no CSV with these settings"),
        (b"a\n\xff\n", CSV, "the file is not encoded in UTF-8"),
        (b'{"a": 1}\n{"a": secret}\n', LINES, "line 2 is not a JSON object"),
        (b"[1]\n", LINES, "row 1 is not a JSON object"),
        (b'{"a": {"b": "secret"}}', LINES, "a value of the column a is a list or an object"),
        (b'{"a": "secret"', DOCUMENT, "the file is not one JSON document"),
        (b"PAR1 secret", PARQUET, "the file is no Parquet file"),
        (b"secret", PARQUET, "the file is no Parquet file"),
    ],
)
def test_files_that_are_something_else(data, file_format, told):
    with pytest.raises(ValueError, match=told) as failure:
        read(data, file_format)
    assert "secret" not in str(failure.value)


def test_parquet_of_lists():
    sink = io.BytesIO()
    parquet.write_table(pa.table({"tags": [["x"]]}), sink)
    with pytest.raises(ValueError, match="the column tags has a type that AMC does not take"):
        read(sink.getvalue(), PARQUET)
