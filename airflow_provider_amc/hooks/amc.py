"""The hook: a connection of type ``amc`` becomes an :class:`~airflow_provider_amc.client.AmcClient`."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, conf, mask_secret

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcError
from airflow_provider_amc.hooks.connection import ConnectionSettings, secret_values

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_amc.client import AmcClient


#: A connection test should answer while a person waits: seconds to keep trying, to connect, and to get an answer.
_TEST_PATIENCE = 5.0
_TEST_TIMEOUT = (5.0, 15.0)

#: Seconds for which a call of a trigger keeps trying: none, for it looks again by itself, when AMC wants it to, and a
#: call that waits would hold one of its few threads.
_TRIGGER_PATIENCE = 0.0

#: Clients of the triggers of this process. Hundreds of them share a few connections, for as long as one is in use.
_shared: weakref.WeakValueDictionary[tuple[ConnectionSettings, str | None], AmcClient] = weakref.WeakValueDictionary()


def _masker_for(loop: asyncio.AbstractEventLoop) -> Callable[[str], None] | None:
    """Return what masks a secret from a worker thread of a triggerer, without blocking its event loop.

    Airflow 2 masks within the process. Airflow 3 tells its supervisor too, which is safe from a trigger with
    ``amask_secret`` alone (3.3.2 and later); before that nothing is masked here, and nothing here logs a secret.
    """
    from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

    if not AIRFLOW_V_3_0_PLUS:
        return mask_secret
    try:
        from airflow.sdk.log import amask_secret
    except ImportError:
        return None

    def mask(secret: str) -> None:
        if not loop.is_closed():
            asyncio.run_coroutine_threadsafe(amask_secret(secret), loop)

    return mask


class AmcHook(BaseHook):
    """Connect to Amazon Marketing Cloud (AMC).

    Login with Amazon (LwA) credentials come from the connection, or from an AWS Secrets Manager secret that the
    connection names. The access token is refreshed when needed; it is never stored.

    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``.
    :param instance_id: AMC instance for calls that name none; replaces the connection's ``instance_id``.
    """

    conn_name_attr = "amc_conn_id"
    default_conn_name = "amc_default"
    conn_type = "amc"
    hook_name = "Amazon Marketing Cloud"

    def __init__(self, amc_conn_id: str = default_conn_name, *, instance_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.amc_conn_id = amc_conn_id
        self.instance_id = instance_id

    @cached_property
    def conn(self) -> AmcClient:
        """The client of this hook, made on first use."""
        connection = self.get_connection(self.amc_conn_id)
        settings = ConnectionSettings.read(connection, connection.extra_dejson)
        return self._client(self._with_secret(settings), on_secret=mask_secret)

    @cached_property
    def lineage_namespace(self) -> str:
        """How lineage names the instance: ``amc://<region>/<instance>``. The credentials are not needed for it."""
        from airflow_provider_amc.client.regions import Region
        from airflow_provider_amc.landing.lineage import amc_namespace

        connection = self.get_connection(self.amc_conn_id)
        settings = ConnectionSettings.read(connection, connection.extra_dejson)
        return amc_namespace(Region.parse(settings.region).value, self.instance_id or settings.instance_id)

    def get_conn(self) -> AmcClient:
        """Return the AMC client.

        :returns: one client per hook; it is safe to use from several threads.
        :raises AmcConfigurationError: the connection, or the secret it names, is incomplete.
        """
        return self.conn

    async def aget_conn(self) -> AmcClient:
        """Return a client for use in a trigger: the connection is looked up without blocking the event loop.

        Triggers of one process share the client of a connection and instance. Its calls block, so run them in threads.
        """
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        connection = await get_async_connection(self.amc_conn_id, self)
        settings = ConnectionSettings.read(connection, await get_async_extra_dejson(connection))
        if settings.secret_id:
            # Looked up here, because the Amazon hook would look it up synchronously in the triggerer.
            aws_connection: Connection | AirflowNotFoundException
            try:
                aws_connection = await get_async_connection(settings.aws_conn_id)
            except AirflowNotFoundException as error:
                # The Amazon hook then takes the credentials of the machine, such as an IAM role.
                aws_connection = error
            settings = await asyncio.to_thread(self._with_secret, settings, aws_connection)
        client = _shared.get((settings, self.instance_id))
        if client is None:
            client = self._client(
                settings, on_secret=_masker_for(asyncio.get_running_loop()), patience=_TRIGGER_PATIENCE
            )
            _shared[settings, self.instance_id] = client
        return client

    def get_df(self, workflow_execution_id: str, *, instance_id: str | None = None) -> pd.DataFrame:
        """Read the result of an execution into a pandas DataFrame.

        Types come from the execution's ``outputColumns``: whole numbers are nullable integers (18-digit ids stay exact
        with missing values), decimals are exact, suppressed cells are missing. The result has to fit into memory;
        use the transfers for large ones.

        :param workflow_execution_id: an execution that has succeeded.
        :param instance_id: its AMC instance. Default: that of the hook or the connection.
        :raises AmcNotReadyError: the execution has no result yet.
        :raises AmcExecutionError: the execution failed, was rejected or cancelled.
        :raises AmcResultError: a result file could not be read whole.
        """
        from airflow_provider_amc.landing.frame import read_frame
        from airflow_provider_amc.landing.origin import require_result

        client = self.get_conn()
        execution = client.executions.get(workflow_execution_id, instance_id=instance_id)
        require_result(execution)
        results = client.executions.results(workflow_execution_id, instance_id=instance_id)
        return read_frame(execution.output_columns, results)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection step by step: token, terms, account, instance, data sources.

        :returns: whether it works, and the steps that passed or the first that failed with what to do about it.
        """
        from airflow_provider_amc.hooks.checks import connection_steps, run

        try:
            client = self.test_client()
        except (AmcError, AirflowNotFoundException) as error:
            return False, f"Failed at the step 'configuration': {error}"
        passed: list[str] = []
        for outcome in run(connection_steps(client)):
            if not outcome.passed:
                done = f"{'; '.join(passed)}. " if passed else ""
                return False, f"{done}Failed at the step '{outcome.name}': {outcome.message}"
            passed.append(f"{outcome.name.capitalize()}: {outcome.message}")
        return True, "; ".join(passed) + "."

    def test_client(self) -> AmcClient:
        """Return a client that gives up while a person waits, for :mod:`airflow_provider_amc.hooks.checks`.

        :raises AmcConfigurationError: the connection, or the secret it names, is incomplete.
        """
        connection = self.get_connection(self.amc_conn_id)
        settings = self._with_secret(ConnectionSettings.read(connection, connection.extra_dejson))
        return self._client(settings, on_secret=mask_secret, patience=_TEST_PATIENCE, timeout=_TEST_TIMEOUT)

    def _client(
        self,
        settings: ConnectionSettings,
        *,
        on_secret: Callable[[str], None] | None = None,
        patience: float | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> AmcClient:
        from airflow_provider_amc.client import AmcClient, Credentials, RetryPolicy

        settings.check()
        if patience is None:
            patience = conf.getfloat("amc", "retry_patience", fallback=60.0)
        return AmcClient(
            Credentials(settings.client_id or "", settings.client_secret or "", settings.refresh_token or ""),
            region=settings.region,
            account_id=settings.account_id,
            marketplace_id=settings.marketplace_id,
            instance_id=self.instance_id or settings.instance_id,
            base_url=settings.base_url,
            retry=RetryPolicy(patience=patience),
            timeout=timeout or (10.0, conf.getfloat("amc", "api_timeout", fallback=60.0)),
            on_secret=on_secret,
        )

    @staticmethod
    def _with_secret(
        settings: ConnectionSettings, aws_connection: Connection | AirflowNotFoundException | None = None
    ) -> ConnectionSettings:
        """Read the credentials from Secrets Manager if the connection says so.

        :param aws_connection: in a trigger, the AWS connection that was looked up already, or that there is none.
        """
        if not settings.secret_id:
            return settings
        from airflow.providers.amazon.aws.hooks.secrets_manager import SecretsManagerHook

        hook = SecretsManagerHook(aws_conn_id=settings.aws_conn_id)
        if aws_connection is not None:

            def looked_up(conn_id: str) -> Connection:
                if isinstance(aws_connection, AirflowNotFoundException):
                    raise aws_connection
                return aws_connection

            hook.get_connection = looked_up  # type: ignore[method-assign]
        try:
            text = hook.get_secret(settings.secret_id)
        except Exception as error:
            raise AmcConfigurationError(
                f"The secret {settings.secret_id!r} named by the connection {settings.conn_id!r} could not be read from "
                f"AWS Secrets Manager with the connection {settings.aws_conn_id!r}: {error}"
            ) from error
        values = secret_values(settings.secret_id, text)
        for name in ("client_secret", "refresh_token"):
            if aws_connection is None and values[name]:
                mask_secret(values[name])
        return replace(
            settings,
            client_id=values["client_id"],
            client_secret=values["client_secret"],
            refresh_token=values["refresh_token"],
        )

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Form behaviour for Airflow before 3.2, from the same declaration that newer versions read."""
        from airflow_provider_amc.get_provider_info import get_provider_info

        behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Form fields for Airflow before 3.2, from the same declaration that newer versions read."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import PasswordField, StringField

        from airflow_provider_amc.get_provider_info import get_provider_info

        fields: dict[str, Any] = get_provider_info()["connection-types"][0]["conn-fields"]
        widgets = {}
        for name, declared in fields.items():
            secret = declared["schema"].get("format") == "password"
            widgets[name] = (PasswordField if secret else StringField)(
                lazy_gettext(declared["label"]),
                widget=BS3PasswordFieldWidget() if secret else BS3TextFieldWidget(),
                description=declared["description"],
                default=declared["schema"].get("default"),
            )
        return widgets
