"""The tables of AMC that have synthetic rows."""

from __future__ import annotations

from airflow_provider_amc.emulator.data import conversions, derived, dsp, sponsored
from airflow_provider_amc.emulator.data.tabledata import TableData

TABLES: dict[str, TableData] = {
    "dsp_impressions": dsp.IMPRESSIONS,
    "dsp_clicks": dsp.CLICKS,
    "dsp_views": dsp.VIEWS,
    "sponsored_ads_traffic": sponsored.TRAFFIC,
    "amazon_attributed_events_by_traffic_time": conversions.BY_TRAFFIC_TIME,
    "amazon_attributed_events_by_conversion_time": conversions.BY_CONVERSION_TIME,
    "conversions": conversions.CONVERSIONS,
    "conversions_with_relevance": conversions.RELEVANCE,
    "conversions_all": derived.CONVERSIONS_ALL,
    "dsp_impressions_by_matched_segments": derived.BY_MATCHED_SEGMENTS,
    "dsp_impressions_by_user_segments": derived.BY_USER_SEGMENTS,
    "dsp_video_events_feed": derived.VIDEO,
}
