"""The AWS Clean Rooms collaboration behind an instance (AMC administration API).

Source: AMC API documentation, "AMC on AWS Clean Rooms", and the OpenAPI file of the administration API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_amc.client.fields import Raw, boolean, integer, objects, text, unwrap
from airflow_provider_amc.client.instances import check_partners
from airflow_provider_amc.client.paging import items
from airflow_provider_amc.client.times import parse_time
from airflow_provider_amc.client.transport import INSTANCES, Transport
from airflow_provider_amc.client.validation import check_range, check_segment, is_blank, path
from airflow_provider_amc.exceptions import AmcNotFoundError, AmcValidationError


@dataclass(frozen=True)
class Collaboration:
    """A collaboration. ``status``: NOT_STARTED, IN_PROGRESS, PENDING_ACCEPTANCE, ACTIVE, REJECTED or DELETED."""

    id: str
    name: str | None = None
    description: str | None = None
    status: str = ""
    customer_acceptance_link: str | None = None
    creator: Raw = field(default_factory=dict)
    customer: Raw = field(default_factory=dict)
    query_submitter: Raw = field(default_factory=dict)
    results_receivers: tuple[Raw, ...] = ()
    customer_partners: tuple[Raw, ...] = ()
    amc_data_providers: tuple[Raw, ...] = ()
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> Collaboration:
        """Read a collaboration."""
        return cls(
            id=text(data.get("id")) or "",
            name=text(data.get("name")),
            description=text(data.get("description")),
            status=(text(data.get("status")) or "").upper(),
            customer_acceptance_link=text(data.get("customerAcceptanceLink")),
            creator=_object(data.get("creator")),
            customer=_object(data.get("customer")),
            query_submitter=_object(data.get("querySubmitter")),
            results_receivers=objects(data.get("resultsReceivers")),
            customer_partners=objects(data.get("customerPartners")),
            amc_data_providers=objects(data.get("amcDataProviders")),
            raw=data,
        )


@dataclass(frozen=True)
class IdNamespace:
    """An id namespace that a member has brought into the collaboration."""

    id: str
    id_namespace_arn: str | None = None
    id_namespace_type: str | None = None
    creator_account_id: str | None = None
    create_time: datetime | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> IdNamespace:
        """Read an element of ``collaborationIdNamespaceAssociations``."""
        return cls(
            id=text(data.get("id")) or "",
            id_namespace_arn=text(data.get("idNamespaceArn")),
            id_namespace_type=text(data.get("idNamespaceType")),
            creator_account_id=text(data.get("creatorAccountId")),
            create_time=parse_time(data.get("createTime")),
            raw=data,
        )


@dataclass(frozen=True)
class IdMappingTable:
    """A table that maps ids of the customer to those of Amazon."""

    id: str
    name: str | None = None
    arn: str | None = None
    queryable: bool | None = None
    create_time: datetime | None = None
    update_time: datetime | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> IdMappingTable:
        """Read a table."""
        return cls(
            id=text(data.get("id")) or "",
            name=text(data.get("name")),
            arn=text(data.get("arn")),
            queryable=boolean(data.get("queryable")),
            create_time=parse_time(data.get("createTime")),
            update_time=parse_time(data.get("updateTime")),
            raw=data,
        )


@dataclass(frozen=True)
class IdMappingRequest:
    """What AMC answers to a new table or a refresh: a job, or a number under which the job can be asked for later."""

    table: IdMappingTable | None = None
    job_id: str | None = None
    tracking_id: str | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> IdMappingRequest:
        """Read the answer."""
        table = data.get("idMappingTable")
        return cls(
            table=IdMappingTable.from_api(table) if isinstance(table, Mapping) else None,
            job_id=text(data.get("idMappingWorkflowJobId")),
            tracking_id=text(data.get("trackingId")),
            raw=data,
        )


@dataclass(frozen=True)
class IdMappingJob:
    """A job that fills a table. ``status``: QUEUED, RUNNING, SUCCEEDED, FAILED or UNKNOWN."""

    job_id: str
    status: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    error_details: str | None = None
    metrics: Mapping[str, int | None] = field(default_factory=dict)
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Will the status stay?"""
        return self.status in ("SUCCEEDED", "FAILED")

    @classmethod
    def from_api(cls, data: Raw) -> IdMappingJob:
        """Read a job, or the summary of one."""
        return cls(
            job_id=text(data.get("jobId")) or "",
            status=(text(data.get("status")) or "").upper(),
            start_time=parse_time(data.get("startTime")),
            end_time=parse_time(data.get("endTime")),
            error_details=text(data.get("errorDetails")),
            metrics={name: integer(value) for name, value in _object(data.get("metrics")).items()},
            raw=data,
        )


