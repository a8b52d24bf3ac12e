from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcExecutionError, AmcNotReadyError, AmcResultError
from airflow_provider_amc.hooks.amc import AmcHook, _masker_for
from tests.services import aws_connection, forget_everything, moto_server
from tests.tasks import event_of

ID_QUERY = """
WITH t (id, amount, name) AS (
    VALUES (123456789012345678, CAST('1.10' AS DECIMAL(38, 2)), 'a'), (NULL, NULL, NULL), (-1, CAST('0.01' AS DECIMAL(38, 2)), '')
)
SELECT id, amount, name, SUM(1) AS n FROM t GROUP BY id, amount, name
"""


def connect(monkeypatch: pytest.MonkeyPatch, emulator: EmulatorServer, **changes: Any) -> None:
    """Define ``amc_default`` as the emulator's connection with changes; a key of ``extra`` set to None is left out."""
    connection = emulator.connection
    extra = {**connection["extra"], **changes.pop("extra", {})}
    connection = {**connection, **changes, "extra": {key: value for key, value in extra.items() if value is not None}}
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(connection))


def finished(**arguments: Any) -> str:
    from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger

    execution = (
        AmcHook()
        .get_conn()
        .executions.create(**{"time_window_type": "MOST_RECENT_DAY", "workflow": {"sqlQuery": ID_QUERY}, **arguments})
    )
    event_of(AmcWorkflowExecutionTrigger(workflow_execution_id=execution.workflow_execution_id, poll_interval=0.01))
    return execution.workflow_execution_id


class TestConnectionTest:
    def test_every_step_passes(self, amc_default: EmulatorServer) -> None:
        passed, message = AmcHook().test_connection()
        assert passed, message
        assert message == (
            "Token: Login with Amazon accepts the credentials; Terms: nothing is left to accept in the region NA; "
            "Account: ENTITYEMULATOR01 found; Instance: amcemulator (STANDARD) is COMPLETED; "
            "Data sources: amazon_attributed_events_by_conversion_time and others can be queried."
        )

    @pytest.mark.parametrize(
        ("changes", "step", "words"),
        [
            ({"login": None}, "configuration", ["Login (LwA client id)", "amc_default"]),
            ({"password": ""}, "configuration", ["Password (LwA client secret)"]),
            ({"extra": {"refresh_token": None}}, "configuration", ["refresh_token (in Extra)"]),
            ({"extra": {"region": "MARS"}}, "configuration", ["MARS", "NA", "EU", "FE"]),
            ({"host": "ftp://elsewhere"}, "configuration", ["amc_default", "is not a base URL", "Leave it empty"]),
            ({"password": "wrong"}, "token", ["client"]),
            ({"login": "amzn1.application-oa2-client.other"}, "token", ["client"]),
            ({"extra": {"refresh_token": "Atzr|revoked"}}, "token", ["refresh token"]),
            ({"extra": {"account_id": "1234567890"}}, "account", ["1234567890", "ENTITYEMULATOR01", "ENTITY"]),
            ({"extra": {"account_id": None}}, "account", ["account_id is not set", "ENTITYEMULATOR01"]),
            ({"extra": {"marketplace_id": "A1PA6795UKMFR9"}}, "account", ["A1PA6795UKMFR9", "ATVPDKIKX0DER"]),
            ({"extra": {"instance_id": "amcnowhere"}}, "instance", ["amcnowhere", "amcemulator"]),
        ],
    )
    def test_says_which_step_failed_and_what_to_do(
        self,
        monkeypatch: pytest.MonkeyPatch,
        emulator: EmulatorServer,
        changes: dict[str, Any],
        step: str,
        words: list[str],
    ) -> None:
        connect(monkeypatch, emulator, **changes)
        passed, message = AmcHook().test_connection()
        assert not passed
        assert f"Failed at the step '{step}'" in message
        for word in words:
            assert word.lower() in message.lower(), message
        for secret in ("emulator-secret", "Atzr|emulator", "Atza|"):
            assert secret not in message

    def test_connection_that_is_not_defined(self, airflow_db: None) -> None:
        passed, message = AmcHook("amc_nowhere").test_connection()
        assert not passed
        assert "amc_nowhere" in message

    def test_terms_not_accepted(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="*", kind="terms", times=None)
        passed, message = AmcHook().test_connection()
        assert not passed
        assert "Failed at the step 'terms': The AMC terms of the region NA have not been accepted" in message
        assert "Terms and conditions must be accepted" in message
        assert "accept" in message.partition("HTTP")[2]


