"""Calls that tests of advertiser data upload and advertiser audiences make, and values to make them with."""

from __future__ import annotations

import hashlib
from typing import Any

import requests

from tests.emulator.api import Api, wait_for

EMAIL = {"name": "email", "dataType": "STRING", "columnType": "DIMENSION", "externalUserIdType": {"hashedPii": "EMAIL"}}
PRODUCT = {"name": "product", "dataType": "STRING", "columnType": "DIMENSION"}
QUANTITY = {"name": "quantity", "dataType": "LONG", "columnType": "METRIC"}
TIME = {"name": "bought", "dataType": "TIMESTAMP", "columnType": "DIMENSION", "isMainEventTime": True}
AMC = {
    "amcAccountId": "ENTITYEMULATOR01",
    "amcAccountMarketplaceId": "ATVPDKIKX0DER",
    "amcInstanceId": "amcemulator",
}
DSP = {"dspAdvertiserId": "580000000000000001"}


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def someone(number: int) -> str:
    """The hashed e-mail address of a person."""
    return hashed(f"person{number}@example.com")


class Advertiser:
    """An advertiser on an instance."""

    def __init__(self, api: Api, instance: str | None = None) -> None:
        self.api = api
        self.instance = instance or api.instance

    def call(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self.api.call(method, f"advertiserData/{self.instance}/{path}", body, **kwargs)

    def done(self, method: str, path: str, body: Any = None, **kwargs: Any) -> dict[str, Any]:
        """The same, and it must succeed."""
        answer = self.call(method, path, body, **kwargs)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def data_set(self, name: str, *columns: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Create a data set."""
        return self.done("POST", "dataSets", {"dataSet": {"dataSetId": name, "columns": list(columns), **fields}})

    def order(self, **changes: Any) -> dict[str, Any]:
        """The body of an upload."""
        body = {
            "updateStrategy": "ADDITIVE",
            "compressionFormat": "NONE",
            "dataSource": {"sourceS3Bucket": "bucket", "sourceFileS3Key": "rows.csv"},
            "fileFormat": {"csvDataFormat": {}},
        }
        return {name: value for name, value in {**body, **changes}.items() if value is not None}

    def start(self, name: str, **changes: Any) -> str:
        """Start an upload and tell its id."""
        return str(self.done("POST", f"uploads/{name}", self.order(**changes))["uploadId"])

    def upload(self, name: str, upload_id: str) -> dict[str, Any]:
        return dict(self.done("GET", f"uploads/{name}/{upload_id}")["upload"])

    def ended(self, name: str, upload_id: str) -> dict[str, Any]:
        """The upload at its end."""

        def probe() -> dict[str, Any] | None:
            found = self.upload(name, upload_id)
            return found if found["status"] in ("SUCCESS", "FAILED", "COMPLETED") else None

        return wait_for(probe, "the upload to end", deadline=120)

    def query(self, sql: str, **fields: Any) -> list[list[str]]:
        """Rows of a query over March 2026, sorted, without the header."""
        window = {"timeWindowStart": "2026-03-01T00:00:00", "timeWindowEnd": "2026-04-01T00:00:00"}
        execution = self.api.finished(sql, **{**window, **fields})
        assert execution["status"] == "SUCCEEDED", execution
        return sorted(self.api.rows(execution["workflowExecutionId"])[1:])

    def rejection(self, sql: str, **fields: Any) -> str:
        """Why a query is not run."""
        execution = self.api.finished(sql, **fields)
        assert execution["status"] == "REJECTED", execution
        return str(execution["statusReason"])

    # -- audiences -------------------------------------------------------------------------------------------------
    def connection(self, **fields: Any) -> str:
        """Create a connection and tell its id."""
        answer = self.api.call("POST", "audiences/connections", fields or {**AMC, **DSP})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["connectionId"])

    def audience(self, connection_id: str, **metadata: Any) -> int:
        """Create an audience and tell its id."""
        answer = self.api.call("POST", "audiences/metadata", audience_body(connection_id, **metadata))
        assert answer.status_code == 201, answer.text
        return int(answer.json()["audienceId"])

    def send(self, audience_id: int, records: list[dict[str, Any]], **fields: Any) -> str:
        """Send records and tell the id of the job."""
        body = {"audienceId": audience_id, "records": records, **fields}
        answer = self.api.call("POST", "audiences/records", body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["jobRequestId"])

    def job(self, job_id: str) -> dict[str, Any]:
        """A job at its end."""

        def probe() -> dict[str, Any] | None:
            answer = self.api.call("GET", f"audiences/records/{job_id}")
            assert answer.status_code == 200, answer.text
            return dict(answer.json()) if answer.json()["jobState"] != "PENDING" else None

        return wait_for(probe, "the job to end", deadline=120)


def audience_body(connection_id: str, **metadata: Any) -> dict[str, Any]:
    """The body of a new audience."""
    return {
        "name": "Loyal customers",
        "description": "Those who came back",
        "targetResource": {"connectionId": connection_id},
        "metadata": {"externalAudienceId": "loyal", **metadata},
    }


def record(number: int, action: str = "CREATE", **identity: str) -> dict[str, Any]:
    """A record of an audience."""
    return {
        "externalUserId": f"person-{number}",
        "action": action,
        "hashedPII": [identity or {"email": someone(number)}],
    }


def message(answer: requests.Response) -> tuple[int, str]:
    """Status and message of an error of connections and audiences."""
    return answer.status_code, str(answer.json()["message"])
