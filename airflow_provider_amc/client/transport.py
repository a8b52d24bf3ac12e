"""The one door for every request to AMC: headers, token, repeating, and errors."""

from __future__ import annotations

import copy
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from airflow_provider_amc.client import http
from airflow_provider_amc.client.auth import Credentials, TokenSource
from airflow_provider_amc.client.errors import error_from_answer, parse_body, request_id_of
from airflow_provider_amc.client.regions import Endpoints, Region
from airflow_provider_amc.client.retry import RetryPolicy
from airflow_provider_amc.client.validation import check_header, check_segment
from airflow_provider_amc.exceptions import (
    AmcAuthenticationError,
    AmcConfigurationError,
    AmcHttpError,
    AmcThrottledError,
    AmcTransientError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)

#: Media types of the API families. Source: OpenAPI files of the AMC APIs; AMC API documentation, "Advertiser data upload".
ACCOUNTS = "application/vnd.amcaudiencesconnections.v1+json"
INSTANCES = "application/vnd.amcinstances.v1+json"
WORKFLOWS = "application/vnd.amcworkflows.v1+json"
SCHEDULES = "application/vnd.amcschedules.v1+json"
EXECUTIONS = "application/vnd.amcworkflowexecutions.v1+json"
DATA_SOURCES = "application/vnd.amcdatasources.v1+json"
RULE_AUDIENCES = "application/vnd.amcquerybasedaudience.v1+json"
RULE_AUDIENCES_DETAILED = "application/vnd.amcquerybasedaudience.v1.2+json"
LOOKALIKE_AUDIENCES = "application/vnd.amclookalikeaudience.v1+json"
ADVERTISER_AUDIENCES = "application/vnd.amcaudiences.v1+json"
DATA_SETS = "application/vnd.amcadvertiserdataset.v1+json"
DATA_SET_COLUMNS = "application/vnd.amcadvertiserdatasetcolumn.v1+json"
UPLOADS = "application/vnd.amcadvertiserdataupload.v1+json"
USER_DELETIONS = "application/vnd.amcadvertiseruserdeletionrequest.v1+json"

#: Amazon's gateway gives up after 29 seconds, so an answer later than this never comes.
DEFAULT_TIMEOUT = (10.0, 40.0)


