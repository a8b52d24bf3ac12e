"""dsp_impressions, dsp_clicks and dsp_views over the facts."""

from __future__ import annotations

from airflow_provider_amc.emulator.data import world
from airflow_provider_amc.emulator.data.tabledata import (
    USER_COLUMNS,
    TableData,
    moment_columns,
    pick,
    span_columns,
    weigh,
)

_WHO = "coalesce(f.u, f.k)"
_IS_VIDEO = "((f.ad // 4) % 3 = 0)"
_SHARES = tuple(share for share, *_ in world.DEVICES)
_SITE_SHARES = tuple(share for share, *_ in world.SITES)


def device(key: str) -> str:
    """The number of the device that a sponsored ad or a display was seen on."""
    return weigh(_SHARES[: world.FIRST_SCREEN], key, 62)


#: Joins of everything that was shown through Amazon DSP. A user has two devices and one place.
DSP_JOINS = {
    "a": "JOIN d_ad AS a ON a.ad = f.ad",
    "v": "JOIN d_adv AS v ON v.adv = (f.ad // 12) % 4",
    "d": (
        f"JOIN d_device AS d ON d.device = CASE WHEN {_IS_VIDEO}"
        f" THEN {weigh(_SHARES[world.FIRST_SCREEN :], _WHO, 60, first=world.FIRST_SCREEN)}"
        f" ELSE {device(f'CAST({_WHO} AS UBIGINT) + chance_pick(f.k, 61, 3) // 2 * 7919')} END"
    ),
    "s": (
        f"JOIN d_site AS s ON s.site_no = CASE WHEN {_IS_VIDEO}"
        f" THEN {weigh(_SITE_SHARES[world.FIRST_VIDEO_SITE :], 'f.k', 63, first=world.FIRST_VIDEO_SITE)}"
        f" ELSE {weigh(_SITE_SHARES[: world.FIRST_VIDEO_SITE], 'f.k', 63)} END"
    ),
    "g": f"JOIN d_place AS g ON g.place = {weigh([share for share, *_ in world.PLACES], _WHO, 64)}",
}

#: One impression of an ad: names every table that knows it.
REQUEST_TAG = "upper(md5('request-' || $seed || '-' || f.k))"
# Microcents: half a cent to two cents, three times as much for video
_SUPPLY = f"((250000 + chance_pick(f.k, 70, 1750000)) * CASE WHEN {_IS_VIDEO} THEN 3 ELSE 1 END)"
_AUDIENCE_FEE = f"({_SUPPLY} * 8 // 100)"
_PLATFORM_FEE = f"({_SUPPLY} * 10 // 100)"
_THIRD_PARTY_FEES = f"({_SUPPLY} * 2 // 100)"
_OCM_FEE = f"({_SUPPLY} // 100)"
# Millicents are 1,000 microcents. Whole numbers, so that sums of DOUBLE are the same in every order.
_COST = f"(({_SUPPLY} + {_AUDIENCE_FEE} + {_PLATFORM_FEE} + {_THIRD_PARTY_FEES} + {_OCM_FEE}) // 1000)"
_SEGMENT_IDS = "[" + ", ".join(str(number) for number, _ in world.SEGMENTS) + "]"
_COUNT = len(world.SEGMENTS)


def _segments(key: str, salt: int, least: int) -> str:
    return (
        f"list_sort(list_distinct(list_transform(range({least} + chance_pick({key}, {salt}, 4)),"
        f" lambda n: {_SEGMENT_IDS}[1 + chance_pick(CAST({key} AS UBIGINT) + n * 31, {salt + 1}, {_COUNT})])))"
    )


def segment_ids(user: str) -> str:
    """The segments of a user, an array of two to five."""
    return _segments(user, 74, 2)


def _status(ends: str, running: str) -> str:
    return f"CASE WHEN {ends} <= $now THEN 'ENDED' ELSE '{running}' END"


_VIDEO_ONLY = f"CASE WHEN {_IS_VIDEO} THEN {{}} END"

#: What impressions, clicks and views tell alike.
_COMMON = {
    **USER_COLUMNS,
    "advertiser": "v.advertiser",
    "advertiser_id": "v.advertiser_id",
    "advertiser_timezone": "v.tz",
    "entity_id": "v.entity_id",
    "merchant_id": "v.merchant_id",
    "advertiser_account_frequency_group_ids": "CASE WHEN chance_hits(a.campaign_id & 4294967295, 71, 5000) THEN [a.campaign_id % 100000] ELSE [] END",
    "manager_account_frequency_group_ids": "CASE WHEN a.goal = 'AWARENESS' THEN [v.advertiser_id % 100000] ELSE [] END",
    "campaign": "a.campaign",
    "campaign_id": "a.campaign_id",
    "campaign_id_string": "a.campaign_id",
    "campaign_flight_id": "a.campaign_flight_id",
    "campaign_country": "'US'",
    "campaign_insertion_order_id": "a.insertion_order",
    "campaign_primary_goal": "a.goal",
    "campaign_sales_type": "a.sales_type",
    "campaign_source": "'ADSP'",
    "campaign_status": _status("a.ends", "RUNNING"),
    "creative": "a.creative",
    "creative_id": "a.creative_id",
    "creative_category": "a.category",
    "creative_duration": "a.creative_duration",
    "creative_is_link_in": "CASE WHEN a.goal = 'AWARENESS' THEN 'N' ELSE 'Y' END",
    "creative_size": "a.creative_size",
    "creative_type": "a.creative_type",
    "line_item": "a.line_item",
    "line_item_id": "a.line_item_id",
    "line_item_price_type": "'CPM'",
    "line_item_status": _status("a.ends", "ENABLED"),
    "line_item_type": "a.line_item_type",
    "ad_slot_size": "a.creative_size",
    "slot_position": pick(["ATF", "ATF", "BTF", "UNKNOWN"], "f.k", 72),
    "app_bundle": "s.app_bundle",
    "site": "s.site",
    "page_type": "s.page_type",
    "supply_source": "s.supply_source",
    "supply_source_id": "7000 + s.site_no",
    "demand_channel": "'AMAZON DSP'",
    "demand_channel_owner": "'AMAZON'",
    "device_make": "d.make",
    "device_model": "d.model",
    "device_type": "d.device_type",
    "environment_type": "d.environment",
    "operating_system": "d.os",
    "os_version": "d.os_version",
    "city_name": "g.city",
}

