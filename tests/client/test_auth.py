from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_amc.client.auth import (
    SCOPE_AUDIENCES,
    SCOPE_CAMPAIGN_MANAGEMENT,
    Credentials,
    TokenSource,
    authorization_url,
    exchange_code,
)
from airflow_provider_amc.client.retry import RetryPolicy
from airflow_provider_amc.exceptions import (
    AmcAuthenticationError,
    AmcConfigurationError,
    AmcHttpError,
    AmcThrottledError,
    AmcTransientError,
    AmcValidationError,
)
from tests.client.scripted import TOKEN_PATH, FakeTime, Received, Reply, ScriptedServer, free_port

RETRY = RetryPolicy()


def make_source(server: ScriptedServer, credentials: Credentials, time: FakeTime) -> TokenSource:
    return TokenSource(credentials, server.url + TOKEN_PATH, clock=time.clock)


class TestCredentials:
    def test_the_repr_hides_the_secrets(self, credentials: Credentials) -> None:
        assert "amzn1" in repr(credentials)
        assert "very-secret-value" not in repr(credentials)
        assert "Atzr" not in repr(credentials)

    def test_what_is_missing_is_named(self) -> None:
        with pytest.raises(AmcConfigurationError, match="client_secret, refresh_token"):
            Credentials("id", "", None)  # type: ignore[arg-type]

    def test_line_ends_of_a_copied_value_are_dropped(self) -> None:
        assert Credentials("id ", "secret\n", "\tAtzr|x\r\n") == Credentials("id", "secret", "Atzr|x")

    def test_a_client_id_cannot_break_the_header(self) -> None:
        with pytest.raises(AmcConfigurationError, match="client_id"):
            Credentials("a\r\nX: 1", "secret", "Atzr|x")


class TestAuthorizationUrl:
    @pytest.mark.parametrize(
        ("region", "host"),
        [("NA", "www.amazon.com"), ("EU", "eu.account.amazon.com"), ("FE", "apac.account.amazon.com")],
    )
    def test_it_is_on_the_consent_page_of_the_region(self, region: str, host: str) -> None:
        url = authorization_url("my-id", "https://my.site/return?x=1", region=region, state="a&b")
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc, parts.path) == ("https", host, "/ap/oa")
        assert parse_qs(parts.query) == {
            "client_id": ["my-id"],
            "scope": ["advertising::campaign_management"],
            "response_type": ["code"],
            "redirect_uri": ["https://my.site/return?x=1"],
            "state": ["a&b"],
        }

    def test_scopes_are_joined_by_a_space(self) -> None:
        url = authorization_url("my-id", "https://x/", scopes=[SCOPE_CAMPAIGN_MANAGEMENT, SCOPE_AUDIENCES], region="NA")
        assert "scope=advertising::campaign_management%20advertising::audiences&" in url

    def test_scopes_given_as_one_text_are_the_same(self) -> None:
        text = f"{SCOPE_CAMPAIGN_MANAGEMENT} {SCOPE_AUDIENCES}"
        assert authorization_url("i", "https://x/", scopes=text) == authorization_url(
            "i", "https://x/", scopes=[SCOPE_CAMPAIGN_MANAGEMENT, SCOPE_AUDIENCES]
        )

    def test_pkce_and_base_url(self) -> None:
        url = authorization_url("i", "https://x/", code_challenge="abc", base_url="http://127.0.0.1:8600/")
        assert url.startswith("http://127.0.0.1:8600/ap/oa?")
        assert url.endswith("code_challenge=abc&code_challenge_method=S256")

    @pytest.mark.parametrize("scopes", [[], "", ["a&b"], ["a b"], ["a,b"]])
    def test_wrong_scopes_are_refused(self, scopes: list[str]) -> None:
        with pytest.raises(AmcValidationError, match="scope"):
            authorization_url("i", "https://x/", scopes=scopes)


