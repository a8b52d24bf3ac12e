from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_amc.client.advertiser_audiences import AdvertiserAudiences
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcConfigurationError,
    AmcInvalidRequestError,
    AmcLoadError,
    AmcNotFoundError,
    AmcResourceFailedError,
    AmcTermsNotAcceptedError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.sensors.resource import AmcAudienceRecordsSensor
from airflow_provider_amc.transfers import s3_to_amc_audience
from airflow_provider_amc.transfers.s3_to_amc_audience import S3ToAmcAudienceOperator
from airflow_provider_amc.upload.journal import Journal
from tests.services import BUCKET
from tests.tasks import deferred, event_of, run_through, task_context

SECOND_TRY = {"try_number": 2}


@pytest.fixture
def connection_id(customers_amc: EmulatorServer) -> str:
    client = AmcHook().get_conn()
    return client.advertiser_audiences.connections.create(
        amc_instance_id=client.instance_id,
        amc_account_id=client.account_id,
        amc_account_marketplace_id=client.marketplace_id,
        dsp_advertiser_id="580000000000000001",
    )


@pytest.fixture
def audience_id(connection_id: str) -> str:
    audiences = AmcHook().get_conn().advertiser_audiences
    return audiences.create(
        "Loyal customers", description="", external_audience_id="loyal", connection_id=connection_id
    ).audience_id


def people(count: int, start: int = 0, **columns: str) -> str:
    rows = (
        ",".join([f"p-{n}", f" Person{n}@Example.com", *columns.values()]) + "\n" for n in range(start, start + count)
    )
    return ",".join(["id", "mail", *columns]) + "\n" + "".join(rows)


@pytest.fixture
def add(customers_amc: EmulatorServer, customers_s3: Any, connection_id: str, audience_id: str) -> Any:
    """Makes the operator; the file has 100 people."""
    customers_s3.load_string(people(100), "in/people.csv", BUCKET)

    def operator(**changes: Any) -> S3ToAmcAudienceOperator:
        fields = {
            "task_id": "add", "audience_id": audience_id, "connection_id": connection_id, "s3_bucket": BUCKET,
            "s3_key": "in/people.csv", "external_id_column": "id", "identities": {"mail": "EMAIL"}, "batch_size": 40,
            "poll_interval": 0.01, **changes,
        }  # fmt: skip
        return S3ToAmcAudienceOperator(**fields)

    return operator


