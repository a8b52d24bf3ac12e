"""``amc doctor``: what works of a connection, and what to do about what does not."""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_provider_amc.cli.deployment import join_deployment
from airflow_provider_amc.cli.failure import fail


def doctor(
    conn_id: Annotated[str, typer.Option(help="Airflow connection of type amc.")] = "amc_default",
    instance: Annotated[str | None, typer.Option(help="AMC instance. Default: that of the connection.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--no-dry-run", help="Let AMC check a query, without running it.")
    ] = True,
    s3_bucket: Annotated[
        str, typer.Option(help="Bucket in which results land. Default: the one the instance is linked with, if any.")
    ] = "",
    aws_conn_id: Annotated[str, typer.Option(help="Airflow connection for S3.")] = "aws_default",
) -> None:
    """Check a connection step by step: Login with Amazon, terms, account, instance, data sources, a query, the bucket.

    Ends with status 1 when a step fails, and says what to do about it.
    """
    join_deployment()
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_provider_amc.exceptions import AmcError
    from airflow_provider_amc.hooks.amc import AmcHook
    from airflow_provider_amc.hooks.checks import bucket_step, connection_steps, dry_run_step, run

    try:
        client = AmcHook(conn_id, instance_id=instance).test_client()
    except (AmcError, AirflowNotFoundException) as error:
        fail(str(error))
    steps = connection_steps(client)
    if dry_run:
        steps.append(dry_run_step(client))
    steps.append(bucket_step(client, s3_bucket, aws_conn_id))
    worked = True
    for outcome in run(steps):
        worked = worked and outcome.passed is True
        mark = {True: "ok", False: "FAILED", None: "-"}[outcome.passed]
        typer.echo(f"{mark:7}{outcome.name:14}{outcome.message}")
    if not worked:
        raise typer.Exit(1)