class Transport:
    """Sends calls for one account and one set of credentials. Thread safe.

    :param credentials: LwA credentials.
    :param region: region of the hosts.
    :param account_id: AMC account (``ENTITY...``), header of every call but the list of accounts.
    :param marketplace_id: marketplace of the account, likewise.
    :param instance_id: instance of calls that name none.
    :param base_url: replaces Amazon's hosts.
    :param retry: when to repeat.
    :param timeout: seconds to connect, seconds between two bytes of an answer.
    :param on_secret: called with every secret this client holds or receives, to have it masked in logs.
    :param log: where failed attempts are reported.
    :param sleep: how to wait.
    :param clock: seconds that only grow.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        region: str | Region | None = Region.NA,
        account_id: str | None = None,
        marketplace_id: str | None = None,
        instance_id: str | None = None,
        base_url: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: tuple[float, float] = DEFAULT_TIMEOUT,
        on_secret: Callable[[str], None] | None = None,
        log: logging.Logger | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.region = Region.parse(region)
        self.endpoints = Endpoints.of(self.region, base_url)
        self.account_id = check_header(account_id, "account_id")
        self.marketplace_id = check_header(marketplace_id, "marketplace_id")
        self.instance_id = (instance_id or "").strip() or None
        self.retry = retry or RetryPolicy()
        self.timeout = timeout
        self.log = log or logging.getLogger(__name__)
        self.sleep = sleep
        self.clock = clock
        self.custom_base_url = self.endpoints.api if base_url else None
        self.tokens = TokenSource.shared(credentials, self.endpoints.token)
        self._client_id = credentials.client_id
        self._on_secret = on_secret
        self._announced: set[str] = set()
        self._sessions = http.Sessions()
        self.announce(credentials.client_secret, credentials.refresh_token)

    def announce(self, *secrets: str) -> None:
        """Have secrets masked, each once."""
        if self._on_secret is None:
            return
        for secret in secrets:
            if secret and secret not in self._announced:
                self._announced.add(secret)
                self._on_secret(secret)

    def instance(self, instance_id: str | None) -> str:
        """Choose the instance of a call.

        :param instance_id: the one given with the call, ``None`` for the client's own.
        :raises AmcConfigurationError: when there is neither.
        """
        chosen = instance_id or self.instance_id
        if not chosen:
            raise AmcConfigurationError(
                "No AMC instance: pass instance_id, or set instance_id in the connection's extra. "
                "client.instances.list() shows the instances of the account."
            )
        return check_segment(chosen, "instance_id")

    def fetch_token(self) -> None:
        """Make sure that there is a valid access token."""
        self._token()

    def with_patience(self, seconds: float) -> Transport:
        """Return a twin that gives up earlier or later, with connections of its own and the same tokens.

        :param seconds: for how long one of its calls keeps trying.
        """
        twin = copy.copy(self)
        twin.retry = replace(self.retry, patience=seconds)
        twin._on_secret = None
        twin._sessions = http.Sessions()
        return twin

    def whole(self, data: Mapping[str, Any], id_field: str, path: str) -> Mapping[str, Any]:
        """Check that an answer holds the object that was asked for.

        :param data: the object without envelope.
        :param id_field: field it must have.
        :param path: path of the call, for the error.
        :raises AmcHttpError: when the field is missing: an empty object would pass for a real one.
        """
        if not data.get(id_field):
            raise AmcHttpError(
                f"AMC's answer has no {id_field}.",
                http_status=200,
                method="GET",
                path=path,
                hint="Check the base URL of the connection: something else may answer in AMC's place.",
            )
        return data

    def close(self) -> None:
        """Close the connections. The transport can still be used and opens new ones."""
        self._sessions.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        media_type: str,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        accept: str | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> dict[str, Any]:
        """Make a call and return the JSON object of its answer.

        :param method: HTTP method.
        :param path: path with encoded segments, from the root of the API.
        :param media_type: vendor media type of the family, sent as ``Content-Type`` and ``Accept``.
        :param query: query parameters; ``None`` values are left out, booleans are written ``true`` and ``false``.
        :param body: object sent as JSON.
        :param accept: media type of the answer where it is another one.
        :param headers: what says whose data is meant. Default: :meth:`account_headers`.
        :param repeat: may the call be repeated when its answer was lost? Without it only attempts that AMC certainly
            did not act on are repeated: connection not made, 429, a rejected token.
        :return: the answer; ``{}`` for an empty body.
        :raises AmcHttpError: one of its subclasses. ``answer_lost`` of the error tells that an attempt of this
            call may have been acted on although AMC did not say so.
        """
        own = {"Accept": accept or media_type, "Amazon-Advertising-API-ClientId": self._client_id}
        if body is not None:
            own["Content-Type"] = media_type
        headers = {**own, **(self.account_headers() if headers is None else headers)}
        url = f"{self.endpoints.api}{path}{_query(query)}"
        data = None if body is None else _json(body)
        started, waited, attempt = self.clock(), 0.0, 0
        answer_lost = token_renewed = False
        while True:
            attempt += 1
            token = self._token()
            try:
                return self._attempt(method, url, path, headers, token, data, repeat)
            except AmcHttpError as raised:
                error = raised
            answer_lost = error.answer_lost = answer_lost or error.answer_lost
            if isinstance(error, AmcAuthenticationError) and not token_renewed:
                # The token may have been withdrawn before its time: one new token, one more attempt.
                self.log.info("AMC did not accept the access token on %s %s; asking for a new one", method, path)
                self.tokens.reject(token)
                token_renewed = True
                continue
            delay = None
            if error.retryable and isinstance(error, (AmcTransientError, AmcThrottledError)):
                elapsed = max(self.clock() - started, waited)
                delay = self.retry.next_delay(attempt, elapsed, retry_after=error.retry_after)
            if delay is None:
                raise error
            self.log.warning("%s Trying again in %.1f s (attempt %d).", error, delay, attempt + 1)
            self.sleep(delay)
            waited += delay

    def account_headers(self) -> dict[str, str]:
        """Write the headers that name account and marketplace, which most families need.

        :raises AmcConfigurationError: when one of them is not set.
        """
        return {
            "Amazon-Advertising-API-AdvertiserId": self._of_account("account_id"),
            "Amazon-Advertising-API-MarketplaceId": self._of_account("marketplace_id"),
        }

    def audience_headers(self, instance_id: str | None) -> dict[str, str]:
        """Write the headers that name instance and account to the rule-based audiences.

        :param instance_id: default the client's own.
        :raises AmcConfigurationError: when one of them is not set.
        """
        return {
            "Amazon-Marketing-Cloud-Audience-InstanceId": self.instance(instance_id),
            "Amazon-Advertising-API-EntityId": self._of_account("account_id"),
        }

    def _of_account(self, name: str) -> str:
        value: str | None = getattr(self, name)
        if not value:
            raise AmcConfigurationError(
                f"{name} is missing: set it in the connection's extra. client.accounts.list() shows account and "
                "marketplace ids this user can reach."
            )
        return value

    def _token(self) -> str:
        token = self.tokens.get(retry=self.retry, timeout=self.timeout, sleep=self.sleep)
        self.announce(token, self.tokens.refresh_token)
        return token

    def _attempt(
        self,
        method: str,
        url: str,
        path: str,
        headers: Mapping[str, str],
        token: str,
        data: bytes | None,
        repeat: bool,
    ) -> dict[str, Any]:
        # A call that must not be repeated gets a fresh connection: on a kept one that the service has just closed,
        # nobody can tell whether the request was still read.
        session = self._sessions.get() if repeat else http.new_session()
        try:
            answer = http.exchange(
                session,
                method,
                url,
                headers={**headers, "Authorization": f"Bearer {token}"},
                data=data,
                timeout=self.timeout,
            )
        except http.NoAnswer as failure:
            raise self._lost(failure, method, path, repeat) from None
        finally:
            if not repeat:
                session.close()
        if 200 <= answer.status < 300:
            return self._parse(answer, method, path, repeat)
        error = error_from_answer(
            answer.status,
            answer.headers,
            answer.body,
            method=method,
            path=path,
            region=self.region.value,
            secrets=self.tokens.secrets(),
        )
        if isinstance(error, AmcTransientError):
            error.answer_lost = True
            if not repeat:
                raise _unknown_outcome(error.message, error, method, path)
        raise error

    def _lost(self, failure: http.NoAnswer, method: str, path: str, repeat: bool) -> AmcHttpError:
        message = f"No answer from AMC: {failure.reason}."
        if failure.sent and not repeat:
            return _unknown_outcome(message, None, method, path)
        if failure.permanent:
            return AmcHttpError(message, method=method, path=path, hint=f"Check the address {self.endpoints.api}.")
        hint = None if failure.sent else f"Check that {self.endpoints.api} can be reached from here."
        error = AmcTransientError(message, method=method, path=path, hint=hint)
        error.answer_lost = failure.sent
        return error

    def _parse(self, answer: http.Answer, method: str, path: str, repeat: bool) -> dict[str, Any]:
        # Not by Content-Type: some answers carry application/octet-stream with JSON inside.
        if not answer.body.strip():
            return {}
        parsed = parse_body(answer.body)
        if isinstance(parsed, dict):
            return parsed
        message = "AMC's answer is not a JSON object."
        error = AmcHttpError(
            message,
            http_status=answer.status,
            request_id=request_id_of(answer.headers),
            method=method,
            path=path,
            hint="Check the base URL of the connection: a proxy or a sign-in page may answer in AMC's place.",
        )
        raise error if repeat else _unknown_outcome(message, error, method, path)


def _unknown_outcome(message: str, error: AmcHttpError | None, method: str, path: str) -> AmcUnknownOutcomeError:
    unknown = AmcUnknownOutcomeError(
        f"{message} The call may have been carried out.",
        http_status=error.http_status if error else None,
        request_id=error.request_id if error else None,
        details=error.details if error else None,
        code=error.code if error else None,
        method=method,
        path=path,
        hint="Look whether it was before you call again; a second execution costs quota and privacy budget.",
    )
    unknown.answer_lost = True
    return unknown


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise AmcValidationError(f"The request cannot be written as JSON: {error}.") from None


def _query(query: Mapping[str, object] | None) -> str:
    pairs = []
    for name, value in (query or {}).items():
        if value is None:
            continue
        pairs.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return f"?{urlencode(pairs, quote_via=quote)}" if pairs else ""
