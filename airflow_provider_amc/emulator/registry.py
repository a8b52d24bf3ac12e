"""The instances of the account: those of the settings, changed or deleted since, and those that were created."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.progress import Progress
from airflow_provider_amc.emulator.store import Store

KIND = "instance"
#: Documents of the account, not of an instance.
_ACCOUNT = ""
_STAGES = ("REQUESTED", "SUBMITTED", "IN_PROGRESS")
#: 2024-01-15T10:00:00Z, when the instances of the settings were made.
_CONFIGURED = 1_705_312_800.0
#: Longest creation of an instance by self service (AMC API documentation, "Instant access to AMC").
CREATION_SECONDS = 300.0
_FIRST_LOOK = "self_service_began"


@dataclass
class Collaboration:
    """What AWS Clean Rooms keeps of an instance.

    :param id: its id.
    :param name: its name.
    :param accepted: when the customer accepts the invitation, epoch seconds of virtual time.
    :param partners: the customer partners, each with ``awsAccountId``, ``displayName``, ``abilities`` and ``status``.
    """

    id: str
    name: str
    accepted: float
    partners: list[dict[str, Any]]


@dataclass
class Instance:
    """One instance.

    :param id: its id.
    :param name: ``instanceName``.
    :param type: ``STANDARD`` or ``SANDBOX``.
    :param began: when it was asked for, epoch seconds of virtual time.
    :param seconds: how long its creation takes.
    :param failure: why it cannot be created.
    :param advertiser_name: ``advertiserName`` of the request, ``customerCanonicalName`` of the answers.
    :param aws_account_id: the customer's AWS account.
    :param bucket: the customer's bucket.
    :param configured: is it one of the settings, with the advertisers that such have?
    :param collaboration: its collaboration, ``None`` if it is not backed by AWS Clean Rooms.
    :param deleted: was it deleted?
    """

    id: str
    name: str
    type: str = "STANDARD"
    began: float = _CONFIGURED
    seconds: float = 0.0
    failure: str | None = None
    advertiser_name: str | None = None
    aws_account_id: str = ""
    bucket: str = ""
    configured: bool = False
    collaboration: Collaboration | None = None
    deleted: bool = False

    @classmethod
    def load(cls, body: dict[str, Any]) -> Instance:
        """Read back what was kept of an instance, also by an older version."""
        known = {item.name for item in fields(cls)}
        instance = cls(**{name: value for name, value in body.items() if name in known})
        if body.get("collaboration") is not None:
            instance.collaboration = Collaboration(**body["collaboration"])
        return instance

    @property
    def creation(self) -> Progress:
        """How far its creation is."""
        return Progress(self.began, self.seconds, self.failure)

    @property
    def account(self) -> str:
        """The customer's AWS account, a made-up one if there is none."""
        return self.aws_account_id or "000000000000"

    def status(self, now: float) -> str:
        """``creationStatus``."""
        return self.creation.stage(now, _STAGES) or ("FAILED" if self.failure else "COMPLETED")


class InstanceRegistry:
    """Knows all instances.

    :param config: which there are from the start.
    :param store: where those are kept that were created, changed or deleted.
    """

    def __init__(self, config: EmulatorConfig, store: Store) -> None:
        self._config = config
        self._store = store

    def find(self, instance_id: str) -> Instance | None:
        """An instance, ``None`` when there is none."""
        body = self._store.get_document(KIND, _ACCOUNT, instance_id)
        if body is not None:
            found = Instance.load(body)
            return None if found.deleted else found
        return self._configured().get(instance_id)

    def type_of(self, instance_id: str) -> str:
        """``STANDARD`` or ``SANDBOX``."""
        found = self.find(instance_id)
        return "STANDARD" if found is None else found.type

    def listed(self) -> list[Instance]:
        """All instances, those of the settings first, then by age."""
        found = self._configured()
        for _, body in self._store.all_documents(KIND):
            found[body["id"]] = Instance.load(body)
        return [instance for instance in found.values() if not instance.deleted]

    def types(self) -> dict[str, str]:
        """The type of each instance."""
        return {instance.id: instance.type for instance in self.listed()}

    def save(self, instance: Instance) -> None:
        """Keep an instance that is new or was changed."""
        body = asdict(instance)
        if not self._store.replace_document(KIND, _ACCOUNT, instance.id, body):
            self._store.add_document(KIND, _ACCOUNT, instance.id, body)

    def delete(self, instance: Instance) -> None:
        """Delete an instance with its workflows, schedules, audiences and whatever else belongs to it."""
        self._store.delete_documents(instance.id)
        if instance.configured:
            instance.deleted = True
            self.save(instance)
        else:
            self._store.delete_document(KIND, _ACCOUNT, instance.id)

    def looked_at(self, now: float) -> None:
        """Somebody lists the instances: with self service that asks for the first one."""
        if self._config.access == "self_service" and self._store.get_meta(_FIRST_LOOK) is None:
            self._store.set_meta(_FIRST_LOOK, repr(now))

    def _configured(self) -> dict[str, Instance]:
        self_service, began, seconds = self._config.access == "self_service", _CONFIGURED, 0.0
        if self_service:
            first_look = self._store.get_meta(_FIRST_LOOK)
            if first_look is None:
                return {}
            began = float(first_look)
            if self._config.speed == "realistic":
                seconds = random.Random(f"{self._config.seed}:self service").uniform(60.0, CREATION_SECONDS)  # noqa: S311
        return {
            instance_id: Instance(
                instance_id,
                f"Emulator {'sandbox ' if kind == 'SANDBOX' else ''}{instance_id}",
                kind,
                began=began,
                seconds=seconds,
                advertiser_name="Emulator advertiser",
                aws_account_id="000000000000",
                configured=True,
            )
            for instance_id, kind in self._config.instances().items()
            if not (self_service and kind == "SANDBOX")
        }
