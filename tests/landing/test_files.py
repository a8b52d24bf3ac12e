from __future__ import annotations

import gzip
import hashlib
import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from airflow_provider_amc.exceptions import AmcResultError, AmcValidationError
from airflow_provider_amc.landing import files
from airflow_provider_amc.landing.files import LandedFile, Unwanted, check_format, folder, open_part, part_name
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
    for file in results.files():
        with open_part(file, schema, file_format, "name") as part:
            body = part.read()
            landed = part.landed()
        assert (landed.name, landed.bytes, landed.sha256) == ("name", len(body), hashlib.sha256(body).hexdigest())
        found.append((body, landed))
    return found


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
        open_part(FakeResults(b"").files()[0], schema_of("a LONG"), file_format, "name")


class TestCsv:
    @PROPERTY
    @given(hard=hard_tables(nul=True))
    def test_bytes_as_delivered_and_rows_counted(self, hard: HardTable) -> None:
        found = parts(hard.results, hard.schema, "csv")
        assert [body for body, _ in found] == list(hard.files)
        assert sum(file.rows for _, file in found) == len(hard.rows)

    @PROPERTY
    @given(hard=hard_tables(nul=True))
    def test_gzip_of_the_same_bytes(self, hard: HardTable) -> None:
        found = parts(hard.results, hard.schema, "csv.gz")
        assert [gzip.decompress(body) for body, _ in found] == list(hard.files)
        assert parts(hard.results, hard.schema, "csv.gz") == found
        assert sum(file.rows for _, file in found) == len(hard.rows)

    @pytest.mark.parametrize("file_format", ["csv", "csv.gz"])
    def test_a_short_read_is_not_the_end(self, file_format: str) -> None:
        """boto3 takes it for the end."""
        data = csv_file(["a"], [("x" * 50,)] * 1000)
        results = FakeResults(lambda: ShortReads(data, 7))
        with open_part(results.files()[0], schema_of("a STRING"), file_format, "name") as part:
            body = b""
            while chunk := part.read(1000):
                body += chunk
                assert len(chunk) == 1000 or not part.read(1)
            assert part.landed().rows == 1000
        assert (gzip.decompress(body) if file_format == "csv.gz" else body) == data

    @pytest.mark.parametrize("file_format", ["csv", "csv.gz"])
    def test_last_row_that_was_cut(self, file_format: str) -> None:
        for data in (b"a,b\n1,2\n3", b'a,b\n1,2\n3,"x', b'a,b\n1,2\n"3,4"'):
            with pytest.raises(AmcResultError, match="Result file 0 ends in the middle of a"):
                parts(FakeResults(data), schema_of("a STRING", "b STRING"), file_format)

    def test_gzip_header_holds_no_time(self) -> None:
        ((body, _),) = parts(FakeResults(b"a\n1\n"), schema_of("a LONG"), "csv.gz")
        assert body[4:8] == bytes(4)

    def test_nobody_wants_the_rest(self) -> None:
        results = FakeResults(csv_file(["a"], [("x" * 50,)] * 1000))
        wanted = iter([True, False])
        with open_part(results.files()[0], schema_of("a STRING"), "csv", "name", lambda: next(wanted)) as part:
            assert len(part.read(100)) == 100
            with pytest.raises(Unwanted):
                part.read(100)
        assert results.files()[0].opened[0].closed

    def test_header_that_differs(self) -> None:
        with pytest.raises(AmcResultError, match="result file 1"):
            parts(FakeResults(b"a\n1\n", b"b\n1\n"), schema_of("a LONG"), "csv")


class TestParquet:
    @PROPERTY
    @given(hard=hard_tables(nul=True))
    def test_round_trip(self, hard: HardTable) -> None:
        rows: list[Any] = []
        for body, file in parts(hard.results, hard.schema, "parquet"):
            table = pq.read_table(io.BytesIO(body))
            assert table.schema == hard.schema
            assert table.num_rows == file.rows
            rows.extend(zip(*(values.to_pylist() for values in table.columns), strict=True))
        assert rows == list(hard.rows)

    def test_compression(self) -> None:
        ((body, _),) = parts(FakeResults(b"a\n1\n"), schema_of("a LONG"), "parquet")
        assert pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0).compression == "ZSTD"

    def test_dictionaries_of_values_that_repeat_only(self) -> None:
        names = ["campaign", "spend", "id", "share", "none"]
        rows = [(f"name {number % 7}", f"{number % 9}.5", number, number / 7, None) for number in range(2_000)]
        schema = schema_of("campaign STRING", "spend DECIMAL", "id LONG", "share DOUBLE", "none LONG")
        ((body, _),) = parts(FakeResults(csv_file(names, rows)), schema, "parquet")
        group = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0)
        chunks = [group.column(number) for number in range(group.num_columns)]
        found = [chunk.path_in_schema for chunk in chunks if "RLE_DICTIONARY" in chunk.encodings]
        assert found == ["campaign", "spend", "none"]

    def test_first_rows_that_are_not_like_the_others(self) -> None:
        rows = [(max(0, number - 15_000),) for number in range(30_000)]
        ((body, _),) = parts(FakeResults(csv_file(["id"], rows)), schema_of("id LONG"), "parquet")
        assert pq.read_table(io.BytesIO(body)).column("id").to_pylist() == [row[0] for row in rows]

    def test_row_groups_are_sent_before_the_file_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "_ROW_GROUP", 1 << 20)
        data = csv_file(["a", "b"], [(number, f"name {number % 1000}") for number in range(200_000)])
        results = FakeResults(lambda: ShortReads(data, 1 << 16))
        body = b""
        with open_part(results.files()[0], schema_of("a LONG", "b STRING"), "parquet", "name") as part:
            body += part.read(1000)
            assert part.landed().rows < 200_000
            body += part.read()
            assert part.landed().rows == 200_000
        found = pq.ParquetFile(io.BytesIO(body))
        assert found.num_row_groups > 2
        assert found.read().column("a").to_pylist() == list(range(200_000))

    def test_the_error_of_half_a_result_stays_what_it_is(self) -> None:
        error = AmcResultError("gave up")
        with pytest.raises(AmcResultError) as caught:
            parts(FakeResults(lambda: Broken(b"a\n1\n", error)), schema_of("a LONG"), "parquet")
        assert caught.value is error


class TestNames:
    def test_the_same_for_the_same_execution_only(self) -> None:
        assert part_name("e-1", 3, "csv") == part_name("e-1", 3, "csv")
        assert len({part_name(execution, 3, "csv") for execution in ("e-1", "e-2", "e-3")}) == 3

    @pytest.mark.parametrize(
        ("file_format", "ending"), [("csv", ".csv"), ("csv.gz", ".csv.gz"), ("parquet", ".parquet")]
    )
    def test_in_the_order_of_the_files(self, file_format: str, ending: str) -> None:
        names = [part_name("e-1", index, file_format) for index in (0, 1, 12)]
        assert names == sorted(names)
        assert all(name.startswith("part-000") and name.endswith(ending) for name in names)
