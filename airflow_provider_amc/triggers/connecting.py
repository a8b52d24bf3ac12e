"""Clients for the event loop of a triggerer, which must not be held up: hundreds of other waits live on it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient

T = TypeVar("T")

#: What looking up a connection imports at its first time, some of it only in some versions of Airflow.
_LATE_IMPORTS = (
    "airflow.providers.common.compat.connection",
    "airflow.providers.common.compat.version_compat",
    "airflow.sdk.execution_time.cache",
    "airflow.sdk.execution_time.context",
    "airflow.sdk.log",
    "airflow.secrets.environment_variables",
    "airflow.secrets.metastore",
    "asgiref.sync",
    "airflow_provider_amc.client.amc",
    "airflow_provider_amc.client.auth",
    "airflow_provider_amc.client.retry",
)


async def connect(threads: ThreadPoolExecutor, amc_conn_id: str, instance_id: str | None) -> AmcClient:
    """Make a client without holding up the event loop, neither by what has to be imported nor by what is looked up.

    :param threads: where to do what blocks.
    :param amc_conn_id: Airflow connection of type ``amc``.
    :param instance_id: AMC instance; ``None`` takes the connection's.
    """
    hooks = await call(threads, _import_hook)
    client: AmcClient = await hooks.AmcHook(amc_conn_id, instance_id=instance_id).aget_conn()
    return client


async def call(threads: ThreadPoolExecutor, function: Callable[..., T], *arguments: object) -> T:
    """Call what blocks in a thread.

    :param threads: where.
    :param function: what.
    :param arguments: its arguments.
    """
    return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)


def describe(error: BaseException) -> str:
    """Name an error in one line."""
    return f"{type(error).__name__}: {error}"


def _import_hook() -> ModuleType:
    for name in _LATE_IMPORTS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    return importlib.import_module("airflow_provider_amc.hooks.amc")
