"""conversions, conversions_with_relevance and both tables of attributed events over the facts."""

from __future__ import annotations

import re

from airflow_provider_amc.emulator.data.dsp import DSP_JOINS, IMPRESSIONS
from airflow_provider_amc.emulator.data.sponsored import SPONSORED_JOINS
from airflow_provider_amc.emulator.data.sponsored import TRAFFIC as SPONSORED
from airflow_provider_amc.emulator.data.tabledata import (
    USER_COLUMNS,
    TableData,
    local,
    moment_columns,
    pick,
    span_columns,
)

_OFF = "(f.step = 3)"
_ORDER = "(f.step = 2)"
_SUBTYPE = (
    "CASE f.step WHEN 0 THEN "
    + pick(
        ["detailPageView"] * 16
        + ["searchConversion", "searchConversion", "brandStorePageView", "wishList"],
        "f.k", 90,
    )
    + " WHEN 1 THEN 'shoppingCart' WHEN 2 THEN "
    + pick(["order"] * 24 + ["snsSubscription"], "f.k", 91)
    + " ELSE " + pick(["134", "140", "141"], "f.k", 92) + " END"
)  # fmt: skip
_IS_LOOK = f"({_SUBTYPE} = 'detailPageView')"
# The price of the product, with a discount of up to a fifth
_PRICE = "(CAST(i.cents - i.cents * chance_pick(f.k, 93, 21) // 100 AS DECIMAL(18,2)) / 100)"
_SALES = f"CASE WHEN {_ORDER} THEN CAST(round({_PRICE}, 2) AS DECIMAL(38,4)) * f.units ELSE 0 END"
_OFF_VALUE = f"CASE WHEN {_OFF} THEN CAST(10 + chance_pick(f.k, 94, 9000) AS DECIMAL(38,4)) / 100 ELSE 0 END"
_NAMES = {
    "conversion_event_name": f"CASE WHEN {_OFF} THEN "
    + pick(["Checkout complete", "Sign-up", "Lead form"], "f.k", 92)
    + " END",
    "conversion_event_source_name": f"CASE WHEN {_OFF} THEN v.advertiser || ' Website' END",
}
_KINDS = {
    "category": f"CASE WHEN {_OFF} THEN 'off-Amazon' WHEN f.step = 2 THEN 'purchase' ELSE 'website' END",
    "subtype": _SUBTYPE,
    "type": "'CONVERSION'",
    "type_class": f"CASE WHEN {_OFF} THEN NULL WHEN f.step = 2 THEN 'conversion' ELSE 'consideration' END",
    "type_description": (
        f"CASE {_SUBTYPE} WHEN 'detailPageView' THEN 'Product detail page viewed' WHEN 'shoppingCart' THEN 'Added to cart'"
        " WHEN 'order' THEN 'Product purchased' WHEN 'snsSubscription' THEN 'Subscribe and save started'"
        " WHEN 'searchConversion' THEN 'Branded search' WHEN 'brandStorePageView' THEN 'Brand store page viewed'"
        " WHEN 'wishList' THEN 'Added to a wish list' ELSE 'Off-Amazon event' END"
    ),
}  # fmt: skip
_PURCHASE = {
    "new_to_brand": "f.ntb",
    "tracked_asin": f"CASE WHEN NOT {_OFF} THEN i.tracked_asin END",
    "tracked_item": f"CASE WHEN {_OFF} THEN v.advertiser || ' Website' ELSE i.tracked_asin END",
    "purchase_currency": f"CASE WHEN {_ORDER} OR {_OFF} THEN 'USD' END",
    "purchase_retail_program": f"CASE WHEN {_ORDER} THEN " + pick(["AMAZON_RETAIL", "AMAZON_RETAIL", "AMAZON_FRESH"], "f.k", 95) + " END",
    "purchase_unit_price": f"CASE WHEN {_ORDER} THEN round({_PRICE}, 2) END",
}  # fmt: skip
_VALUES = {
    "conversions": "1",
    "total_units_sold": "f.units",
    "total_product_sales": _SALES,
    "off_amazon_product_sales": _OFF_VALUE,
    "off_amazon_conversion_value": _OFF_VALUE,
    "combined_sales": f"({_SALES}) + ({_OFF_VALUE})",
}
_BUYER = {
    "v": "JOIN d_adv AS v ON v.adv = f.adv",
    "i": "JOIN d_asin AS i ON i.asin = f.asin",
}

