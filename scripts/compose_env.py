"""Write ``.env`` for docker-compose.yaml: fresh keys and passwords, and connections to the emulator and the local S3.

An existing file is left as it is. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: The emulator takes these published values and no others; they guard nothing.
EMULATOR_CONNECTION = {
    "conn_type": "amc",
    "host": "http://emulator:8600",
    "login": "amzn1.application-oa2-client.emulator",
    "password": "emulator-secret",
    "extra": {
        "refresh_token": "Atzr|emulator",
        "region": "NA",
        "account_id": "ENTITYEMULATOR01",
        "marketplace_id": "ATVPDKIKX0DER",
        "instance_id": "amcemulator",
    },
}
#: The local S3 takes any credentials.
S3_CONNECTION = {
    "conn_type": "aws",
    "login": "local",
    "password": "local",
    "extra": {
        "region_name": "us-east-1",
        "endpoint_url": "http://s3:5000",
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    },
}


def variables() -> dict[str, str]:
    """Every variable a deployment on one machine needs, with a fresh value."""
    return {
        "AIRFLOW_FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "AIRFLOW_SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW_JWT_SECRET": secrets.token_urlsafe(64),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "WAREHOUSE_PASSWORD": secrets.token_urlsafe(24),
        "AIRFLOW_CONN_AMC_DEFAULT": json.dumps(EMULATOR_CONNECTION),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(S3_CONNECTION),
        "COMPOSE_PROFILES": "local",
    }


def main(argv: list[str] | None = None) -> int:
    """Run from the command line.

    :param argv: arguments, ``None`` for the process's own.
    :returns: exit code.
    """
    parser = argparse.ArgumentParser(description="Write .env for docker-compose.yaml.")
    parser.add_argument("--output", type=Path, default=ROOT / ".env")
    arguments = parser.parse_args(argv)
    # Single quotes keep Compose from interpolating; none of the values holds one.
    text = "".join(f"{name}='{value}'\n" for name, value in variables().items())
    try:
        handle = os.open(arguments.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{arguments.output} is there already and was left as it is; delete it for new keys.", file=sys.stderr)
        return 1
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"wrote {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
