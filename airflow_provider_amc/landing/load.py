"""Chooses the loader of a connection."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from airflow_provider_amc.exceptions import AmcConfigurationError
from airflow_provider_amc.landing.staging import Staging

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults
    from airflow_provider_amc.landing.table import Load

#: Loader by connection type. Everything else goes through :class:`~.loaders.dbapi.DbApiLoader`.
_LOADERS = {
    "duckdb": ("airflow_provider_amc.landing.loaders.duckdb", "DuckDBLoader"),
    "postgres": ("airflow_provider_amc.landing.loaders.postgres", "PostgresLoader"),
    "sqlite": ("airflow_provider_amc.landing.loaders.sqlite", "SqliteLoader"),
}

#: The same, of warehouses that read files from S3 or from a stage.
_STAGED_LOADERS = {
    "athena": ("airflow_provider_amc.landing.loaders.athena", "AthenaLoader"),
    "redshift": ("airflow_provider_amc.landing.loaders.redshift", "RedshiftLoader"),
    "snowflake": ("airflow_provider_amc.landing.loaders.snowflake", "SnowflakeLoader"),
}

_DEFAULT = ("airflow_provider_amc.landing.loaders.dbapi", "DbApiLoader")


class Loader(Protocol):
    """Loads results into tables of one kind of database."""

    def check_mode(self, mode: str) -> None:
        """Check that rows can be loaded in a mode.

        :raises AmcValidationError: they cannot.
        """
        ...

    def load(self, load: Load, results: ExecutionResults) -> int:
        """Load all rows of a result.

        :param load: target, columns, origin, mode and policy.
        :param results: the result files of the execution.
        :returns: number of rows of the result.
        :raises AmcLoadError: the result does not fit, or the database refused it.
        """
        ...


def loader_for(hook: object, staging: Staging | None = None) -> Loader:
    """Return the loader that fits a connection's hook.

    :param hook: the hook of the target connection.
    :param staging: where files go that the warehouse loads by itself.
    :raises AmcConfigurationError: the connection is not one of a SQL database, or the warehouse needs something that
        neither ``staging`` nor a connection names.
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    if not isinstance(hook, DbApiHook):
        raise AmcConfigurationError(
            f"{type(hook).__name__} is not a SQL database hook, so no table can be loaded through it. Use a connection "
            "of a database provider, such as postgres or duckdb."
        )
    kind = str(hook.conn_type)
    if kind in _STAGED_LOADERS:
        module, name = _STAGED_LOADERS[kind]
        staged_loader: Loader = getattr(import_module(module), name)(hook, staging or Staging())
        return staged_loader
    module, name = _LOADERS.get(kind, _DEFAULT)
    loader: Loader = getattr(import_module(module), name)(hook)
    return loader
