from __future__ import annotations

import pytest

from airflow_provider_amc.emulator.engine import Engine
from airflow_provider_amc.sql.audience import audience_tables, counting_query

QUERY = """
SELECT user_id FROM dsp_clicks_for_audiences -- dsp_views_for_audiences
WHERE campaign <> 'x_for_audiences' AND user_id IN (SELECT user_id FROM "DSP_IMPRESSIONS_FOR_AUDIENCES");
"""


def test_tables_of_audiences_are_names_and_not_texts_or_comments() -> None:
    assert audience_tables(QUERY) == ["dsp_clicks_for_audiences", "DSP_IMPRESSIONS_FOR_AUDIENCES"]
    assert audience_tables("SELECT user_id FROM dsp_clicks") == []


def test_the_count_reads_the_tables_of_reports() -> None:
    assert counting_query(QUERY) == (
        "SELECT COUNT(DISTINCT user_id) AS users FROM (SELECT user_id FROM dsp_clicks WHERE campaign <> "
        "'x_for_audiences' AND user_id IN (SELECT user_id FROM \"DSP_IMPRESSIONS\")) AS audience"
    )


@pytest.mark.parametrize("query", [QUERY, "SELECT user_id FROM dsp_clicks_for_audiences GROUP BY user_id"])
def test_the_count_is_amc_sql(query: str) -> None:
    import datetime as dt

    engine = Engine(scale="tiny", now=dt.datetime(2026, 1, 1))
    assert [column.name for column in engine.compile(counting_query(query)).output_columns] == ["users"]
