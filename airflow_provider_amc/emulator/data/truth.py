"""What is in the data: known from the plan, and counted in the facts. AMC SQL has no part in it.

Both ways give the same numbers for a whole quarter; :func:`planted` never looks at a row.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.data import journeys, world
from airflow_provider_amc.emulator.data.audience import Audience, Audiences
from airflow_provider_amc.emulator.data.journeys import FIRST_SPONSORED, LAG_NAMES, PRODUCTS

if TYPE_CHECKING:
    import duckdb

_LAGS = LAG_NAMES[: journeys.ATTRIBUTED]


def planted(seed: int, audiences: Audiences, quarter: int) -> dict[str, Any]:
    """What the plan says about a whole quarter.

    :param seed: seed of the data.
    :param audiences: who is reached.
    :param quarter: number of the quarter.
    :returns: ``quarter``, ``start``, ``end``, ``campaigns`` and ``advertisers``.
    """
    starts, ends = world.quarter_bounds(quarter)
    found = audiences.of_quarter(quarter)
    return {
        "quarter": world.quarter_name(quarter),
        "start": _zulu(starts),
        "end": _zulu(ends),
        "campaigns": _in_order(campaign for audience in found for campaign in _planted_campaigns(seed, audience)),
        "advertisers": [_planted_advertiser(seed, audience) for audience in found],
    }


def _planted_campaigns(seed: int, audience: Audience) -> Iterable[dict[str, Any]]:
    users: dict[int, Counter[int]] = {slot: Counter() for slot in range(len(PRODUCTS))}
    unknown: Counter[int] = Counter()
    for profile, followers in zip(journeys.profiles(seed, audience.adv), audience.followers(), strict=True):
        for slot in profile.path:
            users[slot][profile.shown[slot]] += followers
            unknown[slot] += profile.unknown[slot] * followers
    names = _campaign_names(seed, audience)
    for slot, frequency in users.items():
        shown = sum(times * count for times, count in frequency.items())
        if shown + unknown[slot]:
            yield _campaign(names[slot], PRODUCTS[slot], audience.adv, shown + unknown[slot], frequency)


def _campaign_names(seed: int, audience: Audience) -> list[tuple[str, str]]:
    """Name and id of the campaign of each slot."""
    ads = {row[0]: (row[2], row[3]) for row in world.ad_rows(seed, audience.quarter)}
    first = (audience.quarter * len(world.ADVERTISERS) + audience.adv) * FIRST_SPONSORED
    targets = {(row[1], row[2]): (row[4], row[6]) for row in world.target_rows(seed)}
    named = [ads[(first + slot) * 4] for slot in range(FIRST_SPONSORED)]
    named += [targets[audience.adv, template] for template in range(len(world.SPONSORED_TEMPLATES))]
    return [(str(name), str(number)) for name, number in named]


def _planted_advertiser(seed: int, audience: Audience) -> dict[str, Any]:
    overlap: Counter[tuple[str, ...]] = Counter()
    paths: Counter[tuple[str, ...]] = Counter()
    lags: dict[str, Counter[str]] = {"conversions": Counter(), "purchases": Counter()}
    for profile, followers in zip(journeys.profiles(seed, audience.adv), audience.followers(), strict=True):
        overlap[tuple(sorted(profile.products))] += followers
        if profile.early:
            lags["conversions"][LAG_NAMES[0]] += followers
        if profile.lag < journeys.ATTRIBUTED:
            for step, _ in profile.rows():
                lags["conversions"][LAG_NAMES[profile.lag]] += followers
                lags["purchases"][LAG_NAMES[profile.lag]] += followers * (step == 2)
            if profile.kind == journeys.ORDER:
                paths[profile.products] += followers
    return _advertiser(audience.adv, overlap, paths, lags)


# --- counted ---------------------------------------------------------------------------------------------------------

_INSIDE = "ts >= $start AND ts < $end"
_ATTRIBUTED = f"{_INSIDE} AND ts <= touch_ts + INTERVAL 14 DAY"
#: Ad products as bits of a number: Amazon DSP first, then those of the templates of sponsored campaigns.
_BITS = (journeys.DSP, *dict.fromkeys(product for product, *_ in world.SPONSORED_TEMPLATES))
_BIT = "[{}][1 + (target // 6) % 6]".format(
    ", ".join(str(1 << _BITS.index(product)) for product, *_ in world.SPONSORED_TEMPLATES)
)
#: Impressions: advertiser, user, bit of the product, campaign - an ad, or a target and -1 -, time.
_SHOWN = f"""(
    SELECT (ad // 12) % 4 AS adv, u, 1 AS product, (ad // 4) * 4 AS campaign, ts FROM f_impression WHERE {_INSIDE}
    UNION ALL
    SELECT target // 36, u, {_BIT}, -1 - (target // 6) * 6, ts FROM f_sponsored WHERE {_INSIDE} AND kind = 0
)"""
_FREQUENCY = f"""
WITH users AS (
    SELECT campaign, u, count(*) AS times FROM {_SHOWN} GROUP BY campaign, u
), counted AS (
    SELECT campaign, CASE WHEN u IS NOT NULL THEN times ELSE 0 END AS times, sum(times) AS shown, count(u) AS users
    FROM users GROUP BY ALL
)
SELECT coalesce(a.campaign, t.campaign), coalesce(CAST(a.campaign_id AS VARCHAR), t.campaign_code),
    coalesce(t.product, '{journeys.DSP}'), coalesce(a.adv, t.adv), c.times, CAST(c.shown AS BIGINT), c.users
FROM counted AS c LEFT JOIN d_ad AS a ON a.ad = c.campaign LEFT JOIN d_target AS t ON t.target = -1 - c.campaign
"""
_OVERLAP = f"""
SELECT adv, products, count(*) FROM (
    SELECT adv, u, bit_or(product) AS products FROM {_SHOWN} WHERE u IS NOT NULL GROUP BY adv, u
) GROUP BY adv, products
"""
_PATHS = f"""
WITH buyers AS (
    SELECT adv, u, min(ts) AS bought FROM f_conversion WHERE {_ATTRIBUTED} AND step = 2 GROUP BY adv, u
), seen AS (
    SELECT b.adv, b.u, t.product, min(t.ts) AS first
    FROM buyers AS b JOIN {_SHOWN} AS t ON t.adv = b.adv AND t.u = b.u AND t.ts < b.bought GROUP BY ALL
), paths AS (
    SELECT b.adv, b.u, list(s.product ORDER BY s.first, s.product) FILTER (s.product IS NOT NULL) AS path
    FROM buyers AS b LEFT JOIN seen AS s ON s.adv = b.adv AND s.u = b.u GROUP BY ALL
)
SELECT adv, coalesce(path, []), count(*) FROM paths GROUP BY ALL
"""
_LAG = "CASE {} END".format(
    " ".join(
        f"WHEN ts < touch_ts + INTERVAL {hours} HOUR THEN '{name}'"
        for hours, name in zip(journeys.LAG_HOURS, _LAGS, strict=False)
    )
)
_LAG_COUNTS = f"""
SELECT adv, {_LAG} AS lag, count(*), count(*) FILTER (step = 2), count(*) FILTER (ntb)
FROM f_conversion WHERE {_ATTRIBUTED} GROUP BY ALL
"""


def counted(connection: duckdb.DuckDBPyConnection, start: dt.datetime, end: dt.datetime) -> dict[str, Any]:
    """What the facts say about a time.

    :param connection: the database.
    :param start: first moment, UTC.
    :param end: first moment after it.
    :returns: ``start``, ``end``, ``campaigns`` and ``advertisers``.
    """

    def rows(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql, {"start": start, "end": end}).fetchall()

    campaigns: dict[tuple[str, str, str, int], tuple[Counter[int], list[int]]] = {}
    for name, number, product, adv, times, shown, users in rows(_FREQUENCY):
        frequency, impressions = campaigns.setdefault((name, number, product, adv), (Counter(), []))
        impressions.append(shown)
        if times:
            frequency[times] = users
    advertisers = range(len(world.ADVERTISERS))
    overlap: dict[int, Counter[tuple[str, ...]]] = {adv: Counter() for adv in advertisers}
    paths: dict[int, Counter[tuple[str, ...]]] = {adv: Counter() for adv in advertisers}
    for adv, products, users in rows(_OVERLAP):
        overlap[adv][tuple(sorted(name for bit, name in enumerate(_BITS) if products >> bit & 1))] = users
    for adv, path, users in rows(_PATHS):
        paths[adv][tuple(_BITS[product.bit_length() - 1] for product in path)] = users
    lags = {adv: {"conversions": Counter[str](), "purchases": Counter[str]()} for adv in advertisers}
    new_to_brand = Counter[int]()
    for adv, lag, conversions, purchases, new in rows(_LAG_COUNTS):
        lags[adv]["conversions"][lag], lags[adv]["purchases"][lag] = conversions, purchases
        new_to_brand[adv] += new
    return {
        "start": _zulu(start),
        "end": _zulu(end),
        "campaigns": _in_order(
            _campaign((name, number), product, adv, sum(shown), frequency)
            for (name, number, product, adv), (frequency, shown) in campaigns.items()
        ),
        "advertisers": [
            {**_advertiser(adv, overlap[adv], paths[adv], lags[adv]), "new_to_brand_purchases": new_to_brand[adv]}
            for adv in advertisers
        ],
    }


def published(
    connection: duckdb.DuckDBPyConnection, seed: int, audiences: Audiences, start: dt.datetime, end: dt.datetime
) -> dict[str, Any]:
    """What is counted in a time, and what was planted in the whole quarters of it.

    :param connection: the database.
    :param seed: seed of the data.
    :param audiences: who is reached.
    :param start: first moment, UTC.
    :param end: first moment after it.
    """
    first, last = (world.quarter_number(moment.date()) for moment in (start, end))
    quarters = [
        quarter
        for quarter in range(first, last + 1)
        if start <= world.quarter_bounds(quarter)[0] and world.quarter_bounds(quarter)[1] <= end
    ]
    return {
        **counted(connection, start, end),
        "planted": [planted(seed, audiences, quarter) for quarter in quarters],
    }


# --- the layout ------------------------------------------------------------------------------------------------------


def _campaign(
    name: tuple[str, str], product: str, adv: int, impressions: int, frequency: Mapping[int, int]
) -> dict[str, Any]:
    return {
        "campaign": name[0],
        "campaign_id_string": name[1],
        "ad_product": product,
        "advertiser": world.ADVERTISERS[adv].name,
        "impressions": impressions,
        "reach": sum(frequency.values()),
        "frequency": {str(times): users for times, users in sorted(frequency.items()) if users},
    }


def _in_order(campaigns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(campaigns, key=lambda campaign: (campaign["campaign"], campaign["campaign_id_string"]))


def _advertiser(
    adv: int,
    overlap: Mapping[tuple[str, ...], int],
    paths: Mapping[tuple[str, ...], int],
    lags: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    return {
        "advertiser": world.ADVERTISERS[adv].name,
        "reach": sum(overlap.values()),
        "overlap": [{"ad_products": list(products), "users": n} for products, n in sorted(overlap.items()) if n],
        "paths": [{"path": list(path), "users": n} for path, n in sorted(paths.items()) if n],
        "conversion_lag": {kind: {lag: counts.get(lag, 0) for lag in _LAGS} for kind, counts in lags.items()},
    }


def _zulu(moment: dt.datetime) -> str:
    return f"{moment.isoformat()}Z"
