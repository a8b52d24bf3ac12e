"""Instances: list, create, update, delete.

Shapes: recorded responses in Amazon's Postman collection; with the wrapped envelope those of the OpenAPI file, which
knows no nulls and requires a bucket region. Rules: AMC API documentation, "Instance management" and "Instant access to
AMC"; Amazon's OpenAPI file of the administration.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import advertisers, collaborations
from airflow_provider_amc.emulator.admin import (
    MEDIA,
    STATUSES,
    account_of,
    completed,
    managed_only,
    text_of,
    the_instance,
    with_token,
)
from airflow_provider_amc.emulator.api import Call, Operation, boolean
from airflow_provider_amc.emulator.clock import zulu
from airflow_provider_amc.emulator.errors import amc_error, bad_request
from airflow_provider_amc.emulator.registry import CREATION_SECONDS, Instance

_NAME = re.compile(r"[A-Za-z0-9 ]{3,50}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TOKEN_LENGTH = 36
#: Seconds that AMC remembers an idempotency token.
_TOKEN_LIFE = 600.0
_SHORTEST_CREATION = 60.0
_TOKENS = "idempotency"


def _bucket_of(body: Mapping[str, Any], name: str) -> str | None:
    return text_of(body, name, _BUCKET, "the name of an S3 bucket")


def _name_of(body: Mapping[str, Any], name: str) -> str | None:
    return text_of(body, name, _NAME, "3 to 50 English letters, digits and spaces")


def _shown(call: Call, instance: Instance, status: str | None = None) -> dict[str, Any]:
    status = status or instance.status(call.now())
    wrapped = call.emulator.config.envelope == "wrapped"
    created = zulu(datetime.fromtimestamp(instance.began, UTC))
    shown: dict[str, Any] = {
        "instanceId": instance.id,
        "instanceName": instance.name,
        "instanceType": instance.type,
        "customerCanonicalName": instance.advertiser_name,
        "creationStatus": status,
        # Right after the request there is no time yet, says the recorded answer; the file wants one
        "creationDatetime": created if wrapped or status != "REQUESTED" else None,
        "s3BucketName": instance.bucket,
        "awsAccountId": instance.aws_account_id,
        "entities": ["NA"],
        "dataUploadAwsAccountId": "811639200769",
        "advertiserTypes": sorted({one["type"] for one in advertisers.advertisers_of(call, instance)}),
        "optionalDatasets": [],
    }
    if wrapped:
        shown = {name: value for name, value in shown.items() if value is not None}
        return {**shown, "s3BucketRegion": "us-east-1", "apiEndpoint": str(call.request.base_url).rstrip("/")}
    return {**shown, "apiEndpoint": None, "acrCollaboration": collaborations.summary_of(instance)}


async def list_instances(call: Call) -> Response:
    """Instances of the account."""
    registry = call.emulator.instances
    registry.looked_at(call.now())
    chosen, token = call.page(registry.listed(), call.limit(call.emulator.config.instances_page_size))
    return call.answer(with_token(call, {"instances": [_shown(call, one) for one in chosen]}, token))


async def get_instance(call: Call) -> Response:
    """One instance."""
    accepted = call.request.headers.get("accept", "*/*").lower()
    if not any(kind in accepted for kind in ("*/*", "application/*", "json")):
        raise amc_error(415, "Unsupported Media Type")
    return call.answer({"instance": _shown(call, the_instance(call))})


async def create_instance(call: Call) -> Response:
    """Ask for an instance. The same idempotency token gives the same one for ten minutes."""
    managed_only(call)
    body = await call.body()
    name = _name_of(body, "instanceName")
    if name is None:
        raise bad_request("instanceName must be specified.")
    partners = collaborations.partners_of(body, required=False)
    backed = boolean(body, "acrBacked")
    if partners and not backed:
        raise bad_request("acrCustomerPartners can only be specified for an instance with acrBacked.")
    instance = Instance(
        f"amc{uuid.uuid4().hex[:8]}",
        name,
        advertiser_name=_name_of(body, "advertiserName"),
        aws_account_id=account_of(body) or "",
        bucket=_bucket_of(body, "s3BucketName") or "",
    )
    remembered = _remembered(call, body, instance.id)
    if remembered is not None:
        return call.answer({"instance": _shown(call, remembered)})
    registry = call.emulator.instances
    if len(registry.listed()) >= call.emulator.config.max_instances:
        raise bad_request(f"The account has reached its limit of {call.emulator.config.max_instances} instances.")
    plan = call.plan(name, _SHORTEST_CREATION, CREATION_SECONDS)
    instance.began, instance.seconds, instance.failure = plan.began, plan.seconds, plan.failure
    if backed:
        instance.collaboration = collaborations.new(call, instance, partners)
    registry.save(instance)
    return call.answer({"instance": _shown(call, instance, "REQUESTED")})


def _remembered(call: Call, body: dict[str, Any], instance_id: str) -> Instance | None:
    """The instance that this token was used for; if it is new, the token stands for ``instance_id`` from now on."""
    token = body.get("idempotencyToken")
    if token is None:
        return None
    if not isinstance(token, str) or not 1 <= len(token) <= _TOKEN_LENGTH:
        raise bad_request(f"Invalid value for idempotencyToken: expected 1 to {_TOKEN_LENGTH} characters.")
    store, now = call.emulator.store, call.now()
    asked = json.dumps({key: value for key, value in body.items() if value is not None}, sort_keys=True)
    known = store.get_document(_TOKENS, "", token)
    if known is not None and now < known["until"]:
        found = call.emulator.instances.find(known["instance_id"])
        if found is not None:
            if known["asked"] != asked:
                raise bad_request(f"The idempotencyToken {token} was used with other parameters.")
            return found
    store.delete_document(_TOKENS, "", token)
    store.add_document(_TOKENS, "", token, {"instance_id": instance_id, "asked": asked, "until": now + _TOKEN_LIFE})
    return None


async def update_instance(call: Call) -> Response:
    """Change names, AWS account or bucket of an instance; what the body leaves out stays."""
    body = await call.body()
    if body.get("advertiserName") is not None:
        managed_only(call)
    instance = completed(call, "updated")
    instance.name = _name_of(body, "instanceName") or instance.name
    instance.advertiser_name = _name_of(body, "advertiserName") or instance.advertiser_name
    instance.aws_account_id = account_of(body) or instance.aws_account_id
    instance.bucket = _bucket_of(body, "s3BucketName") or instance.bucket
    call.emulator.instances.save(instance)
    return call.answer({"instance": _shown(call, instance)})


async def delete_instance(call: Call) -> Response:
    """Delete an instance whose creation has ended, and everything on it."""
    managed_only(call)
    instance = the_instance(call)
    status = instance.status(call.now())
    if not instance.creation.over(call.now()):
        raise bad_request(f"Instance {instance.id} cannot be deleted because its creationStatus is {status}.")
    call.emulator.the_runner().cancel_all(instance.id, "The instance was deleted.")
    await call.emulator.the_background().forget(instance.id)
    call.emulator.instances.delete(instance)
    await call.emulator.the_background().alone(lambda: call.emulator.shelf.clear(instance.id))
    return call.answer(None, status=204)


async def update_aws_account(call: Call) -> Response:
    """Set AWS account and bucket at once; the answer links to the stack that makes the bucket."""
    body = await call.body()
    account, bucket = account_of(body), _bucket_of(body, "bucketName")
    for name, value in (("awsAccountId", account), ("bucketName", bucket)):
        if value is None:
            raise bad_request(f"{name} must be specified.")
    instance = completed(call, "updated")
    instance.aws_account_id, instance.bucket = str(account), str(bucket)
    call.emulator.instances.save(instance)
    link = (
        "https://console.aws.amazon.com/cloudformation/home?region=us-east-1#/stacks/create/review"
        f"?stackName=amc-{instance.id}&param_BucketName={bucket}"
    )
    return call.answer({"cfnBucketUrl": link})


_PATH = "/amc/instances"
_ONE = _PATH + "/{instance_id}"
OPERATIONS = (
    Operation("listInstances", "GET", _PATH, list_instances, spec_media_type=MEDIA),
    Operation("createInstance", "POST", _PATH, create_instance, spec_media_type=MEDIA),
    Operation("getInstance", "GET", _ONE, get_instance, spec_media_type=MEDIA),
    Operation("updateInstance", "PUT", _ONE, update_instance, spec_media_type=MEDIA),
    Operation("deleteInstance", "DELETE", _ONE, delete_instance, spec_media_type=MEDIA),
    Operation(
        "updateInstanceCustomerAwsAccountMetadata",
        "POST",
        _ONE + "/updateCustomerAwsAccount",
        update_aws_account,
        spec_media_type=MEDIA,
        known_statuses=STATUSES,
    ),
)
