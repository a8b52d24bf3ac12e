"""Data sources: the tables a query can read, as the query engine knows them."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator.api import Call, Operation, unknown_id

_MEDIA = "application/vnd.amcdatasources.v1+json"
_PATH = "/amc/reporting/{instance_id}/dataSources"


async def _sources(call: Call) -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    queries, sandbox = call.emulator.queries, call.emulator.instances.type_of(call.instance_id) == "SANDBOX"
    found = await loop.run_in_executor(
        call.emulator.compilers,
        lambda: queries.engine().data_sources(sandbox=sandbox, instance_id=call.instance_id),
    )
    return sorted(found, key=lambda source: str(source["dataSourceId"]))


async def list_data_sources(call: Call) -> Response:
    """All data sources by name."""
    chosen, token = call.page(await _sources(call), call.limit())
    return call.answer({"dataSources": chosen, **({"nextToken": token} if token else {})})


async def get_data_source(call: Call) -> Response:
    """One data source."""
    wanted = call.path("data_source_id")
    for source in await _sources(call):
        if source["dataSourceId"] == wanted:
            return call.answer(call.wrapped("dataSource", source))
    raise unknown_id(call, f"Data source with ID {wanted} does not exist.")


OPERATIONS = (
    Operation("listDataSources", "GET", _PATH, list_data_sources, _MEDIA),
    Operation("getDataSource", "GET", _PATH + "/{data_source_id}", get_data_source, _MEDIA),
)
