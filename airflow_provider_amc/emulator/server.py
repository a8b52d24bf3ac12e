"""An emulator as an HTTP server: in a thread of this process for tests, or as a program of its own.

Use it as ``with EmulatorServer(port=0) as emulator`` and reach it at ``emulator.url``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import socket
import sys
import threading
import urllib.request
from asyncio import BaseTransport, Transport
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_amc.emulator.app import create_app
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.context import Emulator
from airflow_provider_amc.emulator.gateway import Connections

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.engine import Engine

__all__ = ["EmulatorConfig", "EmulatorServer"]

_START_PATIENCE_SECONDS = 60.0


def _protocol(connections: Connections) -> type[H11Protocol]:
    """An HTTP protocol that makes its connections known, so that a failure on order can cut one."""

    class TrackedProtocol(H11Protocol):
        def connection_made(self, transport: BaseTransport) -> None:
            self._peer = transport.get_extra_info("peername")
            if self._peer:
                connections[tuple(self._peer[:2])] = cast(Transport, transport)
            super().connection_made(cast(Transport, transport))

        def connection_lost(self, exc: Exception | None) -> None:
            if self._peer:
                connections.pop(tuple(self._peer[:2]), None)
            super().connection_lost(exc)

    return TrackedProtocol


class _Server(uvicorn.Server):
    """A server that tells when it is up, and stops at once when it is asked to."""

    on_started: Callable[[], None] | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()

    async def main_loop(self) -> None:
        for counter in itertools.count():
            if await self.on_tick(counter):
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), 0.1)

    def ask_to_stop(self) -> None:
        """Stop; callable from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._asked.set)


class EmulatorServer:
    """A running emulator, also a context manager.

    :param config: its settings; the defaults when omitted.
    :param make_engine: makes the query engine for a virtual time; tests may give their own.
    :param overrides: single settings of :class:`EmulatorConfig` that differ from ``config``.
    :raises ValueError: for a wrong setting.
    """

    def __init__(
        self,
        config: EmulatorConfig | None = None,
        *,
        make_engine: Callable[[datetime], Engine] | None = None,
        **overrides: Any,
    ) -> None:
        self.config = (config or EmulatorConfig()).replaced(**overrides)
        self._make_engine = make_engine
        self._emulator: Emulator | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._port = self.config.port

    # -- start and stop ----------------------------------------------------------------------------------------------
    def start(self) -> EmulatorServer:
        """Start and return once requests are answered.

        :raises OSError: when the port is taken.
        :raises StateDirectoryInUseError: when another emulator has the state directory.
        """
        if self._thread is not None:
            return self
        listener = self._listen()
        try:
            self._emulator = Emulator(self.config, self._make_engine)
        except BaseException:
            listener.close()
            raise
        connections: Connections = {}
        self._server = _Server(
            uvicorn.Config(
                create_app(self._emulator, connections),
                http=_protocol(connections),
                ws="none",
                loop="asyncio",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=3,
            )
        )
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(listener, started), name="amc-emulator", daemon=True)
        self._thread.start()
        if not started.wait(_START_PATIENCE_SECONDS) or not self._thread.is_alive():
            self.stop()
            raise RuntimeError("The emulator did not start; see the log for the reason.")
        return self

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        # Named as TCP, so that asyncio switches off Nagle's algorithm, which would cost 40 ms an answer.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.config.host, self._port))
            listener.listen(512)
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"Cannot listen on {self.config.host}:{self._port}: {error.strerror}") from None
        self._port = listener.getsockname()[1]
        return listener

    def _serve(self, listener: socket.socket, started: threading.Event) -> None:
        server = cast(_Server, self._server)
        server.on_started = started.set
        try:
            asyncio.run(server.serve(sockets=[listener]))
        finally:
            listener.close()
            started.set()

    def stop(self) -> None:
        """Stop: no new requests, running queries are interrupted, a private directory is removed."""
        thread, server = self._thread, self._server
        if thread is None or server is None:
            return
        server.ask_to_stop()
        thread.join(20)
        self._thread = self._server = self._emulator = None

    def run(self, on_start: Callable[[EmulatorServer], None] | None = None) -> None:
        """Serve until SIGINT or SIGTERM; for a program's main thread.

        :param on_start: called once requests are answered.
        """
        # Compiling is pure Python: let the thread that answers requests have the interpreter more often.
        sys.setswitchinterval(0.001)
        done = threading.Event()
        previous = {number: signal.signal(number, lambda *_: done.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.start()
            if on_start is not None:
                on_start(self)
            done.wait()
        finally:
            self.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def __enter__(self) -> EmulatorServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- what tests use ------------------------------------------------------------------------------------------------
    @property
    def url(self) -> str:
        """Base URL, without a slash at the end. It stays the same when the server is stopped and started again."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.config.host, self.config.host)  # noqa: S104
        return f"http://{host}:{self._port}"

    @property
    def emulator(self) -> Emulator:
        """The parts inside.

        :raises RuntimeError: when the server is not running.
        """
        if self._emulator is None:
            raise RuntimeError("The emulator is not running; call start() first.")
        return self._emulator

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection as a JSON-ready dictionary, for ``AIRFLOW_CONN_AMC_DEFAULT``."""
        return self.emulator.connection(self.url)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The received requests, oldest first, secrets masked."""
        return self.emulator.log.entries()

    def requests_of(self, operation: str) -> list[dict[str, Any]]:
        """The received requests of one operation, such as ``createWorkflowExecution``."""
        return self.emulator.log.entries(operation)

    def add_fault(self, **spec: Any) -> None:
        """Order a failure; see :mod:`airflow_provider_amc.emulator.faults` for the fields.

        :raises FaultSpecError: when the description is wrong.
        """
        self.emulator.faults.add(spec)

    def clear_faults(self) -> None:
        """Cancel all ordered failures."""
        self.emulator.faults.clear()

    def now(self) -> datetime:
        """The virtual time."""
        return self.emulator.clock.now()

    def advance_clock(self, seconds: float) -> datetime:
        """Move the virtual time and tell it."""
        self._control("POST", "clock", {"advance_seconds": seconds})
        return self.now()

    def set_clock(self, moment: str) -> datetime:
        """Set the virtual time, such as ``2026-01-01T00:00:00Z``, and tell it."""
        self._control("POST", "clock", {"now": moment})
        return self.now()

    def reset(self) -> None:
        """Forget everything that happened since the start."""
        self._control("POST", "reset", None)

    def truth(self, start: str | None = None, end: str | None = None) -> dict[str, Any]:
        """What queries must find in the synthetic rows, as ``GET /_emulator/truth`` tells it.

        :param start: first moment, such as ``2026-01-01T00:00:00Z``; the oldest one if not given.
        :param end: first moment after it; the present if not given.
        :raises ValueError: these are no times, or there is no data between them.
        """
        return self.emulator.truth(start, end)

    def load_table(self, name: str, data: Any) -> None:
        """Replace the rows of a table by your own.

        :param name: table.
        :param data: ``pyarrow.Table``, data frame (pandas, Polars) or list of dictionaries.
        """
        self.emulator.queries.load_table(name, data)

    def _control(self, method: str, path: str, body: Any) -> Any:
        data = json.dumps(body).encode() if body is not None else b""
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", data=data, method=method)  # noqa: S310
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)
