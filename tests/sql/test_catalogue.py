from __future__ import annotations

import re

import pytest

from airflow_provider_amc.sql import catalogue


def test_every_documented_table_is_there() -> None:
    tables = catalogue.tables()
    assert len(tables) == 39
    assert {name: len(tables[name].columns) for name in ("dsp_impressions", "dsp_clicks", "dsp_views")} == {
        "dsp_impressions": 98,
        "dsp_clicks": 97,
        "dsp_views": 66,
    }
    assert len(tables["dsp_video_events_feed"].columns) == 113
    assert len(tables["dsp_impressions_by_user_segments"].columns) == 102
    assert len(tables["sponsored_ads_traffic"].columns) == 73
    assert len(tables["amazon_attributed_events_by_traffic_time"].columns) == 217
    assert len(tables["amazon_retail_purchases"].columns) == 27
    assert len(tables["conversions_all"].columns) == 30


def test_columns_know_type_role_and_threshold() -> None:
    columns = catalogue.get_table("dsp_impressions").columns
    assert columns["user_id"] == catalogue.Column("user_id", "STRING", "DIMENSION", "VERY_HIGH")
    assert columns["total_cost"] == catalogue.Column("total_cost", "DOUBLE", "METRIC", "NONE")
    assert columns["advertiser_account_frequency_group_ids"].data_type == "ARRAY<LONG>"
    events = catalogue.get_table("amazon_attributed_events_by_conversion_time").columns
    assert events["product_sales"].data_type == "DECIMAL(38,4)"
    assert events["deal_name"].column_type == "DIMENSION"


def test_every_value_is_of_its_set() -> None:
    data_type = re.compile(r"(ARRAY<)?(STRING|LONG|INTEGER|DOUBLE|BOOLEAN|DATE|TIMESTAMP|DECIMAL\(38,[24]\))>?")
    for table in [*catalogue.tables().values(), *catalogue.audience_tables().values()]:
        assert table.time_column is None or table.time_column in table.columns
        assert list(table.columns) == sorted(table.columns)
        for name, column in table.columns.items():
            assert name == column.name == name.lower()
            assert data_type.fullmatch(column.data_type), column
            assert column.column_type in (catalogue.DIMENSION, catalogue.METRIC)
            assert column.threshold in ("NONE", "LOW", "MEDIUM", "HIGH", "VERY_HIGH", "INTERNAL")


def test_the_audience_twin_of_impressions_lacks_two_columns() -> None:
    base = catalogue.get_table("dsp_impressions")
    twin = catalogue.get_table("dsp_impressions_for_audiences")
    assert base.audience_table == twin.name
    assert twin.base_table == base.name
    assert set(base.columns) - set(twin.columns) == {"user_behavior_segment_ids", "matched_behavior_segment_ids"}
    assert set(catalogue.get_table("dsp_clicks_for_audiences").columns) == set(
        catalogue.get_table("dsp_clicks").columns
    )


def test_both_spellings_of_the_retail_twin_work() -> None:
    assert catalogue.get_table("amazon_retail_purchase_for_audiences").base_table == "amazon_retail_purchases"
    assert catalogue.get_table("amazon_retail_purchases_for_audiences").base_table == "amazon_retail_purchases"


def test_names_are_found_in_any_case_and_in_the_sandbox() -> None:
    assert catalogue.get_table("SANDBOX.Dsp_Impressions") is catalogue.tables()["dsp_impressions"]
    assert catalogue.get_table("dsp_impressions").in_sandbox
    assert not catalogue.get_table("segment_metadata").in_sandbox
    with pytest.raises(KeyError, match="nothing_like_it"):
        catalogue.get_table("nothing_like_it")


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        catalogue.tables()["x"] = catalogue.get_table("dsp_clicks")  # type: ignore[index]
