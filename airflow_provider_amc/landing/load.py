"""Chooses the loader of a connection."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from airflow_provider_amc.exceptions import AmcConfigurationError

if TYPE_CHECKING:
    from airflow_provider_amc.landing.loaders.base import TableLoader

#: Loader by connection type. Everything else goes through :class:`~.loaders.dbapi.DbApiLoader`.
_LOADERS = {
    "duckdb": ("airflow_provider_amc.landing.loaders.duckdb", "DuckDBLoader"),
    "postgres": ("airflow_provider_amc.landing.loaders.postgres", "PostgresLoader"),
    "sqlite": ("airflow_provider_amc.landing.loaders.sqlite", "SqliteLoader"),
}

_DEFAULT = ("airflow_provider_amc.landing.loaders.dbapi", "DbApiLoader")


def loader_for(hook: object) -> TableLoader:
    """Return the loader that fits a connection's hook.

    :param hook: the hook of the target connection.
    :raises AmcConfigurationError: the connection is not one of a SQL database.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    if not isinstance(hook, DbApiHook):
        raise AmcConfigurationError(
            f"{type(hook).__name__} is not a SQL database hook, so no table can be loaded through it. Use a connection "
            "of a database provider, such as postgres or duckdb."
        )
    module, name = _LOADERS.get(str(hook.conn_type), _DEFAULT)
    loader: type[TableLoader] = getattr(import_module(module), name)
    return loader(hook)
