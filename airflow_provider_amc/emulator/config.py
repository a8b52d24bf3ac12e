"""What an emulator is started with: the fixed credentials, and the switches of one run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_amc.emulator.data.scale import parse_scale

CLIENT_ID = "amzn1.application-oa2-client.emulator"
CLIENT_SECRET = "emulator-secret"
REFRESH_TOKEN = "Atzr|emulator"
#: A refresh token of a user who has not granted the scope for audiences and uploads.
REPORTING_REFRESH_TOKEN = "Atzr|emulator-reporting"
ACCOUNT_ID = "ENTITYEMULATOR01"
MARKETPLACE_ID = "ATVPDKIKX0DER"
#: Kinds of advertisers in AMC.
ADVERTISER_TYPES = ("DISPLAY", "SAS", "SPONSORED_ADS")
STANDARD_INSTANCE = "amcemulator"
SANDBOX_INSTANCE = "amcsandbox"
CAMPAIGN_SCOPE = "advertising::campaign_management"
#: Needed in addition for advertiser audiences and advertiser data upload.
AUDIENCES_SCOPE = "advertising::audiences"
#: Scopes of the refresh tokens that are valid from the start.
GRANTED_SCOPES = {REFRESH_TOKEN: (CAMPAIGN_SCOPE, AUDIENCES_SCOPE), REPORTING_REFRESH_TOKEN: (CAMPAIGN_SCOPE,)}

_INSTANCE_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")


@dataclass
class EmulatorConfig:
    """Settings of one emulator.

    :param host: address to listen on.
    :param port: TCP port; 0 takes a free one.
    :param seed: seed of the synthetic data, the durations and the faults drawn by probability.
    :param scale: size of the synthetic data: ``tiny``, ``small``, ``medium`` or ``large``, for 10 thousand, 100
        thousand, 1 million or 10 million impressions of Amazon DSP in 13 months, or any number between.
    :param speed: ``instant`` ends an execution as soon as its query is done; ``realistic`` draws a duration of virtual
        seconds to minutes.
    :param state_dir: directory that keeps everything over a restart; without it a private temporary directory is used
        and removed at the end.
    :param envelope: ``flat`` answers as recorded from the service, ``wrapped`` as Amazon's OpenAPI files say.
    :param extra_instances: number of further STANDARD instances (``amcemulator02``, ...), or their ids.
    :param rows_per_file: rows after which a result is continued in another file.
    :param max_running: executions that run at a time on one instance (AMC FAQ: 10).
    :param max_running_account: executions that run at a time on the account (AMC FAQ: 200).
    :param default_page_size: entries of a list page without ``limit``.
    :param instances_page_size: the same for ``GET /amc/instances``, where the sources disagree (100 or 10).
    :param unknown_id_status: 400 as observed, or 404 as in the OpenAPI files.
    :param not_ready_status: status of ``downloadUrls`` before there is a result, 404 or 400.
    :param terms_status: status of the terms-not-accepted error, 403 or 401.
    :param terms: ``accepted`` from the start, or ``open``: calls on an instance are refused until the terms are
        accepted through the API.
    :param scope_status: status of a call for which the user has not granted the scope, 403 or 401.
    :param workflow_validation: ``create`` refuses bad SQL when a workflow is created, ``async`` accepts it and rejects
        its executions.
    :param access: ``managed`` for an account that creates instances and chooses their advertisers, ``self_service`` for
        one whose instances come with the first look at them and have no sandbox (AMC documentation, "Instant access").
    :param max_instances: instances of the account (AMC API documentation: 4000).
    :param max_advertisers: advertisers of an instance (AMC API documentation: 2000).
    :param min_audience_users: users of a rule-based audience (AMC documentation: 2000).
    :param min_seed_users: users of the seed of a lookalike audience (AMC documentation: 500).
    :param z_suffix: ``accept`` or ``reject`` the ``Z`` behind the times of an execution window.
    :param upload_statuses: names of an upload's statuses as in the OpenAPI file (``spec``: SUBMITTED, IN_PROGRESS,
        SUCCESS, FAILED) or as in the guide (``guide``: PENDING, COMPLETED, FAILED).
    :param bucket_tags: ``require`` lets uploads read only buckets and objects with the tag ``instanceId``, as AMC does
        outside of the AWS account connected to the instance; ``ignore`` lets them read everything.
    :param s3_endpoint_url: where uploads find S3; without it AWS, or what the environment says.
    :param overlap_limit: executions over the same tables and overlapping windows before AMC's privacy rejection;
        ``None`` switches the rule off, for its real threshold is not published.
    :param throttle: ``off`` takes any number of calls; ``retry_after`` and ``bare`` refuse more than the limits that Amazon
        publishes, with the header ``Retry-After`` as documented, or without as users often see it.
    :param url_lifetime: virtual seconds a result URL lives (AMC: 600).
    :param token_lifetime: virtual seconds an access token lives (Login with Amazon: 3600).
    :param now: virtual time to start at, ISO 8601 in UTC; default is the real time.
    :param query_threads: queries that are computed at a time.
    """

    host: str = "127.0.0.1"
    port: int = 8600
    seed: int = 7
    scale: str | int = "small"
    speed: str = "instant"
    state_dir: Path | str | None = None
    envelope: str = "flat"
    extra_instances: int | Sequence[str] = 0
    rows_per_file: int = 500_000
    max_running: int = 10
    max_running_account: int = 200
    default_page_size: int = 100
    instances_page_size: int = 100
    unknown_id_status: int = 400
    not_ready_status: int = 404
    terms_status: int = 403
    terms: str = "accepted"
    scope_status: int = 403
    workflow_validation: str = "create"
    access: str = "managed"
    max_instances: int = 4000
    max_advertisers: int = 2000
    min_audience_users: int = 2000
    min_seed_users: int = 500
    z_suffix: str = "accept"
    upload_statuses: str = "spec"
    bucket_tags: str = "ignore"
    s3_endpoint_url: str | None = None
    overlap_limit: int | None = None
    throttle: str = "off"
    url_lifetime: int = 600
    token_lifetime: int = 3600
    now: str | None = None
    query_threads: int = 4

    def __post_init__(self) -> None:
        self.scale = parse_scale(self.scale)
        self._one_of("speed", "instant", "realistic")
        self._one_of("envelope", "flat", "wrapped")
        self._one_of("unknown_id_status", 400, 404)
        self._one_of("not_ready_status", 404, 400)
        self._one_of("terms_status", 403, 401)
        self._one_of("scope_status", 403, 401)
        self._one_of("terms", "accepted", "open")
        self._one_of("upload_statuses", "spec", "guide")
        self._one_of("bucket_tags", "ignore", "require")
        self._one_of("throttle", "off", "retry_after", "bare")
        self._one_of("workflow_validation", "create", "async")
        self._one_of("z_suffix", "accept", "reject")
        self._one_of("access", "managed", "self_service")
        for name in ("rows_per_file", "max_running", "max_running_account", "url_lifetime", "token_lifetime"):
            self._at_least_one(name)
        for name in ("default_page_size", "instances_page_size", "query_threads", "max_instances", "max_advertisers"):
            self._at_least_one(name)
        for name in ("min_audience_users", "min_seed_users"):
            self._at_least_one(name)
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, not {self.port!r}.")
        if self.state_dir is not None:
            self.state_dir = Path(self.state_dir)
        if self.now is not None:
            parse_now(self.now)
        self.instances()

    def _one_of(self, name: str, *choices: object) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}.")

    def _at_least_one(self, name: str) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")

    def instances(self) -> dict[str, str]:
        """Ids of the instances, in list order, with their type (``STANDARD`` or ``SANDBOX``)."""
        found = {STANDARD_INSTANCE: "STANDARD", SANDBOX_INSTANCE: "SANDBOX"}
        if isinstance(self.extra_instances, int):
            if self.extra_instances < 0:
                raise ValueError(f"extra_instances must not be negative, not {self.extra_instances}.")
            extra: Sequence[str] = [f"{STANDARD_INSTANCE}{n:02d}" for n in range(2, self.extra_instances + 2)]
        elif isinstance(self.extra_instances, str):
            extra = [self.extra_instances]
        else:
            extra = self.extra_instances
        for instance_id in extra:
            if not _INSTANCE_ID.fullmatch(instance_id):
                raise ValueError(f"{instance_id!r} is not an instance id: use lower-case letters, digits and '-'.")
            found.setdefault(instance_id, "STANDARD")
        return found

    def replaced(self, **overrides: Any) -> EmulatorConfig:
        """A copy with some settings changed; an unknown name raises ``TypeError``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return EmulatorConfig(**{**values, **overrides})


def parse_now(text: str) -> datetime:
    """A virtual time such as ``2026-01-01T00:00:00Z``; without a zone it is UTC.

    :raises ValueError: when the text is not an ISO 8601 date and time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"{text!r} is not a time; write it as 2026-01-01T00:00:00Z.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
