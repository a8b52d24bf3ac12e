"""The part of the table that is about accounts, instances, advertisers and collaborations.

Facts: the fields, types and limits of Amazon's OpenAPI file for the administration, and the recorded responses of
Amazon's Postman collection.
"""

from __future__ import annotations

TABLE = """
object Account
    accountId                   text
    accountName                 text
    marketplaceId               text

object Instance
    instanceId                  text
    instanceName                text
    instanceType                STANDARD|SANDBOX
    customerCanonicalName~      text flat
    customerCanonicalName?      text wrapped
    creationStatus              REQUESTED|SUBMITTED|IN_PROGRESS|COMPLETED|FAILED|SUCCEEDED
    creationDatetime~           utc
    s3BucketName                text
    s3BucketRegion              text wrapped
    awsAccountId                text
    entities                    text[1000]
    dataUploadAwsAccountId      text
    apiEndpoint~                text
    acrCollaboration~           CollaborationName flat
    optionalDatasets            any[100]
    advertiserTypes             DISPLAY|SPONSORED_ADS|SAS[3]

object Advertiser
    id                          text
    name                        text
    marketplaceId?~             text
    type                        DISPLAY|SPONSORED_ADS|SAS
    configuredAdvertiserTypes   DISPLAY|SAS|SPONSORED_BRANDS|SPONSORED_PRODUCTS[4]

object CollaborationName
    id                          text
    name                        text
    description                 text

object Member
    accountId                   text
    displayName                 text
    membershipId?               text
    status                      ACTIVE|INVITED|LEFT|REMOVED

object Collaboration
    id                          text
    name                        text
    description                 text
    status                      ACTIVE|DELETED|IN_PROGRESS|NOT_STARTED|PENDING_ACCEPTANCE|REJECTED
    creator                     Member
    customer                    Member
    querySubmitter              Member
    customerAcceptanceLink?     text
    resultsReceivers            Member[100]
    customerPartners            Member[100]
    amcDataProviders            Member[100]

object CustomerPartner
    acrCustomerPartnerId        text
    awsAccountId                text
    displayName                 text
    abilities                   CAN_RECEIVE_RESULTS[1]
    status                      ACTIVE|INVITED|LEFT|REMOVED

object AdvertiserUpdate
    updateId                    whole
    status                      PENDING|UPDATING|COMPLETED|REJECTED
    advertisersToAdd            AdvertiserChoice[10]
    advertisersToRemove         AdvertiserChoice[10]

object AdvertiserUpdateSummary
    updateId                    whole
    status                      PENDING|UPDATING|COMPLETED|REJECTED

object IdNamespace
    id                          text
    idNamespaceArn              text
    idNamespaceType             SOURCE|TARGET|UNKNOWN
    creatorAccountId            text
    createTime                  utc
    updateTime                  utc

object IdMappingTable
    id                          text
    name                        text
    arn                         text
    description                 text
    createTime                  utc
    updateTime                  utc
    queryable                   flag
    sourceAwsAccount            text
    workflowArn                 text

object IdMappingJobSummary
    jobId                       text
    status                      FAILED|QUEUED|RUNNING|SUCCEEDED|UNKNOWN
    startTime                   utc
    endTime?                    utc

object IdMappingMetrics
    inputRecords                whole
    recordsNotProcessed         whole
    totalRecordsProcessed       whole
    totalMappedRecords          whole
    totalMappedSourceRecords    whole
    totalMappedTargetRecords    whole
    uniqueRecordsLoaded         whole

object IdMappingJob
    jobId                       text
    status                      FAILED|QUEUED|RUNNING|SUCCEEDED|UNKNOWN
    startTime                   utc
    endTime?                    utc
    errorDetails?               text
    metrics?                    IdMappingMetrics

object AccountsError
    message                     text
    requestId                   text

answer listAccounts 200
    amcAccounts                 Account[100]
    nextToken?                  text

answer listInstances 200
    instances                   Instance[100]
    nextToken?                  text wrapped
    nextToken~                  text flat

answer getInstance 200
    instance                    Instance

answer createInstance 200
    instance                    Instance

answer updateInstance 200
    instance                    Instance

answer updateInstanceCustomerAwsAccountMetadata 200
    cfnBucketUrl                text

answer createAdvertiserUpdate 200
    advertiserUpdate            AdvertiserUpdate

answer getAdvertiserUpdate 200
    advertiserUpdate            AdvertiserUpdate

answer listAdvertiserUpdates 200
    advertiserUpdates           AdvertiserUpdateSummary[100]
    nextToken?                  text wrapped
    nextToken~                  text flat

answer getInstanceCollaboration 200
    collaboration               Collaboration

answer addCollaborationCustomerPartners 200
    acrCustomerPartners         CustomerPartner[5]

answer listCollaborationIdNamespaces 200
    collaborationId             text
    collaborationIdNamespaceAssociations  IdNamespace[100]
    nextToken?                  text

answer createCollaborationIdMappingTable 200
    collaborationId             text
    idMappingTable              IdMappingTable
    idMappingWorkflowJobId?     text
    trackingId?                 text

answer refreshCollaborationIdMappingTable 200
    collaborationId             text
    idMappingWorkflowJobId?     text
    trackingId?                 text

answer listCollaborationIdMappingTables 200
    collaborationId             text
    idMappingTables             IdMappingTable[100]
    nextToken?                  text

answer listCollaborationIdMappingJobs 200
    idMappingTableId            text
    idMappingJobs               IdMappingJobSummary[100]
    nextToken?                  text

answer getCollaborationIdMappingJob 200
    idMappingJob                IdMappingJob

answer getCollaborationIdMappingJobForTrackingId 200
    idMappingJobId?             text

answer getInstanceAdvertisers 200
    advertisers                 Advertiser[1000]
    totalCount                  whole
    nextToken?                  text wrapped
    nextToken~                  text flat
"""

#: Answers of these are an empty object.
EMPTY = {"deleteCollaborationCustomerPartner", "deleteCollaborationIdMappingTable"}
#: Answers of these have no body at all (HTTP 204).
NO_CONTENT = {"deleteInstance"}
#: Media types by a part of the operation's name; the first that fits counts.
MEDIA_TYPES = {
    "Instance": "application/vnd.amcinstances.v1+json",
    "AdvertiserUpdate": "application/vnd.amcinstances.v1+json",
    "Collaboration": "application/vnd.amcinstances.v1+json",
    "Account": "application/vnd.amcaudiencesconnections.v1+json",
}
