from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.models import OutputColumn
from airflow_provider_amc.exceptions import AmcPrivacyLossError
from airflow_provider_amc.landing.privacy import PrivacyLoss, PrivacyMeter
from airflow_provider_amc.landing.privacy_columns import PrivacyColumns
from airflow_provider_amc.landing.schema import arrow_schema
from tests.landing.results import PROPERTY

COLUMNS = [
    OutputColumn("device", "STRING", "DIMENSION"),
    OutputColumn("reach", "LONG", "DIMENSION"),
    OutputColumn("impressions", "LONG", "METRIC"),
    OutputColumn("cost", "DECIMAL", "METRIC", 38, 4),
    OutputColumn("filtered", "BOOLEAN", "DIMENSION"),
    OutputColumn("users", "LONG", "METRIC"),
    OutputColumn("why", "STRING", "DIMENSION"),
]
ALL = PrivacyColumns("filtered", "users", "why")
BY_REASON = PrivacyColumns(None, "users", "why")
BY_COUNT = PrivacyColumns(None, "users", None)


def batch(*rows: tuple[Any, ...]) -> pa.RecordBatch:
    schema = arrow_schema(COLUMNS)
    return pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def measured(told_by: PrivacyColumns, *rows: tuple[Any, ...], columns: list[OutputColumn] = COLUMNS) -> PrivacyLoss:
    meter = PrivacyMeter(columns, told_by)
    meter.add(batch(*rows[:1]))
    meter.add(batch(*rows[1:]))
    return meter.loss


WHY = "13 'dsp_impressions' users < 100 required"
OTHER = "1 'dsp_clicks' (path 1 of 2) effective users < 2 required"
ROWS = [
    ("Phone", 9, 60, Decimal("1.5"), False, 100, None),
    ("Phone", None, 30, None, True, 13, WHY),
    (None, None, 10, Decimal("0.5"), True, 1, OTHER),
    ("TV", 4, None, Decimal("2.0"), False, 100, None),
]


def test_rows_that_the_discriminator_marks() -> None:
    loss = measured(ALL, *ROWS)
    assert (loss.rows, loss.hidden_rows, loss.row_share) == (4, 2, 0.5)
    assert loss.metrics == {"impressions": 0.4, "cost": 0.125}
    assert loss.removed_values == {"device": 1, "reach": 2, "cost": 1}
    assert loss.reasons == {"'dsp_clicks' (path 1 of 2) effective users < 2 required": 1, WHY[3:]: 1}
    # A cost was removed in one of four rows, which is more than what stands in hidden rows.
    assert loss.metric_share("cost") == 0.25
    assert loss.hidden_share == 0.4
    assert json.loads(json.dumps(loss.as_dict()))["hidden_share"] == 0.4


def test_reasons_count_where_there_is_no_discriminator() -> None:
    discriminator_says_no = [(*row[:4], False, *row[5:]) for row in ROWS]
    loss = measured(BY_REASON, *discriminator_says_no)
    assert (loss.hidden_rows, loss.metrics["impressions"]) == (2, 0.4)


@pytest.mark.parametrize(
    ("users", "hidden"),
    [
        ([100, 13, 1, 100], 2),
        ([2, 2, 1, 2], 1),
        ([157, 2, None, 99], 2),
        ([None, None, None, None], 0),
        ([2, 2, 2, 2], 0),
        ([0, 0, 0, 0], 4),
    ],
)
def test_user_counts_below_the_number_where_amc_stops(users: list[int | None], hidden: int) -> None:
    loss = measured(BY_COUNT, *[(*row[:5], count, None) for row, count in zip(ROWS, users, strict=True)])
    assert (loss.rows, loss.hidden_rows, loss.reasons) == (4, hidden, {})


def test_what_is_taken_back_counts_as_much() -> None:
    loss = measured(ALL, ("a", 1, 10, Decimal(-3), False, 100, None), ("b", 1, -10, Decimal(1), True, 5, WHY))
    assert loss.metrics == {"impressions": 0.5, "cost": 0.25}


def test_no_metric_leaves_the_rows() -> None:
    columns = [
        OutputColumn(column.name, column.data_type, "DIMENSION", column.precision, column.scale) for column in COLUMNS
    ]
    loss = measured(ALL, *ROWS, columns=columns)
    assert (loss.metrics, loss.hidden_share) == ({}, 0.5)


