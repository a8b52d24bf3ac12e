"""``amc onboard`` as a process: driven by options, and by a person at a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner, Result

from airflow_provider_amc.cli import app
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from tests.onboarding.test_consent import free_port

COMMAND = [sys.executable, "-m", "airflow_provider_amc.cli", "onboard"]
ROOT = Path(__file__).parents[2]
#: Seconds that nothing here should ever take.
PATIENCE = 120


def arguments(emulator: EmulatorServer, *more: str) -> list[str]:
    client_id = emulator.connection["login"]
    return [*COMMAND, "--client-id", client_id, "--base-url", emulator.url, "--no-browser", *more]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "AMC_CLIENT_SECRET": "emulator-secret", **more}


def works(connection: str, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, str]:
    monkeypatch.setenv("AIRFLOW_CONN_AMC_ONBOARDED", connection)
    return AmcHook("amc_onboarded").test_connection()


def address_in(text: str) -> str:
    found = re.search(r"http\S+/ap/oa\?\S+", text)
    assert found is not None, text
    return found[0]


def test_by_options_and_a_browser_that_comes_back(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}/callback"
    command = arguments(emulator, "--return-url", url, "--instance", "amcemulator", "--store", "uri", "--audiences")
    with subprocess.Popen(
        command, env=environment(), cwd=ROOT, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = ""
        while "/ap/oa?" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        while "Waiting for the browser" not in said:
            said += process.stderr.readline()
        assert requests.get(address_in(said), timeout=30).status_code == 200
        connection, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said + rest
    assert connection.startswith("amc://")
    assert "emulator-secret" not in said + rest
    assert "Atzr" not in said + rest
    passed, message = works(connection.strip(), monkeypatch)
    assert passed, message


def test_by_a_pasted_address_into_a_private_file(
    emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret, output = tmp_path / "secret", tmp_path / "connection.json"
    secret.write_text("emulator-secret\n")
    output.write_text("old")
    command = arguments(
        emulator, "--return-url", "https://example.com/back", "--client-secret-file", str(secret),
        "--instance", "amcsandbox", "--output", str(output),
    )  # fmt: skip
    with subprocess.Popen(
        command, env=environment(AMC_CLIENT_SECRET=""), cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = ""
        while "/ap/oa?" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        back = requests.get(address_in(said), allow_redirects=False, timeout=30).headers["Location"]
        printed, rest = process.communicate(f"{back}\n", timeout=PATIENCE)
    assert (process.returncode, printed) == (0, ""), rest
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    passed, message = works(output.read_text(), monkeypatch)
    assert passed, message
    assert "amcsandbox" in message


def here(emulator: EmulatorServer, *more: str, **variables: str) -> Result:
    """The command in this process, without a terminal."""
    return CliRunner().invoke(app, arguments(emulator, *more)[len(COMMAND) - 1 :], env=environment(**variables))


def test_a_known_refresh_token_needs_no_consent(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    result = here(emulator, "--instance", "none", AMC_REFRESH_TOKEN="Atzr|emulator")
    assert result.exit_code == 0, result.stderr
    assert "instance_id" not in json.loads(result.stdout)["extra"]
    assert works(result.stdout, monkeypatch)[0]


@pytest.mark.parametrize(
    ("more", "variables", "message"),
    [
        ((), {"AMC_CLIENT_SECRET": ""}, "set AMC_CLIENT_SECRET, or give --client-secret-file"),
        ((), {}, "name one with --instance"),
        (("--instance", "amcother"), {}, "There is no instance amcother. These can be reached:\n  amcemulator"),
        (("--account", "ENTITYOTHER"), {}, "There is no account ENTITYOTHER"),
        ((), {"AMC_CLIENT_SECRET": "wrong-one"}, "Login with Amazon"),
        (("--client-secret-file", "/nowhere/secret"), {}, "/nowhere/secret"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    emulator: EmulatorServer, more: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    result = here(emulator, *more, **{"AMC_REFRESH_TOKEN": "Atzr|emulator", **variables})
    assert result.exit_code == 1
    assert result.stderr.startswith("amc: ") or "\namc: " in result.stderr
    assert message in result.stderr
    assert "wrong-one" not in result.stderr


class Terminal:
    """A person at a pseudo-terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.seen = ""

    def until(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._descriptor], [], [], 1.0)[0]:
                try:
                    self.seen += os.read(self._descriptor, 4096).decode()
                except OSError:
                    raise AssertionError(self.seen) from None

    def type(self, text: str) -> None:
        os.write(self._descriptor, f"{text}\n".encode())


@contextmanager
def at_a_terminal(command: list[str], variables: dict[str, str]) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env=variables, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Terminal(ours), process
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_at_a_terminal_into_airflow(emulator: EmulatorServer, airflow_db: None) -> None:
    command = [
        *COMMAND, "--base-url", emulator.url, "--no-browser", "--return-url", "https://example.com/back",
        "--store", "airflow", "--conn-id", "amc_typed",
    ]  # fmt: skip
    with at_a_terminal(command, {**environment(AMC_CLIENT_SECRET=""), "COLUMNS": "1000"}) as (terminal, process):
        terminal.until("LwA client id")
        terminal.type(emulator.connection["login"])
        terminal.until("LwA client secret")
        terminal.type("emulator-secret")
        terminal.until("Address")
        back = requests.get(address_in(terminal.seen), allow_redirects=False, timeout=30).headers["Location"]
        terminal.type(back)
        terminal.until("Which instance?")
        terminal.until("Number")
        terminal.type("9")
        terminal.until("A number from 1 to 2")
        terminal.type("1")
        terminal.until("Airflow has the connection amc_typed now")
        assert process.wait(PATIENCE) == 0
    assert "emulator-secret" not in terminal.seen
    assert "code=AN" not in terminal.seen
    # As Airflow itself tests it, from its database
    tested = subprocess.run(
        [sys.executable, "-m", "airflow", "connections", "test", "amc_typed"],
        env={**os.environ, "AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}, cwd=ROOT,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "Connection success" in tested.stdout
