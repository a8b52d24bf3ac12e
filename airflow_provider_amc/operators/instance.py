"""Operators that create, change and delete AMC instances, and the advertisers in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcNotFoundError, AmcResourceFailedError, AmcValidationError
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.task_run import TaskRun
from airflow_provider_amc.operators.waiting import AmcWaitingOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.advertisers import AdvertiserId
    from airflow_provider_amc.client.models import Instance

#: By how much AMC's clock may be behind ours.
_CLOCKS_DIFFER = timedelta(minutes=1)
#: Advertisers that an error names.
_NAMED = 5


class AmcCreateInstanceOperator(AmcWaitingOperator):
    """Create an AMC instance and wait until it can be used, five minutes as a rule.

    AMC remembers a request for ten minutes only, so an instance of the same name is looked for first: a retry of the
    task goes on with it. One whose creation has failed does not count.

    :param instance_name: 3 to 50 letters, digits and spaces. (templated)
    :param advertiser_name: likewise. (templated)
    :param aws_account_id: AWS account whose bucket receives results. (templated)
    :param s3_bucket_name: that bucket. (templated)
    :param collaboration: back the instance with a collaboration of AWS Clean Rooms.
    :param partners: members of the collaboration besides you. (templated)
    :param if_exists: what to do when an instance has the name: ``skip`` waits for it and returns its id, ``fail`` fails
        the task, unless an earlier try of it made the instance. Default: ``skip``.
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
        task = TaskRun.of(context)
        named = [one for one in self.client.instances.list() if one.instance_name == self.instance_name]
        failed = [one.instance_id for one in named if (one.creation_status or "").upper() == "FAILED"]
        instance = next((one for one in named if one.instance_id not in failed), None)
        if instance is None:
            instance = self._create(task, failed)
            self.log.info("AMC instance %s (%s) is being created", instance.instance_id, self.instance_name)
        elif self.if_exists == "fail" and not _may_be_of(task, instance):
            raise AmcValidationError(f"The AMC instance {instance.instance_id} is named {self.instance_name} already.")
        else:
            self.log.info("AMC instance %s is named %s already", instance.instance_id, self.instance_name)
        if not self.wait_for_completion:
            return instance.instance_id
        names = {"instance_id": instance.instance_id}
        result: str = self.wait_for(context, "instance", names, instance.instance_id)
        return result

    def _create(self, task: TaskRun, failed: Sequence[str]) -> Instance:
        from airflow_provider_amc.client.run_key import digest

        request: dict[str, Any] = {
            "advertiser_name": self.advertiser_name,
            "aws_account_id": self.aws_account_id,
            "s3_bucket_name": self.s3_bucket_name,
            "collaboration": self.collaboration,
            "partners": self.partners,
        }
        # Tries share a token, or a lost answer makes a second instance; but after a failed creation it would bring back
        # the failed instance.
        token = digest([task.identity("retry"), self.instance_name, request, sorted(failed)], 32)
        return self.client.instances.create(self.instance_name, **request, idempotency_token=token)


def _may_be_of(task: TaskRun, instance: Instance) -> bool:
    """Whether an earlier try may have made an instance. AMC tells no creation time of one that it has just begun."""
    created = instance.creation_datetime
    return task.is_retry and (created is None or created >= task.since - _CLOCKS_DIFFER)


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

    AMC takes ten of each with one update and has one open update at a time; one that is open already, whoever asked for
    it, is waited for. Advertisers that are there already are not added again and those that are not are not removed, so
    that a retry goes on where the try before it stopped.

    :param add: advertisers to add: mappings with ``id``, ``type`` and ``marketplaceId``. (templated)
    :param remove: advertisers to remove, likewise. (templated)
    :param wait_for_completion: ``False`` does not wait for the last update; those before it have to end in any case.
        Default: ``True``.
    :param instance_id: the instance. Default: that of the connection. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :returns: how many were ``added`` and ``removed``.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcResourceFailedError: AMC rejected an update; those before it stay.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the other arguments of the wait.
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
        """Ask for one update after another."""
        self._wanted()
        return self._go_on({"added": 0, "removed": 0, "left": None, "own": None})

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Ask for the next update."""
        return self._go_on(result)

    def failed(self, kind: str, names: Mapping[str, str], result: Any, status: str, reason: str | None) -> None:
        """Go on when the update was somebody else's, or that of an earlier try."""
        if names["update_id"] == result["own"]:
            super().failed(kind, names, result, status, reason)
        self.log.warning("AMC update %s, which was open before, ended as %s", names["update_id"], status)

    def _wanted(self) -> tuple[list[AdvertiserId], list[AdvertiserId]]:
        from airflow_provider_amc.client.advertisers import advertiser_ids

        add, remove = advertiser_ids(self.add, "add"), advertiser_ids(self.remove, "remove")
        if both := sorted({*add} & {*remove}):
            raise AmcValidationError(f"{both[0].type} advertiser {both[0].id} is to be added and to be removed.")
        return add, remove

    def _go_on(self, state: dict[str, Any]) -> dict[str, int]:
        """Ask for updates until nothing is left to do.

        :param state: how many were ``added`` and ``removed``, how many should be ``left`` now, and ``own``, the update
            that this try asked for last.
        """
        while True:
            if (update_id := self._open()) is not None:
                self.log.info("AMC update %s of the instance's advertisers is open: waiting for it", update_id)
                state = {**state, "own": None}
            else:
                add, remove = self._to_do(state["left"])
                if not add and not remove:
                    break
                state = self._ask(add, remove, state)
                update_id = state["own"]
                if not state["left"] and not self.wait_for_completion:
                    break
            names = {"instance_id": self.client.instance_id or "", "update_id": update_id}
            self.settle("advertiser update", names, state)
        done = {name: state[name] for name in ("added", "removed")}
        self.log.info("Advertisers of AMC instance %s: %s", self.client.instance_id, done)
        return done

    def _open(self) -> str | None:
        updates = self.client.advertisers.updates()
        return next((str(one.update_id) for one in updates if not one.is_finished and one.update_id is not None), None)

    def _to_do(self, expected: int | None) -> tuple[list[AdvertiserId], list[AdvertiserId]]:
        wanted_add, wanted_remove = self._wanted()
        there = {one.key for one in self.client.advertisers.list()}
        add = [one for one in wanted_add if one not in there]
        remove = [one for one in wanted_remove if one in there]
        if expected is not None and len(add) + len(remove) > expected:
            # AMC said that it had carried out the update.
            some = ", ".join(one.id for one in [*add, *remove][:_NAMED])
            raise AmcResourceFailedError(
                f"AMC has completed the updates, and {len(add) + len(remove)} advertisers are still not as asked for "
                f"({some}). Check that this account can reach them."
            )
        return add, remove

    def _ask(self, add: list[AdvertiserId], remove: list[AdvertiserId], state: dict[str, Any]) -> dict[str, Any]:
        from airflow_provider_amc.client.advertisers import BATCH

        adding, removing = add[:BATCH], remove[:BATCH]
        update = self.client.advertisers.update(add=adding, remove=removing)
        self.log.info("AMC update %s: adding %s advertisers, removing %s", update.update_id, len(adding), len(removing))
        return {
            "added": state["added"] + len(adding),
            "removed": state["removed"] + len(removing),
            "left": len(add) + len(remove) - len(adding) - len(removing),
            "own": str(update.update_id),
        }
