from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcLoadError, AmcResultError, AmcValidationError
from airflow_provider_amc.landing.files import (
    Gzipped,
    LandedFile,
    Measured,
    RowCounter,
    check_format,
    folder,
    open_parts,
)
from tests.landing.results import (
    PROPERTY,
    Broken,
    FakeResults,
    HardTable,
    ShortReads,
    csv_file,
    hard_tables,
    schema_of,
)


def parts(results: Any, schema: Any, file_format: str) -> list[tuple[bytes, LandedFile]]:
    found = []
    with closing(open_parts(results, schema, file_format)) as opened:
        for name, stream, landed in opened:
            body = stream.read()
            file = landed()
            assert file.name == name
            assert file.bytes == len(body)
            assert file.sha256 == hashlib.sha256(body).hexdigest()
            found.append((body, file))
    return found


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def open_files_in(folder: Path) -> list[str]:
    """Files without a name are seen only among the open ones."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    return [link for link in links if link.startswith(str(folder))]


class TestFolder:
    def test_hive_style_in_utc(self) -> None:
        start = datetime(2026, 3, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        assert folder("/amc/daily/", "reach", start, datetime(2026, 3, 2, 12, 30, 1, tzinfo=UTC)) == (
            "amc/daily/workflow=reach/window_start=2026-03-01T00-00-00/window_end=2026-03-02T12-30-01/"
        )

    @pytest.mark.parametrize("prefix", ["", "/"])
    def test_no_prefix_and_no_window(self, prefix: str) -> None:
        assert folder(prefix, "reach", None, None) == "workflow=reach/window_start=none/window_end=none/"


@pytest.mark.parametrize("file_format", ["", "json", "CSV", "gz"])
def test_unknown_format(file_format: str) -> None:
    with pytest.raises(AmcValidationError, match=r"is not one of csv, csv.gz, parquet"):
        check_format(file_format)
    with pytest.raises(AmcValidationError):
        open_parts(FakeResults(), schema_of("a LONG"), file_format)


class TestCsv:
    @PROPERTY
    @given(hard=hard_tables(nul=True))
    def test_bytes_as_delivered_and_rows_counted(self, hard: HardTable) -> None:
        found = parts(hard.results, hard.schema, "csv")
        assert [body for body, _ in found] == list(hard.files)
        assert sum(file.rows for _, file in found) == len(hard.rows)
        assert [file.name for _, file in found] == [f"part-{index:05d}.csv" for index in range(len(hard.files))]

    @PROPERTY
    @given(hard=hard_tables(nul=True))
    def test_gzip_of_the_same_bytes(self, hard: HardTable) -> None:
        found = parts(hard.results, hard.schema, "csv.gz")
        assert [gzip.decompress(body) for body, _ in found] == list(hard.files)
        assert parts(hard.results, hard.schema, "csv.gz") == found
        assert sum(file.rows for _, file in found) == len(hard.rows)

    def test_a_short_read_is_not_the_end(self) -> None:
        """boto3 takes it for the end."""
        data = csv_file(["a"], [("x" * 50,)] * 1000)
        for file_format in ("csv", "csv.gz"):
            with closing(
                open_parts(FakeResults(lambda: ShortReads(data, 7)), schema_of("a STRING"), file_format)
            ) as opened:
                for _, stream, landed in opened:
                    body = b""
                    while chunk := stream.read(1000):
                        body += chunk
                        assert len(chunk) == 1000 or not stream.read(1)
                    assert landed().rows == 1000
                    assert (gzip.decompress(body) if file_format == "csv.gz" else body) == data

    def test_header_that_differs(self) -> None:
        with pytest.raises(AmcResultError, match="result file 1"):
            parts(FakeResults(b"a\n1\n", b"b\n1\n"), schema_of("a LONG"), "csv")


class TestParquet:
    @PROPERTY
    @given(hard=hard_tables(nul=True))
    def test_round_trip(self, hard: HardTable) -> None:
        ((body, file),) = parts(hard.results, hard.schema, "parquet")
        table = pq.read_table(io.BytesIO(body))
        assert table.schema == hard.schema
        assert list(zip(*(values.to_pylist() for values in table.columns), strict=True)) == list(hard.rows)
        assert (file.name, file.rows) == ("part-00000.parquet", len(hard.rows))

    def test_compression(self) -> None:
        ((body, _),) = parts(FakeResults(b"a\n1\n"), schema_of("a LONG"), "parquet")
        assert pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0).compression == "ZSTD"

    def test_columns_of_the_same_name(self) -> None:
        with pytest.raises(AmcLoadError, match="several columns named a, which readers of Parquet refuse"):
            parts(FakeResults(b"a,a\n1,2\n"), schema_of("a LONG", "a LONG"), "parquet")

    def test_no_temporary_file_is_left(self, temporary: Path) -> None:
        schema = schema_of("a LONG")
        with closing(open_parts(FakeResults(b"a\n1\n"), schema, "parquet")) as opened:
            next(opened)
            assert len(open_files_in(temporary)) == 1
        assert open_files_in(temporary) == []
        with pytest.raises(AmcResultError):
            parts(FakeResults(b"a\n1\n", b"a\nx\n"), schema, "parquet")
        assert open_files_in(temporary) == []
        assert list(temporary.iterdir()) == []

    def test_nothing_comes_out_of_half_a_result(self) -> None:
        error = AmcResultError("gave up")
        with (
            closing(
                open_parts(FakeResults(lambda: Broken(b"a\n1\n", error)), schema_of("a LONG"), "parquet")
            ) as opened,
            pytest.raises(AmcResultError) as caught,
        ):
            next(opened)
        assert caught.value is error


class TestFilters:
    @PROPERTY
    @given(
        rows=st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=2, max_size=2), max_size=5),
        ended=st.booleans(),
        size=st.integers(1, 20),
    )
    def test_rows_are_counted_as_csv_readers_do(self, rows: list[list[str]], ended: bool, size: int) -> None:
        data = csv_file(["a", "b"], rows, ended=ended)
        counter = RowCounter(ShortReads(data, size))
        assert counter.read() == data
        assert counter.rows == len(rows)
        assert len(list(csv.reader(io.StringIO(data.decode(), newline="")))) == len(rows) + 1

    @pytest.mark.parametrize("make", [RowCounter, Measured])
    def test_nothing_in_nothing_out(self, make: Callable[..., Any]) -> None:
        stream = make(io.BytesIO(b""))
        assert stream.read() == b""
        assert getattr(stream, "rows", 0) == 0

    def test_gzip_header_holds_no_time(self) -> None:
        body = Gzipped(io.BytesIO(b"a\n1\n")).read()
        assert body[4:8] == bytes(4)
        assert gzip.decompress(body) == b"a\n1\n"
