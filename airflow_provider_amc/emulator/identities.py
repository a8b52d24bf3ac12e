"""Which users of the synthetic population the identities of advertisers lead to.

Nobody real stands behind the synthetic users, so a match is planted: of all identities, 80 in 100 lead to a user, and
the seed decides which of them and to whom. The same identity leads to the same user wherever it was uploaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_amc.emulator.columns import EXTERNAL_IDS
from airflow_provider_amc.emulator.data.tabledata import USER_COLUMNS
from airflow_provider_amc.sql.coerce import quote_name

#: Of ten thousand identities, so many lead to a user.
MATCHED = 8000
#: Column with the number of the user, which no file can have.
_NUMBER = '"$u"'
#: Ids that mean the same however they are written.
_ANY_CASE = ("MAID", "IDFA")


def key_of(identities: Mapping[str, str]) -> str:
    """DuckDB SQL of what decides about the user of a row: the best of its identities, NULL when none is of use.

    An e-mail address or a phone number tells a person, and so does an id of another provider; a name does so together
    with an address or a postal code; a city alone does not.

    :param identities: SQL of the values by kind, such as ``EMAIL``, ``MAID``.
    """
    keys = [f"'{kind}:' || lower({identities[kind]})" for kind in ("EMAIL", "PHONE") if kind in identities]
    for kind in EXTERNAL_IDS:
        if kind in identities:
            value = f"lower({identities[kind]})" if kind in _ANY_CASE else identities[kind]
            keys.append(f"'{kind}:' || {value}")
    if {"FIRST_NAME", "LAST_NAME"} <= identities.keys():
        name = f"'NAME:' || lower({identities['FIRST_NAME']}) || lower({identities['LAST_NAME']})"
        keys += [f"{name} || lower({identities[kind]})" for kind in ("ADDRESS", "ZIP") if kind in identities]
    return f"coalesce({', '.join(keys)})" if keys else "CAST(NULL AS VARCHAR)"


class Matcher:
    """Finds the users of identities.

    :param seed: seed of the synthetic data.
    :param scale: size of the synthetic data.
    """

    def __init__(self, seed: int, scale: str | int) -> None:
        self._seed = seed
        self._scale = scale
        self._users: int | None = None

    def _population(self) -> int:
        if self._users is None:
            from airflow_provider_amc.emulator.data.audience import Audiences
            from airflow_provider_amc.emulator.data.scale import impressions_of

            self._users = Audiences(self._seed, impressions_of(self._scale)).users
        return self._users

    def prepare(self, connection: Any) -> None:
        """Give a DuckDB database what :meth:`select` needs."""
        from airflow_provider_amc.emulator.data.chance import MACROS

        for macro in MACROS:
            connection.execute(f"CREATE OR REPLACE MACRO {macro}")

    def select(self, items: Sequence[str], rows: str, key: str, user_id: str, user_type: str) -> str:
        """DuckDB SQL of rows with their users.

        :param items: SQL of the other columns, over the rows as ``r``.
        :param rows: SQL of the rows, as it stands behind FROM.
        :param key: SQL of :func:`key_of`, over the rows.
        :param user_id: name of the column with the id of the user.
        :param user_type: name of the column with the type of that id.
        """
        draw = "CAST('0x' || substr(h, {}, 8) AS BIGINT)"
        user = f"CASE WHEN {draw.format(1)} % 10000 < {MATCHED} THEN {draw.format(9)} % {self._population()} END"
        hashed = f"SELECT *, md5('{self._seed}|' || {key}) AS h FROM {rows}"
        drawn = f"SELECT * EXCLUDE (h), {user} AS {_NUMBER} FROM ({hashed})"
        ids = [
            f"{self._id(name)} AS {quote_name(shown)}"
            for name, shown in (("user_id", user_id), ("user_id_type", user_type))
        ]
        return f"SELECT {', '.join([*items, *ids])} FROM ({drawn}) AS r"

    def _id(self, name: str) -> str:
        return USER_COLUMNS[name].replace("f.u", f"r.{_NUMBER}").replace("$seed", str(self._seed))
