"""Rows of people as records of an advertiser audience.

Facts: the OpenAPI file of the advertiser audience API. Errors name rows, never values.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_provider_amc.client.advertiser_audiences import EXTERNAL_USER_ID, MOST_IDENTITIES
from airflow_provider_amc.exceptions import AmcLoadError, AmcValidationError
from airflow_provider_amc.identity import country_of

ACTIONS = ("CREATE", "DELETE")

#: Where a record has the kinds of identity.
_FIELDS = {
    "EMAIL": "email",
    "PHONE": "phone",
    "FIRST_NAME": "firstname",
    "LAST_NAME": "lastname",
    "ADDRESS": "address",
    "CITY": "city",
    "STATE": "state",
    "ZIP": "postal",
}
#: Where a record has the consents, below ``userConsent.consent``.
CONSENTS = {
    "TCF": ("tcf",),
    "GPP": ("gpp",),
    "AMZN_AD_STORAGE": ("amzn", "amznAdStorage"),
    "AMZN_USER_DATA": ("amzn", "amznUserData"),
}


@dataclass
class Records:
    """Makes records, and counts them.

    Rows next to each other with the same person and action become one record. A person who comes up again further on
    is an error: AMC works on the parts of an upload at the same time, so nobody could say which of the two would count.

    :param external_id: column with the advertiser's own id of a person.
    :param identities: hashed columns, with the kind of identity in each. A second column of a kind makes a second set.
    :param action: what to do with the people, ``CREATE`` (add) or ``DELETE`` (remove).
    :param action_column: column that says so for each row.
    :param country: two-letter code of the country of rows without one of their own.
    :param country_column: column with the country of each row.
    :param consents: columns with consents, by :data:`CONSENTS`.
    """

    external_id: str
    identities: Mapping[str, str]
    action: str = "CREATE"
    action_column: str | None = None
    country: str | None = None
    country_column: str | None = None
    consents: Mapping[str, str] = field(default_factory=dict)
    #: Records by action.
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACTIONS, 0))
    #: Rows that were left out, as nothing in them can be matched.
    without_identity: int = 0
    _seen: Any = field(default_factory=lambda: array("q"), repr=False)
    _rows: Any = field(default_factory=lambda: array("q"), repr=False)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise AmcValidationError(f"action must be CREATE or DELETE, got {self.action!r}.")
        if not self.identities:
            raise AmcValidationError("identities: name one column at least, such as {'email': 'EMAIL'}.")
        if unknown := sorted({*self.consents} - {*CONSENTS}):
            raise AmcValidationError(f"consent_columns knows {', '.join(CONSENTS)}, got {', '.join(unknown)}.")
        used: dict[str, int] = {}
        self._places: list[tuple[str, int, str]] = []
        for column, kind in self.identities.items():
            self._places.append((column, used.get(kind, 0), _FIELDS[kind]))
            used[kind] = used.get(kind, 0) + 1

    @property
    def columns(self) -> list[str]:
        """Columns beside the identities and the country."""
        return [self.external_id, *([self.action_column] if self.action_column else []), *self.consents.values()]

    def of(self, batches: Iterable[tuple[int, pa.RecordBatch]]) -> Iterator[dict[str, Any]]:
        """Make records.

        :param batches: hashed rows, each batch with the number of its first row.
        :raises AmcLoadError: a row has no id or a wrong one, or another action; or a person comes up again.
        """
        last: dict[str, Any] | None = None
        for first, batch in batches:
            for row, record in enumerate(self._rows_of(batch, first), start=first):
                if record is None:
                    continue
                if last is not None and _same_person(last, record):
                    last["hashedPII"] += record["hashedPII"]
                    if len(last["hashedPII"]) > MOST_IDENTITIES:
                        raise AmcLoadError(f"Row {row}: AMC takes up to {MOST_IDENTITIES} identities of a person.")
                    continue
                if last is not None:
                    yield last
                last = record
                self._seen.append(hash(record["externalUserId"]))
                self._rows.append(row)
                self.counts[record["action"]] += 1
        if last is not None:
            yield last
        self._check_people()

    def facts(self) -> dict[str, Any]:
        """What was counted."""
        return {
            "added": self.counts["CREATE"],
            "removed": self.counts["DELETE"],
            "without_identity": self.without_identity,
        }

    def _rows_of(self, batch: pa.RecordBatch, first: int) -> Iterator[dict[str, Any] | None]:
        values = {name: batch.column(index).to_pylist() for index, name in enumerate(batch.schema.names)}
        ids = values[self.external_id]
        for at in range(len(batch)):
            row = first + at
            if not EXTERNAL_USER_ID.fullmatch(ids[at] or ""):
                raise AmcLoadError(
                    f"Row {row}: {self.external_id} must have 1 to 128 letters, digits, '-' and '_'. Its value is not "
                    "shown. Take an id of your own, not an e-mail address."
                )
            sets: dict[int, dict[str, str]] = {}
            for column, number, name in self._places:
                if (value := values[column][at]) is not None:
                    sets.setdefault(number, {})[name] = value
            if not sets:
                self.without_identity += 1
                yield None
                continue
            record = {"externalUserId": ids[at], "action": self._action(values, at, row), "hashedPII": [*sets.values()]}
            country = (values[self.country_column][at] if self.country_column else None) or self.country
            if country:
                record["countryCode"] = country_of(country) or country.strip().upper()
            if consent := self._consent(values, at):
                record["userConsent"] = {"consent": consent}
            yield record

    def _action(self, values: Mapping[str, list[Any]], at: int, row: int) -> str:
        if self.action_column is None:
            return self.action
        action = str(values[self.action_column][at] or self.action).strip().upper()
        if action not in ACTIONS:
            raise AmcLoadError(f"Row {row}: {self.action_column} must be CREATE or DELETE.")
        return action

    def _consent(self, values: Mapping[str, list[Any]], at: int) -> dict[str, Any]:
        consent: dict[str, Any] = {}
        for kind, column in self.consents.items():
            if value := values[column][at]:
                *above, name = CONSENTS[kind]
                place = consent
                for step in above:
                    place = place.setdefault(step, {})
                place[name] = value
        return consent

    def _check_people(self) -> None:
        """Was nobody met twice? Ids are compared by 64 bits of each, which keeps 15 million of them in 250 MB."""
        seen = np.frombuffer(self._seen, dtype=np.int64) if self._seen else np.empty(0, dtype=np.int64)
        order = np.argsort(seen, kind="stable")
        again = np.flatnonzero(seen[order][1:] == seen[order][:-1])
        if again.size:
            rows = np.frombuffer(self._rows, dtype=np.int64)[order]
            first = again[rows[again + 1].argmin()]
            before, after = rows[first], rows[first + 1]
            raise AmcLoadError(
                f"Rows {before} and {after} have the same {self.external_id}, apart from each other or with two "
                f"actions ({again.size:,} such). Put the rows of a person next to each other, with one action. Nothing "
                "was sent."
            )


def _same_person(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(one["externalUserId"] == other["externalUserId"] and one["action"] == other["action"])
