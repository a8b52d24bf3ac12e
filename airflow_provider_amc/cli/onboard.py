"""``amc onboard``: from a client id to a connection that works."""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_amc.cli.failure import fail

if TYPE_CHECKING:
    from airflow_provider_amc.onboarding.choice import Choice
    from airflow_provider_amc.onboarding.consent import ConsentRequest

_SECRET_VARIABLE = "AMC_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_TOKEN_VARIABLE = "AMC_REFRESH_TOKEN"  # noqa: S105


class Store(enum.StrEnum):
    """Where the connection goes."""

    JSON = "json"
    URI = "uri"
    AIRFLOW = "airflow"
    SECRETS_MANAGER = "secrets-manager"


class Region(enum.StrEnum):
    """Region of Amazon's hosts."""

    NA = "NA"
    EU = "EU"
    FE = "FE"


def onboard(
    client_id: Annotated[
        str | None, typer.Option(envvar="AMC_CLIENT_ID", help="LwA client id of the security profile.")
    ] = None,
    client_secret_file: Annotated[
        Path | None,
        typer.Option(
            help=f"File with the LwA client secret. Else the variable {_SECRET_VARIABLE}, else it is asked for."
        ),
    ] = None,
    return_url: Annotated[
        str, typer.Option(help="One of the allowed return URLs of the security profile.")
    ] = "http://127.0.0.1:8765/callback",
    region: Annotated[Region, typer.Option(case_sensitive=False, help="Region of the account.")] = Region.NA,
    audiences: Annotated[
        bool, typer.Option("--audiences", help="Ask for the scope of advertiser audiences and data upload, too.")
    ] = False,
    base_url: Annotated[
        str | None, typer.Option(help="Address that replaces Amazon's hosts, such as that of the emulator.")
    ] = None,
    listen: Annotated[
        bool, typer.Option("--listen/--no-listen", help="Catch the browser's way back, if the return URL leads here.")
    ] = True,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the consent address.")] = True,
    refresh_token_file: Annotated[
        Path | None,
        typer.Option(help=f"File with a refresh token of an earlier consent, or the variable {_TOKEN_VARIABLE}."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="AMC account, if several can be reached.")] = None,
    instance: Annotated[
        str | None, typer.Option(help="Default AMC instance, if several can be reached; 'none' for no default.")
    ] = None,
    conn_id: Annotated[str, typer.Option(help="Id of the Airflow connection.")] = "amc_default",
    store: Annotated[
        Store,
        typer.Option(
            help="json, uri: print the connection; airflow: the metadata database; secrets-manager: the credentials go "
            "to AWS Secrets Manager, and the connection that names them is printed."
        ),
    ] = Store.JSON,
    output: Annotated[
        Path | None, typer.Option(help="Write the connection into this file, which nobody else can read.")
    ] = None,
    secret_id: Annotated[str, typer.Option(help="Name of the AWS Secrets Manager secret.")] = "amc/amc_default",  # noqa: S107 - a name
    aws_conn_id: Annotated[str | None, typer.Option(help="Airflow connection for AWS Secrets Manager.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a connection or secret that is there.")] = False,
) -> None:
    """Set up a connection: consent with Login with Amazon, choose account and instance, store the result.

    Messages go to standard error, and the connection alone to standard output. Without a terminal nothing is asked:
    what is missing is named instead. Secrets are taken from files, variables or a hidden prompt, never from the
    command line, where others and the shell's history could see them.
    """
    from airflow_provider_amc.client import Credentials
    from airflow_provider_amc.exceptions import AmcError
    from airflow_provider_amc.onboarding.choice import Choice, with_account, with_instance

    try:
        known_id = client_id or _ask("LwA client id", "--client-id")
        secret = _secret("client secret", client_secret_file, _SECRET_VARIABLE, "--client-secret-file")
        token = _given(refresh_token_file, _TOKEN_VARIABLE)
        if token is None:
            token = _consent(known_id, secret, return_url, region.value, audiences, base_url, listen, browser)
        choice = Choice(Credentials(known_id, secret, token), region.value, base_url)
        ask = _choose if _has_terminal() else None
        choice = with_instance(with_account(choice, account, ask), instance, ask)
        _say(f"Account {choice.account_id}, instance {choice.instance_id or 'none'}")
        _keep(choice, store, conn_id, output, secret_id, aws_conn_id, replace)
    except (AmcError, OSError) as error:
        fail(str(error))


