"""The tables an instance can query (AMC reporting API)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_amc.client.fields import unwrap
from airflow_provider_amc.client.models import DataSource
from airflow_provider_amc.client.paging import items, page_size
from airflow_provider_amc.client.transport import DATA_SOURCES, Transport
from airflow_provider_amc.client.validation import check_segment, path


class DataSources:
    """``client.data_sources``"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "reporting", self._transport.instance(instance_id), "dataSources", *segments)

    def list(self, instance_id: str | None = None, *, limit: int | None = None) -> Iterator[DataSource]:
        """List the data sources with their columns.

        :param instance_id: default the client's own.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        address, size = self._path(instance_id), page_size(limit)

        def fetch(token: str | None) -> dict[str, Any]:
            return self._transport.call(
                "GET", address, media_type=DATA_SOURCES, query={"nextToken": token, "limit": size}
            )

        return map(DataSource.from_api, items(fetch, "dataSources"))

    def get(self, data_source_id: str, instance_id: str | None = None) -> DataSource:
        """Get a data source.

        :param data_source_id: its id, with schema if it has one (``sandbox.dsp_impressions``).
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when the instance has no such data source.
        """
        address = self._path(instance_id, check_segment(data_source_id, "data_source_id"))
        data = self._transport.call("GET", address, media_type=DATA_SOURCES)
        found = self._transport.whole(unwrap(data, "dataSource", "dataSourceId"), "dataSourceId", address)
        return DataSource.from_api(found)