def test_no_rows_and_sums_of_zero() -> None:
    meter = PrivacyMeter(COLUMNS, ALL, 0.0)
    meter.finish()
    assert meter.loss.as_dict()["hidden_share"] == 0.0
    loss = measured(ALL, ("a", 1, 0, Decimal(0), False, 100, None), ("b", 1, 0, Decimal(0), True, 5, WHY))
    assert loss.metrics == {"impressions": None, "cost": None}
    assert "impressions: nothing to add up" in loss.lines()


def test_numbers_that_are_none() -> None:
    columns = [OutputColumn("rate", "DOUBLE", "METRIC"), OutputColumn("filtered", "BOOLEAN", "DIMENSION")]
    meter = PrivacyMeter(columns, PrivacyColumns("filtered"))
    rate = pa.array([1.0, float("nan"), float("inf"), 3.0, None])
    meter.add(pa.record_batch([rate, pa.array([True, True, False, False, None])], names=["rate", "filtered"]))
    assert meter.loss.metrics == {"rate": 0.25}
    assert meter.loss.hidden_rows == 2


def test_repeated_names() -> None:
    columns = [OutputColumn("n", "LONG", "METRIC"), OutputColumn("n", "LONG", "METRIC"), OutputColumn("f", "BOOLEAN")]
    meter = PrivacyMeter(columns, PrivacyColumns("f"))
    meter.add(pa.record_batch([pa.array([1, 3]), pa.array([1, 1]), pa.array([True, False])], names=["n", "n", "f"]))
    assert meter.loss.metrics == {"n": 0.25, "n (2)": 0.5}


def test_lines_for_the_log() -> None:
    assert measured(ALL, *ROWS).lines() == [
        "AMC has hidden values in 2 of 4 rows (50.00%)",
        "impressions: 40.00% of its sum stands in hidden rows",
        "cost: 12.50% of its sum stands in hidden rows, its value was removed in 1 rows",
        "Dimensions removed, by rows: device in 1, reach in 2",
        "1 rows: 'dsp_clicks' (path 1 of 2) effective users < 2 required",
        "1 rows: 'dsp_impressions' users < 100 required",
    ]
    doubtful = measured(BY_REASON, *ROWS)
    assert doubtful.lines()[-1] == BY_REASON.doubt
    assert measured(PrivacyColumns(None, None, "why", rows_stay=True), *ROWS).doubt is None


class TestLimit:
    def test_exactly_the_limit_is_allowed(self) -> None:
        measured(ALL, *ROWS).check(0.4)
        measured(ALL, *ROWS).check(None)

    def test_noise_of_adding_up_is_not_more(self) -> None:
        tenths = [("a", 1, 0, Decimal("0.1"), marked, 5, None) for marked in (True, True, True, False, False, False)]
        measured(ALL, *tenths).check(0.5)

    def test_beyond_it(self) -> None:
        with pytest.raises(AmcPrivacyLossError) as caught:
            measured(ALL, *ROWS).check(0.2)
        error = caught.value
        assert "max_hidden_share=0.2 allows: 40.00% of impressions, 25.00% of cost, in 2 of 4 rows (50.00%)" in str(
            error
        )
        assert "fewer dimensions or a longer window" in str(error)
        assert (error.hidden_share, error.max_hidden_share, error.retryable) == (0.4, 0.2, False)


flags = st.sampled_from([True, False, None])
amounts = st.one_of(st.none(), st.integers(-(10**12), 10**12))
tables = st.lists(st.tuples(flags, amounts), max_size=40)


@PROPERTY
@given(tables, st.integers(1, 7))
def test_like_a_count_over_all_rows(table: list[tuple[bool | None, int | None]], size: int) -> None:
    """Cut into batches in any way, the numbers are those of a plain loop."""
    rows = [("a", 1, amount, None, marked, 5, None) for marked, amount in table]
    meter = PrivacyMeter(COLUMNS, ALL)
    for start in range(0, len(rows), size):
        meter.add(batch(*rows[start : start + size]))
    hidden = [amount for marked, amount in table if marked]
    whole = sum(abs(amount) for _, amount in table if amount is not None)
    part = sum(abs(amount) for amount in hidden if amount is not None)
    loss = meter.loss
    assert (loss.rows, loss.hidden_rows) == (len(table), len(hidden))
    assert loss.metrics["impressions"] == (pytest.approx(part / whole, abs=1e-9) if whole else None)
    assert loss.removed_values.get("impressions", 0) == hidden.count(None)
