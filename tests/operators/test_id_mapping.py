from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcInvalidRequestError,
    AmcNotFoundError,
    AmcResourceFailedError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.id_mapping import (
    AmcCreateIdMappingTableOperator,
    AmcDeleteIdMappingTableOperator,
    AmcListIdMappingTablesOperator,
    AmcRefreshIdMappingTableOperator,
)
from tests.tasks import deferred, event_of, run_through, task_context

SECOND_TRY = {"try_number": 2}
CREATE, REFRESH = "createCollaborationIdMappingTable", "refreshCollaborationIdMappingTable"


class Together:
    """An instance with a collaboration, and its operators."""

    def __init__(self) -> None:
        self.instance_id = AmcHook().get_conn().instances.create("Together", collaboration=True).instance_id
        self.collaborations = AmcHook(instance_id=self.instance_id).get_conn().collaborations
        self.namespace = next(iter(self.collaborations.id_namespaces())).id_namespace_arn

    def create(self, **changes: Any) -> AmcCreateIdMappingTableOperator:
        fields = {"task_id": "c", "table_name": "crm", "source_id_namespace_arn": self.namespace, "poll_interval": 0.01}
        return AmcCreateIdMappingTableOperator(**{**fields, "instance_id": self.instance_id, **changes})

    def refresh(self, known: str, **changes: Any) -> AmcRefreshIdMappingTableOperator:
        fields = {"task_id": "r", "id_mapping_table_id": known, "poll_interval": 0.01, "instance_id": self.instance_id}
        return AmcRefreshIdMappingTableOperator(**{**fields, **changes})

    def listed(self, **arguments: Any) -> list[dict[str, Any]]:
        listing = AmcListIdMappingTablesOperator(task_id="l", instance_id=self.instance_id, **arguments)
        return listing.execute({})


@pytest.fixture
def together(amc_default: EmulatorServer) -> Together:
    return Together()


def asked(server: EmulatorServer, operation: str) -> int:
    return len(server.requests_of(operation))


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_table_is_filled(amc_default: EmulatorServer, together: Together, deferrable: bool, mocker: Any) -> None:
    operator, context = together.create(deferrable=deferrable), task_context()
    info = mocker.patch.object(operator.log, "info")
    known = run_through(operator, context)
    metrics = context["ti"].xcoms["metrics"]
    assert metrics["totalMappedRecords"] > 1000
    assert str(metrics["totalMappedRecords"]) in str(info.call_args_list)
    (table,) = together.listed(queryable_only=True)
    assert (table["id"], table["name"], table["queryable"]) == (known, "crm", True)


def test_a_job_that_cannot_start_at_once(amc_default: EmulatorServer, together: Together) -> None:
    amc_default.add_fault(operation=CREATE, kind="duration", seconds=300)
    context = task_context()
    deferral = deferred(together.create(deferrable=True), context)
    assert "tracking_id" in deferral.trigger.names  # type: ignore[attr-defined]
    assert together.listed(queryable_only=True) == []
    amc_default.advance_clock(300)

    known = together.create().execute_complete(context, event=event_of(deferral.trigger))
    assert context["ti"].xcoms["metrics"]["totalMappedRecords"] > 1000
    assert [one["id"] for one in together.listed()] == [known]


@pytest.mark.parametrize("passed", [0, 100, 300])
def test_a_retry_goes_on_with_the_table(amc_default: EmulatorServer, together: Together, passed: int) -> None:
    """The job has no id yet, has one, has ended."""
    amc_default.add_fault(operation=CREATE, kind="duration", seconds=300)
    deferred(together.create(deferrable=True), task_context())
    amc_default.advance_clock(passed)
    context = task_context(ti=SECOND_TRY)
    operator = together.create(deferrable=True, if_exists="fail")
    if passed < 300:
        deferral = deferred(operator, context)
        amc_default.advance_clock(300 - passed)

        operator.execute_complete(context, event=event_of(deferral.trigger))
    else:
        operator.execute(context)
    assert context["ti"].xcoms["metrics"]["totalMappedRecords"] > 1000
    assert asked(amc_default, CREATE) == 1


def test_a_lost_answer_makes_no_second_table(amc_default: EmulatorServer, together: Together) -> None:
    amc_default.add_fault(operation=CREATE, kind="lost_answer", times=1)
    known = together.create().execute(task_context())
    assert [one["id"] for one in together.listed()] == [known]


def test_a_table_of_the_name(amc_default: EmulatorServer, together: Together) -> None:
    known = together.create().execute(task_context())
    assert together.create().execute(task_context()) == known
    with pytest.raises(AmcAlreadyExistsError, match="table crm already"):
        together.create(if_exists="fail").execute(task_context())
    with pytest.raises(AmcInvalidRequestError, match="is connected to the id mapping table crm"):
        together.create(table_name="other").execute(task_context())


@pytest.mark.parametrize("deferrable", [True, False])
def test_failure(amc_default: EmulatorServer, together: Together, deferrable: bool) -> None:
    amc_default.add_fault(operation=CREATE, kind="fail", reason="The role may not read.")
    with pytest.raises(AmcResourceFailedError, match=r"ended as FAILED: The role may not read\."):
        run_through(together.create(deferrable=deferrable), task_context())


def test_a_refresh_once_in_14_days(amc_default: EmulatorServer, together: Together) -> None:
    known = together.create().execute(task_context())
    context = task_context()
    assert together.refresh(known).execute(context) == known
    assert context["ti"].xcoms["metrics"]["totalMappedRecords"] > 1000
    with pytest.raises(AmcInvalidRequestError, match="every 14 days"):
        together.refresh(known).execute(task_context())
    # The first call finds that the access token has expired.
    amc_default.add_fault(operation=REFRESH, kind="fail", reason="broken", times=2)
    amc_default.advance_clock(15 * 86_400)
    with pytest.raises(AmcResourceFailedError, match="broken"):
        together.refresh(known).execute(task_context())


def test_a_retry_goes_on_with_the_refresh(amc_default: EmulatorServer, together: Together) -> None:
    known = together.create().execute(task_context())
    amc_default.add_fault(operation=REFRESH, kind="duration", seconds=300)
    deferred(together.refresh(known, deferrable=True), task_context())
    amc_default.advance_clock(300)
    assert together.refresh(known).execute(task_context(ti=SECOND_TRY)) == known
    assert asked(amc_default, REFRESH) == 1


def test_deleted(together: Together) -> None:
    known = together.create(wait_for_completion=False).execute(task_context())
    delete = AmcDeleteIdMappingTableOperator(
        task_id="d", id_mapping_table_id=known, instance_id=together.instance_id, if_missing="fail"
    )
    delete.execute({})
    assert together.listed() == []
    with pytest.raises(AmcNotFoundError):
        delete.execute({})
    delete.if_missing = "skip"
    delete.execute({})


def test_what_is_wrong_is_not_sent(amc_default: EmulatorServer, together: Together) -> None:
    with pytest.raises(AmcValidationError, match="source_id_namespace_arn must be"):
        together.create(source_id_namespace_arn="").execute(task_context())
    assert asked(amc_default, CREATE) == 0
    with pytest.raises(AmcValidationError, match="if_exists must be skip or fail"):
        together.create(if_exists="update")
    with pytest.raises(AmcValidationError, match="if_missing must be skip or fail"):
        AmcDeleteIdMappingTableOperator(task_id="d", id_mapping_table_id="t", if_missing="ignore")
