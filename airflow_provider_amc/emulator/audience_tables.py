"""The tables of advertisers' audiences: who is in them, and who was added and removed.

Facts: AMC API documentation, "Advertiser audiences", "Audience membership" and "Audience additions and removals". Only
members that were matched with a user are in the tables. All of it blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.emulator.audience_members import PII
from airflow_provider_amc.emulator.identities import Matcher, key_of
from airflow_provider_amc.emulator.ingest import arrow_of
from airflow_provider_amc.emulator.rowfiles import texts
from airflow_provider_amc.emulator.shelf import AdvertiserColumn, AdvertiserTable, Shelf

if TYPE_CHECKING:
    import pyarrow

#: Name of the Login with Amazon application, with which the names of the tables begin.
_APPLICATION = "emulator"
_EXPIRES = "expires"
_USER = (
    AdvertiserColumn("user_id", "STRING", "DIMENSION", "VERY_HIGH", "The matched user."),
    AdvertiserColumn("user_type", "STRING", "DIMENSION", "LOW", "The type of the user's identifier."),
)
_INSERTED = AdvertiserColumn("insert_date_utc", "TIMESTAMP", "DIMENSION", "MEDIUM", "When the request was made.")


@dataclass(frozen=True)
class Change:
    """What a job does to an audience.

    :param instance_id: the instance, or :data:`~airflow_provider_amc.emulator.audience_members.DSP_ONLY`.
    :param audience_id: the audience.
    :param ttl: seconds that a member stays.
    :param made: when the request was made, naive UTC.
    :param records: the records, all of them valid.
    :param mark: names the job.
    """

    instance_id: str
    audience_id: int
    ttl: float
    made: datetime
    records: Sequence[Mapping[str, Any]]
    mark: str


def _suffix(instance_id: str) -> str:
    return hashlib.sha256(f"audiences of {instance_id}".encode()).hexdigest()[:8]


def members(instance_id: str) -> AdvertiserTable:
    """The table of who is in the audiences of an instance now."""
    return AdvertiserTable(
        instance_id=instance_id,
        name=f"{_APPLICATION}_audience_members_{_suffix(instance_id)}",
        description="Members of the audiences of the advertiser.",
        columns=(
            AdvertiserColumn("audience_id", "STRING", "DIMENSION", "MEDIUM", "The audience."),
            _INSERTED,
            *_USER,
        ),
        user_column="user_id",
        expiry_column=_EXPIRES,
    )


def logs(instance_id: str) -> AdvertiserTable:
    """The table of who was added and removed when."""
    return AdvertiserTable(
        instance_id=instance_id,
        name=f"{_APPLICATION}_audience_logs_{_suffix(instance_id)}",
        description="Additions to the audiences of the advertiser, and removals.",
        columns=(
            AdvertiserColumn("action", "STRING", "DIMENSION", "MEDIUM", "CREATE or DELETE."),
            AdvertiserColumn("audience_id", "LONG", "DIMENSION", "MEDIUM", "The audience."),
            _INSERTED,
            *_USER,
        ),
        time_column="insert_date_utc",
        user_column="user_id",
    )


_MEMBERS = """
SELECT audience_id, insert_date_utc, user_id, user_type, external_id, expires FROM old_members
WHERE audience_id <> $audience OR external_id NOT IN (SELECT external_id FROM changed)
UNION ALL
SELECT $audience, CAST($made AS TIMESTAMP), user_id, user_type, external_id,
    CAST($made AS TIMESTAMP) + to_seconds(CAST($ttl AS BIGINT))
FROM changed WHERE action = 'CREATE' AND user_id IS NOT NULL
"""
_LOGS = """
SELECT action, audience_id, insert_date_utc, user_id, user_type FROM old_logs
UNION ALL
SELECT action, CAST($audience AS BIGINT), CAST($made AS TIMESTAMP), user_id, user_type FROM changed
WHERE user_id IS NOT NULL
"""
_EMPTY_MEMBERS = """
SELECT '' AS audience_id, TIMESTAMP 'epoch' AS insert_date_utc, '' AS user_id, '' AS user_type, '' AS external_id,
    TIMESTAMP 'epoch' AS expires WHERE FALSE
