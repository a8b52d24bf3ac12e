from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.models import Execution, Schedule
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError
from airflow_provider_amc.triggers.periods import Period, check_identity, period_at, period_of, run_of

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PERIOD = Period(datetime(2026, 3, 4, 8, tzinfo=UTC), datetime(2026, 3, 5, 8, tzinfo=UTC))


def schedule(schedule_id: str = "nightly", **fields: Any) -> Schedule:
    daily = {"workflowId": "reach", "aggregationPeriod": "Daily", "aggregationHourUtc": 8, "scheduleEnabled": True}
    return Schedule.from_api({"scheduleId": schedule_id, **daily, **fields})


def execution(number: int = 1, **fields: Any) -> Execution:
    shown = {
        "workflowExecutionId": f"e{number}",
        "workflowId": "reach",
        "executionCategory": "SCHEDULED",
        "status": "SUCCEEDED",
        "createTime": f"2026-03-05T08:00:{number:02d}Z",
        "timeWindowStart": "2026-03-04T08:00:00Z",
        "timeWindowEnd": "2026-03-05T08:00:00Z",
    }
    return Execution.from_api({**shown, **fields})


@given(
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    hour=st.integers(0, 23),
    day=st.sampled_from(DAYS),
    weekly=st.booleans(),
)
def test_the_last_period_that_has_ended(moment: datetime, hour: int, day: str, weekly: bool) -> None:
    kind = "Weekly" if weekly else "Daily"
    one = schedule(aggregationPeriod=kind, aggregationHourUtc=hour, aggregationStartDay=day)
    period = period_at(one, moment)
    length = timedelta(days=7 if weekly else 1)
    assert period.end - period.start == length
    assert period.end <= moment < period.end + length
    assert (period.end.hour, period.end.minute, period.end.microsecond) == (hour, 0, 0)
    assert not weekly or DAYS[period.end.weekday()] == day
    # A period's end is its own.
    assert period_at(one, period.end) == period_of(one, period.start, period.end) == period


def test_other_zones_name_the_same_period() -> None:
    moment = datetime.fromisoformat("2026-03-05T03:30:00-05:00")
    assert period_at(schedule(), moment) == PERIOD


def test_a_window_that_is_no_period() -> None:
    with pytest.raises(AmcValidationError, match="never runs over 2026-03-04T00:00:00 to 2026-03-05T00:00:00"):
        period_of(schedule(), datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"aggregationPeriod": "Weekly"}, "aggregationStartDay is None"),
        ({"aggregationPeriod": "Monthly"}, "'Monthly', which is not one of AMC's"),
    ],
)
def test_schedules_that_cannot_be_followed(fields: dict[str, Any], error: str) -> None:
    with pytest.raises(AmcConfigurationError, match=error):
        period_at(schedule(**fields), PERIOD.end)


def test_another_schedule_with_the_same_runs() -> None:
    twin = schedule("twin", aggregationStartDay="Friday")
    with pytest.raises(AmcConfigurationError, match="The schedules nightly, twin run the workflow reach"):
        check_identity(schedule(), [schedule(), twin])


@pytest.mark.parametrize(
    "fields",
    [{"workflowId": "other"}, {"aggregationHourUtc": 9}, {"aggregationPeriod": "Weekly"}, {"scheduleEnabled": False}],
)
def test_other_schedules_do_not_disturb(fields: dict[str, Any]) -> None:
    check_identity(schedule(), [schedule(), schedule("other", **fields)])


@pytest.mark.parametrize(
    "fields",
    [
        {"workflowId": "other"},
        {"executionCategory": "AD_HOC"},
        {"executionCategory": None},
        {"executionCategory": None, "outputS3URI": "s3://b/workflow=reach/schedule=adhoc/2026-03-05-reach-ver1.csv"},
        {"timeWindowStart": "2026-03-04T07:00:00Z"},
        {"timeWindowEnd": "2026-03-06T08:00:00Z"},
        {"timeWindowStart": None},
    ],
)
def test_what_is_not_its_run(fields: dict[str, Any]) -> None:
    assert run_of([execution(**fields)], "reach", PERIOD) is None


def test_a_run_is_known_by_the_place_of_its_result_too() -> None:
    uri = "s3://b/workflow=reach/schedule=daily/2026-03-05-reach-ver1.csv"
    assert run_of([execution(executionCategory=None, outputS3URI=uri)], "reach", PERIOD) is not None


def test_which_of_several_runs() -> None:
    failed, running, done, later = (
        execution(number, status=status)
        for number, status in enumerate(["FAILED", "RUNNING", "SUCCEEDED", "FAILED"], 1)
    )
    assert run_of([failed, running, done, later], "reach", PERIOD) == done
    assert run_of([failed, running, later], "reach", PERIOD) == running
    assert run_of([failed, later], "reach", PERIOD) == later
