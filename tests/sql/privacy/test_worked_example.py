"""The worked example of AMC's guide (AMC documentation, "Append aggregation threshold columns").

Four rows of impressions and clicks by device (LOW) and postal code (HIGH). The guide's table of user counts, 13, 22
and 157, fits neither its own rows nor the cap of 100 it names; the counts here follow from the rows.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from airflow_provider_amc.emulator.engine import Engine
from tests.sql.privacy import emulated
from tests.sql.privacy.decision import Mode

#: Device, postal code, impressions and their users, clicks and theirs.
GROUPS = [
    ("iPhone", "11111", 1100, 50, 300, 13),
    ("Android", "22222", 200, 30, 100, 8),
    ("Android", "33333", 1300, 133, 500, 87),
    ("Android", "44444", 1700, 108, 700, 359),
]

EVENTS = "amazon_attributed_events_by_traffic_time"
ONE_TABLE = (
    "SELECT SUM(impressions) AS impressions, SUM(clicks) AS clicks, device_type, postal_code"
    f" FROM {EVENTS} GROUP BY device_type, postal_code"
)
TWO_TABLES = (
    "WITH events AS (SELECT impressions, 0 AS clicks, device_type, postal_code FROM dsp_impressions"
    " UNION ALL SELECT 0, clicks, device_type, postal_code FROM dsp_clicks)"
    " SELECT SUM(impressions) AS impressions, SUM(clicks) AS clicks, device_type, postal_code"
    " FROM events GROUP BY device_type, postal_code"
)


def _spread(total: int, users: int) -> list[int]:
    """A total of so many users, in nearly equal parts."""
    each, more = divmod(total, users)
    return [each + (number < more) for number in range(users)]


def _events(metric: str) -> list[dict[str, Any]]:
    return [
        {"user_id": f"{postal}-{number}", "device_type": device, "postal_code": postal, metric: amount}
        for device, postal, impressions, viewers, clicks, clickers in GROUPS
        for number, amount in enumerate(
            _spread(*((impressions, viewers) if metric == "impressions" else (clicks, clickers)))
        )
    ]


@pytest.fixture(scope="module", autouse=True)
def data(engine: Engine) -> None:
    engine.load_table("dsp_impressions", _events("impressions"))
    engine.load_table("dsp_clicks", _events("clicks"))
    engine.load_table(EVENTS, list(chain(_events("impressions"), _events("clicks"))))


both = pytest.mark.parametrize("sql", [ONE_TABLE, TWO_TABLES], ids=["one-table", "two-tables"])


def sorted_rows(engine: Engine, sql: str, mode: Mode | None) -> list[tuple[Any, ...]]:
    return sorted(emulated.rows(engine, sql, mode))


@both
@pytest.mark.covers("rule", "disableAggregationControls")
def test_without_controls(engine: Engine, sql: str) -> None:
    found = emulated.rows(engine, sql, None)
    assert sorted(found) == sorted((i, c, device, postal) for device, postal, i, _, c, _ in GROUPS)


@both
@pytest.mark.covers("rule", "privacyFilteringBehavior: REMOVE_ROWS")
@pytest.mark.covers("rule", "the worked example of the documentation")
def test_by_default_only_the_row_with_enough_users_of_both_metrics_stays(engine: Engine, sql: str) -> None:
    assert sorted_rows(engine, sql, Mode()) == [(1700, 700, "Android", "44444")]


@both
@pytest.mark.covers("rule", "privacyFilteringBehavior: REMOVE_VALUES")
@pytest.mark.covers("rule", "the worked example of the documentation")
def test_values_can_go_instead_of_rows(engine: Engine, sql: str) -> None:
    assert sorted_rows(engine, sql, Mode("REMOVE_VALUES")) == [
        (200, 100, "Android", None),
        (1100, 300, "iPhone", None),
        (1300, 500, "Android", None),
        (1700, 700, "Android", "44444"),
    ]


@both
@pytest.mark.covers("rule", "filteredMetricsDiscriminatorColumn")
@pytest.mark.covers("rule", "the worked example of the documentation")
def test_rows_that_lost_their_postal_code_are_merged(engine: Engine, sql: str) -> None:
    assert sorted_rows(engine, sql, Mode(discriminator=True)) == [
        (1100, 300, "iPhone", None, True),
        (1500, 600, "Android", None, True),
        (1700, 700, "Android", "44444", False),
    ]


@both
@pytest.mark.covers("rule", "distinctUserCountColumn")
def test_the_user_count_is_that_of_the_metric_with_the_fewest(engine: Engine, sql: str) -> None:
    assert sorted_rows(engine, sql, Mode("REMOVE_VALUES", user_count=True)) == [
        (200, 100, "Android", None, 8),
        (1100, 300, "iPhone", None, 13),
        (1300, 500, "Android", None, 87),
        (1700, 700, "Android", "44444", 100),
    ]
    assert sorted_rows(engine, sql, Mode(discriminator=True, user_count=True)) == [
        (1100, 300, "iPhone", None, True, 13),
        (1500, 600, "Android", None, True, 95),
        (1700, 700, "Android", "44444", False, 100),
    ]


@pytest.mark.parametrize(
    ("sql", "reasons", "merged"),
    [
        (
            ONE_TABLE,
            {
                "iPhone11111": f"50 '{EVENTS}' users < 100 required",
                "Android22222": f"30 '{EVENTS}' users < 100 required",
                "Android33333": f"87 '{EVENTS}' effective users < 100 required",
                "Android44444": None,
            },
            f"30 '{EVENTS}' users < 100 required",
        ),
        (
            TWO_TABLES,
            {
                "iPhone11111": "13 'dsp_clicks' users < 100 required",
                "Android22222": "8 'dsp_clicks' users < 100 required",
                "Android33333": "87 'dsp_clicks' users < 100 required",
                "Android44444": None,
            },
            "8 'dsp_clicks' users < 100 required",
        ),
    ],
    ids=["one-table", "two-tables"],
)
@pytest.mark.covers("rule", "filteredReasonColumn")
def test_the_reason(engine: Engine, sql: str, reasons: dict[str, str | None], merged: str) -> None:
    totals = {impressions: device + postal for device, postal, impressions, *_ in GROUPS}
    found = emulated.rows(engine, sql, Mode("REMOVE_VALUES", reason=True))
    assert {totals[row[0]]: row[-1] for row in found} == reasons
    found = emulated.rows(engine, sql, Mode(discriminator=True, reason=True))
    assert {row[0]: row[-1] for row in found} == {1100: reasons["iPhone11111"], 1500: merged, 1700: None}


@pytest.mark.covers("rule", "filteredReasonColumn")
def test_the_reason_names_one_of_several_uses_of_a_table(engine: Engine) -> None:
    sql = (
        "WITH shown AS (SELECT user_id, postal_code, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1, 2),"
        " clicked AS (SELECT user_id, SUM(impressions) AS n FROM dsp_impressions WHERE impressions > 22 GROUP BY 1)"
        " SELECT shown.postal_code, COUNT(DISTINCT clicked.user_id) AS users FROM shown"
        " LEFT JOIN clicked ON shown.user_id = clicked.user_id GROUP BY 1"
    )
    engine.load_table("dsp_impressions", [
        {"user_id": f"u{number}", "postal_code": "1", "impressions": 23 if number < 97 else 1} for number in range(120)
    ])  # fmt: skip
    try:
        found = emulated.rows(engine, sql, Mode("REMOVE_VALUES", user_count=True, reason=True))
    finally:
        engine.load_table("dsp_impressions", _events("impressions"))
    assert found == [(None, 97, 97, "97 'dsp_impressions' (path 2 of 2) users < 100 required")]


@pytest.mark.parametrize(
    ("columns", "capped"),
    [
        ("COUNT(*) AS n", 2),
        ("device_type, COUNT(*) AS n", 2),
        ("SUM(bid_price) AS n", 100),
        ("postal_code, COUNT(*) AS n", 100),
    ],
)
@pytest.mark.covers("rule", "distinctUserCountColumn")
def test_the_strictest_column_caps_the_user_count(engine: Engine, columns: str, capped: int) -> None:
    group = f" GROUP BY {columns.split(',')[0]}" if "," in columns else ""
    sql = f"SELECT {columns} FROM dsp_impressions WHERE device_type = 'Android'{group}"
    found = emulated.rows(engine, sql, Mode(user_count=True))
    assert {row[-1] for row in found} == {capped}


@pytest.mark.covers("rule", "filteredReasonColumn")
def test_one_user_who_makes_the_whole_total_is_too_few(engine: Engine) -> None:
    engine.load_table("conversions", [
        {"user_id": "a", "event_type": "x", "conversions": 60}, {"user_id": "b", "event_type": "x", "conversions": 59},
        {"user_id": "a", "event_type": "y", "conversions": 60}, {"user_id": "b", "event_type": "y", "conversions": 60},
    ])  # fmt: skip
    sql = "SELECT event_type, SUM(conversions) AS n FROM conversions GROUP BY 1"
    assert emulated.as_multiset(emulated.rows(engine, sql, Mode(discriminator=True, user_count=True, reason=True))) == (
        emulated.as_multiset([
            (None, 119, True, 2, "1 'conversions' equivalent users < 2 required"),
            ("y", 120, False, 2, None),
        ])
    )  # fmt: skip


@pytest.mark.covers("rule", "distinctUserCountColumn")
def test_no_counts_where_nothing_belongs_to_users(engine: Engine) -> None:
    engine.load_table("segment_metadata", [{"segment_id": 1, "segment_name": "cats"}])
    sql = "SELECT segment_name, COUNT(*) AS n FROM segment_metadata GROUP BY 1"
    assert emulated.rows(engine, sql, Mode(user_count=True, reason=True)) == [("cats", 1, None, None)]
    assert emulated.rows(engine, sql, Mode(discriminator=True, user_count=True)) == [("cats", 1, False, None)]


@pytest.mark.covers("rule", "Appended columns")
def test_the_appended_columns_are_described(engine: Engine) -> None:
    found = emulated.compiled(engine, ONE_TABLE, Mode(discriminator=True, user_count=True, reason=True))
    assert [(column.name, column.data_type, column.column_type) for column in found.output_columns[-3:]] == [
        (emulated.FILTERED, "BOOLEAN", "DIMENSION"),
        (emulated.USERS, "LONG", "DIMENSION"),
        (emulated.REASON, "STRING", "DIMENSION"),
    ]
