"""What a landing talks to, as one light process: AMC's answers about one execution, its result files, and an S3.

``python -m benchmarks.landing_server PORT PLAN``: the plan is a JSON file with ``token`` and ``execution``, two answers of
the emulator, ``files``, paths of the result files by execution id, ``latency``, seconds before each of them begins, and ``rate``, bytes a
second of each connection that reads one (0 for no limit). The S3 keeps what it is asked to list or read by the landing,
sizes and manifests, and counts the rest: moto holds bodies in memory, several times over, and takes longer than all that
is compared here. ``GET /received`` tells how many bytes came for each key.
"""

from __future__ import annotations

import json
import re
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_CHUNK = 1 << 20
#: Objects up to this size are kept and can be read: manifests.
_KEPT = 1 << 20


class Bucket:
    """Sizes of objects, and the content of small ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sizes: dict[str, int] = {}
        self.contents: dict[str, bytes] = {}
        self._uploads: dict[str, int] = {}

    def put(self, key: str, size: int, content: bytes) -> None:
        """An object has come."""
        with self._lock:
            self.sizes[key], self.contents[key] = size, content

    def part(self, upload: str, size: int) -> None:
        """A part of an upload has come."""
        with self._lock:
            self._uploads[upload] = self._uploads.get(upload, 0) + size

    def complete(self, upload: str, key: str) -> None:
        """An upload has ended."""
        self.put(key, self._uploads.pop(upload), b"")

    def delete(self, key: str) -> None:
        """An object has to go."""
        with self._lock:
            self.sizes.pop(key, None)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the acknowledgement of the one before.
    disable_nagle_algorithm = True
    wbufsize = -1
    plan: dict[str, Any]
    bucket: Bucket
    uploads = iter(range(1, 1 << 30))

    def handle_expect_100(self) -> bool:
        """Say so at once: a client that waits for it in vain sends its body a second later."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Addresses, result files, objects and lists."""
        url = urlsplit(self.path)
        if url.path == "/received":
            self._json(self.bucket.sizes)
        elif url.path.startswith("/files/"):
            _, _, execution, number = url.path.removesuffix(".csv").split("/")
            self._file(Path(self.plan["files"][execution][int(number)]))
        elif url.path.endswith("/downloadUrls"):
            execution = url.path.split("/")[-2]
            files = f"http://{self.headers['Host']}/files/{execution}"
            count = len(self.plan["files"][execution])
            self._json({"downloadUrls": [f"{files}/{n}.csv" for n in range(count)], "metadataDownloadUrls": []})
        elif url.path.startswith("/amc/"):
            self._json({**self.plan["execution"], "workflowExecutionId": url.path.split("/")[-1]})
        else:
            self._object(url.path, parse_qs(url.query, keep_blank_values=True))

    def do_HEAD(self) -> None:
        """Whether a bucket or an object is there."""
        path = urlsplit(self.path).path
        if path.count("/") == 1:
            self._reply(200)
        else:
            size = self.bucket.sizes.get(_key(path))
            self._reply(404 if size is None else 200, {"Content-Length": str(size or 0)})

    def do_POST(self) -> None:
        """Tokens, and the ends of an upload."""
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if url.path == "/auth/o2/token":
            self._json(self.plan["token"])
        elif "uploads" in query:
            self._xml("InitiateMultipartUploadResult", f"<UploadId>{next(self.uploads)}</UploadId>")
        elif "uploadId" in query:
            self.bucket.complete(query["uploadId"][0], _key(url.path))
            self._xml("CompleteMultipartUploadResult", "<ETag>&quot;whole&quot;</ETag>")
        else:
            for key in re.findall(r"<Key>([^<]*)</Key>", body.decode()):
                self.bucket.delete(key)
            self._xml("DeleteResult", "")

    def do_PUT(self) -> None:
        """An object, or a part of one."""
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        size = left = int(self.headers["Content-Length"])
        content = b""
        if size <= _KEPT:
            content, left = self.rfile.read(size), 0
        buffer = memoryview(bytearray(_CHUNK))
        while left:
            got = self.rfile.readinto1(buffer[: min(left, _CHUNK)])  # type: ignore[attr-defined]
            if not got:
                raise ConnectionError("The body ended early.")
            left -= got
        if "uploadId" in query:
            self.bucket.part(query["uploadId"][0], size)
        else:
            self.bucket.put(_key(url.path), size, content)
        self._reply(200, {"ETag": '"part"'})

    def do_DELETE(self) -> None:
        """An object has to go."""
        self.bucket.delete(_key(urlsplit(self.path).path))
        self._reply(204)

    def _file(self, path: Path) -> None:
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        headers = {"ETag": f'"{path.name}"', "Content-Length": str(size - start)}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        time.sleep(self.plan["latency"])
        self._reply(206 if asked else 200, headers)
        rate = self.plan["rate"]
        with path.open("rb") as file:
            if not rate:
                self.connection.sendfile(file, start)
                return
            began = time.monotonic()
            for offset in range(start, size, _CHUNK):
                count = min(_CHUNK, size - offset)
                # The time that these bytes take, counted from the first one.
                time.sleep(max(0.0, began + (offset + count - start) / rate - time.monotonic()))
                self.connection.sendfile(file, offset, count)

    def _object(self, path: str, query: dict[str, list[str]]) -> None:
        if "list-type" in query or path.count("/") == 1:
            prefix = query.get("prefix", [""])[0]
            found = [(key, size) for key, size in sorted(self.bucket.sizes.items()) if key.startswith(prefix)]
            inner = "".join(f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size></Contents>" for key, size in found)
            self._xml("ListBucketResult", f"<KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>{inner}")
        elif _key(path) in self.bucket.sizes:
            self._body(self.bucket.contents[_key(path)], "application/octet-stream")
        else:
            self._reply(404)

    def _json(self, value: object) -> None:
        self._body(json.dumps(value).encode(), "application/json")

    def _xml(self, name: str, inner: str) -> None:
        self._body(f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inner}</{name}>'.encode(), "application/xml")

    def _body(self, body: bytes, kind: str) -> None:
        self._reply(200, {"Content-Type": kind, "Content-Length": str(len(body))}, body)

    def _reply(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Server(socketserver.ThreadingTCPServer):
    """A thread a connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error."""


def _key(path: str) -> str:
    return unquote(path).split("/", 2)[2]


def main() -> None:
    """Serve until terminated."""
    Handler.plan = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    Handler.bucket = Bucket()
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