def run_on(operator: Any, context: dict[str, Any]) -> Any:
    """Run a task that defers several times."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    try:
        return operator.execute(context)
    except TaskDeferred as first:
        deferral = first
    while True:
        event = json.loads(json.dumps(event_of(deferral.trigger)))
        try:
            return operator.execute_complete(context, event=event)
        except TaskDeferred as further:
            deferral = further


def size(audience_id: str) -> int:
    return int(AmcHook().get_conn().advertiser_audiences.get(audience_id).audience_size["dspAudienceSize"])


def sent(server: EmulatorServer) -> list[int]:
    """Number of records of each call."""
    return [len(one["body"]["records"]) for one in server.requests_of("ManageAudienceV2")]


@pytest.mark.parametrize("deferrable", [True, False])
def test_people_are_added_in_parts(
    customers_amc: EmulatorServer, customers_s3: Any, add: Any, audience_id: str, deferrable: bool, mocker: Any
) -> None:
    operator = add(deferrable=deferrable)
    info = mocker.patch.object(operator.log, "info")
    result = run_on(operator, task_context())
    assert {**result, "matched": 0, "match_share": 0, "dsp_audience_size": 0} == {
        "audience_id": audience_id,
        "rows": 100,
        "unusable": {"mail": 0},
        "without_identity": 0,
        "records": 100,
        "added": 100,
        "removed": 0,
        "jobs": 3,
        "resent": 0,
        "invalid": 0,
        "reasons": {},
        "matched": 0,
        "match_share": 0,
        "dsp_audience_size": 0,
    }
    # The emulator matches four of five.
    assert 60 <= result["matched"] == result["dsp_audience_size"] == size(audience_id) <= 95
    assert result["match_share"] == result["matched"] / 100
    assert sent(customers_amc) == [40, 40, 20]
    assert customers_s3.list_keys(BUCKET) == ["in/people.csv"]
    assert "xample" not in str(info.call_args_list) + json.dumps(result)
    assert all(name in str(info.call_args_list) for name in ("match_share", "rows are ready"))


def test_nothing_raw_is_kept_or_sent(customers_amc: EmulatorServer, customers_s3: Any, add: Any, mocker: Any) -> None:
    mocker.patch.object(Journal, "clear")
    add().execute(task_context())
    kept = [key for key in customers_s3.list_keys(BUCKET) if key.startswith("amc-staging/")]
    assert len(kept) == 7
    (journal,) = {key.rpartition("/round-00/")[0] for key in kept}
    part = Journal(customers_s3, BUCKET, f"{journal}/").part(0, 0)
    assert {len(one["hashedPII"][0]["email"]) for one in part} == {64}
    assert "xample" not in json.dumps([part, customers_amc.requests])


def test_people_are_removed(add: Any, customers_s3: Any, audience_id: str) -> None:
    add().execute(task_context())
    before = size(audience_id)
    customers_s3.load_string(people(50), "in/leave.csv", BUCKET)
    result = add(s3_key="in/leave.csv", action="DELETE").execute(task_context(ti={"task_id": "remove"}))
    assert (result["removed"], result["added"]) == (50, 0)
    assert size(audience_id) == before - result["matched"]
    back = people(1, what="DELETE") + people(50, 1, what="").partition("\n")[2]
    customers_s3.load_string(back, "in/both.csv", BUCKET)
    result = add(s3_key="in/both.csv", action_column="what").execute(task_context(ti={"task_id": "both"}))
    assert (result["removed"], result["added"]) == (1, 50)


def test_only_invalid_records_are_sent_again(customers_amc: EmulatorServer, add: Any) -> None:
    customers_amc.add_fault(operation="ManageAudienceV2", kind="invalid_records", records=3, reason="Try p-1 again.")
    customers_amc.add_fault(operation="ManageAudienceV2", kind="fail", skip=1, times=1)
    result = run_on(add(deferrable=True), task_context())
    assert sent(customers_amc) == [40, 40, 20, 40, 3]
    assert (result["resent"], result["invalid"], result["jobs"]) == (43, 0, 5)
    again = [one["body"]["records"] for one in customers_amc.requests_of("ManageAudienceV2")]
    assert [one["externalUserId"] for one in [*again[3], *again[4]]] == [f"p-{n}" for n in (0, 1, 2, *range(40, 80))]


def test_records_that_stay_invalid(customers_amc: EmulatorServer, customers_s3: Any, add: Any) -> None:
    wrong = {"operation": "ManageAudienceV2", "kind": "invalid_records", "records": 2}
    customers_amc.add_fault(**wrong, reason="p-0, hash " + "a" * 64 + ", someone@example.com", times=2, skip=0)
    operator = add(batch_size=100)
    with pytest.raises(AmcResourceFailedError, match=r"2 of 100 records of audience \d+ invalid: \{") as caught:
        operator.execute(task_context())
    assert "'***, hash ***, ***'" in str(caught.value)
    assert sent(customers_amc) == [100, 2]
    # The next try sends what is invalid, and nothing else.
    result = add(batch_size=100).execute(task_context(ti=SECOND_TRY))
    assert sent(customers_amc) == [100, 2, 2]
    assert (result["invalid"], result["resent"]) == (0, 4)
    assert customers_s3.list_keys(BUCKET, prefix="amc-staging/") == []


def test_some_may_be_invalid(customers_amc: EmulatorServer, add: Any) -> None:
    customers_amc.add_fault(operation="ManageAudienceV2", kind="invalid_records", records=2, times=None)
    result = add(batch_size=100, max_invalid_share=0.02, record_retries=0).execute(task_context())
    assert (result["invalid"], result["jobs"], list(result["reasons"].values())) == (2, 1, [2])


def test_a_retry_sends_what_is_missing(customers_amc: EmulatorServer, customers_s3: Any, add: Any) -> None:
    customers_amc.add_fault(operation="ManageAudienceV2", kind="status", status=400, skip=1, times=1)
    with pytest.raises(AmcInvalidRequestError):
        add().execute(task_context())
    # The parts are those of the first try, whatever became of the file.
    customers_s3.load_string(people(1), "in/people.csv", BUCKET, replace=True)
    result = add().execute(task_context(ti=SECOND_TRY))
    ids = [one["body"]["records"][0]["externalUserId"] for one in customers_amc.requests_of("ManageAudienceV2")]
    assert ids == ["p-0", "p-40", "p-40", "p-80"]
    assert (result["records"], result["jobs"], result["rows"]) == (100, 3, 100)


def test_a_retry_goes_on_with_the_jobs(customers_amc: EmulatorServer, add: Any) -> None:
    customers_amc.add_fault(operation="ManageAudienceV2", kind="duration", seconds=300, times=None)
    deferred(add(deferrable=True), task_context())
    assert sent(customers_amc) == [40, 40, 20]
    customers_amc.advance_clock(300)
    result = add().execute(task_context(ti=SECOND_TRY))
    assert (sent(customers_amc), result["jobs"]) == ([40, 40, 20], 3)


#: Of two parts: both written, then the round; each sent, then noted; then everything is deleted.
CALLS = ("part 0", "part 1", "round", "send 0", "accept 0", "send 1", "accept 1", "clear")


@pytest.mark.parametrize("call", range(len(CALLS)), ids=CALLS)
def test_a_worker_dies_before_any_call(
    customers_amc: EmulatorServer,
    customers_s3: Any,
    add: Any,
    audience_id: str,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    """The next try ends with everybody in the audience, and sends again no more than what was under way."""
    left = call

    def mortal(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for owner, name in ((Journal, "_put"), (Journal, "_delete"), (AdvertiserAudiences, "send_records")):
            patched.setattr(owner, name, mortal(getattr(owner, name)))
        with pytest.raises(KeyboardInterrupt):
            add(batch_size=50).execute(task_context())
    before = sent(customers_amc)
    result = add(batch_size=50).execute(task_context(ti=SECOND_TRY))
    again = {"accept 0": 1, "accept 1": 1}.get(CALLS[call], 0)
    assert before == [50] * {"send 0": 0, "accept 0": 1, "send 1": 1}.get(CALLS[call], 2 if call > 5 else 0)
    assert sent(customers_amc) == [50] * (2 + again)
    assert (result["records"], result["jobs"], result["invalid"]) == (100, 2, 0)
    assert result["dsp_audience_size"] == size(audience_id) == result["matched"] >= 60
    assert customers_s3.list_keys(BUCKET, prefix="amc-staging/") == []


def test_a_cleared_task_begins_anew(customers_amc: EmulatorServer, add: Any) -> None:
    add().execute(task_context())
    add().execute(task_context(ti={"try_number": 2, "max_tries": 3}))
    assert sent(customers_amc) == [40, 40, 20] * 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_without_waiting(customers_amc: EmulatorServer, customers_s3: Any, add: Any, deferrable: bool) -> None:
    customers_amc.add_fault(operation="ManageAudienceV2", kind="duration", seconds=300, times=None)
    customers_amc.add_fault(operation="ManageAudienceV2", kind="invalid_records", records=2, skip=2)
    jobs = add(wait_for_completion=False).execute(task_context())["job_request_ids"]
    audiences = AmcHook().get_conn().advertiser_audiences
    assert [audiences.get_job(one).state for one in jobs] == ["PENDING"] * 3
    assert customers_s3.list_keys(BUCKET, prefix="amc-staging/") == []
    customers_amc.advance_clock(300)

    def sensor(job: str) -> AmcAudienceRecordsSensor:
        return AmcAudienceRecordsSensor(task_id="s", job_request_id=job, deferrable=deferrable, poke_interval=0.01)

    assert [run_through(sensor(job), {}) for job in jobs[:2]] == [None, None]
    with pytest.raises(AmcResourceFailedError, match="ended as PARTIALLYSUCCEEDED: invalid records: 2"):
        run_through(sensor(jobs[2]), {})


def test_no_more_than_amc_takes_in_an_hour(add: Any, mocker: Any) -> None:
    clock = mocker.patch.object(s3_to_amc_audience, "time")
    clock.monotonic.return_value = 100.0
    add().execute(task_context())
    pauses = [call.args[0] for call in clock.sleep.call_args_list]
    assert pauses == [0.0, *(pytest.approx(records / 15e6 * 3600) for records in (40, 80))]


@pytest.mark.parametrize(
    ("text", "changes", "error", "message"),
    [
        (people(2), {"s3_key": "in/other.csv"}, AmcConfigurationError, "no file s3://amc-results/in/other.csv"),
        (people(2), {"s3_prefix": "in/"}, AmcValidationError, "one of them"),
        (people(2), {"source_format": "orc"}, AmcValidationError, "csv, parquet"),
        (people(2), {"identities": {"mail": "MAIL"}}, AmcValidationError, "no kind of identifier 'MAIL'"),
        (people(2), {"identities": {"mail": "PHONE"}}, AmcValidationError, "country"),
        (people(2), {"external_id_column": "mail2"}, AmcLoadError, "could not be read as csv"),
        (people(2), {"audience_id": "12345"}, AmcNotFoundError, "12345"),
        (people(2), {"connection_id": "nowhere"}, AmcNotFoundError, "nowhere"),
        (people(2), {"connection_id": ""}, AmcValidationError, "names no audience connection"),
        (people(2) + people(2).partition("\n")[2], {}, AmcLoadError, "Rows 1 and 3 have the same id"),
        (people(2).replace("p-1", "p 1"), {}, AmcLoadError, "Row 2: id must have"),
        ("id,mail\np-1,nobody\n", {}, AmcLoadError, "Nobody in the files"),
    ],
)
def test_nothing_is_sent_of_what_is_wrong(
    customers_amc: EmulatorServer,
    customers_s3: Any,
    add: Any,
    text: str,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    customers_s3.load_string(text, "in/people.csv", BUCKET, replace=True)
    with pytest.raises(error, match=message) as caught:
        add(**changes).execute(task_context())
    assert "xample" not in str(caught.value)
    assert sent(customers_amc) == []
    assert customers_s3.list_keys(BUCKET, prefix="amc-staging/") == []


def test_terms(customers_amc: EmulatorServer, add: Any, mocker: Any) -> None:
    operator = add()
    terms = mocker.patch.object(operator.client.advertiser_audiences.connections, "terms")
    terms.return_value.has_accepted = False
    with pytest.raises(AmcTermsNotAcceptedError, match=r"have not been accepted.* Nothing was sent.*accept_terms"):
        operator.execute(task_context())
    assert sent(customers_amc) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 10_001}, "batch_size must be 1 to 10,000"),
        ({"max_invalid_share": 5}, "max_invalid_share must be 0 to 1"),
        ({"record_retries": -1}, "record_retries must be 0 to 100"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    fields = {"task_id": "t", "audience_id": 1, "connection_id": "c", "s3_bucket": "b", "external_id_column": "i"}
    with pytest.raises(AmcValidationError, match=message):
        S3ToAmcAudienceOperator(**{**fields, "identities": {"mail": "EMAIL"}, **arguments})