class TestExchangeCode:
    def test_it_sends_a_form_and_returns_both_tokens(self, server: ScriptedServer) -> None:
        tokens = {"access_token": "Atza|a", "refresh_token": "Atzr|r", "expires_in": 3600}
        server.on("POST", TOKEN_PATH, Reply(body=tokens))
        grant = exchange_code("id", "secret", " code ", "https://x/", base_url=server.url, code_verifier="v")
        assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("Atza|a", "Atzr|r", 3600.0)
        assert "Atza" not in repr(grant)
        request = server.calls(path=TOKEN_PATH)[0]
        assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
        assert request.form == {
            "grant_type": "authorization_code",
            "code": "code",
            "redirect_uri": "https://x/",
            "client_id": "id",
            "client_secret": "secret",
            "code_verifier": "v",
        }

    def test_a_used_code_says_what_to_do(self, server: ScriptedServer) -> None:
        body = {
            "error": "invalid_grant",
            "error_description": "The request has an invalid grant parameter : code",
            "request_id": "rid-1",
        }
        server.on("POST", TOKEN_PATH, Reply(400, body))
        with pytest.raises(AmcAuthenticationError, match="valid for 5 minutes") as caught:
            exchange_code("id", "secret", "code", "https://x/", base_url=server.url)
        assert caught.value.request_id == "rid-1"
        assert not caught.value.retryable

    def test_an_empty_code_is_not_sent(self) -> None:
        with pytest.raises(AmcValidationError, match="code is empty"):
            exchange_code("id", "secret", " ", "https://x/")

    def test_an_unreachable_host_is_named(self) -> None:
        with pytest.raises(AmcTransientError, match=r"could not connect.*127\.0\.0\.1"):
            exchange_code("id", "secret", "code", "https://x/", base_url=f"http://127.0.0.1:{free_port()}")


