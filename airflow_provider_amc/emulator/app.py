"""The application: one table of operations becomes an ASGI application on one port."""

from __future__ import annotations

import logging
import traceback

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_amc.emulator import (
    accounts,
    advertiser_audiences,
    advertisers,
    audience_members,
    collaborations,
    connections,
    control,
    datasets,
    datasources,
    deletions,
    executions,
    idmapping,
    instances,
    lwa,
    query_audiences,
    results,
    schedules,
    uploads,
    workflows,
)
from airflow_provider_amc.emulator.api import Call, Operation, check_headers
from airflow_provider_amc.emulator.context import Emulator
from airflow_provider_amc.emulator.errors import ApiError, amc_error, gateway_error
from airflow_provider_amc.emulator.gateway import CONTROL_PREFIX, Connections, Gateway, error_response
from airflow_provider_amc.emulator.routes import Route, Routes

log = logging.getLogger(__name__)

OPERATIONS: tuple[Operation, ...] = (
    *lwa.OPERATIONS,
    *accounts.OPERATIONS,
    *instances.OPERATIONS,
    *advertisers.OPERATIONS,
    *collaborations.OPERATIONS,
    *idmapping.OPERATIONS,
    *datasources.OPERATIONS,
    *workflows.OPERATIONS,
    *schedules.OPERATIONS,
    *executions.OPERATIONS,
    *connections.OPERATIONS,
    *advertiser_audiences.OPERATIONS,
    *audience_members.OPERATIONS,
    *datasets.OPERATIONS,
    *uploads.OPERATIONS,
    *deletions.OPERATIONS,
    *query_audiences.OPERATIONS,
    *results.OPERATIONS,
    *control.OPERATIONS,
)

#: What is done after its answer.
WORK = (uploads.kind, deletions.kind, audience_members.kind)


class Endpoints:
    """Calls the handler of a request that the gateway has let through.

    :param emulator: the emulator; the application's lifespan starts and stops it.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope: a request, or the life of the application."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            response = await self._answer(Request(scope, receive), scope["amc.route"])
            await response(scope, receive, send)

    async def _answer(self, request: Request, route: Route) -> Response:
        request_id, operation = request.scope["amc.request_id"], route.operation
        if operation is None and results.is_below(request.url.path):
            return results.refused(Call(self._emulator, request, results.OPERATIONS[0]))
        if operation is None:
            # What the API gateway answers for a path or method it does not route.
            status, text = (403, "Missing Authentication Token") if route.known_path else (404, "Not Found")
            return error_response(gateway_error(status, text), request_id)
        call = Call(self._emulator, request, operation)
        try:
            check_headers(call)
            return await operation.handler(call)
        except ApiError as error:
            return error_response(error, request_id, operation, self._emulator.config.envelope)
        except Exception:
            log.exception("%s failed inside the emulator", operation.id)
            broken = amc_error(500, "Internal server error")
            return error_response(broken, request_id, operation, self._emulator.config.envelope)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        started = False
        try:
            async with self._emulator.running():
                await send({"type": "lifespan.startup.complete"})
                started = True
                await receive()
        except BaseException:
            kind = "lifespan.shutdown.failed" if started else "lifespan.startup.failed"
            await send({"type": kind, "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})


def create_app(emulator: Emulator, connections: Connections | None = None) -> ASGIApp:
    """The ASGI application of an emulator.

    :param emulator: the emulator; the application's lifespan starts and stops it.
    :param connections: open connections by client address, so that failures on order can cut them.
    """
    emulator.work = WORK
    emulator.faults.know({operation.id for operation in OPERATIONS if not operation.path.startswith(CONTROL_PREFIX)})
    return Gateway(Endpoints(emulator), emulator, Routes(OPERATIONS), connections if connections is not None else {})
