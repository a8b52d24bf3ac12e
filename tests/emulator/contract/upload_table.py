"""The part of the table that is about advertiser audiences and advertiser data upload.

Facts: the fields, types and limits of Amazon's OpenAPI files for them.
"""

from __future__ import annotations

TABLE = """
object AudienceConnection
    connectionId                text
    clientId                    text
    customerId                  text
    isDefault                   flag
    creationDateTime            utc
    modifiedDateTime            utc
    amcAccountId?               text
    amcAccountMarketplaceId?    text
    amcAccountName?             text
    amcInstanceId?              text
    amcInstanceName?            text
    dataUploadAwsAccountId?     text
    dspAdvertiserId?            text
    dspAdvertiserCountryCode?   text
    dspAdvertiserMarketplaceId? text
    dspAdvertiserName?          text
    dspAdvertiserRegion?        text
    dspProfileId?               text

object AudienceFee
    cpmCents                    whole
    currency                    AED|AUD|CAD|CNY|EUR|GBP|INR|JPY|MXN|SAR|SEK|TRY|USD

object AudienceSize
    dspAudienceSize             whole
    idResolutionCount           whole
    receivedRecordSize          whole

object AudienceMetadata
    externalAudienceId          text
    ttl                         whole
    audienceFees?               AudienceFee[13]

object SizedAudienceMetadata
    externalAudienceId          text
    ttl                         whole
    audienceFees?               AudienceFee[13]
    audienceSize                AudienceSize

object InvalidRecord
    audienceId                  text
    externalId                  text
    error                       text

object Processed
    recordsProcessedRate        number

object IdentityKind
    hashedPii?                  ADDRESS|CITY|COUNTRY_CODE|EMAIL|FIRST_NAME|LAST_NAME|PHONE|STATE|ZIP
    externalIdentity?           EXPERIAN|IDFA|KANTAR|LIVERAMP|MAID|MERKLE|NEUSTAR|REALID|SAMBATV

object DataSetColumn
    name                        text
    columnType                  DIMENSION|METRIC
    dataType                    DATE|DECIMAL|INTEGER|LONG|STRING|TIMESTAMP
    description?                text
    nullable                    flag
    isMainEventTime             flag
    isMainUserId                flag
    isMainUserIdType            flag
    isCountryCode               flag
    requiresOneWayHashing       flag
    externalUserIdType?         IdentityKind
    consentType?                AMZN_AD_STORAGE|AMZN_USER_DATA|GPP|TCF

object DataSet
    dataSetId                   text
    columns                     DataSetColumn[100]
    period?                     P1D|P1M|PT1H
    countryCode?                text
    customerEncryptionKeyArn?   text
    description?                text

object UploadSource
    sourceS3Bucket              text
    sourceFileS3Key?            text
    sourceS3Prefix?             text
    sourceManifestS3Key?        text

object Upload
    uploadId                    text
    dataSetId                   text
    instanceId                  text
    status                      FAILED|IN_PROGRESS|SUBMITTED|SUCCESS
    message?                    text
    metrics                     {}
    createdAt                   utc
    updatedAt                   utc
    dataSource                  UploadSource
    countryCode?                text

object UserDeletion
    userDeletionRequestId       text
    identityCount               whole
    status                      PENDING|SUCCEEDED
    creationDateTime            utc

object AudienceError
    message                     text

object UploadError
    code                        text
    details                     text
    errors                      text[100]
    requestId                   text

answer AmcpLinkAddConnectionV2 201
    connectionId                text

answer AmcpLinkGetConnectionsV2 200
    connections                 AudienceConnection[100]

answer AmcpLinkGetTermsV2 200
    agreementContent            text
    agreementToken              text
    hasAccepted                 flag

answer CreateAudienceMetadataV2 201
    audienceId                  whole
    externalAudienceId          text

answer GetAudienceMetadataV2 200
    audienceId                  whole
    advertiserId?               whole
    countryCode?                text
    name                        text
    description                 text
    metadata                    SizedAudienceMetadata

answer UpdateAudienceMetadataV2 200
    audienceId                  whole
    advertiserId?               whole
    name                        text
    description                 text
    metadata                    AudienceMetadata

answer ManageAudienceV2 202
    jobRequestId                text

answer ManageAudienceStatusV2 200
    jobRequestId                text
    jobState                    COMPLETED|FAILED|PARTIALLYSUCCEEDED|PENDING|SUCCEEDED
    successful?                 Processed
    invalidRecords?             InvalidRecord[10000]
    audienceSize?               AudienceSize

answer CreateDataSet 200
    dataSetId                   text
    instanceId                  text

answer ListDataSets 200
    dataSets                    DataSet[100]
    nextToken?                  text

answer GetDataSet 200
    dataSet                     DataSet

answer UpdateDataSet 200
    dataSet                     DataSet

answer DeleteDataSet 200
    dataSetId                   text
    instanceId                  text

answer AddColumnToDataSet 200
    dataSet                     DataSet

answer UpdateColumnInDataSet 200
    dataSet                     DataSet

answer DeleteColumnFromDataSet 200
    dataSet                     DataSet

answer CreateUpload 200
    uploadId                    text
    status                      FAILED|IN_PROGRESS|SUBMITTED|SUCCESS

answer ListUploads 200
    uploads                     Upload[1000]
    nextToken?                  text

answer GetUpload 200
    upload                      Upload

answer CreateUserDeletionRequest 200
    userDeletionRequestId       text

answer ListUserDeletionRequests 200
    userDeletions               UserDeletion[1000]
    nextToken?                  text

answer GetUserDeletionRequest 200
    identityDeletion            UserDeletion
"""

#: Answers of these have no body at all (HTTP 204).
NO_CONTENT = {"AmcpLinkRemoveConnectionV2", "AmcpLinkSetTermsAcceptanceV2"}
#: Media types by a part of the operation's name; the first that fits counts.
MEDIA_TYPES = {
    "AmcpLink": "application/vnd.amcaudiencesconnections.v1+json",
    "AudienceMetadata": "application/vnd.amcaudiences.v1+json",
    "ManageAudience": "application/vnd.amcaudiences.v1+json",
    "Column": "application/vnd.amcadvertiserdatasetcolumn.v1+json",
    "DataSet": "application/vnd.amcadvertiserdataset.v1+json",
    "Upload": "application/vnd.amcadvertiserdataupload.v1+json",
    "UserDeletionRequest": "application/vnd.amcadvertiseruserdeletionrequest.v1+json",
}
_AUDIENCES = ("AudienceMetadata", "ManageAudience")
_UPLOADS = ("DataSet", "Upload", "UserDeletionRequest")


def of_uploads(operation: str) -> bool:
    """Is it an operation of advertiser data upload?"""
    return any(part in operation for part in _UPLOADS)


def error_of(operation: str) -> str | None:
    """The shape of an operation's errors by whoever answers; ``None`` when a gateway's look different."""
    if operation.startswith("AmcpLink"):
        return "AccountsError"
    return "AudienceError" if any(part in operation for part in _AUDIENCES) else None
