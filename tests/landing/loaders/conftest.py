"""A data lake: S3, and a Glue catalogue of its tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.services import aws_connection


@pytest.fixture(scope="session")
def clients(s3_url: str) -> tuple[Any, Any]:
    """The hooks of S3 and of the catalogue. Making a client takes longer than a load."""
    from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(s3_url))
        # boto3 would take the checksum that moto 5.1 gives for parts for one of the whole object.
        hooks = S3Hook(config=Config(response_checksum_validation="when_required")), GlueCatalogHook()
        for hook in hooks:
            hook.get_conn()
    return hooks


@pytest.fixture
def lake(s3_url: str, clients: tuple[Any, Any], new_table: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hook of an Athena connection, with a bucket and a database of its own."""
    from airflow.providers.common.compat.sdk import BaseHook

    s3, glue = clients
    bucket = f"lake-{os.getpid()}-{new_table().replace('_', '-')}"
    database = bucket.replace("-", "_")
    s3.create_bucket(bucket)
    location = f"s3://{bucket}/lake"
    glue.get_conn().create_database(DatabaseInput={"Name": database, "LocationUri": location})
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(s3_url))
    connection = {"conn_type": "athena", "schema": database, "extra": {"region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    monkeypatch.setattr("airflow_provider_amc.landing.loaders.athena.SETTLED", timedelta(0))
    hook = BaseHook.get_connection("lake").get_hook()
    hook.bucket = bucket
    return hook
