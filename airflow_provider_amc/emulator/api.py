"""What all handlers share: the table of operations, checked headers, bodies, lenient values, pages, answers."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_amc.emulator import signing
from airflow_provider_amc.emulator.config import ACCOUNT_ID, CAMPAIGN_SCOPE, CLIENT_ID, MARKETPLACE_ID
from airflow_provider_amc.emulator.context import Emulator
from airflow_provider_amc.emulator.errors import (
    REPORTING,
    ApiError,
    amc_error,
    authentication_failed,
    bad_request,
    gateway_error,
    terms_not_accepted,
    unauthorized_request,
)
from airflow_provider_amc.emulator.faults import Fault
from airflow_provider_amc.emulator.progress import Progress

JSON = "application/json"
OCTETS = "application/octet-stream"
_PAGE_LIMIT = 100
_LAST_POSITION = 2**63 - 1
_STATUSES = frozenset({400, 401, 403, 429, 500})
_ID = re.compile(r"[A-Za-z0-9._-]+")


@dataclass
class Call:
    """One request on its way through a handler.

    :param emulator: the emulator.
    :param request: the HTTP request.
    :param operation: what is asked for.
    :param instance_id: instance of the path, checked; empty when the path has none.
    """

    emulator: Emulator
    request: Request
    operation: Operation
    instance_id: str = ""

    def fault(self, kind: str) -> Fault | None:
        """The ordered failure of a kind that changes what this call does, if one hits it."""
        faults: dict[str, Fault] = self.request.scope.get("amc.faults", {})
        return faults.get(kind)

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str | None:
        """A parameter of the query; an empty one counts as absent."""
        return self.request.query_params.get(name) or None

    async def body(self) -> dict[str, Any]:
        """The JSON object of the request.

        :raises ApiError: 415 for another content type than JSON (none at all is fine), 400 for anything but an object.
        """
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind and kind != JSON and not kind.endswith("+json"):
            raise gateway_error(415, "Unsupported Media Type")
        try:
            parsed = json.loads(await self.request.body())
        except (ValueError, RecursionError):
            raise bad_request("The request body is not valid JSON.") from None
        if not isinstance(parsed, dict):
            raise bad_request("The request body must be a JSON object.")
        return parsed

    def answer(self, body: Any, *, media_type: str | None = None, status: int = 200) -> Response:
        """A JSON answer in the operation's media type; one without a body for status 204."""
        if status == 204:
            return Response(status_code=204)
        if self.emulator.config.envelope == "wrapped":
            kind = self.operation.spec_media_type or self.operation.media_type
        else:
            kind = media_type or self.operation.media_type
        return Response(json.dumps(body), status_code=status, media_type=kind)

    def wrapped(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """An object as recorded, or in the envelope of the OpenAPI files when that was asked for."""
        return {name: body} if self.emulator.config.envelope == "wrapped" else body

    def plan(self, key: str, shortest: float, longest: float) -> Progress:
        """The work that this call begins.

        The duration is drawn with the speed ``realistic``, none with ``instant``; faults of the kinds ``duration`` and
        ``fail`` on the operation decide otherwise.

        :param key: what else the duration depends on, beside the seed.
        :param shortest: least seconds that AMC takes.
        :param longest: most seconds that AMC takes.
        """
        config, seconds, failure = self.emulator.config, 0.0, None
        if config.speed == "realistic":
            drawn = random.Random(f"{config.seed}:{self.operation.id}:{key}")  # noqa: S311
            seconds = round(drawn.uniform(shortest, longest), 3)
        if (fault := self.fault("duration")) is not None:
            seconds = 60.0 if fault.seconds is None else fault.seconds
        if (fault := self.fault("fail")) is not None:
            failure = fault.reason or "The request failed inside AMC."
            seconds = seconds if fault.seconds is None else fault.seconds
        return Progress(self.now(), seconds, failure)

    def now(self) -> float:
        """The virtual time, epoch seconds."""
        return self.emulator.clock.now().timestamp()

    # -- pages -----------------------------------------------------------------------------------------------------
    def limit(self, default: int | None = None, name: str = "limit") -> int:
        """Entries of a page.

        :param default: entries when the call names no number.
        :param name: the parameter: ``limit``, or ``maxResults`` in the newer APIs.
        :raises ApiError: 400 unless it is a number from 1 to 100.
        """
        text = self.query(name)
        if text is None:
            return default or self.emulator.config.default_page_size
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= _PAGE_LIMIT:
            raise bad_request(f"Invalid value '{text}' for {name}: expected a number from 1 to {_PAGE_LIMIT}.")
        return int(text)

    def after(self) -> int | None:
        """Where the previous page ended, from ``nextToken`` of the query; ``None`` for the first page.

        :raises ApiError: 400 for a token that was not given out for this list.
        """
        return self.position(self.query("nextToken"))

    def position(self, token: object) -> int | None:
        """Where a page ended, from the token that came with it; ``None`` without a token.

        :raises ApiError: 400 for a token that was not given out for this list.
        """
        if token is None or token == "":
            return None
        try:
            operation, instance_id, position = json.loads(base64.urlsafe_b64decode(str(token)))
            known = (operation, instance_id) == (self.operation.id, self.instance_id)
            if known and isinstance(position, int) and 0 <= position <= _LAST_POSITION:
                return position
        except (ValueError, TypeError):
            pass
        raise bad_request("The provided nextToken is invalid.")

    def token(self, position: int) -> str:
        """The ``nextToken`` of a page that ends at this position."""
        claims = [self.operation.id, self.instance_id, position]
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()

    def page(self, entries: Sequence[Any], limit: int, *, after: int | None = None) -> tuple[list[Any], str | None]:
        """One page of a list held in memory.

        :param after: where the previous page ended, if the query does not tell.
        """
        start = after or self.after() or 0
        chosen = list(entries[start : start + limit])
        more = start + limit < len(entries)
        return chosen, self.token(start + limit) if more else None


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """One operation of an API.

    :param id: ``operationId`` of Amazon's OpenAPI file, or the emulator's name for it.
    :param method: HTTP method.
    :param path: path with parameters in braces.
    :param handler: what answers it.
    :param media_type: content type of the recorded answers.
    :param spec_media_type: content type of Amazon's OpenAPI file, where it differs.
    :param headers: headers that are checked: ``amc`` for all, ``client`` for token and client id only, ``audience`` for
        these and the instance that audiences are made on, ``none``.
    :param scopes: what the user must have granted.
    :param errors: the shape of its errors, see :mod:`airflow_provider_amc.emulator.errors`.
    :param terms: must the terms of AMC be accepted, though no instance is named?
    :param known_statuses: error statuses that Amazon's OpenAPI file names, where they are not the usual ones.
    """

    id: str
    method: str
    path: str
    handler: Handler
    media_type: str = JSON
    spec_media_type: str | None = None
    headers: str = "amc"
    scopes: tuple[str, ...] = (CAMPAIGN_SCOPE,)
    errors: str = REPORTING
    known_statuses: frozenset[int] | None = None
    terms: bool = False
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(re.sub(r"{([^}]+)}", r"(?P<\1>[^/]+)", self.path)))

    @property
    def is_amc(self) -> bool:
        """Is it one of AMC's own, so that Amazon's OpenAPI files describe its answers?"""
        return self.path.startswith("/amc/")

    @property
    def statuses(self) -> frozenset[int]:
        """Error statuses that Amazon's OpenAPI files name for it; gateways in front of AMC know more of them."""
        if self.known_statuses is not None:
            return self.known_statuses
        single = self.path.endswith(("}", "/downloadUrls", "/advertisers"))
        return _STATUSES | ({404} if single else set()) | ({415} if self.id == "getInstance" else set())


