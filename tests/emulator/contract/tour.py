"""A tour through every operation of the emulator, in good and in bad, that keeps each answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from airflow_provider_amc.emulator.api import Operation
from airflow_provider_amc.emulator.app import OPERATIONS
from airflow_provider_amc.emulator.routes import Routes
from airflow_provider_amc.emulator.server import EmulatorServer
from tests.emulator.api import CLIENT_ID, FINISHED, SECRET, Api, wait_for
from tests.emulator.contract import upload_tour
from tests.emulator.contract.table import OTHER

#: What the emulator offers beside its own controls.
SERVED = tuple(operation for operation in OPERATIONS if not operation.path.startswith("/_emulator/"))
SQL = "SELECT campaign, SUM(impressions) AS shown FROM dsp_impressions GROUP BY campaign"
WINDOW = {
    "timeWindowType": "EXPLICIT",
    "timeWindowStart": "2026-01-01T00:00:00",
    "timeWindowEnd": "2026-02-01T00:00:00",
    "timeWindowTimeZone": "America/New_York",
}
WORKFLOW = {
    "workflowId": "full",
    "sqlQuery": "SELECT campaign, SUM(impressions) AS shown FROM dsp_impressions"
    " WHERE ARRAY_CONTAINS(CUSTOM_PARAMETER('names'), campaign) OR device_type = CUSTOM_PARAMETER('device')"
    " GROUP BY campaign",
    "inputParameters": [
        {
            "name": "names",
            "dataType": {"type": "ARRAY", "elementDataType": "STRING", "elementNullable": False},
            "columnType": "DIMENSION",
            "defaultValue": ["a", "b"],
        },
        {"name": "device", "dataType": "STRING", "defaultValue": "TV", "description": "d", "displayName": "D"},
    ],
    "outputColumns": [
        {"name": "campaign", "dataType": "STRING", "columnType": "DIMENSION"},
        {"name": "shown", "dataType": "LONG", "columnType": "METRIC"},
    ],
    "outputFormat": {"separatorCharacter": ",", "quoteCharacter": '"', "escapeCharacter": '"'},
    "privacyFilteringBehavior": "REMOVE_ROWS",
    "unknownField": "is ignored",
}


@dataclass(frozen=True)
class Answer:
    """What one request got."""

    operation: str
    status: int
    media_type: str
    text: str
    body: Any
    request: str


class Tour:
    """Walks through a running emulator.

    :param server: the emulator.
    """

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.api = Api(server.url)
        self.answers: list[Answer] = []
        self._routes = Routes(OPERATIONS)
        self.api.session.hooks["response"].append(self._keep)

    def _keep(self, response: requests.Response, **_: Any) -> None:
        parts = urlsplit(response.url)
        operation = self._routes.find(str(response.request.method), parts.path).operation
        assert operation is not None, response.url
        media_type = response.headers.get("content-type", "").partition(";")[0]
        # The media type does not tell: the recorded answer to a new workflow is JSON under application/octet-stream.
        body = None if operation.id in OTHER or not response.content else response.json()
        request = f"{response.request.method} {parts.path}?{parts.query} -> {response.status_code}"
        self.answers.append(
            Answer(operation.id, response.status_code, media_type, response.text, body, f"{request} {response.text}")
        )

    def walk(self) -> None:
        """Ask for everything."""
        self.access()
        self.administration()
        self.instances()
        self.collaborations()
        upload_tour.audiences(self.server, self.api)
        upload_tour.uploads(self.server, self.api)
        self.workflows()
        self.schedules()
        self.executions()
        self.audiences()
        for operation in SERVED:
            self.refusals(operation)

    def access(self) -> None:
        """Login with Amazon."""
        query = {
            "client_id": CLIENT_ID,
            "scope": "advertising::campaign_management",
            "response_type": "code",
            "redirect_uri": "https://example.com/back",
        }
        self.api.session.get(f"{self.api.url}/ap/oa", params=query, allow_redirects=False)
        self.api.refresh()
        self.api.post_token(grant_type="refresh_token", client_id=CLIENT_ID, client_secret="wrong", refresh_token="x")
        self.api.post_token(grant_type="refresh_token", client_id=CLIENT_ID, client_secret=SECRET, refresh_token="x")
        self.api.post_token(grant_type="password")

    def administration(self) -> None:
        """Accounts, instances, advertisers and data sources, in pages and whole."""
        self.api.call("GET", "accounts")
        for path in ("instances", "instances/amcemulator/advertisers"):
            self.api.call("GET", path)
            self.api.call("GET", path, params={"limit": "1"})
        self.api.call("GET", "instances/amcsandbox")
        self.api.call("GET", "instances/amcemulator", headers={"Accept": "text/csv"})
        self.api.reporting("GET", "dataSources")
        self.api.reporting("GET", "dataSources", params={"limit": "2"})
        self.api.reporting("GET", "dataSources/dsp_impressions")

    def instances(self) -> None:
        """Instances that come and go, with their advertisers."""
        body = {"instanceName": "Tour", "advertiserName": "Tourists", "awsAccountId": "123456789012"}
        self.api.call("POST", "instances", body)
        made = self.api.call("POST", "instances", {"instanceName": "Tour", "idempotencyToken": "t"}).json()["instance"]
        self.api.call("GET", f"instances/{made['instanceId']}")
        self.api.call("PUT", "instances/amcemulator", {"instanceName": "New name"})
        account = {"awsAccountId": "123456789012", "bucketName": "my-bucket"}
        self.api.call("POST", "instances/amcemulator/updateCustomerAwsAccount", account)
        path = f"instances/{made['instanceId']}/advertisers/updates"
        advertiser = {"id": "ENTITYEMULATORADS", "type": "SPONSORED_ADS", "marketplaceId": "ATVPDKIKX0DER"}
        for change in ({"advertisersToAdd": [advertiser]}, {"advertisersToRemove": [advertiser]}):
            self.api.call("POST", path, change)
        self.api.call("GET", f"{path}/0")
        self.api.call("GET", path)
        self.api.call("GET", path, params={"limit": "1"})
        self.api.call("DELETE", f"instances/{made['instanceId']}")

    def collaborations(self) -> None:
        """An instance in AWS Clean Rooms: while it waits, with partners, with id mapping tables."""
        partner = {"awsAccountId": "222222222222", "displayName": "P", "abilities": ["CAN_RECEIVE_RESULTS"]}
        body = {"instanceName": "Together", "acrBacked": True, "acrCustomerPartners": [partner]}
        self.server.add_fault(operation="createInstance", kind="duration", seconds=60)
        made = self.api.call("POST", "instances", body).json()["instance"]["instanceId"]
        path = f"instances/{made}/collaboration"
        self.api.call("GET", path)
        self.server.advance_clock(60)
        partners = f"{path}s/{self.api.call('GET', path).json()['collaboration']['id']}/acrCustomerPartners"
        for number in "12":
            self.api.call("POST", partners, {"acrCustomerPartners": [{"awsAccountId": number * 12}]})
        self.api.call("DELETE", f"{partners}/111111111111")
        self.api.call("GET", path)
        self.api.call("POST", f"{path}/idnamespaces/list", {"maxResults": 1})
        namespaces = self.api.call("POST", f"{path}/idnamespaces/list", {}).json()
        sources = [one["idNamespaceArn"] for one in namespaces["collaborationIdNamespaceAssociations"]]
        tables = f"{path}/idmappingtables"
        for number, (kind, seconds) in enumerate((("duration", 100), ("fail", None))):
            for operation in ("createCollaborationIdMappingTable", "refreshCollaborationIdMappingTable"):
                self.server.add_fault(operation=operation, kind=kind, seconds=seconds)
            table = {"idMappingTableName": f"t{number}", "sourceIdNamespaceArn": sources[number]}
            started = self.api.call("POST", tables, table).json()
            one = f"{tables}/{started['idMappingTable']['id']}"
            job = started.get("idMappingWorkflowJobId")
            if job is None:
                self.api.call("GET", f"{one}/jobTracker/{started['trackingId']}")
                self.server.advance_clock(100)
                job = self.api.call("GET", f"{one}/jobTracker/{started['trackingId']}").json()["idMappingJobId"]
            self.api.call("GET", f"{one}/jobs/{job}")
            self.api.call("POST", f"{one}/refresh")
            self.api.call("POST", f"{one}/refresh")
            self.api.call("POST", f"{one}/jobs/list", {"maxResults": "1"})
        self.api.call("POST", f"{tables}/list", {"maxResults": 1})
        self.api.call("DELETE", one)

    def workflows(self) -> None:
        """Saved workflows: with everything AMC knows of them, and what it refuses."""
        for body in (
            WORKFLOW,
            {"workflowId": "plain", "sqlQuery": SQL},
            {"workflowId": "legacy", "query": {"operations": [{"type": "Select"}]}},
        ):
            assert self.api.reporting("POST", "workflows", body).status_code == 200
            self.api.reporting("GET", f"workflows/{body['workflowId']}")
        self.api.reporting("POST", "workflows", WORKFLOW)
        self.api.reporting("POST", "workflows", {"workflowId": "bad", "sqlQuery": "SELECT nothing"})
        self.api.reporting("POST", "workflows", {"workflowId": "x"}, headers={"Content-Type": "text/plain"})
        self.api.reporting("GET", "workflows")
        self.api.reporting("GET", "workflows", params={"limit": "1"})
        self.api.reporting("PUT", "workflows/plain", {"workflowId": "plain", "sqlQuery": SQL})
        self.api.reporting("DELETE", "workflows/legacy")

    def schedules(self) -> None:
        """Schedules, also with values sent as text."""
        body = {"scheduleId": "s", "workflowId": "plain", "aggregationPeriod": "Weekly", "aggregationHourUtc": "8"}
        for name in ("s", "t"):
            self.api.reporting("POST", "schedules", {**body, "scheduleId": name, "scheduleEnabled": "False"})
        self.api.reporting("POST", "schedules", body)
        self.api.reporting("GET", "schedules", params={"marketplaceId": "ATVPDKIKX0DER"})
        self.api.reporting("GET", "schedules", params={"limit": "1"})
        self.api.reporting("GET", "schedules/s")
        self.api.reporting("PUT", "schedules/s", {**body, "aggregationPeriod": "Daily", "scheduleEnabled": False})
        self.api.reporting("DELETE", "schedules/s")
        self.api.reporting("DELETE", "workflows/plain")

    def executions(self) -> None:
        """Executions in every status, with every option, and their results."""
        advertisers = [
            {"id": "580000000000000001", "type": "DISPLAY"},
            {"id": "ENTITYEMULATORADS", "type": "SPONSORED_ADS", "marketplaceId": "ATVPDKIKX0DER"},
        ]
        ended = [
            self._run({"workflowId": "full", **WINDOW, "parameterValues": {"device": "Phone"}}),
            self._run({"workflow": {"sqlQuery": SQL}, "timeWindowType": "MOST_RECENT_WEEK"}),
            self._run({"workflow": {"sqlQuery": SQL}, **WINDOW, "dryRun": "True", "advertisers": advertisers}),
            self._run({"workflow": {"sqlQuery": "SELECT nothing"}, **WINDOW}),
            self._run({"workflow": {"sqlQuery": SQL}, **WINDOW}, fault={"kind": "fail"}),
        ]
        for execution_id in ended:
            self.api.reporting("GET", f"workflowExecutions/{execution_id}", params={"includeWorkflow": "True"})
            self.api.reporting("GET", f"workflowExecutions/{execution_id}/downloadUrls")
        for method in ("PUT", "DELETE"):
            running = self._submit({"workflow": {"sqlQuery": SQL}, **WINDOW}, fault={"kind": "duration", "seconds": 60})
            self.api.reporting("GET", f"workflowExecutions/{running}/downloadUrls")
            body = {"status": "CANCELLED"} if method == "PUT" else None
            self.api.reporting(method, f"workflowExecutions/{running}", body)
            self.api.reporting(method, f"workflowExecutions/{running}", body)
            self.api.reporting("GET", f"workflowExecutions/{running}")
        everything = {"minCreationTime": "2020-01-01T00:00:00", "includeCancelled": "true", "includeWorkflow": "TRUE"}
        self.api.reporting("GET", "workflowExecutions", params=everything)
        self.api.reporting("GET", "workflowExecutions", params={**everything, "limit": "1", "nextToken": ""})
        self.api.reporting("GET", "workflowExecutions", params={"workflowId": "full"})
        self.api.reporting("GET", "workflowExecutions")
        self._files(ended[0])
        sandbox = Api(self.server.url, "amcsandbox")
        sandbox.session.hooks["response"].append(self._keep)
        options = {"requireSyntheticData": True, "disableAggregationControls": True, "inputSchema": "sandbox"}
        self._run({"workflow": {"sqlQuery": SQL}, **WINDOW, **options}, sandbox)

    def audiences(self) -> None:
        """Audiences of every kind and in every status, in every version of the answer."""
        base = {
            "advertiserId": "580000000000000001",
            "timeWindowStart": "2025-02-01T00:00:00Z",
            "timeWindowEnd": "2026-03-01T00:00:00Z",
        }
        sql = "SELECT user_id FROM dsp_impressions_for_audiences"
        parameters = [
            {"name": "n", "dataType": "INTEGER", "columnType": "METRIC", "defaultValue": 5, "description": "d"}
        ]
        self.api.reporting("POST", "workflows", {"workflowId": "seed", "sqlQuery": sql, "inputParameters": parameters})
        made = [
            self._audience("query", {**base, "audienceName": "A", "query": sql, "audienceDescription": "d"}),
            self._audience("query", {**base, "audienceName": "B", "query": "SELECT user_id FROM dsp_impressions"}),
            self._audience("query", {**base, "audienceName": "C", "query": sql, "refreshRateDays": 0}),
            self._audience(
                "lookalike",
                {
                    **base,
                    "audienceName": "D",
                    "workflowId": "seed",
                    "parameterValues": {"n": "7"},
                    "lookalikeAudienceExpectedReach": "BROAD",
                },
            ),
        ]
        self.server.advance_clock(31 * 86_400)
        self.api.forget_token()
        for version in ("1", "1.1", "1.2"):
            headers = {**self._audience_headers, "Accept": f"application/vnd.amcquerybasedaudience.v{version}+json"}
            for one in made:
                self.api.call("GET", f"audiences/query/{one}", headers=headers)
            self.api.call("GET", "audiences/query", headers=headers, params={"maxResults": "2"})
        failed = f"audiences/query/{made[1]}"
        again = {**base, "audienceName": "B", "audienceType": "RULE_BASED", "query": "SELECT campaign FROM dsp_clicks"}
        self.api.call("PUT", failed, {**again, "audienceName": "other"}, headers=self._audience_headers)
        self.api.call("PUT", failed, again, headers=self._audience_headers)
        self._until_ended(made[1])
        self.api.call("DELETE", f"audiences/query/{made[0]}", headers=self._audience_headers)
        self.api.call("DELETE", failed, headers=self._audience_headers)
        self.api.call("GET", failed, headers=self._audience_headers)

    @property
    def _audience_headers(self) -> dict[str, str]:
        return {**self.api.headers, "Amazon-Marketing-Cloud-Audience-InstanceId": "amcemulator"}

    def _audience(self, path: str, body: dict[str, Any]) -> str:
        answer = self.api.call("POST", f"audiences/{path}", body, headers=self._audience_headers)
        assert answer.status_code == 200, answer.text
        audience_id = str(answer.json()["audienceExecutionId"])
        self._until_ended(audience_id)
        return audience_id

    def _until_ended(self, audience_id: str) -> None:
        def ended() -> bool:
            answer = self.api.call("GET", f"audiences/query/{audience_id}", headers=self._audience_headers)
            return answer.json()["status"] in ("SUCCEEDED", "FAILED", "DEACTIVATED")

        wait_for(ended, "the audience to end", deadline=120)

    def _submit(self, body: dict[str, Any], api: Api | None = None, fault: dict[str, Any] | None = None) -> str:
        if fault is not None:
            self.server.add_fault(operation="createWorkflowExecution", **fault)
        answer = (api or self.api).reporting("POST", "workflowExecutions", body)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        return str(shown.get("workflowExecution", shown)["workflowExecutionId"])

    def _run(self, body: dict[str, Any], api: Api | None = None, fault: dict[str, Any] | None = None) -> str:
        execution_id = self._submit(body, api, fault)

        def ended() -> bool:
            shown = (api or self.api).reporting("GET", f"workflowExecutions/{execution_id}").json()
            return shown.get("workflowExecution", shown)["status"] in FINISHED

        wait_for(ended, "the execution to end", deadline=120)
        return execution_id

    def _files(self, execution_id: str) -> None:
        path = f"workflowExecutions/{execution_id}/downloadUrls"
        first = self.api.reporting("GET", path).json()
        if first.get("nextToken"):
            self.api.reporting("GET", path, params={"nextToken": first["nextToken"]})
        for url in first["downloadUrls"] + first["metadataDownloadUrls"]:
            self.api.download(url)
        self.api.download(first["downloadUrls"][0] + "0")

    def refusals(self, operation: Operation) -> None:
        """What every operation refuses, and what happens to any of them when AMC is in trouble."""
        known = {"instance_id": "amcemulator", "opaque": "x", "name": "y"}
        if operation.id == "deleteInstance":
            known["instance_id"] = self.api.call("POST", "instances", {"instanceName": "Unloved"}).json()["instance"][
                "instanceId"
            ]
        ids = {name: known.get(name, "unknown") for name in operation.pattern.groupindex}
        url = self.api.url + operation.path.format(**ids)

        def ask(headers: dict[str, str]) -> None:
            body = "{}" if operation.method in ("POST", "PUT") else None
            self.api.session.request(operation.method, url, headers=headers, data=body, allow_redirects=False)

        if operation.is_amc:
            good = self._audience_headers
            ask(good)
            ask({})
            ask({**good, "Amazon-Advertising-API-ClientId": "other"})
            ask({**good, "Amazon-Advertising-API-AdvertiserId": "ENTITYOTHER"})
            ask({**good, "Amazon-Advertising-API-MarketplaceId": ""})
            for kind in ("terms", "token_expired"):
                self.server.add_fault(operation=operation.id, kind=kind)
                ask(good)
        for status in (429, 500, 503, 504):
            self.server.add_fault(operation=operation.id, kind="status", status=status)
            ask(self._audience_headers if operation.is_amc else {})
