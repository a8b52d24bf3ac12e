"""How a command ends that cannot do what it was asked for."""

from __future__ import annotations

from typing import NoReturn

import typer


def fail(message: str) -> NoReturn:
    """Say why, on standard error, and end with status 1.

    :param message: what is wrong, where, and what to do.
    """
    typer.echo(f"amc: {message}", err=True)
    raise typer.Exit(1)
