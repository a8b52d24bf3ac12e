"""The application: one table of operations becomes a FastAPI application on one port."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from airflow_provider_amc.emulator import admin, control, datasources, executions, lwa, results, schedules, workflows
from airflow_provider_amc.emulator.api import JSON, Call, Operation, check_headers
from airflow_provider_amc.emulator.context import Emulator
from airflow_provider_amc.emulator.errors import ApiError, amc_error, gateway_error
from airflow_provider_amc.emulator.gateway import Connections, Gateway, error_response

log = logging.getLogger(__name__)

OPERATIONS: tuple[Operation, ...] = (
    *lwa.OPERATIONS,
    *admin.OPERATIONS,
    *datasources.OPERATIONS,
    *workflows.OPERATIONS,
    *schedules.OPERATIONS,
    *executions.OPERATIONS,
    *results.OPERATIONS,
    *control.OPERATIONS,
)


def _endpoint(emulator: Emulator, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    by_the_spec = emulator.config.envelope == "wrapped"
    media_type = (operation.spec_media_type or operation.media_type) if by_the_spec else JSON

    async def endpoint(request: Request) -> Response:
        call = Call(emulator, request, operation)
        try:
            check_headers(call)
            return await operation.handler(call)
        except ApiError as error:
            body = error.body
            if operation.id == "listAccounts" and "details" in body:
                error.body = {"message": body["details"], "requestId": None}
            return error_response(error, request.scope["amc.request_id"], media_type)
        except Exception:
            log.exception("%s failed inside the emulator", operation.id)
            return error_response(amc_error(500, "Internal server error"), request.scope["amc.request_id"])

    return endpoint


async def _no_such_path(request: Request, error: Exception) -> Response:
    """What the API gateway answers for a path or method it does not route."""
    known = isinstance(error, HTTPException) and error.status_code == 405
    answer = gateway_error(403, "Missing Authentication Token") if known else gateway_error(404, "Not Found")
    return error_response(answer, request.scope["amc.request_id"])


def create_app(emulator: Emulator, connections: Connections | None = None) -> ASGIApp:
    """The ASGI application of an emulator.

    :param emulator: the emulator; the application's lifespan starts and stops it.
    :param connections: open connections by client address, so that failures on order can cut them.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with emulator.running():
            yield

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    for operation in OPERATIONS:
        app.add_api_route(
            operation.path,
            _endpoint(emulator, operation),
            methods=[operation.method],
            name=operation.id,
            response_model=None,
        )
    app.add_exception_handler(HTTPException, _no_such_path)
    return Gateway(app, emulator, OPERATIONS, connections if connections is not None else {})
