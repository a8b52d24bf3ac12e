from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcConfigurationError,
    AmcInvalidRequestError,
    AmcLoadError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.user_deletion import AmcDeleteUsersOperator
from airflow_provider_amc.sensors.resource import AmcUserDeletionSensor
from airflow_provider_amc.transfers.s3_to_amc import S3ToAmcOperator
from tests.emulator.api import wait_for
from tests.services import BUCKET
from tests.tasks import deferred, run_through, task_context

SECOND_TRY = {"try_number": 2}


def hashed(number: int) -> str:
    return hashlib.sha256(f"person{number}@example.com".encode()).hexdigest()


def people(count: int) -> str:
    return "mail\n" + "".join(f" Person{number}@Example.com\n" for number in range(count))


def delete(**changes: Any) -> AmcDeleteUsersOperator:
    fields = {
        "task_id": "forget", "s3_bucket": BUCKET, "s3_key": "in/leave.csv", "identities": {"mail": "EMAIL"},
        "poll_interval": 0.01, **changes,
    }  # fmt: skip
    return AmcDeleteUsersOperator(**fields)


def given(users: Any, **changes: Any) -> AmcDeleteUsersOperator:
    return delete(users=users, **{"s3_bucket": None, "s3_key": None, "identities": None, **changes})


def asked(server: EmulatorServer) -> list[list[dict[str, Any]]]:
    return [one["body"]["targetIdentities"] for one in server.requests_of("CreateUserDeletionRequest")]


def counts() -> list[int | None]:
    """How many users each request is about."""
    return [one.identity_count for one in AmcHook().get_conn().user_deletions.list()]


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_receipt(customers_amc: EmulatorServer, customers_s3: Any, deferrable: bool, mocker: Any) -> None:
    customers_s3.load_string(f"{people(3)}nobody\n", "in/leave.csv", BUCKET)
    operator = delete(deferrable=deferrable)
    info = mocker.patch.object(operator.log, "info")
    receipt = run_through(operator, task_context())
    (request,) = receipt.pop("requests")
    assert receipt == {"users": 3, "rows": 4, "unusable": {"mail": 1}}
    known = AmcHook().get_conn().user_deletions.get(request["user_deletion_request_id"])
    assert (request["identity_count"], request["status"]) == (known.identity_count, known.status) == (3, "SUCCEEDED")
    assert known.creation_date_time is not None
    assert request["requested_at"] == known.creation_date_time.isoformat()
    assert request["seen_done_at"] >= request["requested_at"][:19]
    assert asked(customers_amc) == [[{"hashedIdentity": {"EMAIL": hashed(number)}} for number in range(3)]]
    assert customers_s3.list_keys(BUCKET) == ["in/leave.csv"]
    told = str(info.call_args_list)
    assert request["user_deletion_request_id"] in told
    assert not any(word in told + json.dumps(customers_amc.requests) for word in ("xample", "Person"))


def test_more_users_than_amc_takes_with_one_request(customers_amc: EmulatorServer, customers_s3: Any) -> None:
    customers_s3.load_string(people(2001), "in/leave.csv", BUCKET)
    customers_amc.add_fault(operation="CreateUserDeletionRequest", kind="duration", seconds=600, times=None)
    operator, context = delete(deferrable=True), task_context()
    deferred(operator, context)
    # All of them are asked for before the first is waited for.
    assert counts() == [1000, 1000, 1]
    customers_amc.advance_clock(600)
    receipt = delete().execute(task_context(ti=SECOND_TRY))
    assert [one["identity_count"] for one in receipt["requests"]] == [1000, 1000, 1]
    assert counts() == [1000, 1000, 1]


def test_a_retry_asks_for_what_is_missing(customers_amc: EmulatorServer, customers_s3: Any) -> None:
    customers_s3.load_string(people(2001), "in/leave.csv", BUCKET)
    customers_amc.add_fault(operation="CreateUserDeletionRequest", kind="status", status=400, skip=1, times=1)
    with pytest.raises(AmcInvalidRequestError):
        delete().execute(task_context())
    # The users are those of the first try, whatever became of the file.
    customers_s3.load_string(people(1), "in/leave.csv", BUCKET, replace=True)
    receipt = delete().execute(task_context(ti=SECOND_TRY))
    assert receipt["users"] == 2001
    assert counts() == [one["identity_count"] for one in receipt["requests"]] == [1000, 1000, 1]
    assert len(customers_amc.requests_of("CreateUserDeletionRequest")) == 4