CONVERSIONS = TableData(
    rows="f_conversion AS f",
    time="f.ts",
    joins=_BUYER,
    columns={
        **USER_COLUMNS,
        **moment_columns("event", "f.ts", zoned=False),
        **{f"event_{name}": value for name, value in _KINDS.items()},
        **_NAMES,
        **_PURCHASE,
        **_VALUES,
        "conversion_id": "upper(md5('conversion-' || $seed || '-' || f.k))",
        "marketplace_name": f"CASE WHEN NOT {_OFF} THEN 'AMAZON.COM' END",
    },
)

# A conversion is relevant for the campaign that promotes the product and for some of the brand's other campaigns.
_RELEVANT = """(
    SELECT c.*, s.slot, c.asin % 3 = s.slot AS promoted,
        ((extract(year FROM c.ts) * 4 + extract(quarter FROM c.ts) - 1) * 4 + c.adv) * 3 + s.slot AS campaign_no
    FROM f_conversion AS c, (VALUES (0), (1), (2)) AS s(slot)
    WHERE c.asin % 3 = s.slot OR (c.step <> 3 AND chance_hits(c.k, 96 + s.slot, 5500))
) AS f"""

RELEVANCE = TableData(
    rows=_RELEVANT,
    time="f.ts",
    joins={"a": "JOIN d_ad AS a ON a.ad = f.campaign_no * 4", **_BUYER},
    columns={
        **CONVERSIONS.columns,
        **moment_columns("event", "f.ts"),
        **{name: f"CAST({value} AS DATE)" for name, value in span_columns("campaign", "a.starts", "a.ends").items()},
        **span_columns("campaign", "a.starts", "a.ends", ("dt",)),
        "advertiser": "v.advertiser",
        "advertiser_id": "v.advertiser_id",
        "advertiser_timezone": "v.tz",
        "campaign": "a.campaign",
        "campaign_id": "a.campaign_id",
        "campaign_id_string": "a.campaign_id",
        "campaign_budget_amount": "a.campaign_budget",
        "campaign_sales_type": "a.sales_type",
        "campaign_source": "'ADSP'",
        "engagement_scope": f"CASE WHEN {_OFF} THEN NULL WHEN f.promoted THEN 'PROMOTED' ELSE 'BRAND_HALO' END",
        "halo_code": (
            f"CASE WHEN {_OFF} THEN NULL WHEN f.promoted THEN " + pick(["TRACKED_ASIN", "TRACKED_ASIN", "VARIATIONAL_ASIN"], "f.k", 99)
            + " ELSE "
            + pick(["BRAND_KEYWORD", "CATEGORY_KEYWORD", "BRAND_MARKETPLACE", "BRAND_GL_PRODUCT", "BRAND_CATEGORY", "BRAND_SUBCATEGORY"], "f.k", 100)
            + " END"
        ),
    },
)  # fmt: skip


# --- attributed events -----------------------------------------------------------------------------------------------

_IS_CLICK = "(f.touch IN (1, 3))"
_IS_DSP = "(f.touch < 2)"


def _split(name: str, value: str, *, halo: bool = True, prefix: str = "") -> dict[str, str]:
    """A measure as AMC splits it: promoted and brand halo, after a click or a view, and both together."""
    columns: dict[str, str] = {}
    parts = [(f"{prefix}{name}", f"CASE WHEN NOT f.halo THEN {value} ELSE 0 END")]
    if halo:
        parts.append((f"{prefix}brand_halo_{name}", f"CASE WHEN f.halo THEN {value} ELSE 0 END"))
        parts.append((f"{prefix}total_{name}", value))
    else:
        parts = [(f"{prefix}{name}", value)]
    for column, part in parts:
        columns[column] = part
        columns[f"{column}_clicks"] = f"CASE WHEN {_IS_CLICK} THEN {part} ELSE 0 END"
        columns[f"{column}_views"] = f"CASE WHEN NOT {_IS_CLICK} THEN {part} ELSE 0 END"
    return columns


