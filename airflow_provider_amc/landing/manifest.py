"""The manifest of a landing: written last, it names the parts that are a whole result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_amc.landing.files import LandedFile
    from airflow_provider_amc.landing.source import ResultSource

#: Name of the manifest's object.
MANIFEST = "_manifest.json"

_VERSION = 2

#: The run's key, which differs from run to run (see :mod:`~airflow_provider_amc.client.run_key`).
_KEY = re.compile(r"\s*/\* airflow_provider_amc key=[^*]*\*/\s*$")


@dataclass(frozen=True)
class Landing:
    """What has been landed.

    :param address: of the folder with the parts and the manifest; ends in a slash.
    :param folder: what stands before the names of the parts in their keys; ends in a slash.
    :param files: the parts.
    """

    address: str
    folder: str
    files: tuple[LandedFile, ...]

    @property
    def manifest(self) -> str:
        """Address of the manifest."""
        return f"{self.address}{MANIFEST}"

    @property
    def bytes(self) -> int:
        """Size of all parts in storage."""
        return sum(file.bytes for file in self.files)

    @property
    def rows(self) -> int:
        """Data rows of all parts."""
        return sum(file.rows for file in self.files)


def manifest_of(landing: Landing, source: ResultSource, file_format: str) -> dict[str, Any]:
    """Describe a landing.

    :param landing: what was landed.
    :param source: the result.
    :param file_format: format of the parts.
    """
    execution = source.execution
    return {
        "version": _VERSION,
        "workflow": source.label,
        "workflow_id": execution.workflow_id,
        "workflow_execution_id": execution.workflow_execution_id,
        "instance_id": source.instance_id,
        "sql_sha256": sql_hash(execution.sql_query),
        "time_window_start": _iso(execution.time_window_start),
        "time_window_end": _iso(execution.time_window_end),
        "columns": [
            {
                "name": column.name,
                "data_type": column.data_type,
                "column_type": column.column_type,
                "precision": column.precision,
                "scale": column.scale,
            }
            for column in execution.output_columns
        ],
        "file_format": file_format,
        "files": [{"key": f"{landing.folder}{file.name}", **asdict(file)} for file in landing.files],
        "rows": landing.rows,
        "bytes": landing.bytes,
        **({"privacy": source.meter.loss.as_dict()} if source.meter is not None else {}),
        "written_at": _iso(datetime.now(UTC)),
    }


def read_manifest(text: str | bytes | None) -> Mapping[str, Any]:
    """Read a manifest; empty when there is none, or when it is not one of ours."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def files_of(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Names of the parts that a manifest names."""
    files = manifest.get("files")
    entries = files if isinstance(files, list) else []
    return frozenset(str(entry.get("name")) for entry in entries if isinstance(entry, dict))


def sql_hash(sql: str | None) -> str | None:
    """SHA-256 of a query, the same for every run of it; ``None`` when AMC did not tell the query.

    :param sql: the query as AMC gave it back, with the key of its run if it has one.
    """
    return hashlib.sha256(_KEY.sub("", sql).encode()).hexdigest() if sql else None


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
