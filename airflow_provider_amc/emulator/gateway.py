"""The layer around all handlers: request ids, the request log, and failures on order.

It is plain ASGI, because some failures (a cut connection, a body that is shorter than announced) cannot be said with
a response object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import uuid
from asyncio import Transport

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_amc.emulator.api import JSON, Operation
from airflow_provider_amc.emulator.clock import zulu_millis
from airflow_provider_amc.emulator.context import Emulator
from airflow_provider_amc.emulator.errors import (
    UPLOADS,
    ApiError,
    authentication_failed,
    failure,
    in_shape,
    terms_not_accepted,
)
from airflow_provider_amc.emulator.faults import Fault
from airflow_provider_amc.emulator.requestlog import masked_body, masked_headers, masked_query
from airflow_provider_amc.emulator.results import s3_error
from airflow_provider_amc.emulator.routes import Routes

CONTROL_PREFIX = "/_emulator/"
_BODY_LIMIT = 64 << 20
_CUT_PATIENCE_SECONDS = 5.0

#: Open connections by the address of the other side; the HTTP protocol class keeps it.
Connections = dict[tuple[str, int], Transport]


def error_response(
    error: ApiError, request_id: str, operation: Operation | None = None, envelope: str = "flat"
) -> Response:
    """An error as a response.

    :param error: the error.
    :param request_id: id of the request.
    :param operation: what was asked for, ``None`` for what nobody handles.
    :param envelope: ``wrapped`` keeps to the shapes, media types and statuses of Amazon's OpenAPI files.
    """
    if set(error.body) == {"Code", "Message"}:
        refusal = s3_error(error.status, error.body["Code"], error.body["Message"], request_id)
        refusal.headers.update(error.headers)
        return refusal
    status, body, media_type = error.status, dict(error.body), JSON
    if operation is not None and operation.is_amc:
        by_the_spec = envelope == "wrapped"
        if by_the_spec and status < 500 and status not in operation.statuses:
            status = 400
        body = in_shape(operation.errors, status, body, strict=by_the_spec and status < 500)
        if by_the_spec and status in operation.statuses and operation.errors != UPLOADS:
            media_type = operation.spec_media_type or operation.media_type
    body = {name: request_id if value is None else value for name, value in body.items()}
    return Response(json.dumps(body), status_code=status, media_type=media_type, headers=error.headers)


class Gateway:
    """Everything a request meets before and after its handler.

    :param app: the handlers.
    :param emulator: the emulator.
    :param routes: finds the operation that a request asks for.
    :param connections: open connections, to cut one.
    """

    def __init__(self, app: ASGIApp, emulator: Emulator, routes: Routes, connections: Connections) -> None:
        self._app = app
        self._emulator = emulator
        self._routes = routes
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI event scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["amc.request_id"] = uuid.uuid4().hex[:20].upper()
        body = await _whole_body(receive)
        route = scope["amc.route"] = self._routes.find(scope["method"], scope["path"])
        scope["path_params"] = route.parameters
        operation = route.operation.id if route.operation else "unknown"
        control = scope["path"].startswith(CONTROL_PREFIX)
        entry: dict[str, object] = {}
        if not control:
            headers = masked_headers(tuple(map(tuple, scope["headers"])))
            entry = self._emulator.log.add(
                {
                    "time": zulu_millis(self._emulator.clock.now()),
                    "method": scope["method"],
                    "path": scope["path"],
                    "query": masked_query(scope["query_string"].decode("latin-1")),
                    "operation": operation,
                    "status": None,
                    "headers": headers,
                    "body": masked_body(body, headers.get("content-type", "")),
                }
            )

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_identity(request_id)]}
            await send(message)

        refusal = self._emulator.throttle.refusal(operation, self._emulator.clock.now().timestamp())
        if refusal is not None:
            await self._refuse(scope, _Replay(body, receive), answer, refusal)
            return
        fault, scope["amc.faults"] = (None, {}) if control else self._emulator.faults.take(operation)
        if fault is not None or scope["amc.faults"]:
            entry["fault"] = fault.kind if fault is not None else next(iter(scope["amc.faults"]))
        await self._deliver(scope, _Replay(body, receive), answer, operation, fault)

    async def _deliver(self, scope: Scope, receive: _Replay, send: Send, operation: str, fault: Fault | None) -> None:
        kind = fault.kind if fault is not None else None
        if fault is None:
            await self._app(scope, receive, send)
        elif kind == "status":
            await self._refuse(
                scope, receive, send, failure(fault.status or 503, operation, fault.headers, fault.reason)
            )
        elif kind == "token_expired":
            await self._refuse(scope, receive, send, authentication_failed())
        elif kind == "terms":
            await self._refuse(scope, receive, send, terms_not_accepted(self._emulator.config.terms_status))
        elif kind == "delay":
            # A client that gives up does not undo what it asked for, so it is done then.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive.disconnected(), 1.0 if fault.seconds is None else fault.seconds)
            await self._app(scope, receive, send)
        elif kind == "reset" and operation != "results":
            await self._cut(scope, receive)
        elif kind == "lost_answer":
            await self._app(scope, receive, _swallow)
            if fault.cut:
                await self._cut(scope, receive)
            else:
                error = failure(fault.status or 504, operation, fault.headers, fault.reason)
                await self._refuse(scope, receive, send, error)
        else:
            await self._damaged(scope, receive, send, fault)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, error: ApiError) -> None:
        operation, envelope = scope["amc.route"].operation, self._emulator.config.envelope
        await error_response(error, scope["amc.request_id"], operation, envelope)(scope, receive, send)

    async def _damaged(self, scope: Scope, receive: _Replay, send: Send, fault: Fault) -> None:
        """Answer with a body that is cut short, or slow."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, collect)
        start = messages[0]
        body = b"".join(message.get("body", b"") for message in messages[1:])
        kept = body[: int(fault.bytes)] if fault.bytes is not None else body[: len(body) // 2]
        if fault.kind == "slow":
            await send(start)
            pieces = 10
            size = -(-len(body) // pieces) or 1
            for position in range(0, len(body), size):
                await asyncio.sleep((fault.seconds or 0.0) / pieces)
                await send({"type": "http.response.body", "body": body[position : position + size], "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        announced = len(kept) if fault.kind == "wrong_length" else len(body)
        others = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*others, (b"content-length", str(announced).encode())]})
        await send({"type": "http.response.body", "body": kept, "more_body": fault.kind != "wrong_length"})
        if fault.kind != "wrong_length":
            await self._cut(scope, receive, gently=fault.kind == "truncate")

    async def _cut(self, scope: Scope, receive: _Replay, *, gently: bool = False) -> None:
        """Close the connection in the middle; not gently means with a TCP reset."""
        transport = self._connections.get(tuple(scope["client"] or ()))
        if transport is None:
            return
        if gently:
            transport.close()
        else:
            raw = transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        # The server complains about an answer that is not complete unless it knows that nobody waits for it.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(receive.disconnected(), _CUT_PATIENCE_SECONDS)


class _Replay:
    """A request body that was read already; afterwards the connection's own events."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._receive()

    async def disconnected(self) -> None:
        """Wait until the client has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            continue


async def _whole_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= _BODY_LIMIT:
            parts.append(part)
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return b"".join(parts)


async def _swallow(message: Message) -> None:
    return None


def _identity(request_id: str) -> list[tuple[bytes, bytes]]:
    value = request_id.encode()
    return [
        (b"x-amz-rid", value),
        (b"x-amz-request-id", value),
        (b"vary", b"Content-Type,Accept-Encoding,User-Agent"),
    ]
