from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcResourceFailedError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.instance import (
    AmcCreateInstanceOperator,
    AmcDeleteInstanceOperator,
    AmcUpdateInstanceOperator,
)
from tests.operators.conftest import Clock
from tests.tasks import deferred, event_of, run_through, task_context

NAME = "Spring reports"
SECOND_TRY = {"try_number": 2}


def create(**arguments: Any) -> AmcCreateInstanceOperator:
    return AmcCreateInstanceOperator(**{"task_id": "create", "instance_name": NAME, "poll_interval": 0.01, **arguments})


def instances() -> dict[str, str]:
    """Names of the instances with their ids, without those that were there from the start."""
    found = AmcHook().get_conn().instances.list()
    return {one.instance_id: str(one.instance_name) for one in found if not one.instance_id.startswith("amcemulator")
            and one.instance_id != "amcsandbox"}  # fmt: skip


def asked(emulator: EmulatorServer) -> list[dict[str, Any]]:
    bodies = [request["body"] for request in emulator.requests_of("createInstance")]
    return [json.loads(body) if isinstance(body, str) else body for body in bodies]


def began(ago: timedelta) -> dict[str, Any]:
    """A context whose DAG run began some time ago."""
    start = datetime.now(UTC) - ago
    return {"dag_run": SimpleNamespace(run_after=start, run_type="manual", start_date=start)}


