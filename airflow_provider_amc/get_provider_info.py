"""What Airflow reads about this provider before it imports anything of it.

The connection form is declared here as data: from Airflow 3.2 on the web UI builds it from this dictionary, and from 3.3
on without importing the hook. Keep this module free of imports, every Airflow process calls it at its start.
"""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Amazon Marketing Cloud (AMC)"
_DOCS = "https://advertising.amazon.com/API/docs/en-us/guides/amazon-marketing-cloud/overview"

_UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["port", "schema"],
    "relabeling": {
        "login": "LwA client id",
        "password": "LwA client secret",
        "host": "Base URL",
    },
    "placeholders": {
        "login": "amzn1.application-oa2-client.0123456789abcdef",
        "host": "empty = Amazon's own hosts of the region; http://127.0.0.1:8600 = a local emulator or proxy",
        "account_id": "ENTITY1A2B3C4D5E6F",
        "marketplace_id": "ATVPDKIKX0DER",
        "instance_id": "amcabcdefgh",
        "refresh_token": "Atzr|...",
        "secret_id": "prod/amc/credentials",
        "aws_conn_id": "aws_default",
    },
}

_CONN_FIELDS: dict[str, Any] = {
    "refresh_token": {
        "label": "LwA refresh token",
        "description": (
            "Refresh token of the Amazon user who granted your Login with Amazon (LwA) application access to the "
            "Amazon Ads API. It starts with 'Atzr|'."
        ),
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "region": {
        "label": "Region",
        "description": "Region of the AMC account: NA (Americas), EU (Europe, Middle East) or FE (Asia Pacific).",
        "schema": {"type": "string", "enum": ["NA", "EU", "FE"], "default": "NA"},
    },
    "account_id": {
        "label": "AMC account id",
        "description": "Id of the AMC account, beginning with 'ENTITY'. It is the advertiser id of every AMC call.",
        "schema": {"type": ["string", "null"]},
    },
    "marketplace_id": {
        "label": "Marketplace id",
        "description": "Marketplace of the AMC account, for example ATVPDKIKX0DER for the United States.",
        "schema": {"type": ["string", "null"]},
    },
    "instance_id": {
        "label": "Default AMC instance id",
        "description": "Instance used by tasks that do not name one. Leave it empty to name the instance in each task.",
        "schema": {"type": ["string", "null"]},
    },
    "secret_id": {
        "label": "AWS Secrets Manager secret",
        "description": (
            "Name or ARN of a secret with the client id, the client secret and the refresh token as JSON. When it is "
            "set, the three are read from there instead of from this connection."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "aws_conn_id": {
        "label": "AWS connection id",
        "description": "Airflow connection that reads the AWS Secrets Manager secret; empty means aws_default.",
        "schema": {"type": ["string", "null"]},
    },
}

_CONFIG: dict[str, Any] = {
    "amc": {
        "description": "Defaults of the Amazon Marketing Cloud provider. Parameters of a task win over them.",
        "options": {
            "poll_interval": {
                "description": (
                    "Seconds between two looks at a young workflow execution. The interval grows with the age of the "
                    "execution, up to poll_interval_max."
                ),
                "version_added": "0.1.0",
                "type": "integer",
                "example": None,
                "default": "15",
            },
            "poll_interval_max": {
                "description": "Longest time, in seconds, between two looks at a workflow execution.",
                "version_added": "0.1.0",
                "type": "integer",
                "example": None,
                "default": "120",
            },
            "deployment_name": {
                "description": (
                    "Name of this Airflow deployment. Hashed, it becomes part of the key by which the deployment finds "
                    "its own workflow executions again, and 'amc sweep' tells them from those of others. Give every "
                    "deployment that uses the same AMC instances a name of its own. Default: the base URL of the API "
                    "server or webserver."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "analytics-production",
                "default": "",
            },
            "api_timeout": {
                "description": "Seconds to wait for the answer to one HTTP request to Amazon.",
                "version_added": "0.1.0",
                "type": "integer",
                "example": None,
                "default": "60",
            },
            "retry_patience": {
                "description": (
                    "Seconds for which one call that is safe to repeat keeps trying while Amazon throttles it, fails, "
                    "or cannot be reached."
                ),
                "version_added": "0.1.0",
                "type": "integer",
                "example": None,
                "default": "60",
            },
        },
    }
}


_ASSET_URIS: list[dict[str, Any]] = [
    {
        "schemes": ["amc"],
        "handler": "airflow_provider_amc.assets.sanitize_uri",
        "factory": "airflow_provider_amc.assets.create_asset",
        "to_openlineage_converter": "airflow_provider_amc.assets.convert_asset_to_openlineage",
    },
]


def _modules(*names: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_amc.{name}" for name in names]},
    ]


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow.

    :returns: the dictionary of the ``apache_airflow_provider`` entry point, in the shape of Airflow's
        ``provider_info.schema.json``. The same dictionary serves Airflow 2.11 (which ignores the keys that it does
        not know) and 3.x.
    """
    return {
        "package-name": "airflow-provider-amc",
        "name": "Amazon Marketing Cloud",
        "description": (
            "Workflows, executions and results of `Amazon Marketing Cloud (AMC) "
            f"<{_DOCS}>`__, landed in S3 and in warehouse tables."
        ),
        "versions": ["0.1.0"],
        "integrations": [
            {"integration-name": _INTEGRATION, "external-doc-url": _DOCS, "tags": ["service", "advertising"]},
        ],
        "hooks": _modules("hooks.amc"),
        "operators": _modules(
            "operators.workflow",
            "operators.execution",
            "operators.schedule",
            "operators.instance",
            "operators.audience",
            "operators.advertiser_audience",
            "operators.data_set",
            "operators.user_deletion",
            "operators.id_mapping",
        ),
        "sensors": _modules("sensors.execution", "sensors.freshness", "sensors.resource", "sensors.schedule"),
        "triggers": _modules("triggers.event", "triggers.execution", "triggers.resource", "triggers.schedule"),
        "transfers": [
            {
                "source-integration-name": "Amazon Simple Storage Service (S3)",
                "target-integration-name": _INTEGRATION,
                "python-module": "airflow_provider_amc.transfers.s3_to_amc",
            },
            {
                "source-integration-name": "Amazon Simple Storage Service (S3)",
                "target-integration-name": _INTEGRATION,
                "python-module": "airflow_provider_amc.transfers.s3_to_amc_audience",
            },
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Amazon Simple Storage Service (S3)",
                "python-module": "airflow_provider_amc.transfers.amc_to_s3",
            },
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Object Storage",
                "python-module": "airflow_provider_amc.transfers.amc_to_object_storage",
            },
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Common SQL",
                "python-module": "airflow_provider_amc.transfers.amc_to_sql",
            },
        ],
        "connection-types": [
            {
                "connection-type": "amc",
                "hook-class-name": "airflow_provider_amc.hooks.amc.AmcHook",
                "hook-name": "Amazon Marketing Cloud",
                "ui-field-behaviour": _UI_FIELD_BEHAVIOUR,
                "conn-fields": _CONN_FIELDS,
            },
        ],
        "asset-uris": _ASSET_URIS,
        # The name of the same in Airflow 2.
        "dataset-uris": _ASSET_URIS,
        "extra-links": ["airflow_provider_amc.links.execution.AmcWorkflowExecutionLink"],
        "config": _CONFIG,
    }
