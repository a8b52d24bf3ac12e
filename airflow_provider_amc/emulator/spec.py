"""Workflows as Amazon's OpenAPI file of the workflow service has them, for the wrapped envelope.

The service takes more than that file knows: arrays as parameters, numbers as defaults, columns of nested types, legacy
queries as plain JSON. Here each of these becomes what comes closest to it in the file, or is left out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

_DATA_TYPES = frozenset(
    {
        *("BINARY", "BOOLEAN", "BYTE", "CALENDAR_INTERVAL", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INTEGER", "LONG"),
        *("SHORT", "STRING", "TIMESTAMP"),
    }
)
_TEXTS = ("name", "columnType", "description", "displayName")
_NUMBERS = ("dataTypePrecision", "dataTypeScale")
_LEGACY_LIMIT = 100


def workflow(document: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow in the shape of the file.

    :param document: the workflow as it was sent.
    """
    shown = {name: value for name, value in document.items() if value is not None}
    for field in ("inputParameters", "outputColumns"):
        if field in shown:
            shown[field] = [_entry(entry) for entry in shown[field]]
    if "outputFormat" in shown:
        shown["outputFormat"] = {name: value for name, value in shown["outputFormat"].items() if isinstance(value, str)}
    if "query" in shown:
        shown["query"] = _legacy(shown["query"])
    return shown


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter or column. Of an array, the file can only say what it is made of."""
    shown: dict[str, Any] = {name: entry[name] for name in _TEXTS if isinstance(entry.get(name), str)}
    kind = entry.get("dataType")
    if isinstance(kind, Mapping):
        kind = kind.get("elementDataType", kind.get("type"))
    if isinstance(kind, str) and kind in _DATA_TYPES:
        shown["dataType"] = kind
    default = entry.get("defaultValue")
    if default is not None:
        shown["defaultValue"] = default if isinstance(default, str) else json.dumps(default)
    for name in _NUMBERS:
        value = entry.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            shown[name] = value
    return shown


def _legacy(query: Any) -> list[str]:
    """The operations of a legacy query, each as Base64 of its JSON."""
    if isinstance(query, Mapping):
        query = query.get("operations", [query])
    operations = query if isinstance(query, list) else [query]
    return [base64.b64encode(json.dumps(one).encode()).decode() for one in operations[:_LEGACY_LIMIT]]
