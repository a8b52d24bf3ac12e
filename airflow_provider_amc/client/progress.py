"""How far AMC is with what takes it minutes: an instance, an audience, an upload, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_amc.exceptions import AmcValidationError

if TYPE_CHECKING:
    from airflow_provider_amc.client.amc import AmcClient


class Progress(NamedTuple):
    """What a look showed.

    :param status: AMC's word.
    :param finished: will it stay?
    :param succeeded: did it work?
    :param reason: why it failed, if AMC says so.
    """

    status: str
    finished: bool
    succeeded: bool
    reason: str | None = None


def _instance(client: AmcClient, names: Mapping[str, str]) -> Progress:
    found = client.instances.get(names["instance_id"])
    status = (found.creation_status or "").upper()
    return Progress(status, found.is_ready or status == "FAILED", found.is_ready)


def _advertiser_update(client: AmcClient, names: Mapping[str, str]) -> Progress:
    found = client.advertisers.get_update(int(names["update_id"]), names["instance_id"])
    return Progress(found.status, found.is_finished, found.is_completed)


def _audience(client: AmcClient, names: Mapping[str, str]) -> Progress:
    found = client.audiences.get(names["audience_execution_id"], instance_id=names.get("instance_id"))
    return Progress(found.status, found.is_finished, found.is_succeeded, found.status_reason)


def _upload(client: AmcClient, names: Mapping[str, str]) -> Progress:
    found = client.uploads.get(names["data_set_id"], names["upload_id"], instance_id=names.get("instance_id"))
    return Progress(found.status, found.is_finished, found.is_succeeded, found.message)


def _audience_records(client: AmcClient, names: Mapping[str, str]) -> Progress:
    found = client.advertiser_audiences.get_job(names["job_request_id"])
    invalid = len(found.invalid_records)
    reason = f"invalid records: {invalid:,}" if invalid else None
    return Progress(found.state, found.is_finished, found.state in ("SUCCEEDED", "COMPLETED"), reason)


def _user_deletion(client: AmcClient, names: Mapping[str, str]) -> Progress:
    found = client.user_deletions.get(names["user_deletion_request_id"], instance_id=names.get("instance_id"))
    return Progress(found.status, found.is_finished, found.is_succeeded)


def _execution(client: AmcClient, names: Mapping[str, str]) -> Progress:
    found = client.executions.get(names["workflow_execution_id"], instance_id=names.get("instance_id"))
    return Progress(found.raw_status, found.is_finished, found.is_succeeded, found.status_reason)


def _id_mapping_job(client: AmcClient, names: Mapping[str, str]) -> Progress:
    """A job by its id, by the tracking id of one that AMC could not start at once, or the latest of the table."""
    job_id = id_mapping_job_id(client, names)
    if job_id is None:
        return Progress("QUEUED", finished=False, succeeded=False)
    table, instance = names["id_mapping_table_id"], names.get("instance_id")
    found = client.collaborations.get_id_mapping_job(table, job_id, instance_id=instance)
    return Progress(found.status, found.is_finished, found.status == "SUCCEEDED", found.error_details)


def id_mapping_job_id(client: AmcClient, names: Mapping[str, str]) -> str | None:
    """Find out the id of a job that fills an id mapping table; ``None`` while it has none.

    :param client: client of the account.
    :param names: ``id_mapping_table_id`` and ``job_id`` or ``tracking_id``; without either, it is the table's latest job.
    """
    table, instance = names["id_mapping_table_id"], names.get("instance_id")
    if "job_id" in names:
        return names["job_id"]
    if "tracking_id" in names:
        return client.collaborations.get_id_mapping_job_id(table, names["tracking_id"], instance_id=instance)
    latest = client.collaborations.latest_id_mapping_job(table, instance_id=instance)
    return None if latest is None else latest.job_id


_KINDS: dict[str, Callable[[AmcClient, Mapping[str, str]], Progress]] = {
    "instance": _instance,
    "advertiser update": _advertiser_update,
    "audience": _audience,
    "upload": _upload,
    "audience records": _audience_records,
    "user deletion": _user_deletion,
    "execution": _execution,
    "id mapping job": _id_mapping_job,
}

#: What can be waited for.
KINDS = tuple(_KINDS)


def progress(client: AmcClient, kind: str, names: Mapping[str, str]) -> Progress:
    """Look how far AMC is.

    :param client: client of the account.
    :param kind: one of :data:`KINDS`.
    :param names: what names it: the ids of its address, by the names of the client's arguments.
    :raises AmcError: AMC cannot be asked, or does not know it.
    """
    if kind not in _KINDS:
        raise AmcValidationError(f"Cannot wait for {kind!r}; it has to be one of {', '.join(KINDS)}.")
    return _KINDS[kind](client, names)
