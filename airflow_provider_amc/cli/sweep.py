"""``amc sweep``: executions that nobody waits for."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Annotated

import typer

from airflow_provider_amc.cli.deployment import join_deployment
from airflow_provider_amc.cli.failure import fail


def sweep(
    conn_id: Annotated[str, typer.Option(help="Airflow connection of type amc.")] = "amc_default",
    instance: Annotated[
        list[str] | None, typer.Option(help="AMC instance; may be repeated. Default: that of the connection.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.1, help="How far back to look.")] = 48.0,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel what was found.")] = False,
) -> None:
    """List active executions that this Airflow has started and no task waits for any more.

    Run it where Airflow's metadata database can be reached. Name the deployment first ([amc] deployment_name), if
    others use the same AMC instances.
    """
    join_deployment()
    from airflow_provider_amc.exceptions import AmcError
    from airflow_provider_amc.hooks.amc import AmcHook
    from airflow_provider_amc.operators.task_run import has_name_of_its_own
    from airflow_provider_amc.sweep import stray_executions

    if cancel and not has_name_of_its_own():
        fail(
            "This Airflow has no name of its own, so executions of another one could be taken for its. Set [amc] "
            "deployment_name (AIRFLOW__AMC__DEPLOYMENT_NAME) for the scheduler, the workers and this command."
        )
    found = 0
    names: list[str | None] = [*instance] if instance else [None]
    for name in names:
        try:
            with _quiet():
                client = AmcHook(conn_id, instance_id=name).get_conn()
                for execution in stray_executions(client, hours=hours):
                    found += 1
                    what = execution.raw_status
                    if cancel:
                        done = client.executions.cancel(execution.workflow_execution_id)
                        what = "cancelled" if done else "had finished already"
                    created = f"{execution.create_time:%Y-%m-%dT%H:%M:%SZ}" if execution.create_time else "unknown"
                    typer.echo(f"{execution.workflow_execution_id}  {client.instance_id}  created {created}  {what}")
        except AmcError as error:
            fail(str(error))
    typer.echo(
        f"{found} stray execution{'' if found == 1 else 's'}{'' if cancel or not found else '; --cancel ends them'}"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Airflow tells of itself out of the output: Airflow 3.0 writes its log to the standard output."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
