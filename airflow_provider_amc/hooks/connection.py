"""Reads an Airflow connection of type ``amc`` into plain values, and its secret from AWS Secrets Manager if it names one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_amc.exceptions import AmcConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

#: Names under which a Secrets Manager secret may keep each credential: Amazon's AMC notebook writes the first of each.
_SECRET_KEYS = {
    "client_id": ("Clientid", "client_id", "clientId", "ClientId"),
    "client_secret": ("Clientsecret", "client_secret", "clientSecret", "ClientSecret"),
    "refresh_token": ("refreshToken", "refresh_token", "RefreshToken"),
}

_EXTRAS = ("refresh_token", "region", "account_id", "marketplace_id", "instance_id", "secret_id", "aws_conn_id")


@dataclass(frozen=True)
class ConnectionSettings:
    """What an ``amc`` connection says, before anything is sent.

    :param conn_id: the connection's id, for messages.
    :param client_id: Login-with-Amazon client id.
    :param client_secret: Login-with-Amazon client secret.
    :param refresh_token: Login-with-Amazon refresh token.
    :param region: NA, EU or FE.
    :param account_id: AMC account id (``ENTITY...``).
    :param marketplace_id: marketplace of the AMC account.
    :param instance_id: default AMC instance.
    :param base_url: replaces Amazon's hosts (emulator, proxy).
    :param secret_id: AWS Secrets Manager secret that holds the three credentials.
    :param aws_conn_id: Airflow connection used to read that secret.
    """

    conn_id: str
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    region: str = "NA"
    account_id: str | None = None
    marketplace_id: str | None = None
    instance_id: str | None = None
    base_url: str | None = None
    secret_id: str | None = None
    aws_conn_id: str = "aws_default"

    @classmethod
    def read(cls, conn: Connection, extra: Mapping[str, Any]) -> ConnectionSettings:
        """Read a connection.

        :param conn: the Airflow connection.
        :param extra: its extra as a dictionary.
        :raises AmcConfigurationError: Host is not a base URL.
        """
        extras = {name: _text(extra.get(name)) for name in _EXTRAS}
        return cls(
            conn_id=conn.conn_id or "",
            client_id=_text(conn.login),
            client_secret=_text(conn.password),
            refresh_token=extras["refresh_token"],
            region=extras["region"] or "NA",
            account_id=extras["account_id"],
            marketplace_id=extras["marketplace_id"],
            instance_id=extras["instance_id"],
            base_url=_base_url(conn),
            secret_id=extras["secret_id"],
            aws_conn_id=extras["aws_conn_id"] or "aws_default",
        )

    def check(self) -> None:
        """Raise if a credential is missing.

        :raises AmcConfigurationError: names every field that is missing and where to fill it in.
        """
        missing = [
            label
            for label, value in (
                ("Login (LwA client id)", self.client_id),
                ("Password (LwA client secret)", self.client_secret),
                ("refresh_token (in Extra)", self.refresh_token),
            )
            if not value
        ]
        if not missing:
            return
        where = (
            f"The secret {self.secret_id!r} of AWS Secrets Manager"
            if self.secret_id
            else f"The Airflow connection {self.conn_id!r}"
        )
        hint = (
            "It needs the keys Clientid, Clientsecret and refreshToken (or client_id, client_secret, refresh_token)."
            if self.secret_id
            else "Fill them in, or set secret_id in Extra to read them from AWS Secrets Manager."
        )
        raise AmcConfigurationError(f"{where} lacks {', '.join(missing)}. {hint}")


def secret_values(secret_id: str, text: str | bytes) -> dict[str, str | None]:
    """Read client id, client secret and refresh token from the text of a Secrets Manager secret.

    :param secret_id: the secret's name, for messages.
    :param text: its value.
    :raises AmcConfigurationError: the value is not a JSON object.
    """
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise AmcConfigurationError(
            f"The secret {secret_id!r} of AWS Secrets Manager is not a JSON object. Store it as "
            '{"Clientid": ..., "Clientsecret": ..., "refreshToken": ...}.'
        )
    return {
        name: next((_text(values[key]) for key in keys if _text(values.get(key))), None)
        for name, keys in _SECRET_KEYS.items()
    }


def _text(value: object) -> str | None:
    text = str(value).strip() if value is not None else ""
    return text or None


def _base_url(conn: Connection) -> str | None:
    host = _text(conn.host)
    if host is None:
        return None
    if "://" not in host:
        host = f"{conn.schema if conn.schema in ('http', 'https') else 'https'}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise AmcConfigurationError(
            f"The Host of the Airflow connection {conn.conn_id!r} is not a base URL. Leave it empty to call Amazon, or "
            "write it as http://localhost:8600, without user, query and fragment."
        )
    netloc = f"{parts.netloc}:{conn.port}" if conn.port and port is None else parts.netloc
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))