class TestTokenSource:
    def test_a_token_is_kept_until_shortly_before_its_end(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        source = make_source(server, credentials, fake_time)
        first = source.get(retry=RETRY)
        fake_time.now += 3600 - 61
        assert source.get(retry=RETRY) == first
        fake_time.now += 2
        assert source.get(retry=RETRY) != first
        requests = server.calls(path=TOKEN_PATH)
        assert len(requests) == 2
        assert requests[0].form == {
            "grant_type": "refresh_token",
            "refresh_token": credentials.refresh_token,
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }

    def test_a_very_short_token_is_still_used_more_than_once(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        server.on("POST", TOKEN_PATH, Reply(body={"access_token": "Atza|short", "expires_in": 30}))
        source = make_source(server, credentials, fake_time)
        for _ in range(3):
            source.get(retry=RETRY)
        assert len(server.calls(path=TOKEN_PATH)) == 1
        fake_time.now += 16
        source.get(retry=RETRY)
        assert len(server.calls(path=TOKEN_PATH)) == 2

    def test_many_threads_ask_once(self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime) -> None:
        workers = 16
        inside = threading.Barrier(workers)

        source = make_source(server, credentials, fake_time)

        def ask(_: int) -> str:
            inside.wait()
            return source.get(retry=RETRY)

        with ThreadPoolExecutor(workers) as pool:
            tokens = set(pool.map(ask, range(workers)))
        assert len(tokens) == 1
        assert len(server.calls(path=TOKEN_PATH)) == 1

    def test_many_threads_with_a_rejected_token_ask_once(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        source = make_source(server, credentials, fake_time)
        old = source.get(retry=RETRY)
        for _ in range(5):
            source.reject(old)
            source.get(retry=RETRY)
        assert len(server.calls(path=TOKEN_PATH)) == 2

    def test_threads_that_waited_for_a_refusal_share_it(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        workers = 8
        source = make_source(server, credentials, fake_time)
        waiting = threading.Semaphore(0)

        def refuse(_: Received) -> Reply:
            # Answered only when every other thread is on its way to the lock.
            for _other in range(workers - 1):
                waiting.acquire(timeout=10)
            return Reply(400, {"error": "invalid_grant", "error_description": "revoked"})

        server.on("POST", TOKEN_PATH, refuse, Reply(body={"access_token": "Atza|again", "expires_in": 3600}))
        errors: list[BaseException] = []

        def ask(first: bool) -> None:
            if not first:
                waiting.release()
            try:
                source.get(retry=RETRY)
            except AmcAuthenticationError as error:
                errors.append(error)

        threads = [threading.Thread(target=ask, args=(number == 0,)) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # A thread that came to the lock only after the refusal asks anew, and is right to.
        assert len(server.calls(path=TOKEN_PATH)) <= 2
        assert errors
        assert len({id(error) for error in errors}) == len(errors)
        assert source.get(retry=RETRY) == "Atza|again"

    def test_a_rotated_refresh_token_is_used_from_then_on(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        rotated = {"access_token": "Atza|1", "refresh_token": "Atzr|rotated", "expires_in": 3600}
        server.on("POST", TOKEN_PATH, Reply(body=rotated))
        source = make_source(server, credentials, fake_time)
        assert source.refresh_token == credentials.refresh_token
        source.get(retry=RETRY)
        assert source.refresh_token == "Atzr|rotated"
        fake_time.now += 4000
        source.get(retry=RETRY)
        assert server.calls(path=TOKEN_PATH)[1].form["refresh_token"] == "Atzr|rotated"

    def test_an_outage_is_waited_out(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        good = Reply(body={"access_token": "Atza|late"})
        server.on("POST", TOKEN_PATH, Reply(503, b"<html>sorry</html>"), Reply(fault="close"), good)
        source = make_source(server, credentials, fake_time)
        assert source.get(retry=RETRY, sleep=fake_time.sleep) == "Atza|late"
        assert len(fake_time.waits) == 2

    def test_throttling_is_obeyed(self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime) -> None:
        server.on("POST", TOKEN_PATH, Reply(429, b"", {"Retry-After": "9"}), Reply(body={"access_token": "Atza|x"}))
        make_source(server, credentials, fake_time).get(retry=RETRY, sleep=fake_time.sleep)
        assert fake_time.waits[0] >= 9

    def test_an_outage_without_end_is_an_error_that_can_be_retried(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        server.on("POST", TOKEN_PATH, Reply(500, b""))
        source = make_source(server, credentials, fake_time)
        with pytest.raises(AmcTransientError, match="Login with Amazon failed") as caught:
            source.get(retry=RETRY, sleep=fake_time.sleep)
        assert caught.value.retryable
        assert sum(fake_time.waits) == pytest.approx(RETRY.patience)
        server.on("POST", TOKEN_PATH, Reply(429, b""))
        with pytest.raises(AmcThrottledError):
            source.get(retry=RetryPolicy(patience=0), sleep=fake_time.sleep)

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (400, {"error": "invalid_grant", "error_description": "The request has an invalid grant parameter : "
             "refresh_token. User may have revoked or didn't grant the permission."}, "was revoked, or belongs to"),
            (401, {"error": "invalid_client", "error_description": "Client authentication failed"}, "client secret"),
            (400, {"error": "unauthorized_client"}, "Ask Amazon to give this client id access"),
            (400, b"<html><title>Bad request</title></html>", "Bad request"),
            (403, b"\xff\xfe\x00garbage", "Check client id"),
            (400, b"", "Bad Request"),
            (400, [], "Check client id"),
        ],
    )  # fmt: skip
    def test_a_refusal_says_what_to_do_and_is_not_repeated(
        self,
        server: ScriptedServer,
        credentials: Credentials,
        fake_time: FakeTime,
        status: int,
        body: object,
        words: str,
    ) -> None:
        server.on("POST", TOKEN_PATH, Reply(status, body))
        with pytest.raises(AmcAuthenticationError, match=words) as caught:
            make_source(server, credentials, fake_time).get(retry=RETRY, sleep=fake_time.sleep)
        assert not caught.value.retryable
        assert fake_time.waits == []
        assert len(server.calls(path=TOKEN_PATH)) == 1

    def test_an_echoed_secret_does_not_reach_the_error(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        echo = f"bad request: {credentials.client_secret} {credentials.refresh_token} Atza|other-token"
        server.on("POST", TOKEN_PATH, Reply(400, {"error": "invalid_request", "error_description": echo}))
        with pytest.raises(AmcAuthenticationError) as caught:
            make_source(server, credentials, fake_time).get(retry=RETRY)
        shown = f"{caught.value} {caught.value.details} {caught.value!r} {vars(caught.value)}"
        for secret in (credentials.client_secret, credentials.refresh_token, "other-token"):
            assert secret not in shown

    @pytest.mark.parametrize("body", [b"<html>proxy</html>", {}, {"access_token": ""}, {"access_token": 5}, [1], b""])
    def test_an_answer_without_token_is_an_error(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime, body: object
    ) -> None:
        server.on("POST", TOKEN_PATH, Reply(200, body))
        with pytest.raises(AmcHttpError, match="without an access token"):
            make_source(server, credentials, fake_time).get(retry=RETRY)

    @pytest.mark.parametrize("status", [404, 405, 418])
    def test_another_service_in_its_place_is_no_matter_of_the_credentials(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime, status: int
    ) -> None:
        server.on("POST", TOKEN_PATH, Reply(status, b"<title>nginx</title>"))
        with pytest.raises(AmcHttpError, match=r"nginx.*Check the base URL") as caught:
            make_source(server, credentials, fake_time).get(retry=RETRY)
        assert not isinstance(caught.value, AmcAuthenticationError)

    def test_credentials_are_not_sent_after_a_redirect(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        server.on("POST", TOKEN_PATH, Reply(307, b"", {"Location": server.url + "/elsewhere"}))
        with pytest.raises(AmcHttpError, match="redirect"):
            make_source(server, credentials, fake_time).get(retry=RETRY)
        assert server.calls() == []

    def test_an_odd_lifetime_means_an_hour(
        self, server: ScriptedServer, credentials: Credentials, fake_time: FakeTime
    ) -> None:
        server.on("POST", TOKEN_PATH, Reply(body={"access_token": "Atza|x", "expires_in": "soon"}))
        source = make_source(server, credentials, fake_time)
        source.get(retry=RETRY)
        fake_time.now += 3000
        source.get(retry=RETRY)
        assert len(server.calls(path=TOKEN_PATH)) == 1

    def test_the_process_shares_one_source_per_credentials_and_host(self, credentials: Credentials) -> None:
        url = "https://api.amazon.com/auth/o2/token"
        source = TokenSource.shared(credentials, url)
        same = Credentials(credentials.client_id, credentials.client_secret, credentials.refresh_token)
        assert TokenSource.shared(same, url) is source
        assert TokenSource.shared(credentials, "http://127.0.0.1/auth/o2/token") is not source
        moved = Credentials(credentials.client_id + "v", credentials.client_secret[1:], credentials.refresh_token)
        assert TokenSource.shared(moved, url) is not source

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_forked_child_is_not_stuck_on_a_lock_of_its_parent(
        self, server: ScriptedServer, credentials: Credentials
    ) -> None:
        source = TokenSource.shared(credentials, server.url + TOKEN_PATH)
        with source._lock:
            child = os.fork()
            if child == 0:
                # Only this thread exists here: nobody would ever release the lock.
                os._exit(0 if source._lock.acquire(blocking=False) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_errors_survive_the_way_between_processes() -> None:
    error = AmcThrottledError("slow down", retry_after=3.0, http_status=429, request_id="r")
    again = pickle.loads(pickle.dumps(error))
    assert (again.retry_after, again.http_status, str(again)) == (3.0, 429, str(error))
