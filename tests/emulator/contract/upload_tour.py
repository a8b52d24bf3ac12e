"""The part of the tour that goes through advertiser audiences and advertiser data upload."""

from __future__ import annotations

from typing import Any

from airflow_provider_amc.emulator.server import EmulatorServer
from tests.emulator.api import Api, wait_for

EMAIL = "9eceb13483d7f187ec014fd6d4854d1420cfc634328af85f51d0323ba8622e21"
COLUMNS = [
    {"name": "email", "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": {"hashedPii": "EMAIL"}},
    {
        "name": "maid",
        "dataType": "STRING",
        "columnType": "DIMENSION",
        "externalUserIdType": {"externalIdentity": "MAID"},
    },
    {"name": "tcf_string", "dataType": "STRING", "columnType": "DIMENSION", "consentType": "TCF", "description": "TCF"},
    {"name": "at", "dataType": "TIMESTAMP", "columnType": "DIMENSION", "isMainEventTime": True, "nullable": "false"},
]


def audiences(server: EmulatorServer, api: Api) -> None:
    """Connections, terms, metadata and records, also in parts."""
    path = "audiences/connections"
    given: dict[str, Any] = {"amcAccountId": "ENTITYEMULATOR01", "amcAccountMarketplaceId": "ATVPDKIKX0DER"}
    both = {**given, "amcInstanceId": "amcemulator", "dspAdvertiserId": "580000000000000001", "dspProfileId": "1"}
    connection_id = api.call("POST", path, both).json()["connectionId"]
    api.call("POST", path, {"dspAdvertiserId": "580000000000000001", "isDefault": True})
    for query in ({}, {"isDefault": "true"}, {"connectionId": connection_id}, {"connectionId": "none"}):
        api.call("GET", path, params=query)
    terms = api.call("GET", f"{path}/terms").json()
    for token in (terms["agreementToken"], "other"):
        api.call("PATCH", f"{path}/terms", {"agreementToken": token, "hasAccepted": True})
    metadata = {"externalAudienceId": "mine", "ttl": 604800, "audienceFees": [{"cpmCents": 50, "currency": "USD"}]}
    target = {"connectionId": connection_id}
    body = {
        "name": "An audience",
        "description": "",
        "countryCode": "US",
        "targetResource": target,
        "metadata": metadata,
    }
    audience_id = api.call("POST", "audiences/metadata", body).json()["audienceId"]
    records = [
        {"externalUserId": "a", "action": "CREATE", "hashedPII": [{"email": EMAIL}]},
        {"externalUserId": "b", "action": "CREATE", "hashedPII": [{"email": "not hashed"}]},
    ]
    for fault in ("duration", "fail", None):
        if fault is not None:
            server.add_fault(operation="ManageAudienceV2", kind=fault, seconds=60)
        job = api.call("POST", "audiences/records", {"audienceId": audience_id, "records": records}).json()
        one = f"audiences/records/{job['jobRequestId']}"
        api.call("GET", one)
        if fault == "duration":
            server.advance_clock(60)
        wait_for(lambda one=one: api.call("GET", one).json()["jobState"] != "PENDING", "the job")
    api.call("GET", f"audiences/metadata/{audience_id}")
    api.call("PUT", f"audiences/metadata/{audience_id}", {"description": "New", "metadata": {"ttl": 0}})
    api.call("GET", "audiences/metadata/1")
    api.call("DELETE", path, params=target)
    api.call("DELETE", path, params={"connectionId": "none"})
    api.call("DELETE", path)


def uploads(server: EmulatorServer, api: Api) -> None:
    """Data sets, their columns, uploads that find no S3, and deletions."""
    path = "advertiserData/amcemulator"
    data_set: dict[str, Any] = {"dataSetId": "first", "columns": COLUMNS, "countryCode": "DE", "description": "First"}
    api.call("POST", f"{path}/dataSets", {"dataSet": {**data_set, "customerEncryptionKeyArn": "arn:aws:kms:x"}})
    api.call("POST", f"{path}/dataSets", {"dataSet": {**data_set, "dataSetId": "second", "period": "PT1H"}})
    api.call("POST", f"{path}/dataSets/list")
    api.call("POST", f"{path}/dataSets/list", params={"maxResults": "1"})
    api.call("GET", f"{path}/dataSets/first")
    api.call("PUT", f"{path}/dataSets/first", {"description": "Changed"})
    column = {"name": "shop", "dataType": "STRING", "columnType": "DIMENSION"}
    api.call("POST", f"{path}/dataSets/first/columns", {"column": column})
    api.call("PUT", f"{path}/dataSets/first/columns/shop", {"updatedColumnName": "store"})
    api.call("DELETE", f"{path}/dataSets/first/columns/store")
    order = {"updateStrategy": "ADDITIVE", "compressionFormat": "NONE", "fileFormat": {"csvDataFormat": {}}}
    for key in ("sourceFileS3Key", "sourceS3Prefix", "sourceManifestS3Key"):
        server.add_fault(operation="CreateUpload", kind="duration", seconds=60)
        body = {**order, "dataSource": {"sourceS3Bucket": "bucket", key: "x"}, "countryCode": "US"}
        one = api.call("POST", f"{path}/uploads/first", body).json()
        api.call("GET", f"{path}/uploads/first/{one['uploadId']}")
    server.advance_clock(60)

    def ended() -> bool:
        return all(one["status"] == "FAILED" for one in api.call("POST", f"{path}/uploads/list").json()["uploads"])

    wait_for(ended, "the uploads to fail")
    api.call("POST", f"{path}/uploads/list", params={"maxResults": "1"})
    for _ in range(2):
        identities = [{"hashedIdentity": {"EMAIL": EMAIL}}, {"externalIdentity": {"type": "MAID", "value": "x"}}]
        one = api.call("POST", f"{path}/userDeletionRequest", {"targetIdentities": identities}).json()
    api.call("POST", f"{path}/userDeletionRequest/list", params={"maxResults": "1"})
    api.call("GET", f"{path}/userDeletionRequest/{one['userDeletionRequestId']}")
    api.call("DELETE", f"{path}/dataSets/first")
