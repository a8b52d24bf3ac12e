"""The result store: signed GET URLs that behave like those of Amazon S3.

Facts: Amazon S3 API reference (pre-signed URLs, GetObject, error responses); lifetime of ten minutes from the AMC API
documentation, "Get your results".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import BinaryIO
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from airflow_provider_amc.emulator import signing
from airflow_provider_amc.emulator.api import Call, Operation
from airflow_provider_amc.emulator.clock import zulu

_CHUNK = 1 << 18
_ROOT = "/results/"
_SERVER = {"Server": "AmazonS3"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def s3_error(status: int, code: str, message: str, request_id: str, **details: str) -> Response:
    """An error of the store, in S3's XML."""
    parts = {"Code": code, "Message": message, **details, "RequestId": request_id, "HostId": "amc-emulator"}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in parts.items())
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    return Response(xml, status_code=status, media_type="application/xml", headers=_SERVER)


def is_below(path: str) -> bool:
    """Does a path lie in the result store?"""
    return f"{path}/".startswith(_ROOT)


def refused(call: Call) -> Response:
    """The answer to a request that no URL of ours can be: another method, or a path that is none of a result."""
    request_id = str(call.request.scope.get("amc.request_id", ""))
    if call.request.method == "POST":
        text = "The specified method is not allowed against this resource."
        return s3_error(405, "MethodNotAllowed", text, request_id, Method="POST", ResourceType="OBJECT")
    return _refusal(call, request_id) or _no_such_key(call.request.url.path.removeprefix(_ROOT), request_id)


def _no_such_key(key: str, request_id: str) -> Response:
    return s3_error(404, "NoSuchKey", "The specified key does not exist.", request_id, Key=key)


def _refusal(call: Call, request_id: str) -> Response | None:
    request = call.request
    query = dict(parse_qsl(request.url.query, keep_blank_values=True))
    if "authorization" in request.headers and "X-Amz-Signature" in query:
        text = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
        text += "Signature query string parameter or the Authorization header should be specified"
        return s3_error(400, "InvalidArgument", text, request_id, ArgumentName="Authorization")
    if "X-Amz-Signature" not in query:
        return s3_error(403, "AccessDenied", "Access Denied", request_id)
    expiry = signing.url_expiry(query)
    if expiry is None:
        text = "Query-string authentication requires the X-Amz-Date and X-Amz-Expires parameters"
        return s3_error(400, "AuthorizationQueryParametersError", text, request_id)
    now = call.emulator.clock.now()
    if now >= expiry:
        times = {"X-Amz-Expires": query["X-Amz-Expires"], "Expires": zulu(expiry), "ServerTime": zulu(now)}
        return s3_error(403, "AccessDenied", "Request has expired", request_id, **times)
    host = request.headers.get("host", "")
    if request.method != "GET" or not signing.url_signature_holds(host, request.url.path, query):
        text = "The request signature we calculated does not match the signature you provided. Check your key and "
        return s3_error(403, "SignatureDoesNotMatch", text + "signing method.", request_id)
    return None


async def get_result(call: Call) -> Response:
    """A result file, whole or a range of it."""
    request = call.request
    request_id = str(request.scope.get("amc.request_id", ""))
    refusal = _refusal(call, request_id)
    if refusal is not None:
        return refusal
    name = call.path("name")
    row = call.emulator.store.get_execution(call.path("opaque"))
    file = next((one for one in row[1]["files"] if one["name"] == name), None) if row else None
    if row is None or file is None:
        return _no_such_key(f"{call.path('opaque')}/{name}", request_id)
    size, etag = int(file["size"]), str(file["etag"])
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": "text/csv" if file["kind"] == "result" else "application/json",
        "Last-Modified": formatdate(row[1]["ended"], usegmt=True),
        **_SERVER,
    }
    if not _matches(request.headers.get("if-match"), etag, absent=True):
        text = "At least one of the pre-conditions you specified did not hold"
        return s3_error(412, "PreconditionFailed", text, request_id, Condition="If-Match")
    if _matches(request.headers.get("if-none-match"), etag, absent=False):
        return Response(status_code=304, headers={"ETag": etag})
    try:
        first, last, partial = _range(request, size, etag)
    except ValueError as error:
        details = {"RangeRequested": str(error), "ActualObjectSize": str(size)}
        response = s3_error(416, "InvalidRange", "The requested range is not satisfiable", request_id, **details)
        response.headers["Content-Range"] = f"bytes */{size}"
        return response
    headers["Content-Length"] = str(last - first + 1)
    if partial:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    path = call.emulator.results / row[1]["id"] / name
    stream = await asyncio.to_thread(path.open, "rb")
    return StreamingResponse(
        _read(stream, first, last - first + 1), status_code=206 if partial else 200, headers=headers
    )


def _matches(header: str | None, etag: str, *, absent: bool) -> bool:
    if header is None:
        return absent
    return header.strip() == "*" or any(one.strip().removeprefix("W/") == etag for one in header.split(","))


def _range(request: Request, size: int, etag: str) -> tuple[int, int, bool]:
    """First and last byte, and whether the answer is partial. A malformed range is ignored, as S3 does.

    :raises ValueError: when no byte of the file is in the range.
    """
    text = request.headers.get("range", "").replace(" ", "")
    match = _RANGE.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        return 0, size - 1, False
    if request.headers.get("if-range", etag) != etag:
        return 0, size - 1, False
    if not match[1]:
        if int(match[2]) == 0 or size == 0:
            raise ValueError(text)
        return max(0, size - int(match[2])), size - 1, True
    first = int(match[1])
    last = min(int(match[2]) if match[2] else size - 1, size - 1)
    if match[2] and int(match[2]) < first:
        return 0, size - 1, False
    if first >= size:
        raise ValueError(text)
    return first, last, True


async def _read(stream: BinaryIO, first: int, length: int) -> AsyncIterator[bytes]:
    with stream:
        stream.seek(first)
        while length > 0:
            chunk = await asyncio.to_thread(stream.read, min(_CHUNK, length))
            if not chunk:
                return
            length -= len(chunk)
            yield chunk


OPERATIONS = (Operation("results", "GET", "/results/{opaque}/{name}", get_result, headers="none"),)