class Collaborations:
    """``client.collaborations``; every call is about the collaboration of an instance, default the client's own."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "instances", self._transport.instance(instance_id), *segments)

    def _tables(self, instance_id: str | None, *segments: str) -> str:
        return self._path(instance_id, "collaboration", "idmappingtables", *segments)

    def _call(self, method: str, address: str, body: Mapping[str, Any] | None = None, *, repeat: bool = True) -> Raw:
        return self._transport.call(method, address, media_type=INSTANCES, body=body, repeat=repeat)

    def get(self, instance_id: str | None = None) -> Collaboration:
        """Get the collaboration.

        :param instance_id: its instance.
        :raises AmcNotFoundError: when the instance has none.
        """
        address = self._path(instance_id, "collaboration")
        data = self._call("GET", address)
        return Collaboration.from_api(self._transport.whole(unwrap(data, "collaboration", "id"), "id", address))

    def add_partners(
        self, collaboration_id: str, partners: Sequence[Mapping[str, Any]], *, instance_id: str | None = None
    ) -> tuple[Raw, ...]:
        """Invite partners.

        :param collaboration_id: the collaboration.
        :param partners: one to five mappings: ``awsAccountId``, ``displayName``, ``abilities``
            (``["CAN_RECEIVE_RESULTS"]`` or none).
        :param instance_id: its instance.
        :return: the partners as AMC knows them now.
        """
        chosen = check_partners(partners, "partners")
        if not chosen:
            raise AmcValidationError("partners: give one at least.")
        address = self._partners(collaboration_id, instance_id)
        return objects(self._call("POST", address, {"acrCustomerPartners": chosen}).get("acrCustomerPartners"))

    def remove_partner(self, collaboration_id: str, partner_id: str, *, instance_id: str | None = None) -> None:
        """Remove a partner.

        :param collaboration_id: the collaboration.
        :param partner_id: the partner: the id of its AWS account.
        :param instance_id: its instance.
        :raises AmcNotFoundError: when it is none.
        """
        address = self._partners(collaboration_id, instance_id, check_segment(partner_id, "partner_id"))
        self._delete(address)

    def id_namespaces(self, instance_id: str | None = None) -> Iterator[IdNamespace]:
        """List the id namespaces of the collaboration.

        :param instance_id: its instance.
        """
        address = self._path(instance_id, "collaboration", "idnamespaces", "list")
        return map(IdNamespace.from_api, self._list(address, "collaborationIdNamespaceAssociations", 100))

    def id_mapping_tables(self, instance_id: str | None = None, *, limit: int = 100) -> Iterator[IdMappingTable]:
        """List the id mapping tables.

        :param instance_id: instance of the collaboration.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        size = check_range(limit, "limit", 1, 100)
        return map(IdMappingTable.from_api, self._list(self._tables(instance_id, "list"), "idMappingTables", size))

    def create_id_mapping_table(
        self, name: str, *, source_id_namespace_arn: str, instance_id: str | None = None
    ) -> IdMappingRequest:
        """Create an id mapping table and start the job that fills it.

        :param name: its name.
        :param source_id_namespace_arn: id namespace of the customer.
        :param instance_id: instance of the collaboration.
        :raises AmcUnknownOutcomeError: when the answer was lost: look at :meth:`id_mapping_tables`.
        """
        for field_name, value in (("name", name), ("source_id_namespace_arn", source_id_namespace_arn)):
            if is_blank(value):
                raise AmcValidationError(f"{field_name} must be a non-empty text, got {value!r}.")
        body = {"idMappingTableName": name, "sourceIdNamespaceArn": source_id_namespace_arn}
        return IdMappingRequest.from_api(self._call("POST", self._tables(instance_id), body, repeat=False))

    def delete_id_mapping_table(self, id_mapping_table_id: str, *, instance_id: str | None = None) -> None:
        """Delete an id mapping table.

        :param id_mapping_table_id: the table.
        :param instance_id: instance of the collaboration.
        :raises AmcNotFoundError: when there is none.
        """
        self._delete(self._table(id_mapping_table_id, instance_id))

    def refresh_id_mapping_table(self, id_mapping_table_id: str, *, instance_id: str | None = None) -> IdMappingRequest:
        """Fill an id mapping table anew. AMC does so once in 14 days.

        :param id_mapping_table_id: the table.
        :param instance_id: instance of the collaboration.
        """
        address = self._table(id_mapping_table_id, instance_id, "refresh")
        return IdMappingRequest.from_api(self._call("POST", address, {}, repeat=False))

    def id_mapping_jobs(
        self, id_mapping_table_id: str, *, instance_id: str | None = None, limit: int = 25
    ) -> Iterator[IdMappingJob]:
        """List the jobs of an id mapping table.

        :param id_mapping_table_id: the table.
        :param instance_id: instance of the collaboration.
        :param limit: size of a page, 1 to 25; all pages are read in any case.
        """
        address = self._table(id_mapping_table_id, instance_id, "jobs", "list")
        size = check_range(limit, "limit", 1, 25)
        return map(IdMappingJob.from_api, self._list(address, "idMappingJobs", size))

    def latest_id_mapping_job(self, id_mapping_table_id: str, *, instance_id: str | None = None) -> IdMappingJob | None:
        """Find the job of an id mapping table that was started last; ``None`` while AMC has started none.

        :param id_mapping_table_id: the table.
        :param instance_id: instance of the collaboration.
        """
        jobs = self.id_mapping_jobs(id_mapping_table_id, instance_id=instance_id)
        return max(jobs, key=lambda job: job.start_time or datetime.min.replace(tzinfo=UTC), default=None)

    def get_id_mapping_job(
        self, id_mapping_table_id: str, job_id: str, *, instance_id: str | None = None
    ) -> IdMappingJob:
        """Get a job with its metrics.

        :param id_mapping_table_id: the table.
        :param job_id: the job.
        :param instance_id: instance of the collaboration.
        """
        address = self._table(id_mapping_table_id, instance_id, "jobs", check_segment(job_id, "job_id"))
        found = unwrap(self._call("GET", address), "idMappingJob", "jobId")
        return IdMappingJob.from_api(self._transport.whole(found, "jobId", address))

    def get_id_mapping_job_id(
        self, id_mapping_table_id: str, tracking_id: str, *, instance_id: str | None = None
    ) -> str | None:
        """Ask for the job behind a tracking id.

        :param id_mapping_table_id: the table.
        :param tracking_id: of :class:`IdMappingRequest`.
        :param instance_id: instance of the collaboration.
        :return: id of the job, ``None`` while there is none.
        """
        address = self._table(id_mapping_table_id, instance_id, "jobTracker", check_segment(tracking_id, "tracking_id"))
        return text(self._call("GET", address).get("idMappingJobId"))

    def _partners(self, collaboration_id: str, instance_id: str | None, *segments: str) -> str:
        known = check_segment(collaboration_id, "collaboration_id")
        return self._path(instance_id, "collaborations", known, "acrCustomerPartners", *segments)

    def _table(self, id_mapping_table_id: str, instance_id: str | None, *segments: str) -> str:
        return self._tables(instance_id, check_segment(id_mapping_table_id, "id_mapping_table_id"), *segments)

    def _list(self, address: str, key: str, size: int) -> Iterator[Raw]:
        # These lists take their page in the body of a POST.
        def fetch(token: str | None) -> Raw:
            return self._call("POST", address, {"maxResults": size, **({"nextToken": token} if token else {})})

        return items(fetch, key)

    def _delete(self, address: str) -> None:
        try:
            self._call("DELETE", address)
        except AmcNotFoundError as error:
            if not error.answer_lost:
                raise


def _object(value: object) -> Raw:
    return value if isinstance(value, Mapping) else {}
