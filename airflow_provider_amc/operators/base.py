"""What all AMC operators share: the connection, the instance and the hook."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.hooks.amc import AmcHook


class AmcBaseOperator(BaseOperator):
    """Base of the AMC operators.

    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    """

    template_fields: Sequence[str] = ("amc_conn_id", "instance_id")
    ui_color = "#232f3e"
    ui_fgcolor = "#ff9900"

    def __init__(self, *, amc_conn_id: str = "amc_default", instance_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id

    @cached_property
    def hook(self) -> AmcHook:
        """The hook, made when the task runs."""
        from airflow_provider_amc.hooks.amc import AmcHook

        return AmcHook(self.amc_conn_id, instance_id=self.instance_id or None)

    @property
    def client(self) -> AmcClient:
        """The AMC client, with the operator's instance as its default."""
        return self.hook.get_conn()
