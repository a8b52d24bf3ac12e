"""A server that gives the emulator's answers about executions and nothing else, fast enough not to be the bottleneck.

``python -m benchmarks.wait_server PORT PLAN``: the plan is a JSON file with ``running`` and ``succeeded``, two executions
as the emulator shows them, ``token``, its answer to a token request, ``created``, the creation time of all, and ``ends``,
seconds from ``POST /start`` to the end of each execution by instance and id.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_PAGE = 100


class Service:
    """What is known, and what was asked.

    :param plan: see the module's text.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._started: float | None = None
        self.asked: Counter[str] = Counter()

    def answer(self, method: str, target: str) -> Any:
        """The JSON body of an answer."""
        url = urlsplit(target)
        if url.path == "/start":
            self._started = time.time()
            return {"at": self._started}
        if url.path == "/asked":
            return dict(self.asked)
        if method == "POST":
            self.asked["token"] += 1
            return self._plan["token"]
        _, _, _, instance, _, *rest = url.path.split("/")
        if rest:
            self.asked["get"] += 1
            return self._shown(instance, rest[0])
        self.asked["list"] += 1
        query = parse_qs(url.query)
        begin = int(query.get("nextToken", ["0"])[0])
        ids = list(self._plan["ends"][instance])
        page: dict[str, Any] = {"executions": [self._shown(instance, one) for one in ids[begin : begin + _PAGE]]}
        if len(ids) > begin + _PAGE:
            page["nextToken"] = str(begin + _PAGE)
        return page

    def _shown(self, instance: str, execution_id: str) -> dict[str, Any]:
        ends = self._plan["ends"][instance][execution_id]
        ended = self._started is not None and time.time() >= self._started + ends
        shown = self._plan["succeeded" if ended else "running"]
        return {**shown, "workflowExecutionId": execution_id, "createTime": self._plan["created"]}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with connections that stay open.

    :param service: what answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            request, *headers = head.decode("latin-1").split("\r\n")
            lengths = [line.split(":")[1] for line in headers if line.lower().startswith("content-length:")]
            length = int(lengths[0]) if lengths else 0
            if len(rest) < length:
                return
            self._received = rest[length:]
            method, target, _ = request.split(" ")
            body = json.dumps(self._service.answer(method, target)).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)


async def _serve(port: int, plan: dict[str, Any]) -> None:
    service = Service(plan)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(service), "127.0.0.1", port, backlog=500)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))))
