"""sponsored_ads_traffic over the facts."""

from __future__ import annotations

from airflow_provider_amc.emulator.data.dsp import device
from airflow_provider_amc.emulator.data.tabledata import (
    USER_COLUMNS,
    TableData,
    local,
    moment_columns,
    pick,
    span_columns,
)

#: Joins of everything that was shown through sponsored ads.
SPONSORED_JOINS = {
    "t": "JOIN d_target AS t ON t.target = f.target",
    "v": "JOIN d_adv AS v ON v.adv = f.target // 36",
    "i": "JOIN d_asin AS i ON i.asin = t.asin",
    "d": f"JOIN d_device AS d ON d.device = {device('coalesce(f.u, f.k)')}",
}

#: Sponsored campaigns run since then and have no end.
STARTS = "TIMESTAMP '2023-03-01 00:00:00'"
#: One event of a sponsored ad: names it also in the attributed events.
EVENT_ID = "upper(md5('event-' || $seed || '-' || f.k))"

_IS_CLICK = "(f.kind = 1)"
_IS_VIDEO = "(t.template IN (3, 5))"
# Microcents: a click costs 40 cents to 2 dollars; the two cost-per-mille products pay for impressions
_CLICK_PRICE = "(40000000 + chance_pick(f.k, 70, 160000000))"
_VIEW_PRICE = "(400000 + chance_pick(f.k, 70, 1600000))"
_SEEN = f"(NOT {_IS_CLICK} AND chance_hits(f.k, 83, 6800))"
_MEASURED = f"(NOT {_IS_CLICK} AND chance_hits(f.k, 81, 9300))"


def _watched(share: int) -> str:
    """A video is watched to some point; who saw the later point saw the earlier one."""
    return f"CASE WHEN {_IS_VIDEO} AND {_SEEN} AND {_MEASURED} AND chance_hits(f.k, 84, {share}) THEN 1 ELSE 0 END"


_DATES = {
    name: value
    for edge, moment in (("start", STARTS), ("end", "CAST(NULL AS TIMESTAMP)"))
    for name, value in (
        (f"campaign_{edge}_date_utc", f"CAST({moment} AS DATE)"),
        (f"campaign_{edge}_date", f"CAST({local(moment)} AS DATE)"),
    )
}

TRAFFIC = TableData(
    rows="f_sponsored AS f",
    time="f.ts",
    joins=SPONSORED_JOINS,
    columns={
        **USER_COLUMNS,
        **moment_columns("event", "f.ts"),
        **span_columns("campaign", STARTS, "CAST(NULL AS TIMESTAMP)", ("dt",)),
        **span_columns("ad_group", STARTS, "CAST(NULL AS TIMESTAMP)", ("dt",)),
        **span_columns("line_item", STARTS, "CAST(NULL AS TIMESTAMP)", ("date",)),
        **_DATES,
        "event_id": EVENT_ID,
        "ad_product_type": "t.product",
        "advertiser": "v.advertiser",
        "advertiser_timezone": "v.tz",
        "entity_id": "v.entity_id",
        "marketplace_name": "'AMAZON.COM'",
        "campaign": "t.campaign",
        "campaign_id": "t.campaign_id",
        "campaign_id_string": "t.campaign_code",
        "campaign_budget_type": "CASE WHEN t.template = 5 THEN 'LIFETIME_BUDGET' ELSE 'DAILY_BUDGET' END",
        "portfolio_id": "t.portfolio_id",
        "portfolio_name": "t.portfolio",
        "ad_group": "t.ad_group",
        "ad_group_status": "'ENABLED'",
        "ad_group_type": "CASE WHEN t.product = 'sponsored_products' THEN 'SPONSORED_PRODUCTS' ELSE 'STANDARD' END",
        "line_item": "t.ad_group || ' - ' || t.targeting",
        "line_item_id": "t.line_item_id",
        "line_item_price_type": "t.price_type",
        "line_item_status": "'ENABLED'",
        "line_item_type": "CASE WHEN t.match_type IS NULL THEN 'PRODUCT_TARGETING' ELSE 'KEYWORD' END",
        "targeting": "t.targeting",
        "match_type": "t.match_type",
        "customer_search_term": (
            "CASE WHEN t.product IN ('sponsored_products', 'sponsored_brands') THEN coalesce(t.keyword, lower(i.tracked_item))"
            " || CASE WHEN t.match_type = 'EXACT' THEN '' ELSE " + pick(["", " sale", " best", " 2 pack"], "f.k", 85) + " END END"
        ),
        "creative": "t.creative",
        "creative_asin": "i.tracked_asin",
        "creative_type": f"CASE WHEN {_IS_VIDEO} THEN 'VIDEO' ELSE 'STATIC' END",
        "currency_iso_code": "'USD'",
        "currency_name": "'US Dollar'",
        "matched_behavior_segment_ids": (
            "CASE WHEN t.product = 'sponsored_display' THEN CAST(4000 + 37 * chance_pick(f.k, 86, 12) AS VARCHAR) END"
        ),
        "operating_system": "d.os",
        "os_version": "d.os_version",
        "placement_type": (
            "CASE WHEN t.product = 'sponsored_television' THEN 'Streaming' ELSE "
            + pick(["Top of Search on-Amazon", "Detail Page on-Amazon", "Other on-Amazon"], "f.k", 87)
            + " END"
        ),
        "view_definition": f"CASE WHEN {_IS_VIDEO} THEN 'MRC_VIDEO' ELSE 'MRC_DISPLAY' END",
        "impressions": f"CASE WHEN {_IS_CLICK} THEN 0 ELSE 1 END",
        "clicks": f"CASE WHEN {_IS_CLICK} THEN 1 ELSE 0 END",
        "spend": (
            f"CASE WHEN {_IS_CLICK} AND t.price_type = 'CPC' THEN {_CLICK_PRICE}"
            f" WHEN NOT {_IS_CLICK} AND t.price_type <> 'CPC' THEN {_VIEW_PRICE} ELSE 0 END"
        ),
        "viewable_impressions": f"CASE WHEN {_SEEN} AND {_MEASURED} THEN 1 ELSE 0 END",
        "unmeasurable_viewable_impressions": f"CASE WHEN {_SEEN} AND NOT {_MEASURED} THEN 1 ELSE 0 END",
        "five_sec_views": _watched(7500),
        "video_first_quartile_views": _watched(6500),
        "video_midpoint_views": _watched(5000),
        "video_third_quartile_views": _watched(3800),
        "video_complete_views": _watched(3000),
        "video_unmutes": _watched(400),
    },
)  # fmt: skip