class TestSecretsManager:
    @pytest.fixture
    def aws(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        from airflow.providers.amazon.aws.hooks.secrets_manager import SecretsManagerHook

        with moto_server() as url:
            forget_everything(url)
            monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(url))
            yield SecretsManagerHook().get_conn()

    @pytest.mark.parametrize(
        "keys", [("Clientid", "Clientsecret", "refreshToken"), ("client_id", "client_secret", "refresh_token")]
    )
    def test_credentials_come_from_the_secret(
        self, aws: Any, monkeypatch: pytest.MonkeyPatch, emulator: EmulatorServer, keys: tuple[str, str, str]
    ) -> None:
        known = emulator.connection
        values = (known["login"], known["password"], known["extra"]["refresh_token"])
        aws.create_secret(
            Name="amc/credentials",
            SecretString=json.dumps({"returnurl": "https://example.com", **dict(zip(keys, values, strict=True))}),
        )
        changes: dict[str, Any] = {"login": None, "password": None}
        connect(monkeypatch, emulator, **changes, extra={"refresh_token": None, "secret_id": "amc/credentials"})
        assert AmcHook().test_connection()[0]
        assert asyncio.run(AmcHook().aget_conn()).instances.get().instance_id == "amcemulator"

    def test_credentials_of_the_machine_open_the_secret(
        self, aws: Any, monkeypatch: pytest.MonkeyPatch, emulator: EmulatorServer
    ) -> None:
        """Without an AWS connection the Amazon hook takes those of the machine, on a worker and in a trigger."""
        known = emulator.connection
        secret = {
            "client_id": known["login"],
            "client_secret": known["password"],
            "refresh_token": known["extra"]["refresh_token"],
        }
        aws.create_secret(Name="amc/role", SecretString=json.dumps(secret))
        endpoint = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])["extra"]["endpoint_url"]
        monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
        }.items():
            monkeypatch.setenv(name, value)
        changes: dict[str, Any] = {"login": None, "password": None}
        extra = {"refresh_token": None, "secret_id": "amc/role", "aws_conn_id": "aws_by_role"}
        connect(monkeypatch, emulator, **changes, extra=extra)
        assert AmcHook().get_conn().instances.get().instance_id == "amcemulator"
        assert asyncio.run(AmcHook().aget_conn()).instances.get().instance_id == "amcemulator"

    def test_missing_secret(self, aws: Any, monkeypatch: pytest.MonkeyPatch, emulator: EmulatorServer) -> None:
        connect(monkeypatch, emulator, extra={"secret_id": "amc/nowhere"})
        with pytest.raises(AmcConfigurationError, match=r"amc/nowhere.*aws_default"):
            AmcHook().get_conn()

    def test_secret_that_lacks_a_key(self, aws: Any, monkeypatch: pytest.MonkeyPatch, emulator: EmulatorServer) -> None:
        aws.create_secret(Name="amc/half", SecretString=json.dumps({"Clientid": "x", "Clientsecret": "do-not-show"}))
        connect(monkeypatch, emulator, extra={"secret_id": "amc/half"})
        with pytest.raises(AmcConfigurationError, match=r"'amc/half'.*lacks refresh_token") as caught:
            AmcHook().get_conn()
        assert "do-not-show" not in str(caught.value)


