"""Amazon Marketing Cloud over HTTP. Imports no Airflow, and no HTTP library before the first request."""

from __future__ import annotations

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