class TestCreate:
    def test_options_reach_amc_under_its_names(self, amc_default: EmulatorServer) -> None:
        partner = {"awsAccountId": "222222222222", "displayName": "Agency"}
        instance_id = create(
            advertiser_name="My brand",
            aws_account_id="123456789012",
            s3_bucket_name="my-amc-results",
            collaboration=True,
            partners=[partner],
        ).execute(task_context())
        (body,) = asked(amc_default)
        assert len(body.pop("idempotencyToken")) == 32
        assert body == {
            "instanceName": NAME,
            "advertiserName": "My brand",
            "awsAccountId": "123456789012",
            "s3BucketName": "my-amc-results",
            "acrBacked": True,
            "acrCustomerPartners": [partner],
        }
        assert instances() == {instance_id: NAME}

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_waits_until_the_instance_can_be_used(
        self, amc_default: EmulatorServer, clock: Clock, deferrable: bool
    ) -> None:
        amc_default.add_fault(operation="createInstance", kind="duration", seconds=290)
        operator, context = create(deferrable=deferrable, poll_interval=15), task_context()
        if deferrable:
            deferral = deferred(operator, context)
            amc_default.advance_clock(290)
            kwargs = deferral.kwargs or {}
            instance_id = create().execute_complete(context, event=event_of(deferral.trigger), **kwargs)
        else:
            instance_id = operator.execute(context)
            assert 290 <= sum(clock.slept) <= 330
        assert AmcHook().get_conn().instances.get(instance_id).is_ready

    def test_returns_at_once_without_waiting(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="createInstance", kind="duration", seconds=290)
        instance_id = create(wait_for_completion=False).execute(task_context())
        assert not AmcHook().get_conn().instances.get(instance_id).is_ready

    def test_retry_goes_on_with_the_instance(self, amc_default: EmulatorServer, clock: Clock) -> None:
        amc_default.add_fault(operation="createInstance", kind="duration", seconds=290)
        first = create(wait_for_completion=False).execute(task_context())
        amc_default.advance_clock(100)
        assert create(poll_interval=15).execute(task_context(ti=SECOND_TRY)) == first
        assert len(asked(amc_default)) == 1

    def test_tries_share_a_token_and_other_tasks_have_their_own(self, amc_default: EmulatorServer) -> None:
        """A list that does not show the new instance yet must not lead to a second one."""
        contexts = [task_context(), task_context(ti=SECOND_TRY), task_context(ti={"task_id": "other"})]
        made = []
        for context in contexts:
            operator = create()
            operator.client.instances.list = list  # type: ignore[method-assign,assignment]
            made.append(operator.execute(context))
        tokens = [body["idempotencyToken"] for body in asked(amc_default)]
        assert (tokens[0] == tokens[1], tokens[0] == tokens[2]) == (True, False)
        assert (made[0] == made[1], len(instances())) == (True, 2)

    def test_existing_instance_is_taken(self, amc_default: EmulatorServer) -> None:
        first = AmcHook().get_conn().instances.create(NAME).instance_id
        assert create().execute(task_context()) == first
        assert instances() == {first: NAME}

    def test_existing_instance_can_be_an_error(self, amc_default: EmulatorServer) -> None:
        first = AmcHook().get_conn().instances.create(NAME).instance_id
        with pytest.raises(AmcValidationError, match=f"{first} is named {NAME} already"):
            create(if_exists="fail").execute(task_context())

    def test_it_stays_an_error_when_the_task_is_tried_again(self, amc_default: EmulatorServer) -> None:
        amc_default.set_clock((datetime.now(UTC) - timedelta(hours=2)).isoformat())
        first = AmcHook().get_conn().instances.create(NAME).instance_id
        assert AmcHook().get_conn().instances.get(first).is_ready
        context = task_context(ti=SECOND_TRY, **began(timedelta(hours=1)))
        with pytest.raises(AmcValidationError, match=f"is named {NAME} already"):
            create(if_exists="fail").execute(context)

    def test_its_own_instance_is_no_error_for_a_retry(self, amc_default: EmulatorServer) -> None:
        context = began(timedelta(minutes=10))
        first = create(if_exists="fail", wait_for_completion=False).execute(task_context(**context))
        assert create(if_exists="fail").execute(task_context(ti=SECOND_TRY, **context)) == first

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_failed_creation_and_the_retry_after_it(self, amc_default: EmulatorServer, deferrable: bool) -> None:
        amc_default.add_fault(operation="createInstance", kind="fail", times=1)
        with pytest.raises(AmcResourceFailedError, match="ended as FAILED"):
            run_through(create(deferrable=deferrable), task_context())
        second = run_through(create(deferrable=deferrable), task_context(ti=SECOND_TRY))
        assert AmcHook().get_conn().instances.get(second).is_ready
        assert len(instances()) == 2

    def test_lost_answer_makes_no_second_instance(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="createInstance", kind="lost_answer", times=1)
        instance_id = create().execute(task_context())
        assert instances() == {instance_id: NAME}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"instance_name": "a/b"}, "instance_name must have 3 to 50 letters"),
            ({"aws_account_id": "12"}, "aws_account_id must be the id of an AWS account"),
            ({"partners": [{"awsAccountId": "1"}]}, "partners"),
        ],
    )
    def test_nothing_is_asked_for(self, amc_default: EmulatorServer, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(AmcValidationError, match=message):
            create(**arguments).execute(task_context())
        assert asked(amc_default) == []

    def test_unknown_choice(self) -> None:
        with pytest.raises(AmcValidationError, match="if_exists must be skip or fail, got 'update'"):
            create(if_exists="update")

    def test_templates(self) -> None:
        operator = create(instance_name="{{ ds }}", partners=[{"awsAccountId": "{{ ds }}"}])
        operator.render_template_fields({"ds": "2026"})
        assert (operator.instance_name, operator.partners) == ("2026", [{"awsAccountId": "2026"}])


class TestUpdate:
    def test_what_is_not_given_stays(self, amc_default: EmulatorServer) -> None:
        update = AmcUpdateInstanceOperator(task_id="update", instance_name="New name", instance_id="amcemulator")
        assert update.execute(task_context()) == "amcemulator"
        found = AmcHook().get_conn().instances.get("amcemulator")
        assert (found.instance_name, found.customer_canonical_name) == ("New name", "Emulator advertiser")

    def test_nothing_to_change(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcValidationError, match="nothing to change"):
            AmcUpdateInstanceOperator(task_id="update").execute(task_context())

    def test_instance_that_is_being_created(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="createInstance", kind="duration", seconds=290)
        instance_id = create(wait_for_completion=False).execute(task_context())
        update = AmcUpdateInstanceOperator(task_id="update", instance_id=instance_id, advertiser_name="Another")
        with pytest.raises(AmcInvalidRequestError, match="creationStatus is REQUESTED"):
            update.execute(task_context())

    def test_templates(self) -> None:
        names = {"instance_name", "advertiser_name", "aws_account_id", "s3_bucket_name", "amc_conn_id", "instance_id"}
        assert set(AmcUpdateInstanceOperator.template_fields) == names


class TestDelete:
    def test_deletes(self, amc_default: EmulatorServer) -> None:
        instance_id = create().execute(task_context())
        AmcDeleteInstanceOperator(task_id="delete", instance_id=instance_id).execute(task_context())
        assert instances() == {}

    def test_missing_instance(self, amc_default: EmulatorServer) -> None:
        AmcDeleteInstanceOperator(task_id="delete", instance_id="amcgone").execute(task_context())
        with pytest.raises(AmcNotFoundError, match="no AMC instance amcgone"):
            AmcDeleteInstanceOperator(task_id="delete", instance_id="amcgone", if_missing="fail").execute(
                task_context()
            )
        assert amc_default.requests_of("deleteInstance") == []

    def test_the_instance_of_the_connection_is_never_taken(self, amc_default: EmulatorServer) -> None:
        """A template may give nothing."""
        with pytest.raises(AmcValidationError, match="instance_id is empty"):
            AmcDeleteInstanceOperator(task_id="delete", instance_id="").execute(task_context())
        assert amc_default.requests_of("deleteInstance") == []

    def test_unknown_choice(self) -> None:
        with pytest.raises(AmcValidationError, match="if_missing must be skip or fail"):
            AmcDeleteInstanceOperator(task_id="delete", instance_id="amcgone", if_missing="ignore")
