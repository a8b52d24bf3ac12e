"""``amc emulator``: a local AMC."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_amc.cli.failure import fail

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.server import EmulatorServer


class Speed(enum.StrEnum):
    """How long executions take."""

    INSTANT = "instant"
    REALISTIC = "realistic"


class Envelope(enum.StrEnum):
    """Shape of single objects in answers."""

    FLAT = "flat"
    WRAPPED = "wrapped"


def emulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8600,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic data.")] = 7,
    scale: Annotated[
        str,
        typer.Option(help="Size of the synthetic data: tiny, small, medium, large, or impressions, 10000 to 10000000."),
    ] = "small",
    speed: Annotated[
        Speed, typer.Option(help="instant: runs end with their query; realistic: after seconds to minutes.")
    ] = Speed.INSTANT,
    state_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep everything here over a restart.")
    ] = None,
    envelope: Annotated[
        Envelope, typer.Option(help="flat: answers as recorded; wrapped: as in Amazon's OpenAPI files.")
    ] = Envelope.FLAT,
    instance: Annotated[
        list[str] | None, typer.Option(help="Id of a further STANDARD instance; may be repeated.")
    ] = None,
    rows_per_file: Annotated[int, typer.Option(min=1, help="Rows of a result file before another begins.")] = 500_000,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Where sources about AMC disagree, or AMC depends on the account: unknown_id_status=400|404, "
            "not_ready_status=404|400, terms_status=403|401, scope_status=403|401, workflow_validation=create|async, "
            "z_suffix=accept|reject, instances_page_size=100|10, access=managed|self_service, terms=accepted|open, "
            "upload_statuses=spec|guide, bucket_tags=ignore|require, overlap_limit=N, min_audience_users=N, "
            "min_seed_users=N, throttle=off|retry_after|bare. May be repeated.",
        ),
    ] = None,
    s3_endpoint_url: Annotated[
        str | None, typer.Option(help="S3 that uploads read from, such as a local one; AWS if not given.")
    ] = None,
    now: Annotated[str | None, typer.Option(help="Virtual time to start at, such as 2026-01-01T00:00:00Z.")] = None,
) -> None:
    """Run a local AMC: Login with Amazon, the AMC API, result files and control endpoints on one port."""
    from airflow_provider_amc.emulator.extra import what_to_install

    if problem := what_to_install():
        fail(problem)
    from airflow_provider_amc.emulator.server import EmulatorConfig, EmulatorServer
    from airflow_provider_amc.emulator.store import StateDirectoryInUseError

    try:
        config = EmulatorConfig(
            host=host,
            port=port,
            seed=seed,
            scale=scale,
            speed=speed.value,
            state_dir=state_dir,
            envelope=envelope.value,
            extra_instances=instance or 0,
            rows_per_file=rows_per_file,
            s3_endpoint_url=s3_endpoint_url,
            now=now,
        )
        EmulatorServer(config.replaced(**_switches(switch or []))).run(_announce)
    except (ValueError, OSError, StateDirectoryInUseError) as error:
        fail(str(error))


_SWITCHES = {
    **dict.fromkeys(
        ("unknown_id_status", "not_ready_status", "terms_status", "scope_status", "instances_page_size"), int
    ),
    **dict.fromkeys(
        ("workflow_validation", "z_suffix", "access", "terms", "upload_statuses", "bucket_tags", "throttle"), str
    ),
    **dict.fromkeys(("overlap_limit", "min_audience_users", "min_seed_users"), int),
}


def _switches(given: list[str]) -> dict[str, int | str]:
    values: dict[str, int | str] = {}
    for text in given:
        name, _, value = text.partition("=")
        kind = _SWITCHES.get(name.strip().replace("-", "_"))
        if kind is None:
            raise ValueError(f"{text!r} is not a switch; they are {', '.join(_SWITCHES)}.")
        try:
            values[name.strip().replace("-", "_")] = kind(value)
        except ValueError:
            raise ValueError(f"{text!r}: {name} takes a whole number.") from None
    return values


def _announce(server: EmulatorServer) -> None:
    import json

    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in (
        ("AMC emulator", server.url),
        ("instances", ", ".join(f"{name} ({kind})" for name, kind in server.config.instances().items())),
        ("health", f"{server.url}/_emulator/health"),
        ("stop", "Ctrl-C"),
    ):
        table.add_row(name, value)
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"\nexport AIRFLOW_CONN_AMC_DEFAULT='{json.dumps(server.connection)}'", markup=False, highlight=False)
