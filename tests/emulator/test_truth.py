"""The published truth: the plan, the facts and AMC SQL must all tell the same."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_amc.emulator.data import truth, world
from airflow_provider_amc.emulator.data.audience import Audiences
from airflow_provider_amc.emulator.data.journeys import EVENTS, LAG_HOURS, LAG_NAMES, PROFILES, apportion, profiles
from airflow_provider_amc.emulator.engine import Engine
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.testing import AmcEmulator

NOW = dt.datetime(2026, 6, 15, 12, 0)
QUARTER = (dt.datetime(2026, 1, 1), dt.datetime(2026, 4, 1))
WINDOWS = {
    "a quarter": QUARTER,
    "some days": (dt.datetime(2026, 2, 3, 4, 5), dt.datetime(2026, 3, 9, 17, 30)),
    "all": (dt.datetime(2025, 5, 15), NOW),
}
Window = tuple[dt.datetime, dt.datetime]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(seed=7, scale=30_000, now=NOW)
    yield made
    made.close()


@pytest.fixture(params=WINDOWS)
def window(request: pytest.FixtureRequest) -> Window:
    return WINDOWS[request.param]


def rows(engine: Engine, sql: str, window: Window) -> list[dict[str, Any]]:
    compiled = engine.compile(sql, privacy=None)
    batches = engine.run(compiled, window_start=window[0], window_end=window[1])
    return [row for batch in batches for row in batch.to_pylist()]


def frequencies(campaigns: list[dict[str, Any]], *, dsp: bool) -> dict[tuple[str, int], int]:
    """Users by campaign and how often they saw it, from the truth."""
    return {
        (campaign["campaign"], int(times)): users
        for campaign in campaigns
        if (campaign["ad_product"] == "amazon_dsp") == dsp
        for times, users in campaign["frequency"].items()
    }


FREQUENCY = """
WITH users AS (
    SELECT user_id, campaign, SUM(impressions) AS times FROM {} WHERE user_id IS NOT NULL GROUP BY user_id, campaign
)
SELECT campaign, times, COUNT(DISTINCT user_id) AS reach FROM users WHERE times > 0 GROUP BY campaign, times
"""


@pytest.mark.covers("data", "frequency histogram", note="planted; users by campaign and number of impressions")
@pytest.mark.parametrize("table", ["dsp_impressions", "sponsored_ads_traffic"])
def test_sql_finds_the_frequencies(engine: Engine, window: Window, table: str) -> None:
    found = {(row["campaign"], row["times"]): row["reach"] for row in rows(engine, FREQUENCY.format(table), window)}
    assert found == frequencies(engine.truth(*window)["campaigns"], dsp=table == "dsp_impressions")


@pytest.mark.covers("data", "reach", note="planted; users and impressions by campaign")
def test_sql_finds_reach_and_impressions(engine: Engine, window: Window) -> None:
    sql = """
        SELECT campaign, campaign_id_string, COUNT(DISTINCT user_id) AS reach, SUM(impressions) AS shown
        FROM {} WHERE impressions = 1 GROUP BY campaign, campaign_id_string"""
    found = {
        (row["campaign"], row["campaign_id_string"], row["reach"], row["shown"])
        for table in ("dsp_impressions", "sponsored_ads_traffic")
        for row in rows(engine, sql.format(table), window)
    }
    told = engine.truth(*window)["campaigns"]
    assert found == {(c["campaign"], c["campaign_id_string"], c["reach"], c["impressions"]) for c in told}
    assert len(found) == len(told) > 30


EXPOSURES = """
    SELECT user_id, advertiser, 'amazon_dsp' AS ad_product, impression_dt_utc AS seen FROM dsp_impressions
    WHERE user_id IS NOT NULL
    UNION ALL
    SELECT user_id, advertiser, ad_product_type AS ad_product, event_dt_utc AS seen FROM sponsored_ads_traffic
    WHERE user_id IS NOT NULL AND impressions = 1
