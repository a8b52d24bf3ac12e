from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import urllib3

from airflow_provider_amc.client import http
from tests.client.scripted import Reply, ScriptedServer, free_port

QUICK = (2.0, 0.2)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with http.new_session() as made:
        yield made


def get(session: requests.Session, url: str, *, timeout: tuple[float, float] = (2.0, 5.0), **more: int) -> http.Answer:
    return http.exchange(session, "GET", url, headers={"Authorization": "Bearer t"}, data=None, timeout=timeout, **more)


def test_an_answer_has_status_headers_and_body(server: ScriptedServer, session: requests.Session) -> None:
    server.on("GET", "/x", Reply(418, b"tea", {"X-Amz-Rid": "r"}))
    answer = get(session, f"{server.url}/x")
    assert (answer.status, answer.headers["x-amz-rid"], answer.body) == (418, "r", b"tea")
    assert server.calls()[0].headers["user-agent"].startswith("airflow-provider-amc/")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(fault="close"), "cut"),
        (Reply(fault="reset"), "cut"),
        (Reply(body=b"x" * 100, fault="cut", cut_at=40), "cut"),
        (Reply(body=b"x" * 100, fault="cut", cut_at=40, chunked=True), "cut"),
        (Reply(fault="hang"), "timed out while waiting"),
        (Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"}), "decompressed"),
    ],
)
def test_what_may_have_been_read_counts_as_sent(
    server: ScriptedServer, session: requests.Session, reply: Reply, words: str
) -> None:
    server.on("GET", "/x", reply)
    with pytest.raises(http.NoAnswer, match=words) as caught:
        get(session, f"{server.url}/x", timeout=QUICK)
    assert caught.value.sent
    assert not caught.value.permanent


def test_a_refused_connection_sent_nothing(session: requests.Session) -> None:
    with pytest.raises(http.NoAnswer, match="could not connect") as caught:
        get(session, f"http://127.0.0.1:{free_port()}/x")
    assert not caught.value.sent
    assert not caught.value.permanent


def test_a_connection_that_is_not_taken_sent_nothing() -> None:
    error = requests.exceptions.ConnectTimeout(urllib3.exceptions.ConnectTimeoutError("x"))
    failure = http.classify_failure(error)
    assert (failure.sent, failure.permanent) == (False, False)


def test_an_unknown_host_name_sent_nothing() -> None:
    reason = urllib3.exceptions.NewConnectionError(None, "name")  # type: ignore[arg-type]
    error = requests.exceptions.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", reason))  # type: ignore[arg-type]
    assert not http.classify_failure(error).sent


def test_too_large_an_answer_is_not_held_in_memory(server: ScriptedServer, session: requests.Session) -> None:
    server.on("GET", "/x", Reply(body=b"x" * 1000))
    with pytest.raises(http.NoAnswer, match="larger than 999 bytes") as caught:
        get(session, f"{server.url}/x", max_body=999)
    assert caught.value.permanent


@pytest.mark.parametrize("location", ["/elsewhere", "ftp://x", "//other.example/"])
def test_redirects_are_answers(server: ScriptedServer, session: requests.Session, location: str) -> None:
    server.on("GET", "/x", Reply(302, b"", {"Location": location}))
    assert get(session, f"{server.url}/x").status == 302
    assert [call.path for call in server.calls()] == ["/x"]


@pytest.mark.parametrize("location", ["http://[bad", "http://127.0.0.1:99999/"])
def test_a_malformed_redirect_stays_inside_the_error_tree(
    server: ScriptedServer, session: requests.Session, location: str
) -> None:
    # requests looks at the address of a redirect even if it does not follow it.
    server.on("GET", "/x", Reply(302, b"", {"Location": location}))
    with pytest.raises(http.NoAnswer, match="malformed") as caught:
        get(session, f"{server.url}/x")
    assert caught.value.permanent


def test_a_netrc_file_does_not_replace_the_token(
    server: ScriptedServer, session: requests.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.on("GET", "/x", Reply())
    get(session, f"{server.url}/x")
    assert server.calls()[0].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_is_reached_without_proxy(host: str) -> None:
    assert http.proxies_for(f"http://{host}:8600/x") == {"http": None, "https": None, "all": None}


@pytest.mark.parametrize("url", ["https://advertising-api.amazon.com", "http://10.0.0.1/", "http://emulator:8600", "x"])
def test_other_hosts_are_reached_as_the_environment_says(url: str) -> None:
    assert http.proxies_for(url) is None


def test_a_proxy_of_the_environment_is_not_in_the_way(
    server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.on("GET", "/x", Reply())
    assert get(session, f"{server.url}/x").status == 200


def test_an_untrusted_certificate_is_permanent() -> None:
    cause = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    failure = http.classify_failure(requests.exceptions.SSLError(cause))
    assert failure.permanent
    assert not failure.sent


def test_tls_verification_is_on(session: requests.Session) -> None:
    assert session.verify is True


def test_a_service_without_tls_is_not_spoken_to_in_clear(server: ScriptedServer, session: requests.Session) -> None:
    with pytest.raises(http.NoAnswer, match="TLS failed"):
        get(session, f"https://127.0.0.1:{server.port}/x")
    assert server.requests == []


def test_each_thread_has_its_own_session_and_closing_them_allows_new_ones(server: ScriptedServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    sessions = http.Sessions()
    mine = sessions.get()
    assert sessions.get() is mine
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(sessions.get).result() is not mine
    server.on("GET", "/x", Reply())
    sessions.close()
    assert get(sessions.get(), f"{server.url}/x").status == 200
    sessions.close()