class TestClient:
    def test_hooks_instance_wins(self, amc_default: EmulatorServer) -> None:
        assert AmcHook(instance_id="amcsandbox").get_conn().instances.get().is_sandbox

    def test_limits_come_from_the_configuration(
        self, amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__AMC__RETRY_PATIENCE", "0")
        amc_default.add_fault(operation="listInstances", kind="status", status=503)
        from airflow_provider_amc.exceptions import AmcTransientError

        with pytest.raises(AmcTransientError):
            AmcHook().get_conn().instances.list()

    def test_new_tokens_are_masked(self, amc_default: EmulatorServer, mocker: Any) -> None:
        masked = mocker.patch("airflow_provider_amc.hooks.amc.mask_secret")
        AmcHook().get_conn().instances.list()
        secrets = [call.args[0] for call in masked.call_args_list]
        assert any(secret.startswith("Atza|") for secret in secrets)

    def test_new_tokens_are_masked_in_a_trigger(self, amc_default: EmulatorServer) -> None:
        async def token() -> str:
            client = await AmcHook().aget_conn()
            await asyncio.to_thread(client.instances.list)
            await asyncio.to_thread(client.instances.list)
            return client._transport.tokens.get(retry=client._transport.retry)

        if _masker_for(asyncio.new_event_loop()) is None:
            pytest.skip("Airflow 3.0 to 3.3.1 has no way to mask a secret from a trigger")
        assert redact(asyncio.run(token())) == "***"

    def test_three_token_lifetimes(self, amc_default: EmulatorServer) -> None:
        client = AmcHook().get_conn()
        for _ in range(4):
            assert client.instances.get().instance_id == "amcemulator"
            amc_default.advance_clock(3601)


class TestGetDf:
    def test_types_come_from_the_contract(self, amc_default: EmulatorServer) -> None:
        frame = AmcHook().get_df(finished()).sort_values("id").reset_index(drop=True)
        assert str(frame["id"].dtype) == "Int64"
        assert frame["id"].dropna().tolist() == [-1, 123456789012345678]
        assert frame["id"].isna().tolist() == [False, False, True]
        assert frame["amount"].dropna().tolist() == [Decimal("0.01"), Decimal("1.10")]
        assert frame["amount"].isna().tolist() == [False, False, True]
        assert frame["n"].tolist() == [1, 1, 1]

    def test_empty_result_keeps_its_types(self, amc_default: EmulatorServer) -> None:
        sql = "SELECT campaign_id, SUM(impressions) AS n FROM dsp_impressions WHERE campaign = 'none' GROUP BY campaign_id"
        frame = AmcHook().get_df(finished(workflow={"sqlQuery": sql}))
        assert frame.empty
        assert {name: str(kind) for name, kind in frame.dtypes.items()} == {"campaign_id": "Int64", "n": "Int64"}

    def test_running_execution(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
        execution = (
            AmcHook().get_conn().executions.create(workflow={"sqlQuery": ID_QUERY}, time_window_type="MOST_RECENT_DAY")
        )
        with pytest.raises(AmcNotReadyError, match="has no result yet"):
            AmcHook().get_df(execution.workflow_execution_id)

    def test_failed_execution(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="createWorkflowExecution", kind="fail", value="FAILED", reason="Too big")
        with pytest.raises(AmcExecutionError, match="Too big"):
            AmcHook().get_df(finished())

    def test_dry_run(self, amc_default: EmulatorServer) -> None:
        with pytest.raises((AmcResultError, AmcNotReadyError)):
            AmcHook().get_df(finished(dry_run=True))


def test_old_form_is_the_declared_one() -> None:
    behaviour = AmcHook.get_ui_field_behaviour()
    assert behaviour["hidden_fields"] == ["port", "schema"]
    assert behaviour["relabeling"]["login"] == "LwA client id"
