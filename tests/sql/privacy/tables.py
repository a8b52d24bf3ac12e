"""The few tables and columns of the catalogue that the privacy tests use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_amc.sql import catalogue
from tests.sql.privacy.evaluate import table
from tests.sql.privacy.rows import Relation

#: A table's rows, each with some of its columns.
Data = Mapping[str, Sequence[Mapping[str, object]]]

COLUMNS = {
    "dsp_impressions": ["user_id", "campaign", "device_type", "postal_code", "impressions", "bid_price"],
    "dsp_clicks": ["user_id", "campaign", "device_type", "postal_code", "clicks"],
    "conversions": ["user_id", "event_type", "conversions", "total_units_sold"],
    "amazon_attributed_events_by_traffic_time": [
        "user_id",
        "campaign",
        "device_type",
        "postal_code",
        "impressions",
        "clicks",
    ],
    "segment_metadata": ["segment_id", "segment_name"],
}


def relations(data: Data) -> dict[str, Relation]:
    """Tables for the reference. Their levels and metrics are those of the catalogue."""
    made = {}
    for name, chosen in COLUMNS.items():
        known = catalogue.get_table(name).columns
        columns = {
            column: (
                known[column].threshold,
                "text" if known[column].data_type == "STRING" else "integer",
                known[column].column_type == catalogue.METRIC,
            )
            for column in chosen
        }
        made[name] = table(name, columns, data.get(name, ()))
    return made
