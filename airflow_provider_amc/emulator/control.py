"""The control endpoints below ``/_emulator``, for people and tests that drive the emulator."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_amc import __version__
from airflow_provider_amc.emulator.api import Call, Operation
from airflow_provider_amc.emulator.config import parse_now
from airflow_provider_amc.emulator.errors import ApiError
from airflow_provider_amc.emulator.faults import KINDS, FaultSpecError


def _wrong(message: str) -> ApiError:
    return ApiError(400, {"message": message})


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise _wrong("The body is not valid JSON.") from None


async def health(call: Call) -> Response:
    """Is it up, and with which settings?"""
    config = call.emulator.config
    return call.answer(
        {
            "status": "ok",
            "version": __version__,
            "now": call.emulator.clock_state()["now"],
            "seed": config.seed,
            "scale": config.scale,
            "speed": config.speed,
            "envelope": config.envelope,
            "instances": call.emulator.instances.types(),
            "query_engine": "ready" if call.emulator.queries.ready else "loading",
            "executions": call.emulator.store.count_executions(),
        }
    )


async def connection(call: Call) -> Response:
    """The Airflow connection as JSON, ready for ``AIRFLOW_CONN_AMC_DEFAULT``."""
    return call.answer(call.emulator.connection(str(call.request.base_url).rstrip("/")))


async def list_requests(call: Call) -> Response:
    """The log of received requests; ``?operation=`` filters."""
    return call.answer({"requests": call.emulator.log.entries(call.query("operation"))})


async def clear_requests(call: Call) -> Response:
    """Empty the log."""
    call.emulator.log.clear()
    return call.answer({})


async def list_faults(call: Call) -> Response:
    """The faults in force, and the kinds there are."""
    return call.answer({"faults": call.emulator.faults.listed(), "kinds": KINDS})


async def add_faults(call: Call) -> Response:
    """Order one fault, or a list of them."""
    specs = await _json(call.request)
    try:
        call.emulator.faults.add_all(specs if isinstance(specs, list) else [specs])
    except FaultSpecError as error:
        raise _wrong(str(error)) from None
    return call.answer({"faults": call.emulator.faults.listed()})


async def clear_faults(call: Call) -> Response:
    """Cancel all faults."""
    call.emulator.faults.clear()
    return call.answer({"faults": []})


async def get_clock(call: Call) -> Response:
    """The virtual time."""
    return call.answer(call.emulator.clock_state())


async def move_clock(call: Call) -> Response:
    """Advance the virtual time by ``advance_seconds``, or set it to ``now``."""
    spec = await _json(call.request)
    if not isinstance(spec, dict) or len(spec.keys() & {"advance_seconds", "now"}) != 1 or len(spec) != 1:
        raise _wrong("Give either advance_seconds, a number, or now, such as 2026-01-01T00:00:00Z.")
    clock = call.emulator.clock
    try:
        if "now" in spec:
            clock.set(parse_now(spec["now"]))
        else:
            clock.advance(float(spec["advance_seconds"]))
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(f"The clock cannot be moved: {error}") from None
    return call.answer(await call.emulator.clock_moved())


async def reset(call: Call) -> Response:
    """Forget everything that happened since the start."""
    await call.emulator.reset()
    return call.answer(call.emulator.clock_state())


async def load_table(call: Call) -> Response:
    """Replace the rows of a table: a list of objects, or ``{"rows": [...]}``."""
    rows = await _json(call.request)
    if isinstance(rows, dict):
        rows = rows.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _wrong("Give the rows as a list of objects, each with the columns of the table.")
    name = call.path("table")
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(call.emulator.compilers, call.emulator.queries.load_table, name, rows)
    except Exception as error:  # the engine's many ways to refuse a value all end as one answer
        raise _wrong(f"The rows cannot be loaded into {name}: {error}") from None
    return call.answer({"table": name, "rows": len(rows)})


async def truth(call: Call) -> Response:
    """What queries must find in the synthetic rows; ``?start=`` and ``?end=`` narrow it."""
    try:
        loop = asyncio.get_running_loop()
        times = call.query("start"), call.query("end")
        return call.answer(await loop.run_in_executor(call.emulator.compilers, call.emulator.truth, *times))
    except ValueError as error:
        raise _wrong(str(error)) from None


OPERATIONS = tuple(
    Operation(handler.__name__, method, f"/_emulator/{path}", handler, headers="none")
    for method, path, handler in (
        ("GET", "health", health),
        ("GET", "connection", connection),
        ("GET", "requests", list_requests),
        ("DELETE", "requests", clear_requests),
        ("GET", "faults", list_faults),
        ("POST", "faults", add_faults),
        ("DELETE", "faults", clear_faults),
        ("GET", "clock", get_clock),
        ("POST", "clock", move_clock),
        ("POST", "reset", reset),
        ("POST", "tables/{table}", load_table),
        ("GET", "truth", truth),
    )
)
