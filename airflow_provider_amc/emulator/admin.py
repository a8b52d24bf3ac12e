"""What the handlers of the administration share: the instance of the path, checked fields, pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_amc.emulator.api import Call
from airflow_provider_amc.emulator.errors import amc_error, bad_request
from airflow_provider_amc.emulator.registry import Instance

MEDIA = "application/vnd.amcinstances.v1+json"
#: Error statuses of an operation on one instance, by Amazon's OpenAPI file.
STATUSES = frozenset({400, 401, 403, 404, 429, 500})
_AWS_ACCOUNT = re.compile(r"\d{12}")


def text_of(body: Mapping[str, Any], name: str, pattern: re.Pattern[str], wanted: str) -> str | None:
    """A field that is a text of some form; an empty one counts as absent.

    :param body: the request.
    :param name: the field.
    :param pattern: what the whole text must match.
    :param wanted: the same in words.
    :raises ApiError: 400 naming the field and what it may be.
    """
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise bad_request(f"Invalid value '{value}' for {name}: expected {wanted}.")
    return value


def account_of(body: Mapping[str, Any]) -> str | None:
    """The AWS account of a request."""
    return text_of(body, "awsAccountId", _AWS_ACCOUNT, "the 12 digits of an AWS account")


def the_instance(call: Call) -> Instance:
    """The instance of the path."""
    instance = call.emulator.instances.find(call.instance_id)
    if instance is None:  # pragma: no cover - it was there when the headers were checked
        raise amc_error(404, f"Instance {call.instance_id} does not exist.")
    return instance


def completed(call: Call, doing: str) -> Instance:
    """The instance of the path, if its creation is COMPLETED.

    :param call: the call.
    :param doing: what is refused otherwise, such as ``updated``.
    :raises ApiError: 400 if it is not.
    """
    instance = the_instance(call)
    status = instance.status(call.now())
    if status != "COMPLETED":
        raise bad_request(f"Instance {instance.id} cannot be {doing} because its creationStatus is {status}.")
    return instance


def managed_only(call: Call) -> None:
    """Refuse what accounts with instant access cannot do.

    :raises ApiError: 400 with the setting ``access="self_service"``.
    """
    if call.emulator.config.access == "self_service":
        raise bad_request("This operation is not supported for instances of self-service access.")


def with_token(call: Call, body: dict[str, Any], token: str | None) -> dict[str, Any]:
    """A page with its ``nextToken``: null on the last one as recorded, absent as in the OpenAPI file."""
    if token is not None or call.emulator.config.envelope == "flat":
        body["nextToken"] = token
    return body
