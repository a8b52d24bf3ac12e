from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_amc.client import Credentials
from airflow_provider_amc.exceptions import AmcConfigurationError
from airflow_provider_amc.onboarding import keeping
from airflow_provider_amc.onboarding.choice import Choice
from tests.services import aws_connection, forget_everything, moto_server

CHOICE = Choice(
    Credentials("amzn1.application-oa2-client.test", "s3cret/value", "Atzr|a+b/c"),
    "EU",
    account_id="ENTITY1",
    marketplace_id="A1PA6795UKMFR9",
    instance_id="amcone",
)
EXTRA = {"region": "EU", "account_id": "ENTITY1", "marketplace_id": "A1PA6795UKMFR9", "instance_id": "amcone"}


def test_json_and_uri_are_the_same_connection() -> None:
    from airflow.models import Connection

    written = keeping.fields(CHOICE)
    assert json.loads(keeping.as_json(written)) == {
        "conn_type": "amc",
        "login": "amzn1.application-oa2-client.test",
        "password": "s3cret/value",
        "extra": {**EXTRA, "refresh_token": "Atzr|a+b/c"},
    }
    read = Connection(conn_id="amc_default", uri=keeping.as_uri(written, "amc_default"))
    assert (read.conn_type, read.login, read.password) == ("amc", written["login"], "s3cret/value")
    assert read.extra_dejson == written["extra"]


def test_a_secret_takes_the_place_of_the_credentials() -> None:
    text = keeping.as_json(keeping.fields(CHOICE, secret_id="amc/one", aws_conn_id="aws_default"))
    assert json.loads(text)["extra"] == {**EXTRA, "secret_id": "amc/one", "aws_conn_id": "aws_default"}
    assert "s3cret" not in text
    assert "Atzr" not in text


def test_the_metadata_database(airflow_db: None) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    def stored() -> Any:
        with create_session() as session:
            return session.query(Connection).filter_by(conn_id="amc_onboarded").one()

    keeping.keep_in_airflow(keeping.fields(CHOICE), "amc_onboarded", replace=False)
    assert stored().extra_dejson["refresh_token"] == "Atzr|a+b/c"
    with pytest.raises(AmcConfigurationError, match="already"):
        keeping.keep_in_airflow(keeping.fields(CHOICE), "amc_onboarded", replace=False)
    changed = keeping.fields(CHOICE)
    changed["extra"]["instance_id"] = "amctwo"
    keeping.keep_in_airflow(changed, "amc_onboarded", replace=True)
    assert stored().extra_dejson["instance_id"] == "amctwo"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from airflow.providers.amazon.aws.hooks.secrets_manager import SecretsManagerHook

    with moto_server() as url:
        forget_everything(url)
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(url))
        yield SecretsManagerHook()


def test_secrets_manager(secrets: Any) -> None:
    keeping.keep_in_secrets_manager(CHOICE, "amc/one", "aws_default", replace=False)
    assert json.loads(secrets.get_secret("amc/one"))["refreshToken"] == "Atzr|a+b/c"
    with pytest.raises(AmcConfigurationError, match="already"):
        keeping.keep_in_secrets_manager(CHOICE, "amc/one", "aws_default", replace=False)
    keeping.keep_in_secrets_manager(CHOICE, "amc/one", "aws_default", replace=True)


def test_secrets_manager_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection("http://127.0.0.1:9"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(AmcConfigurationError, match="amc/one could not be written") as caught:
        keeping.keep_in_secrets_manager(CHOICE, "amc/one", "aws_default", replace=False)
    assert "s3cret" not in str(caught.value)
