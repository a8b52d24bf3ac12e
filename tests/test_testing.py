"""What the fixture gives to a test, on the emulator that the tests of this project share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcDeadlineError, AmcExecutionRejectedError, AmcValidationError
from airflow_provider_amc.testing import AmcEmulator

USERS = [
    {"user_id": user, "campaign": campaign, "impressions": 1, "impression_dt_utc": f"2019-03-0{day}T23:30:00"}
    for user, campaign, day in (("a", "Spring", 1), ("b", "Spring", 2), ("c", "Spring", 2), ("a", "Winter", 2), ("b", "Winter", 2))
]  # fmt: skip
REACH = "SELECT campaign, COUNT(DISTINCT user_id) AS users FROM dsp_impressions GROUP BY campaign"


@pytest.fixture
def amc(emulator: EmulatorServer) -> Iterator[AmcEmulator]:
    amc = AmcEmulator(emulator)
    yield amc
    amc.close()


def test_what_a_test_needs_to_reach_it(amc: AmcEmulator) -> None:
    assert amc.url.startswith("http://127.0.0.1:")
    assert amc.connection["host"] == amc.url
    assert json.loads(amc.airflow_connection) == amc.connection
    assert [account.account_id for account in amc.client.accounts.list()] == ["ENTITYEMULATOR01"]
    assert amc.requests[-1]["operation"] == "listAccounts"
    assert amc.requests_of("listAccounts") == amc.requests[-1:]


def test_a_query_sees_rows_of_any_time(amc: AmcEmulator) -> None:
    amc.load_table("dsp_impressions", USERS)
    assert amc.query(REACH) == [{"campaign": "Spring", "users": 3}, {"campaign": "Winter", "users": 2}]


@pytest.mark.parametrize(
    "window",
    [
        {"start": date(2019, 3, 2), "end": date(2019, 3, 3)},
        {"start": "2019-03-02", "end": "2019-03-03"},
        {"start": datetime(2019, 3, 2, 1), "end": "2019-03-03T00:00:00"},
        {"start": "2019-03-03", "end": "2019-03-04", "time_zone": "Asia/Tokyo"},
    ],
)
def test_a_query_over_a_window(amc: AmcEmulator, window: dict[str, Any]) -> None:
    amc.load_table("dsp_impressions", pd.DataFrame(USERS))
    assert amc.query(REACH, **window) == [{"campaign": "Spring", "users": 2}, {"campaign": "Winter", "users": 2}]


def test_a_query_of_a_file(amc: AmcEmulator, tmp_path: Path) -> None:
    file = tmp_path / "reach.sql"
    file.write_text(f"-- reach\n{REACH}\n", encoding="utf-8")
    amc.load_table("dsp_impressions", USERS)
    assert amc.query(file) == amc.query(REACH)


def test_values_have_amcs_types_and_rows_are_in_order(amc: AmcEmulator) -> None:
    amc.load_table(
        "mine",
        [
            {"name": name, "n": n, "amount": Decimal("1.25"), "day": date(2026, 1, n), "at": datetime(2026, 1, n, 3), "ok": True}
            for name, n in (("b", 2), (None, 3), ("a", 4), ("a", 1))
        ],
    )  # fmt: skip
    sql = "SELECT name, n, MAX(day) AS day, MAX(at) AS at, SUM(amount) AS amount, SUM(n) / 2 AS half, ok FROM mine GROUP BY name, n, ok"
    rows = amc.query(sql)
    assert [(row["name"], row["n"]) for row in rows] == [("a", 1), ("a", 4), ("b", 2), (None, 3)]
    assert rows[0] == {
        "name": "a",
        "n": 1,
        "day": date(2026, 1, 1),
        "at": datetime(2026, 1, 1, 3),
        "amount": Decimal("1.25"),
        "half": 0.5,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("value", "condition", "expected"),
    [
        ("Winter", "campaign = CUSTOM_PARAMETER('p')", ["Winter"]),
        (["Spring", "Autumn"], "ARRAY_CONTAINS(CUSTOM_PARAMETER('p'), campaign)", ["Spring"]),
        (5, "impressions < CUSTOM_PARAMETER('p')", ["Spring", "Winter"]),
        (0.5, "impressions > CUSTOM_PARAMETER('p')", ["Spring", "Winter"]),
        (True, "CUSTOM_PARAMETER('p')", ["Spring", "Winter"]),
        (datetime(2019, 3, 2), "impression_dt_utc < CUSTOM_PARAMETER('p')", ["Spring"]),
        (date(2019, 3, 3), "impression_dt_utc < CUSTOM_PARAMETER('p')", ["Spring", "Winter"]),
    ],
)
def test_parameters_are_declared_by_their_values(
    amc: AmcEmulator, value: Any, condition: str, expected: list[str]
) -> None:
    rows = [*USERS, {**USERS[0], "user_id": "d"}]
    amc.load_table("dsp_impressions", rows)
    sql = f"SELECT campaign, SUM(impressions) AS n FROM dsp_impressions WHERE {condition} GROUP BY campaign"
    assert [row["campaign"] for row in amc.query(sql, parameter_values={"p": value})] == expected


def test_an_empty_list_needs_a_declaration(amc: AmcEmulator) -> None:
    sql = "SELECT COUNT(*) AS n FROM dsp_impressions WHERE ARRAY_CONTAINS(CUSTOM_PARAMETER('p'), campaign)"
    with pytest.raises(AmcValidationError, match="p is empty, so its type is unknown"):
        amc.query(sql, parameter_values={"p": []})
    kind = {"type": "ARRAY", "elementDataType": "STRING", "elementNullable": False}
    declared = [{"name": "p", "dataType": kind}]
    assert amc.query(sql, parameter_values={"p": []}, input_parameters=declared) == [{"n": 0}]


def test_a_query_without_the_privacy_rules_runs_on_the_sandbox(amc: AmcEmulator) -> None:
    amc.load_table("dsp_impressions", USERS)
    rows = amc.query("SELECT user_id, campaign FROM dsp_impressions", disable_aggregation_controls=True)
    assert [(row["user_id"], row["campaign"]) for row in rows] == sorted(
        (row["user_id"], row["campaign"]) for row in USERS
    )
    (entry,) = amc.requests_of("createWorkflowExecution")
    assert entry["path"].split("/")[3] == "amcsandbox"


def test_a_wrong_query_raises_amcs_text(amc: AmcEmulator) -> None:
    with pytest.raises(AmcExecutionRejectedError, match=r"line 3, column 31 .* Column 'campain' not found"):
        amc.query("SELECT\ncampain\nFROM dsp_impressions GROUP BY campain")


def test_a_query_that_takes_virtual_time_is_given_up(amc: AmcEmulator) -> None:
    amc.faults.add(operation="createWorkflowExecution", kind="duration", seconds=3600)
    assert [fault["kind"] for fault in amc.faults.list()] == ["duration"]
    with pytest.raises(AmcDeadlineError, match=r"move the clock with clock.advance\(hours=1\)"):
        amc.query(REACH, timeout=0.05)
    amc.faults.add({"operation": "token", "kind": "status"}, times=3)
    assert [(fault["operation"], fault["times"]) for fault in amc.faults.list()] == [("token", 3)]
    amc.faults.clear()
    assert amc.faults.list() == []


def test_the_clock(amc: AmcEmulator) -> None:
    assert amc.clock.set("2026-03-11T06:00:00Z") - amc.clock.now() < timedelta(seconds=1)
    assert f"{amc.clock.advance(hours=2, minutes=30):%H:%M}" == "08:30"
    assert f"{amc.clock.advance(timedelta(days=-1)):%d %H:%M}" == "10 08:30"
    assert f"{amc.clock.advance(1800):%d %H:%M}" == "10 09:00"
    assert f"{amc.clock.set(datetime(2026, 1, 1, 12, tzinfo=UTC)):%Y-%m-%d %H}" == "2026-01-01 12"


def test_reset(amc: AmcEmulator) -> None:
    amc.load_table("dsp_impressions", USERS)
    amc.reset()
    assert amc.requests == []
    assert "Spring" not in {row["campaign"] for row in amc.query(REACH)}