def check_headers(call: Call) -> None:
    """Check token, client, account and marketplace of a request as AMC does.

    Facts: AMC API documentation, "Make your first call"; issue reports of amzn/ads-advanced-tools-docs.

    :raises ApiError: 401, 400 or 403.
    """
    headers, operation = call.request.headers, call.operation
    if operation.headers == "none":
        return
    scheme, _, token = headers.get("authorization", "").partition(" ")
    claims = signing.read_token(token.strip()) if scheme.lower() == "bearer" else None
    if claims is None or float(claims["exp"]) <= call.emulator.clock.now().timestamp():
        raise authentication_failed()
    if headers.get("amazon-advertising-api-clientid") != claims["client_id"] or claims["client_id"] != CLIENT_ID:
        raise authentication_failed()
    if not set(operation.scopes) <= set(claims["scope"].split()):
        raise amc_error(call.emulator.config.scope_status, "Unauthorized request.")
    if operation.headers == "amc":
        _check_account(call)
        instance_id = call.request.path_params.get("instance_id")
        if instance_id is not None:
            _check_instance(call, instance_id)
    elif operation.headers == "audience":
        name = "Amazon-Marketing-Cloud-Audience-InstanceId"
        if not headers.get(name):
            raise bad_request(f"{name} provided is null")
        _check_instance(call, headers[name])
    if (call.instance_id or operation.terms) and not call.emulator.terms_accepted():
        raise terms_not_accepted(call.emulator.config.terms_status)


def _check_account(call: Call) -> None:
    headers = call.request.headers
    for header, name, expected in (
        ("amazon-advertising-api-advertiserid", "entityId", ACCOUNT_ID),
        ("amazon-advertising-api-marketplaceid", "marketplaceId", MARKETPLACE_ID),
    ):
        value = headers.get(header)
        if not value:
            raise bad_request(f"{name} provided is null")
        if value != expected:
            raise unauthorized_request()


def _check_instance(call: Call, instance_id: str) -> None:
    instance = call.emulator.instances.find(instance_id)
    if instance is None:
        raise unauthorized_request()
    status = instance.status(call.now())
    if status != "COMPLETED" and not call.operation.path.startswith("/amc/instances/"):
        raise bad_request(f"Instance {instance_id} cannot be used because its creationStatus is {status}.")
    call.instance_id = instance_id


# -- lenient values: Amazon's own notebook sends "True" and "86400" ------------------------------------------------
def boolean(body: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A truth value, also when it was sent as text.

    :raises ApiError: 400 for anything else.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise bad_request(f"Invalid value '{value}' for {name}: expected true or false.")


def integer(body: Mapping[str, Any], name: str) -> int | None:
    """A whole number, also when it was sent as text.

    :raises ApiError: 400 for anything else.
    """
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise bad_request(f"Invalid value '{value}' for {name}: expected a whole number.")


def identifier(body: Mapping[str, Any], name: str) -> str:
    """An id chosen by the user.

    :raises ApiError: 400 when it is missing or has other characters than letters, digits, '.', '-' and '_'.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"{name} must be specified.")
    if not _ID.fullmatch(value):
        raise bad_request(
            f"Invalid value '{value}' for {name}: only letters, digits, periods, dashes and underscores are allowed."
        )
    return value


def unknown_id(call: Call, text: str) -> ApiError:
    """The error for an id that does not exist: observed as 400, documented as 404."""
    status = call.emulator.config.unknown_id_status
    return ApiError(status, {"code": str(status), "details": text})
