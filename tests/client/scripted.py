"""A real HTTP server with scripted answers, and time that passes only when the code under test waits."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN_PATH = "/auth/o2/token"


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    path: str
    raw_path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Reply:
    """An answer to give, or a way not to give one.

    ``fault``: ``close`` ends the connection without an answer, ``reset`` does so with RST, ``cut`` promises the whole
    body and sends only ``cut_at`` bytes of it, ``hang`` stays silent until the test is over.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    fault: str | None = None
    cut_at: int = 0
    chunked: bool = False

    @property
    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answerer = Callable[[Received], Reply]


class ScriptedServer:
    """Answers each (method, path) with the replies given for it, in order; the last one stays."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._replies: dict[tuple[str, str], list[Reply | Answerer]] = {}
        self._tokens = 0
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                scripted._answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                # A client that hung up is what many tests are about.
                if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
                    super().handle_error(request, client_address)  # type: ignore[arg-type]

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.on("POST", TOKEN_PATH, self._token)

    def on(self, method: str, path: str, *replies: Reply | Answerer) -> None:
        with self._lock:
            self._replies[method, path] = list(replies)

    def calls(self, method: str | None = None, path: str | None = None) -> list[Received]:
        """The requests so far, without those for tokens unless they are asked for."""
        with self._lock:
            return [
                request
                for request in self.requests
                if (method is None or request.method == method)
                and (request.path == path if path else request.path != TOKEN_PATH)
            ]

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _token(self, _: Received) -> Reply:
        self._tokens += 1
        return Reply(body={"access_token": f"Atza|access-{self._tokens}", "token_type": "bearer", "expires_in": 3600})

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        received = Received(
            handler.command,
            unquote(parts.path),
            handler.path,
            {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()},
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0)),
        )
        with self._lock:
            self.requests.append(received)
            script = self._replies.get((received.method, received.path))
            step = None if not script else script.pop(0) if len(script) > 1 else script[0]
        if step is None:
            step = Reply(404, {"code": "404", "details": f"nothing scripted for {received.method} {received.path}"})
        reply = step(received) if callable(step) else step
        self._send(handler, reply)

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.fault == "hang":
            self.over.wait()
        if reply.fault in ("close", "reset", "hang"):
            self._hang_up(handler, reset=reply.fault == "reset")
            return
        body = reply.bytes
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        names = {name.lower() for name in reply.headers}
        if reply.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        elif "content-length" not in names and "no-length" not in names:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        sent = body[: reply.cut_at] if reply.fault == "cut" else body
        if reply.chunked and sent:
            sent = b"%x\r\n%s\r\n" % (len(sent), sent)
        handler.wfile.write(sent)
        if reply.fault == "cut" or "no-length" in names:
            self._hang_up(handler, reset=False)
        elif reply.chunked:
            handler.wfile.write(b"0\r\n\r\n")

    @staticmethod
    def _hang_up(handler: BaseHTTPRequestHandler, *, reset: bool) -> None:
        handler.wfile.flush()
        handler.close_connection = True
        if reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        else:
            handler.connection.shutdown(socket.SHUT_RDWR)


class FakeTime:
    """A clock that moves only by the waits it is asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.on_sleep: Callable[[float], None] = lambda _: None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.on_sleep(seconds)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