_TRAFFIC = {
    **_COMMON,
    **moment_columns("impression", "f.ts"),
    **span_columns("campaign", "a.starts", "a.ends"),
    **span_columns("line_item", "a.starts", "a.ends"),
    "request_tag": REQUEST_TAG,
    "device_id": f"CASE WHEN d.device_type IN ('Phone', 'Tablet', 'TV') THEN md5('device-' || $seed || '-' || {_WHO}) END",
    "browser_family": "d.browser",
    "campaign_budget_amount": "a.campaign_budget",
    "line_item_budget_amount": "a.line_item_budget",
    "currency_iso_code": "'USD'",
    "currency_name": "'US Dollar'",
    "deal_id": "CASE WHEN s.deal IS NOT NULL THEN 'DEAL' || (500 + s.site_no) END",
    "deal_name": "s.deal",
    "dma_code": "g.dma",
    "iso_country_code": "'US'",
    "iso_state_province_code": "g.state",
    "postal_code": "'US-' || g.postal_code",
    "is_amazon_owned": "s.amazon_owned",
    "product_line": "a.product_line",
    "bid_price": f"({_SUPPLY} * 3 // 2)",
    "audience_fee": _AUDIENCE_FEE,
    "platform_fee": _PLATFORM_FEE,
    "supply_cost": _SUPPLY,
}

IMPRESSIONS = TableData(
    rows="f_impression AS f",
    time="f.ts",
    joins=DSP_JOINS,
    audience_where="s.deal IS NULL",
    columns={
        **_TRAFFIC,
        "impressions": "1",
        "impression_cost": _COST,
        "total_cost": _COST,
        "managed_service_fee": "0",
        "third_party_fees": _THIRD_PARTY_FEES,
        "ocm_fee": _OCM_FEE,
        "placement_is_view_aware": "chance_hits(f.k, 73, 9000)",
        "placement_view_rate": "(40 + s.site_no * 4) / 100",
        "supply_source_is_view_aware": "s.amazon_owned",
        "supply_source_view_rate": "(50 + s.site_no * 3) / 100",
        "segment_marketplace_id": "1",
        "user_behavior_segment_ids": f"CASE WHEN f.u IS NULL THEN [] ELSE {segment_ids('f.u')} END",
        "matched_behavior_segment_ids": (
            f"CASE WHEN f.u IS NULL OR a.goal = 'PURCHASES_ON_AMAZON' THEN [] ELSE {segment_ids('f.u')}[:2] END"
        ),
    },
)  # fmt: skip

CLICKS = TableData(
    rows="f_click AS f",
    time="f.click_ts",
    joins=DSP_JOINS,
    columns={**_TRAFFIC, **moment_columns("click", "f.click_ts"), "clicks": "1", "click_cost": "0"},
)

# Nine of ten impressions can be measured, seven of ten of those are seen. A seen impression gives two rows.
_VIEW_ROWS = """(
    SELECT k, u, ad, ts + to_milliseconds(chance_pick(k, 80, 900)) AS ts,
        CASE WHEN chance_hits(k, 81, 9000) THEN 'MEASURABLE_IMP' ELSE 'UNMEASURABLE_IMP' END AS event
    FROM f_impression
    UNION ALL
    SELECT k, u, ad, ts + to_milliseconds(1000 + chance_pick(k, 82, 4000)),
        CASE WHEN chance_hits(k, 81, 9000) THEN 'VIEW' ELSE 'SYNTHETIC_VIEW' END
    FROM f_impression
    WHERE chance_hits(k, 83, CASE WHEN chance_hits(k, 81, 9000) THEN 7000 ELSE 3000 END)
) AS f"""

VIEWS = TableData(
    rows=_VIEW_ROWS,
    time="f.ts",
    joins=DSP_JOINS,
    columns={
        **_COMMON,
        **moment_columns("event", "f.ts"),
        **span_columns("campaign", "a.starts", "a.ends", ("dt",)),
        **span_columns("line_item", "a.starts", "a.ends", ("dt",)),
        "impression_id": REQUEST_TAG,
        "event_type": "f.event",
        "view_definition": _VIDEO_ONLY.format("'MRC_VIDEO'").replace(" END", " ELSE 'MRC_DISPLAY' END"),
        "events": "1",
        "measurable_impressions": "CASE WHEN f.event = 'MEASURABLE_IMP' THEN 1 ELSE 0 END",
        "viewable_impressions": "CASE WHEN f.event = 'VIEW' THEN 1 ELSE 0 END",
        "unmeasurable_viewable_impressions": "CASE WHEN f.event = 'SYNTHETIC_VIEW' THEN 1 ELSE 0 END",
    },
)

__all__ = ["CLICKS", "DSP_JOINS", "IMPRESSIONS", "REQUEST_TAG", "VIEWS", "device"]
