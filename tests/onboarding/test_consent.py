from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcAuthenticationError, AmcConfigurationError, AmcValidationError
from airflow_provider_amc.onboarding.consent import Catcher, ConsentRequest

SCOPES = ("advertising::campaign_management", "advertising::audiences")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def make(emulator: EmulatorServer) -> Callable[..., ConsentRequest]:
    def request(return_url: str = "https://example.com/back", scopes: tuple[str, ...] = SCOPES) -> ConsentRequest:
        client_id = emulator.connection["login"]
        return ConsentRequest(client_id, return_url, scopes, base_url=emulator.url)

    return request


def answer_to(request: ConsentRequest) -> str:
    return requests.get(request.url, allow_redirects=False, timeout=10).headers["Location"]


def test_the_address_asks_for_all_scopes_with_state_and_proof(make: Callable[..., ConsentRequest]) -> None:
    request = make()
    query = parse_qs(urlsplit(request.url).query)
    assert query["scope"] == [" ".join(SCOPES)]
    assert query["state"] == [request.state]
    assert query["code_challenge_method"] == ["S256"]
    assert request.verifier not in request.url
    assert request.verifier not in repr(request)
    assert make().state != request.state


def test_a_pasted_address_becomes_a_refresh_token(make: Callable[..., ConsentRequest]) -> None:
    request = make()
    grant = request.exchange("emulator-secret", request.code_of(f"  {answer_to(request)}\n"))
    assert (grant.refresh_token or "").startswith("Atzr|")


def test_a_code_alone_is_taken(make: Callable[..., ConsentRequest]) -> None:
    request = make()
    code = parse_qs(urlsplit(answer_to(request)).query)["code"][0]
    assert request.code_of(code) == code


def test_the_code_is_of_no_use_without_the_verifier(make: Callable[..., ConsentRequest]) -> None:
    request = make()
    with pytest.raises(AmcAuthenticationError):
        make().exchange("emulator-secret", request.code_of(answer_to(request)))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "empty"),
        ("https://example.com/back?code=ANx&state=other", "answers another request"),
        ("https://example.com/back?code=ANx", "answers another request"),
        ("https://example.com/back?state=x", "no code"),
        ("https://example.com/back?error=access_denied&error_description=The+user+said+no", "The user said no"),
    ],
)
def test_an_answer_that_is_of_no_use(make: Callable[..., ConsentRequest], answer: str, message: str) -> None:
    with pytest.raises(AmcConfigurationError, match=message):
        make().code_of(answer)


def test_a_return_url_that_is_no_address() -> None:
    with pytest.raises(AmcValidationError, match="allowed return URLs"):
        ConsentRequest("amzn1.x", "my-app", SCOPES)


@pytest.mark.parametrize(
    ("return_url", "caught"),
    [("http://localhost:9/cb", True), ("https://localhost/cb", False), ("http://example.com/cb", False)],
)
def test_only_loopback_without_encryption_can_be_caught(return_url: str, caught: bool) -> None:
    assert ConsentRequest("amzn1.x", return_url, SCOPES).can_be_caught is caught


def test_the_browser_is_caught_and_strangers_are_not(make: Callable[..., ConsentRequest]) -> None:
    port = free_port()
    request = make(f"http://127.0.0.1:{port}/callback")
    with Catcher(request) as catcher:
        base = f"http://127.0.0.1:{port}"
        assert requests.get(f"{base}/favicon.ico", timeout=10).status_code == 404
        assert requests.get(f"{base}/callback?code=ANx&state=forged", timeout=10).status_code == 400
        page = requests.get(request.url, timeout=10)
        code = catcher.wait(10)
    assert (page.status_code, "close this page" in page.text, code in page.text) == (200, True, False)
    assert request.exchange("emulator-secret", code).refresh_token


def test_a_refusal_ends_the_wait(make: Callable[..., ConsentRequest]) -> None:
    request = make(f"http://127.0.0.1:{free_port()}/callback", scopes=("advertising::unknown",))
    with Catcher(request) as catcher:
        thread = threading.Thread(target=requests.get, args=(request.url,), kwargs={"timeout": 10})
        thread.start()
        with pytest.raises(AmcConfigurationError, match="unknown scope"):
            catcher.wait(10)
        thread.join()


def test_nobody_comes(make: Callable[..., ConsentRequest]) -> None:
    ticks = iter(range(0, 10_000, 400))
    with (
        Catcher(make(f"http://127.0.0.1:{free_port()}/cb"), clock=lambda: float(next(ticks))) as catcher,
        pytest.raises(AmcConfigurationError, match="within 10 minutes"),
    ):
        catcher.wait()


def test_a_port_that_is_taken(make: Callable[..., ConsentRequest]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(AmcConfigurationError, match="--no-listen"):
            Catcher(make(f"http://127.0.0.1:{listener.getsockname()[1]}/cb"))
