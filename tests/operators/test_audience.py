from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcResourceFailedError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.audience import (
    AmcCheckAudienceSizeOperator,
    AmcCreateAudienceOperator,
    AmcDeleteAudienceOperator,
    AmcUpdateAudienceOperator,
)
from airflow_provider_amc.sensors.resource import AmcAudienceSensor
from airflow_provider_amc.windows import TimeWindow, explicit, last_days
from tests.tasks import run_through, task_context

USERS = "SELECT user_id FROM dsp_impressions_for_audiences GROUP BY user_id"
NOBODY = "SELECT user_id FROM dsp_impressions_for_audiences WHERE 1 = 0"
#: The emulator's present is the real one, as an adopted audience has to be younger than the DAG run.
WINDOW = {
    "time_window_start": datetime.now(UTC) - timedelta(days=90),
    "time_window_end": datetime.now(UTC) - timedelta(days=10),
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(port=0, scale="tiny", min_audience_users=50) as running:
        yield running


@pytest.fixture
def amc(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> EmulatorServer:
    server.reset()
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
    return server


def create(**changes: Any) -> AmcCreateAudienceOperator:
    fields = {
        "task_id": "audience", "advertiser_id": "580000000000000001", "audience_name": "Visitors", "sql": USERS,
        "poll_interval": 0.01, **WINDOW, **changes,
    }  # fmt: skip
    return AmcCreateAudienceOperator(**fields)


def submissions(server: EmulatorServer) -> int:
    return sum(one["method"] == "POST" and "/amc/audiences/" in one["path"] for one in server.requests)


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_audience_is_made_and_told_of(amc: EmulatorServer, mocker: Any, deferrable: bool) -> None:
    operator, context = create(deferrable=deferrable, refresh_rate_days="7"), task_context()
    info = mocker.patch.object(operator.log, "info")
    known = run_through(operator, context)
    told = [str(call.args[0]) % call.args[1:] for call in info.call_args_list]
    assert any(f"{known} has " in line and "members; DSP audience" in line for line in told), told
    due = datetime.now(UTC) + timedelta(days=7)
    assert any(f"will be refreshed about {due:%Y-%m-%d}" in line for line in told), told
    facts = context["ti"].xcoms["audience"]
    assert facts["audience_count"] >= 50
    assert datetime.now(UTC) - datetime.fromisoformat(facts["last_refreshed"]) < timedelta(hours=1)
    assert {name: facts[name] for name in ("refresh_rate_days", "next_refresh", "deactivation")} == {
        "refresh_rate_days": 7,
        "next_refresh": f"{due:%Y-%m-%d}",
        "deactivation": None,
    }
    assert facts["dsp_audience_id"]
    assert run_through(AmcAudienceSensor(task_id="s", audience_execution_id=known, deferrable=deferrable), {}) is None


def test_without_refresh_the_end_is_told(amc: EmulatorServer, mocker: Any) -> None:
    operator, context = create(refresh_rate_days=0), task_context()
    info = mocker.patch.object(operator.log, "info")
    operator.execute(context)
    day = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
    assert f"deactivated about {day}" in str(info.call_args_list)
    facts = context["ti"].xcoms["audience"]
    assert (facts["deactivation"], facts["next_refresh"]) == (day, None)


@pytest.mark.parametrize(
    "window",
    [
        last_days(30, time_zone="America/New_York"),
        explicit("2026-01-01T00:00:00", "2026-02-01T00:00:00", "America/New_York"),
    ],
)
def test_a_window_of_the_helpers_is_told_in_utc(amc: EmulatorServer, window: Any) -> None:
    context = task_context()
    stated = window if isinstance(window, TimeWindow) else window.resolve(context)
    none = {"time_window_start": None, "time_window_end": None}
    known = create(window=window, **none).execute(context)
    with AmcHook().get_conn() as client:
        audience = client.audiences.get(known)
    zone = ZoneInfo("America/New_York")
    for found, meant in ((audience.time_window_start, stated.start), (audience.time_window_end, stated.end)):
        assert found == datetime.fromisoformat(str(meant)).replace(tzinfo=zone)


@pytest.mark.parametrize("deferrable", [True, False])
def test_too_few_users_fail_with_amcs_reason(amc: EmulatorServer, deferrable: bool) -> None:
    with pytest.raises(AmcResourceFailedError, match=r"audience .* ended as FAILED: .+"):
        run_through(create(sql=NOBODY, deferrable=deferrable), task_context())


def test_a_retry_goes_on_with_the_same_audience(amc: EmulatorServer) -> None:
    first = create(wait_for_completion=False).execute(task_context())
    assert create().execute(task_context(ti={"try_number": 2})) == first
    assert submissions(amc) == 1
    create(audience_name="Others").execute(task_context(ti={"try_number": 2}))
    assert submissions(amc) == 2


def test_a_lost_answer_is_looked_for(amc: EmulatorServer) -> None:
    amc.add_fault(operation="createQueryBasedAudience", kind="lost_answer", cut=True)
    assert create().execute(task_context())
    amc.add_fault(operation="createQueryBasedAudience", kind="status", status=503)
    with pytest.raises(AmcUnknownOutcomeError):
        create(audience_name="Never heard of").execute(task_context())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sql": "SELECT user_id FROM dsp_impressions"}, "_for_audiences"),
        ({"refresh_rate_days": 40}, "0 to 21"),
        ({"time_window_end": "2025-01-01T00:00:00"}, "must be before"),
    ],
)
def test_what_is_wrong_is_not_sent(amc: EmulatorServer, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        create(**changes).execute(task_context())
    assert submissions(amc) == 0
    with pytest.raises(AmcValidationError, match="one of them"):
        create(workflow_id="w")
    for changes in ({"window": last_days(7)}, {"time_window_end": None}):
        with pytest.raises(AmcValidationError, match="pass window, or time_window_start and time_window_end"):
            create(**changes)


def test_delete(amc: EmulatorServer) -> None:
    operator = create(sql=NOBODY)
    with pytest.raises(AmcResourceFailedError):
        operator.execute(task_context())
    (audience,) = operator.client.audiences.list()
    known = audience.audience_execution_id
    AmcDeleteAudienceOperator(task_id="d", audience_execution_id=known).execute({})
    AmcDeleteAudienceOperator(task_id="d", audience_execution_id=known).execute({})
    with pytest.raises(Exception, match=r"(?i)not exist|not found"):
        AmcDeleteAudienceOperator(task_id="d", audience_execution_id=known, if_missing="fail").execute({})


def failed_audience() -> str:
    with pytest.raises(AmcResourceFailedError):
        create(sql=NOBODY).execute(task_context())
    (audience,) = AmcHook().get_conn().audiences.list()
    return audience.audience_execution_id


def update(known: str, **changes: Any) -> AmcUpdateAudienceOperator:
    fields = {"task_id": "update", "audience_execution_id": known, "sql": USERS, "poll_interval": 0.01, **changes}
    return AmcUpdateAudienceOperator(**fields)


def puts(server: EmulatorServer) -> list[dict[str, Any]]:
    return [one["body"] for one in server.requests_of("updateQueryBasedAudienceByAudienceExecutionId")]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_failed_audience_is_changed(amc: EmulatorServer, deferrable: bool) -> None:
    known, context = failed_audience(), task_context()
    assert run_through(update(known, deferrable=deferrable), context) == known
    assert context["ti"].xcoms["audience"]["audience_count"] >= 50
    (sent,) = puts(amc)
    (created,) = [one["body"] for one in amc.requests_of("createQueryBasedAudience")]
    assert {**created, "query": USERS} == {name: sent[name] for name in created}
    audience = AmcHook().get_conn().audiences.get(known)
    assert (audience.status, audience.query) == ("SUCCEEDED", USERS)


def test_the_query_of_a_failed_audience_can_stay(amc: EmulatorServer) -> None:
    known = failed_audience()
    with pytest.raises(AmcResourceFailedError, match="ended as FAILED"):
        update(known, sql=None, time_window_end=datetime.now(UTC) - timedelta(days=5)).execute(task_context())
    assert [one["query"] for one in puts(amc)] == [NOBODY]


def test_a_retry_goes_on_with_the_change(amc: EmulatorServer) -> None:
    known = failed_audience()
    amc.add_fault(operation="updateQueryBasedAudienceByAudienceExecutionId", kind="duration", seconds=600)
    update(known, wait_for_completion=False).execute(task_context())
    amc.advance_clock(600)
    assert update(known).execute(task_context(ti={"try_number": 2})) == known
    assert len(puts(amc)) == 1


def test_the_lost_answer_to_a_change(amc: EmulatorServer) -> None:
    known = failed_audience()
    amc.add_fault(operation="updateQueryBasedAudienceByAudienceExecutionId", kind="lost_answer", times=1)
    assert update(known).execute(task_context()) == known


def test_what_cannot_be_changed(amc: EmulatorServer) -> None:
    known = create().execute(task_context())
    with pytest.raises(AmcInvalidRequestError, match="only FAILED audiences"):
        update(known, sql=NOBODY).execute(task_context())
    amc.reset()
    known = failed_audience()
    with pytest.raises(AmcValidationError, match="_for_audiences"):
        update(known, sql="SELECT user_id FROM dsp_impressions").execute(task_context())
    assert puts(amc) == []
    with pytest.raises(AmcValidationError, match="not both"):
        update(known, workflow_id="w")
    with pytest.raises(AmcNotFoundError):
        update("00000000-0000-0000-0000-000000000000").execute(task_context())


def check(**changes: Any) -> AmcCheckAudienceSizeOperator:
    fields = {"task_id": "size", "sql": USERS, "poll_interval": 0.01, **WINDOW, **changes}
    return AmcCheckAudienceSizeOperator(**fields)


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_size_is_counted_with_the_tables_of_reports(amc: EmulatorServer, deferrable: bool) -> None:
    context = task_context()
    run_through(check(fewest=1, deferrable=deferrable), context)
    users = context["ti"].xcoms["users"]
    assert users > 50
    (sent,) = [one for one in amc.requests if one["method"] == "POST" and one["path"].endswith("workflowExecutions")]
    assert "_for_audiences" not in json.dumps(sent)
    with pytest.raises(AmcResourceFailedError, match=rf"finds {users:,} users, and {users + 1:,} at least"):
        run_through(check(fewest=users + 1, deferrable=deferrable), task_context())


def test_a_size_that_does_not_fit_can_skip(amc: EmulatorServer) -> None:
    with pytest.raises(AirflowSkipException, match="10 at most"):
        check(fewest=1, most=10, on_misfit="skip").execute(task_context())
    context = task_context()
    with pytest.raises(AmcResourceFailedError, match="finds 0 users, and 500 at least"):
        check(sql=NOBODY, lookalike=True).execute(context)
    assert context["ti"].xcoms["users"] == 0
    with pytest.raises(AmcValidationError, match="no count without"):
        check(wait_for_completion=False)