"""


@pytest.mark.covers("data", "overlap of ad products", note="planted; users by the set of ad products they saw")
def test_sql_finds_the_overlap(engine: Engine, window: Window) -> None:
    sql = f"""
        WITH seen AS ({EXPOSURES}),
        users AS (SELECT user_id, advertiser, ARRAY_SORT(COLLECT(DISTINCT ad_product)) AS products FROM seen GROUP BY 1, 2)
        SELECT advertiser, products, COUNT(DISTINCT user_id) AS users_in FROM users GROUP BY advertiser, products"""
    found = {(row["advertiser"], tuple(row["products"])): row["users_in"] for row in rows(engine, sql, window)}
    told = engine.truth(*window)["advertisers"]
    assert found == {(a["advertiser"], tuple(o["ad_products"])): o["users"] for a in told for o in a["overlap"]}
    reach = Counter[str]()
    for (advertiser, _), users in found.items():
        reach[advertiser] += users
    assert reach == {a["advertiser"]: a["reach"] for a in told}


PATHS = f"""
WITH exposures AS ({EXPOSURES}),
buyers AS (
    SELECT user_id, advertiser, MIN(conversion_event_dt_utc) AS bought FROM amazon_attributed_events_by_conversion_time
    WHERE total_purchases > 0 GROUP BY user_id, advertiser
),
firsts AS (
    SELECT b.user_id, b.advertiser, e.ad_product, MIN(e.seen) AS seen
    FROM buyers b LEFT JOIN exposures e ON e.user_id = b.user_id AND e.advertiser = b.advertiser AND e.seen < b.bought
    GROUP BY b.user_id, b.advertiser, e.ad_product
),
ranked AS (
    SELECT user_id, advertiser, ad_product, ROW_NUMBER() OVER (PARTITION BY user_id, advertiser ORDER BY seen) AS place
    FROM firsts
),
paths AS (
    SELECT user_id, advertiser, {", ".join(f"MAX(IF(place = {n}, ad_product, NULL)) AS p{n}" for n in range(1, 6))}
    FROM ranked GROUP BY user_id, advertiser
)
SELECT advertiser, p1, p2, p3, p4, p5, COUNT(DISTINCT user_id) AS converters FROM paths GROUP BY 1, 2, 3, 4, 5, 6
"""


@pytest.mark.covers("data", "path mix", note="planted; ad products in the order seen before the first purchase")
def test_sql_finds_the_paths(engine: Engine, window: Window) -> None:
    found = {
        (row["advertiser"], tuple(p for n in range(1, 6) if (p := row[f"p{n}"]) is not None)): row["converters"]
        for row in rows(engine, PATHS, window)
    }
    told = engine.truth(*window)["advertisers"]
    assert found == {(a["advertiser"], tuple(p["path"])): p["users"] for a in told for p in a["paths"]}
    assert len({path for _, path in found}) > 5


@pytest.mark.covers("data", "conversion lag", note="planted; attributed conversions by time since their ad event")
def test_sql_finds_the_conversion_lag(engine: Engine, window: Window) -> None:
    spans = " ".join(
        f"WHEN lag < {hours * 3600} THEN '{name}'" for hours, name in zip(LAG_HOURS, LAG_NAMES, strict=True)
    )
    sql = f"""
        WITH lags AS (
            SELECT advertiser, conversions, total_purchases, new_to_brand_total_purchases,
                SECONDS_BETWEEN(traffic_event_dt_utc, conversion_event_dt_utc) AS lag
            FROM amazon_attributed_events_by_conversion_time
        )
        SELECT advertiser, CASE {spans} END AS span, SUM(conversions) AS conversions, SUM(total_purchases) AS purchases,
            SUM(new_to_brand_total_purchases) AS new_to_brand
        FROM lags GROUP BY 1, 2"""
    found = rows(engine, sql, window)
    told = engine.truth(*window)["advertisers"]
    for kind in ("conversions", "purchases"):
        expected = {(a["advertiser"], span): n for a in told for span, n in a["conversion_lag"][kind].items() if n}
        assert {(row["advertiser"], row["span"]): row[kind] for row in found if row[kind]} == expected
    new = Counter[str]()
    for row in found:
        new[row["advertiser"]] += row["new_to_brand"]
    assert new == {a["advertiser"]: a["new_to_brand_purchases"] for a in told}


@pytest.mark.parametrize(("seed", "scale"), [(7, "tiny"), (8, 10_001), (-3, 45_678), (2**40, 123_456)])
def test_the_facts_hold_what_was_planted(seed: int, scale: str | int) -> None:
    engine = Engine(seed=seed, scale=scale, now=NOW)
    try:
        told = engine.truth()["planted"]
        assert [part["quarter"] for part in told] == ["2025 Q3", "2025 Q4", "2026 Q1"]
        for part in told:
            start, end = (dt.datetime.fromisoformat(part[edge]) for edge in ("start", "end"))
            counted = engine.truth(start, end)
            assert counted.pop("planted") == [part]
            for advertiser in counted["advertisers"]:
                del advertiser["new_to_brand_purchases"]
            assert counted == {name: value for name, value in part.items() if name != "quarter"}
    finally:
        engine.close()


@pytest.mark.covers("data", "reach and frequency", note="1 to 30 impressions a user and campaign, 3 to 7 on average")
def test_frequencies_are_worth_a_query() -> None:
    told = truth.planted(7, Audiences(7, 100_000), world.quarter_number(QUARTER[0].date()))
    big = [campaign for campaign in told["campaigns"] if campaign["ad_product"] == "amazon_dsp"]
    assert len(big) == 12
    for campaign in big:
        shown = {int(times): users for times, users in campaign["frequency"].items()}
        mean = sum(times * users for times, users in shown.items()) / campaign["reach"]
        assert 2.7 < mean < 7.5
        # More saw it once than twice, and some saw it often
        assert shown[1] > shown[2]
        assert max(shown) > 15


def test_profiles_have_what_was_ordered() -> None:
    for adv in range(4):
        made = profiles(7, adv)
        assert len(made) == PROFILES
        for profile in made:
            assert set(profile.shown) == set(profile.unknown) == set(profile.clicks) == set(profile.path)
            assert all(profile.shown[slot] >= max(1, profile.clicks[slot]) for slot in profile.path)
            assert sum(profile.shown.values()) + sum(profile.unknown.values()) < 64
            assert (profile.items > 0) == (profile.kind == 3)


def test_shares_are_apportioned_by_largest_remainders() -> None:
    assert apportion([1, 1, 1], 10) == [4, 3, 3]
    assert apportion([50, 30, 20], 7) == [4, 2, 1]
    assert apportion([3, 0], 0) == [0, 0]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(),
    impressions=st.sampled_from([10_000, 54_321, 100_000, 10_000_000]),
    quarter=st.integers(2000 * 4, 2100 * 4),
)
def test_audiences_name_each_user_once(seed: int, impressions: int, quarter: int) -> None:
    audiences = Audiences(seed, impressions)
    found = audiences.of_quarter(quarter)
    for audience in found:
        # So the users of all numbers differ, and a user's number can be told
        assert audience.factor * audience.inverse % audiences.users == 1
        assert 0 < audience.size <= audiences.users
        followers = audience.followers()
        assert sum(followers) == audience.size
        assert max(followers) - min(followers) <= 1
    # The keys of the events of a quarter have 27 bits
    assert sum(audience.size for audience in found) * 2 * EVENTS < 2**27


def test_there_is_no_truth_without_data(engine: Engine) -> None:
    with pytest.raises(ValueError, match="There is no data from 2026-06-15 12:00:00 to"):
        engine.truth(NOW, None)
    with pytest.raises(ValueError, match="it reaches from 2025-05-15"):
        engine.truth(None, dt.datetime(2025, 1, 1))


# --- over HTTP -------------------------------------------------------------------------------------------------------


ROWS_AND_USERS = (
    "SELECT {0}, COUNT(DISTINCT user_id) AS reach, SUM(impressions) AS shown FROM dsp_impressions GROUP BY {0}"
)


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(port=0, scale="small", now="2026-06-15T12:00:00Z") as running:
        yield running


@pytest.mark.covers("endpoint", "truth")
def test_the_truth_over_http(server: EmulatorServer) -> None:
    asked = {"start": "2026-01-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"}
    answer = requests.get(f"{server.url}/_emulator/truth", params=asked, timeout=60)
    assert answer.status_code == 200
    told = answer.json()
    assert {"seed": 7, "scale": "small", **asked}.items() <= told.items()
    assert told == server.truth(asked["start"], asked["end"])
    assert [part["quarter"] for part in told["planted"]] == ["2026 Q1"]
    everything = server.truth()
    assert everything["start"] == "2025-05-15T00:00:00Z"
    assert everything["end"].startswith("2026-06-15T12:00")
    assert len(everything["planted"]) == 3


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"start": "soon"}, "'soon' is not a time; write it as 2026-01-01T00:00:00Z"),
        ({"start": "2026-03-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}, "There is no data from 2026-03-01"),
        ({"end": "2020-01-01T00:00:00Z"}, "it reaches from 2025-05-15"),
    ],
)
def test_wrong_times(server: EmulatorServer, asked: dict[str, str], text: str) -> None:
    answer = requests.get(f"{server.url}/_emulator/truth", params=asked, timeout=60)
    assert answer.status_code == 400
    assert text in answer.json()["message"]
    with pytest.raises(ValueError, match=text):
        server.truth(**asked)


@pytest.mark.covers("data", "reach", note="found through the API, with AMC's privacy rules")
def test_a_run_over_the_api_finds_the_planted_reach(server: EmulatorServer) -> None:
    (part,) = server.truth("2026-01-01", "2026-04-01")["planted"]
    emulator = AmcEmulator(server)
    found = emulator.query(
        "SELECT campaign, COUNT(DISTINCT user_id) AS reach, SUM(impressions) AS shown FROM dsp_impressions GROUP BY campaign",
        start="2026-01-01",
        end="2026-04-01",
    )
    expected = {
        c["campaign"]: (c["reach"], c["impressions"]) for c in part["campaigns"] if c["ad_product"] == "amazon_dsp"
    }
    assert {row["campaign"]: (row["reach"], row["shown"]) for row in found} == expected
    histogram = emulator.query(FREQUENCY.format("dsp_impressions"), start="2026-01-01", end="2026-04-01")
    # AMC leaves out what fewer than two users did
    told = {key: users for key, users in frequencies(part["campaigns"], dsp=True).items() if users >= 2}
    assert {(row["campaign"], row["times"]): row["reach"] for row in histogram} == told


@pytest.mark.covers("data", "rows below and above AMC's thresholds", note="campaigns pass, some postal codes do not")
@pytest.mark.parametrize(
    ("columns", "most", "least"),
    [
        ("campaign", 1.0, 1.0),
        ("campaign, device_type", 1.0, 0.9),
        ("campaign, site", 1.0, 0.9),
        ("campaign, impression_date_utc", 1.0, 0.9),
        ("iso_state_province_code", 1.0, 1.0),
        ("advertiser, postal_code", 0.5, 0.02),
        ("postal_code", 0.8, 0.2),
        ("campaign, city_name", 0.3, 0.01),
    ],
)
def test_privacy_leaves_out_a_part(server: EmulatorServer, columns: str, most: float, least: float) -> None:
    emulator = AmcEmulator(server)
    times = {"start": "2026-01-01", "end": "2026-04-01"}
    left = emulator.query(ROWS_AND_USERS.format(columns), **times)
    everything = emulator.query(ROWS_AND_USERS.format(columns), disable_aggregation_controls=True, **times)
    assert least <= len(left) / len(everything) <= most
