from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from airflow_provider_amc.landing.window_files import WindowFiles, partition_values
from tests.landing.results import audit

PLACE = "s3://bucket/lake/reach/"


def named(**origin: object) -> WindowFiles:
    return WindowFiles.of("db", "reach", replace(audit(), **origin))  # type: ignore[arg-type]


def test_values() -> None:
    berlin = timezone(timedelta(hours=1))
    start = datetime(2026, 3, 1, 1, 30, 15, 250000, tzinfo=berlin)
    assert partition_values(replace(audit(), window_start=start)) == [
        "amcone", "reach", "2026-03-01 00:30:15.250000", "2026-03-02 00:00:00",
    ]  # fmt: skip


def test_null_in_the_way_of_hive() -> None:
    null = "__HIVE_DEFAULT_PARTITION__"
    assert partition_values(replace(audit(windowless=True), instance_id="")) == [null, "reach", null, null]


@pytest.mark.parametrize(
    "origin",
    [{"instance_id": "other"}, {"workflow_id": "other"}, {"window_start": datetime(2026, 2, 1, tzinfo=UTC)},
     {"window_end": datetime(2026, 4, 1, tzinfo=UTC)}],
    ids=lambda origin: next(iter(origin)),
)  # fmt: skip
def test_every_window_has_a_folder(origin: dict[str, object]) -> None:
    assert named().window != named(**origin).window
    assert named().table == named(**origin).table


def test_the_execution_does_not_choose_the_window() -> None:
    first, second = named(), named(workflow_execution_id="e-2", loaded_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert first.window == second.window
    assert first.name != second.name


def test_tables_do_not_share_folders() -> None:
    marks = {WindowFiles.of(database, table, audit()).table for database in "ab" for table in ("one", "two")}
    assert len(marks) == 4


def test_a_fresh_folder_is_never_the_one_that_is_read() -> None:
    files = named()
    current, seen = "", []
    for _ in range(3):
        folder = files.fresh(current, PLACE)
        # Tried again, it is the same.
        assert files.fresh(current, PLACE) == folder
        assert f"{PLACE}{folder}" != current
        current = f"{PLACE}{folder}"
        seen.append(folder)
    assert seen[0] == seen[2] != seen[1]
    other = named(workflow_execution_id="e-2")
    assert other.fresh(current, PLACE) not in seen


def test_what_loads_have_written() -> None:
    files = named()
    for mine in (files, named(workflow_execution_id="e-2"), named(workflow_id="other")):
        assert files.wrote(f"{mine.fresh('', PLACE)}{files.name}")
    for name in ("notes.txt", f"{files.window}notes.txt", f"{files.fresh('', PLACE)}notes.parquet",
                 WindowFiles.of("db", "two", audit()).fresh("", PLACE) + files.name):  # fmt: skip
        assert not files.wrote(name)


def test_no_name_is_hidden_from_athena() -> None:
    files = named()
    parts = f"{files.fresh('', PLACE)}{files.name}".split("/")
    assert not [part for part in parts if part.startswith(("_", "."))]
