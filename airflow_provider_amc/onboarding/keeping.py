"""Where a finished connection is kept: text for a variable or a secrets backend, Airflow's database, Secrets Manager."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcConfigurationError

if TYPE_CHECKING:
    from airflow_provider_amc.onboarding.choice import Choice


def fields(choice: Choice, *, secret_id: str | None = None, aws_conn_id: str | None = None) -> dict[str, Any]:
    """Write the connection as the object that Airflow takes.

    :param choice: what the connection is for.
    :param secret_id: AWS Secrets Manager secret with the credentials, which the connection then names in their place.
    :param aws_conn_id: Airflow connection that reads the secret.
    """
    extra: dict[str, Any] = {"region": choice.region}
    for name in ("account_id", "marketplace_id", "instance_id"):
        if value := getattr(choice, name):
            extra[name] = value
    written: dict[str, Any] = {"conn_type": "amc"}
    if secret_id is None:
        written |= {"login": choice.credentials.client_id, "password": choice.credentials.client_secret}
        extra["refresh_token"] = choice.credentials.refresh_token
    else:
        extra |= {"secret_id": secret_id, **({"aws_conn_id": aws_conn_id} if aws_conn_id else {})}
    if choice.base_url:
        written["host"] = choice.base_url
    return {**written, "extra": extra}


def as_json(connection: dict[str, Any]) -> str:
    """The connection as text for ``AIRFLOW_CONN_AMC_DEFAULT`` or a secrets backend."""
    return json.dumps(connection)


def as_uri(connection: dict[str, Any], conn_id: str) -> str:
    """The connection as Airflow's URI.

    :param connection: what :func:`fields` wrote.
    :param conn_id: its id.
    """
    return str(_model(connection, conn_id).get_uri())


def keep_in_airflow(connection: dict[str, Any], conn_id: str, *, replace: bool) -> None:
    """Store the connection in Airflow's metadata database.

    :param connection: what :func:`fields` wrote.
    :param conn_id: its id.
    :param replace: replace one that is there.
    :raises AmcConfigurationError: there is one already, or the database cannot be reached.
    """
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            existing = session.scalar(select(Connection).where(Connection.conn_id == conn_id))
            if existing is not None:
                if not replace:
                    raise AmcConfigurationError(
                        f"Airflow has a connection {conn_id} already. Take another id with --conn-id, or --replace."
                    )
                session.delete(existing)
                session.flush()
            session.add(_model(connection, conn_id))
    except SQLAlchemyError as error:
        # Not its text: it repeats the values of the statement.
        raise AmcConfigurationError(
            f"Airflow's metadata database did not take the connection ({type(error).__name__}). Check that it can be "
            "reached from here and has been migrated (airflow db migrate)."
        ) from None


def keep_in_secrets_manager(choice: Choice, secret_id: str, aws_conn_id: str | None, *, replace: bool) -> None:
    """Store the credentials in AWS Secrets Manager, by the names that Amazon's AMC notebook uses.

    :param choice: what the connection is for.
    :param secret_id: name of the secret.
    :param aws_conn_id: Airflow connection for AWS; ``None`` for the credentials of the machine.
    :param replace: write a new version of a secret that is there.
    :raises AmcConfigurationError: there is one already, or AWS refuses it.
    """
    from airflow.providers.amazon.aws.hooks.secrets_manager import SecretsManagerHook
    from botocore.exceptions import BotoCoreError, ClientError

    credentials = choice.credentials
    value = json.dumps({
        "Clientid": credentials.client_id,
        "Clientsecret": credentials.client_secret,
        "refreshToken": credentials.refresh_token,
    })  # fmt: skip
    try:
        client = SecretsManagerHook(aws_conn_id=aws_conn_id).get_conn()
        try:
            client.create_secret(Name=secret_id, SecretString=value)
        except client.exceptions.ResourceExistsException:
            if not replace:
                raise AmcConfigurationError(
                    f"AWS Secrets Manager has a secret {secret_id} already. Take another name, or --replace."
                ) from None
            client.put_secret_value(SecretId=secret_id, SecretString=value)
    except (BotoCoreError, ClientError) as error:
        raise AmcConfigurationError(
            f"The secret {secret_id} could not be written to AWS Secrets Manager with the connection {aws_conn_id!r}: "
            f"{error}"
        ) from None


def _model(connection: dict[str, Any], conn_id: str) -> Any:
    from airflow.models import Connection

    extra = json.dumps(connection["extra"])
    return Connection(conn_id=conn_id, **{**connection, "extra": extra})
