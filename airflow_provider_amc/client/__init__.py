"""Amazon Marketing Cloud over HTTP. Imports no Airflow, no HTTP library before the first request, and
of itself only what is asked for: a triggerer imports parts of it on its event loop."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_amc.client.amc import AmcClient
    from airflow_provider_amc.client.auth import (
        SCOPE_AUDIENCES,
        SCOPE_CAMPAIGN_MANAGEMENT,
        Credentials,
        TokenGrant,
        authorization_url,
        exchange_code,
    )
    from airflow_provider_amc.client.models import (
        Account,
        DataSource,
        DataSourceColumn,
        DownloadUrls,
        Execution,
        ExecutionStatus,
        Instance,
        OutputColumn,
        Schedule,
        Workflow,
    )
    from airflow_provider_amc.client.regions import Region
    from airflow_provider_amc.client.results import ExecutionResults, ResultFile
    from airflow_provider_amc.client.retry import RetryPolicy
    from airflow_provider_amc.client.workflows import workflow_definition

__all__ = [
    "SCOPE_AUDIENCES",
    "SCOPE_CAMPAIGN_MANAGEMENT",
    "Account",
    "AmcClient",
    "Credentials",
    "DataSource",
    "DataSourceColumn",
    "DownloadUrls",
    "Execution",
    "ExecutionResults",
    "ExecutionStatus",
    "Instance",
    "OutputColumn",
    "Region",
    "ResultFile",
    "RetryPolicy",
    "Schedule",
    "TokenGrant",
    "Workflow",
    "authorization_url",
    "exchange_code",
    "workflow_definition",
]

#: Where the names above are defined.
_MODULES = {
    "SCOPE_AUDIENCES": "auth",
    "SCOPE_CAMPAIGN_MANAGEMENT": "auth",
    "Account": "models",
    "AmcClient": "amc",
    "Credentials": "auth",
    "DataSource": "models",
    "DataSourceColumn": "models",
    "DownloadUrls": "models",
    "Execution": "models",
    "ExecutionResults": "results",
    "ExecutionStatus": "models",
    "Instance": "models",
    "OutputColumn": "models",
    "Region": "regions",
    "ResultFile": "results",
    "RetryPolicy": "retry",
    "Schedule": "models",
    "TokenGrant": "auth",
    "Workflow": "models",
    "authorization_url": "auth",
    "exchange_code": "auth",
    "workflow_definition": "workflows",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
