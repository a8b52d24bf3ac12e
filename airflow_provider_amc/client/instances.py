"""Instances of an AMC account (AMC administration API).

Source: AMC API documentation, "Instance management", and the OpenAPI file of the administration API.
"""

from __future__ import annotations

import builtins
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_amc.client.fields import text, unwrap
from airflow_provider_amc.client.models import Instance
from airflow_provider_amc.client.paging import items, page_size
from airflow_provider_amc.client.transport import INSTANCES, Transport
from airflow_provider_amc.client.validation import path
from airflow_provider_amc.exceptions import AmcNotFoundError, AmcValidationError

#: An instance may begin with so many AWS accounts of partners besides one's own (OpenAPI file).
MOST_PARTNERS = 5

_NAME = re.compile(r"[A-Za-z0-9 ]{3,50}")
_AWS_ACCOUNT = re.compile(r"\d{12}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,36}")


def check_name(value: object, field: str) -> str:
    """Check the name of an instance or advertiser: 3 to 50 letters, digits and spaces.

    :param value: the name.
    :param field: name of the argument, for the error.
    :raises AmcValidationError: it is no such name.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value) or not value.strip():
        raise AmcValidationError(f"{field} must have 3 to 50 letters, digits and spaces, got {value!r}.")
    return value


def check_aws_account(value: object, field: str) -> str:
    """Check the id of an AWS account: 12 digits, as text, since it may begin with 0.

    :param value: the id.
    :param field: name of the argument, for the error.
    :raises AmcValidationError: it is no such id.
    """
    if not isinstance(value, str) or not _AWS_ACCOUNT.fullmatch(value):
        raise AmcValidationError(f"{field} must be the id of an AWS account, a text of 12 digits, got {value!r}.")
    return value


def check_partners(values: Sequence[Mapping[str, Any]], field: str) -> list[dict[str, Any]]:
    """Check partners of a collaboration: mappings with ``awsAccountId``, ``displayName`` and ``abilities``.

    :param values: the partners.
    :param field: name of the argument, for the errors.
    :raises AmcValidationError: they are too many, or one is not such a mapping.
    """
    if isinstance(values, (str, bytes, Mapping)) or not all(isinstance(value, Mapping) for value in values):
        raise AmcValidationError(f"{field} must be a list of mappings with awsAccountId and displayName.")
    if len(values) > MOST_PARTNERS:
        raise AmcValidationError(f"{field}: AMC takes {MOST_PARTNERS} partners at most, got {len(values)}.")
    for number, value in enumerate(values):
        check_aws_account(value.get("awsAccountId"), f"{field}[{number}]['awsAccountId']")
    return [dict(value) for value in values]


class Instances:
    """``client.instances``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "instances", self._transport.instance(instance_id), *segments)

    def list(self, *, limit: int | None = None) -> list[Instance]:
        """List the instances of the account.

        :param limit: size of a page, 1 to 100; all pages are read in any case.
        :return: all instances.
        """
        size = page_size(limit)

        def fetch(token: str | None) -> dict[str, Any]:
            query = {"nextToken": token, "limit": size}
            return self._transport.call("GET", "/amc/instances", media_type=INSTANCES, query=query)

        return [Instance.from_api(item) for item in items(fetch, "instances")]

    def get(self, instance_id: str | None = None) -> Instance:
        """Get one instance.

        :param instance_id: its id, default the client's own.
        :raises AmcNotFoundError: when the account has no such instance.
        """
        address = self._path(instance_id)
        return self._read(self._transport.call("GET", address, media_type=INSTANCES), address)

    def create(
        self,
        instance_name: str,
        *,
        advertiser_name: str | None = None,
        aws_account_id: str | None = None,
        s3_bucket_name: str | None = None,
        collaboration: bool | None = None,
        partners: Sequence[Mapping[str, Any]] | None = None,
        idempotency_token: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Instance:
        """Ask for a new instance. AMC creates it within minutes: wait until ``is_ready``.

        AMC remembers the token for ten minutes, so a lost answer is no reason for a second instance.

        :param instance_name: 3 to 50 letters, digits and spaces.
        :param advertiser_name: likewise; AMC gives it back as ``customerCanonicalName``.
        :param aws_account_id: AWS account whose bucket receives results.
        :param s3_bucket_name: that bucket; AMC answers with its own choice when it is left out.
        :param collaboration: back the instance with a collaboration of AWS Clean Rooms (``acrBacked``).
        :param partners: members of the collaboration besides you: ``awsAccountId``, ``displayName``, ``abilities``.
        :param idempotency_token: 1 to 36 letters, digits, ``-`` and ``_``. Default: a random one.
        :param extra: further fields by AMC's names.
        :return: the instance; ``creation_status`` tells how far it is.
        :raises AmcValidationError: an argument is wrong; nothing was sent.
        """
        token = idempotency_token or str(uuid.uuid4())
        if not _TOKEN.fullmatch(token):
            raise AmcValidationError("idempotency_token must have 1 to 36 letters, digits, '-' and '_'.")
        body: dict[str, Any] = {
            "instanceName": check_name(instance_name, "instance_name"),
            **_changes(None, advertiser_name, aws_account_id, s3_bucket_name),
            "idempotencyToken": token,
        }
        if collaboration is not None:
            body["acrBacked"] = collaboration
        if partners is not None:
            body["acrCustomerPartners"] = check_partners(partners, "partners")
        data = self._transport.call("POST", "/amc/instances", media_type=INSTANCES, body={**body, **(extra or {})})
        return self._read(data, "/amc/instances")

    def update(
        self,
        instance_id: str | None = None,
        *,
        instance_name: str | None = None,
        advertiser_name: str | None = None,
        aws_account_id: str | None = None,
        s3_bucket_name: str | None = None,
    ) -> Instance:
        """Change an instance; what is ``None`` stays as it is. AMC refuses it until the creation has finished.

        :param instance_id: its id, default the client's own.
        :param instance_name: 3 to 50 letters, digits and spaces.
        :param advertiser_name: likewise.
        :param aws_account_id: AWS account whose bucket receives results.
        :param s3_bucket_name: that bucket.
        :raises AmcValidationError: an argument is wrong, or there is none; nothing was sent.
        """
        body = _changes(instance_name, advertiser_name, aws_account_id, s3_bucket_name)
        if not body:
            raise AmcValidationError("There is nothing to change: give instance_name, advertiser_name, ...")
        address = self._path(instance_id)
        return self._read(self._transport.call("PUT", address, media_type=INSTANCES, body=body), address)

    def delete(self, instance_id: str) -> None:
        """Delete an instance with all that is in it. AMC refuses it until the creation has finished.

        :param instance_id: its id. There is no default: deleting is nothing to do by accident.
        :raises AmcNotFoundError: when there is none.
        """
        try:
            self._transport.call("DELETE", self._path(instance_id), media_type=INSTANCES)
        except AmcNotFoundError as error:
            if not error.answer_lost:
                raise

    def update_customer_aws_account(
        self, *, aws_account_id: str, bucket_name: str, instance_id: str | None = None
    ) -> str | None:
        """Name the AWS account and bucket that receive results. AMC has announced to take this call away.

        :param aws_account_id: 12 digits.
        :param bucket_name: the bucket.
        :param instance_id: default the client's own.
        :return: address of a CloudFormation template that makes the bucket, if AMC gives one.
        """
        body = {"awsAccountId": check_aws_account(aws_account_id, "aws_account_id"), "bucketName": bucket_name}
        address = self._path(instance_id, "updateCustomerAwsAccount")
        return text(self._transport.call("POST", address, media_type=INSTANCES, body=body).get("cfnBucketUrl"))

    def _read(self, data: Mapping[str, Any], address: str) -> Instance:
        found = self._transport.whole(unwrap(data, "instance", "instanceId"), "instanceId", address)
        return Instance.from_api(found)


def _changes(
    instance_name: str | None, advertiser_name: str | None, aws_account_id: str | None, s3_bucket_name: str | None
) -> dict[str, Any]:
    checked: builtins.list[tuple[str, str | None]] = [
        ("instanceName", None if instance_name is None else check_name(instance_name, "instance_name")),
        ("advertiserName", None if advertiser_name is None else check_name(advertiser_name, "advertiser_name")),
        ("awsAccountId", None if aws_account_id is None else check_aws_account(aws_account_id, "aws_account_id")),
        ("s3BucketName", s3_bucket_name),
    ]
    return {name: value for name, value in checked if value is not None}
