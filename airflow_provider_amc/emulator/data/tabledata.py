"""How a table of AMC is made of facts and dimensions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_amc.sql.sources import USER_KEY

_ALIAS = re.compile(r"\b([a-z])\.")


@dataclass(frozen=True)
class TableData:
    """A table of AMC over the facts.

    :param rows: what follows FROM; the fact has the alias ``f``.
    :param time: the moment that the window of an execution limits, UTC.
    :param columns: the columns, as expressions over ``f`` and the aliases of the joins.
    :param joins: joins by their alias, one letter; only those that the columns of a query need are made. A join may
        use an alias that stands before it.
    :param where: a condition on every row, if any.
    :param audience_where: a condition on the rows of the twin for audience queries, if any.
    :param moments: all moments that must lie before the present for the row to exist.
    """

    rows: str
    time: str
    columns: Mapping[str, str]
    joins: Mapping[str, str]
    where: str = ""
    audience_where: str = ""
    moments: tuple[str, ...] = ()

    def read(self, columns: Sequence[tuple[str, str]], start: str, end: str, *, for_audiences: bool = False) -> str:
        """DuckDB SQL for some columns.

        :param columns: names and DuckDB types of the columns.
        :param start: SQL of the first moment of the window.
        :param end: SQL of the first moment after it.
        :param for_audiences: is this the twin for audience queries?
        """
        filters = [text for text in (self.where, self.audience_where if for_audiences else "") if text]
        items = [f'CAST({self.columns[name]} AS {kind}) AS "{name}"' for name, kind in columns]
        texts = [*items, self.time, *filters]
        joins: list[str] = []
        for alias in reversed(list(self.joins)):
            if any(alias in _ALIAS.findall(text) for text in texts):
                joins.insert(0, self.joins[alias])
                texts.append(self.joins[alias])
        conditions = [f"{self.time} >= {start}", f"{self.time} < {end}", f"{self.time} >= $oldest"]
        conditions += [f"{moment} < $now" for moment in (self.moments or (self.time,))]
        conditions += filters
        listed = ", ".join(items) or "TRUE AS row"
        return f"SELECT {listed} FROM {self.rows} {' '.join(joins)} WHERE {' AND '.join(conditions)}"


def local(moment: str) -> str:
    """A UTC moment in the advertiser's time zone."""
    return f"timezone(v.tz, timezone('UTC', {moment}))"


def moment_columns(prefix: str, moment: str, *, zoned: bool = True, day: bool = True) -> dict[str, str]:
    """The columns AMC makes of one moment: ``_dt``, ``_date``, ``_day``, ``_hour``, ``_dt_hour``, local and ``_utc``.

    :param prefix: such as ``impression``.
    :param moment: the moment, UTC.
    :param zoned: are there local columns, too?
    :param day: are there ``_day`` columns?
    """
    columns: dict[str, str] = {}
    for suffix, value in (("_utc", moment), ("", local(moment))) if zoned else (("_utc", moment),):
        columns[f"{prefix}_dt{suffix}"] = value
        columns[f"{prefix}_date{suffix}"] = f"CAST({value} AS DATE)"
        columns[f"{prefix}_hour{suffix}"] = f"extract(hour FROM {value})"
        columns[f"{prefix}_dt_hour{suffix}"] = f"date_trunc('hour', {value})"
        if day:
            columns[f"{prefix}_day{suffix}"] = f"extract(day FROM {value})"
    return columns


def span_columns(prefix: str, starts: str, ends: str, kinds: Sequence[str] = ("date",)) -> dict[str, str]:
    """Start and end columns such as ``campaign_start_date`` and ``campaign_start_date_utc``."""
    columns: dict[str, str] = {}
    for kind in kinds:
        for edge, moment in (("start", starts), ("end", ends)):
            columns[f"{prefix}_{edge}_{kind}_utc"] = moment
            columns[f"{prefix}_{edge}_{kind}"] = local(moment)
    return columns


def pick(values: Sequence[str | int | None], key: str, salt: int) -> str:
    """One of some values, by chance."""
    items = ", ".join("NULL" if v is None else f"'{v}'" if isinstance(v, str) else str(v) for v in values)
    return f"[{items}][1 + chance_pick({key}, {salt}, {len(values)})]"


def weigh(shares: Sequence[int], key: str, salt: int, *, first: int = 0) -> str:
    """The number of one of some things, by chance and share.

    :param shares: the shares, in tenths of percents that add up to 100 percent.
    :param key: SQL of what decides.
    :param salt: number of the draw.
    :param first: number of the first thing.
    """
    if sum(shares) != 1000:
        raise ValueError(f"The shares {shares} add up to {sum(shares)}")
    step = math.gcd(*shares)
    numbers = [str(number) for number, share in enumerate(shares, start=first) for _ in range(share // step)]
    return f"[{', '.join(numbers)}][1 + chance_pick({key}, {salt}, {len(numbers)})]"


#: The kind of ids by which ads reach users.
REACHED = "adUserId"
#: DuckDB type of the key of a user.
USER_KEY_TYPE = "INTEGER"
#: The id of a user, and what kind of id it is.
USER_COLUMNS = {
    USER_KEY: "f.u",
    "user_id": "CASE WHEN f.u IS NOT NULL THEN 'amc-' || md5('user-' || $seed || '-' || f.u) END",
    "user_id_type": (
        "CASE WHEN f.u IS NOT NULL THEN "
        + pick([REACHED, REACHED, REACHED, "sisDeviceId", "adBrowserId"], "f.u", 50)
        + " END"
    ),
    "no_3p_trackers": "chance_hits(coalesce(f.u, f.k), 51, 700)",
}


def beyond_reach(users: int) -> str:
    """DuckDB SQL of the ids of all users whom no ad can be shown by their id.

    :param users: how many users there are.
    """
    return (
        f"SELECT {USER_COLUMNS['user_id']} FROM (SELECT CAST(range AS INTEGER) AS u FROM range({users})) AS f"
        f" WHERE {USER_COLUMNS['user_id_type']} <> '{REACHED}'"
    )