def _consent(
    client_id: str,
    client_secret: str,
    return_url: str,
    region: str,
    audiences: bool,
    base_url: str | None,
    listen: bool,
    browser: bool,
) -> str:
    from airflow_provider_amc.client import SCOPE_AUDIENCES, SCOPE_CAMPAIGN_MANAGEMENT
    from airflow_provider_amc.exceptions import AmcConfigurationError
    from airflow_provider_amc.onboarding.consent import ConsentRequest

    scopes = [SCOPE_CAMPAIGN_MANAGEMENT, *([SCOPE_AUDIENCES] if audiences else [])]
    request = ConsentRequest(client_id, return_url, scopes, region, base_url)
    code = _caught(request, browser) if listen and request.can_be_caught else _pasted(request, browser)
    token = request.exchange(client_secret, code).refresh_token
    if token is None:
        raise AmcConfigurationError("Login with Amazon gave no refresh token. Consent again.")
    return token


def _caught(request: ConsentRequest, browser: bool) -> str:
    from airflow_provider_amc.onboarding.consent import Catcher

    with Catcher(request) as catcher:
        _invite(request, browser)
        _say(f"Waiting for the browser to come back to {request.return_url} ...")
        return catcher.wait()


def _pasted(request: ConsentRequest, browser: bool) -> str:
    _invite(request, browser)
    _say("After the consent, paste the whole address that the browser shows; it has code=...")
    answer = getpass("Address: ", sys.stderr) if _has_terminal() else sys.stdin.readline()
    return request.code_of(answer)


def _invite(request: ConsentRequest, browser: bool) -> None:
    _say("Open this address and give your consent, as the user who works in AMC:")
    _say(request.url)
    if browser and _has_terminal():
        import webbrowser

        webbrowser.open(request.url)


def _keep(
    choice: Choice,
    store: Store,
    conn_id: str,
    output: Path | None,
    secret_id: str,
    aws_conn_id: str | None,
    replace: bool,
) -> None:
    from airflow_provider_amc.onboarding import keeping

    # Airflow may log to standard output, which is for the connection alone.
    with contextlib.redirect_stdout(sys.stderr):
        connection = keeping.fields(choice)
        if store is Store.AIRFLOW:
            keeping.keep_in_airflow(connection, conn_id, replace=replace)
            _say(f"Airflow has the connection {conn_id} now. Try it: amc doctor --conn-id {conn_id}")
            return
        if store is Store.SECRETS_MANAGER:
            keeping.keep_in_secrets_manager(choice, secret_id, aws_conn_id, replace=replace)
            _say(f"AWS Secrets Manager has the credentials now, as {secret_id}. The connection names them:")
            connection = keeping.fields(choice, secret_id=secret_id, aws_conn_id=aws_conn_id)
        text = keeping.as_uri(connection, conn_id) if store is Store.URI else keeping.as_json(connection)
    if output is None:
        typer.echo(text)
    else:
        # Private from its first byte on.
        output.unlink(missing_ok=True)
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{text}\n")
    _say(f"Set it as AIRFLOW_CONN_{conn_id.upper()}, or give it to your secrets backend. Try it: amc doctor")


def _given(file: Path | None, variable: str) -> str | None:
    text = file.read_text() if file is not None else os.environ.get(variable, "")
    return text.strip() or None


def _secret(what: str, file: Path | None, variable: str, option: str) -> str:
    if found := _given(file, variable):
        return found
    if not _has_terminal():
        fail(f"There is no {what}, and no terminal to ask for it: set {variable}, or give {option}.")
    # It hides what is typed before it asks; the prompt of typer does so a moment later.
    return getpass(f"LwA {what}: ", sys.stderr).strip()


def _ask(what: str, option: str) -> str:
    if not _has_terminal():
        fail(f"There is no {what}, and no terminal to ask for it: give {option}.")
    return str(typer.prompt(what, err=True)).strip()


def _choose(question: str, lines: Sequence[str]) -> int:
    _say(question)
    for number, line in enumerate(lines, 1):
        _say(f"  {number}  {line}")
    while not 1 <= (chosen := int(typer.prompt("Number", type=int, err=True))) <= len(lines):
        _say(f"A number from 1 to {len(lines)}, please.")
    return chosen - 1


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _say(text: str) -> None:
    typer.echo(text, err=True)
