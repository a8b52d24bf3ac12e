"""The command ``amc``, one module a sub-command.

Heavy modules are imported inside the commands, so that ``amc --help`` answers at once and ``amc`` works without the
``emulator`` extra.
"""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_provider_amc import __version__
from airflow_provider_amc.cli.doctor import doctor
from airflow_provider_amc.cli.emulator import emulator
from airflow_provider_amc.cli.onboard import onboard
from airflow_provider_amc.cli.sweep import sweep

app = typer.Typer(
    name="amc",
    help="Tools for Amazon Marketing Cloud (AMC) pipelines.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
for command in (emulator, onboard, doctor, sweep):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"airflow-provider-amc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tools for Amazon Marketing Cloud (AMC) pipelines."""


def main() -> None:
    """Entry point of the command ``amc``."""
    app()