"""
_EMPTY_LOGS = """
SELECT '' AS action, CAST(0 AS BIGINT) AS audience_id, TIMESTAMP 'epoch' AS insert_date_utc, '' AS user_id,
    '' AS user_type WHERE FALSE
"""
#: Of several records with one external id, the last one counts.
_CHANGED = """
CREATE TABLE changed AS
SELECT r.external_id, r.action, m.user_id, m.user_type
FROM (SELECT external_id, max(CAST(record AS BIGINT)) AS record, arg_max(action, CAST(record AS BIGINT)) AS action FROM given GROUP BY external_id) r
LEFT JOIN matched m ON m.record = CAST(r.record AS VARCHAR)
"""


def apply(change: Change, matcher: Matcher, shelf: Shelf) -> tuple[int, int]:
    """Add and remove members.

    :returns: how many of the records were matched with a user, and how many members the audience then has.
    """
    import duckdb

    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        matcher.prepare(connection)
        connection.register("given", _identities(change.records))
        key = key_of({kind: name for name, kind in PII.items()})
        users = matcher.select(("record", "external_id", "action", "position"), "given", key, "user_id", "user_type")
        connection.execute(
            "CREATE TABLE matched AS SELECT record, min_by(user_id, position) AS user_id,"
            f" min_by(user_type, position) AS user_type FROM ({users}) WHERE user_id IS NOT NULL GROUP BY record"
        )
        connection.execute(_CHANGED)
        ((resolved,),) = connection.execute("SELECT count(*) FROM matched").fetchall()
        of_members, of_logs = members(change.instance_id), logs(change.instance_id)
        known = {"audience": str(change.audience_id), "made": change.made, "ttl": change.ttl}
        for table, view, empty, sql in (
            (of_logs, "old_logs", _EMPTY_LOGS, _LOGS),
            (of_members, "old_members", _EMPTY_MEMBERS, _MEMBERS),
        ):
            if shelf.is_done(change.instance_id, table.name, change.mark):
                continue
            rows = shelf.rows(change.instance_id, table.name)
            connection.register(view, arrow_of(connection, empty) if rows is None else rows)
            values = {name: value for name, value in known.items() if f"${name}" in sql}
            shelf.put(table, arrow_of(connection, sql, values), change.mark)
        rows = shelf.rows(change.instance_id, of_members.name)
        connection.register("now_members", rows)
        ((count,),) = connection.execute(
            "SELECT count(*) FROM now_members WHERE audience_id = ?", [str(change.audience_id)]
        ).fetchall()
    return int(resolved), int(count)


def _identities(records: Sequence[Mapping[str, Any]]) -> pyarrow.Table:
    """The identities of records, one a row."""
    rows = (
        {"record": str(number), "external_id": record["externalUserId"], "action": record["action"]}
        | {"position": f"{position:03d}", **identity}
        for number, record in enumerate(records)
        for position, identity in enumerate(record["hashedPII"])
    )
    return texts(rows, ("record", "external_id", "action", "position", *PII))


def set_ttl(shelf: Shelf, audience_id: int, ttl: float) -> None:
    """Let the members of an audience stay for another time, counted from when they were added."""
    import duckdb

    sql = (
        "SELECT * REPLACE (CASE WHEN audience_id = $audience THEN insert_date_utc + to_seconds(CAST($ttl AS BIGINT))"
        " ELSE expires END AS expires) FROM old_members"
    )
    for instance_id in shelf.instances():
        table = members(instance_id)
        rows = shelf.rows(instance_id, table.name)
        if rows is not None:
            with duckdb.connect(":memory:", config={"threads": 1}) as connection:
                connection.register("old_members", rows)
                shelf.put(table, arrow_of(connection, sql, {"audience": str(audience_id), "ttl": ttl}))
