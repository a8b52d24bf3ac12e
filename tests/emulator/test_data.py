"""The synthetic rows: repeatable, complete, and consistent with each other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_amc.emulator.data import chance, facts, world
from airflow_provider_amc.emulator.data.tables import TABLES
from airflow_provider_amc.emulator.engine import Engine
from airflow_provider_amc.emulator.tables import SyntheticTable, TableRegistry, _fields
from airflow_provider_amc.sql import catalogue
from airflow_provider_amc.sql.sources import USER_KEY

NOW = dt.datetime(2026, 6, 15, 12, 0)
ALL = (dt.datetime(2025, 1, 1), dt.datetime(2027, 1, 1))
MARCH = (dt.datetime(2026, 3, 1), dt.datetime(2026, 4, 1))
_HASHES = duckdb.connect()
for _macro in chance.MACROS:
    _HASHES.execute(f"CREATE MACRO {_macro}")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(seed=7, scale="tiny", now=NOW)
    yield made
    made.close()


def rows(engine: Engine, sql: str, window: tuple[dt.datetime, dt.datetime] = ALL) -> list[dict[str, Any]]:
    compiled = engine.compile(sql, privacy=None, for_audience="_for_audiences" in sql)
    batches = engine.run(compiled, window_start=window[0], window_end=window[1])
    return [row for batch in batches for row in batch.to_pylist()]


def one(engine: Engine, items: str, table: str) -> dict[str, Any]:
    (row,) = rows(engine, f"SELECT {items} FROM {table}")
    return row


def test_the_hash_is_the_published_one() -> None:
    # Values of the finalizer of MurmurHash3 (32 bits)
    assert [chance.mix(value) for value in (0, 1, 2, 0xFFFFFFFF)] == [0, 0x514E28B7, 0x30F4C306, 0x81F16F39]


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 200))
def test_sql_and_python_draw_alike(key: int, salt: int) -> None:
    sql = "SELECT chance_draw(CAST($k AS UINTEGER), $s), chance_pick(CAST($k AS UINTEGER), $s, 10)"
    drawn, picked = _HASHES.cursor().execute(sql, {"k": key, "s": salt}).fetchone() or (None, None)
    assert drawn == chance.draw(key, salt)
    assert picked == chance.draw(key, salt) * 10 >> 32


def test_ids_have_18_digits(engine: Engine) -> None:
    for column in ("campaign_id", "advertiser_id", "line_item_id", "creative_id", "campaign_flight_id"):
        found = one(engine, f"MIN({column}) AS a, MAX({column}) AS b", "dsp_impressions")
        assert 10**17 <= found["a"] < found["b"] < 10**18


_CHECKSUM = """SELECT COUNT(*) AS n, SUM(HASH64(CONCAT(request_tag, campaign, COALESCE(user_id, ''), impression_dt_utc,
    impression_dt, site, supply_cost)) % 1000003) AS checksum FROM dsp_impressions"""
_CONVERSION_CHECKSUM = """SELECT COUNT(*) AS n, SUM(HASH64(CONCAT(conversion_id, user_id, event_dt_utc, event_subtype,
    total_product_sales)) % 1000003) AS checksum FROM conversions"""


@pytest.mark.parametrize("sql", [_CHECKSUM, _CONVERSION_CHECKSUM])
def test_a_month_does_not_depend_on_the_present(engine: Engine, sql: str) -> None:
    later = Engine(seed=7, scale="tiny", now=NOW + dt.timedelta(days=100))
    other = Engine(seed=8, scale="tiny", now=NOW)
    try:
        expected = rows(engine, sql, MARCH)
        assert rows(later, sql, MARCH) == expected
        assert rows(other, sql, MARCH) != expected
    finally:
        for made in (later, other):
            made.close()


@pytest.mark.covers("data", "13 months up to the virtual time", note="also when the clock goes back")
def test_the_clock_goes_forward_and_back() -> None:
    times = [NOW + dt.timedelta(days=days) for days in (-50, 41, 3000, -400)]
    traveller = Engine(seed=7, scale="tiny", now=NOW)
    traveller.truth()
    try:
        for now in times:
            traveller.advance_to(now)
            settled = Engine(seed=7, scale="tiny", now=now)
            try:
                window = (now - dt.timedelta(days=500), now + dt.timedelta(days=100))
                for sql in (_CHECKSUM, _CONVERSION_CHECKSUM):
                    found = rows(traveller, sql, window)
                    assert found == rows(settled, sql, window)
                    assert found[0]["n"] > 500
            finally:
                settled.close()
    finally:
        traveller.close()


_TIMES = {
    "dsp_impressions": "impression_dt_utc", "dsp_clicks": "click_dt_utc", "dsp_views": "event_dt_utc",
    "sponsored_ads_traffic": "event_dt_utc", "conversions": "event_dt_utc", "conversions_all": "event_dt_utc",
    "amazon_attributed_events_by_conversion_time": "conversion_event_dt_utc",
    "amazon_attributed_events_by_traffic_time": "traffic_event_dt_utc",
}  # fmt: skip


@pytest.mark.parametrize("table", _TIMES)
def test_rows_lie_in_13_months(engine: Engine, table: str) -> None:
    found = one(engine, f"MIN({_TIMES[table]}) AS first, MAX({_TIMES[table]}) AS last", table)
    assert dt.datetime(2025, 5, 15) <= found["first"] < dt.datetime(2025, 7, 15)
    assert NOW - dt.timedelta(days=20) < found["last"] < NOW


def _figures(threads: int, *spans: tuple[dt.date, dt.date]) -> dict[str, tuple[int, int]]:
    """Rows, and a sum over all cells, of each table of facts."""
    connection = duckdb.connect(":memory:", config={"threads": threads})
    made = facts.Facts(connection, 7, "tiny")
    made.create()
    for first, last in spans:
        made.fill(first, last)
    figures: dict[str, tuple[int, int]] = {}
    for table in facts.FACTS:
        names = [(name, kind) for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]
        cells = [
            f"coalesce(CAST({f'epoch_ms({name})' if kind == 'TIMESTAMP' else name} AS BIGINT), 1) % 65521 * {2 * n + 3}"
            for n, (name, kind) in enumerate(names)
        ]
        sql = f"SELECT count(*), CAST(sum(chance_mix({' + '.join(cells)})) AS BIGINT) FROM {table}"
        (row,) = connection.execute(sql).fetchall()
        figures[table] = (row[0], row[1])
    connection.close()
    return figures


@pytest.mark.covers("data", "equal rows for an equal seed", note="on every machine, with any number of threads")
@pytest.mark.parametrize(("threads", "compressed"), [(1, False), (4, False), (2, True)])
def test_the_rows_are_the_same_everywhere(threads: int, compressed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_COMPRESSED", 0 if compressed else 10**9)
    monkeypatch.setattr(facts, "_CHUNK", 1000 if compressed else 10**9)
    first, middle, last = dt.date(2025, 4, 15), dt.date(2026, 2, 15), dt.date(2026, 6, 15)
    # Written down once: a change of these numbers changes the data of every user
    expected = {
        "f_impression": (11348, 24268891732591),
        "f_click": (52, 116315800960),
        "f_sponsored": (5364, 11611050350044),
        "f_conversion": (845, 1782324658607),
    }
    assert _figures(threads, (first, last)) == expected
    assert _figures(threads, (middle, middle), (first, last)) == expected


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_documented_column_has_values(engine: Engine, table: str) -> None:
    columns = list(catalogue.get_table(table).columns)
    found = one(engine, ", ".join(f"COUNT({column}) AS {column}" for column in columns), table)
    ends = {
        f"{what}_end_{kind}{utc}"
        for what in ("campaign", "ad_group", "line_item")
        for kind in ("dt", "date")
        for utc in ("", "_utc")
    }
    empty = {column for column, count in found.items() if count == 0}
    # Sponsored ads run without an end, and big screens show neither pages nor a browser
    may_be_empty = {"sponsored_ads_traffic": ends, "dsp_video_events_feed": {"page_type", "browser_family"}}
    assert empty <= may_be_empty.get(table, set())
    assert set(TABLES[table].columns) >= set(columns)


@pytest.mark.covers("data", "audience twins have the same rows")
def test_twins_for_audiences_have_the_same_rows_but_those_of_deals(engine: Engine) -> None:
    for table in TABLES:
        twin = catalogue.get_table(table).audience_table
        where = " WHERE deal_id IS NULL" if table == "dsp_impressions" else ""
        assert one(engine, "COUNT(*) AS n", f"{table}{where}") == one(engine, "COUNT(*) AS n", str(twin))


@pytest.mark.covers("data", "a click has its impression")
def test_a_click_has_its_impression(engine: Engine) -> None:
    found = one(
        engine,
        """COUNT(*) AS n, COUNT(i.request_tag) AS matched, SUM(IF(i.campaign_id = c.campaign_id AND i.creative_id = c.creative_id
        AND i.impression_dt_utc = c.impression_dt_utc AND c.click_dt_utc > c.impression_dt_utc AND i.device_make IS NOT DISTINCT
        FROM c.device_make AND COALESCE(i.user_id, '') = COALESCE(c.user_id, '') AND i.supply_cost = c.supply_cost, 1, 0)) AS equal""",
        "dsp_clicks c LEFT JOIN dsp_impressions i ON i.request_tag = c.request_tag",
    )
    assert found["n"] == found["matched"] == found["equal"] > 20


def test_request_tags_name_one_impression(engine: Engine) -> None:
    found = one(engine, "COUNT(*) AS n, COUNT(DISTINCT request_tag) AS tags, SUM(impressions) AS i", "dsp_impressions")
    assert found["n"] == found["tags"] == found["i"]


@pytest.mark.covers("data", "a view has its impression")
def test_a_viewed_impression_gives_two_rows(engine: Engine) -> None:
    events = rows(engine, "SELECT impression_id, COLLECT(event_type) AS e FROM dsp_views GROUP BY impression_id")
    kinds = {tuple(sorted(row["e"])) for row in events}
    # An event at the very edge of the present may miss its pair
    assert {
        ("MEASURABLE_IMP",),
        ("MEASURABLE_IMP", "VIEW"),
        ("UNMEASURABLE_IMP",),
        ("SYNTHETIC_VIEW", "UNMEASURABLE_IMP"),
    } <= kinds
    assert len(kinds) == 4
    found = one(
        engine,
        "COUNT(*) AS n, COUNT(i.request_tag) AS m",
        "dsp_views v LEFT JOIN dsp_impressions i ON v.impression_id = i.request_tag",
    )
    assert found["n"] == found["m"] > 0


@pytest.mark.covers("data", "an attributed conversion has its ad event")
def test_an_attributed_conversion_has_its_ad_event(engine: Engine) -> None:
    dsp = one(
        engine,
        """COUNT(*) AS n, COUNT(i.request_tag) AS m, SUM(IF(i.campaign = e.campaign AND i.user_id = e.user_id
        AND i.site = e.site AND CAST(i.campaign_id AS VARCHAR) = e.campaign_id_string, 1, 0)) AS equal""",
        "amazon_attributed_events_by_traffic_time e LEFT JOIN dsp_impressions i ON i.request_tag = e.request_tag"
        " WHERE e.ad_product_type IS NULL",
    )
    assert dsp["n"] == dsp["m"] == dsp["equal"] > 50
    sponsored = one(
        engine,
        """COUNT(*) AS n, COUNT(s.event_id) AS m, SUM(IF(s.campaign = e.campaign AND s.user_id = e.user_id
        AND s.clicks = e.clicks AND s.event_dt_utc = e.traffic_event_dt_utc
        AND COALESCE(s.operating_system, '') = COALESCE(e.operating_system, ''), 1, 0)) AS equal""",
        "amazon_attributed_events_by_traffic_time e LEFT JOIN sponsored_ads_traffic s ON s.event_id = e.traffic_event_id"
        " WHERE e.ad_product_type IS NOT NULL",
    )
    assert sponsored["n"] == sponsored["m"] == sponsored["equal"] > 20


def test_attributed_measures_add_up(engine: Engine) -> None:
    columns = set(catalogue.get_table("amazon_attributed_events_by_traffic_time").columns)
    totals = [column for column in sorted(columns) if "total_" in column and not column.endswith(("_clicks", "_views"))]
    conditions = ["combined_sales = total_product_sales + off_amazon_product_sales"]
    for total in totals:
        plain = total.replace("total_", "")
        conditions.append(f"{total} = {plain} + {total.replace('total_', 'brand_halo_')}")
    split = [column for column in columns if f"{column}_clicks" in columns and f"{column}_views" in columns]
    conditions += [f"{column} = {column}_clicks + {column}_views" for column in split]
    assert len(totals) == 8
    assert len(split) > 25
    found = one(
        engine,
        f"COUNT(*) AS n, SUM(IF({' AND '.join(conditions)}, 1, 0)) AS good",
        "amazon_attributed_events_by_traffic_time",
    )
    assert found["n"] == found["good"] > 100


@pytest.mark.covers("data", "new-to-brand")
def test_new_to_brand_is_a_part_of_all(engine: Engine) -> None:
    found = one(
        engine,
        "SUM(total_purchases) AS p, SUM(new_to_brand_total_purchases) AS n, SUM(new_to_brand_total_product_sales) AS ns, SUM(total_product_sales) AS s",
        "amazon_attributed_events_by_conversion_time",
    )
    assert 0 < found["n"] < found["p"]
    assert Decimal(0) < found["ns"] < found["s"]


@pytest.mark.covers("data", "both tables of attributed events have the same rows")
def test_both_tables_of_attributed_events_have_the_same_rows(engine: Engine) -> None:
    inside = "traffic_event_dt_utc >= '2026-01-01' AND conversion_event_dt_utc < '2026-05-01'"
    items = "COUNT(*) AS n, SUM(total_units_sold) AS u, COUNT(DISTINCT traffic_event_id) AS t, SUM(total_product_sales) AS s"
    tables = ("amazon_attributed_events_by_traffic_time", "amazon_attributed_events_by_conversion_time")
    first, second = (one(engine, items, f"{table} WHERE {inside}") for table in tables)
    assert first == second


def test_attribution_looks_back_14_days(engine: Engine) -> None:
    lag = "SECONDS_BETWEEN(traffic_event_dt_utc, conversion_event_dt_utc)"
    found = one(engine, f"MIN({lag}) AS a, MAX({lag}) AS b", "amazon_attributed_events_by_traffic_time")
    assert 0 < found["a"] < 13 * 86400 < found["b"] <= 14 * 86400


@pytest.mark.covers("data", "conversions hold more than the attributed ones")
def test_conversions_hold_more_than_the_attributed_ones(engine: Engine) -> None:
    every = one(
        engine, "COUNT(*) AS n, COUNT(DISTINCT conversion_id) AS ids, SUM(total_product_sales) AS s", "conversions"
    )
    attributed = one(
        engine, "COUNT(*) AS n, SUM(total_product_sales) AS s", "amazon_attributed_events_by_conversion_time"
    )
    assert every["n"] == every["ids"] > attributed["n"]
    assert every["s"] >= attributed["s"] > 0


@pytest.mark.covers("data", "every conversion is relevant for a campaign")
def test_every_conversion_is_relevant_for_a_campaign(engine: Engine) -> None:
    found = one(
        engine,
        "COUNT(DISTINCT c.conversion_id) AS n, COUNT(DISTINCT r.conversion_id) AS m",
        "conversions c LEFT JOIN conversions_with_relevance r ON c.conversion_id = r.conversion_id",
    )
    assert found["n"] == found["m"] > 0
    scopes = rows(
        engine, "SELECT engagement_scope, COUNT(DISTINCT halo_code) AS h FROM conversions_with_relevance GROUP BY 1"
    )
    assert {row["engagement_scope"]: row["h"] for row in scopes} == {None: 0, "PROMOTED": 2, "BRAND_HALO": 6}


def test_prices_units_and_sales_agree(engine: Engine) -> None:
    found = one(
        engine,
        """COUNT(*) AS n, SUM(IF(total_product_sales = purchase_unit_price * total_units_sold AND total_units_sold > 0, 1, 0)) AS good""",
        "conversions WHERE event_category = 'purchase'",
    )
    assert found["n"] == found["good"] > 10
    assert one(engine, "SUM(total_units_sold) AS u", "conversions WHERE event_category <> 'purchase'")["u"] == 0


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("dsp_impressions", "user_id_type", {"adUserId", "sisDeviceId", "adBrowserId", None}),
        ("dsp_impressions", "device_type", {"Tablet", "Phone", "TV", "PC", "ConnectedDevice", "Unknown"}),
        ("dsp_impressions", "environment_type", {"Web", "App", None}),
        ("dsp_impressions", "creative_category", {"Display", "Video"}),
        ("dsp_impressions", "slot_position", {"ATF", "BTF", "UNKNOWN"}),
        ("dsp_impressions", "campaign_status", {"ENDED", "RUNNING"}),
        ("dsp_impressions", "campaign_sales_type", {"BILLABLE", "BONUS"}),
        ("sponsored_ads_traffic", "ad_product_type",
         {"sponsored_products", "sponsored_brands", "sponsored_display", "sponsored_television"}),
        ("sponsored_ads_traffic", "match_type", {"BROAD", "PHRASE", "EXACT", None}),
        ("sponsored_ads_traffic", "campaign_budget_type", {"DAILY_BUDGET", "LIFETIME_BUDGET"}),
        ("conversions", "event_category", {"purchase", "website", "off-Amazon"}),
        ("conversions", "event_type_class", {"consideration", "conversion", None}),
        ("amazon_attributed_events_by_traffic_time", "traffic_event_subtype", {"AD_IMP", "AD_CLICK"}),
    ],
)  # fmt: skip
def test_values_are_of_their_documented_sets(engine: Engine, table: str, column: str, values: set[str | None]) -> None:
    assert {row[column] for row in rows(engine, f"SELECT DISTINCT {column} FROM {table}")} == values


@pytest.mark.covers("data", "segments belong to the user")
def test_segments_of_a_user_are_those_of_the_impression(engine: Engine) -> None:
    for table, column in (("user", "user_behavior_segment_ids"), ("matched", "matched_behavior_segment_ids")):
        exploded = one(engine, "COUNT(*) AS n, SUM(behavior_segment_id) AS s", f"dsp_impressions_by_{table}_segments")
        packed = one(engine, "COUNT(*) AS n, SUM(e) AS s", f"(SELECT EXPLODE({column}) AS e FROM dsp_impressions)")
        assert exploded == packed
    matched = one(engine, "SUM(behavior_segment_matched) AS m", "dsp_impressions_by_user_segments")
    assert matched["m"] == one(engine, "COUNT(*) AS m", "dsp_impressions_by_matched_segments")["m"] > 0


@pytest.mark.covers("data", "video events follow each other")
def test_video_events_follow_each_other(engine: Engine) -> None:
    found = one(
        engine,
        """COUNT(*) AS n, SUM(IF(video_impression >= video_start AND video_start >= video_first_quartile AND video_midpoint
        >= video_third_quartile AND video_third_quartile >= video_complete, 1, 0)) AS good, MIN(creative_category) AS c""",
        "dsp_video_events_feed",
    )
    assert found["n"] == found["good"] > 0
    assert found["c"] == "Video"


@pytest.mark.covers("data", "conversions without ads")
def test_some_who_convert_saw_no_ad(engine: Engine) -> None:
    found = {
        row["e"]: row["n"]
        for row in rows(engine, "SELECT exposure_type AS e, COUNT(*) AS n FROM conversions_all GROUP BY 1")
    }
    assert set(found) == {"ad-exposed", "non-ad-exposed", "pixel"}
    assert found["ad-exposed"] + found["pixel"] == one(engine, "COUNT(*) AS n", "conversions")["n"]
    reached = one(
        engine,
        "COUNT(*) AS n",
        "conversions_all WHERE exposure_type = 'non-ad-exposed' AND user_id IN (SELECT user_id FROM dsp_impressions WHERE user_id IS NOT NULL)",
    )
    assert reached["n"] == 0


@pytest.mark.covers("data", "skewed user activity")
def test_some_users_are_unknown_and_some_see_many_ads(engine: Engine) -> None:
    found = one(engine, "COUNT(*) AS n, COUNT(user_id) AS known", "dsp_impressions")
    assert 0.9 < found["known"] / found["n"] < 0.97
    counts = sorted(
        row["n"]
        for row in rows(
            engine, "SELECT user_id, COUNT(*) AS n FROM dsp_impressions WHERE user_id IS NOT NULL GROUP BY 1"
        )
    )
    assert sum(counts[-len(counts) // 5 :]) > 0.4 * sum(counts)


def test_local_columns_are_in_the_time_zone_of_the_advertiser(engine: Engine) -> None:
    found = rows(
        engine,
        """SELECT advertiser_timezone, COUNT(*) AS n, SUM(IF(CASE advertiser_timezone
        WHEN 'America/Los_Angeles' THEN CONVERT_TIME_ZONE_FROM_UTC(impression_dt_utc, 'America/Los_Angeles')
        WHEN 'America/New_York' THEN CONVERT_TIME_ZONE_FROM_UTC(impression_dt_utc, 'America/New_York')
        ELSE CONVERT_TIME_ZONE_FROM_UTC(impression_dt_utc, 'America/Chicago') END = impression_dt
        AND CAST(impression_dt AS DATE) = impression_date AND HOUR(impression_dt) = impression_hour
        AND DATE_TRUNC('hour', impression_dt_utc) = impression_dt_hour_utc
        AND DAYOFMONTH(impression_dt_utc) = impression_day_utc, 1, 0)) AS good FROM dsp_impressions GROUP BY 1""",
    )
    assert len(found) == 3
    assert all(row["n"] == row["good"] > 0 for row in found)


def test_impressions_lie_within_their_campaign(engine: Engine) -> None:
    found = one(
        engine,
        "COUNT(*) AS n, SUM(IF(impression_dt_utc >= campaign_start_date_utc AND impression_dt_utc < campaign_end_date_utc, 1, 0)) AS good",
        "dsp_impressions",
    )
    assert found["n"] == found["good"]


def test_costs_have_their_units(engine: Engine) -> None:
    # Microcents and millicents: a thousand impressions cost some dollars, a click less than three
    found = one(
        engine,
        """SUM(total_cost) / 100000 / SUM(impressions) * 1000 AS cpm, SUM(supply_cost) / 100000000 / SUM(impressions) * 1000 AS supply,
        SUM(IF(total_cost = impression_cost, 0, 1)) AS odd""",
        "dsp_impressions",
    )
    assert 2 < found["supply"] < found["cpm"] < 60
    assert found["odd"] == 0
    clicks = one(
        engine,
        "SUM(spend) / 100000000 / SUM(clicks) AS cpc",
        "sponsored_ads_traffic WHERE ad_product_type = 'sponsored_products'",
    )
    assert 0.4 < clicks["cpc"] < 3


def test_sponsored_rows_are_a_view_or_a_click(engine: Engine) -> None:
    found = one(
        engine,
        """COUNT(*) AS n, SUM(impressions) AS i, SUM(clicks) AS c, MAX(impressions + clicks) AS most,
        SUM(IF(video_complete_views > video_third_quartile_views OR video_midpoint_views > video_first_quartile_views
        OR viewable_impressions > impressions, 1, 0)) AS odd""",
        "sponsored_ads_traffic",
    )
    assert found["n"] == found["i"] + found["c"]
    assert (found["most"], found["odd"]) == (1, 0)


def test_sponsored_campaigns_have_two_ids(engine: Engine) -> None:
    found = rows(engine, "SELECT campaign_id, campaign_id_string FROM sponsored_ads_traffic GROUP BY 1, 2")
    assert all(str(row["campaign_id"]) != row["campaign_id_string"] for row in found)
    dsp = rows(engine, "SELECT campaign_id, campaign_id_string FROM dsp_impressions GROUP BY 1, 2")
    assert all(str(row["campaign_id"]) == row["campaign_id_string"] for row in dsp)


@pytest.mark.covers("data", "a click on a video is a click")
def test_clicks_on_videos_are_clicks(engine: Engine) -> None:
    found = one(engine, "SUM(video_click) AS n, COUNT(DISTINCT campaign) AS c", "dsp_video_events_feed")
    clicks = one(
        engine,
        "COUNT(*) AS n",
        "dsp_clicks c JOIN dsp_video_events_feed v ON v.request_tag = c.request_tag WHERE v.video_click = 1",
    )
    assert found["n"] == clicks["n"]
    videos = one(engine, "COUNT(*) AS n", "dsp_impressions WHERE creative_category = 'Video'")
    assert one(engine, "COUNT(*) AS n", "dsp_video_events_feed") == videos


def test_who_is_new_to_a_brand_has_not_bought_of_it(engine: Engine) -> None:
    bought = """
        WITH bought AS (
            SELECT user_id, advertiser, new_to_brand, event_dt_utc FROM conversions_with_relevance
            WHERE event_category = 'purchase' GROUP BY 1, 2, 3, 4
        )
        SELECT b.new_to_brand AS new_to_brand, COUNT(*) AS n, COUNT(earlier.user_id) AS earlier FROM bought b
        LEFT JOIN bought earlier ON earlier.user_id = b.user_id AND earlier.advertiser = b.advertiser
            AND earlier.event_dt_utc < b.event_dt_utc GROUP BY 1"""
    engine = Engine(seed=7, scale=60_000, now=NOW)
    try:
        found = {row["new_to_brand"]: row for row in rows(engine, bought)}
    finally:
        engine.close()
    assert found[True]["n"] > found[False]["n"] > 0
    assert (found[True]["earlier"], found[False]["earlier"] > 0) == (0, True)


@pytest.mark.covers("data", "marginals", note="devices, sites, regions, days of the week, season")
def test_marginals_are_uneven(engine: Engine) -> None:
    def shares(column: str, where: str = "") -> dict[Any, float]:
        sql = f"SELECT {column} AS one, COUNT(DISTINCT user_id) AS n FROM dsp_impressions{where} GROUP BY 1"
        counts = {row["one"]: row["n"] for row in rows(engine, sql)}
        return {one: count / sum(counts.values()) for one, count in counts.items()}

    places = shares("postal_code")
    for share, *_, postal_code, _ in world.PLACES[:4]:
        assert abs(places[f"US-{postal_code}"] - share / 1000) < 0.05
    devices = shares("device_type", " WHERE creative_category = 'Display'")
    assert devices["Phone"] > devices["PC"] > devices["Tablet"] > devices["Unknown"] > 0
    screens = shares("device_type", " WHERE creative_category = 'Video'")
    assert set(screens) == {"TV", "ConnectedDevice"}
    advertisers = shares("advertiser")
    assert advertisers["Kestrel & Pine"] > 1.5 * advertisers["Tallgrass Pantry"]
    days = {
        row["d"]: row["n"]
        for row in rows(
            engine, "SELECT DAYOFWEEK(impression_dt_utc) AS d, COUNT(*) AS n FROM dsp_impressions GROUP BY 1"
        )
    }
    assert days[1] + days[7] > 1.1 * (days[3] + days[4])
    holidays, summer = (
        sum(row["n"] for row in rows(engine, "SELECT COUNT(*) AS n FROM dsp_impressions", window))
        for window in (
            (dt.datetime(2025, 11, 1), dt.datetime(2026, 1, 1)),
            (dt.datetime(2025, 8, 1), dt.datetime(2025, 10, 1)),
        )
    )
    assert holidays > 1.05 * summer


@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(-(2**63), 2**63),
    scale=st.integers(10_000, 40_000),
    now=st.datetimes(dt.datetime(1999, 1, 1), dt.datetime(2080, 1, 1)),
)
def test_any_data_is_consistent(seed: int, scale: int, now: dt.datetime) -> None:
    engine = Engine(seed=seed, scale=scale, now=now)
    window = (now - dt.timedelta(days=500), now + dt.timedelta(days=1))
    try:
        (clicks,) = rows(
            engine,
            """SELECT COUNT(*) AS n, SUM(IF(i.user_id IS NOT DISTINCT FROM c.user_id AND i.creative_id = c.creative_id
            AND c.click_dt_utc > i.impression_dt_utc, 1, 0)) AS good
            FROM dsp_clicks c JOIN dsp_impressions i ON i.request_tag = c.request_tag""",
            window,
        )
        (events,) = rows(
            engine,
            """SELECT COUNT(*) AS n, SUM(IF(COALESCE(i.user_id, s.user_id) = e.user_id
            AND COALESCE(i.campaign, s.campaign) = e.campaign, 1, 0)) AS good, COUNT(DISTINCT c.conversion_id) AS conversions
            FROM amazon_attributed_events_by_traffic_time e
            LEFT JOIN dsp_impressions i ON i.request_tag = e.request_tag
            LEFT JOIN sponsored_ads_traffic s ON s.event_id = e.traffic_event_id
            JOIN conversions c ON c.user_id = e.user_id AND c.event_dt_utc = e.conversion_event_dt_utc
                AND c.tracked_item = e.tracked_item""",
            window,
        )
        (conversions,) = rows(engine, "SELECT COUNT(*) AS n FROM amazon_attributed_events_by_traffic_time", window)
        assert clicks["n"] == clicks["good"] > 10
        assert events["n"] == events["good"] == events["conversions"] == conversions["n"] > 100
        (shown,) = rows(
            engine, "SELECT SUM(impressions) AS n, COUNT(DISTINCT request_tag) AS tags FROM dsp_impressions", window
        )
        assert shown["n"] == shown["tags"]
        assert 0.93 * scale < shown["n"] < 1.07 * scale
    finally:
        engine.close()


@pytest.mark.parametrize("table", sorted(TABLES))
def test_the_key_of_a_user_stands_for_the_user_id(engine: Engine, table: str) -> None:
    one(engine, "COUNT(*) AS n", table)
    sql = SyntheticTable(table, _fields(catalogue.get_table(table)), TABLES[table]).read(
        [USER_KEY, "user_id"], "TIMESTAMP '2025-01-01'", "TIMESTAMP '2027-01-01'"
    )
    cursor = engine._connection.cursor()
    found = cursor.execute(
        f"""SELECT count(DISTINCT "{USER_KEY}") = count(DISTINCT user_id), count("{USER_KEY}") = count(user_id),
        count(DISTINCT ("{USER_KEY}", user_id)) FILTER (user_id IS NOT NULL) = count(DISTINCT user_id), count(user_id) > 0 FROM ({sql}) AS t""",
        engine._values(frozenset({"now", "oldest", "seed"}), NOW, NOW),
    ).fetchone()
    assert found == (True, True, True, True)


def test_the_key_of_a_loaded_user_is_the_user_id() -> None:
    connection = duckdb.connect()
    registry = TableRegistry()
    registry.load(connection, "dsp_clicks", [{"user_id": "b"}, {"user_id": None}, {"user_id": "a"}])
    registry.load(connection, "my_buyers", [{"User_Id": "x", "n": 1}])
    for name, expected in (("dsp_clicks", [None, "a", "b"]), ("my_buyers", ["x"]), ("amazon_your_garage", [])):
        source = registry.finder(None)(None, name)
        assert source is not None
        found = connection.execute(source.read([USER_KEY], "TIMESTAMP '2025-01-01'", "TIMESTAMP '2027-01-01'"))
        assert sorted((row[0] for row in found.fetchall()), key=lambda key: key or "") == expected
