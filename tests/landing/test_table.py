from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_amc.exceptions import AmcLoadError, AmcValidationError
from airflow_provider_amc.landing.table import Audit, Load, TableName, key_columns
from tests.landing.results import audit, load_of, schema_of


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
            AmcValidationError, match="mode 'merge' is not one of replace_window, append, upsert, replace_table"
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
        assert audit.named(Audit.KEY) == ("i", "w", datetime(2026, 3, 1), datetime(2026, 3, 2))


class TestKeys:
    def test_keys_of_the_result_and_of_the_load(self) -> None:
        load = load_of("t", schema_of("a LONG"), mode="upsert", keys=["a", "_amc_window_start"])
        assert load.keys == ("a", "_amc_window_start")

    def test_keys_that_the_result_lacks(self) -> None:
        with pytest.raises(
            AmcLoadError, match="keys names b, _amc_loaded_at, and the result has no such columns: it has a"
        ):
            load_of("t", schema_of("a LONG"), mode="upsert", keys=["b", "a", "_amc_loaded_at"])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"mode": "upsert"}, "mode='upsert' needs keys"),
            ({"keys": ["a"]}, "keys work with mode='upsert' only, and mode is 'replace_window'"),
            ({"mode": "upsert", "keys": ["a", "b", "a"]}, "keys names a more than once"),
            ({"schema_policy": "ignore"}, "schema_policy 'ignore' is not one of evolve, freeze, fail"),
        ],
    )
    def test_wrong_options(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(AmcValidationError, match=message):
            load_of("t", schema_of("a LONG"), **arguments)

    def test_one_name_is_one_key(self) -> None:
        assert key_columns("user id, really") == ("user id, really",)
        assert key_columns(["a", "b"]) == ("a", "b")
        assert key_columns(None) == ()

    @pytest.mark.parametrize("keys", [[""], [1], [None]])
    def test_keys_that_are_no_names(self, keys: Any) -> None:
        with pytest.raises(AmcValidationError, match="keys has to be a list of column names"):
            key_columns(keys)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_audit_columns_of_a_batch(rows: int) -> None:
    early = datetime(1, 1, 1, 0, 0, 0, 1)
    origin = replace(audit(workflow="ümläut 😀", windowless=True), loaded_at=early, instance_id="")
    load = Load(TableName(("t",)), schema_of("n LONG"), origin, "append")
    batch = load.with_origin(pa.record_batch([pa.array(range(rows), pa.int64())], schema=load.schema))
    batch.validate(full=True)
    assert batch.schema == load.full_schema
    assert batch.to_pylist() == [
        {"n": row, **dict(zip(Audit.SCHEMA.names, ["", "ümläut 😀", "e-1", None, None, early], strict=True))}
        for row in range(rows)
    ]


def test_audit_columns_take_no_pandas() -> None:
    """It would take longer to import than to write some hundred thousand rows, and more memory."""
    code = """
import sys, pyarrow as pa
from tests.landing.results import audit, load_of, schema_of
assert "pandas" not in sys.modules
load = load_of("t", schema_of("n LONG"))
assert load.with_origin(pa.RecordBatch.from_arrays([pa.nulls(2, pa.int64())], schema=load.schema)).num_rows == 2
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