def _flag(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


_SUBSCRIBED = _flag(f"{_SUBTYPE} = 'snsSubscription' AND chance_hits(f.k, 101, 2000)")
_SIGNUPS = (
    "digital_app_subscription_signup_purchases",
    "digital_free_trial_app_subscription_signup_purchases",
    "digital_free_trial_subscription_signup_purchases",
    "digital_paid_app_subscription_signup_purchases",
    "digital_paid_subscription_signup_purchases",
    "digital_subscription_signup_purchases",
)
_MEASURES = {
    **_split("purchases", _flag(_ORDER)),
    **_split("units_sold", f"CASE WHEN {_ORDER} THEN f.units ELSE 0 END"),
    **_split("product_sales", _SALES),
    **_split("add_to_cart", _flag("f.step = 1")),
    **_split("detail_page_view", _flag(_IS_LOOK)),
    **_split("purchases", _flag(f"{_ORDER} AND f.ntb"), prefix="new_to_brand_"),
    **_split("units_sold", f"CASE WHEN {_ORDER} AND f.ntb THEN f.units ELSE 0 END", prefix="new_to_brand_"),
    **_split("product_sales", f"CASE WHEN f.ntb THEN {_SALES} ELSE 0 END", prefix="new_to_brand_"),
    # A subscription that is bought is a paid one of the plain kind; the others did not happen to these brands
    **{
        column: value
        for name in _SIGNUPS
        for column, value in _split(
            name,
            _SUBSCRIBED if name in ("digital_paid_subscription_signup_purchases", "digital_subscription_signup_purchases") else "0",
            halo=False,
        ).items()
    },
}  # fmt: skip


_FACT = re.compile(r"\bf\.(ad|target|k)\b")


def _of_touch(text: str) -> str:
    """SQL about an ad event, said about the ad event behind a conversion."""
    return _FACT.sub(lambda match: "f.touch_k" if match[1] == "k" else "f.item", text)


def _of_dsp(name: str) -> str:
    """A column of dsp_impressions, for the ad that was shown before this conversion; NULL for sponsored ads."""
    return f"CASE WHEN {_IS_DSP} THEN {_of_touch(IMPRESSIONS.columns[name])} END"


def _of_sponsored(name: str) -> str:
    """A column of sponsored_ads_traffic; NULL for ads of Amazon DSP."""
    return f"CASE WHEN NOT {_IS_DSP} THEN {_of_touch(SPONSORED.columns[name])} END"


def _of_both(name: str) -> str:
    """A column that dsp_impressions and sponsored_ads_traffic share."""
    dsp, sponsored = (_of_touch(table.columns[name]) for table in (IMPRESSIONS, SPONSORED))
    return f"CASE WHEN {_IS_DSP} THEN CAST({dsp} AS VARCHAR) ELSE CAST({sponsored} AS VARCHAR) END"


def _joins() -> dict[str, str]:
    """The joins of both kinds of ads; an ad joins only its own kind."""
    joins = {
        alias: f"{_of_touch(text).replace('JOIN', 'LEFT JOIN', 1)} AND {_IS_DSP}" for alias, text in DSP_JOINS.items()
    }
    joins["v"] = _BUYER["v"]
    # Devices are the same as in the tables of the ads
    by_kind = (_of_touch(table["d"]).split(" = ", 1)[1] for table in (DSP_JOINS, SPONSORED_JOINS))
    joins["d"] = "JOIN d_device AS d ON d.device = CASE WHEN {} THEN {} ELSE {} END".format(_IS_DSP, *by_kind)
    joins["t"] = f"{_of_touch(SPONSORED_JOINS['t']).replace('JOIN', 'LEFT JOIN', 1)} AND NOT {_IS_DSP}"
    joins["i"] = _BUYER["i"]
    return joins


_SPAN_STARTS = f"CASE WHEN {_IS_DSP} THEN a.starts ELSE TIMESTAMP '2023-03-01 00:00:00' END"
_SPAN_ENDS = f"CASE WHEN {_IS_DSP} THEN a.ends END"
_CLICKED = "CASE WHEN f.touch IN (1, 3) THEN f.touch_ts END"
_SHOWN = "CASE WHEN f.touch <> 3 THEN f.shown_ts END"

_ATTRIBUTED = {
    **USER_COLUMNS,
    **moment_columns("conversion_event", "f.ts", day=False),
    **moment_columns("traffic_event", "f.touch_ts", day=False),
    **moment_columns("click", _CLICKED),
    **moment_columns("impression", _SHOWN),
    **span_columns("campaign", _SPAN_STARTS, _SPAN_ENDS),
    "campaign_end_dt": local(_SPAN_ENDS),
    "campaign_end_dt_utc": _SPAN_ENDS,
    **span_columns("line_item", _SPAN_STARTS, _SPAN_ENDS),
    **{f"conversion_event_{name}": value for name, value in _KINDS.items()},
    **_NAMES,
    **_PURCHASE,
    **_MEASURES,
    "conversion_event_marketplace_name": f"CASE WHEN NOT {_OFF} THEN 'AMAZON.COM' END",
    "traffic_event_marketplace_name": "'AMAZON.COM'",
    "traffic_event_type": "'TRAFFIC'",
    "traffic_event_subtype": f"CASE WHEN {_IS_CLICK} THEN 'AD_CLICK' ELSE 'AD_IMP' END",
    "traffic_event_id": (
        f"CASE WHEN {_IS_DSP} THEN upper(md5('traffic-' || $seed || '-' || f.touch || f.touch_k))"
        " ELSE upper(md5('event-' || $seed || '-' || f.touch_k)) END"
    ),
    "request_tag": f"CASE WHEN {_IS_DSP} THEN upper(md5('request-' || $seed || '-' || f.touch_k)) END",
    "ad_product_type": "t.product",
    "advertiser": "v.advertiser",
    "advertiser_id": "v.advertiser_id",
    "advertiser_timezone": "v.tz",
    "entity_id": "v.entity_id",
    **{
        name: _of_both(name)
        for name in (
            "campaign", "campaign_id", "campaign_id_string", "creative", "creative_type", "line_item", "line_item_id",
            "line_item_status", "line_item_type", "operating_system", "os_version",
        )
    },
    "campaign_status": f"CASE WHEN {_IS_DSP} AND a.ends <= $now THEN 'ENDED' WHEN {_IS_DSP} THEN 'RUNNING' ELSE 'ENABLED' END",
    **{name: _of_sponsored(name) for name in ("match_type", "placement_type", "targeting")},
    "customer_search_term": f"CASE WHEN NOT {_IS_DSP} THEN t.keyword END",
    **{
        name: _of_dsp(name)
        for name in (
            "ad_slot_size", "browser_family", "campaign_budget_amount", "campaign_flight_id", "campaign_insertion_order_id",
            "campaign_primary_goal", "city_name", "creative_category", "creative_duration", "creative_id",
            "creative_is_link_in", "creative_size", "deal_id", "deal_name", "device_make", "device_model", "device_type",
            "dma_code", "environment_type", "iso_country_code", "iso_state_province_code", "line_item_budget_amount",
            "page_type", "postal_code", "product_line", "site", "supply_source",
        )
    },
    **{
        name: f"CASE WHEN f.touch = 0 THEN {_of_dsp(name)} ELSE 0 END"
        for name in ("audience_fee", "platform_fee", "supply_cost", "bid_price")
    },
    "click_cost": "0",
    "impressions": _flag(f"NOT {_IS_CLICK}"),
    "clicks": _flag(_IS_CLICK),
    "conversions": "1",
    "off_amazon_product_sales": _OFF_VALUE,
    "off_amazon_conversion_value": _OFF_VALUE,
    "combined_sales": f"({_SALES}) + ({_OFF_VALUE})",
}  # fmt: skip


def _attributed(time: str) -> TableData:
    """Both tables have the same rows; the window limits the ad event in one and the conversion in the other."""
    return TableData(
        rows="f_conversion AS f",
        time=time,
        joins=_joins(),
        columns=_ATTRIBUTED,
        # Amazon attributes a conversion to an ad of the 14 days before it
        where="f.ts <= f.touch_ts + INTERVAL 14 DAY",
        moments=("f.ts",),
    )


BY_TRAFFIC_TIME = _attributed("f.touch_ts")
BY_CONVERSION_TIME = _attributed("f.ts")

__all__ = ["BY_CONVERSION_TIME", "BY_TRAFFIC_TIME", "CONVERSIONS", "RELEVANCE"]
