from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_amc.client import Credentials, RetryPolicy
from airflow_provider_amc.client.auth import forget_tokens
from airflow_provider_amc.client.transport import ACCOUNTS, WORKFLOWS, Transport
from airflow_provider_amc.exceptions import (
    AmcAlreadyExistsError,
    AmcAuthenticationError,
    AmcConfigurationError,
    AmcHttpError,
    AmcPermissionError,
    AmcTermsNotAcceptedError,
    AmcThrottledError,
    AmcTransientError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from tests.client.scripted import TOKEN_PATH, FakeTime, Received, Reply, ScriptedServer, free_port

PATH = "/amc/reporting/i/workflows"
OK = Reply(body={"workflows": []})


@pytest.fixture
def make(server: ScriptedServer, fake_time: FakeTime, credentials: Credentials) -> Callable[..., Transport]:
    def build(**changes: Any) -> Transport:
        arguments: dict[str, Any] = {
            "account_id": "ENTITYTEST",
            "marketplace_id": "ATVPDKIKX0DER",
            "base_url": server.url,
            "timeout": (2.0, 5.0),
            "sleep": fake_time.sleep,
            "clock": fake_time.clock,
        }
        return Transport(credentials, **{**arguments, **changes})

    return build


@pytest.fixture
def transport(make: Callable[..., Transport]) -> Transport:
    return make()


def get(transport: Transport) -> dict[str, Any]:
    return transport.call("GET", PATH, media_type=WORKFLOWS)


def post_once(transport: Transport) -> dict[str, Any]:
    return transport.call("POST", PATH, media_type=WORKFLOWS, body={"a": 1}, repeat=False)


class TestHeaders:
    def test_every_call_carries_the_mandatory_headers(self, server: ScriptedServer, transport: Transport) -> None:
        server.on("POST", PATH, OK)
        transport.call("POST", PATH, media_type=WORKFLOWS, body={"x": "ü"})
        request = server.calls()[0]
        expected = {
            "authorization": "Bearer Atza|access-1",
            "amazon-advertising-api-clientid": "amzn1.application-oa2-client.test",
            "amazon-advertising-api-advertiserid": "ENTITYTEST",
            "amazon-advertising-api-marketplaceid": "ATVPDKIKX0DER",
            "accept": WORKFLOWS,
            "content-type": WORKFLOWS,
        }
        assert {name: request.headers[name] for name in expected} == expected
        assert "amazon-advertising-api-scope" not in request.headers
        assert request.json == {"x": "ü"}

    def test_without_body_there_is_no_content_type(self, server: ScriptedServer, transport: Transport) -> None:
        server.on("GET", PATH, OK)
        get(transport)
        assert "content-type" not in server.calls()[0].headers

    def test_the_list_of_accounts_goes_without_account(
        self, server: ScriptedServer, make: Callable[..., Transport]
    ) -> None:
        server.on("GET", "/amc/accounts", Reply())
        transport = make(account_id=None, marketplace_id=None)
        transport.call("GET", "/amc/accounts", media_type=ACCOUNTS, headers={})
        assert not [name for name in server.calls()[0].headers if name.endswith(("advertiserid", "marketplaceid"))]

    @pytest.mark.parametrize("name", ["account_id", "marketplace_id"])
    def test_a_missing_account_is_noticed_before_anything_is_sent(
        self, server: ScriptedServer, make: Callable[..., Transport], name: str
    ) -> None:
        with pytest.raises(AmcConfigurationError, match=f"{name} is missing"):
            get(make(**{name: " "}))
        assert server.requests == []

    def test_query_values(self, server: ScriptedServer, transport: Transport) -> None:
        server.on("GET", PATH, OK)
        query = {"a": True, "b": False, "c": None, "d": 5, "e": "x y&z=ü"}
        transport.call("GET", PATH, media_type=WORKFLOWS, query=query)
        assert server.calls()[0].query == {"a": "true", "b": "false", "d": "5", "e": "x y&z=ü"}

    def test_a_base_url_with_a_path_keeps_it(self, server: ScriptedServer, make: Callable[..., Transport]) -> None:
        server.on("POST", "/proxy" + TOKEN_PATH, Reply(body={"access_token": "Atza|x"}))
        server.on("GET", "/proxy" + PATH, OK)
        assert get(make(base_url=server.url + "/proxy/")) == OK.body


class TestAnswers:
    @pytest.mark.parametrize("content_type", ["application/octet-stream", WORKFLOWS, "text/html", ""])
    def test_json_is_read_whatever_the_content_type(
        self, server: ScriptedServer, transport: Transport, content_type: str
    ) -> None:
        server.on("GET", PATH, Reply(body={"a": 1}, headers={"Content-Type": content_type}))
        assert get(transport) == {"a": 1}

    @pytest.mark.parametrize("reply", [Reply(204, b""), Reply(200, b""), Reply(200, b" \n")])
    def test_an_empty_body_is_an_empty_object(self, server: ScriptedServer, transport: Transport, reply: Reply) -> None:
        server.on("GET", PATH, reply)
        assert get(transport) == {}

    @pytest.mark.parametrize("body", [b"<html>sign in</html>", b'{"a": ', b"[1]", b"\xff\xfe", b"null"])
    def test_anything_else_is_an_error_that_names_the_base_url(
        self, server: ScriptedServer, transport: Transport, body: bytes
    ) -> None:
        server.on("GET", PATH, Reply(200, body, {"x-amz-rid": "r-1"}))
        with pytest.raises(AmcHttpError, match="Check the base URL") as caught:
            get(transport)
        assert (caught.value.request_id, caught.value.http_status, caught.value.retryable) == ("r-1", 200, False)

    def test_redirects_are_not_followed_with_the_token(self, server: ScriptedServer, transport: Transport) -> None:
        server.on("GET", PATH, Reply(302, b"", {"Location": f"{server.url}/elsewhere"}))
        with pytest.raises(AmcHttpError, match="redirect"):
            get(transport)
        assert [call.path for call in server.calls()] == [PATH]


class TestRepeating:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(500, b""),
            Reply(503, b"<html>down</html>"),
            Reply(504, {"message": "Endpoint request timed out"}),
            Reply(429, {"message": "Too Many Requests"}),
            Reply(fault="close"),
            Reply(fault="reset"),
            Reply(body={"a": "b" * 100}, fault="cut", cut_at=20),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_what_may_pass_is_tried_again(
        self, server: ScriptedServer, transport: Transport, fake_time: FakeTime, reply: Reply, method: str
    ) -> None:
        server.on(method, PATH, reply, reply, OK)
        assert transport.call(method, PATH, media_type=WORKFLOWS) == OK.body
        assert len(fake_time.waits) == 2

    @pytest.mark.parametrize("status", [400, 403, 404, 409, 415, 422])
    def test_other_refusals_are_not(
        self, server: ScriptedServer, transport: Transport, fake_time: FakeTime, status: int
    ) -> None:
        server.on("GET", PATH, Reply(status, {"details": "no"}))
        with pytest.raises(AmcHttpError):
            get(transport)
        assert len(server.calls()) == 1
        assert fake_time.waits == []

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_obeyed(
        self, server: ScriptedServer, transport: Transport, fake_time: FakeTime, status: int
    ) -> None:
        server.on("GET", PATH, Reply(status, b"", {"Retry-After": "17"}), OK)
        get(transport)
        assert 17 <= fake_time.waits[0] <= 18

    def test_a_service_cannot_make_a_call_wait_for_hours(
        self, server: ScriptedServer, transport: Transport, fake_time: FakeTime
    ) -> None:
        server.on("GET", PATH, Reply(429, b"", {"Retry-After": "86400"}))
        with pytest.raises(AmcThrottledError) as caught:
            get(transport)
        assert caught.value.retry_after == 86400
        assert sum(fake_time.waits) <= 60

    @pytest.mark.parametrize("fault", [Reply(503, b""), Reply(fault="close")])
    def test_an_outage_of_twenty_seconds_is_not_noticed(
        self, server: ScriptedServer, transport: Transport, fake_time: FakeTime, fault: Reply
    ) -> None:
        end = fake_time.now + 20

        def answer(_: Received) -> Reply:
            return OK if fake_time.now >= end else fault

        server.on("GET", PATH, answer)
        assert get(transport) == OK.body

    def test_patience_ends(self, server: ScriptedServer, transport: Transport, fake_time: FakeTime) -> None:
        server.on("GET", PATH, Reply(500, {"details": "boom"}, {"x-amz-rid": "r-9"}))
        with pytest.raises(AmcTransientError, match="boom") as caught:
            get(transport)
        assert sum(fake_time.waits) == pytest.approx(60)
        assert (caught.value.request_id, caught.value.retryable, caught.value.answer_lost) == ("r-9", True, True)

    def test_patience_ends_even_if_the_clock_stands_still(
        self, server: ScriptedServer, make: Callable[..., Transport]
    ) -> None:
        waits: list[float] = []
        transport = make(sleep=waits.append, clock=lambda: 0.0)
        server.on("GET", PATH, Reply(500, b""))
        with pytest.raises(AmcTransientError):
            get(transport)
        assert sum(waits) == pytest.approx(60)

    def test_a_service_that_is_not_there_is_waited_for_and_named(
        self, make: Callable[..., Transport], fake_time: FakeTime, server: ScriptedServer
    ) -> None:
        server.on("GET", PATH, OK)
        transport = make()
        transport.fetch_token()
        transport.endpoints = replace(transport.endpoints, api=f"http://127.0.0.1:{free_port()}")
        with pytest.raises(AmcTransientError, match="can be reached from here") as caught:
            get(transport)
        assert caught.value.answer_lost is False
        assert len(fake_time.waits) > 5

    def test_failed_attempts_are_logged_without_secrets(
        self, server: ScriptedServer, transport: Transport, caplog: pytest.LogCaptureFixture, credentials: Credentials
    ) -> None:
        server.on("GET", PATH, Reply(500, {"details": f"oops {credentials.client_secret}"}, {"x-amz-rid": "r-3"}), OK)
        with caplog.at_level(logging.DEBUG):
            get(transport)
        assert "r-3" in caplog.text
        assert "Trying again" in caplog.text
        for secret in (credentials.client_secret, credentials.refresh_token, "Atza|"):
            assert secret not in caplog.text

    def test_the_error_remembers_that_an_earlier_answer_was_lost(
        self, server: ScriptedServer, transport: Transport
    ) -> None:
        exists = Reply(400, {"details": "Workflow with ID x already exists."})
        server.on("POST", PATH, Reply(fault="close"), exists)
        with pytest.raises(AmcAlreadyExistsError) as caught:
            transport.call("POST", PATH, media_type=WORKFLOWS, body={})
        assert caught.value.answer_lost
        server.on("POST", PATH, Reply(429, b""), exists)
        with pytest.raises(AmcAlreadyExistsError) as caught:
            transport.call("POST", PATH, media_type=WORKFLOWS, body={})
        assert not caught.value.answer_lost


steps = st.sampled_from(
    [
        Reply(500, b""),
        Reply(502, b"<html/>"),
        Reply(429, b"", {"Retry-After": "2"}),
        Reply(fault="close"),
        Reply(401, b""),
    ]
)


@given(script=st.lists(steps, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_short_row_of_faults_is_survived(
    script: list[Reply], server: ScriptedServer, make: Callable[..., Transport], fake_time: FakeTime
) -> None:
    """Unless the token is refused twice, whatever lies in between."""
    forget_tokens()
    server.requests.clear()
    server.on("GET", PATH, *script, OK)
    refused = [index for index, reply in enumerate(script) if reply.status == 401]
    if len(refused) >= 2:
        with pytest.raises(AmcAuthenticationError):
            get(make())
        assert len(server.calls()) == refused[1] + 1
    else:
        assert get(make()) == OK.body
        assert len(server.calls()) == len(script) + 1
    assert len(server.calls(path=TOKEN_PATH)) == 1 + min(len(refused), 1)


class TestNeverRepeated:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(500, {"details": "boom"}),
            Reply(502, b""),
            Reply(503, b""),
            Reply(504, {"message": "Endpoint request timed out"}),
            Reply(408, b""),
            Reply(fault="close"),
            Reply(fault="reset"),
            Reply(body={"a": "b" * 100}, fault="cut", cut_at=20),
            Reply(200, b"<html>"),
            Reply(200, b'{"workflowExec'),
        ],
    )
    def test_a_lost_answer_is_reported_after_one_attempt(
        self, server: ScriptedServer, transport: Transport, fake_time: FakeTime, reply: Reply
    ) -> None:
        server.on("POST", PATH, reply, OK)
        with pytest.raises(AmcUnknownOutcomeError, match="may have been carried out") as caught:
            post_once(transport)
        assert len(server.calls()) == 1
        assert fake_time.waits == []
        assert not caught.value.retryable
        assert caught.value.answer_lost
        assert "Look whether it was" in str(caught.value)

    def test_silence_is_a_lost_answer(self, server: ScriptedServer, make: Callable[..., Transport]) -> None:
        server.on("POST", PATH, Reply(fault="hang"))
        with pytest.raises(AmcUnknownOutcomeError, match="timed out"):
            post_once(make(timeout=(2.0, 0.2)))
        assert len(server.calls()) == 1

    def test_throttling_and_a_rejected_token_are_no_lost_answers(
        self, server: ScriptedServer, transport: Transport, fake_time: FakeTime
    ) -> None:
        server.on("POST", PATH, Reply(429, b""), Reply(401, b""), OK)
        assert post_once(transport) == OK.body
        assert len(fake_time.waits) == 1

    def test_a_connection_that_is_refused_is_tried_again(self, transport: Transport, fake_time: FakeTime) -> None:
        transport.fetch_token()
        port = free_port()
        transport.endpoints = replace(transport.endpoints, api=f"http://127.0.0.1:{port}")
        late: list[ScriptedServer] = []

        def start_at_third_wait(_: float) -> None:
            if len(fake_time.waits) == 3:
                late.append(ScriptedServer(port))
                late[0].on("POST", PATH, OK)

        fake_time.on_sleep = start_at_third_wait
        try:
            assert post_once(transport) == OK.body
            assert len(late[0].calls()) == 1
            assert len(fake_time.waits) == 3
        finally:
            for server in late:
                server.stop()

    def test_it_never_uses_a_connection_the_service_may_have_closed(
        self, server: ScriptedServer, transport: Transport
    ) -> None:
        server.on("GET", PATH, OK)
        server.on("POST", PATH, OK)
        for _ in range(3):
            get(transport)
            assert post_once(transport) == OK.body


class TestTokens:
    def test_a_rejected_token_is_replaced_once(self, server: ScriptedServer, transport: Transport) -> None:
        server.on("GET", PATH, Reply(401, {"details": "Authentication failed"}), OK)
        assert get(transport) == OK.body
        assert [call.headers["authorization"] for call in server.calls()] == [
            "Bearer Atza|access-1",
            "Bearer Atza|access-2",
        ]

    def test_a_second_rejection_is_final(self, server: ScriptedServer, transport: Transport) -> None:
        server.on("GET", PATH, Reply(401, {"code": "401", "details": "Authentication failed"}, {"x-amz-rid": "r"}))
        with pytest.raises(AmcAuthenticationError, match="make a new authorization grant") as caught:
            get(transport)
        assert len(server.calls()) == 2
        assert len(server.calls(path=TOKEN_PATH)) == 2
        assert not caught.value.retryable

    @pytest.mark.parametrize("status", [401, 403])
    def test_terms_are_not_a_matter_of_the_token(
        self, server: ScriptedServer, make: Callable[..., Transport], status: int
    ) -> None:
        server.on("GET", PATH, Reply(status, {"details": "Terms and conditions must be accepted to continue"}))
        with pytest.raises(AmcTermsNotAcceptedError, match="region EU"):
            get(make(region="eu"))
        assert len(server.calls(path=TOKEN_PATH)) == 1

    def test_a_wrong_account_is_a_permission_error(self, server: ScriptedServer, transport: Transport) -> None:
        server.on("GET", PATH, Reply(403, {"code": "403", "details": "Unauthorized request."}))
        with pytest.raises(AmcPermissionError, match="ENTITY"):
            get(transport)

    def test_two_clients_share_a_token(self, server: ScriptedServer, make: Callable[..., Transport]) -> None:
        server.on("GET", PATH, OK)
        get(make())
        get(make())
        assert len(server.calls(path=TOKEN_PATH)) == 1

    def test_every_client_announces_every_secret_once(
        self, server: ScriptedServer, make: Callable[..., Transport], credentials: Credentials
    ) -> None:
        server.on("GET", PATH, OK)
        for _ in range(2):
            announced: list[str] = []
            transport = make(on_secret=announced.append)
            get(transport)
            get(transport)
            assert announced == [credentials.client_secret, credentials.refresh_token, "Atza|access-1"]


def test_a_body_that_json_cannot_hold_is_refused(transport: Transport, server: ScriptedServer) -> None:
    for value in (object(), float("nan"), {1, 2}):
        with pytest.raises(AmcValidationError, match="cannot be written as JSON"):
            transport.call("POST", PATH, media_type=WORKFLOWS, body={"a": value})
    assert server.requests == []


def test_an_instance_is_needed(transport: Transport, make: Callable[..., Transport]) -> None:
    with pytest.raises(AmcConfigurationError, match="No AMC instance"):
        transport.instance(None)
    assert make(instance_id=" amctest ").instance(None) == "amctest"
    assert make(instance_id="amctest").instance("other") == "other"


def test_repeating_can_be_turned_off(server: ScriptedServer, make: Callable[..., Transport]) -> None:
    server.on("GET", PATH, Reply(500, b""), OK)
    with pytest.raises(AmcTransientError):
        get(make(retry=RetryPolicy(patience=0)))
    assert len(server.calls()) == 1
