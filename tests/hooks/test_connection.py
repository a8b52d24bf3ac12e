from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_amc.exceptions import AmcConfigurationError
from airflow_provider_amc.hooks.connection import ConnectionSettings, secret_values

EXTRA = {
    "refresh_token": "Atzr|planted-refresh",
    "region": "EU",
    "account_id": "ENTITY1",
    "marketplace_id": "A1PA6795UKMFR9",
    "instance_id": "amcone",
}


def read(extra: dict[str, Any] | None = None, **fields: Any) -> ConnectionSettings:
    found = {"conn_id": "amc_test", "conn_type": "amc", "login": "client-id", "password": "planted-secret", **fields}
    return ConnectionSettings.read(Connection(**found), EXTRA if extra is None else extra)


def test_all_fields() -> None:
    assert read() == ConnectionSettings(
        conn_id="amc_test",
        client_id="client-id",
        client_secret="planted-secret",
        refresh_token="Atzr|planted-refresh",
        region="EU",
        account_id="ENTITY1",
        marketplace_id="A1PA6795UKMFR9",
        instance_id="amcone",
        base_url=None,
        secret_id=None,
        aws_conn_id="aws_default",
    )


def test_repr_hides_secrets() -> None:
    text = repr(read())
    assert "planted" not in text
    assert "client-id" in text


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_empty_is_not_set(empty: str | None) -> None:
    settings = read(dict.fromkeys([*EXTRA, "secret_id", "aws_conn_id"], empty), login=empty, password=empty, host=empty)
    assert settings == ConnectionSettings(conn_id="amc_test")
    assert (settings.region, settings.aws_conn_id) == ("NA", "aws_default")


def test_space_around_pasted_values() -> None:
    settings = read({"refresh_token": " Atzr|x\n"}, login=" client-id ", password="secret\n")
    assert (settings.client_id, settings.client_secret, settings.refresh_token) == ("client-id", "secret", "Atzr|x")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"host": "http://localhost:8600"}, "http://localhost:8600"),
        ({"host": "http://localhost:8600/"}, "http://localhost:8600"),
        ({"host": "http://localhost", "port": 8600}, "http://localhost:8600"),
        ({"host": "http://localhost:8600", "port": 9999}, "http://localhost:8600"),
        ({"host": "localhost", "port": 8600, "schema": "http"}, "http://localhost:8600"),
        ({"host": "proxy.example.com"}, "https://proxy.example.com"),
        ({"host": "proxy.example.com:444"}, "https://proxy.example.com:444"),
        ({"host": "proxy.example.com", "schema": "public"}, "https://proxy.example.com"),
        ({"host": "https://proxy.example.com/amc/", "port": 444}, "https://proxy.example.com:444/amc"),
        ({"host": "http://[::1]", "port": 8600}, "http://[::1]:8600"),
        ({"host": "http://[::1]:8600"}, "http://[::1]:8600"),
    ],
)
def test_base_url(fields: dict[str, Any], expected: str) -> None:
    assert read(**fields).base_url == expected


@pytest.mark.parametrize(
    "host",
    [
        "ftp://x",
        "http://",
        "http://user:planted@x",
        "http://x?planted",
        "http://x#planted",
        "http://x:abc",
        "http://[x",
    ],
)
def test_host_that_is_no_base_url(host: str) -> None:
    with pytest.raises(AmcConfigurationError) as caught:
        read(host=host)
    assert str(caught.value).startswith(
        "The Host of the Airflow connection 'amc_test' is not a base URL. Leave it empty"
    )
    assert "planted" not in str(caught.value)


class TestCheck:
    def test_complete(self) -> None:
        read().check()

    @pytest.mark.parametrize(
        ("fields", "missing"),
        [
            ({"login": ""}, "Login (LwA client id)"),
            ({"password": None}, "Password (LwA client secret)"),
            ({"extra": {}}, "refresh_token (in Extra)"),
            (
                {"login": " ", "password": "", "extra": {"refresh_token": ""}},
                "Login (LwA client id), Password (LwA client secret), refresh_token (in Extra)",
            ),
        ],
    )
    def test_names_each_missing_field(self, fields: dict[str, Any], missing: str) -> None:
        fields = dict(fields)
        extra = fields.pop("extra", None)
        with pytest.raises(AmcConfigurationError) as caught:
            read(extra, **fields).check()
        assert str(caught.value) == (
            f"The Airflow connection 'amc_test' lacks {missing}. "
            "Fill them in, or set secret_id in Extra to read them from AWS Secrets Manager."
        )

    def test_names_the_secret(self) -> None:
        with pytest.raises(AmcConfigurationError) as caught:
            read({"secret_id": "amc/credentials"}, password="").check()
        assert str(caught.value).startswith("The secret 'amc/credentials' of AWS Secrets Manager lacks Password")
        assert "Clientid, Clientsecret and refreshToken" in str(caught.value)


class TestSecret:
    @pytest.mark.parametrize(
        "keys",
        [
            ("Clientid", "Clientsecret", "refreshToken"),
            ("client_id", "client_secret", "refresh_token"),
            ("clientId", "clientSecret", "refreshToken"),
        ],
    )
    @pytest.mark.parametrize("encode", [str, str.encode])
    def test_names_of_keys(self, keys: tuple[str, str, str], encode: Any) -> None:
        text = json.dumps({**dict(zip(keys, ("id", "secret", " token "), strict=True)), "returnurl": "https://x"})
        assert secret_values("amc", encode(text)) == {
            "client_id": "id",
            "client_secret": "secret",
            "refresh_token": "token",
        }

    def test_missing_and_empty_keys(self) -> None:
        found = secret_values("amc", json.dumps({"Clientid": "", "client_id": "id", "Clientsecret": None}))
        assert found == {"client_id": "id", "client_secret": None, "refresh_token": None}

    @pytest.mark.parametrize(
        "text", ["planted", '"planted"', '["planted"]', "1", "", b"\xff\xfeplanted", "{'planted': 1}"]
    )
    def test_not_a_json_object(self, text: str | bytes) -> None:
        with pytest.raises(AmcConfigurationError) as caught:
            secret_values("amc/credentials", text)
        assert str(caught.value) == (
            "The secret 'amc/credentials' of AWS Secrets Manager is not a JSON object. Store it as "
            '{"Clientid": ..., "Clientsecret": ..., "refreshToken": ...}.'
        )
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
