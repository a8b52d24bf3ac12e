"""The tables of AMC: columns, types, roles, aggregation thresholds, audience twins.

The facts are those of the table pages of the AMC documentation ("Data sources", September 2025), kept in
``catalogue.json`` beside this module: per table the columns grouped by role, type and threshold. A live instance may
have more columns; its ``dataSources`` endpoint is the truth there. Two gaps of the pages are filled: ``advertiser`` of
the attributed events and ``ingress_type`` of the brand store have no threshold there and get LOW, and ``deal_name``,
a text printed as metric, is a dimension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

DIMENSION = "DIMENSION"
METRIC = "METRIC"

#: Schema prefix of the synthetic tables of a sandbox instance.
SANDBOX_SCHEMA = "sandbox"


@dataclass(frozen=True)
class Column:
    """A column of an AMC table.

    :param name: its name.
    :param data_type: AMC's type, such as ``LONG``, ``DECIMAL(38,4)`` or ``ARRAY<LONG>``.
    :param column_type: ``DIMENSION`` or ``METRIC``.
    :param threshold: aggregation threshold, ``NONE``, ``LOW``, ``MEDIUM``, ``HIGH``, ``VERY_HIGH`` or ``INTERNAL``.
    """

    name: str
    data_type: str
    column_type: str
    threshold: str


@dataclass(frozen=True)
class Table:
    """A table of AMC.

    :param name: its name.
    :param description: one sentence about its rows.
    :param columns: its columns by name, lower case, in alphabetical order.
    :param time_column: the column that the time window of an execution limits, UTC. ``None`` for tables whose latest
        version is always read.
    :param audience_table: name of the twin for audience queries, ``None`` where there is none or this is the twin.
    :param base_table: for a twin, the name of the table it is the twin of.
    :param in_sandbox: does a sandbox instance have it?
    :param paid: is it a paid feature?
    :param retired: did AMC remove it?
    """

    name: str
    description: str
    columns: Mapping[str, Column]
    time_column: str | None = None
    audience_table: str | None = None
    base_table: str | None = None
    in_sandbox: bool = False
    paid: bool = False
    retired: bool = False


def _own_columns(groups: Mapping[str, str]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for group, names in groups.items():
        column_type, data_type, threshold = group.split(" ")
        for name in names.split(" "):
            columns[name] = Column(name, data_type, column_type, threshold)
    return columns


@cache
def _load() -> tuple[Mapping[str, Table], Mapping[str, Table]]:
    text = resources.files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = json.loads(text)["tables"]

    def columns_of(name: str) -> dict[str, Column]:
        entry = entries[name]
        columns = columns_of(entry["like"]) if "like" in entry else {}
        columns.update(_own_columns(entry.get("columns", {})))
        return columns

    tables: dict[str, Table] = {}
    twins: dict[str, Table] = {}
    for name, entry in entries.items():
        columns = dict(sorted(columns_of(name).items()))
        audience_names: list[str] = entry["audiences"]
        common: dict[str, Any] = {
            "time_column": entry.get("time"),
            "paid": entry.get("paid", False),
            "retired": entry.get("retired", False),
        }
        tables[name] = Table(
            name=name,
            description=entry["about"],
            columns=MappingProxyType(columns),
            audience_table=audience_names[0] if audience_names else None,
            in_sandbox=entry.get("sandbox", False),
            **common,
        )
        withheld = set(entry.get("not_for_audiences", ()))
        for twin in audience_names:
            twins[twin] = Table(
                name=twin,
                description=f"{entry['about']} For audience queries.",
                columns=MappingProxyType({key: column for key, column in columns.items() if key not in withheld}),
                base_table=name,
                **common,
            )
    return MappingProxyType(tables), MappingProxyType(twins)


def tables() -> Mapping[str, Table]:
    """All tables by name, without their audience twins.

    :returns: a read-only mapping.
    """
    return _load()[0]


def audience_tables() -> Mapping[str, Table]:
    """The twins for audience queries by name (``<table>_for_audiences``).

    :returns: a read-only mapping.
    """
    return _load()[1]


def get_table(name: str) -> Table:
    """Find a table or an audience twin.

    :param name: its name in any case, with or without the prefix ``sandbox.``.
    :returns: the table.
    :raises KeyError: AMC has no such table.
    """
    key = name.lower().removeprefix(f"{SANDBOX_SCHEMA}.")
    for group in _load():
        if key in group:
            return group[key]
    raise KeyError(name)