@pytest.mark.parametrize("deferrable", [True, False])
def test_without_waiting(customers_amc: EmulatorServer, customers_s3: Any, deferrable: bool) -> None:
    customers_s3.load_string(people(1), "in/leave.csv", BUCKET)
    customers_amc.add_fault(operation="CreateUserDeletionRequest", kind="duration", seconds=600)
    (request,) = delete(wait_for_completion=False).execute(task_context())["requests"]
    assert (request["status"], request["seen_done_at"]) == ("PENDING", None)
    customers_amc.advance_clock(600)
    known = request["user_deletion_request_id"]
    sensor = AmcUserDeletionSensor(
        task_id="s", user_deletion_request_id=known, deferrable=deferrable, poke_interval=0.01
    )
    assert run_through(sensor, {}) is None


def test_users_of_the_dag(customers_amc: EmulatorServer, customers_s3: Any) -> None:
    users = [{"hashedIdentity": {"EMAIL": hashed(1)}}, {"externalIdentity": {"type": "LIVERAMP", "value": "XY1"}}]
    assert given(users).execute(task_context())["users"] == 2
    customers_amc.add_fault(operation="CreateUserDeletionRequest", kind="duration", seconds=600, times=None)
    kept = given(users, staging_bucket=BUCKET, deferrable=True)
    deferred(kept, task_context())
    customers_amc.advance_clock(600)
    assert given(users, staging_bucket=BUCKET).execute(task_context(ti=SECOND_TRY))["users"] == 2
    assert asked(customers_amc) == [users] * 2


def test_ids_of_other_providers(customers_amc: EmulatorServer, customers_s3: Any) -> None:
    customers_s3.load_string("mail,ramp\n,XY1\n", "in/leave.csv", BUCKET)
    delete(identities=None, external_identities={"ramp": "liveramp"}).execute(task_context())
    assert asked(customers_amc) == [[{"externalIdentity": {"type": "LIVERAMP", "value": "XY1"}}]]


def test_the_users_are_gone(customers_amc: EmulatorServer, customers_s3: Any) -> None:
    customers_s3.load_string(people(300), "in/people.csv", BUCKET)
    column = {
        "name": "mail",
        "dataType": "STRING",
        "columnType": "DIMENSION",
        "externalUserIdType": {"hashedPii": "EMAIL"},
    }
    S3ToAmcOperator(
        task_id="upload", data_set_id="people", columns=[column], s3_bucket=BUCKET, s3_key="in/people.csv"
    ).execute(task_context())
    customers_s3.load_string(people(100), "in/leave.csv", BUCKET)
    delete().execute(task_context())
    client = AmcHook().get_conn()
    execution = client.executions.create(
        workflow={"sqlQuery": "SELECT COUNT(1) AS people FROM people"}, time_window_type="MOST_RECENT_DAY"
    )
    known = execution.workflow_execution_id
    wait_for(lambda: client.executions.get(known).is_succeeded or None, "the count", deadline=60)
    assert AmcHook().get_df(known)["people"].tolist() == [200]


@pytest.mark.parametrize(
    ("text", "changes", "error", "message"),
    [
        (people(1), {"s3_key": "in/other.csv"}, AmcConfigurationError, "no file"),
        (people(1), {"identities": {"email": "EMAIL"}}, AmcLoadError, "could not be read as csv"),
        (people(1), {"identities": {"mail": "MAIL"}}, AmcValidationError, "no kind of identifier"),
        (people(1), {"identities": {"mail": "PHONE"}}, AmcValidationError, "country"),
        ("mail\nnobody\n", {}, AmcLoadError, "nobody with an identity"),
    ],
)
def test_nothing_is_asked_for_of_what_is_wrong(
    customers_amc: EmulatorServer,
    customers_s3: Any,
    text: str,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    customers_s3.load_string(text, "in/leave.csv", BUCKET)
    with pytest.raises(error, match=message) as caught:
        delete(**changes).execute(task_context())
    assert "xample" not in str(caught.value)
    assert asked(customers_amc) == []


@pytest.mark.parametrize(
    ("users", "error", "message"),
    [
        ([], AmcLoadError, "nobody"),
        ([{"email": "someone@example.com"}], AmcValidationError, r"users\[0\] must have hashedIdentity"),
        ([{"hashedIdentity": {"EMAIL": "someone@example.com"}}], AmcValidationError, r"users\[0\].EMAIL is not a SHA-256"),
    ],
)  # fmt: skip
def test_wrong_users_of_the_dag(
    customers_amc: EmulatorServer, users: list[dict[str, Any]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        given(users).execute(task_context())
    assert "example" not in str(caught.value)
    assert asked(customers_amc) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({}, "give users, or files"), ({"users": [], "s3_key": "k"}, "give users, or files"), ({"s3_key": "k"}, "s3_bucket")],
)  # fmt: skip
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        AmcDeleteUsersOperator(task_id="forget", **arguments)
