"""Every operation of AMC, called with the client on the emulator: does each method ask for what it should?"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_amc.client import AmcClient
from airflow_provider_amc.emulator.app import OPERATIONS as SERVED
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.testing import AmcEmulator
from tests.emulator.api import wait_for
from tests.evidence.api import BY_ID, OPERATIONS, Operation
from tests.evidence.api_table import TABLE, render

HASH = "9eceb13483d7f187ec014fd6d4854d1420cfc634328af85f51d0323ba8622e21"
SQL = "SELECT campaign, SUM(impressions) AS shown FROM dsp_impressions GROUP BY campaign"
WINDOW = {"time_window_start": "2026-01-01T00:00:00Z", "time_window_end": "2026-01-02T00:00:00Z"}
DSP = {"id": "580000000000000002", "type": "DISPLAY"}

#: Which test calls an operation.
TESTS: dict[str, str] = {}


class Calls:
    """Calls methods of the client, and keeps what each of them asked the emulator for.

    :param emulator: the emulator.
    :param target: the client, or a part of it.
    """

    def __init__(
        self, emulator: EmulatorServer, target: Any, name: str = "", made: set[tuple[str, str, str]] | None = None
    ) -> None:
        self.emulator, self._target, self._name = emulator, target, name
        #: Method of the client, HTTP method and path of what it asked for.
        self.made: set[tuple[str, str, str]] = set() if made is None else made

    def __getattr__(self, name: str) -> Any:
        found, path = getattr(self._target, name), f"{self._name}.{name}".strip(".")
        if not inspect.ismethod(found):
            return Calls(self.emulator, found, path, self.made)

        @functools.wraps(found)
        def call(*arguments: Any, **options: Any) -> Any:
            before = len(self.emulator.requests)
            result = found(*arguments, **options)
            result = list(result) if isinstance(result, Iterator) else result
            self.made |= {(path, one["method"], one["path"]) for one in self.emulator.requests[before:]}
            return result

        return call

    def has_made(self, operation: Operation) -> bool:
        """Has the right method of the client asked for this operation?"""
        path = re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.path))
        return any(
            call == operation.call and method == operation.method and path.fullmatch(asked)
            for call, method, asked in self.made
        )


def calls(*operations: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare what a test calls; it fails when the client did not call it."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        for operation in operations:
            assert operation not in TESTS, operation
            TESTS[operation] = f"client/test_every_operation.py::{test.__name__}"

        @functools.wraps(test)
        def checked(amc: Calls) -> None:
            test(amc)
            assert [name for name in operations if not amc.has_made(BY_ID[name])] == []

        return checked

    return decorate


@pytest.fixture
def amc(emulator: EmulatorServer) -> Iterator[Any]:
    found = AmcEmulator(emulator)
    client: AmcClient = found.client
    yield Calls(emulator, client)
    found.close()


@calls(
    "AmcpLinkListAmcAccounts",
    "listInstances",
    "createInstance",
    "getInstance",
    "updateInstance",
    "updateInstanceCustomerAwsAccountMetadata",
    "deleteInstance",
)
def test_instances(amc: Any) -> None:
    assert [one.account_id for one in amc.accounts.list()] == ["ENTITYEMULATOR01"]
    made = amc.instances.create("Spring reports").instance_id
    assert amc.instances.get(made).is_ready
    assert amc.instances.update(made, instance_name="Summer reports").instance_name == "Summer reports"
    link = amc.instances.update_customer_aws_account(
        aws_account_id="123456789012", bucket_name="my-results", instance_id=made
    )
    assert "my-results" in link
    amc.instances.delete(made)
    assert made not in {one.instance_id for one in amc.instances.list()}


@calls("getInstanceAdvertisers", "listAdvertiserUpdates", "createAdvertiserUpdate", "getAdvertiserUpdate")
def test_advertisers(amc: Any) -> None:
    update = amc.advertisers.update(add=[DSP])
    assert amc.advertisers.get_update(update.update_id).is_completed
    assert [one.update_id for one in amc.advertisers.updates()] == [update.update_id]
    assert DSP["id"] in {one.id for one in amc.advertisers.list()}


@calls(
    "getInstanceCollaboration",
    "addCollaborationCustomerPartners",
    "deleteCollaborationCustomerPartner",
    "listCollaborationIdNamespaces",
    "createCollaborationIdMappingTable",
    "listCollaborationIdMappingTables",
    "refreshCollaborationIdMappingTable",
    "listCollaborationIdMappingJobs",
    "getCollaborationIdMappingJob",
    "getCollaborationIdMappingJobForTrackingId",
    "deleteCollaborationIdMappingTable",
)
def test_collaborations(amc: Any) -> None:
    made = {"instance_id": amc.instances.create("Together", collaboration=True).instance_id}
    collaborations = amc.collaborations
    found = collaborations.get(**made).id
    partner = {"awsAccountId": "222222222222", "displayName": "Agency"}
    assert len(collaborations.add_partners(found, [partner], **made)) == 1
    collaborations.remove_partner(found, "222222222222", **made)
    source = next(one for one in collaborations.id_namespaces(**made) if one.id_namespace_type == "SOURCE")
    amc.emulator.add_fault(operation="createCollaborationIdMappingTable", kind="duration", seconds=100)
    request = collaborations.create_id_mapping_table("ids", source_id_namespace_arn=source.id_namespace_arn, **made)
    (table,) = collaborations.id_mapping_tables(**made)
    amc.emulator.advance_clock(100)
    job = collaborations.get_id_mapping_job_id(table.id, request.tracking_id, **made)
    assert collaborations.get_id_mapping_job(table.id, job, **made).status == "SUCCEEDED"
    assert [one.job_id for one in collaborations.id_mapping_jobs(table.id, **made)] == [job]
    amc.emulator.advance_clock(15 * 86_400)
    collaborations.refresh_id_mapping_table(table.id, **made)
    amc.emulator.advance_clock(86_400)
    collaborations.delete_id_mapping_table(table.id, **made)
    assert collaborations.id_mapping_tables(**made) == []


@calls(
    "listDataSources",
    "getDataSource",
    "listWorkflows",
    "createWorkflow",
    "getWorkflow",
    "updateWorkflow",
    "deleteWorkflow",
    "listSchedules",
    "createSchedule",
    "getSchedule",
    "updateSchedule",
    "deleteSchedule",
)
def test_workflows(amc: Any) -> None:
    assert "dsp_impressions" in {one.data_source_id for one in amc.data_sources.list()}
    assert amc.data_sources.get("dsp_impressions").columns
    amc.workflows.create("daily", sql_query=SQL)
    amc.workflows.update("daily", sql_query=SQL.replace("shown", "seen"))
    assert "seen" in amc.workflows.get("daily").sql_query
    assert [one.workflow_id for one in amc.workflows.list()] == ["daily"]
    amc.schedules.create("at-eight", workflow_id="daily", aggregation_hour_utc=8)
    amc.schedules.update("at-eight", workflow_id="daily", aggregation_period="Weekly", aggregation_start_day="Monday")
    assert amc.schedules.get("at-eight").aggregation_period == "Weekly"
    assert [one.schedule_id for one in amc.schedules.list()] == ["at-eight"]
    amc.schedules.delete("at-eight")
    amc.workflows.delete("daily")
    assert amc.workflows.list() == amc.schedules.list() == []


def ended(look: Callable[[], Any]) -> Any:
    """Look until it has ended; the emulator works in threads of its own."""
    wait_for(lambda: look().is_finished, "its end")
    return look()


@calls(
    "createWorkflowExecution",
    "getWorkflowExecution",
    "listWorkflowExecutions",
    "getWorkflowExecutionDownloadUrls",
    "UpdateWorkflowExecution",
)
def test_executions(amc: Any) -> None:
    first = amc.executions.create(workflow={"sqlQuery": SQL}, **WINDOW).workflow_execution_id
    assert ended(lambda: amc.executions.get(first)).is_succeeded
    assert amc.executions.download_urls(first).urls
    amc.emulator.add_fault(operation="createWorkflowExecution", kind="duration", seconds=600)
    second = amc.executions.create(workflow={"sqlQuery": SQL}, **WINDOW).workflow_execution_id
    assert amc.executions.cancel(second)
    listed = amc.executions.list(min_creation_time="2020-01-01T00:00:00", include_cancelled=True)
    assert {one.workflow_execution_id: one.raw_status for one in listed} == {first: "SUCCEEDED", second: "CANCELLED"}


@calls(
    "createQueryBasedAudience",
    "createLookalikeAudience",
    "getAllQueryBasedAudiencesByInstanceId",
    "getQueryBasedAudienceByAudienceExecutionId",
    "updateQueryBasedAudienceByAudienceExecutionId",
    "deleteQueryBasedAudienceByAudienceExecutionId",
)
def test_audiences_of_queries(amc: Any) -> None:
    from airflow_provider_amc.client.audiences import audience_request

    request: dict[str, Any] = {"advertiser_id": "580000000000000001", **WINDOW}
    rule = {**request, "audience_name": "Everybody", "query": "SELECT user_id FROM dsp_impressions"}
    seed = {**request, "audience_name": "Alike", "query": rule["query"], "expected_reach": "BROAD"}
    made = [amc.audiences.create(**one).audience_execution_id for one in (rule, seed)]
    for one in made:
        # Not one of the tables for audiences.
        assert not ended(functools.partial(amc.audiences.get, one)).is_succeeded
    assert {one.audience_execution_id for one in amc.audiences.list()} == {*made}
    amc.audiences.update(made[0], audience_request(**{**rule, "query": "SELECT user_id FROM dsp_clicks"}))
    ended(lambda: amc.audiences.get(made[0]))
    amc.audiences.delete(made[0])
    assert [one.audience_execution_id for one in amc.audiences.list()] == [made[1]]


@calls(
    "AmcpLinkGetConnectionsV2",
    "AmcpLinkAddConnectionV2",
    "AmcpLinkRemoveConnectionV2",
    "AmcpLinkGetTermsV2",
    "AmcpLinkSetTermsAcceptanceV2",
    "CreateAudienceMetadataV2",
    "GetAudienceMetadataV2",
    "UpdateAudienceMetadataV2",
    "ManageAudienceV2",
    "ManageAudienceStatusV2",
)
def test_advertiser_audiences(amc: Any) -> None:
    audiences, connections = amc.advertiser_audiences, amc.advertiser_audiences.connections
    connection = connections.create(
        amc_instance_id="amcemulator", amc_account_id="ENTITYEMULATOR01", amc_account_marketplace_id="ATVPDKIKX0DER"
    )
    assert [one.connection_id for one in connections.list()] == [connection]
    connections.accept_terms(connections.terms().agreement_token)
    made = audiences.create(
        "All customers", description="", external_audience_id="mine", connection_id=connection, country_code="US"
    )
    assert audiences.update(made.audience_id, description="New").description == "New"
    record = {"externalUserId": "a", "action": "CREATE", "hashedPII": [{"email": HASH}]}
    job = audiences.send_records(made.audience_id, [record], connection_id=connection)
    assert ended(lambda: audiences.get_job(job)).state == "SUCCEEDED"
    assert audiences.get(made.audience_id).description == "New"
    connections.delete(connection)
    assert connections.list() == []


@calls(
    "CreateDataSet",
    "ListDataSets",
    "GetDataSet",
    "UpdateDataSet",
    "DeleteDataSet",
    "AddColumnToDataSet",
    "UpdateColumnInDataSet",
    "DeleteColumnFromDataSet",
    "CreateUpload",
    "ListUploads",
    "GetUpload",
    "CreateUserDeletionRequest",
    "ListUserDeletionRequests",
    "GetUserDeletionRequest",
)
def test_data_upload(amc: Any) -> None:
    email = {"hashedPii": "EMAIL"}
    columns = [{"name": "email", "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": email}]
    amc.data_sets.create("people", columns=columns, country_code="US")
    amc.data_sets.update("people", description="Customers")
    amc.data_sets.add_column("people", {"name": "shop", "dataType": "STRING", "columnType": "DIMENSION"})
    amc.data_sets.update_column("people", "shop", new_name="store")
    assert {column.name for column in amc.data_sets.get("people").columns} & {"email", "shop", "store"} == {
        "email",
        "store",
    }
    amc.data_sets.delete_column("people", "store")
    assert [one.description for one in amc.data_sets.list()] == ["Customers"]
    amc.emulator.add_fault(operation="CreateUpload", kind="fail", reason="The file is empty.")
    upload = amc.uploads.create("people", s3_bucket="bucket", s3_key="people.csv").upload_id
    assert ended(lambda: amc.uploads.get("people", upload)).message == "The file is empty."
    assert [one.upload_id for one in amc.uploads.list()] == [upload]
    request = amc.user_deletions.create([{"hashedIdentity": {"EMAIL": HASH}}]).user_deletion_request_id
    found = ended(lambda: amc.user_deletions.get(request))
    assert found.creation_date_time is not None
    assert [one.user_deletion_request_id for one in amc.user_deletions.list()] == [request]
    amc.data_sets.delete("people")
    assert amc.data_sets.list() == []


# --- the table --------------------------------------------------------------------------------------------------------


def served() -> dict[tuple[str, str], str]:
    """Names of the emulator's operations, by method and path without the names of its parameters."""
    return {(one.method, re.sub(r"\{\w+\}", "{}", one.path)): one.id for one in SERVED}


def rendered() -> str:
    """``docs/api-coverage.md`` as it should be."""
    return render(served(), TESTS)


def test_every_operation_has_a_test_and_is_served() -> None:
    assert {*TESTS} == {*BY_ID}
    assert len(BY_ID) == len(OPERATIONS)
    assert [one.id for one in OPERATIONS if (one.method, one.shape) not in served()] == []


def test_operators_exist() -> None:
    known: set[str] = set()
    for family in ("operators", "sensors", "transfers"):
        package = importlib.import_module(f"airflow_provider_amc.{family}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            known |= set(vars(importlib.import_module(module.name)))
    assert {name for one in OPERATIONS for name in one.operators} <= known


@pytest.mark.packaging
def test_the_table_is_up_to_date() -> None:
    assert TABLE.read_text(encoding="utf-8") == rendered(), "run 'make coverage-table' and commit docs/api-coverage.md"
