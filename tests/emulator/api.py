"""Plain HTTP calls to an emulator, as a user of the real API would make them, and waiting without sleeping blindly."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from airflow_provider_amc.emulator.server import EmulatorServer

T = TypeVar("T")
CLIENT_ID = "amzn1.application-oa2-client.emulator"
SECRET = "emulator-secret"
ACCOUNT = "ENTITYEMULATOR01"
MARKETPLACE = "ATVPDKIKX0DER"
FINISHED = {"SUCCEEDED", "FAILED", "REJECTED", "CANCELLED"}


def wait_for(probe: Callable[[], T | None], what: str, deadline: float = 30.0) -> T:
    """Ask again and again until there is something, or fail after the deadline."""
    end = time.monotonic() + deadline
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"Waited {deadline} s in vain for {what}.")
        time.sleep(0.005)


def refusal(answer: requests.Response) -> tuple[int, str]:
    """Status and message of an error, whose code is the status."""
    body = answer.json()
    assert body["code"] == str(answer.status_code)
    return answer.status_code, str(body["details"])


class Api:
    """Calls with the right headers; every method takes further headers to change them."""

    def __init__(self, url: str, instance: str = "amcemulator") -> None:
        self.url = url
        self.instance = instance
        self.session = requests.Session()
        self.session.trust_env = False
        self._headers: dict[str, str] | None = None

    def post_token(self, **fields: str) -> requests.Response:
        return self.session.post(f"{self.url}/auth/o2/token", data=fields)

    def refresh(self, refresh_token: str = "Atzr|emulator") -> str:
        answer = self.post_token(
            grant_type="refresh_token", client_id=CLIENT_ID, client_secret=SECRET, refresh_token=refresh_token
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    @property
    def headers(self) -> dict[str, str]:
        if self._headers is None:
            self._headers = {
                "Authorization": f"Bearer {self.refresh()}",
                "Amazon-Advertising-API-ClientId": CLIENT_ID,
                "Amazon-Advertising-API-AdvertiserId": ACCOUNT,
                "Amazon-Advertising-API-MarketplaceId": MARKETPLACE,
            }
        return self._headers

    def forget_token(self) -> None:
        """Ask for another token before the next call."""
        self._headers = None

    def call(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        """A call below ``/amc``; a body is sent as JSON text without content type, as the notebook does."""
        data = json.dumps(body) if body is not None else None
        own = kwargs.pop("headers", {})
        url = f"{self.url}/amc/{path}"
        answer = self.session.request(method, url, data=data, headers={**self.headers, **own}, **kwargs)
        if answer.status_code == 401 and not own:
            self.forget_token()
            answer = self.session.request(method, url, data=data, headers=self.headers, **kwargs)
        return answer

    def reporting(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self.call(method, f"reporting/{self.instance}/{path}", body, **kwargs)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, f"{self.url}/_emulator/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # -- executions --------------------------------------------------------------------------------------------------
    def run(self, sql: str = "SELECT n FROM rows_3", **fields: Any) -> dict[str, Any]:
        """Create an ad-hoc execution over a fixed window."""
        body = {
            "workflow": {"sqlQuery": sql},
            "timeWindowType": "EXPLICIT",
            "timeWindowStart": "2026-01-01T00:00:00",
            "timeWindowEnd": "2026-01-08T00:00:00",
            **fields,
        }
        answer = self.reporting("POST", "workflowExecutions", {k: v for k, v in body.items() if v is not None})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def execution(self, execution_id: str, **query: Any) -> dict[str, Any]:
        answer = self.reporting("GET", f"workflowExecutions/{execution_id}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def until(self, execution_id: str, *statuses: str) -> dict[str, Any]:
        """Wait for one of the statuses (any final one when none is named)."""

        def probe() -> dict[str, Any] | None:
            found = self.execution(execution_id)
            return found if found["status"] in (statuses or FINISHED) else None

        return wait_for(probe, f"{execution_id} to be {statuses or FINISHED}")

    def finished(self, sql: str = "SELECT n FROM rows_3", **fields: Any) -> dict[str, Any]:
        return self.until(self.run(sql, **fields)["workflowExecutionId"])

    def urls(self, execution_id: str) -> dict[str, Any]:
        answer = self.reporting("GET", f"workflowExecutions/{execution_id}/downloadUrls")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def download(self, url: str, **headers: str) -> requests.Response:
        """Fetch a result URL without any of the API's headers."""
        return self.session.get(url, headers=headers)

    def rows(self, execution_id: str) -> list[list[str]]:
        """Header and rows of the first result file."""
        answer = self.download(self.urls(execution_id)["downloadUrls"][0])
        assert answer.status_code == 200, answer.text
        return list(csv.reader(io.StringIO(answer.text)))


def api_of(server: EmulatorServer, instance: str = "amcemulator") -> Api:
    return Api(server.url, instance)
