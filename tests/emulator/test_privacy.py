"""AMC's privacy rules at the end of the road: a workflow over HTTP, and the reasons in its result.

Facts: AMC documentation, "Aggregation threshold" and "Create workflow". The rules themselves are tested in tests/sql/privacy.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.testing import AmcEmulator

SUM = "SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY campaign"


@pytest.fixture
def amc(emulator: EmulatorServer) -> Iterator[AmcEmulator]:
    amc = AmcEmulator(emulator)
    yield amc
    amc.close()


def reasons(amc: AmcEmulator, sql: str) -> list[str | None]:
    assert amc.query(sql) == [], "the row is removed unless the workflow says otherwise"
    rows = amc.query(sql, privacy_filtering_behavior="REMOVE_VALUES", filtered_reason_column="why")
    assert [row["campaign"] for row in rows] == [None] * len(rows)
    return [row["why"] for row in rows]


@pytest.mark.covers("rule", "users are counted for each data source of a row")
def test_users_of_every_table(amc: AmcEmulator) -> None:
    both = [{"user_id": user, "campaign": "Spring"} for user in ("a", "b")]
    amc.load_table("dsp_impressions", [{**row, "impressions": 1} for row in both])
    amc.load_table("dsp_clicks", [{**both[0], "clicks": 1}, {**both[0], "clicks": 1}])
    assert amc.query(SUM) == [{"campaign": "Spring", "n": 2}]
    sql = """SELECT i.campaign, COUNT(DISTINCT i.user_id) AS seen, COUNT(DISTINCT c.user_id) AS clicked
        FROM dsp_impressions i JOIN dsp_clicks c ON i.campaign = c.campaign GROUP BY i.campaign"""
    assert reasons(amc, sql) == ["1 'dsp_clicks' users < 2 required"]


@pytest.mark.covers("rule", "effective users")
def test_users_who_added_nothing(amc: AmcEmulator) -> None:
    rows = [{"user_id": user, "campaign": "Spring", "impressions": n} for user, n in (("a", 3), ("b", 0))]
    amc.load_table("dsp_impressions", rows)
    assert reasons(amc, SUM) == ["1 'dsp_impressions' effective users < 2 required"]


@pytest.mark.covers("rule", "equivalent users")
def test_a_user_who_added_nearly_all(amc: AmcEmulator) -> None:
    rows = [{"user_id": user, "campaign": "Spring", "impressions": n} for user, n in (("a", 99), ("b", 1))]
    amc.load_table("dsp_impressions", rows)
    assert reasons(amc, SUM) == ["1 'dsp_impressions' equivalent users < 2 required"]
    amc.load_table("dsp_impressions", [*rows, {**rows[0], "user_id": "c"}])
    assert amc.query(SUM) == [{"campaign": "Spring", "n": 199}]
