"""Advertisers whose data an instance holds (AMC administration API).

Source: AMC API documentation, "Instance management", and the OpenAPI file of the administration API.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_amc.client.fields import Raw, integer, objects, text, texts, unwrap
from airflow_provider_amc.client.paging import items, page_size
from airflow_provider_amc.client.transport import INSTANCES, Transport
from airflow_provider_amc.client.validation import check_range, is_blank, path
from airflow_provider_amc.exceptions import AmcUnknownOutcomeError, AmcValidationError

TYPES = ("DISPLAY", "SPONSORED_ADS", "SAS")

#: AMC adds so many advertisers with one update, and removes as many (OpenAPI file).
BATCH = 10


@dataclass(frozen=True, order=True)
class AdvertiserId:
    """Names an advertiser to AMC.

    :param id: number of a DSP advertiser, or ``ENTITY...`` of one with sponsored ads.
    :param type: ``DISPLAY``, ``SPONSORED_ADS`` or ``SAS``.
    :param marketplace_id: marketplace of sponsored ads or an ad server; ``""`` for DSP advertisers, which have none.
    """

    id: str
    type: str
    marketplace_id: str = ""

    @classmethod
    def parse(cls, value: object, name: str = "advertiser") -> AdvertiserId:
        """Read a mapping with ``id``, ``type`` and ``marketplaceId``.

        :param name: what it is, for the errors.
        :raises AmcValidationError: a part is missing or unknown.
        """
        if isinstance(value, AdvertiserId):
            return value
        if not isinstance(value, Mapping):
            raise AmcValidationError(f"{name} must be a mapping with id, type and marketplaceId, got {value!r}.")
        identifier, kind = value.get("id"), str(value.get("type") or "").strip().upper()
        marketplace = value.get("marketplaceId") or value.get("marketplace_id") or ""
        if isinstance(identifier, int) and not isinstance(identifier, bool):
            identifier = str(identifier)
        if is_blank(identifier):
            raise AmcValidationError(f"{name} has no id.")
        if kind not in TYPES:
            raise AmcValidationError(f"{name}: type must be one of {', '.join(TYPES)}, got {value.get('type')!r}.")
        if kind == "SPONSORED_ADS" and not marketplace:
            raise AmcValidationError(f"{name}: an advertiser of type SPONSORED_ADS needs a marketplaceId.")
        return cls(str(identifier), kind, "" if kind == "DISPLAY" else str(marketplace))

    def to_api(self) -> dict[str, str]:
        """Write it as AMC takes it."""
        shown = {"id": self.id, "type": self.type}
        return {**shown, "marketplaceId": self.marketplace_id} if self.marketplace_id else shown


@dataclass(frozen=True)
class Advertiser:
    """An advertiser of an instance."""

    id: str
    name: str | None = None
    type: str | None = None
    marketplace_id: str | None = None
    configured_advertiser_types: tuple[str, ...] = ()
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> Advertiser:
        """Read an element of ``advertisers``."""
        return cls(
            id=text(data.get("id")) or "",
            name=text(data.get("name")),
            type=text(data.get("type")),
            marketplace_id=text(data.get("marketplaceId")),
            configured_advertiser_types=texts(data.get("configuredAdvertiserTypes")),
            raw=data,
        )

    @property
    def key(self) -> AdvertiserId:
        """What names it in an update."""
        kind = (self.type or "").upper()
        return AdvertiserId(self.id, kind, "" if kind == "DISPLAY" else self.marketplace_id or "")


@dataclass(frozen=True)
class AdvertiserUpdate:
    """A change of the advertisers of an instance, which AMC carries out on its own time."""

    update_id: int | None
    status: str = ""
    advertisers_to_add: tuple[Raw, ...] = ()
    advertisers_to_remove: tuple[Raw, ...] = ()
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> AdvertiserUpdate:
        """Read an update."""
        return cls(
            update_id=integer(data.get("updateId")),
            status=(text(data.get("status")) or "").upper(),
            advertisers_to_add=objects(data.get("advertisersToAdd")),
            advertisers_to_remove=objects(data.get("advertisersToRemove")),
            raw=data,
        )

    @property
    def is_completed(self) -> bool:
        """Was it carried out? Recorded answers say COMPLETE, the OpenAPI file COMPLETED."""
        return self.status in ("COMPLETE", "COMPLETED")

    @property
    def is_finished(self) -> bool:
        """Will the status stay?"""
        return self.is_completed or self.status == "REJECTED"


class Advertisers:
    """``client.advertisers``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "instances", self._transport.instance(instance_id), "advertisers", *segments)

    def list(
        self, instance_id: str | None = None, *, advertiser_type: str | None = None, limit: int | None = None
    ) -> Iterator[Advertiser]:
        """List the advertisers of an instance.

        :param instance_id: default the client's own.
        :param advertiser_type: only those of a type: ``DISPLAY``, ``SPONSORED_ADS`` or ``SAS``.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        if advertiser_type is not None and advertiser_type not in TYPES:
            raise AmcValidationError(f"advertiser_type must be one of {', '.join(TYPES)}, got {advertiser_type!r}.")
        return map(
            Advertiser.from_api,
            self._items(self._path(instance_id), "advertisers", {"type": advertiser_type}, page_size(limit)),
        )

    def updates(self, instance_id: str | None = None, *, limit: int | None = None) -> Iterator[AdvertiserUpdate]:
        """List the updates of an instance, without the advertisers in them.

        :param instance_id: default the client's own.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        address = self._path(instance_id, "updates")
        return map(AdvertiserUpdate.from_api, self._items(address, "advertiserUpdates", {}, page_size(limit)))

    def get_update(self, update_id: int, instance_id: str | None = None) -> AdvertiserUpdate:
        """Get an update.

        :param update_id: its number; AMC counts from 0.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path(instance_id, "updates", str(check_range(update_id, "update_id", 0, 2**53)))
        return self._read(self._transport.call("GET", address, media_type=INSTANCES))

    def update(
        self,
        *,
        add: Sequence[object] = (),
        remove: Sequence[object] = (),
        instance_id: str | None = None,
    ) -> AdvertiserUpdate:
        """Ask for one change. An instance has one open update at a time: wait until it ``is_finished``.

        :param add: advertisers to add, ten at most: :class:`AdvertiserId`, or mappings with ``id``, ``type`` and
            ``marketplaceId``.
        :param remove: advertisers to remove, ten at most.
        :param instance_id: default the client's own.
        :return: the update, PENDING as a rule.
        :raises AmcValidationError: they are none, too many, or not advertisers; nothing was sent.
        :raises AmcInvalidRequestError: another update is open, or the instance takes none.
        """
        added, removed = advertiser_ids(add, "add"), advertiser_ids(remove, "remove")
        if not added and not removed:
            raise AmcValidationError("There is nothing to change: give advertisers to add or to remove.")
        for name, chosen in (("add", added), ("remove", removed)):
            if len(chosen) > BATCH:
                raise AmcValidationError(f"{name}: AMC takes {BATCH} advertisers with one update, got {len(chosen)}.")
        body = {
            "advertisersToAdd": [one.to_api() for one in added],
            "advertisersToRemove": [one.to_api() for one in removed],
        }
        address = self._path(instance_id, "updates")
        try:
            data = self._transport.call("POST", address, media_type=INSTANCES, body=body, repeat=False)
        except AmcUnknownOutcomeError:
            found = self._last(instance_id)
            if found is None or found.is_finished or not _asks_for(found, added, removed):
                raise
            return found
        return self._read(data)

    def _last(self, instance_id: str | None) -> AdvertiserUpdate | None:
        numbers = [one.update_id for one in self.updates(instance_id) if one.update_id is not None]
        return self.get_update(max(numbers), instance_id) if numbers else None

    def _items(self, address: str, key: str, query: Mapping[str, object], size: int | None) -> Iterator[Raw]:
        def fetch(token: str | None) -> dict[str, Any]:
            asked = {**query, "nextToken": token, "limit": size}
            return self._transport.call("GET", address, media_type=INSTANCES, query=asked)

        return items(fetch, key)

    def _read(self, data: Raw) -> AdvertiserUpdate:
        return AdvertiserUpdate.from_api(unwrap(data, "advertiserUpdate", "updateId"))


def advertiser_ids(values: Sequence[object], name: str) -> builtins.list[AdvertiserId]:
    """Read advertisers, each once, in their order.

    :param values: see :meth:`Advertisers.update`.
    :param name: name of the argument, for the errors.
    :raises AmcValidationError: it is no list of advertisers.
    """
    if isinstance(values, (str, bytes, Mapping)):
        raise AmcValidationError(f"{name} must be a list of advertisers, got {type(values).__name__}.")
    return [*dict.fromkeys(AdvertiserId.parse(value, f"{name}[{number}]") for number, value in enumerate(values))]


def _asks_for(update: AdvertiserUpdate, added: Sequence[AdvertiserId], removed: Sequence[AdvertiserId]) -> bool:
    return all(
        sorted(advertiser_ids(found, "update")) == sorted(wanted)
        for found, wanted in ((update.advertisers_to_add, added), (update.advertisers_to_remove, removed))
    )
