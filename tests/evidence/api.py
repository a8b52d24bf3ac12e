"""The operations of AMC's APIs, and what of this project speaks to each.

Operation ids, methods and paths are those of Amazon's OpenAPI files for the administration, reporting, rule-based audiences
and advertiser audiences, and of the documentation of advertiser data upload. ``tests/client/test_every_operation.py``
shows that each is called by the named method of the client and served by the emulator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: family: operation id, method and path, call of the client, operators and sensors.
_FAMILIES = {
    "Administration": """
        AmcpLinkListAmcAccounts; GET /amc/accounts; accounts.list;
        listInstances; GET /amc/instances; instances.list; AmcCreateInstanceOperator, AmcDeleteInstanceOperator
        createInstance; POST /amc/instances; instances.create; AmcCreateInstanceOperator
        getInstance; GET /amc/instances/{instanceId}; instances.get; AmcCreateInstanceOperator, AmcInstanceSensor
        updateInstance; PUT /amc/instances/{instanceId}; instances.update; AmcUpdateInstanceOperator
        deleteInstance; DELETE /amc/instances/{instanceId}; instances.delete; AmcDeleteInstanceOperator
        updateInstanceCustomerAwsAccountMetadata; POST /amc/instances/{instanceId}/updateCustomerAwsAccount; instances.update_customer_aws_account;
        getInstanceAdvertisers; GET /amc/instances/{instanceId}/advertisers; advertisers.list; AmcUpdateAdvertisersOperator
        listAdvertiserUpdates; GET /amc/instances/{instanceId}/advertisers/updates; advertisers.updates; AmcUpdateAdvertisersOperator
        createAdvertiserUpdate; POST /amc/instances/{instanceId}/advertisers/updates; advertisers.update; AmcUpdateAdvertisersOperator
        getAdvertiserUpdate; GET /amc/instances/{instanceId}/advertisers/updates/{updateId}; advertisers.get_update; AmcUpdateAdvertisersOperator
        getInstanceCollaboration; GET /amc/instances/{instanceId}/collaboration; collaborations.get;
        addCollaborationCustomerPartners; POST /amc/instances/{instanceId}/collaborations/{collaborationId}/acrCustomerPartners; collaborations.add_partners;
        deleteCollaborationCustomerPartner; DELETE /amc/instances/{instanceId}/collaborations/{collaborationId}/acrCustomerPartners/{acrCustomerPartnerId}; collaborations.remove_partner;
        listCollaborationIdNamespaces; POST /amc/instances/{instanceId}/collaboration/idnamespaces/list; collaborations.id_namespaces;
        createCollaborationIdMappingTable; POST /amc/instances/{instanceId}/collaboration/idmappingtables; collaborations.create_id_mapping_table; AmcCreateIdMappingTableOperator
        listCollaborationIdMappingTables; POST /amc/instances/{instanceId}/collaboration/idmappingtables/list; collaborations.id_mapping_tables; AmcCreateIdMappingTableOperator, AmcListIdMappingTablesOperator
        deleteCollaborationIdMappingTable; DELETE /amc/instances/{instanceId}/collaboration/idmappingtables/{idMappingTableId}; collaborations.delete_id_mapping_table; AmcDeleteIdMappingTableOperator
        refreshCollaborationIdMappingTable; POST /amc/instances/{instanceId}/collaboration/idmappingtables/{idMappingTableId}/refresh; collaborations.refresh_id_mapping_table; AmcRefreshIdMappingTableOperator
        listCollaborationIdMappingJobs; POST /amc/instances/{instanceId}/collaboration/idmappingtables/{idMappingTableId}/jobs/list; collaborations.id_mapping_jobs; AmcCreateIdMappingTableOperator, AmcRefreshIdMappingTableOperator
        getCollaborationIdMappingJob; GET /amc/instances/{instanceId}/collaboration/idmappingtables/{idMappingTableId}/jobs/{jobId}; collaborations.get_id_mapping_job; AmcCreateIdMappingTableOperator, AmcRefreshIdMappingTableOperator
        getCollaborationIdMappingJobForTrackingId; GET /amc/instances/{instanceId}/collaboration/idmappingtables/{idMappingTableId}/jobTracker/{trackingId}; collaborations.get_id_mapping_job_id; AmcCreateIdMappingTableOperator, AmcRefreshIdMappingTableOperator
    """,
    "Reporting": """
        listDataSources; GET /amc/reporting/{instanceId}/dataSources; data_sources.list;
        getDataSource; GET /amc/reporting/{instanceId}/dataSources/{dataSourceId}; data_sources.get;
        listWorkflows; GET /amc/reporting/{instanceId}/workflows; workflows.list;
        createWorkflow; POST /amc/reporting/{instanceId}/workflows; workflows.create; AmcCreateWorkflowOperator
        getWorkflow; GET /amc/reporting/{instanceId}/workflows/{workflowId}; workflows.get; AmcExecuteWorkflowOperator
        updateWorkflow; PUT /amc/reporting/{instanceId}/workflows/{workflowId}; workflows.update; AmcCreateWorkflowOperator
        deleteWorkflow; DELETE /amc/reporting/{instanceId}/workflows/{workflowId}; workflows.delete; AmcDeleteWorkflowOperator
        listSchedules; GET /amc/reporting/{instanceId}/schedules; schedules.list;
        createSchedule; POST /amc/reporting/{instanceId}/schedules; schedules.create; AmcCreateScheduleOperator
        getSchedule; GET /amc/reporting/{instanceId}/schedules/{scheduleId}; schedules.get;
        updateSchedule; PUT /amc/reporting/{instanceId}/schedules/{scheduleId}; schedules.update; AmcCreateScheduleOperator
        deleteSchedule; DELETE /amc/reporting/{instanceId}/schedules/{scheduleId}; schedules.delete; AmcDeleteScheduleOperator
        listWorkflowExecutions; GET /amc/reporting/{instanceId}/workflowExecutions; executions.list; AmcExecuteWorkflowOperator
        createWorkflowExecution; POST /amc/reporting/{instanceId}/workflowExecutions; executions.create; AmcExecuteWorkflowOperator
        getWorkflowExecution; GET /amc/reporting/{instanceId}/workflowExecutions/{workflowExecutionId}; executions.get; AmcExecuteWorkflowOperator, AmcWorkflowExecutionSensor
        UpdateWorkflowExecution; PUT /amc/reporting/{instanceId}/workflowExecutions/{workflowExecutionId}; executions.cancel; AmcCancelWorkflowExecutionOperator
        getWorkflowExecutionDownloadUrls; GET /amc/reporting/{instanceId}/workflowExecutions/{workflowExecutionId}/downloadUrls; executions.download_urls; AmcToS3Operator, AmcToObjectStorageOperator, AmcToSqlOperator
    """,
    "Rule-based and lookalike audiences": """
        createQueryBasedAudience; POST /amc/audiences/query; audiences.create; AmcCreateAudienceOperator
        createLookalikeAudience; POST /amc/audiences/lookalike; audiences.create; AmcCreateAudienceOperator
        getAllQueryBasedAudiencesByInstanceId; GET /amc/audiences/query; audiences.list; AmcCreateAudienceOperator
        getQueryBasedAudienceByAudienceExecutionId; GET /amc/audiences/query/{audienceExecutionId}; audiences.get; AmcCreateAudienceOperator, AmcUpdateAudienceOperator, AmcAudienceSensor
        updateQueryBasedAudienceByAudienceExecutionId; PUT /amc/audiences/query/{audienceExecutionId}; audiences.update; AmcUpdateAudienceOperator
        deleteQueryBasedAudienceByAudienceExecutionId; DELETE /amc/audiences/query/{audienceExecutionId}; audiences.delete; AmcDeleteAudienceOperator
    """,
    "Advertiser audiences": """
        AmcpLinkGetConnectionsV2; GET /amc/audiences/connections; advertiser_audiences.connections.list; AmcCreateAudienceConnectionOperator, S3ToAmcAudienceOperator
        AmcpLinkAddConnectionV2; POST /amc/audiences/connections; advertiser_audiences.connections.create; AmcCreateAudienceConnectionOperator
        AmcpLinkRemoveConnectionV2; DELETE /amc/audiences/connections; advertiser_audiences.connections.delete; AmcDeleteAudienceConnectionOperator
        AmcpLinkGetTermsV2; GET /amc/audiences/connections/terms; advertiser_audiences.connections.terms; AmcCreateAdvertiserAudienceOperator, S3ToAmcAudienceOperator
        AmcpLinkSetTermsAcceptanceV2; PATCH /amc/audiences/connections/terms; advertiser_audiences.connections.accept_terms;
        CreateAudienceMetadataV2; POST /amc/audiences/metadata; advertiser_audiences.create; AmcCreateAdvertiserAudienceOperator
        GetAudienceMetadataV2; GET /amc/audiences/metadata/{audienceId}; advertiser_audiences.get; S3ToAmcAudienceOperator
        UpdateAudienceMetadataV2; PUT /amc/audiences/metadata/{audienceId}; advertiser_audiences.update; AmcUpdateAdvertiserAudienceOperator
        ManageAudienceV2; POST /amc/audiences/records; advertiser_audiences.send_records; S3ToAmcAudienceOperator
        ManageAudienceStatusV2; GET /amc/audiences/records/{jobRequestId}; advertiser_audiences.get_job; S3ToAmcAudienceOperator, AmcAudienceRecordsSensor
    """,
    "Advertiser data upload": """
        CreateDataSet; POST /amc/advertiserData/{instanceId}/dataSets; data_sets.create; AmcCreateDataSetOperator, S3ToAmcOperator
        ListDataSets; POST /amc/advertiserData/{instanceId}/dataSets/list; data_sets.list;
        GetDataSet; GET /amc/advertiserData/{instanceId}/dataSets/{dataSetId}; data_sets.get; AmcCreateDataSetOperator
        UpdateDataSet; PUT /amc/advertiserData/{instanceId}/dataSets/{dataSetId}; data_sets.update;
        DeleteDataSet; DELETE /amc/advertiserData/{instanceId}/dataSets/{dataSetId}; data_sets.delete; AmcDeleteDataSetOperator
        AddColumnToDataSet; POST /amc/advertiserData/{instanceId}/dataSets/{dataSetId}/columns; data_sets.add_column;
        UpdateColumnInDataSet; PUT /amc/advertiserData/{instanceId}/dataSets/{dataSetId}/columns/{columnName}; data_sets.update_column;
        DeleteColumnFromDataSet; DELETE /amc/advertiserData/{instanceId}/dataSets/{dataSetId}/columns/{columnName}; data_sets.delete_column;
        CreateUpload; POST /amc/advertiserData/{instanceId}/uploads/{dataSetId}; uploads.create; AmcUploadOperator, S3ToAmcOperator
        ListUploads; POST /amc/advertiserData/{instanceId}/uploads/list; uploads.list; AmcUploadOperator, S3ToAmcOperator
        GetUpload; GET /amc/advertiserData/{instanceId}/uploads/{dataSetId}/{uploadId}; uploads.get; AmcUploadOperator, S3ToAmcOperator, AmcUploadSensor
        CreateUserDeletionRequest; POST /amc/advertiserData/{instanceId}/userDeletionRequest; user_deletions.create; AmcDeleteUsersOperator
        ListUserDeletionRequests; POST /amc/advertiserData/{instanceId}/userDeletionRequest/list; user_deletions.list;
        GetUserDeletionRequest; GET /amc/advertiserData/{instanceId}/userDeletionRequest/{userDeletionRequestId}; user_deletions.get; AmcDeleteUsersOperator, AmcUserDeletionSensor
    """,
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """An operation of AMC.

    :param id: Amazon's name of it.
    :param family: the API that has it.
    :param method: HTTP method.
    :param path: path, with Amazon's names for its parameters.
    :param call: method of the client.
    :param operators: operators, sensors and transfers that use it.
    """

    id: str
    family: str
    method: str
    path: str
    call: str
    operators: tuple[str, ...]

    @property
    def shape(self) -> str:
        """Path without the names of its parameters."""
        return re.sub(r"\{\w+\}", "{}", self.path)


def _read(family: str, line: str) -> Operation:
    name, address, call, operators = (part.strip() for part in line.strip().split(";"))
    method, path = address.split()
    return Operation(name, family, method, path, call, tuple(filter(None, operators.split(", "))))


OPERATIONS = tuple(
    _read(family, line) for family, text in _FAMILIES.items() for line in text.strip().splitlines() if line.strip()
)
BY_ID = {operation.id: operation for operation in OPERATIONS}
