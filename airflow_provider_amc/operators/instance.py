"""Operators that create, change and delete AMC instances, and the advertisers in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcError, AmcNotFoundError, AmcResourceFailedError, AmcValidationError
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.task_run import TaskRun
from airflow_provider_amc.operators.waiting import AmcWaitingOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.models import Instance


class AmcCreateInstanceOperator(AmcWaitingOperator):
    """Create an AMC instance and wait until it can be used, five minutes as a rule.

    AMC remembers a request for ten minutes only, so an instance of the same name is looked for first: a retry of the
    task goes on with it.

    :param instance_name: 3 to 50 letters, digits and spaces. (templated)
    :param advertiser_name: likewise. (templated)
    :param aws_account_id: AWS account whose bucket receives results. (templated)
    :param s3_bucket_name: that bucket. (templated)
    :param collaboration: back the instance with a collaboration of AWS Clean Rooms.
    :param partners: members of the collaboration besides you. (templated)
    :param if_exists: what to do when an instance has the name: ``skip`` waits for it and returns its id, ``fail`` fails
        the task, unless this task has made it. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :returns: the instance id.
    :raises AmcValidationError: an argument is wrong, or the name is taken and ``if_exists`` is ``fail``.
    :raises AmcResourceFailedError: AMC could not create it.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = (
        "instance_name",
        "advertiser_name",
        "aws_account_id",
        "s3_bucket_name",
        "partners",
        "amc_conn_id",
    )

    def __init__(
        self,
        *,
        instance_name: str,
        advertiser_name: str | None = None,
        aws_account_id: str | None = None,
        s3_bucket_name: str | None = None,
        collaboration: bool | None = None,
        partners: Sequence[Mapping[str, Any]] | None = None,
        if_exists: str = "skip",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if if_exists not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_exists must be skip or fail, got {if_exists!r}.")
        self.instance_name = instance_name
        self.advertiser_name = advertiser_name
        self.aws_account_id = aws_account_id
        self.s3_bucket_name = s3_bucket_name
        self.collaboration = collaboration
        self.partners = partners
        self.if_exists = if_exists

    def execute(self, context: Context) -> str:
        """Create the instance, or find it."""
        from airflow_provider_amc.client.run_key import digest

        task = TaskRun.of(context)
        instance = self._existing()
        if instance is None:
            instance = self.client.instances.create(
                self.instance_name,
                advertiser_name=self.advertiser_name,
                aws_account_id=self.aws_account_id,
                s3_bucket_name=self.s3_bucket_name,
                collaboration=self.collaboration,
                partners=self.partners,
                idempotency_token=digest([task.identity("retry"), self.instance_name], 32),
            )
            self.log.info("AMC instance %s (%s) is being created", instance.instance_id, self.instance_name)
        elif self.if_exists == "fail" and not task.is_retry:
            raise AmcValidationError(f"The AMC instance {instance.instance_id} is named {self.instance_name} already.")
        else:
            self.log.info("AMC instance %s is named %s already", instance.instance_id, self.instance_name)
        if not self.wait_for_completion:
            return instance.instance_id
        result: str = self.wait_for("instance", {"instance_id": instance.instance_id}, instance.instance_id)
        return result

    def _existing(self) -> Instance | None:
        named = [one for one in self.client.instances.list() if one.instance_name == self.instance_name]
        return next((one for one in named if (one.creation_status or "").upper() != "FAILED"), None)


class AmcUpdateInstanceOperator(AmcBaseOperator):
    """Change an AMC instance; what is not given stays as it is.

    :param instance_id: the instance. (templated)
    :param instance_name: 3 to 50 letters, digits and spaces. (templated)
    :param advertiser_name: likewise. (templated)
    :param aws_account_id: AWS account whose bucket receives results. (templated)
    :param s3_bucket_name: that bucket. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :returns: the instance id.
    """

    template_fields: Sequence[str] = (
        "instance_name",
        "advertiser_name",
        "aws_account_id",
        "s3_bucket_name",
        *AmcBaseOperator.template_fields,
    )

    def __init__(
        self,
        *,
        instance_name: str | None = None,
        advertiser_name: str | None = None,
        aws_account_id: str | None = None,
        s3_bucket_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.instance_name = instance_name
        self.advertiser_name = advertiser_name
        self.aws_account_id = aws_account_id
        self.s3_bucket_name = s3_bucket_name

    def execute(self, context: Context) -> str:
        """Change the instance."""
        return self.client.instances.update(
            instance_name=self.instance_name,
            advertiser_name=self.advertiser_name,
            aws_account_id=self.aws_account_id,
            s3_bucket_name=self.s3_bucket_name,
        ).instance_id


class AmcDeleteInstanceOperator(AmcBaseOperator):
    """Delete an AMC instance with all that is in it.

    :param instance_id: the instance. It has to be named: the connection's is never taken. (templated)
    :param if_missing: ``skip`` succeeds when there is no such instance, ``fail`` fails. Default: ``skip``.
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :raises AmcNotFoundError: there is no such instance and ``if_missing`` is ``fail``.
    """

    def __init__(self, *, instance_id: str, if_missing: str = "skip", **kwargs: Any) -> None:
        super().__init__(instance_id=instance_id, **kwargs)
        if if_missing not in ("skip", "fail"):
            raise AmcValidationError(f"Task {self.task_id}: if_missing must be skip or fail, got {if_missing!r}.")
        self.if_missing = if_missing

    def execute(self, context: Context) -> None:
        """Delete the instance."""
        if not self.instance_id:
            raise AmcValidationError(f"Task {self.task_id}: instance_id is empty. Name the instance to delete.")
        known = {one.instance_id for one in self.client.instances.list()}
        if self.instance_id not in known:
            if self.if_missing == "fail":
                raise AmcNotFoundError(f"There is no AMC instance {self.instance_id}.")
            self.log.info("There is no AMC instance %s to delete", self.instance_id)
            return
        self.client.instances.delete(self.instance_id)
        self.log.info("AMC instance %s deleted", self.instance_id)


class AmcUpdateAdvertisersOperator(AmcWaitingOperator):
    """Add advertisers to an instance and remove others, in as many updates as AMC needs, one after another.

    AMC takes ten of each with one update and has one open update at a time. Advertisers that are there already are not
    added again and those that are not are not removed, so that a retry goes on where the try before it stopped.

    :param add: advertisers to add: mappings with ``id``, ``type`` and ``marketplaceId``. (templated)
    :param remove: advertisers to remove, likewise. (templated)
    :param instance_id: the instance. Default: that of the connection. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :returns: how many were ``added`` and ``removed``.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcResourceFailedError: AMC rejected an update; those before it stay.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = ("add", "remove", *AmcBaseOperator.template_fields)

    def __init__(
        self,
        *,
        add: Sequence[Mapping[str, Any]] = (),
        remove: Sequence[Mapping[str, Any]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.add = add
        self.remove = remove

    def execute(self, context: Context) -> dict[str, int]:
        """Ask for the first update; the others follow when it has ended."""
        from airflow_provider_amc.client.advertisers import advertiser_ids

        advertiser_ids(self.add, "add"), advertiser_ids(self.remove, "remove")
        if (open_update := self._open()) is not None:
            self.log.info("AMC update %s of the instance's advertisers is open: waiting for it", open_update)
            return self._wait(open_update, {"added": 0, "removed": 0})
        return self._next({"added": 0, "removed": 0})

    def concluded(self, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Ask for the next update."""
        return self._next(result)

    def _next(self, done: dict[str, int]) -> dict[str, int]:
        from airflow_provider_amc.client.advertisers import BATCH, advertiser_ids

        there = {one.key for one in self.client.advertisers.list()}
        add = [one for one in advertiser_ids(self.add, "add") if one not in there]
        remove = [one for one in advertiser_ids(self.remove, "remove") if one in there]
        if not add and not remove:
            self.log.info("Advertisers of %s: %s", self.client.instance_id, done)
            return done
        asked = done["added"] + done["removed"]
        if asked >= len(self.add) + len(self.remove):
            # AMC said that it has carried out all of them.
            raise AmcResourceFailedError(
                f"AMC has completed the updates, and {len(add) + len(remove)} of the advertisers are still not as asked "
                "for. Their sponsored ads or DSP entity may not be reachable with this account."
            )
        chosen_add, chosen_remove = add[:BATCH], remove[:BATCH]
        update = self.client.advertisers.update(add=chosen_add, remove=chosen_remove)
        self.log.info(
            "AMC update %s: adding %s advertisers, removing %s", update.update_id, len(chosen_add), len(chosen_remove)
        )
        so_far = {"added": done["added"] + len(chosen_add), "removed": done["removed"] + len(chosen_remove)}
        if not self.wait_for_completion and len(add) <= BATCH and len(remove) <= BATCH:
            return so_far
        return self._wait(str(update.update_id), so_far)

    def _wait(self, update_id: str, done: dict[str, int]) -> dict[str, int]:
        names = {"instance_id": self.client.instance_id or "", "update_id": update_id}
        result: dict[str, int] = self.wait_for("advertiser update", names, done)
        return result

    def _open(self) -> str | None:
        try:
            updates = list(self.client.advertisers.updates())
        except AmcError as error:
            self.log.warning("Could not list the updates of the advertisers: %s", error)
            return None
        found = [one for one in updates if not one.is_finished and one.update_id is not None]
        return str(found[-1].update_id) if found else None
