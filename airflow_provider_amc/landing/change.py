"""What becomes of a table's structure when a result with other columns or types comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.sql_types import Fit, fit, sql_type, text_limit, wider
from airflow_provider_amc.landing.table import Audit, Load


@dataclass(frozen=True)
class TableChange:
    """The change of a table that a load begins with.

    :param create: there is no table yet.
    :param rebuild: the table is made anew with the result's columns.
    :param added: columns that are added.
    :param widened: columns that get a wider type, by their name in the table.
    :param ignored: columns of the result that are not loaded.
    :param columns: the table's name of each column that is loaded, by its name in the result.
    :param limited: text columns with a limit, by their name in the result: widened when a value is longer.
    """

    create: bool = False
    rebuild: bool = False
    added: tuple[pa.Field, ...] = ()
    widened: Mapping[str, pa.DataType] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    limited: Mapping[str, int] = field(default_factory=dict)


def plan_change(
    load: Load,
    existing: Mapping[str, str | None] | None,
    *,
    case_sensitive: bool = True,
    max_precision: int = 38,
    new_name: Callable[[str], str] = str,
) -> TableChange:
    """Compare a result with the table that it goes into.

    :param load: the result and its schema policy.
    :param existing: the table's column names with their SQL types, ``None`` where the type is not known; ``None`` for
        all when there is no table.
    :param case_sensitive: whether the database tells column names apart by case.
    :param max_precision: digits of its longest decimal.
    :param new_name: how the database names a new column for a column of the result.
    :raises AmcLoadError: the result does not fit and the policy does not help. Nothing was changed.
    """
    fold = str if case_sensitive else str.casefold
    names = load.full_schema.names
    if len({fold(name) for name in names}) < len(names):
        same = sorted(name for name in names if [fold(other) for other in names].count(fold(name)) > 1)
        raise AmcLoadError(
            f"The columns {', '.join(same)} differ in case only, and this database takes them for one. Give them "
            "different aliases in the query. Nothing was changed."
        )
    own = {name: new_name(name) for name in names}
    if existing is None:
        return TableChange(create=True, columns=own)
    known = {fold(name): name for name in existing} | {name: name for name in existing if case_sensitive}
    found = {name: known[fold(name)] for name in names if fold(name) in known}
    new = [column for column in load.full_schema if column.name not in found]
    fits = {
        column.name: fit(column.type, existing[found[column.name]])
        for column in load.full_schema
        if column.name in found
    }
    unfit = [load.full_schema.field(name) for name, how in fits.items() if how is not Fit.WHOLE]
    if load.schema_policy == "evolve":
        gone = [name for name in existing if name not in found.values()]
        if load.mode == "replace_table" and (new or unfit or gone):
            return TableChange(rebuild=True, columns=own)
        widened = {column.name: _wider(column, existing[found[column.name]], max_precision) for column in unfit}
        _refuse(load, existing, found, missing=[], wrong=[column for column in unfit if widened[column.name] is None])
        texts = [column.name for column in load.schema if column.name in found and column.type == pa.string()]
        limits = {name: limit for name in texts if (limit := text_limit(existing[found[name]])) is not None}
        return TableChange(
            added=tuple(new),
            widened={found[name]: kind for name, kind in widened.items() if kind is not None},
            columns=own | found,
            limited=limits,
        )
    if load.schema_policy == "freeze":
        known_to_it = any(name in found for name in load.schema.names)
        needed = {*load.keys, *Audit.SCHEMA.names} if known_to_it else set(names)
        ignored = tuple(column.name for column in new if column.name not in needed)
        _refuse(
            load,
            existing,
            found,
            missing=[column for column in new if column.name in needed],
            wrong=[column for column in unfit if fits[column.name] is Fit.NOT],
        )
        return TableChange(columns=found, ignored=ignored)
    _refuse(load, existing, found, missing=new, wrong=unfit)
    return TableChange(columns=found)


def _wider(column: pa.Field, existing: str | None, max_precision: int) -> pa.DataType | None:
    kind = wider(column.type, existing or "")
    too_long = kind is not None and pa.types.is_decimal(kind) and kind.precision > max_precision
    return None if too_long else kind


def _refuse(
    load: Load,
    existing: Mapping[str, str | None],
    found: Mapping[str, str],
    *,
    missing: list[pa.Field],
    wrong: list[pa.Field],
) -> None:
    if not missing and not wrong:
        return
    problems = []
    if missing:
        listed = ", ".join(f"{column.name} {sql_type(column.type, '')}" for column in missing)
        problems.append(f"the table lacks {listed}")
    if wrong:
        listed = ", ".join(
            f"{column.name} (table: {existing[found[column.name]]}, result: {sql_type(column.type, '')})"
            for column in wrong
        )
        problems.append(f"types differ for {listed}")
    raise AmcLoadError(
        f"The result does not fit into the existing table {load.table}: {'; '.join(problems)} "
        f"(schema_policy={load.schema_policy!r}). Alter the table, change the query or the policy, or load into a new "
        "table, which the loader creates. Nothing was changed."
    )
